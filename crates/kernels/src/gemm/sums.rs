//! Sums of an i16-pair product as floats, for operands whose zero point and scale are computed
//! while the model runs.
//!
//! The sums are exact. Scaling and shifting are a multiplication and an addition that round apart,
//! as the two operators do whose work this is.

use super::words::{PackedWords, dot_tile};
use super::{PANEL, TILE_ROWS};
use crate::simd::Simd;

/// What becomes of sums: `clamp(sum * factor + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// The zero point of the rows. The weights were packed for rows with zero point 1, so that the
    /// biases are those of any other zero point but for a factor: the zero point.
    pub zero_point: i32,
    /// One for each column, or one for all.
    pub factors: &'a [f32],
    /// One for each column, or one for all.
    pub bias: &'a [f32],
    /// Least and greatest result.
    pub activation: [f32; 2],
}

/// What a panel's columns need, in registers.
struct Panel<S: Simd> {
    start: [S::V; 2],
    factors: [S::V; 2],
    bias: [S::V; 2],
    bounds: [S::V; 2],
    columns: usize,
}

/// Rows of the result: where they begin, how many there are, how far they are apart.
#[derive(Clone, Copy)]
struct Rows {
    out: *mut f32,
    count: usize,
    stride: usize,
}

impl PackedWords {
    /// `rows` packed rows times the weights, into `out[row * stride + column]`.
    pub fn multiply_f32<S: Simd>(
        &self,
        packed: &[u8],
        rows: usize,
        finish: &Finish,
        out: &mut [f32],
        stride: usize,
    ) {
        let columns = self.columns();
        assert!(rows.div_ceil(TILE_ROWS) * self.tile_bytes() <= packed.len());
        assert!(rows == 0 || (rows - 1) * stride + columns <= out.len());
        for first in (0..columns).step_by(PANEL) {
            let panel = finish.panel::<S>(self.panel_bias(first / PANEL), first, columns);
            let out = Rows { out: out[first..].as_mut_ptr(), count: rows, stride };
            // SAFETY: `packed` holds all tiles, `out` all rows, as asserted.
            unsafe {
                // One row, as most FULLY_CONNECTED have, and else whole tiles: the last one's
                // surplus rows are not stored.
                match rows {
                    1 => self.float_panel::<S, 1>(packed, first / PANEL, &panel, out),
                    _ => self.float_panel::<S, TILE_ROWS>(packed, first / PANEL, &panel, out),
                }
            }
        }
    }

    /// Rows by one panel, of each tile the first `R`.
    ///
    /// # Safety
    /// `packed` holds tiles for all rows, of each of which `out` is writable for the panel's
    /// columns.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn float_panel<S: Simd, const R: usize>(
        &self,
        packed: &[u8],
        at: usize,
        panel: &Panel<S>,
        mut rows: Rows,
    ) {
        let (b, pairs) = self.panel_pairs(at);
        let mut a = packed.as_ptr();
        while rows.count > 0 {
            // SAFETY: a tile holds `pairs` groups of 8 elements, `b` of 16.
            let sums = unsafe { dot_tile::<S, R>(a.cast(), b.as_ptr(), pairs, panel.start) };
            for (r, sums) in sums.into_iter().enumerate().take(rows.count) {
                // SAFETY: the caller's.
                unsafe { panel.store(sums, rows.out.add(r * rows.stride)) };
            }
            a = a.wrapping_add(self.tile_bytes());
            rows.out = rows.out.wrapping_add(TILE_ROWS * rows.stride);
            rows.count = rows.count.saturating_sub(R);
        }
    }
}

impl Finish<'_> {
    fn panel<S: Simd>(&self, bias: &[i32; PANEL], first: usize, columns: usize) -> Panel<S> {
        let columns = (columns - first).min(PANEL);
        let floats = |values: &[f32]| {
            let mut lanes = [values[0]; PANEL];
            if values.len() > 1 {
                lanes[..columns].copy_from_slice(&values[first..first + columns]);
            }
            lanes
        };
        Panel {
            start: load::<S, _>(&bias.map(|bias| bias.wrapping_mul(self.zero_point))),
            factors: load::<S, _>(&floats(self.factors)),
            bias: load::<S, _>(&floats(self.bias)),
            bounds: self.activation.map(S::f32x4_splat),
            columns,
        }
    }
}

fn load<S: Simd, T>(values: &[T; PANEL]) -> [S::V; 2] {
    const { assert!(size_of::<T>() == 4) }
    // SAFETY: 8 elements of 4 bytes.
    unsafe { [S::load(values.as_ptr()), S::load(values.as_ptr().add(4))] }
}

impl<S: Simd> Panel<S> {
    /// Finishes a row of sums.
    ///
    /// # Safety
    /// `row` is writable for the panel's columns.
    #[inline(always)]
    unsafe fn store(&self, sums: [S::V; 2], row: *mut f32) {
        let finish = |half: usize| {
            let scaled = S::f32x4_mul(S::f32x4_convert_i32x4(sums[half]), self.factors[half]);
            let shifted = S::f32x4_add(scaled, self.bias[half]);
            S::f32x4_pmin(S::f32x4_pmax(shifted, self.bounds[0]), self.bounds[1])
        };
        let (low, high) = (finish(0), finish(1));
        let mut rest = [0.0f32; PANEL];
        let is_whole = self.columns == PANEL;
        // SAFETY: the caller's, where the panel is whole; else 8 elements of `rest`.
        unsafe {
            let to = if is_whole { row } else { rest.as_mut_ptr() };
            S::store(to, low);
            S::store(to.add(4), high);
            if !is_whole {
                row.copy_from_nonoverlapping(rest.as_ptr(), self.columns);
            }
        }
    }
}
