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

/// What becomes of sums of rows that have zero points and steps of their own:
/// `clamp(sum * step * scale + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct RowFinish<'a> {
    /// One for each row, or one for all. The weights were packed for rows with zero point 1.
    pub zero_points: &'a [u8],
    /// As many.
    pub steps: &'a [f32],
    /// One for each column.
    pub scale: &'a [f32],
    /// One for each column.
    pub bias: &'a [f32],
    /// Least and greatest result.
    pub activation: [f32; 2],
}

/// What ends the sums of a panel.
trait End<S: Simd> {
    /// What sums begin with.
    fn start(&self) -> [S::V; 2];

    /// Finishes the sums of row `at` and stores them.
    ///
    /// # Safety
    /// `row` is writable for the panel's columns.
    unsafe fn store(&self, at: usize, sums: [S::V; 2], row: *mut f32);
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
    first: usize,
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
        let panel = |first| finish.panel::<S>(self.panel_bias(first / PANEL), first, columns);
        self.float_panels::<S, _>(packed, rows, out, stride, panel);
    }

    /// The same where rows have zero points and steps of their own.
    pub fn multiply_rows<S: Simd>(
        &self,
        packed: &[u8],
        rows: usize,
        finish: &RowFinish,
        out: &mut [f32],
        stride: usize,
    ) {
        let columns = self.columns();
        let grids = [finish.zero_points.len(), finish.steps.len()];
        assert!(grids == [1; 2] || grids == [rows; 2]);
        let panel = |first| finish.panel::<S>(self.panel_bias(first / PANEL), first, columns);
        self.float_panels::<S, _>(packed, rows, out, stride, panel);
    }

    /// All panels, of which `panel` gives what ends the one that begins with a column.
    #[inline(always)]
    fn float_panels<S: Simd, E: End<S>>(
        &self,
        packed: &[u8],
        rows: usize,
        out: &mut [f32],
        stride: usize,
        panel: impl Fn(usize) -> E,
    ) {
        let columns = self.columns();
        assert!(rows.div_ceil(TILE_ROWS) * self.tile_bytes() <= packed.len());
        assert!(rows == 0 || (rows - 1) * stride + columns <= out.len());
        for first in (0..columns).step_by(PANEL) {
            let panel = panel(first);
            let out = Rows { first: 0, out: out[first..].as_mut_ptr(), count: rows, stride };
            // SAFETY: `packed` holds all tiles, `out` all rows, as asserted.
            unsafe {
                // One row, as most FULLY_CONNECTED have, and else whole tiles: the last one's
                // surplus rows are not stored.
                match rows {
                    1 => self.float_panel::<S, 1, E>(packed, first / PANEL, &panel, out),
                    _ => self.float_panel::<S, TILE_ROWS, E>(packed, first / PANEL, &panel, out),
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
    unsafe fn float_panel<S: Simd, const R: usize, E: End<S>>(
        &self,
        packed: &[u8],
        at: usize,
        panel: &E,
        mut rows: Rows,
    ) {
        let (b, pairs) = self.panel_pairs(at);
        let mut a = packed.as_ptr();
        while rows.count > 0 {
            // SAFETY: a tile holds `pairs` groups of 8 elements, `b` of 16.
            let sums = unsafe { dot_tile::<S, R>(a.cast(), b.as_ptr(), pairs, panel.start()) };
            for (r, sums) in sums.into_iter().enumerate().take(rows.count) {
                // SAFETY: the caller's.
                unsafe { panel.store(rows.first + r, sums, rows.out.add(r * rows.stride)) };
            }
            a = a.wrapping_add(self.tile_bytes());
            rows.first += TILE_ROWS;
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
    /// Scales, shifts and clamps a row of sums, and stores it.
    ///
    /// # Safety
    /// `row` is writable for the panel's columns.
    #[inline(always)]
    unsafe fn finish(&self, sums: [S::V; 2], row: *mut f32) {
        let finish = |half: usize| {
            let scaled = S::f32x4_mul(sums[half], self.factors[half]);
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

impl<S: Simd> End<S> for Panel<S> {
    #[inline(always)]
    fn start(&self) -> [S::V; 2] {
        self.start
    }

    #[inline(always)]
    unsafe fn store(&self, _: usize, sums: [S::V; 2], row: *mut f32) {
        // SAFETY: the caller's.
        unsafe { self.finish(sums.map(S::f32x4_convert_i32x4), row) };
    }
}

/// A panel with the grids of rows: what a panel's sums begin with belongs to a zero point of 1.
struct RowPanel<'a, S: Simd> {
    panel: Panel<S>,
    zero_points: &'a [u8],
    steps: &'a [f32],
}

impl<'a> RowFinish<'a> {
    fn panel<S: Simd>(&self, bias: &[i32; PANEL], first: usize, columns: usize) -> RowPanel<'a, S> {
        let &Self { zero_points, steps, scale, bias: shift, activation } = self;
        let finish = Finish { zero_point: 1, factors: scale, bias: shift, activation };
        RowPanel { panel: finish.panel(bias, first, columns), zero_points, steps }
    }
}

impl<S: Simd> End<S> for RowPanel<'_, S> {
    #[inline(always)]
    fn start(&self) -> [S::V; 2] {
        [S::i32x4_splat(0); 2]
    }

    #[inline(always)]
    unsafe fn store(&self, at: usize, sums: [S::V; 2], row: *mut f32) {
        let at = if self.steps.len() == 1 { 0 } else { at };
        let zero_point = S::i32x4_splat(self.zero_points[at].into());
        let step = S::f32x4_splat(self.steps[at]);
        let sums = [0, 1].map(|half| {
            let shift = S::i32x4_mul(self.panel.start[half], zero_point);
            let sum = S::i32x4_add(sums[half], shift);
            S::f32x4_mul(S::f32x4_convert_i32x4(sum), step)
        });
        // SAFETY: the caller's.
        unsafe { self.panel.finish(sums, row) };
    }
}
