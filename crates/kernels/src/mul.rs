//! MUL, with a fused activation. Arithmetic: see [`reference::mul`](crate::reference::mul).

use crate::broadcast::Broadcast;
use crate::requant::{MulRequantize, Quantized, round_clamped};
use crate::unary::clamp;

/// What a quantised multiplication needs beside its operands.
#[derive(Clone, Copy, Debug)]
pub struct MulQuantized {
    /// Scales.
    pub requant: MulRequantize,
    /// Zero points of the operands and of the output.
    pub zero_points: [i32; 3],
    /// Least and greatest output.
    pub bounds: [i32; 2],
}

/// Quantised multiplication.
pub fn mul_quantized<T: Quantized>(
    broadcast: &Broadcast,
    params: &MulQuantized,
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    let MulQuantized { requant, zero_points: [first_zero, second_zero, zero_point], bounds } =
        *params;
    match requant {
        MulRequantize::Float(scale) => broadcast.apply(first, second, out, |a: T, b: T| {
            let (a, b): (i32, i32) = (a.into(), b.into());
            let product = (a - first_zero) * (b - second_zero);
            T::from_i32(round_clamped(product as f32 * scale, zero_point, bounds))
        }),
        MulRequantize::Builtin(_) => broadcast.apply(first, second, out, |a: T, b: T| {
            let (a, b): (i32, i32) = (a.into(), b.into());
            let product = (a - first_zero) * (b - second_zero);
            T::from_i32(requant.apply(product, zero_point, bounds))
        }),
    }
}

/// Float multiplication, clamped to `activation`.
pub fn mul_f32(
    broadcast: &Broadcast,
    activation: [f32; 2],
    first: &[f32],
    second: &[f32],
    out: &mut [f32],
) {
    broadcast.apply(first, second, out, |a, b| clamp(a * b, activation));
}
