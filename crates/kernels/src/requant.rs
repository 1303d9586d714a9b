//! The only place that rounds: from real numbers to quantised ones, and from one scale to another.
//!
//! Two families live here, because TensorFlow Lite has two. What its XNNPACK delegate computes
//! (convolutions, fully connected, element-wise, pooling over windows) requantises in f32 with
//! ties to even, or in fixed point of a few bits; what the built-in kernels compute goes through
//! [`FixedMultiplier`], gemmlowp's 31-bit fixed point.

/// An 8-bit quantised element. Sealed: `i8` and `u8`.
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

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
}

/// How 32-bit accumulators become 8-bit outputs: see [`requantise`].
#[derive(Clone, Copy, Debug)]
pub struct Requantize<'a> {
    /// `input scale * weight scale / output scale`, in f32 and in this order: one for all output
    /// channels, or one each.
    pub scale: &'a [f32],
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

    /// [`requantise`] for an output channel.
    #[inline]
    pub fn apply(&self, accumulator: i32, channel: usize) -> i32 {
        requantise(accumulator, self.scale_of(channel), self.zero_point, self.min, self.max)
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
