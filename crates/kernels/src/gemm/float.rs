//! f32 matrix product.
//!
//! ```text
//! A  rows (pixels)    four pointers, read in place
//! B  weights          packed [out / 8][k][8 columns], made once
//! C  out              [rows][out], clamped to the activation's range in the store
//! ```

use super::packing::{BLOCK, pack_floats};
use super::{PANEL, TILE_ROWS};
use crate::aligned::AlignedVec;
use crate::simd::{Native, Simd};

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
    /// Packs weights `[columns][k]`; results are clamped to `range`.
    pub fn new(
        columns: usize,
        k: usize,
        weights: &[f32],
        bias: Option<&[f32]>,
        range: (f32, f32),
    ) -> Self {
        let padded = columns.next_multiple_of(PANEL);
        let mut panels = AlignedVec::zeroed(padded * k);
        let mut packed_bias = AlignedVec::zeroed(padded);
        if let Some(bias) = bias {
            packed_bias[..columns].copy_from_slice(&bias[..columns]);
        }
        // Columns that are not there weigh nothing.
        let absent = vec![0.0; k];
        for first in (0..columns).step_by(BLOCK) {
            let block = core::array::from_fn(|i| match first + i {
                column if column < columns => &weights[column * k..][..k],
                _ => &absent,
            });
            let panel = &mut panels[first / PANEL * k * PANEL..][..k * PANEL];
            pack_floats::<Native>(block, &mut panel[first % PANEL..]);
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

    /// `rows` rows times the weights, into `out[row * stride + column]`; row `r` of `a` is the `k`
    /// elements from `r * a_stride` on.
    pub fn multiply<S: Simd>(
        &self,
        a: &[f32],
        a_stride: usize,
        rows: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        if rows == 0 {
            return;
        }
        assert!((rows - 1) * a_stride + self.k <= a.len());
        assert!((rows - 1) * stride + self.columns <= out.len());
        let full = rows / TILE_ROWS * TILE_ROWS;
        for panel in 0..self.columns.div_ceil(PANEL) {
            let out = out[panel * PANEL..].as_mut_ptr();
            // SAFETY: `a` and `out` hold all rows, as asserted.
            unsafe {
                self.panel::<S, TILE_ROWS>(a.as_ptr(), a_stride, panel, full, out, stride);
                if full < rows {
                    let a = a[full * a_stride..].as_ptr();
                    let out = out.add(full * stride);
                    self.panel::<S, 1>(a, a_stride, panel, rows - full, out, stride);
                }
            }
        }
    }

    /// `rows` rows, a multiple of `R`, by one panel, clamped and stored.
    ///
    /// # Safety
    /// `a` is readable and `out` writable for all rows, the latter for the panel's columns.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn panel<S: Simd, const R: usize>(
        &self,
        mut a: *const f32,
        a_stride: usize,
        panel: usize,
        rows: usize,
        mut out: *mut f32,
        stride: usize,
    ) {
        let k = self.k;
        let b = self.panels[panel * k * PANEL..][..k * PANEL].as_ptr();
        let bias = &self.bias[panel * PANEL..][..PANEL];
        // SAFETY: 8 biases.
        let bias = unsafe { [S::load(bias.as_ptr()), S::load(bias.as_ptr().add(4))] };
        let (min, max) = (S::f32x4_splat(self.range.0), S::f32x4_splat(self.range.1));
        let columns = (self.columns - panel * PANEL).min(PANEL);
        for _ in 0..rows / R {
            let rows: [_; R] = core::array::from_fn(|r| a.wrapping_add(r * a_stride));
            // SAFETY: each row holds `k` elements, `b` holds `k * 8`.
            let sums = unsafe { madd_tile::<S, R>(rows, b, k, bias) };
            for (r, sums) in sums.into_iter().enumerate() {
                let [low, high] = sums.map(|v| S::f32x4_pmin(S::f32x4_pmax(v, min), max));
                // SAFETY: the caller's.
                unsafe {
                    let row = out.add(r * stride);
                    if columns == PANEL {
                        S::store(row, low);
                        S::store(row.add(4), high);
                    } else {
                        let mut rest = [0.0f32; PANEL];
                        S::store(rest.as_mut_ptr(), low);
                        S::store(rest.as_mut_ptr().add(4), high);
                        row.copy_from_nonoverlapping(rest.as_ptr(), columns);
                    }
                }
            }
            (a, out) = (a.wrapping_add(R * a_stride), out.wrapping_add(R * stride));
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
