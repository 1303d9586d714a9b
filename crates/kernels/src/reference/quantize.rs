//! QUANTIZE from float: [`Affine::quantise`]. (Between 8-bit tensors: see
//! [`unary_quantized`](super::unary_quantized).)

use crate::requant::{Affine, Quantized};

/// Each element on the output's scale.
pub fn quantize_f32<T: Quantized>(output: Affine, input: &[f32], out: &mut [T]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = output.quantise(x);
    }
}
