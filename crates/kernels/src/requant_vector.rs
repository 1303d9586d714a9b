//! Four accumulators at a time: the vector form of [`requantise`](crate::requant::requantise).

use core::hint::black_box;

use crate::aligned::AlignedVec;
use crate::requant::Requantize;
use crate::requant::builtin::MOST_SHIFT;
use crate::simd::{Element, Simd};

/// 1.5 * 2^23. Adding it to a float below 2^22 leaves the float rounded to nearest, ties to even,
/// in the low bits of the sum. Converting by truncation costs V8 four instructions more.
const MAGIC: f32 = 12_582_912.0;

/// Up to this the magic sum is exact whatever the sign: [`VectorRequantize::apply_plain`].
pub const MOST_PLAIN: f32 = 4_194_304.0;

/// Between an unsigned byte and the signed one that it becomes when its top bit is flipped.
const FLIP: i32 = 128;

/// The constants of one requantisation to `T`, in registers.
///
/// Unsigned bytes are computed as signed ones and flipped at the end.
#[derive(Clone, Copy)]
pub struct VectorRequantize<S: Simd> {
    magic: S::V,
    lowest: S::V,
    offset: S::V,
    highest: S::V,
    flip: S::V,
    magic_bits: S::V,
    zero_point: S::V,
}

impl<S: Simd> VectorRequantize<S> {
    /// For `requant`'s zero point and bounds, which are those of `T`; the scales come with each
    /// call of [`Self::apply`].
    #[inline(always)]
    pub fn new<T: Element>(requant: &Requantize) -> Self {
        Self::of_sign(requant, T::MIN < 0)
    }

    /// The same where only at run time is known whether bytes are signed.
    #[inline(always)]
    pub fn of_sign(requant: &Requantize, is_signed: bool) -> Self {
        let Requantize { zero_point, min, max, .. } = *requant;
        let flip = if is_signed { 0 } else { FLIP };
        Self {
            magic: S::f32x4_splat(black_box(MAGIC)),
            lowest: S::i32x4_splat((MAGIC + (min - zero_point) as f32).to_bits() as i32),
            offset: S::i32x4_splat(MAGIC.to_bits() as i32 - (zero_point - flip)),
            highest: S::i16x8_splat((max - flip) as i16),
            flip: S::i8x16_splat(flip as i8),
            magic_bits: S::i32x4_splat(black_box(MAGIC.to_bits() as i32)),
            zero_point: S::i16x8_splat((zero_point - flip) as i16),
        }
    }

    /// Quantised values in 32-bit lanes, less 128 for unsigned bytes; not below the lower bound.
    /// The upper one is left to [`Self::narrow`], once for eight.
    ///
    /// Positive floats order as their bits do, and negative ones are below them all, so that the
    /// sum is bounded as an integer whatever the accumulator.
    #[inline(always)]
    pub fn apply(&self, accumulators: S::V, scale: S::V) -> S::V {
        let scaled = S::f32x4_mul(S::f32x4_convert_i32x4(accumulators), scale);
        let rounded = S::i32x4_max(S::f32x4_add(scaled, self.magic), self.lowest);
        S::i32x4_sub(rounded, self.offset)
    }

    /// What [`Self::apply`] gave four times, as bytes within the bounds.
    ///
    /// The upper bound stands between the two steps of narrowing, where it keeps LLVM 22 from
    /// merging them: merged, the first is not two instructions on x86 but sixteen.
    #[inline(always)]
    pub fn narrow(&self, [a, b, c, d]: [S::V; 4]) -> S::V {
        let words = [S::i16x8_narrow_i32x4(a, b), S::i16x8_narrow_i32x4(c, d)];
        let [low, high] = words.map(|words| S::i16x8_min(words, self.highest));
        S::xor(S::i8x16_narrow_i16x8(low, high), self.flip)
    }

    /// The same for an accumulator that [`FixedLanes::apply`] has scaled.
    #[inline(always)]
    pub fn apply_fixed(&self, accumulators: S::V, lanes: &FixedLanes<S>) -> S::V {
        let scaled = lanes.apply(accumulators);
        // 1.5 * 2^23 as an integer: so that `lowest` and `offset` are the same.
        S::i32x4_sub(S::i32x4_max(S::i32x4_add(scaled, self.magic_bits), self.lowest), self.offset)
    }

    /// The same for products below [`MOST_PLAIN`] where the bounds are those of the type: a sum
    /// without its zero point, which [`Self::narrow_plain`] adds. 22 instructions for 16 bytes
    /// instead of 26.
    #[inline(always)]
    pub fn apply_plain(&self, accumulators: S::V, scale: S::V) -> S::V {
        let scaled = S::f32x4_mul(S::f32x4_convert_i32x4(accumulators), scale);
        S::i32x4_sub(S::f32x4_add(scaled, self.magic), self.magic_bits)
    }

    /// What [`Self::apply_plain`] gave four times, as bytes: each step saturates.
    #[inline(always)]
    pub fn narrow_plain(&self, [a, b, c, d]: [S::V; 4]) -> S::V {
        let words = [S::i16x8_narrow_i32x4(a, b), S::i16x8_narrow_i32x4(c, d)];
        let [low, high] = words.map(|words| S::i16x8_add_sat(words, self.zero_point));
        S::xor(S::i8x16_narrow_i16x8(low, high), self.flip)
    }
}

/// Multipliers of the built-in kernels for vectors: what
/// [`FixedScale`](crate::requant::builtin::FixedScale) does, of all columns.
#[derive(Clone)]
pub struct FixedColumns {
    /// By column: fraction, power of two that brings its shift to the largest, limit, -1 where
    /// halves go away from zero.
    values: [AlignedVec<i32>; 4],
    /// The largest shift.
    shift: u32,
}

/// [`FixedColumns`] of four columns, in registers.
#[derive(Clone, Copy)]
pub struct FixedLanes<S: Simd> {
    fraction: S::V,
    power: S::V,
    limit: S::V,
    half: S::V,
    away: S::V,
    shift: u32,
}

/// Bits of a result that count: beyond them it is clamped to 8 bits anyway.
const RESULT_BITS: i32 = 9;

impl FixedColumns {
    /// Those of `requant`, if it has any, for `columns` and as many more as make `padded`.
    ///
    /// # Panics
    /// Where [`fits_vectors`](crate::requant::builtin::FixedScale::fits_vectors) says no.
    pub fn new(requant: &Requantize, columns: usize, padded: usize) -> Option<Self> {
        let fixed = requant.fixed?;
        assert!(fixed.fits_vectors(), "scales that vectors do not take");
        let shift = fixed.multipliers.iter().map(|multiplier| -multiplier.shift).max().unwrap_or(1);
        // `limit << power` has 30 bits at most.
        const { assert!(MOST_SHIFT + RESULT_BITS <= 30) };
        let mut values = [(); 4].map(|()| AlignedVec::zeroed(padded));
        let [fractions, powers, limits, aways] = &mut values;
        let outs = fractions.iter_mut().zip(&mut powers[..]).zip(&mut limits[..]);
        let outs = outs.zip(&mut aways[..]).take(columns);
        for (column, (((fraction, power), limit), away)) in outs.enumerate() {
            let multiplier = fixed.multiplier(column);
            *fraction = multiplier.fraction;
            *power = 1 << (shift + multiplier.shift);
            *limit = 1 << (RESULT_BITS - multiplier.shift);
            *away = if fixed.ties.go_up(column) { 0 } else { -1 };
        }
        Some(Self { values, shift: shift.unsigned_abs() })
    }

    /// The four columns from `first` on.
    #[inline(always)]
    pub fn lanes<S: Simd>(&self, first: usize) -> FixedLanes<S> {
        let [fraction, power, limit, away] = self.values.each_ref().map(|values| {
            let values = &values[first..first + 4];
            // SAFETY: four elements.
            unsafe { S::load(values.as_ptr()) }
        });
        FixedLanes {
            fraction,
            power,
            limit,
            half: S::i32x4_splat(1 << (self.shift - 1)),
            away,
            shift: self.shift,
        }
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.values.iter().map(AlignedVec::size_bytes).sum()
    }
}

impl<S: Simd> FixedLanes<S> {
    /// Scaled accumulators.
    ///
    /// Each lane has a shift of its own, which vectors do not know: a multiplication brings all to
    /// the largest, once the number is bounded so that it fits.
    #[inline(always)]
    fn apply(&self, accumulators: S::V) -> S::V {
        let high = S::i32x4_high_mul(accumulators, self.fraction);
        // Halves of negative numbers are rounded down where they go away from zero.
        let sign = S::and(S::i32x4_shr(high, 31), self.away);
        let high = S::i32x4_add(high, sign);
        let lowest = S::i32x4_sub(S::i32x4_splat(0), self.limit);
        let bounded = S::i32x4_max(S::i32x4_min(high, self.limit), lowest);
        S::i32x4_shr(S::i32x4_add(S::i32x4_mul(bounded, self.power), self.half), self.shift)
    }
}
