//! ONNX's DynamicQuantizeLinear once scale and zero point are known, as its TensorFlow Lite twin
//! of float operators computes it: `MINIMUM(MAXIMUM(ROUND(DIV(x, scale)), low), high)` are the
//! uint8 less their zero point, `low = 0 - zero point`, `high = 255 - zero point`.

/// Uint8 of floats. `zero_point` is a whole number from 0 to 255. NaN becomes 0, since it is
/// neither greater than `low` nor less than it.
pub fn dynamic_quantize(scale: f32, zero_point: f32, input: &[f32], out: &mut [u8]) {
    let (low, high) = (0.0 - zero_point, 255.0 - zero_point);
    for (out, &x) in out.iter_mut().zip(input) {
        let rounded = (x / scale).round_ties_even();
        let above = if rounded > low { rounded } else { low };
        let whole = if above < high { above } else { high };
        *out = (whole + zero_point) as u8;
    }
}
