//! DEPTHWISE_CONV_2D of 8-bit tensors on bytes, by exact relaxed dot products: one instruction
//! multiplies and adds four rows of a column for four channels.
//!
//! ```text
//! input    read in place                                  u8 or i8
//! line     quads, [columns][K / 4][8 channels][4 rows]    of 8 channels
//! weights  [channels / 8][output rows of a line][K columns][K / 4][8][4]
//!                                                         i8, 0 for the rows that are not there
//! ```
//!
//! A pixel of 8 channels costs 6 dot products of a 3x3 window where the words cost 10 products, 10
//! sums and 8 widenings, and its columns are interleaved once for all windows that see them: quads of
//! 4 rows hold those of two output rows, and two quads those of four with a window of 5x5. Two output
//! rows are computed together; with a line for each row MobileNet V2 took 4.32 ms in place of 4.00,
//! EfficientNet-Lite0 5.83 in place of 5.34 (medians of interleaved runs, Chromium 156 on an AMD EPYC
//! of family 26).

use core::ops::Range;

use super::{PIXELS, fits, picture_row, row_kernel, unrolled};
use crate::aligned::{AlignedVec, LINE_BYTES};
use crate::gemm::bytes::{Activations, ByteDot};
use crate::gemm::tile::Epilogue;
use crate::reference::QuantizedWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::Requantize;
use crate::simd::{Element, Simd};

/// Channels of a step.
const CHANNELS: usize = 8;
/// Bytes of four rows of a column of a step.
const QUAD: usize = CHANNELS * 4;
/// Input bytes that are walked over for one step of channels before the next: within the
/// first-level cache, so that the other channels of their lines are still there.
const BAND_BYTES: usize = 24 * 1024;

/// Packed weights, biases and scales.
#[derive(Clone)]
pub struct DepthwiseBytes {
    shape: DepthwiseShape,
    weights: AlignedVec<i8>,
    epilogue: Epilogue,
    activations: Activations,
}

/// Quads of a column of `k` rows.
const fn groups(k: usize) -> usize {
    k.div_ceil(4)
}

/// Output rows whose windows of `k` rows are all in the quads of one.
const fn output_rows(k: usize, stride: usize) -> usize {
    (4 * groups(k) - k) / stride + 1
}

/// Output rows that are computed together: a column of the line is loaded once for all.
const fn together(k: usize, stride: usize) -> usize {
    if output_rows(k, stride) > 1 { 2 } else { 1 }
}

/// Input rows that these windows see.
const fn input_rows(k: usize, stride: usize) -> usize {
    (output_rows(k, stride) - 1) * stride + k
}

/// The most of [`input_rows`].
const MOST_ROWS: usize = 8;

impl DepthwiseBytes {
    /// Packs weights `[1, kernel_h, kernel_w, channels]` for inputs of `T`. `None` for windows that
    /// no row kernel is made for, weights that less their zero point are no bytes, bounds that
    /// are not the type's, and where the dot product saturates.
    pub fn new<T: Element, W: Element>(
        shape: DepthwiseShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
        dot: ByteDot,
    ) -> Option<Self> {
        let (k, stride) = row_kernel(&shape.window)?;
        if !fits(&shape) || dot == ByteDot::PairSum {
            return None;
        }
        let activations = Activations::new::<T>(dot, input_zero_point);
        let channels = shape.in_c;
        let (served, row) = (output_rows(k, stride), k * groups(k) * QUAD);
        let block = served * row;
        let mut packed = AlignedVec::zeroed(channels.div_ceil(CHANNELS) * block);
        let mut epilogue = Epilogue::new::<T>(channels, requant);
        let mut sums = vec![0i32; channels];
        for (tap, values) in weights.values.chunks_exact(channels).take(k * k).enumerate() {
            let (ky, kx) = (tap / k, tap % k);
            for (c, (&value, sum)) in values.iter().zip(&mut sums).enumerate() {
                let value: i32 = value.into();
                let value = i8::try_from(value - weights.zero_point).ok()?;
                *sum += i32::from(value);
                let panel = &mut packed[c / CHANNELS * block..][..block];
                for (output, weights) in panel.chunks_exact_mut(row).enumerate() {
                    let ky = output * stride + ky;
                    let quad = (kx * groups(k) + ky / 4) * QUAD;
                    weights[quad + c % CHANNELS * 4 + ky % 4] = value;
                }
            }
        }
        for (c, sum) in sums.into_iter().enumerate() {
            epilogue.bias[c] = weights
                .bias
                .map_or(0, |bias| bias[c])
                .wrapping_sub(sum.wrapping_mul(activations.zero_point));
        }
        epilogue.settle(k * k);
        epilogue.is_plain.then_some(Self { shape, weights: packed, epilogue, activations })
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.epilogue.size_bytes()
    }

    /// Columns of a line: all that the windows of a row of pairs of output pixels cover.
    fn columns(&self) -> usize {
        let window = &self.shape.window;
        (window.out_w.next_multiple_of(PIXELS) - 1) * window.stride[1] + window.kernel_w
    }

    /// Bytes of scratch that [`Self::run`] needs: a line, and what stands for a row of padding.
    pub fn scratch_bytes(&self) -> usize {
        let line = self.columns() * groups(self.shape.window.kernel_h) * QUAD;
        (line + CHANNELS).next_multiple_of(LINE_BYTES)
    }

    /// Computes the output rows `rows` of `[n * out_h]` into `out`, which holds just these.
    /// `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[u8],
        rows: Range<usize>,
        out: &mut [u8],
        scratch: &mut [u8],
    ) {
        if !S::HAS_BYTE_DOT {
            unreachable!("packed for a level that multiplies bytes");
        }
        let DepthwiseShape { window, in_c, .. } = self.shape;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * in_c);
        assert_eq!(out.len(), rows.len() * window.out_w * in_c);
        // Padding is the same columns of each line.
        let scratch = &mut scratch[..self.scratch_bytes()];
        scratch.fill(self.activations.zero_point as u8);
        let (padding, line) = scratch.split_at_mut(CHANNELS);
        // As the input has it: lines are flipped when they are made.
        padding.fill(self.activations.zero_point as u8 ^ self.activations.flip as u8);
        let stride = window.stride[0];
        let row_bytes = window.in_w * in_c * stride;
        let served = output_rows(window.kernel_h, stride);
        let band = (BAND_BYTES / row_bytes).max(1).next_multiple_of(served);
        let mut first = rows.start;
        for out in out.chunks_mut(band * window.out_w * in_c) {
            let band = first..(first + band).min(rows.end);
            for channel in (0..in_c).step_by(CHANNELS) {
                let work = Work { input, rows: band.clone(), channel, padding };
                match (window.kernel_h, stride) {
                    (3, 1) => self.block::<S, 3, 1>(&work, line, out),
                    (3, _) => self.block::<S, 3, 2>(&work, line, out),
                    (_, 1) => self.block::<S, 5, 1>(&work, line, out),
                    _ => self.block::<S, 5, 2>(&work, line, out),
                }
            }
            first = band.end;
        }
    }

    /// Some output rows of a step of channels.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    fn block<S: Simd, const K: usize, const STRIDE: usize>(
        &self,
        work: &Work,
        line: &mut [u8],
        out: &mut [u8],
    ) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let interior = window.pad_left * groups(K) * QUAD;
        let count = window.in_w.min(self.columns() - window.pad_left);
        let row_len = window.out_w * in_c;
        let panel = work.channel / CHANNELS;
        let Range { start: mut row, end } = work.rows;
        let mut out = out;
        while row < end {
            let [_, y] = picture_row(&window, row);
            let rows = output_rows(K, STRIDE).min(window.out_h - y).min(end - row);
            self.make_line::<S, K, STRIDE>(work, row, &mut line[interior..], count);
            let (now, later) = out.split_at_mut(rows * row_len);
            for first in (0..rows).step_by(const { together(K, STRIDE) }) {
                let out = &mut now[first * row_len..];
                let place = panel * output_rows(K, STRIDE) + first;
                if const { together(K, STRIDE) } == 1 {
                    self.along::<S, 1>(line, place, out);
                } else {
                    self.along::<S, 2>(line, place, out);
                }
            }
            (row, out) = (row + rows, later);
        }
    }

    /// A step of channels of `R` output rows, with the weights from `place` on: `[steps][output rows
    /// of a line]`. `out` begins with the rows, and may end with the first.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    fn along<S: Simd, const R: usize>(&self, line: &[u8], place: usize, out: &mut [u8]) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let (k, stride) = (window.kernel_h, window.stride[1]);
        let served = output_rows(k, stride);
        let (panel, quads) = (place / served, k * groups(k));
        let weights = self.weights[place * quads * QUAD..][..R * quads * QUAD].as_ptr();
        let epilogue = self.epilogue.panel::<S>(panel);
        let (row_len, channel) = (window.out_w * in_c, panel * CHANNELS);
        assert!(out.len() >= row_len && line.len() >= self.columns() * groups(k) * QUAD);
        // A second row that is not there is written where the first is afterwards.
        let second = if out.len() >= 2 * row_len { row_len } else { 0 };
        // From a pixel's columns to those of the next.
        let step = stride * groups(k) * QUAD;
        let mut at = line.as_ptr();
        let mut out = out[channel..].as_mut_ptr();
        let mut left = window.out_w;
        while left > 0 {
            // SAFETY: the line holds the columns of all pairs of pixels, of which each round
            // steps over one; of a pair, `out` holds as many pixels as are left, in each row.
            unsafe {
                let sums =
                    pairs::<S, R>([at, at.wrapping_add(step)], weights, quads, epilogue.bias);
                // Through an index that is known only at run time sums would go by memory.
                unrolled!(ROW in 1 0 {
                    if ROW < R {
                        let (sums, out) = (sums[ROW], out.wrapping_add(ROW * second));
                        if left == 1 {
                            epilogue.store::<1, true>([sums[0]], out, in_c);
                        } else {
                            epilogue.store::<PIXELS, true>(sums, out, in_c);
                        }
                    }
                });
            }
            at = at.wrapping_add(PIXELS * step);
            out = out.wrapping_add(PIXELS * in_c);
            left = left.saturating_sub(PIXELS);
        }
    }

    /// Interleaves the `count` columns of the windows of a line's output rows, the first of which
    /// is `row`, that are no padding.
    #[inline(always)]
    fn make_line<S: Simd, const K: usize, const STRIDE: usize>(
        &self,
        work: &Work,
        row: usize,
        line: &mut [u8],
        count: usize,
    ) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let [n, y] = picture_row(&window, row);
        let mut slack = usize::MAX;
        // From pixel to pixel; padding is the same everywhere.
        let mut steps = [0; MOST_ROWS];
        let rows: [*const u8; MOST_ROWS] = core::array::from_fn(|ky| {
            let row = window.input_row(y, ky).filter(|_| ky < input_rows(K, STRIDE));
            let Some(row) = row else {
                return work.padding.as_ptr();
            };
            steps[ky] = in_c;
            let first = (n * window.in_h + row) * window.in_w * in_c + work.channel;
            let row = &work.input[first..][..(count - 1) * in_c + 1];
            slack = slack.min(work.input.len() - first - (count - 1) * in_c);
            row.as_ptr()
        });
        let to = line[..count * groups(K) * QUAD].as_mut_ptr();
        let flip = S::i8x16_splat(self.activations.flip);
        // SAFETY: rows were sliced to the columns; what is behind the last of them is the slack.
        // Where that is less than a step, the last column is read from a copy.
        unsafe {
            let whole = if slack >= CHANNELS { count } else { count - 1 };
            let ends = interleave::<S, K, STRIDE>(rows, steps, whole, flip, to);
            if whole < count {
                let mut copies = [[0u8; CHANNELS]; MOST_ROWS];
                for ((copy, from), step) in copies.iter_mut().zip(ends).zip(steps) {
                    let len = if step == 0 { CHANNELS } else { slack };
                    copy.as_mut_ptr().copy_from_nonoverlapping(from, len);
                }
                let rows = copies.each_ref().map(|copy| copy.as_ptr());
                let to = to.add(whole * groups(K) * QUAD);
                interleave::<S, K, STRIDE>(rows, [0; MOST_ROWS], 1, flip, to);
            }
        }
    }
}

/// What a step of channels is computed from.
struct Work<'a> {
    input: &'a [u8],
    /// Of `[n * out_h]`.
    rows: Range<usize>,
    /// The first of the step.
    channel: usize,
    /// Zero points of a step.
    padding: &'a [u8],
}

/// Interleaves 8 channels of `count` columns of the rows of a line, and returns where they go on.
///
/// # Safety
/// Each row is readable for 8 bytes at each of `count` steps; `to` is writable for `count` columns.
#[inline(always)]
unsafe fn interleave<S: Simd, const K: usize, const STRIDE: usize>(
    mut rows: [*const u8; MOST_ROWS],
    steps: [usize; MOST_ROWS],
    count: usize,
    flip: S::V,
    mut to: *mut u8,
) -> [*const u8; MOST_ROWS] {
    let seen = const { input_rows(K, STRIDE) };
    for _ in 0..count {
        // SAFETY: the caller's.
        unsafe {
            unrolled!(GROUP in 0 1 {
                if GROUP < groups(K) {
                    let [a, b, c] =
                        [0, 1, 2].map(|row| S::load64_zero(rows[GROUP * 4 + row]));
                    let upper = S::i8x16_interleave_low(a, b);
                    let d = if GROUP * 4 + 3 < seen {
                        S::load64_zero(rows[GROUP * 4 + 3])
                    } else {
                        S::i32x4_splat(0)
                    };
                    let lower = S::i8x16_interleave_low(c, d);
                    S::store(to, S::xor(S::i16x8_interleave_low(upper, lower), flip));
                    S::store(to.add(16), S::xor(S::i16x8_interleave_high(upper, lower), flip));
                    to = to.add(QUAD);
                }
            });
        }
        for (row, step) in rows.iter_mut().zip(steps).take(seen) {
            *row = row.wrapping_add(step);
        }
    }
    rows
}

/// Sums of 8 channels of two neighbouring output pixels in each of `R` rows, over `quads` quads of
/// their columns. Weights are loaded once for both pixels, the line once for all rows.
///
/// A loop whose length is known only at run time: written out, LLVM makes one expression of all
/// that a sum is made of, which begins with the loads of all of it, and computes one sum after the
/// other.
///
/// # Safety
/// Each of `pixels` is readable for `quads` quads, `weights` for `R` times as many.
#[inline(always)]
unsafe fn pairs<S: Simd, const R: usize>(
    pixels: [*const u8; PIXELS],
    weights: *const i8,
    quads: usize,
    bias: [S::V; 2],
) -> [[[S::V; 2]; PIXELS]; R] {
    let mut sums = [[bias; PIXELS]; R];
    let rows: [_; R] = core::array::from_fn(|r| weights.wrapping_add(r * quads * QUAD));
    for at in (0..quads).map(|quad| quad * QUAD) {
        // SAFETY: the caller's.
        unsafe {
            let weights = rows.map(|row| [S::load(row.add(at)), S::load(row.add(at + 16))]);
            for (pixel, line) in pixels.iter().enumerate() {
                for half in 0..2 {
                    let quad = S::load(line.add(at + half * 16));
                    for (sums, weights) in sums.iter_mut().zip(&weights) {
                        let sum = &mut sums[pixel][half];
                        *sum = S::i32x4_relaxed_dot_add(weights[half], quad, *sum);
                    }
                }
            }
        }
    }
    sums
}
