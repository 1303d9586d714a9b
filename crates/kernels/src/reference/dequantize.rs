//! DEQUANTIZE to float: [`Affine::dequantise`].

use crate::requant::{Affine, Quantized};

/// The real number of each element.
pub fn dequantize<T: Quantized>(input_affine: Affine, input: &[T], out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = input_affine.dequantise(x.into());
    }
}
