//! Functions of float32 that take four lanes at a time: powers of e and what is made of them.
//!
//! Each reduces its argument to `n * ln 2 + r`, `|r| <= ln 2 / 2`, and has `e^r` by a polynomial that
//! was fitted (minimax, iteratively reweighted least squares). NaN stays NaN, which bounds do not see
//! to: LLVM makes them relaxed ones. The errors against f64 are in `tests/math.rs`.
//!
//! Constants are loaded where they are used: V8 makes those that it sees of immediate operands, which
//! takes four instructions each when registers run out.

use crate::simd::Simd;

/// What the functions are made of.
pub struct Constants {
    one: f32,
    /// Powers of what is less are 0.
    least: f32,
    /// Powers of what is more are infinite, or nearly.
    greatest: f32,
    half: f32,
    log2_e: f32,
    /// 1.5 * 2^23 and the bias of exponents: what is added to it is rounded to an integer, and its
    /// low bits are the exponent of a power of 2.
    magic: f32,
    /// -ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
    minus_ln_2: [f32; 2],
    /// `(e^r - 1 - r) / r^2`, highest power first.
    exp_tail: [f32; 5],
    /// `erfc(u / sqrt 2) * e^(u^2 / 2) / 2` as a quotient, each highest power first.
    erfc: ([f32; 5], [f32; 6]),
    /// `2 * sqrt(2 / pi)` times 0.044715, and alone.
    gelu_by_tanh: [f32; 2],
}

static CONSTANTS: Constants = Constants {
    one: 1.0,
    least: -128.0,
    greatest: 88.0,
    half: 0.5,
    log2_e: core::f32::consts::LOG2_E,
    magic: 12_582_912.0 + 127.0,
    minus_ln_2: [-0.693_359_4, 2.121_944_4e-4],
    exp_tail: [1.394_136_3e-3, 8.363_318e-3, 4.166_637_4e-2, 0.166_665_76, 0.5],
    erfc: (
        [4.077_596_6e-3, 4.037_246e-2, 0.182_461_54, 0.437_250_52, 0.5],
        [1.022_089_1e-2, 0.101_205_59, 0.467_428_36, 1.199_289_6, 1.672_386, 1.0],
    ),
    gelu_by_tanh: [7.135_481_6e-2, 1.595_769_2],
};

/// The bits of [`Constants::magic`] less the bias.
const MAGIC_BITS: i32 = 0x4b40_0000;

impl Constants {
    /// The constants, of which the compiler does not know what they are.
    #[inline(always)]
    pub fn get() -> &'static Constants {
        core::hint::black_box(&CONSTANTS)
    }
}

/// A function of one float.
pub trait Function: Copy {
    /// Of four lanes.
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V;
}

/// Floats of a step of [`map`].
const LANES: usize = 4;

/// `out = f(input)`, element by element.
#[inline(always)]
pub fn map<S: Simd, F: Function>(f: F, input: &[f32], out: &mut [f32]) {
    let ((blocks, rest), (out_blocks, out_rest)) =
        (input.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
    let c = Constants::get();
    for (x, out) in blocks.iter().zip(out_blocks) {
        // SAFETY: four elements each.
        unsafe { S::store(out, f.lanes::<S>(c, S::load(x))) };
    }
    if !rest.is_empty() {
        let mut few = [0f32; LANES];
        few[..rest.len()].copy_from_slice(rest);
        // SAFETY: four elements.
        unsafe { S::store(&mut few, f.lanes::<S>(c, S::load(&few))) };
        out_rest.copy_from_slice(&few[..rest.len()]);
    }
}

#[inline(always)]
fn splat<S: Simd>(constant: &f32) -> S::V {
    // SAFETY: four bytes.
    unsafe { S::load32_splat(constant) }
}

/// A polynomial, highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(x: S::V, coefficients: &[f32; N]) -> S::V {
    let (first, rest) = coefficients.split_first().expect("a polynomial has a coefficient");
    rest.iter().fold(splat::<S>(first), |sum, c| S::f32x4_madd(sum, x, splat::<S>(c)))
}

/// `x` as `n * ln 2 + r`: `n + 127` in the low bits over [`MAGIC_BITS`], and `r`.
#[inline(always)]
fn reduce<S: Simd>(c: &Constants, x: S::V) -> [S::V; 2] {
    let magic = splat::<S>(&c.magic);
    let shifted = S::f32x4_madd(x, splat::<S>(&c.log2_e), magic);
    let n = S::f32x4_sub(shifted, magic);
    let r = S::f32x4_madd(n, splat::<S>(&c.minus_ln_2[0]), x);
    [shifted, S::f32x4_madd(n, splat::<S>(&c.minus_ln_2[1]), r)]
}

/// `e^r - 1`.
#[inline(always)]
fn digits<S: Simd>(c: &Constants, r: S::V) -> S::V {
    let tail = polynomial::<S, 5>(r, &c.exp_tail);
    S::f32x4_madd(S::f32x4_mul(tail, r), r, r)
}

/// `e^x` for `x` from -2^20 to 88; 0 where a float would lose digits, below -87.3.
#[inline(always)]
pub fn exp_flushed<S: Simd>(c: &Constants, x: S::V) -> S::V {
    let [shifted, r] = reduce::<S>(c, x);
    let power = S::i32x4_shl(S::i32x4_max(shifted, S::i32x4_splat(MAGIC_BITS)), 23);
    S::f32x4_madd(power, digits::<S>(c, r), power)
}

/// `e^x - 1` for `x` from -87 to 88, without cancellation near 0.
#[inline(always)]
fn exp_m1<S: Simd>(c: &Constants, x: S::V) -> S::V {
    let [shifted, r] = reduce::<S>(c, x);
    let power = S::i32x4_shl(shifted, 23);
    S::f32x4_madd(power, digits::<S>(c, r), S::f32x4_sub(power, splat::<S>(&c.one)))
}

#[inline(always)]
fn abs<S: Simd>(x: S::V) -> S::V {
    S::and(x, S::i32x4_splat(i32::MAX))
}

/// `x` with the sign of `sign`; `x` has none of its own.
#[inline(always)]
fn with_sign<S: Simd>(x: S::V, sign: S::V) -> S::V {
    S::or(x, S::and(sign, S::i32x4_splat(i32::MIN)))
}

/// `value`, or NaN where `x` is.
#[inline(always)]
fn unless_nan<S: Simd>(x: S::V, value: S::V) -> S::V {
    S::or(value, S::f32x4_ne(x, x))
}

/// `value`, or NaN where `x` is negative infinity, which is multiplied by 0.
#[inline(always)]
fn unless_infinite<S: Simd>(x: S::V, value: S::V) -> S::V {
    S::or(value, S::f32x4_lt(x, S::f32x4_splat(f32::MIN)))
}

/// `e^x`, down to the least denormal number.
#[derive(Clone, Copy)]
pub struct Exp;

impl Function for Exp {
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        const LOW: f32 = -86.0;
        // Beyond them all is 0, or infinite.
        let (low, high) = (S::f32x4_splat(-104.0), S::f32x4_splat(89.0));
        let bounded = S::f32x4_pmin(S::f32x4_pmax(x, low), high);
        let [shifted, r] = reduce::<S>(c, bounded);
        // Two factors: low powers are 2^64 too large first; 2^128 has no float, twice 2^127 does.
        let few = S::f32x4_lt(bounded, S::f32x4_splat(LOW));
        let more = S::and(few, S::i32x4_splat(64 << 23));
        let power = S::i32x4_add(S::i32x4_shl(shifted, 23), more);
        let power = S::i32x4_sub(power, S::i32x4_splat(1 << 23));
        let rest = S::i32x4_sub(S::f32x4_splat(2.0), more);
        let value = S::f32x4_mul(S::f32x4_madd(power, digits::<S>(c, r), power), rest);
        unless_nan::<S>(x, value)
    }
}

/// `1 / (1 + e^-x)`; 0 below -87.3.
#[derive(Clone, Copy)]
pub struct Logistic;

impl Function for Logistic {
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        // Of -|x|, so that no power is infinite.
        let below = S::or(x, S::i32x4_splat(i32::MIN));
        let power = exp_flushed::<S>(c, S::f32x4_pmax(below, splat::<S>(&c.least)));
        let one = splat::<S>(&c.one);
        let small = S::f32x4_div(power, S::f32x4_add(power, one));
        let negative = S::f32x4_lt(x, S::i32x4_splat(0));
        unless_nan::<S>(x, S::select(small, S::f32x4_sub(one, small), negative))
    }
}

/// `x / (1 + e^-x)`.
#[derive(Clone, Copy)]
pub struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        S::f32x4_mul(x, Logistic.lanes::<S>(c, x))
    }
}

/// Hyperbolic tangent.
#[derive(Clone, Copy)]
pub struct Tanh;

impl Function for Tanh {
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        // -(e^-2|x| - 1) / (e^-2|x| + 1), which is 1 beyond 9.01.
        let double = S::f32x4_mul(abs::<S>(x), S::f32x4_splat(-2.0));
        let power = exp_m1::<S>(c, S::f32x4_pmax(double, S::f32x4_splat(-20.0)));
        let ratio = S::f32x4_div(power, S::f32x4_add(power, S::f32x4_splat(2.0)));
        unless_nan::<S>(x, with_sign::<S>(abs::<S>(ratio), x))
    }
}

/// `x` where positive, else `e^x - 1`.
#[derive(Clone, Copy)]
pub struct Elu;

impl Function for Elu {
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        let zero = S::i32x4_splat(0);
        let bounded = S::f32x4_pmin(S::f32x4_pmax(x, S::f32x4_splat(-20.0)), zero);
        S::select(exp_m1::<S>(c, bounded), x, S::f32x4_lt(x, zero))
    }
}

/// `x / 2 * (1 + erf(x / sqrt 2))`.
#[derive(Clone, Copy)]
pub struct Gelu;

impl Function for Gelu {
    /// `max(x, 0) - |x| erfc(|x| / sqrt 2) / 2`, which keeps its digits where `1 + erf` cancels. The
    /// last factor is `e^(-x^2 / 2)` and a rational function (fitted as the polynomials, to 6e-9).
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        let (above, below) = &c.erfc;
        let u = S::f32x4_pmin(abs::<S>(x), S::f32x4_splat(16.0));
        // The square in two parts, of which the first is exact.
        let high = S::and(u, S::i32x4_splat(-1 << 12));
        let minus_half = S::xor(splat::<S>(&c.half), S::i32x4_splat(i32::MIN));
        let square = S::f32x4_mul(S::f32x4_mul(high, high), minus_half);
        let rest = S::f32x4_mul(S::f32x4_sub(u, high), S::f32x4_add(u, high));
        let [shifted, r] = reduce::<S>(c, square);
        let r = S::f32x4_add(r, S::f32x4_mul(rest, minus_half));
        let power = S::i32x4_shl(S::i32x4_max(shifted, S::i32x4_splat(MAGIC_BITS)), 23);
        let power = S::f32x4_madd(power, digits::<S>(c, r), power);
        let above = S::f32x4_mul(power, S::f32x4_mul(polynomial::<S, 5>(u, above), u));
        let tail = S::f32x4_div(above, polynomial::<S, 6>(u, below));
        unless_infinite::<S>(x, S::f32x4_sub(S::f32x4_pmax(x, S::i32x4_splat(0)), tail))
    }
}

/// [`Gelu`] by tanh, which is `x` times the logistic function of a polynomial.
#[derive(Clone, Copy)]
pub struct GeluByTanh;

impl Function for GeluByTanh {
    #[inline(always)]
    fn lanes<S: Simd>(self, c: &Constants, x: S::V) -> S::V {
        // Less is 0 in any case.
        let bounded = S::f32x4_pmax(x, S::f32x4_splat(-16.0));
        let inner = polynomial::<S, 2>(S::f32x4_mul(bounded, bounded), &c.gelu_by_tanh);
        let part = Logistic.lanes::<S>(c, S::f32x4_mul(inner, bounded));
        unless_infinite::<S>(x, unless_nan::<S>(x, S::f32x4_mul(bounded, part)))
    }
}

/// `e^(factor * (x - most))` of each `x`, which is at most `most`, and the sum of these.
#[inline(always)]
pub fn powers<S: Simd>([factor, most]: [f32; 2], input: &[f32], out: &mut [f32]) -> f32 {
    let c = Constants::get();
    let (most, factor) = (S::f32x4_splat(most), S::f32x4_splat(factor));
    let power = |x: S::V| {
        let x = S::f32x4_mul(S::f32x4_sub(x, most), factor);
        let bounded = S::f32x4_pmax(x, splat::<S>(&c.least));
        let bounded = S::f32x4_pmin(bounded, splat::<S>(&c.greatest));
        unless_nan::<S>(x, exp_flushed::<S>(c, bounded))
    };
    let ((blocks, rest), (out_blocks, out_rest)) =
        (input.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
    let mut sum = S::i32x4_splat(0);
    for (x, out) in blocks.iter().zip(out_blocks) {
        // SAFETY: four elements each.
        unsafe {
            let power = power(S::load(x));
            sum = S::f32x4_add(sum, power);
            S::store(out, power);
        }
    }
    let mut sums = [0f32; LANES];
    // SAFETY: four elements.
    unsafe { S::store(&mut sums, sum) };
    if !rest.is_empty() {
        let mut few = [0f32; LANES];
        few[..rest.len()].copy_from_slice(rest);
        // SAFETY: four elements.
        unsafe { S::store(&mut few, power(S::load(&few))) };
        out_rest.copy_from_slice(&few[..rest.len()]);
        for (sum, power) in sums.iter_mut().zip(&*out_rest) {
            *sum += power;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}
