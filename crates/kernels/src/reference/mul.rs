//! MUL, with a fused activation and broadcasting.
//!
//! Quantised: XNNPACK's `qs8-vmul` and `qu8-vmul`, the product of the two differences to the zero
//! points through [`requantise`](crate::requant::requantise); or the built-in kernel where the
//! scale is far from 1; see [`MulRequantize`](crate::requant::MulRequantize).

use super::{Operand, binary};
use crate::mul::MulQuantized;
use crate::requant::Quantized;
use crate::unary::clamp;

/// Quantised multiplication.
pub fn mul_quantized<T: Quantized>(
    params: &MulQuantized,
    first: Operand<T>,
    second: Operand<T>,
    out: &mut [T],
) {
    let [first_zero, second_zero, zero_point] = params.zero_points;
    binary(first, second, out, |a, b| {
        let (a, b): (i32, i32) = (a.into(), b.into());
        let product = (a - first_zero) * (b - second_zero);
        T::from_i32(params.requant.apply(product, zero_point, params.bounds))
    });
}

/// Float multiplication, clamped to `activation`.
pub fn mul_f32(activation: [f32; 2], first: Operand<f32>, second: Operand<f32>, out: &mut [f32]) {
    binary(first, second, out, |a, b| clamp(a * b, activation));
}
