//! SQUARED_DIFFERENCE, PRELU and DIV on quantised tensors, by the built-in kernels: XNNPACK takes
//! them in float only.

use super::{Operand, binary};
use crate::requant::builtin::FixedMultiplier;
use crate::requant::{Affine, Quantized};

/// Bits that SQUARED_DIFFERENCE shifts its operands to the left.
const LEFT_SHIFT: u32 = 7;

/// SQUARED_DIFFERENCE (`squared_difference.cc`): both operands on twice the larger scale, with 7
/// bits more; the square of their difference on the output's.
#[derive(Clone, Copy, Debug)]
pub struct SquaredDifference {
    zero_points: [i32; 3],
    operands: [FixedMultiplier; 2],
    output: FixedMultiplier,
}

impl SquaredDifference {
    /// For tensors of these scales.
    pub fn new(first: Affine, second: Affine, output: Affine) -> Self {
        let twice = f64::from(2.0 * first.scale.max(second.scale));
        let of = |scale: f32| FixedMultiplier::new(f64::from(scale) / twice);
        let unit = (1u32 << (2 * LEFT_SHIFT)) as f32;
        Self {
            zero_points: [first.zero_point, second.zero_point, output.zero_point],
            operands: [of(first.scale), of(second.scale)],
            output: FixedMultiplier::new(twice * twice / f64::from(unit * output.scale)),
        }
    }

    /// An element of operand 0 or 1 on the common scale.
    pub fn operand(&self, operand: usize, x: i32) -> i32 {
        self.operands[operand].apply((x - self.zero_points[operand]) << LEFT_SHIFT)
    }

    /// What squares are multiplied by, and the zero point of the result.
    pub fn output(&self) -> (FixedMultiplier, i32) {
        (self.output, self.zero_points[2])
    }

    /// Of one pair.
    pub fn apply<T: Quantized>(&self, a: T, b: T) -> T {
        let (a, b) = (self.operand(0, a.into()), self.operand(1, b.into()));
        let square = (a - b).wrapping_mul(a - b);
        T::saturated(self.output.apply(square).saturating_add(self.zero_points[2]))
    }
}

/// PRELU (`reference/prelu.h`): elements not below the zero point are rescaled, the others
/// multiplied by `alpha` and rescaled.
#[derive(Clone, Copy, Debug)]
pub struct Prelu {
    zero_points: [i32; 3],
    positive: FixedMultiplier,
    negative: FixedMultiplier,
}

impl Prelu {
    /// For an input, slopes and output of these scales.
    pub fn new(input: Affine, alpha: Affine, output: Affine) -> Self {
        let multiplier = |ratio: f32| FixedMultiplier::new(f64::from(ratio));
        Self {
            zero_points: [input.zero_point, alpha.zero_point, output.zero_point],
            positive: multiplier(input.scale / output.scale),
            negative: multiplier(input.scale * alpha.scale / output.scale),
        }
    }

    /// Of one pair.
    pub fn apply<T: Quantized, A: Quantized>(&self, x: T, alpha: A) -> T {
        let (x, alpha): (i32, i32) = (x.into(), alpha.into());
        let x = x - self.zero_points[0];
        let scaled = if x >= 0 {
            self.positive.apply(x)
        } else {
            self.negative.apply(x * (alpha - self.zero_points[1]))
        };
        T::saturated(scaled.saturating_add(self.zero_points[2]))
    }
}

/// DIV (`reference/div.h`): by the divisor's reciprocal in fixed point. A divisor of 0, which the
/// built-in kernel does not check for, gives a number without meaning.
#[derive(Clone, Copy, Debug)]
pub struct Div {
    zero_points: [i32; 3],
    multiplier: FixedMultiplier,
    bounds: [i32; 2],
}

impl Div {
    /// For operands and output of these scales, clamped to `bounds`.
    pub fn new(first: Affine, second: Affine, output: Affine, bounds: [i32; 2]) -> Self {
        let ratio = first.scale / (second.scale * output.scale);
        Self {
            zero_points: [first.zero_point, second.zero_point, output.zero_point],
            multiplier: FixedMultiplier::new(f64::from(ratio)),
            bounds,
        }
    }

    /// Of one pair.
    pub fn apply<T: Quantized>(&self, a: T, b: T) -> T {
        let (a, b): (i32, i32) = (a.into(), b.into());
        let (mut a, mut b) = (a - self.zero_points[0], b - self.zero_points[1]);
        if b < 0 {
            (a, b) = (-a, -b);
        }
        let inverse = FixedMultiplier::reciprocal(b);
        // Bits that are free to the left of `a`.
        let headroom = if a >= 0 { a.leading_zeros() } else { (!a).leading_zeros() } as i32 - 1;
        let quotient = FixedMultiplier { shift: headroom, ..inverse }.apply(a);
        let shift = self.multiplier.shift + inverse.shift - headroom;
        let scaled = FixedMultiplier { shift, ..self.multiplier }.apply_any_shift(quotient);
        let [min, max] = self.bounds;
        T::from_i32(scaled.saturating_add(self.zero_points[2]).max(min).min(max))
    }
}

/// `out = f(first, second)` with broadcasting.
pub fn apply<T: Quantized>(
    first: Operand<T>,
    second: Operand<T>,
    out: &mut [T],
    f: impl Fn(T, T) -> T,
) {
    binary(first, second, out, f);
}
