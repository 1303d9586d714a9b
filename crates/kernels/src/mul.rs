//! MUL, with a fused activation. Arithmetic: see [`reference::mul`](crate::reference::mul).

use crate::blocks::{Kernel, Lanes, row};
use crate::broadcast::{Broadcast, Row};
use crate::requant::{MulRequantize, Requantize};
use crate::requant_vector::VectorRequantize;
use crate::simd::{Element, Native, Simd};
use crate::unary::clamp_all;

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

impl MulQuantized {
    fn scalar<T: Element>(&self, first: T, second: T) -> T {
        T::from_i32(self.one(first.into(), second.into()))
    }

    // Not inlined into the loops of each type: short rows and far scales alone go this way.
    #[inline(never)]
    fn one(&self, first: i32, second: i32) -> i32 {
        let [first_zero, second_zero, zero_point] = self.zero_points;
        let product = (first - first_zero) * (second - second_zero);
        self.requant.apply(product, zero_point, self.bounds)
    }
}

/// Quantised multiplication.
pub fn mul_quantized<T: Element>(
    broadcast: &Broadcast,
    params: &MulQuantized,
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    mul_with::<Native, T>(broadcast, params, first, second, out);
}

fn mul_with<S: Simd, T: Element>(
    broadcast: &Broadcast,
    params: &MulQuantized,
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    let MulRequantize::Float(scale) = params.requant else {
        return broadcast.apply(first, second, out, |a, b| params.scalar(a, b));
    };
    let [first_zero, second_zero, zero_point] = params.zero_points;
    let [min, max] = params.bounds;
    let kernel = Float::<S> {
        scalar: *params,
        zeros: [first_zero, second_zero].map(|zero| S::i16x8_splat(zero as i16)),
        none: S::i16x8_splat(0),
        scale: S::f32x4_splat(scale),
        // Signed, that is not flipped: the block narrows it as what it is.
        requant: VectorRequantize::new::<i8>(&Requantize {
            scale: &[],
            fixed: None,
            zero_point,
            min,
            max,
        }),
    };
    let len = broadcast.row_len();
    let [first_len, second_len] = match broadcast.row() {
        Row::Both => [len, len],
        Row::SecondScalar => [len, 1],
        Row::FirstScalar => [1, len],
    };
    broadcast.for_each_row(|a, b, o| {
        let (first, second) = (&first[a..a + first_len], &second[b..b + second_len]);
        row(&kernel, params.bounds, first, second, &mut out[o..o + len]);
    });
}

/// [`MulRequantize::Float`] in registers.
struct Float<S: Simd> {
    scalar: MulQuantized,
    zeros: [S::V; 2],
    none: S::V,
    scale: S::V,
    requant: VectorRequantize<S>,
}

impl<S: Simd, T: Element> Kernel<S, T> for Float<S> {
    #[inline(always)]
    fn vector(&self, first: [S::V; 2], second: [S::V; 2]) -> Lanes<S> {
        let half = |a: S::V, b: S::V| {
            let a = S::i16x8_sub(a, self.zeros[0]);
            let b = S::i16x8_sub(b, self.zeros[1]);
            // Beside zeros, the sum of a pair's products is one product, widened.
            let of = |a: S::V, b: S::V| self.requant.apply(S::i32x4_dot_i16x8(a, b), self.scale);
            [
                of(S::i16x8_interleave_low(a, self.none), S::i16x8_interleave_low(b, self.none)),
                of(S::i16x8_interleave_high(a, self.none), S::i16x8_interleave_high(b, self.none)),
            ]
        };
        let ([a, b], [c, d]) = (half(first[0], second[0]), half(first[1], second[1]));
        [a, b, c, d]
    }

    fn scalar(&self, first: T, second: T) -> T {
        self.scalar.scalar(first, second)
    }
}

/// Float multiplication, clamped to `activation`.
#[inline(never)]
pub fn mul_f32(
    broadcast: &Broadcast,
    activation: [f32; 2],
    first: &[f32],
    second: &[f32],
    out: &mut [f32],
) {
    broadcast.apply(first, second, out, |a, b| a * b);
    clamp_all(out, activation);
}
