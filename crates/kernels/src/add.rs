//! ADD, with a fused activation. Arithmetic: see [`reference::add`](crate::reference::add).

use crate::broadcast::Broadcast;
use crate::requant::{AddRequantize, Quantized};
use crate::unary::clamp;

/// Quantised addition (or subtraction, as `requant` has it), clamped to `bounds`.
pub fn add_quantized<T: Quantized>(
    broadcast: &Broadcast,
    requant: &AddRequantize,
    [min, max]: [i32; 2],
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    match *requant {
        AddRequantize::Shift { first: p, second: q, bias, shift, zero_point } => {
            // The zero point moves above the shift; what the clamp leaves fits the type.
            broadcast.apply(first, second, out, |a: T, b: T| {
                let (a, b): (i32, i32) = (a.into(), b.into());
                let sum = ((bias + a * p + b * q) >> shift) + zero_point;
                T::from_i32(sum.max(min).min(max))
            });
        }
        AddRequantize::Builtin { .. } => {
            broadcast.apply(first, second, out, |a: T, b: T| {
                T::from_i32(requant.apply(a.into(), b.into()).clamp(min, max))
            });
        }
    }
}

/// Float addition, clamped to `activation`.
pub fn add_f32(
    broadcast: &Broadcast,
    activation: [f32; 2],
    first: &[f32],
    second: &[f32],
    out: &mut [f32],
) {
    broadcast.apply(first, second, out, |a, b| clamp(a + b, activation));
}
