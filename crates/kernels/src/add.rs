//! ADD (and SUB), with a fused activation. Arithmetic: see
//! [`reference::add`](crate::reference::add).

use crate::blocks::{Kernel, Lanes, row};
use crate::broadcast::{Broadcast, Row};
use crate::requant::AddRequantize;
use crate::simd::{Element, Native, Simd};
use crate::unary::clamp_all;

/// Quantised addition (or subtraction, as `requant` has it), clamped to `bounds`.
pub fn add_quantized<T: Element>(
    broadcast: &Broadcast,
    requant: &AddRequantize,
    bounds: [i32; 2],
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    add_with::<Native, T>(broadcast, requant, bounds, first, second, out);
}

fn add_with<S: Simd, T: Element>(
    broadcast: &Broadcast,
    requant: &AddRequantize,
    bounds: [i32; 2],
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    let AddRequantize::Shift { first: p, second: q, bias, shift, zero_point } = *requant else {
        return broadcast.apply(first, second, out, |a: T, b: T| {
            T::from_i32(one(requant, bounds, a.into(), b.into()))
        });
    };
    let kernel = Shift::<S> {
        scalar: *requant,
        bounds,
        multipliers: [p, q].map(S::i32x4_splat),
        bias: S::i32x4_splat(bias),
        shift,
        zero_point: S::i32x4_splat(zero_point),
    };
    let len = broadcast.row_len();
    let [first_len, second_len] = match broadcast.row() {
        Row::Both => [len, len],
        Row::SecondScalar => [len, 1],
        Row::FirstScalar => [1, len],
    };
    broadcast.for_each_row(|a, b, o| {
        let (first, second) = (&first[a..a + first_len], &second[b..b + second_len]);
        row(&kernel, bounds, first, second, &mut out[o..o + len]);
    });
}

/// [`AddRequantize::Shift`] in registers.
struct Shift<S: Simd> {
    scalar: AddRequantize,
    bounds: [i32; 2],
    multipliers: [S::V; 2],
    bias: S::V,
    shift: u32,
    zero_point: S::V,
}

impl<S: Simd, T: Element> Kernel<S, T> for Shift<S> {
    #[inline(always)]
    fn vector(&self, first: [S::V; 2], second: [S::V; 2]) -> Lanes<S> {
        let sum = |a: S::V, b: S::V| {
            let a = S::i32x4_mul(a, self.multipliers[0]);
            let b = S::i32x4_mul(b, self.multipliers[1]);
            let sum = S::i32x4_add(S::i32x4_add(a, self.bias), b);
            S::i32x4_add(S::i32x4_shr(sum, self.shift), self.zero_point)
        };
        let half = |a: S::V, b: S::V| {
            [
                sum(S::i32x4_extend_low_i16x8(a), S::i32x4_extend_low_i16x8(b)),
                sum(S::i32x4_extend_high_i16x8(a), S::i32x4_extend_high_i16x8(b)),
            ]
        };
        let ([a, b], [c, d]) = (half(first[0], second[0]), half(first[1], second[1]));
        [a, b, c, d]
    }

    fn scalar(&self, first: T, second: T) -> T {
        T::from_i32(one(&self.scalar, self.bounds, first.into(), second.into()))
    }
}

// Not inlined into the loops of each type: short rows and far scales alone go this way.
#[inline(never)]
fn one(requant: &AddRequantize, [min, max]: [i32; 2], first: i32, second: i32) -> i32 {
    requant.apply(first, second).clamp(min, max)
}

/// Float addition, clamped to `activation`.
#[inline(never)]
pub fn add_f32(
    broadcast: &Broadcast,
    activation: [f32; 2],
    first: &[f32],
    second: &[f32],
    out: &mut [f32],
) {
    broadcast.apply(first, second, out, |a, b| a + b);
    clamp_all(out, activation);
}
