//! CONCATENATION along an axis.
//!
//! Inputs of the output's scale and zero point are copied. For others, which TensorFlow Lite has
//! for uint8 only, see [`concatenated`](super::unary_quantized::concatenated).

use super::{Operand, indexes};

/// Puts the inputs one after another along `axis`.
pub fn concatenation<T: Copy>(axis: usize, inputs: &[Operand<T>], out: &mut [T]) {
    let mut shape = inputs[0].shape.to_vec();
    shape[axis] = inputs.iter().map(|input| input.shape[axis]).sum();
    for (offset, out) in out.iter_mut().enumerate() {
        let mut at = indexes(&shape, offset);
        for input in inputs {
            if at[axis] < input.shape[axis] {
                let from =
                    at.iter().zip(input.shape).fold(0, |from, (index, len)| from * len + index);
                *out = input.values[from];
                break;
            }
            at[axis] -= input.shape[axis];
        }
    }
}
