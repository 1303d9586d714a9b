//! DEQUANTIZE to float.

use crate::requant::{Affine, Quantized};

/// Each element as [`Affine::dequantise`] has it.
pub fn dequantize<T: Quantized>(input_affine: Affine, input: &[T], out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = input_affine.dequantise(x.into());
    }
}
