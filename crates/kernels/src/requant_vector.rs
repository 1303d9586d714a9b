//! Four accumulators at a time: the vector form of [`requantise`](crate::requant::requantise).

use crate::requant::Requantize;
use crate::simd::Simd;

/// 1.5 * 2^23. Adding it to a float below 2^22 leaves the float rounded to nearest, ties to even,
/// in the low bits of the sum. Converting by truncation costs V8 four instructions more.
const MAGIC: f32 = 12_582_912.0;

/// The constants of one requantisation, in registers.
#[derive(Clone, Copy)]
pub struct VectorRequantize<S: Simd> {
    min: S::V,
    max: S::V,
    magic: S::V,
    offset: S::V,
}

impl<S: Simd> VectorRequantize<S> {
    /// For `requant`'s zero point and bounds; the scales come with each call of
    /// [`Self::apply`].
    #[inline(always)]
    pub fn new(requant: &Requantize) -> Self {
        let Requantize { zero_point, min, max, .. } = *requant;
        Self {
            // Bounds are integers, so that clamping before rounding is the same as after.
            min: S::f32x4_splat((min - zero_point) as f32),
            max: S::f32x4_splat((max - zero_point) as f32),
            magic: S::f32x4_splat(MAGIC),
            offset: S::i32x4_splat(MAGIC.to_bits() as i32 - zero_point),
        }
    }

    /// Quantised values in 32-bit lanes, within the bounds.
    #[inline(always)]
    pub fn apply(&self, accumulators: S::V, scale: S::V) -> S::V {
        self.apply_f32(S::f32x4_mul(S::f32x4_convert_i32x4(accumulators), scale))
    }

    /// The same for accumulators that are scaled already.
    #[inline(always)]
    pub fn apply_f32(&self, scaled: S::V) -> S::V {
        let clamped = S::f32x4_pmin(S::f32x4_pmax(scaled, self.min), self.max);
        S::i32x4_sub(S::f32x4_add(clamped, self.magic), self.offset)
    }
}
