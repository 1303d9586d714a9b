//! What rows of a depthwise convolution are interleaved to, and how that is multiplied: four rows of
//! bytes or two of words, for eight channels.

use crate::simd::Simd;

/// Channels of a step.
pub(super) const CHANNELS: usize = 8;

/// A product of the rows of a unit.
pub(super) trait Dot {
    /// Rows of a unit.
    const ROWS: usize;
    /// Whether it is only used with plain epilogues.
    const IS_PLAIN: bool;
    /// Whether it is used with scales of the built-in kernels.
    const IS_FIXED: bool = false;
    /// The same product with such scales, if there is one.
    type Fixed: Dot;

    /// Adds the products of all rows, for four channels.
    fn add<S: Simd>(weights: S::V, x: S::V, sum: S::V) -> S::V;
}

/// One instruction for four rows of bytes.
pub(super) struct Bytes;

/// Two for two rows of words.
pub(super) struct Words;

impl Dot for Bytes {
    const ROWS: usize = 4;
    const IS_PLAIN: bool = true;
    type Fixed = Self;

    #[inline(always)]
    fn add<S: Simd>(weights: S::V, x: S::V, sum: S::V) -> S::V {
        S::i32x4_relaxed_dot_add(weights, x, sum)
    }
}

impl Dot for Words {
    const ROWS: usize = 2;
    const IS_PLAIN: bool = false;
    type Fixed = FixedWords;

    #[inline(always)]
    fn add<S: Simd>(weights: S::V, x: S::V, sum: S::V) -> S::V {
        S::i32x4_add(sum, S::i32x4_dot_i16x8(x, weights))
    }
}

/// [`Words`] whose sums are scaled as the built-in kernels do.
pub(super) struct FixedWords;

impl Dot for FixedWords {
    const ROWS: usize = Words::ROWS;
    const IS_PLAIN: bool = false;
    const IS_FIXED: bool = true;
    type Fixed = Self;

    #[inline(always)]
    fn add<S: Simd>(weights: S::V, x: S::V, sum: S::V) -> S::V {
        Words::add::<S>(weights, x, sum)
    }
}

/// How the rows of a column become a unit.
pub(super) trait Unit {
    type Dot: Dot;

    /// Interleaves 8 channels of the rows that there are.
    ///
    /// # Safety
    /// Each row is readable for 8 bytes.
    unsafe fn of<S: Simd>(row: impl Fn(usize) -> Option<*const u8>, flip: S::V) -> [S::V; 2];
}

impl Unit for Bytes {
    type Dot = Self;

    #[inline(always)]
    unsafe fn of<S: Simd>(row: impl Fn(usize) -> Option<*const u8>, flip: S::V) -> [S::V; 2] {
        let load = |at: usize| {
            // SAFETY: the caller's.
            row(at).map_or(S::i32x4_splat(0), |row| unsafe { S::load64_zero(row) })
        };
        let upper = S::i8x16_interleave_low(load(0), load(1));
        let lower = S::i8x16_interleave_low(load(2), load(3));
        interleave::<S>(upper, lower).map(|v| S::xor(v, flip))
    }
}

/// Words of int8 inputs.
pub(super) struct SignedWords;

/// Words of uint8 inputs.
pub(super) struct UnsignedWords;

impl Unit for SignedWords {
    type Dot = Words;

    #[inline(always)]
    unsafe fn of<S: Simd>(row: impl Fn(usize) -> Option<*const u8>, _: S::V) -> [S::V; 2] {
        // SAFETY: the caller's.
        let load = |row: *const u8| unsafe { S::i16x8_load_extend_i8x8(row.cast()) };
        pair_of_rows::<S>(row, load)
    }
}

impl Unit for UnsignedWords {
    type Dot = Words;

    #[inline(always)]
    unsafe fn of<S: Simd>(row: impl Fn(usize) -> Option<*const u8>, _: S::V) -> [S::V; 2] {
        // SAFETY: the caller's.
        let load = |row: *const u8| unsafe { S::i16x8_load_extend_u8x8(row) };
        pair_of_rows::<S>(row, load)
    }
}

/// Two rows of words, of which `load` makes one of.
#[inline(always)]
fn pair_of_rows<S: Simd>(
    row: impl Fn(usize) -> Option<*const u8>,
    load: impl Fn(*const u8) -> S::V,
) -> [S::V; 2] {
    let [a, b] = [0, 1].map(|at| row(at).map_or(S::i32x4_splat(0), &load));
    interleave::<S>(a, b)
}

/// Two vectors of eight words as pairs: channels 0 to 3, channels 4 to 7.
#[inline(always)]
pub(super) fn interleave<S: Simd>(a: S::V, b: S::V) -> [S::V; 2] {
    [S::i16x8_interleave_low(a, b), S::i16x8_interleave_high(a, b)]
}
