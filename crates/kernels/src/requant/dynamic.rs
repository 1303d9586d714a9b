//! Dynamic-range quantisation: float activations that meet 8-bit weights.
//!
//! TensorFlow Lite quantises the activations to int8 as they come, with a scale and zero point of
//! each picture (DEPTHWISE_CONV_2D, TRANSPOSE_CONV, most CONV_2D), pixel (CONV_2D that is a matrix
//! product: a window of 1x1, strides of 1, one group) or row (FULLY_CONNECTED, BATCH_MATMUL), sums
//! integers and scales the sums. The products of an integer convolution are exact, so that the same results, but for
//! rounding in f32, come from snapping the activations to the grid of their quantisation and
//! convolving them in float with the dequantised weights.

/// Snaps a picture or row to its int8 grid as XNNPACK has it, for CONV_2D and FULLY_CONNECTED
/// (`quantization.h` and `f32-qs8-vcvt`): `scale = 255 / (max - min)` in f32, the range taken
/// together with 0; the zero point from the end with the smaller error, ties to even.
pub fn snap(input: &[f32], out: &mut [f32]) {
    let step = grid(input, out);
    out.iter_mut().for_each(|x| *x *= step);
}

/// The grid of [`snap`]: `out` gets the elements less the zero point, whole numbers, and the result
/// is the distance between two of them.
pub fn grid(input: &[f32], out: &mut [f32]) -> f32 {
    let [min, max] = range(input);
    let scale = if min == max { 1.0 } else { 255.0 / (max - min) };
    let (low, high) = (min * scale, max * scale);
    let zero = if (-128.0 + low) + (127.0 + high) > 0.0 { -128.0 - low } else { 127.0 - high };
    let zero = zero.clamp(-128.0, 127.0).round_ties_even();
    let inverse = 1.0 / scale;
    for (out, x) in out.iter_mut().zip(input) {
        let element = ((x * scale).round_ties_even() + zero).clamp(-128.0, 127.0);
        *out = element - zero;
    }
    inverse
}

/// The same as the built-in kernels have it, for DEPTHWISE_CONV_2D
/// (`AsymmetricQuantizeFloats` in `portable_tensor_utils.cc`): the scale in f64, ties away from
/// zero.
pub fn snap_builtin(input: &[f32], out: &mut [f32]) {
    let step = grid_builtin(input, out);
    out.iter_mut().for_each(|x| *x *= step);
}

/// The grid of [`snap_builtin`], as [`grid`].
pub fn grid_builtin(input: &[f32], out: &mut [f32]) -> f32 {
    let [min, max] = range(input).map(f64::from);
    if min == max {
        out.fill(0.0);
        return 1.0;
    }
    let scale = (max - min) / 255.0;
    let (from_min, from_max) = (-128.0 - min / scale, 127.0 - max / scale);
    let errors = [128.0 + (min / scale).abs(), 127.0 + (max / scale).abs()];
    let zero = if errors[0] < errors[1] { from_min } else { from_max };
    let zero = zero.clamp(-128.0, 127.0).round() as f32;
    let scale = scale as f32;
    let inverse = 1.0 / scale;
    for (out, x) in out.iter_mut().zip(input) {
        let element = (zero + x * inverse).round().clamp(-128.0, 127.0);
        *out = element - zero;
    }
    scale
}

/// Snaps a picture or row to the symmetric grid of the built-in kernels, for weights with one scale
/// (`SymmetricQuantizeFloats` in `portable_tensor_utils.cc`): `scale = largest / 127`, no zero
/// point, ties away from zero.
pub fn snap_symmetric(input: &[f32], out: &mut [f32]) {
    let largest = input.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        out.fill(0.0);
        return;
    }
    let (step, inverse) = (largest / 127.0, 127.0 / largest);
    for (out, x) in out.iter_mut().zip(input) {
        *out = (x * inverse).round().clamp(-127.0, 127.0) * step;
    }
}

/// From sums of products of whole numbers to results: `sum * step * scale + bias`, the product and
/// the sum of the last two rounded together, as XNNPACK's `qd8-f32-qc8w-gemm` does, within the
/// activation's bounds. `scale` has one entry or one for each of the last dimension's `channels`.
pub fn finish(
    step: f32,
    scale: &[f32],
    bias: Option<&[f32]>,
    channels: usize,
    activation: [f32; 2],
    sums: &[f32],
    out: &mut [f32],
) {
    for (sums, out) in sums.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        for (channel, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let scale = if scale.len() == 1 { scale[0] } else { scale[channel] };
            // A product of two floats is exact in f64.
            let product = f64::from(sum * step) * f64::from(scale);
            let biased = product + bias.map_or(0.0, |bias| f64::from(bias[channel]));
            *out = crate::unary::clamp(biased as f32, activation);
        }
    }
}

/// The least and greatest element, or 0 where that is less or greater.
fn range(input: &[f32]) -> [f32; 2] {
    input.iter().fold([0.0, 0.0], |[min, max], &x| {
        [if x < min { x } else { min }, if x > max { x } else { max }]
    })
}
