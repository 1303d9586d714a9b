//! f32 matrix product.
//!
//! ```text
//! A  rows (pixels)    four pointers, read in place: runs of elements
//! B  weights          packed [out / 8][k][8 columns], made once
//! C  out              [rows][out], clamped to the activation's range in the store
//! ```
//!
//! Weights may be packed where they are, in the memory of the model's file ([`pack_in_place`]): a panel
//! has the elements of its columns in another order. To pack them elsewhere takes memory that the
//! system has to give first, which takes as long as the packing.
//!
//! Tried and lost: Strassen's algorithm (one level, Winograd's form, sums of weights packed, sums
//! of products in the stores) on pointwise layers of 128 channels and more. It saves an eighth of
//! the multiplications, and 5 % of the time of 196 rows by 512 x 512: tiles half as deep and the
//! sums take the rest. MobileNet V1 gained 3 %, for 75 % more memory and twice the error.

use super::PANEL;
use super::ahead::Ahead;
use super::packing::{BLOCK, pack_floats};
use crate::aligned::AlignedVec;
use crate::shared::Shared;
use crate::simd::{Native, Simd};

/// Rows of a tile.
const ROWS: usize = 4;

/// The same where a product and its sum are one instruction, which needs no register between: 10 sums,
/// the weights of 8 columns and one element of a row are 13 vectors, in that order of instructions,
/// to which the shipped build keeps (xtask/src/wasm.rs). All of MobileNet V1 30.3 -> 29.1 ms, V2 17.5 ->
/// 16.5 in Chromium 156 (the least of interleaved runs, classifiers of both builds in one page).
/// With 6 rows V1 gained 7 % in place of 4, V2 as much, but in Firefox 153, which puts vectors into
/// memory, V2 lost 19 % (25.5 -> 30.4 ms) in place of 4.
const RELAXED_ROWS: usize = 5;

/// Panels that a row without a tile is multiplied by at once: one at a time each sum would wait for
/// the last, so that the 49th pixel of 7x7 took as long as a tile of four.
const ROW_PANELS: usize = 4;

/// Where the elements of a row lie: `count` runs of `len`, each `stride` after the one before.
#[derive(Clone, Copy)]
pub struct Runs {
    /// Runs of a row.
    pub count: usize,
    /// Elements of a run.
    pub len: usize,
    /// Elements from one run to the next.
    pub stride: usize,
}

impl Runs {
    /// A row of one run.
    pub fn one(len: usize) -> Self {
        Self { count: 1, len, stride: 0 }
    }

    /// Elements from the first to the last.
    fn span(&self) -> usize {
        (self.count - 1) * self.stride + self.len
    }
}

/// Weights and biases of a float matrix product, packed in panels of 8 columns.
#[derive(Clone)]
pub struct PackedWeights {
    columns: usize,
    k: usize,
    panels: Panels,
    bias: AlignedVec<f32>,
    range: (f32, f32),
}

/// Panels of 8 columns, `[k][8]` each.
#[derive(Clone)]
enum Panels {
    /// In memory of their own.
    Own(AlignedVec<f32>),
    /// Where the weights were, but for the last panel if its columns are fewer than 8.
    InPlace(Shared<f32>, AlignedVec<f32>),
    /// The same of float16, which is widened panel by panel when it is needed.
    Halves(Shared<u16>, AlignedVec<f32>),
}

/// A matrix in panels of 8 columns, of which some may be elsewhere: what [`PackedWeights`] is without
/// its memory.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    columns: usize,
    k: usize,
    panels: &'a [f32],
    /// The last panel, where it is not one of `panels`.
    last: &'a [f32],
    /// In place of `panels`: float16, which is widened panel by panel.
    halves: Option<&'a [u16]>,
    /// Of all columns of all panels; empty for zeros.
    bias: &'a [f32],
    range: (f32, f32),
}

impl<'a> Matrix<'a> {
    /// Panels that [`pack_panels`] made, without biases and bounds.
    pub fn new(columns: usize, k: usize, panels: &'a [f32]) -> Self {
        assert_eq!(panels.len(), columns.next_multiple_of(PANEL) * k);
        let range = (f32::NEG_INFINITY, f32::INFINITY);
        Self { columns, k, panels, last: &[], halves: None, bias: &[], range }
    }

    /// A panel; `None` behind the last.
    #[inline(always)]
    fn panel_of(&self, panel: usize) -> Option<&'a [f32]> {
        let len = self.k * PANEL;
        let last = (panel == self.panels.len() / len).then_some(self.last);
        let range = panel * len..(panel + 1) * len;
        self.panels.get(range).or(last.filter(|last| last.len() == len))
    }
}

/// Packs a matrix of `k` rows and `columns` columns, whose neighbours in a row and in a column lie
/// `strides` apart, into panels.
pub fn pack_panels(
    [columns, k]: [usize; 2],
    [row, column]: [usize; 2],
    from: &[f32],
    panels: &mut [f32],
) {
    for (panel, to) in panels.chunks_exact_mut(k * PANEL).enumerate() {
        let first = panel * PANEL;
        let count = (columns - first).min(PANEL);
        if row == 1 && count == PANEL {
            // Columns one after another: transposed in registers.
            pack(k, &from[first * column..][..k * PANEL], to);
            continue;
        }
        for (at, to) in to.chunks_exact_mut(PANEL).enumerate() {
            if column == 1 && count == PANEL {
                to.copy_from_slice(&from[at * row + first..][..PANEL]);
                continue;
            }
            for (i, to) in to.iter_mut().enumerate() {
                *to = if i < count { from[at * row + (first + i) * column] } else { 0.0 };
            }
        }
    }
}

/// Packs weights `[columns][k]` where they are, each 8 columns to a panel; what is left of them stays
/// as it is.
pub fn pack_in_place(k: usize, weights: &mut [f32]) {
    if weights.len() < k * PANEL {
        return;
    }
    let mut columns = vec![0.0; k * PANEL];
    for panel in weights.chunks_exact_mut(k * PANEL) {
        columns.copy_from_slice(panel);
        pack(k, &columns, panel);
    }
}

/// The same of float16; `false` where an element is no number, and nothing was done.
#[must_use]
pub fn pack_halves_in_place(k: usize, weights: &mut [u16]) -> bool {
    /// Where all of these bits are set, the element is an infinity or not a number.
    const EXPONENT: u16 = 0x7c00;
    if weights.iter().any(|half| half & EXPONENT == EXPONENT) {
        return false;
    }
    let mut columns = vec![0; k * PANEL];
    for panel in weights.chunks_exact_mut(k * PANEL) {
        columns.copy_from_slice(panel);
        for (at, row) in panel.chunks_exact_mut(PANEL).enumerate() {
            for (column, half) in row.iter_mut().enumerate() {
                *half = columns[column * k + at];
            }
        }
    }
    true
}

/// Float16 numbers as float32: the same bits in other places, whose exponent begins 112 lower.
#[inline(never)]
fn widen(halves: &[u16], out: &mut [f32]) {
    /// 2^112, which also makes normal numbers of those that float16 has below its least exponent.
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    for (out, &half) in out.iter_mut().zip(halves) {
        let half = u32::from(half);
        let size = f32::from_bits((half & 0x7fff) << 13) * SCALE;
        *out = f32::from_bits(size.to_bits() | (half & 0x8000) << 16);
    }
}

/// Packs at most 8 columns into a panel of zeros, or all 8 into any.
fn pack(k: usize, weights: &[f32], panel: &mut [f32]) {
    // Columns that are not there weigh nothing.
    let absent = vec![0.0; if weights.len() < panel.len() { k } else { 0 }];
    for first in (0..weights.len() / k).step_by(BLOCK) {
        let block = core::array::from_fn(|i| {
            weights.get((first + i) * k..(first + i + 1) * k).unwrap_or(&absent)
        });
        pack_floats::<Native>(block, &mut panel[first..]);
    }
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
        let mut panels = AlignedVec::with_capacity(columns.next_multiple_of(PANEL) * k);
        for columns in weights[..columns * k].chunks(k * PANEL) {
            let packed = panels.len();
            panels.grow(packed + k * PANEL);
            pack(k, columns, &mut panels[packed..]);
        }
        Self::with_panels(columns, k, Panels::Own(panels), bias, range)
    }

    /// The same of weights `[columns][k]` that [`pack_in_place`] has packed.
    pub fn in_place(
        columns: usize,
        k: usize,
        weights: Shared<f32>,
        bias: Option<&[f32]>,
        range: (f32, f32),
    ) -> Self {
        assert_eq!(weights.len(), columns * k);
        let rest = &weights[columns / PANEL * PANEL * k..];
        let mut last = AlignedVec::zeroed(if rest.is_empty() { 0 } else { k * PANEL });
        pack(k, rest, &mut last);
        Self::with_panels(columns, k, Panels::InPlace(weights, last), bias, range)
    }

    /// The same of float16 that [`pack_halves_in_place`] has packed.
    pub fn halves(
        columns: usize,
        k: usize,
        weights: Shared<u16>,
        bias: Option<&[f32]>,
        range: (f32, f32),
    ) -> Self {
        assert_eq!(weights.len(), columns * k);
        let halves = &weights[columns / PANEL * PANEL * k..];
        let mut rest = vec![0.0; halves.len()];
        widen(halves, &mut rest);
        let mut last = AlignedVec::zeroed(if rest.is_empty() { 0 } else { k * PANEL });
        pack(k, &rest, &mut last);
        Self::with_panels(columns, k, Panels::Halves(weights, last), bias, range)
    }

    fn with_panels(
        columns: usize,
        k: usize,
        panels: Panels,
        bias: Option<&[f32]>,
        range: (f32, f32),
    ) -> Self {
        let mut packed_bias = AlignedVec::zeroed(columns.next_multiple_of(PANEL));
        if let Some(bias) = bias {
            packed_bias[..columns].copy_from_slice(&bias[..columns]);
        }
        Self { columns, k, panels, bias: packed_bias, range }
    }

    /// Elements of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        let panels = match &self.panels {
            Panels::Own(panels) => panels.size_bytes(),
            Panels::InPlace(weights, last) => size_of_val(&**weights) + last.size_bytes(),
            Panels::Halves(weights, last) => size_of_val(&**weights) + last.size_bytes(),
        };
        panels + self.bias.size_bytes()
    }

    /// Elements of scratch that [`Self::multiply`] needs.
    pub fn scratch_len(&self) -> usize {
        match self.panels {
            Panels::Halves(..) => self.k * PANEL,
            _ => 0,
        }
    }

    /// The matrix.
    #[inline(always)]
    fn matrix(&self) -> Matrix<'_> {
        let (panels, last, halves): (&[f32], &[f32], Option<&[u16]>) = match &self.panels {
            Panels::Own(panels) => (panels, &[], None),
            Panels::InPlace(whole, last) => {
                (&whole[..self.columns / PANEL * PANEL * self.k], last, None)
            }
            Panels::Halves(halves, last) => (&[], last, Some(halves)),
        };
        let Self { columns, k, range, ref bias, .. } = *self;
        Matrix { columns, k, panels, last, halves, bias, range }
    }

    /// [`Matrix::multiply`].
    #[allow(clippy::too_many_arguments, reason = "two matrices with their strides")]
    pub fn multiply<S: Simd>(
        &self,
        a: &[f32],
        a_stride: usize,
        runs: Runs,
        rows: usize,
        out: &mut [f32],
        stride: usize,
        scratch: &mut [f32],
    ) {
        self.matrix().multiply::<S>(a, a_stride, runs, rows, out, stride, scratch);
    }
}

impl Matrix<'_> {
    /// `rows` rows times the weights, into `out[row * stride + column]`; the `k` elements of row `r`
    /// of `a` are `runs` that begin at `r * a_stride`. `scratch` has at least [`PackedWeights::scratch_len`]
    /// elements.
    #[allow(clippy::too_many_arguments, reason = "two matrices with their strides")]
    pub fn multiply<S: Simd>(
        &self,
        a: &[f32],
        a_stride: usize,
        runs: Runs,
        rows: usize,
        out: &mut [f32],
        stride: usize,
        scratch: &mut [f32],
    ) {
        if rows == 0 {
            return;
        }
        assert_eq!(runs.count * runs.len, self.k);
        assert!((rows - 1) * a_stride + runs.span() <= a.len());
        assert!((rows - 1) * stride + self.columns <= out.len());
        let (a, out) = (a.as_ptr(), out.as_mut_ptr());
        let tile_rows = if S::HAS_BYTE_DOT { RELAXED_ROWS } else { ROWS };
        let full = rows / tile_rows * tile_rows;
        let panels = self.columns.div_ceil(PANEL);
        if let Some(halves) = self.halves {
            let last = self.last;
            let wide = &mut scratch[..self.k * PANEL];
            for panel in 0..panels {
                let panel_len = self.k * PANEL;
                let weights = match halves.get(panel * panel_len..(panel + 1) * panel_len) {
                    Some(halves) => {
                        widen(halves, wide);
                        wide.as_ptr()
                    }
                    None => last.as_ptr(),
                };
                // SAFETY: `a` and `out` hold all rows, as asserted; the panel is whole.
                unsafe {
                    if full > 0 {
                        let weights = (weights, &[][..]);
                        if S::HAS_BYTE_DOT {
                            self.panel::<S, RELAXED_ROWS>(
                                a, a_stride, runs, panel, weights, full, out, stride,
                            );
                        } else {
                            self.panel::<S, ROWS>(
                                a, a_stride, runs, panel, weights, full, out, stride,
                            );
                        }
                    }
                    for row in full..rows {
                        let (a, out) = (a.add(row * a_stride), out.add(row * stride));
                        self.row::<S, 1>(a, runs, panel, [weights], out);
                    }
                }
            }
            return;
        }
        for first in (0..panels).step_by(ROW_PANELS) {
            let end = panels.min(first + ROW_PANELS);
            // SAFETY: `a` and `out` hold all rows, as asserted.
            unsafe {
                if full > 0 {
                    for panel in first..end {
                        let next = self.panel_of(panel + 1).unwrap_or_default();
                        let weights = (self.weights(panel), next);
                        if S::HAS_BYTE_DOT {
                            self.panel::<S, RELAXED_ROWS>(
                                a, a_stride, runs, panel, weights, full, out, stride,
                            );
                        } else {
                            self.panel::<S, ROWS>(
                                a, a_stride, runs, panel, weights, full, out, stride,
                            );
                        }
                    }
                }
                // While their weights are in the cache.
                for row in full..rows {
                    let (a, out) = (a.add(row * a_stride), out.add(row * stride));
                    if end - first == ROW_PANELS {
                        let weights = core::array::from_fn(|p| self.weights(first + p));
                        self.row::<S, ROW_PANELS>(a, runs, first, weights, out);
                    } else {
                        for panel in first..end {
                            self.row::<S, 1>(a, runs, panel, [self.weights(panel)], out);
                        }
                    }
                }
            }
        }
    }

    /// `rows` rows, a multiple of a tile's, by one panel, clamped and stored; the panel's weights come
    /// with those of the next.
    ///
    /// # Safety
    /// `a` is readable for all rows, the weights for `k * 8`, `out` writable for all columns of them.
    // Not inlined: V8 allocates registers better in small functions.
    #[allow(clippy::too_many_arguments, reason = "pointers and strides of two matrices")]
    #[inline(never)]
    unsafe fn panel<S: Simd, const R: usize>(
        &self,
        mut a: *const f32,
        a_stride: usize,
        runs: Runs,
        panel: usize,
        (weights, next): (*const f32, &[f32]),
        rows: usize,
        mut out: *mut f32,
        stride: usize,
    ) {
        let epilogue = self.epilogue::<S>(panel);
        let tiles = rows / R;
        // All of them in the first tile, one miss behind the other: MobileNet V1 21.4 -> 20.9 ms, V2
        // 11.6 -> 11.4, EfficientNet-Lite0 15.2 -> 14.8 (medians of interleaved runs, AMD EPYC of family
        // 26). A share in each tile, which the bytes have, was no faster there than none.
        let mut ahead = Ahead::new(next, 1);
        for _ in 0..tiles {
            let rows: [_; R] = core::array::from_fn(|r| a.wrapping_add(r * a_stride));
            // SAFETY: each row has its runs, the panel `k * 8` weights; `out` is the caller's.
            unsafe {
                let sums = madd_tile::<S, R>(rows, weights, runs, epilogue.bias);
                for (r, sums) in sums.into_iter().enumerate() {
                    epilogue.store(sums, out.add(r * stride + panel * PANEL));
                }
            }
            ahead.read();
            a = a.wrapping_add(R * a_stride);
            out = out.wrapping_add(R * stride);
        }
    }

    /// One row by `P` panels, clamped and stored.
    ///
    /// # Safety
    /// As for [`Self::panel`].
    #[inline(never)]
    unsafe fn row<S: Simd, const P: usize>(
        &self,
        mut a: *const f32,
        runs: Runs,
        panel: usize,
        mut b: [*const f32; P],
        out: *mut f32,
    ) {
        let epilogues: [_; P] = core::array::from_fn(|p| self.epilogue::<S>(panel + p));
        let mut sums = epilogues.each_ref().map(|epilogue| epilogue.bias);
        // SAFETY: the row has its runs, each panel `k * 8` weights; `out` is the caller's.
        unsafe {
            for _ in 0..runs.count {
                for at in 0..runs.len {
                    let x = S::load32_splat(a.add(at));
                    for (sums, b) in sums.iter_mut().zip(&mut b) {
                        sums[0] = S::f32x4_madd(x, S::load(*b), sums[0]);
                        sums[1] = S::f32x4_madd(x, S::load(b.add(4)), sums[1]);
                        *b = b.add(PANEL);
                    }
                }
                a = a.wrapping_add(runs.stride);
            }
            for (p, (epilogue, sums)) in epilogues.iter().zip(sums).enumerate() {
                epilogue.store(sums, out.add((panel + p) * PANEL));
            }
        }
    }

    /// `[k][8 columns]` of a panel.
    #[inline(always)]
    fn weights(&self, panel: usize) -> *const f32 {
        self.panel_of(panel).expect("it is one of the panels").as_ptr()
    }

    #[inline(always)]
    fn epilogue<S: Simd>(&self, panel: usize) -> Epilogue<S> {
        let bias = match self.bias.get(panel * PANEL..(panel + 1) * PANEL) {
            // SAFETY: 8 biases.
            Some(bias) => unsafe { [S::load(bias.as_ptr()), S::load(bias[4..].as_ptr())] },
            None => [S::f32x4_splat(0.0); 2],
        };
        Epilogue {
            bias,
            range: [S::f32x4_splat(self.range.0), S::f32x4_splat(self.range.1)],
            columns: (self.columns - panel * PANEL).min(PANEL),
        }
    }
}

/// What a panel's sums begin with and become.
struct Epilogue<S: Simd> {
    bias: [S::V; 2],
    range: [S::V; 2],
    /// Columns that there are, at most [`PANEL`].
    columns: usize,
}

impl<S: Simd> Epilogue<S> {
    /// Clamps a row of sums and stores it.
    ///
    /// # Safety
    /// `out` is writable for the panel's columns.
    #[inline(always)]
    unsafe fn store(&self, sums: [S::V; 2], out: *mut f32) {
        let [min, max] = self.range;
        let [low, high] = sums.map(|v| S::f32x4_pmin(S::f32x4_pmax(v, min), max));
        // SAFETY: the caller's.
        unsafe {
            if self.columns == PANEL {
                S::store(out, low);
                S::store(out.add(4), high);
            } else {
                let mut rest = [0.0f32; PANEL];
                S::store(rest.as_mut_ptr(), low);
                S::store(rest.as_mut_ptr().add(4), high);
                out.copy_from_nonoverlapping(rest.as_ptr(), self.columns);
            }
        }
    }
}

/// A tile of `R` rows by 8 columns.
///
/// # Safety
/// Each row of `a` is readable for its runs, `b` for `k * 8`.
#[inline(always)]
unsafe fn madd_tile<S: Simd, const R: usize>(
    mut a: [*const f32; R],
    mut b: *const f32,
    runs: Runs,
    bias: [S::V; 2],
) -> [[S::V; 2]; R] {
    let mut sums = [bias; R];
    for _ in 0..runs.count {
        for at in 0..runs.len {
            // SAFETY: the caller's; each round reads one row of 8 columns and steps over it.
            let columns = unsafe { [S::load(b), S::load(b.add(4))] };
            for (sums, row) in sums.iter_mut().zip(a) {
                // SAFETY: `at` is within the run.
                let x = unsafe { S::load32_splat(row.add(at)) };
                for (sum, y) in sums.iter_mut().zip(columns) {
                    *sum = S::f32x4_madd(x, y, *sum);
                }
            }
            // SAFETY: at most one past the end.
            b = unsafe { b.add(PANEL) };
        }
        a = a.map(|row| row.wrapping_add(runs.stride));
    }
    sums
}
