//! Float operators of one operand: LOGISTIC, RELU, HARD_SWISH, TANH and the like.
//!
//! Written without branches and calls where that is possible, so that the compiler makes vectors
//! of the loops. (8-bit tensors go through a [`table`](crate::table).)

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
        Unary::Elu => map(input, out, |x| if x < 0.0 { exp_m1(x) } else { x }),
        Unary::Exp => map(input, out, exp),
        Unary::Floor => map(input, out, f32::floor),
        Unary::Gelu { approximate: false } => {
            // By erfc, which keeps its digits where 1 + erf cancels.
            map(input, out, |x| 0.5 * x * libm::erfcf(x * -core::f32::consts::FRAC_1_SQRT_2))
        }
        Unary::Gelu { approximate: true } => {
            const SQRT_2_BY_PI: f32 = 0.797_884_6;
            map(input, out, |x| {
                0.5 * x * (1.0 + tanh(SQRT_2_BY_PI * x * (1.0 + 0.044_715 * x * x)))
            })
        }
        Unary::HardSwish => {
            map(input, out, |x| x * (1.0 / 6.0) * clamp(x + 3.0, [0.0, 6.0]));
        }
        Unary::LeakyRelu { alpha } => map(input, out, |x| if x < 0.0 { alpha * x } else { x }),
        Unary::Log => map(input, out, libm::logf),
        Unary::Logistic => map(input, out, logistic),
        Unary::Neg => map(input, out, |x| -x),
        Unary::Relu => map(input, out, |x| clamp(x, [0.0, f32::INFINITY])),
        Unary::Relu6 => map(input, out, |x| clamp(x, [0.0, 6.0])),
        Unary::Relu0To1 => map(input, out, |x| clamp(x, [0.0, 1.0])),
        Unary::ReluN1To1 => map(input, out, |x| clamp(x, [-1.0, 1.0])),
        Unary::Round => map(input, out, f32::round_ties_even),
        Unary::Rsqrt => map(input, out, |x| 1.0 / x.sqrt()),
        Unary::Sign => map(input, out, |x| if x == 0.0 { 0.0 } else { 1f32.copysign(x) }),
        Unary::Sin => map(input, out, libm::sinf),
        Unary::Sqrt => map(input, out, f32::sqrt),
        Unary::Square => map(input, out, |x| x * x),
        Unary::Tanh => map(input, out, tanh),
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

/// 1.5 * 2^23: adding and taking it away again rounds to an integer.
const MAGIC: f32 = 12_582_912.0;
/// ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// `e^x` is taken as 0 below, where a float would lose digits, and as infinite above.
const EXP_RANGE: [f32; 2] = [-86.9, 88.722_83];

/// `e^r - 1 - r` over `r^2`, for `|r| <= ln 2 / 2` (the minimax polynomial of Cephes' `expf`).
#[inline]
fn exp_tail(r: f32) -> f32 {
    const C: [f32; 6] =
        [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
    ((((C[0] * r + C[1]) * r + C[2]) * r + C[3]) * r + C[4]) * r + C[5]
}

/// `e^x` with a relative error of some 1e-7, for `x` within [`EXP_RANGE`].
#[inline]
fn exp_inside(x: f32) -> f32 {
    let shifted = x * core::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let digits = exp_tail(r) * r * r + r + 1.0;
    // Half of 2^n, as 2^128 has no float.
    let exponent = shifted.to_bits().wrapping_sub(MAGIC.to_bits() - 126);
    digits * f32::from_bits(exponent << 23) * 2.0
}

/// `e^x`; 0 below -86.9.
#[inline]
pub fn exp(x: f32) -> f32 {
    let value = exp_inside(clamp(x, EXP_RANGE));
    let value = if x < EXP_RANGE[0] { 0.0 } else { value };
    if x > EXP_RANGE[1] { f32::INFINITY } else { value }
}

/// `e^x - 1` without cancellation near 0.
#[inline]
fn exp_m1(x: f32) -> f32 {
    let small = exp_tail(x) * x * x + x;
    if x.abs() < 0.34 { small } else { exp(x) - 1.0 }
}

/// `1 / (1 + e^-x)`.
#[inline]
pub fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp_inside(clamp(-x, EXP_RANGE)))
}

/// Hyperbolic tangent: an odd polynomial (Cephes' `tanhf`) near 0, else by [`exp`].
#[inline]
fn tanh(x: f32) -> f32 {
    const C: [f32; 5] = [-5.704_989e-3, 2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8];
    let z = x * x;
    let small = ((((C[0] * z + C[1]) * z + C[2]) * z + C[3]) * z + C[4]) * z * x + x;
    let large = (1.0 - 2.0 / (exp_inside(clamp(2.0 * x.abs(), EXP_RANGE)) + 1.0)).copysign(x);
    if x.abs() < 0.625 { small } else { large }
}
