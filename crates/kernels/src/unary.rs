//! Float operators of one operand: LOGISTIC, RELU, HARD_SWISH, TANH and the like.
//!
//! Powers and what is made of them are in [`math`](crate::math); the rest is written without branches
//! and calls where that is possible, so that the compiler makes vectors of the loops. (8-bit tensors go
//! through a [`table`](crate::table).)

use crate::math::{self, Function};
use crate::simd::Native;

/// An operator of one operand, with its attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `|x|`.
    Abs,
    /// The least integer that is not below `x`.
    Ceil,
    /// Cosine.
    Cos,
    /// `x` where positive, else `exp(x) - 1`.
    Elu,
    /// `e^x`.
    Exp,
    /// The greatest integer that is not above `x`.
    Floor,
    /// `x / 2 * (1 + erf(x / sqrt 2))`, or its approximation by tanh.
    Gelu {
        /// By tanh.
        approximate: bool,
    },
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// Natural logarithm.
    Log,
    /// `1 / (1 + e^-x)`.
    Logistic,
    /// `-x`.
    Neg,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, 0), 1)`.
    Relu0To1,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
    /// The nearest integer, ties to even.
    Round,
    /// `1 / sqrt x`.
    Rsqrt,
    /// -1, 0 or 1.
    Sign,
    /// `x / (1 + e^-x)`.
    Silu,
    /// Sine.
    Sin,
    /// Square root.
    Sqrt,
    /// `x * x`.
    Square,
    /// Hyperbolic tangent.
    Tanh,
}

/// `out = operator(input)`, element by element.
pub fn unary_f32(operator: Unary, input: &[f32], out: &mut [f32]) {
    match operator {
        Unary::Abs => map(input, out, f32::abs),
        Unary::Ceil => map(input, out, f32::ceil),
        Unary::Cos => map(input, out, libm::cosf),
        Unary::Elu => lanes(math::Elu, input, out),
        Unary::Exp => lanes(math::Exp, input, out),
        Unary::Floor => map(input, out, f32::floor),
        Unary::Gelu { approximate: false } => lanes(math::Gelu, input, out),
        Unary::Gelu { approximate: true } => lanes(math::GeluByTanh, input, out),
        Unary::HardSwish => {
            map(input, out, |x| x * (1.0 / 6.0) * clamp(x + 3.0, [0.0, 6.0]));
        }
        Unary::LeakyRelu { alpha } => map(input, out, |x| if x < 0.0 { alpha * x } else { x }),
        Unary::Log => map(input, out, libm::logf),
        Unary::Logistic => lanes(math::Logistic, input, out),
        Unary::Neg => map(input, out, |x| -x),
        Unary::Relu => map(input, out, |x| clamp(x, [0.0, f32::INFINITY])),
        Unary::Relu6 => map(input, out, |x| clamp(x, [0.0, 6.0])),
        Unary::Relu0To1 => map(input, out, |x| clamp(x, [0.0, 1.0])),
        Unary::ReluN1To1 => map(input, out, |x| clamp(x, [-1.0, 1.0])),
        Unary::Round => map(input, out, f32::round_ties_even),
        Unary::Rsqrt => map(input, out, |x| 1.0 / x.sqrt()),
        Unary::Sign => map(input, out, |x| if x == 0.0 { 0.0 } else { 1f32.copysign(x) }),
        Unary::Silu => lanes(math::Silu, input, out),
        Unary::Sin => map(input, out, libm::sinf),
        Unary::Sqrt => map(input, out, f32::sqrt),
        Unary::Square => map(input, out, |x| x * x),
        Unary::Tanh => lanes(math::Tanh, input, out),
    }
}

/// Integers that index and shape arithmetic uses.
pub trait Integer: Copy + Default + bytemuck::Pod {
    /// The operator, wrapping on overflow; `None` for one that integers lack.
    fn apply(operator: Unary, x: Self) -> Option<Self>;
}

macro_rules! integer {
    ($type:ty) => {
        impl Integer for $type {
            fn apply(operator: Unary, x: $type) -> Option<$type> {
                Some(match operator {
                    Unary::Abs => x.wrapping_abs(),
                    Unary::Neg => x.wrapping_neg(),
                    Unary::Sign => x.signum(),
                    Unary::Square => x.wrapping_mul(x),
                    Unary::Relu => x.max(0),
                    _ => return None,
                })
            }
        }
    };
}
integer!(i32);
integer!(i64);

/// `out = operator(input)` for an operator that integers have.
pub fn unary_integer<T: Integer>(operator: Unary, input: &[T], out: &mut [T]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = T::apply(operator, x).unwrap_or(x);
    }
}

/// [`math::map`] by the level of this build.
#[inline(never)]
fn lanes(f: impl Function, input: &[f32], out: &mut [f32]) {
    math::map::<Native, _>(f, input, out);
}

#[inline]
fn map(input: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = f(x);
    }
}

/// `x` within the bounds; NaN stays. Unlike `f32::clamp` it takes bounds in any order, and becomes
/// two vector instructions.
#[inline]
pub fn clamp(x: f32, [low, high]: [f32; 2]) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// [`clamp`] of each element, where the bounds are any at all. With relaxed SIMD NaN becomes a bound:
/// LLVM makes the two comparisons `relaxed_max` and `relaxed_min`, which on x86 give their second
/// operand. So what has no bounds must not be compared.
pub fn clamp_all(out: &mut [f32], activation: [f32; 2]) {
    if activation != [f32::NEG_INFINITY, f32::INFINITY] {
        for x in out {
            *x = clamp(*x, activation);
        }
    }
}
