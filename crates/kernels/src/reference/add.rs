//! ADD, with a fused activation and broadcasting.
//!
//! Quantised: XNNPACK's `qs8-vadd`, or the built-in kernel where scales are far apart; see
//! [`AddRequantize`]. The activation clamps the saturated sum at
//! [`Affine::activation_bounds`](crate::requant::Affine::activation_bounds).

use super::{Operand, binary};
use crate::requant::{AddRequantize, Quantized};
use crate::unary::clamp;

/// Quantised addition (or subtraction, as `requant` has it), clamped to `bounds`.
pub fn add_quantized<T: Quantized>(
    requant: &AddRequantize,
    [min, max]: [i32; 2],
    first: Operand<T>,
    second: Operand<T>,
    out: &mut [T],
) {
    binary(first, second, out, |a, b| {
        T::from_i32(requant.apply(a.into(), b.into()).clamp(min, max))
    });
}

/// Float addition, clamped to `activation`.
pub fn add_f32(activation: [f32; 2], first: Operand<f32>, second: Operand<f32>, out: &mut [f32]) {
    binary(first, second, out, |a, b| clamp(a + b, activation));
}
