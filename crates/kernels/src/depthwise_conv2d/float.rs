//! DEPTHWISE_CONV_2D of float32 tensors.

use core::ops::Range;

use super::edges::{Edges, GROUP, groups};
use super::{inside, picture_row, row_kernel, unrolled};
use crate::aligned::AlignedVec;
use crate::reference::FloatWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::simd::Simd;
use crate::unary::clamp;

/// Channels of a step.
const CHANNELS: usize = 4;

/// A packed DEPTHWISE_CONV_2D of float32 tensors with a multiplier of 1.
#[derive(Clone)]
pub struct DepthwiseFloat {
    shape: DepthwiseShape,
    edges: Edges,
    /// `[channels / 4][taps][4]`, see [`first_of`].
    weights: AlignedVec<f32>,
    bias: AlignedVec<f32>,
    range: [f32; 2],
}

impl DepthwiseFloat {
    /// Packs weights `[1, kernel_h, kernel_w, channels]`.
    ///
    /// # Panics
    /// Where the multiplier is not 1.
    pub fn new(shape: DepthwiseShape, weights: &FloatWeights) -> Self {
        assert_eq!(shape.multiplier, 1);
        let taps = shape.window.kernel_h * shape.window.kernel_w;
        let blocks = shape.in_c.div_ceil(CHANNELS);
        let mut packed = AlignedVec::zeroed(blocks * taps * CHANNELS);
        let mut bias = AlignedVec::zeroed(blocks * CHANNELS);
        for at in 0..blocks * CHANNELS {
            let (block, lane) = (at / CHANNELS, at % CHANNELS);
            let c = first_of(block, shape.in_c) + lane;
            if c < shape.in_c {
                for tap in 0..taps {
                    packed[(block * taps + tap) * CHANNELS + lane] =
                        weights.values[tap * shape.in_c + c];
                }
                bias[at] = weights.bias.map_or(0.0, |bias| bias[c]);
            }
        }
        let edges = Edges::new(&shape.window);
        Self { shape, edges, weights: packed, bias, range: weights.activation }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The size and stride of the window, where [`Self::group`] computes it.
    fn row_kernel(&self) -> Option<(usize, usize)> {
        row_kernel(&self.shape.window).filter(|_| self.shape.in_c >= CHANNELS)
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self.row_kernel() {
            Some(_) => "depthwise rows f32",
            None => "depthwise windows f32",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.bias.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: columns at the edges.
    pub fn scratch_bytes(&self) -> usize {
        match self.row_kernel() {
            Some(_) => self.edges.len(&self.shape) * size_of::<f32>(),
            None => 0,
        }
    }

    /// Computes the output rows `rows` of `[n * out_h]` into `out`, which holds just these.
    /// `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[f32],
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let window = &self.shape.window;
        let row_len = window.out_w * self.shape.in_c;
        assert_eq!(out.len(), rows.len() * row_len);
        let scratch = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_bytes()]);
        match self.row_kernel() {
            Some((3, 1)) => self.run_rows::<S, 3, 1>(input, rows, out, scratch),
            Some((3, _)) => self.run_rows::<S, 3, 2>(input, rows, out, scratch),
            Some((_, 1)) => self.run_rows::<S, 5, 1>(input, rows, out, scratch),
            Some(_) => self.run_rows::<S, 5, 2>(input, rows, out, scratch),
            None => self.run_windows::<S>(input, rows, out),
        }
    }

    /// Output rows of a `K` x `K` window.
    #[inline(always)]
    fn run_rows<S: Simd, const K: usize, const STRIDE: usize>(
        &self,
        input: &[f32],
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (window, channels) = (&self.shape.window, self.shape.in_c);
        let mut lines = self.edges.lines::<K>(&self.shape, input, scratch);
        for (row, out) in rows.zip(out.chunks_exact_mut(window.out_w * channels)) {
            lines.go_to(picture_row(window, row));
            for x in groups(window) {
                let count = window.out_w.min(GROUP);
                let out = &mut out[x * channels..][..count * channels];
                // SAFETY: the lines hold the columns of a group of pixels, `out` its pixels.
                unsafe { self.group::<S, K, STRIDE>(&lines.of(x), out.as_mut_ptr(), count) };
            }
        }
    }

    /// All channels of `count` output pixels side by side, at most [`GROUP`]. A column is loaded
    /// once for all pixels that see it, a weight once for the group.
    ///
    /// Measured in Chromium on 3x3 and 5x5 windows of 28x28 and 14x14: 10-12 GMAC/s, where pairs
    /// of pixels along a padded copy made 6-8. The rows of a window are a loop: V8 computes a
    /// product where it is used, so that without one all loads come first and are spilled (6-9).
    ///
    /// # Safety
    /// Each of `lines` is readable for the columns of a whole group of pixels, `out` writable for
    /// `count` pixels.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn group<S: Simd, const K: usize, const STRIDE: usize>(
        &self,
        lines: &[*const f32],
        out: *mut f32,
        count: usize,
    ) {
        let channels = self.shape.in_c;
        let (min, max) = (S::f32x4_splat(self.range[0]), S::f32x4_splat(self.range[1]));
        for block in 0..channels.div_ceil(CHANNELS) {
            let first = first_of(block, channels);
            // SAFETY: packed weights and biases have 4 channels a block; the rest is the caller's.
            unsafe {
                let mut weights = self.weights.as_ptr().add(block * K * K * CHANNELS);
                let mut sums = [S::load(self.bias.as_ptr().add(block * CHANNELS)); GROUP];
                for &line in lines {
                    let row: [_; K] =
                        core::array::from_fn(|kx| S::load(weights.add(kx * CHANNELS)));
                    weights = weights.add(K * CHANNELS);
                    let mut column = line.wrapping_add(first);
                    unrolled!(COLUMN in 0 1 2 3 4 5 6 7 8 9 10 {
                        if COLUMN < (GROUP - 1) * STRIDE + K {
                            let x = S::load(column);
                            unrolled!(P in 0 1 2 3 {
                                if COLUMN >= P * STRIDE && COLUMN < P * STRIDE + K {
                                    sums[P] = S::f32x4_madd(x, row[COLUMN - P * STRIDE], sums[P]);
                                }
                            });
                            column = column.wrapping_add(channels);
                        }
                    });
                }
                let sums = sums.map(|sum| S::f32x4_pmin(S::f32x4_pmax(sum, min), max));
                let mut out = out.add(first);
                for (_, sum) in (0..count).zip(sums) {
                    S::store(out, sum);
                    out = out.wrapping_add(channels);
                }
            }
        }
    }

    /// Output rows of any window: [`GROUP`] pixels together where all their columns are in the
    /// picture, others one by one. Taps in the padding are left out.
    fn run_windows<S: Simd>(&self, input: &[f32], rows: Range<usize>, out: &mut [f32]) {
        let DepthwiseShape { window, in_c: channels, .. } = self.shape;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * channels);
        let [_, column_stride] = window.stride;
        let columns = |x: usize| {
            let first = x * column_stride;
            inside(first, window.pad_left, window.kernel_w, window.dilation[1], window.in_w)
        };
        for (row, out) in rows.zip(out.chunks_exact_mut(window.out_w * channels)) {
            let [n, y] = picture_row(&window, row);
            let first_row = y * window.stride[0];
            let rows =
                inside(first_row, window.pad_top, window.kernel_h, window.dilation[0], window.in_h);
            let mut x = 0;
            while x < window.out_w {
                let whole = 0..window.kernel_w;
                let last = x + GROUP - 1;
                let is_group = last < window.out_w && columns(x) == whole && columns(last) == whole;
                let taps = Taps { rows: rows.clone(), columns: columns(x) };
                let at = [
                    (first_row + taps.rows.start * window.dilation[0]).wrapping_sub(window.pad_top),
                    (x * column_stride + taps.columns.start * window.dilation[1])
                        .wrapping_sub(window.pad_left),
                ];
                let at = if taps.rows.is_empty() || taps.columns.is_empty() {
                    input.as_ptr()
                } else {
                    let pixel = (n * window.in_h + at[0]) * window.in_w + at[1];
                    input[pixel * channels..].as_ptr()
                };
                let count = if is_group { GROUP } else { 1 };
                let out = out[x * channels..][..count * channels].as_mut_ptr();
                // SAFETY: all taps of all pixels are in the picture; `out` has the pixels.
                unsafe {
                    if channels < CHANNELS {
                        self.few(at, &taps, count, out);
                    } else if is_group {
                        self.pixels::<S, GROUP, 2>(at, &taps, out);
                    } else {
                        self.pixels::<S, 1, 4>(at, &taps, out);
                    }
                }
                x += count;
            }
        }
    }

    /// All channels of `P` output pixels side by side, `B` blocks of them together, with the same
    /// taps of each.
    ///
    /// # Safety
    /// `at` points to the first tap of the first pixel, all taps of all pixels are readable, and `out`
    /// is writable for the pixels.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn pixels<S: Simd, const P: usize, const B: usize>(
        &self,
        at: *const f32,
        taps: &Taps,
        out: *mut f32,
    ) {
        let blocks = self.shape.in_c.div_ceil(CHANNELS);
        let whole = blocks / B * B;
        // SAFETY: the caller's.
        unsafe {
            for block in (0..whole).step_by(B) {
                self.blocks::<S, P, B>(at, taps, block, out);
            }
            for block in whole..blocks {
                self.blocks::<S, P, 1>(at, taps, block, out);
            }
        }
    }

    /// `B` blocks of channels of `P` output pixels.
    ///
    /// # Safety
    /// As for [`Self::pixels`].
    #[inline(always)]
    unsafe fn blocks<S: Simd, const P: usize, const B: usize>(
        &self,
        at: *const f32,
        taps: &Taps,
        block: usize,
        out: *mut f32,
    ) {
        let DepthwiseShape { window, in_c: channels, .. } = self.shape;
        let row_step = window.dilation[0] * window.in_w * channels;
        let column_step = window.dilation[1] * channels;
        let pixel_step = window.stride[1] * channels;
        let block_len = window.kernel_h * window.kernel_w * CHANNELS;
        let firsts: [usize; B] = core::array::from_fn(|b| first_of(block + b, channels));
        // SAFETY: packed weights and biases have 4 channels a block; the rest is the caller's.
        unsafe {
            let weights = self.weights.as_ptr().add(block * block_len);
            let bias = self.bias.as_ptr().add(block * CHANNELS);
            let mut sums: [[S::V; P]; B] =
                core::array::from_fn(|b| [S::load(bias.add(b * CHANNELS)); P]);
            let mut line = at;
            for ky in taps.rows.clone() {
                let first = (ky * window.kernel_w + taps.columns.start) * CHANNELS;
                let mut weights = weights.add(first);
                let mut column = line;
                for _ in taps.columns.clone() {
                    for (b, sums) in sums.iter_mut().enumerate() {
                        let weight = S::load(weights.add(b * block_len));
                        for (p, sum) in sums.iter_mut().enumerate() {
                            let x = S::load(column.add(firsts[b] + p * pixel_step));
                            *sum = S::f32x4_madd(x, weight, *sum);
                        }
                    }
                    weights = weights.add(CHANNELS);
                    column = column.wrapping_add(column_step);
                }
                line = line.wrapping_add(row_step);
            }
            let (min, max) = (S::f32x4_splat(self.range[0]), S::f32x4_splat(self.range[1]));
            for (first, sums) in firsts.into_iter().zip(sums) {
                for (p, sum) in sums.into_iter().enumerate() {
                    let sum = S::f32x4_pmin(S::f32x4_pmax(sum, min), max);
                    S::store(out.add(first + p * channels), sum);
                }
            }
        }
    }

    /// Output pixels of fewer channels than a block has.
    ///
    /// # Safety
    /// As for [`Self::pixels`], of `count` pixels.
    unsafe fn few(&self, at: *const f32, taps: &Taps, count: usize, out: *mut f32) {
        let DepthwiseShape { window, in_c: channels, .. } = self.shape;
        for (pixel, c) in (0..count).flat_map(|pixel| (0..channels).map(move |c| (pixel, c))) {
            let mut sum = self.bias[c];
            for (row, ky) in taps.rows.clone().enumerate() {
                for (column, kx) in taps.columns.clone().enumerate() {
                    let x = row * window.dilation[0] * window.in_w
                        + column * window.dilation[1]
                        + pixel * window.stride[1];
                    let weight = self.weights[(ky * window.kernel_w + kx) * CHANNELS + c];
                    // SAFETY: the caller's.
                    sum += weight * unsafe { at.add(x * channels + c).read() };
                }
            }
            // SAFETY: the caller's.
            unsafe { out.add(pixel * channels + c).write(clamp(sum, self.range)) };
        }
    }
}

/// The taps of a window that are in the picture.
struct Taps {
    rows: Range<usize>,
    columns: Range<usize>,
}

/// The first channel of a block: the last block reaches back where channels are no multiple of 4.
fn first_of(block: usize, channels: usize) -> usize {
    (block * CHANNELS).min(channels.saturating_sub(CHANNELS))
}
