//! What the quantised matrix products share: requantising and storing a tile.

use super::PANEL;
use crate::aligned::AlignedVec;
use crate::requant::Requantize;
use crate::requant_vector::VectorRequantize;
use crate::simd::{Element, Simd};

/// Biases and scales of all columns, padded to whole panels, with the output's bounds.
#[derive(Clone)]
pub(super) struct Epilogue {
    pub columns: usize,
    pub bias: AlignedVec<i32>,
    scale: AlignedVec<f32>,
    zero_point: i32,
    min: i32,
    max: i32,
}

impl Epilogue {
    /// Scales of `requant`; biases are the caller's to fill in.
    pub fn new(columns: usize, requant: &Requantize) -> Self {
        let padded = columns.next_multiple_of(PANEL);
        let mut scale = AlignedVec::zeroed(padded);
        for (column, scale) in scale[..columns].iter_mut().enumerate() {
            *scale = requant.scale_of(column);
        }
        let Requantize { zero_point, min, max, .. } = *requant;
        let bias = AlignedVec::zeroed(padded);
        Self { columns, bias, scale, zero_point, min, max }
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.bias.size_bytes() + self.scale.size_bytes()
    }

    /// The biases of a panel.
    #[inline(always)]
    pub fn bias<S: Simd>(&self, panel: usize) -> [S::V; 2] {
        let bias = &self.bias[panel * PANEL..][..PANEL];
        // SAFETY: 8 biases.
        unsafe { [S::load(bias.as_ptr()), S::load(bias.as_ptr().add(4))] }
    }

    /// Requantises `R` rows of sums of a panel and stores them in `out[r * stride..]`.
    #[inline(always)]
    pub fn store<S: Simd, T: Element, const R: usize>(
        &self,
        sums: [[S::V; 2]; R],
        panel: usize,
        out: &mut [T],
        stride: usize,
    ) {
        let Self { zero_point, min, max, .. } = *self;
        let requant = VectorRequantize::<S>::new(&Requantize { scale: &[], zero_point, min, max });
        let scale = &self.scale[panel * PANEL..][..PANEL];
        // SAFETY: 8 scales.
        let scale = unsafe { [S::load(scale.as_ptr()), S::load(scale.as_ptr().add(4))] };
        let columns = (self.columns - panel * PANEL).min(PANEL);
        for (r, [low, high]) in sums.into_iter().enumerate() {
            let words =
                S::i16x8_narrow_i32x4(requant.apply(low, scale[0]), requant.apply(high, scale[1]));
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

/// Four rows of four 32-bit lanes to four lanes of four rows.
#[inline(always)]
pub(super) fn transpose<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 4] {
    let (ab, cd) = (S::i32x4_interleave_low(a, b), S::i32x4_interleave_low(c, d));
    let (ab_high, cd_high) = (S::i32x4_interleave_high(a, b), S::i32x4_interleave_high(c, d));
    [
        S::i64x2_interleave_low(ab, cd),
        S::i64x2_interleave_high(ab, cd),
        S::i64x2_interleave_low(ab_high, cd_high),
        S::i64x2_interleave_high(ab_high, cd_high),
    ]
}

/// Calls `$self.$tile::<.., R>(tile, ...)` for all tiles of `$rows` rows, the last with what rows
/// are left.
macro_rules! for_each_tile {
    ($rows:expr, |$tile:ident, $R:ident| $body:expr) => {{
        let (full, rest) = ($rows / TILE_ROWS, $rows % TILE_ROWS);
        for $tile in 0..full {
            const $R: usize = TILE_ROWS;
            $body;
        }
        let $tile = full;
        match rest {
            0 => {}
            1 => {
                const $R: usize = 1;
                $body;
            }
            2 => {
                const $R: usize = 2;
                $body;
            }
            _ => {
                const $R: usize = 3;
                $body;
            }
        }
    }};
}
pub(super) use for_each_tile;
