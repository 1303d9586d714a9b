//! What the quantised matrix products share: the loop over tiles, requantising and storing.

use core::mem::MaybeUninit;

use super::{PANEL, TILE_ROWS};
use crate::aligned::AlignedVec;
use crate::requant::Requantize;
use crate::requant_vector::{FixedColumns, FixedLanes, MOST_PLAIN, VectorRequantize};
use crate::simd::{Element, Simd};

/// Packed weights that multiply packed tiles of rows.
pub(super) trait Product {
    /// Whether there is a kernel for plain epilogues.
    const HAS_PLAIN: bool;

    /// Biases and scales.
    fn epilogue(&self) -> &Epilogue;

    /// Bytes of a packed tile.
    fn tile_bytes(&self) -> usize;

    /// Multiplies `R` rows of each of `tiles` tiles by panel `panel` into `out[row * stride]`;
    /// `PLAIN` only where the epilogue is.
    ///
    /// # Safety
    /// `packed` is readable for `tiles` tiles; of each row, `out` is writable for the panel's
    /// columns that there are.
    unsafe fn panel<S: Simd, const R: usize, const PLAIN: bool>(
        &self,
        packed: *const u8,
        panel: usize,
        tiles: usize,
        out: *mut u8,
        stride: usize,
    );
}

/// `rows` packed rows times the weights, into `out[row * stride + column]`.
pub(super) fn multiply<S: Simd, T: Element, P: Product>(
    product: &P,
    packed: &[u8],
    rows: usize,
    out: &mut [T],
    stride: usize,
) {
    let (columns, tile_bytes) = (product.epilogue().columns, product.tile_bytes());
    assert!(rows.div_ceil(TILE_ROWS) * tile_bytes <= packed.len());
    assert!(rows == 0 || (rows - 1) * stride + columns <= out.len());
    let (full, rest) = (rows / TILE_ROWS, rows % TILE_ROWS);
    for panel in 0..columns.div_ceil(PANEL) {
        // SAFETY: `packed` holds all tiles, `out` all rows, as asserted.
        unsafe {
            let (a, out) = (packed.as_ptr(), out.as_mut_ptr().add(panel * PANEL).cast());
            if P::HAS_PLAIN && product.epilogue().is_plain {
                product.panel::<S, TILE_ROWS, true>(a, panel, full, out, stride);
            } else {
                product.panel::<S, TILE_ROWS, false>(a, panel, full, out, stride);
            }
            if rest > 0 {
                let (a, out) = (a.add(full * tile_bytes), out.add(full * TILE_ROWS * stride));
                if rest == 1 {
                    product.panel::<S, 1, false>(a, panel, 1, out, stride);
                } else {
                    // The tile repeats its last row: what is too much is left behind.
                    let mut tile = [0; TILE_ROWS * PANEL];
                    product.panel::<S, TILE_ROWS, false>(a, panel, 1, tile.as_mut_ptr(), PANEL);
                    for (r, row) in tile.chunks_exact(PANEL).take(rest).enumerate() {
                        let count = PANEL.min(columns - panel * PANEL);
                        out.add(r * stride).copy_from_nonoverlapping(row.as_ptr(), count);
                    }
                }
            }
        }
    }
}

/// Biases and scales of all columns, padded to whole panels, with the output's bounds.
#[derive(Clone)]
pub(crate) struct Epilogue {
    pub columns: usize,
    pub bias: AlignedVec<i32>,
    scale: AlignedVec<f32>,
    /// In place of `scale`.
    pub fixed: Option<FixedColumns>,
    zero_point: i32,
    min: i32,
    max: i32,
    /// Whether the output is int8, not uint8: one kernel writes both.
    is_signed: bool,
    /// Whether [`VectorRequantize::apply_plain`] may be used.
    pub is_plain: bool,
}

impl Epilogue {
    /// Scales of `requant` for an output of `T`; biases are the caller's to fill in.
    pub fn new<T: Element>(columns: usize, requant: &Requantize) -> Self {
        let padded = columns.next_multiple_of(PANEL);
        let mut scale = AlignedVec::zeroed(padded);
        for (column, scale) in scale[..columns].iter_mut().enumerate() {
            *scale = requant.scale_of(column);
        }
        let Requantize { zero_point, min, max, .. } = *requant;
        let bias = AlignedVec::zeroed(padded);
        let fixed = FixedColumns::new(requant, columns, padded);
        let is_signed = T::MIN < 0;
        Self { columns, bias, scale, fixed, zero_point, min, max, is_signed, is_plain: false }
    }

    /// To be called when the biases are filled in: finds out whether sums of `k` products can be
    /// requantised the short way.
    pub fn settle(&mut self, k: usize) {
        let bytes = if self.is_signed { [-128, 127] } else { [0, 255] };
        // Twice: the sum, and what the bias has of it by the input's zero point.
        let products = 2.0 * k as f32 * (255.0 * 255.0);
        let most = self
            .bias
            .iter()
            .zip(&*self.scale)
            .map(|(&bias, &scale)| (bias.unsigned_abs() as f32 + products) * scale);
        self.is_plain = [self.min, self.max] == bytes && most.fold(0.0, f32::max) < MOST_PLAIN;
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        let fixed = self.fixed.as_ref().map_or(0, FixedColumns::size_bytes);
        self.bias.size_bytes() + self.scale.size_bytes() + fixed
    }

    /// What a panel's columns need.
    #[inline(always)]
    pub fn panel<S: Simd>(&self, panel: usize) -> PanelEpilogue<S> {
        let Self { zero_point, min, max, is_signed, .. } = *self;
        let bias = &self.bias[panel * PANEL..][..PANEL];
        let scale = &self.scale[panel * PANEL..][..PANEL];
        // SAFETY: 8 biases and 8 scales.
        let [bias, scale] = unsafe {
            [
                [S::load(bias.as_ptr()), S::load(bias.as_ptr().add(4))],
                [S::load(scale.as_ptr()), S::load(scale.as_ptr().add(4))],
            ]
        };
        let requant = Requantize { scale: &[], fixed: None, zero_point, min, max };
        let requant = VectorRequantize::of_sign(&requant, is_signed);
        let columns = (self.columns - panel * PANEL).min(PANEL);
        PanelEpilogue { bias, scale, requant, columns }
    }

    /// The same where the built-in kernels' scales are taken.
    #[inline(always)]
    pub fn fixed_panel<S: Simd>(&self, panel: usize) -> FixedEpilogue<S> {
        let fixed = self.fixed.as_ref().expect("scales of the built-in kernels");
        let lanes = [0, PANEL / 2].map(|half| fixed.lanes(panel * PANEL + half));
        FixedEpilogue { panel: self.panel(panel), lanes }
    }
}

/// Rows that are stored together, at most.
pub(super) const MOST_ROWS: usize = 6;

/// Biases and scales of a panel, in registers.
pub(crate) struct PanelEpilogue<S: Simd> {
    pub bias: [S::V; 2],
    scale: [S::V; 2],
    requant: VectorRequantize<S>,
    /// Columns that there are, at most [`PANEL`].
    columns: usize,
}

impl<S: Simd> PanelEpilogue<S> {
    /// Requantises `R` rows of sums and stores them in `out[r * stride]`.
    ///
    /// # Safety
    /// `out` is writable for the panel's columns of each row.
    #[inline(always)]
    pub unsafe fn store<const R: usize, const PLAIN: bool>(
        &self,
        sums: [[S::V; 2]; R],
        out: *mut u8,
        stride: usize,
    ) {
        const { assert!(R <= MOST_ROWS) };
        // Not made zeros, which would cost each whole panel some stores.
        let mut rest = MaybeUninit::<[u8; MOST_ROWS * PANEL]>::uninit();
        let is_whole = self.columns == PANEL;
        let (to, to_stride) =
            if is_whole { (out, stride) } else { (rest.as_mut_ptr().cast(), PANEL) };
        let values = sums.map(|[low, high]| {
            let apply = if PLAIN { VectorRequantize::apply_plain } else { VectorRequantize::apply };
            [apply(&self.requant, low, self.scale[0]), apply(&self.requant, high, self.scale[1])]
        });
        let mut r = 0;
        while r < R {
            // A last row without a partner is its own.
            let ([a, b], [c, d]) = (values[r], values[(r + 1).min(R - 1)]);
            let narrow =
                if PLAIN { VectorRequantize::narrow_plain } else { VectorRequantize::narrow };
            let bytes = narrow(&self.requant, [a, b, c, d]);
            // SAFETY: the caller's, where the panel is whole; else four rows of 8 elements.
            unsafe {
                let row = to.add(r * to_stride);
                S::store64(row, bytes);
                if r + 1 < R {
                    S::store64_high(row.add(to_stride), bytes);
                }
            }
            r += 2;
        }
        if !is_whole {
            // SAFETY: the caller's; `R` rows have been stored.
            unsafe { copy_columns::<R>(rest.as_ptr().cast(), self.columns, out, stride) };
        }
    }
}

/// A panel's epilogue with the scales of the built-in kernels.
pub(crate) struct FixedEpilogue<S: Simd> {
    panel: PanelEpilogue<S>,
    lanes: [FixedLanes<S>; 2],
}

impl<S: Simd> FixedEpilogue<S> {
    /// Where sums begin.
    #[inline(always)]
    pub fn bias(&self) -> [S::V; 2] {
        self.panel.bias
    }

    /// As [`PanelEpilogue::store`].
    ///
    /// # Safety
    /// `out` is writable for the panel's columns of each row.
    #[inline(always)]
    pub unsafe fn store<const R: usize>(&self, sums: [[S::V; 2]; R], out: *mut u8, stride: usize) {
        let PanelEpilogue { requant, columns, .. } = &self.panel;
        for (r, [low, high]) in sums.into_iter().enumerate() {
            let low = requant.apply_fixed(low, &self.lanes[0]);
            let high = requant.apply_fixed(high, &self.lanes[1]);
            let bytes = requant.narrow([low, high, low, high]);
            let row = out.wrapping_add(r * stride);
            // SAFETY: the caller's, where the panel is whole; else a row of 8 elements.
            unsafe {
                if *columns == PANEL {
                    S::store64(row, bytes);
                } else {
                    let mut rest = [0u8; PANEL];
                    S::store64(rest.as_mut_ptr(), bytes);
                    copy_columns::<1>(rest.as_ptr(), *columns, row, stride);
                }
            }
        }
    }
}

/// Copies the first `columns` of each of `R` rows of a panel.
///
/// # Safety
/// `rows` is readable for `R` rows of a panel, `out` writable for the columns of each.
// Not inlined: whole panels, nearly all, would pay for its registers.
#[inline(never)]
unsafe fn copy_columns<const R: usize>(
    rows: *const u8,
    columns: usize,
    out: *mut u8,
    stride: usize,
) {
    for r in 0..R {
        // SAFETY: the caller's.
        unsafe { out.add(r * stride).copy_from_nonoverlapping(rows.add(r * PANEL), columns) };
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
