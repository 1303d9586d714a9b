//! 8-bit matrix product as i16 pairs: `i32x4_dot_i16x8` sums two products of each lane.
//!
//! ```text
//! A  rows (pixels)    packed [rows / 4][k / 2][4 rows][2]  i16, made for each block that fits L2
//! B  weights          packed [out / 8][k / 2][8 columns][2] i16, made once
//! C  out              [rows][out]                           int8 or uint8, requantised in the store
//! ```
//!
//! The sums are exact for int8 and uint8, symmetric or not: zero points of weights are subtracted
//! while packing, the input's goes into the bias as `-zero_point * sum(weights)`, so that padding
//! is a row of zero points.

use super::{PANEL, TILE_ROWS};
use crate::aligned::AlignedVec;
use crate::requant::Requantize;
use crate::requant_vector::VectorRequantize;
use crate::simd::{Element, Simd};

/// i16 elements of one k-pair of a tile: 4 rows x 2.
const PAIR_A: usize = TILE_ROWS * 2;
/// i16 elements of one k-pair of a panel: 8 columns x 2.
const PAIR_B: usize = PANEL * 2;

/// Weights, biases and scales of a quantised matrix product, packed in panels of 8 columns.
#[derive(Clone)]
pub struct PackedWeights {
    columns: usize,
    pairs: usize,
    panels: AlignedVec<i16>,
    bias: AlignedVec<i32>,
    scale: AlignedVec<f32>,
    zero_point: i32,
    min: i32,
    max: i32,
}

impl PackedWeights {
    /// Packs `columns` x `k` weights: `weight(column, k)` is the weight less its zero point.
    pub fn new(
        columns: usize,
        k: usize,
        weight: impl Fn(usize, usize) -> i16,
        bias: Option<&[i32]>,
        input_zero_point: i32,
        requant: &Requantize,
    ) -> Self {
        let pairs = k.div_ceil(2);
        let padded = columns.next_multiple_of(PANEL);
        let mut panels = AlignedVec::zeroed(padded * pairs * 2);
        let mut packed_bias = AlignedVec::zeroed(padded);
        let mut scale = AlignedVec::zeroed(padded);
        for column in 0..columns {
            let first = column / PANEL * pairs * PAIR_B + column % PANEL * 2;
            let mut sum = 0i32;
            for at in 0..k {
                let value = weight(column, at);
                sum = sum.wrapping_add(i32::from(value));
                panels[first + at / 2 * PAIR_B + at % 2] = value;
            }
            packed_bias[column] = bias
                .map_or(0, |bias| bias[column])
                .wrapping_sub(sum.wrapping_mul(input_zero_point));
            scale[column] = requant.scale_of(column);
        }
        let Requantize { zero_point, min, max, .. } = *requant;
        Self { columns, pairs, panels, bias: packed_bias, scale, zero_point, min, max }
    }

    /// i16 elements of a packed tile of 4 rows.
    pub fn tile_len(&self) -> usize {
        self.pairs * PAIR_A
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.panels.size_bytes() + self.bias.size_bytes() + self.scale.size_bytes()
    }

    /// `rows` packed rows times the weights, into `out[row * stride + column]`.
    pub fn multiply<S: Simd, T: Element>(
        &self,
        packed: &[i16],
        rows: usize,
        out: &mut [T],
        stride: usize,
    ) {
        assert!(rows.div_ceil(TILE_ROWS) * self.tile_len() <= packed.len());
        assert!(rows == 0 || (rows - 1) * stride + self.columns <= out.len());
        let (full, rest) = (rows / TILE_ROWS, rows % TILE_ROWS);
        for panel in 0..self.columns.div_ceil(PANEL) {
            for tile in 0..full {
                let a = &packed[tile * self.tile_len()..][..self.tile_len()];
                let out = &mut out[tile * TILE_ROWS * stride + panel * PANEL..];
                self.tile::<S, T, 4>(a, panel, out, stride);
            }
            if rest > 0 {
                let a = &packed[full * self.tile_len()..][..self.tile_len()];
                let out = &mut out[full * TILE_ROWS * stride + panel * PANEL..];
                match rest {
                    1 => self.tile::<S, T, 1>(a, panel, out, stride),
                    2 => self.tile::<S, T, 2>(a, panel, out, stride),
                    _ => self.tile::<S, T, 3>(a, panel, out, stride),
                }
            }
        }
    }

    /// `R` rows of a tile by one panel, requantised and stored.
    #[inline(always)]
    fn tile<S: Simd, T: Element, const R: usize>(
        &self,
        a: &[i16],
        panel: usize,
        out: &mut [T],
        stride: usize,
    ) {
        let b = &self.panels[panel * self.pairs * PAIR_B..][..self.pairs * PAIR_B];
        let bias = &self.bias[panel * PANEL..][..PANEL];
        let scale = &self.scale[panel * PANEL..][..PANEL];
        assert_eq!(a.len(), self.pairs * PAIR_A);
        // SAFETY: `a` holds `pairs` groups of 8, `b` of 16 elements; bias and scale hold 8.
        let (sums, scale) = unsafe {
            let bias = [S::load(bias.as_ptr()), S::load(bias.as_ptr().add(4))];
            let sums = dot_tile::<S, R>(a.as_ptr(), b.as_ptr(), self.pairs, bias);
            (sums, [S::load(scale.as_ptr()), S::load(scale.as_ptr().add(4))])
        };
        let Self { zero_point, min, max, .. } = *self;
        let requant = VectorRequantize::<S>::new(&Requantize { scale: &[], zero_point, min, max });
        let words: [S::V; R] = core::array::from_fn(|r| {
            let [low, high] = sums[r];
            S::i16x8_narrow_i32x4(requant.apply(low, scale[0]), requant.apply(high, scale[1]))
        });
        let columns = (self.columns - panel * PANEL).min(PANEL);
        for (r, &words) in words.iter().enumerate() {
            let bytes = T::narrow::<S>(words, words);
            let row = &mut out[r * stride..][..columns];
            if columns == PANEL {
                // SAFETY: the row holds 8 elements of one byte.
                unsafe { S::store64(row.as_mut_ptr(), bytes) };
            } else {
                let mut rest = [T::default(); PANEL];
                // SAFETY: `rest` holds 8 elements of one byte.
                unsafe { S::store64(rest.as_mut_ptr(), bytes) };
                row.copy_from_slice(&rest[..columns]);
            }
        }
    }
}

/// The loop that everything else is there for: `R` rows by 8 columns over `pairs` k-pairs.
///
/// One 16-byte load brings a pair of all four rows, shuffles spread it: measured 35-38 GMAC/s,
/// where four loads of 4 bytes make 30-36. Unrolled by hand 2x or 4x V8 spills: 25-31.
///
/// # Safety
/// `a` is readable for `pairs * 8` elements, `b` for `pairs * 16`.
#[inline(always)]
unsafe fn dot_tile<S: Simd, const R: usize>(
    mut a: *const i16,
    mut b: *const i16,
    pairs: usize,
    bias: [S::V; 2],
) -> [[S::V; 2]; R] {
    let mut sums = [bias; R];
    for _ in 0..pairs {
        // SAFETY: the caller's; each round reads one pair and steps over it.
        let (rows, columns) = unsafe { (S::load(a), [S::load(b), S::load(b.add(8))]) };
        macro_rules! row {
            ($r:literal) => {
                if $r < R {
                    let x = S::i32x4_splat_lane::<$r>(rows);
                    for (sum, y) in sums[$r].iter_mut().zip(columns) {
                        *sum = S::i32x4_add(*sum, S::i32x4_dot_i16x8(x, y));
                    }
                }
            };
        }
        row!(0);
        row!(1);
        row!(2);
        row!(3);
        // SAFETY: at most one past the end.
        (a, b) = unsafe { (a.add(PAIR_A), b.add(PAIR_B)) };
    }
    sums
}

/// Packs `len` elements of four rows into `ceil(len / 2)` pairs at the start of `to`; the odd
/// element's partner is zero.
///
/// # Safety
/// Each row is readable for `len` elements.
#[inline(always)]
pub unsafe fn pack_rows<S: Simd, T: Element>(
    rows: [*const T; TILE_ROWS],
    len: usize,
    to: &mut [i16],
) {
    let pairs = len.div_ceil(2);
    assert!(pairs * PAIR_A <= to.len());
    let mut at = 0;
    let mut to = to.as_mut_ptr();
    while at + 8 <= len {
        // SAFETY: 8 elements from `at` are within `len`; 4 pairs of `to` belong to them.
        unsafe {
            let words = interleave_rows::<S>(rows.map(|row| T::load_extend::<S>(row.add(at))));
            for (pair, &v) in words.iter().enumerate() {
                S::store(to.add(pair * PAIR_A), v);
            }
            to = to.add(4 * PAIR_A);
        }
        at += 8;
    }
    let rest = len - at;
    if rest > 0 {
        let tails = rows.map(|row| {
            let mut tail = [T::default(); 8];
            for (i, place) in tail[..rest].iter_mut().enumerate() {
                // SAFETY: `at + i` is below `len`.
                *place = unsafe { row.add(at + i).read() };
            }
            tail
        });
        // SAFETY: tails hold 8 elements; the pairs stored are those that `rest` begins.
        unsafe {
            let words = interleave_rows::<S>(
                [0, 1, 2, 3].map(|r: usize| T::load_extend::<S>(tails[r].as_ptr())),
            );
            for (pair, &v) in words[..rest.div_ceil(2)].iter().enumerate() {
                S::store(to.add(pair * PAIR_A), v);
            }
        }
    }
}

/// Four rows of four pairs to four pairs of four rows: a 4 x 4 transpose of 32-bit lanes.
#[inline(always)]
fn interleave_rows<S: Simd>([a, b, c, d]: [S::V; TILE_ROWS]) -> [S::V; 4] {
    let (ab, cd) = (S::i32x4_interleave_low(a, b), S::i32x4_interleave_low(c, d));
    let (ab_high, cd_high) = (S::i32x4_interleave_high(a, b), S::i32x4_interleave_high(c, d));
    [
        S::i64x2_interleave_low(ab, cd),
        S::i64x2_interleave_high(ab, cd),
        S::i64x2_interleave_low(ab_high, cd_high),
        S::i64x2_interleave_high(ab_high, cd_high),
    ]
}
