//! The uint8 of ONNX's DynamicQuantizeLinear, once scale and zero point are known.

/// 1.5 * 2^23: added to a float below 2^22, it leaves the float rounded, ties to even, in the low
/// bits of the sum.
const MAGIC: f32 = 12_582_912.0;

/// As [`reference::dynamic_quantize`](crate::reference::dynamic_quantize): the bounds are whole, so
/// that a quotient may be clamped before it is rounded. A loop that the compiler turns into vectors,
/// with relaxed SIMD into comparisons in which NaN becomes any element.
#[inline(never)]
pub fn dynamic_quantize(scale: f32, zero_point: f32, input: &[f32], out: &mut [u8]) {
    let (low, high) = (0.0 - zero_point, 255.0 - zero_point);
    let offset = (MAGIC + low).to_bits();
    for (out, &x) in out.iter_mut().zip(input) {
        let quotient = x / scale;
        let above = if quotient > low { quotient } else { low };
        let within = if above < high { above } else { high };
        *out = (within + MAGIC).to_bits().wrapping_sub(offset) as u8;
    }
}
