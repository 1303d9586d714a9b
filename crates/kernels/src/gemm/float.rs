//! f32 matrix product.
//!
//! ```text
//! A  rows (pixels)    four pointers, read in place
//! B  weights          packed [out / 8][k][8 columns], made once
//! C  out              [rows][out], clamped to the activation's range in the store
//! ```

use super::{PANEL, TILE_ROWS};
use crate::aligned::AlignedVec;
use crate::simd::Simd;

/// Weights and biases of a float matrix product, packed in panels of 8 columns.
#[derive(Clone)]
pub struct PackedWeights {
    columns: usize,
    k: usize,
    panels: AlignedVec<f32>,
    bias: AlignedVec<f32>,
    range: (f32, f32),
}

impl PackedWeights {
    /// Packs `columns` x `k` weights; results are clamped to `range`.
    pub fn new(
        columns: usize,
        k: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: Option<&[f32]>,
        range: (f32, f32),
    ) -> Self {
        let padded = columns.next_multiple_of(PANEL);
        let mut panels = AlignedVec::zeroed(padded * k);
        let mut packed_bias = AlignedVec::zeroed(padded);
        for column in 0..columns {
            let first = column / PANEL * k * PANEL + column % PANEL;
            for at in 0..k {
                panels[first + at * PANEL] = weight(column, at);
            }
            packed_bias[column] = bias.map_or(0.0, |bias| bias[column]);
        }
        Self { columns, k, panels, bias: packed_bias, range }
    }

    /// Elements of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.panels.size_bytes() + self.bias.size_bytes()
    }

    /// `rows` rows times the weights, into `out[row * stride + column]`; `row(r)` is where the
    /// `k` elements of row `r` start in `a`.
    pub fn multiply<S: Simd>(
        &self,
        a: &[f32],
        rows: usize,
        row: impl Fn(usize) -> usize,
        out: &mut [f32],
        stride: usize,
    ) {
        assert!(rows == 0 || (rows - 1) * stride + self.columns <= out.len());
        let (full, rest) = (rows / TILE_ROWS, rows % TILE_ROWS);
        for panel in 0..self.columns.div_ceil(PANEL) {
            for tile in 0..full {
                let first = tile * TILE_ROWS;
                let a: [&[f32]; 4] = core::array::from_fn(|r| &a[row(first + r)..][..self.k]);
                self.tile::<S, 4>(a, panel, &mut out[first * stride + panel * PANEL..], stride);
            }
            for r in rows - rest..rows {
                let a = [&a[row(r)..][..self.k]];
                self.tile::<S, 1>(a, panel, &mut out[r * stride + panel * PANEL..], stride);
            }
        }
    }

    /// `R` rows by one panel, clamped and stored.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(
        &self,
        a: [&[f32]; R],
        panel: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let k = self.k;
        let b = &self.panels[panel * k * PANEL..][..k * PANEL];
        let bias = &self.bias[panel * PANEL..][..PANEL];
        assert!(a.iter().all(|row| row.len() == k));
        // SAFETY: each row holds `k` elements, `b` holds `k * 8`, the bias 8.
        let sums = unsafe {
            let bias = [S::load(bias.as_ptr()), S::load(bias.as_ptr().add(4))];
            madd_tile::<S, R>(a.map(<[f32]>::as_ptr), b.as_ptr(), k, bias)
        };
        let (min, max) = (S::f32x4_splat(self.range.0), S::f32x4_splat(self.range.1));
        let columns = (self.columns - panel * PANEL).min(PANEL);
        for (r, sums) in sums.into_iter().enumerate() {
            let [low, high] = sums.map(|v| S::f32x4_pmin(S::f32x4_pmax(v, min), max));
            let row = &mut out[r * stride..][..columns];
            if columns == PANEL {
                // SAFETY: the row holds 8 floats.
                unsafe {
                    S::store(row.as_mut_ptr(), low);
                    S::store(row.as_mut_ptr().add(4), high);
                }
            } else {
                let mut rest = [0.0f32; PANEL];
                // SAFETY: `rest` holds 8 floats.
                unsafe {
                    S::store(rest.as_mut_ptr(), low);
                    S::store(rest.as_mut_ptr().add(4), high);
                }
                row.copy_from_slice(&rest[..columns]);
            }
        }
    }
}

/// `R` rows by 8 columns: measured 20-23 GMAC/s with relaxed madd, 14-16 with mul and add.
///
/// # Safety
/// Each row of `a` is readable for `k` elements, `b` for `k * 8`.
#[inline(always)]
unsafe fn madd_tile<S: Simd, const R: usize>(
    a: [*const f32; R],
    mut b: *const f32,
    k: usize,
    bias: [S::V; 2],
) -> [[S::V; 2]; R] {
    let mut sums = [bias; R];
    for at in 0..k {
        // SAFETY: the caller's; each round reads one row of 8 columns and steps over it.
        let columns = unsafe { [S::load(b), S::load(b.add(4))] };
        for (sums, row) in sums.iter_mut().zip(a) {
            // SAFETY: `at` is below `k`.
            let x = unsafe { S::load32_splat(row.add(at)) };
            for (sum, y) in sums.iter_mut().zip(columns) {
                *sum = S::f32x4_madd(x, y, *sum);
            }
        }
        // SAFETY: at most one past the end.
        b = unsafe { b.add(PANEL) };
    }
    sums
}
