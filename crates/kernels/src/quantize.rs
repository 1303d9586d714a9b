//! QUANTIZE from float. (Between 8-bit tensors it is a [`table`](crate::table).)

use crate::requant::{Affine, Quantized, round_clamped};

/// Each element as [`Affine::quantise`] has it, but for NaN, which becomes the least element.
pub fn quantize_f32<T: Quantized>(output: Affine, input: &[f32], out: &mut [T]) {
    let inverse = 1.0 / output.scale;
    for (out, &x) in out.iter_mut().zip(input) {
        *out = T::from_i32(round_clamped(x * inverse, output.zero_point, [T::MIN, T::MAX]));
    }
}
