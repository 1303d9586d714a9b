//! The only place that rounds: from real numbers to quantised ones, and from one scale to another.
//!
//! Two families live here, because TensorFlow Lite has two. What its XNNPACK delegate takes
//! (convolutions, fully connected, ADD, MUL, MEAN, LOGISTIC, QUANTIZE from float...) requantises in
//! f32 with ties to even, or in fixed point of a few bits: that is this file. What is left to the
//! built-in kernels (AVERAGE_POOL_2D, SOFTMAX, RELU, HARD_SWISH, a QUANTIZE from uint8 to int8...)
//! is in [`builtin`], most of it gemmlowp's fixed point.

pub mod builtin;
pub mod dynamic;

use builtin::{FixedMultiplier, FixedScale};

/// A quantised element. Sealed: `i8`, `u8` and `i16`.
pub trait Quantized:
    Copy + Default + PartialEq + core::fmt::Debug + Into<i32> + sealed::Sealed
{
    /// Least value.
    const MIN: i32;
    /// Greatest value.
    const MAX: i32;

    /// The element of this value, which must lie in `MIN..=MAX`: higher bits are dropped.
    fn from_i32(value: i32) -> Self;

    /// The element nearest to this value.
    #[inline]
    fn saturated(value: i32) -> Self {
        Self::from_i32(value.clamp(Self::MIN, Self::MAX))
    }
}

impl Quantized for i8 {
    const MIN: i32 = -128;
    const MAX: i32 = 127;

    #[inline]
    fn from_i32(value: i32) -> i8 {
        value as i8
    }
}

impl Quantized for u8 {
    const MIN: i32 = 0;
    const MAX: i32 = 255;

    #[inline]
    fn from_i32(value: i32) -> u8 {
        value as u8
    }
}

impl Quantized for i16 {
    const MIN: i32 = -32768;
    const MAX: i32 = 32767;

    #[inline]
    fn from_i32(value: i32) -> i16 {
        value as i16
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
    impl Sealed for i16 {}
}

/// How 32-bit accumulators become 8-bit outputs: see [`requantise`].
#[derive(Clone, Copy, Debug)]
pub struct Requantize<'a> {
    /// `input scale * weight scale / output scale`, in f32 and in this order: one for all output
    /// channels, or one each.
    pub scale: &'a [f32],
    /// The same for the built-in kernels, in whose place XNNPACK's requantisation is not taken.
    pub fixed: Option<FixedScale<'a>>,
    /// The output's zero point.
    pub zero_point: i32,
    /// Least output: the type's, or that of a fused activation.
    pub min: i32,
    /// Greatest output.
    pub max: i32,
}

impl Requantize<'_> {
    /// The scale of an output channel.
    #[inline]
    pub fn scale_of(&self, channel: usize) -> f32 {
        if self.scale.len() == 1 { self.scale[0] } else { self.scale[channel] }
    }

    /// [`requantise`] for an output channel, or [`FixedScale::apply`].
    #[inline]
    pub fn apply(&self, accumulator: i32, channel: usize) -> i32 {
        let Some(fixed) = &self.fixed else {
            let scale = self.scale_of(channel);
            return requantise(accumulator, scale, self.zero_point, self.min, self.max);
        };
        let scaled = fixed.apply(accumulator, channel);
        scaled.saturating_add(self.zero_point).max(self.min).min(self.max)
    }
}

/// `round_ties_even(accumulator as f32 * scale) + zero_point`, clamped to `min..=max`.
///
/// This is XNNPACK's `fp32` requantisation (its `qs8-requantization` and the epilogues of its
/// `qs8-gemm`, `qs8-dwconv` and `qu8` kernels): the accumulator is rounded to f32 first, the
/// product is rounded to f32, and ties go to even. Products beyond i32 saturate.
#[inline]
pub fn requantise(accumulator: i32, scale: f32, zero_point: i32, min: i32, max: i32) -> i32 {
    let scaled = (accumulator as f32 * scale).round_ties_even() as i32;
    scaled.saturating_add(zero_point).clamp(min, max)
}

/// 1.5 * 2^23. Added to a float below 2^22 it leaves in the low bits of the sum the float rounded
/// to nearest, ties to even.
const MAGIC: f32 = 12_582_912.0;

/// `round_ties_even(x) + zero_point`, clamped, as [`requantise`] ends, in a form that compilers
/// turn into vectors. Bounds and zero point are those of a quantised type. NaN becomes `min`.
#[inline]
pub fn round_clamped(x: f32, zero_point: i32, [min, max]: [i32; 2]) -> i32 {
    // Bounds are integers, so clamping before rounding is the same as after.
    let (low, high) = ((min - zero_point) as f32, (max - zero_point) as f32);
    let x = if x > low { x } else { low };
    let x = if x < high { x } else { high };
    (x + MAGIC).to_bits() as i32 - (MAGIC.to_bits() as i32 - zero_point)
}

/// Scale and zero point of a tensor that is quantised as a whole:
/// `real = scale * (element - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Distance between neighbouring values.
    pub scale: f32,
    /// The element that stands for 0.0.
    pub zero_point: i32,
}

impl Affine {
    /// `(element - zero_point) as f32 * scale`: XNNPACK's `qs8-f32-vcvt`, DEQUANTIZE.
    #[inline]
    pub fn dequantise(self, element: i32) -> f32 {
        (element - self.zero_point) as f32 * self.scale
    }

    /// `round_ties_even(x * (1.0 / scale)) + zero_point`, saturated to the type of `T`: XNNPACK's
    /// `f32-qs8-vcvt`, QUANTIZE from float. Not a number becomes the zero point.
    #[inline]
    pub fn quantise<T: Quantized>(self, x: f32) -> T {
        let rounded = (x * (1.0 / self.scale)).round_ties_even() as i32;
        T::saturated(rounded.saturating_add(self.zero_point))
    }

    /// `round_ties_even(x * (1.0 / scale) + zero_point)`, saturated: the entry of a table for a
    /// unary operator. The zero point is added before rounding, as in XNNPACK's
    /// `reference/unary-elementwise.cc`, from which it fills the tables of 8-bit unary operators.
    #[inline]
    pub fn table_entry<T: Quantized>(self, x: f32) -> T {
        let value = x * (1.0 / self.scale) + self.zero_point as f32;
        T::saturated(value.round_ties_even() as i32)
    }

    /// The elements at which a fused activation clamps, for the operators of this file:
    /// `round_ties_even(bound / scale + zero_point)`, saturated (XNNPACK's `requantization.h`).
    pub fn activation_bounds<T: Quantized>(self, [low, high]: [f32; 2]) -> [i32; 2] {
        [low, high].map(|bound| {
            let value = bound / self.scale + self.zero_point as f32;
            value.clamp(T::MIN as f32, T::MAX as f32).round_ties_even() as i32
        })
    }
}

/// From one 8-bit scale to another of the same type: QUANTIZE as XNNPACK's `qs8-vcvt` does it.
///
/// The ratio of the scales is kept in 1/256: `multiplier = round_ties_even(256 * from / to)`, and
/// the result is `((element - from zero) * multiplier + 128) >> 8`, plus `to` zero, saturated.
#[derive(Clone, Copy, Debug)]
pub struct Rescale {
    multiplier: i32,
    from_zero: i32,
    to_zero: i32,
}

impl Rescale {
    /// `None` where the ratio of the scales is outside `1/256..=128`: XNNPACK declines these, and
    /// [`FixedMultiplier`] has to serve.
    pub fn new(from: Affine, to: Affine) -> Option<Rescale> {
        let ratio = from.scale / to.scale;
        (1.0 / 256.0..=128.0).contains(&ratio).then(|| Rescale {
            multiplier: (256.0 * ratio).round_ties_even() as i32,
            from_zero: from.zero_point,
            to_zero: to.zero_point,
        })
    }

    /// The rescaled element.
    #[inline]
    pub fn apply<T: Quantized>(self, element: i32) -> T {
        T::saturated((((element - self.from_zero) * self.multiplier + 128) >> 8) + self.to_zero)
    }
}

/// The arithmetic of quantised ADD and SUB: see [`AddRequantize::apply`].
#[derive(Clone, Copy, Debug)]
pub enum AddRequantize {
    /// XNNPACK's `qs8-vadd`: `(bias + a * first + b * second) >> shift`, plus the zero point.
    Shift {
        /// Multiplier of the first operand: `first scale / output scale * 2^shift`, 21 bits.
        first: i32,
        /// Multiplier of the second operand; negative for SUB.
        second: i32,
        /// Takes out both zero points and rounds: half a unit upwards.
        bias: i32,
        /// Bits; 12 to 30.
        shift: u32,
        /// The output's zero point.
        zero_point: i32,
    },
    /// The built-in kernel (`integer_ops/add.h`), for scales too far apart for XNNPACK: operands
    /// are shifted left by 20 bits, brought to twice the larger scale, summed, and brought to the
    /// output's.
    Builtin {
        /// Zero points of the operands and of the output.
        zero_points: [i32; 3],
        /// Multipliers of the operands; the second is negative for SUB.
        operands: [FixedMultiplier; 2],
        /// Multiplier of the sum.
        sum: FixedMultiplier,
        /// Whether the second operand is subtracted.
        subtract: bool,
        /// Bits that operands are shifted to the left.
        left_shift: u32,
    },
}

/// Bits that the built-in ADD shifts 8-bit operands to the left.
const ADD_LEFT_SHIFT: u32 = 20;
/// The same for 16-bit operands.
const ADD_LEFT_SHIFT_WIDE: u32 = 15;

impl AddRequantize {
    /// For `first + second`, or `first - second`.
    ///
    /// XNNPACK's terms: the larger of the two ratios `operand scale / output scale` becomes a
    /// multiplier of 21 bits, rounded to nearest, ties to even; the other shares its shift. It
    /// takes ratios in `2^-10..2^8` only.
    pub fn new(first: Affine, second: Affine, output: Affine, subtract: bool) -> AddRequantize {
        let ratios = [first.scale / output.scale, second.scale / output.scale];
        let taken = |ratio: &f32| (1.0 / 1024.0..256.0).contains(ratio);
        if !ratios.iter().all(taken) {
            return Self::builtin(first, second, output, subtract, ADD_LEFT_SHIFT);
        }
        let exponent = (ratios[0].max(ratios[1]).to_bits() >> 23) as i32 - 127;
        let shift = (20 - exponent) as u32;
        // A power of two: the product is exact, only the conversion rounds.
        let multiplier = |ratio: f32| (ratio * (1u32 << shift) as f32).round_ties_even() as i32;
        let (a, b) = (multiplier(ratios[0]), multiplier(ratios[1]));
        let b = if subtract { -b } else { b };
        AddRequantize::Shift {
            first: a,
            second: b,
            bias: (1 << (shift - 1)) - a * first.zero_point - b * second.zero_point,
            shift,
            zero_point: output.zero_point,
        }
    }

    /// For 16-bit elements, which only the built-in kernel takes.
    pub fn wide(first: Affine, second: Affine, output: Affine, subtract: bool) -> AddRequantize {
        Self::builtin(first, second, output, subtract, ADD_LEFT_SHIFT_WIDE)
    }

    fn builtin(
        first: Affine,
        second: Affine,
        output: Affine,
        subtract: bool,
        left_shift: u32,
    ) -> AddRequantize {
        let twice = f64::from(2.0 * first.scale.max(second.scale));
        let of = |scale: f32| FixedMultiplier::new(f64::from(scale) / twice);
        let unit = f64::from(1u32 << left_shift);
        AddRequantize::Builtin {
            zero_points: [first.zero_point, second.zero_point, output.zero_point],
            operands: [of(first.scale), of(second.scale)],
            sum: FixedMultiplier::new(twice / (unit * f64::from(output.scale))),
            subtract,
            left_shift,
        }
    }

    /// The sum (or difference) of two elements, before clamping to the bounds.
    #[inline]
    pub fn apply(&self, a: i32, b: i32) -> i32 {
        match *self {
            AddRequantize::Shift { first, second, bias, shift, zero_point } => {
                ((bias + a * first + b * second) >> shift) + zero_point
            }
            AddRequantize::Builtin { zero_points, operands, sum, subtract, left_shift } => {
                let a = operands[0].apply((a - zero_points[0]) << left_shift);
                let b = operands[1].apply((b - zero_points[1]) << left_shift);
                let total = if subtract { a.wrapping_sub(b) } else { a.wrapping_add(b) };
                sum.apply(total).saturating_add(zero_points[2])
            }
        }
    }
}

/// The arithmetic of quantised MUL: see [`MulRequantize::apply`].
#[derive(Clone, Copy, Debug)]
pub enum MulRequantize {
    /// XNNPACK's `qs8-vmul` (fp32): the product of the two differences through [`requantise`],
    /// with this scale, `first scale * second scale / output scale`.
    Float(f32),
    /// The built-in kernel (`integer_ops/mul.h`), where that scale is outside `2^-16..2^8`.
    Builtin(FixedMultiplier),
}

impl MulRequantize {
    /// For tensors of these scales.
    pub fn new(first: Affine, second: Affine, output: Affine) -> MulRequantize {
        let scale = first.scale * second.scale / output.scale;
        if (1.0 / 65536.0..256.0).contains(&scale) {
            MulRequantize::Float(scale)
        } else {
            MulRequantize::Builtin(FixedMultiplier::new(f64::from(scale)))
        }
    }

    /// The product of two elements less their zero points, requantised and clamped.
    #[inline]
    pub fn apply(&self, product: i32, zero_point: i32, [min, max]: [i32; 2]) -> i32 {
        match self {
            MulRequantize::Float(scale) => requantise(product, *scale, zero_point, min, max),
            MulRequantize::Builtin(multiplier) => {
                multiplier.apply(product).saturating_add(zero_point).clamp(min, max)
            }
        }
    }
}

/// From the sum of raw elements to their quantised mean or sum: MEAN and SUM as XNNPACK's
/// `reduce-nd.c` has them.
///
/// `round_ties_even(sum as f32 * scale + offset)`, saturated. For a mean over `n` elements,
/// `scale = input scale / output scale * (1.0 / n)`; for a sum without the last factor;
/// `offset = output zero - (n * input zero) * scale`. Each step rounds to f32.
#[derive(Clone, Copy, Debug)]
pub struct ReduceRequantize {
    scale: f32,
    offset: f32,
}

impl ReduceRequantize {
    /// For the mean of `count` elements.
    pub fn mean(input: Affine, output: Affine, count: usize) -> ReduceRequantize {
        Self::new(input, output, count, 1.0 / count as f32)
    }

    /// For the sum of `count` elements.
    pub fn sum(input: Affine, output: Affine, count: usize) -> ReduceRequantize {
        Self::new(input, output, count, 1.0)
    }

    fn new(input: Affine, output: Affine, count: usize, factor: f32) -> ReduceRequantize {
        let scale = input.scale / output.scale * factor;
        let zeros = count as f32 * input.zero_point as f32;
        ReduceRequantize { scale, offset: output.zero_point as f32 - zeros * scale }
    }

    /// The quantised mean or sum of elements that add up to `sum`.
    #[inline]
    pub fn apply<T: Quantized>(self, sum: i32) -> T {
        T::saturated((sum as f32 * self.scale + self.offset).round_ties_even() as i32)
    }
}
