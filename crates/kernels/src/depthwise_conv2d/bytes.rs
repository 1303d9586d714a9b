//! DEPTHWISE_CONV_2D of 8-bit tensors on bytes, by exact relaxed dot products: one instruction
//! multiplies and adds four rows of a column for four channels.
//!
//! ```text
//! input    read in place                                  u8 or i8
//! line     quads, [columns][K / 4][8 channels][4 rows]    of 8 channels of an output row's window
//! weights  [channels / 8][K columns][K / 4][8][4]         i8, 0 for the rows that are not there
//! ```
//!
//! A pixel of 8 channels costs 6 dot products of a 3x3 window where the words cost 10 products, 10
//! sums and 8 widenings, and its columns are interleaved once for all windows of a row that see
//! them.

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
        let (k, _) = row_kernel(&shape.window)?;
        if !fits(&shape) || dot == ByteDot::PairSum {
            return None;
        }
        let activations = Activations::new::<T>(dot, input_zero_point);
        let channels = shape.in_c;
        let block = k * groups(k) * QUAD;
        let mut packed = AlignedVec::zeroed(channels.div_ceil(CHANNELS) * block);
        let mut epilogue = Epilogue::new::<T>(channels, requant);
        let mut sums = vec![0i32; channels];
        for (tap, values) in weights.values.chunks_exact(channels).take(k * k).enumerate() {
            let (row, column) = (tap / k, tap % k);
            let place = (column * groups(k) + row / 4) * QUAD + row % 4;
            for (c, (&value, sum)) in values.iter().zip(&mut sums).enumerate() {
                let value: i32 = value.into();
                let value = i8::try_from(value - weights.zero_point).ok()?;
                *sum += i32::from(value);
                packed[c / CHANNELS * block + place + c % CHANNELS * 4] = value;
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
        let band = (BAND_BYTES / row_bytes).max(1);
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
        let panel = work.channel / CHANNELS;
        let epilogue = self.epilogue.panel::<S>(panel);
        let weights = self.weights[panel * K * groups(K) * QUAD..][..K * groups(K) * QUAD].as_ptr();
        let row_len = window.out_w * in_c;
        for (row, out) in work.rows.clone().zip(out.chunks_exact_mut(row_len)) {
            self.make_line::<S, K>(work, row, &mut line[interior..], count);
            let mut at = line.as_ptr();
            let mut out = out[work.channel..].as_mut_ptr();
            let mut left = window.out_w;
            while left > 0 {
                // SAFETY: the line holds the columns of all pairs of pixels, of which each round
                // steps over one; of a pair, `out` holds as many pixels as are left.
                unsafe {
                    let sums = pair::<S, K, STRIDE>(at, weights, epilogue.bias);
                    if left == 1 {
                        epilogue.store::<1, true>([sums[0]], out, in_c);
                        break;
                    }
                    epilogue.store::<PIXELS, true>(sums, out, in_c);
                    at = at.add(PIXELS * STRIDE * groups(K) * QUAD);
                }
                out = out.wrapping_add(PIXELS * in_c);
                left -= PIXELS;
            }
        }
    }

    /// Interleaves the `count` columns of the window of an output row that are no padding.
    #[inline(always)]
    fn make_line<S: Simd, const K: usize>(
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
        let mut steps = [0; K];
        let rows: [*const u8; K] = core::array::from_fn(|ky| {
            let Some(row) = window.input_row(y, ky) else {
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
            let ends = interleave::<S, K>(rows, steps, whole, flip, to);
            if whole < count {
                let mut copies = [[0u8; CHANNELS]; K];
                for ((copy, from), step) in copies.iter_mut().zip(ends).zip(steps) {
                    let len = if step == 0 { CHANNELS } else { slack };
                    copy.as_mut_ptr().copy_from_nonoverlapping(from, len);
                }
                let rows = copies.each_ref().map(|copy| copy.as_ptr());
                interleave::<S, K>(rows, [0; K], 1, flip, to.add(whole * groups(K) * QUAD));
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

/// Interleaves 8 channels of `count` columns of `K` rows, and returns where the rows go on.
///
/// # Safety
/// Each row is readable for 8 bytes at each of `count` steps; `to` is writable for `count` columns.
#[inline(always)]
unsafe fn interleave<S: Simd, const K: usize>(
    mut rows: [*const u8; K],
    steps: [usize; K],
    count: usize,
    flip: S::V,
    mut to: *mut u8,
) -> [*const u8; K] {
    for _ in 0..count {
        // SAFETY: the caller's.
        unsafe {
            let [a, b] = [0, 1].map(|row| S::load64_zero(rows[row]));
            let upper = S::i8x16_interleave_low(a, b);
            let lower = if K == 3 {
                S::i16x8_load_extend_u8x8(rows[2])
            } else {
                S::i8x16_interleave_low(S::load64_zero(rows[2]), S::load64_zero(rows[3]))
            };
            S::store(to, S::xor(S::i16x8_interleave_low(upper, lower), flip));
            S::store(to.add(16), S::xor(S::i16x8_interleave_high(upper, lower), flip));
            to = to.add(QUAD);
            if K == 5 {
                let last = S::i16x8_load_extend_u8x8(rows[4]);
                let none = S::i32x4_splat(0);
                S::store(to, S::xor(S::i16x8_interleave_low(last, none), flip));
                S::store(to.add(16), S::xor(S::i16x8_interleave_high(last, none), flip));
                to = to.add(QUAD);
            }
        }
        for (row, step) in rows.iter_mut().zip(steps) {
            *row = row.wrapping_add(step);
        }
    }
    rows
}

/// Sums of 8 channels of two neighbouring output pixels; a column that both see is loaded once.
///
/// # Safety
/// `line` is readable for `K + STRIDE` columns, `weights` for a step of channels.
#[inline(always)]
unsafe fn pair<S: Simd, const K: usize, const STRIDE: usize>(
    line: *const u8,
    weights: *const i8,
    bias: [S::V; 2],
) -> [[S::V; 2]; PIXELS] {
    let mut sums = [bias; PIXELS];
    // SAFETY: the caller's.
    unsafe {
        unrolled!(COLUMN in 0 1 2 3 4 5 6 {
            if COLUMN < K + STRIDE {
                unrolled!(GROUP in 0 1 {
                    if GROUP < groups(K) {
                        let quads = line.add((COLUMN * groups(K) + GROUP) * QUAD);
                        let quads = [S::load(quads), S::load(quads.add(16))];
                        let mut add = |pixel: usize, kx: usize| {
                            let weights = weights.add((kx * groups(K) + GROUP) * QUAD);
                            let weights = [S::load(weights), S::load(weights.add(16))];
                            for ((sum, weights), quads) in
                                sums[pixel].iter_mut().zip(weights).zip(quads)
                            {
                                *sum = S::i32x4_relaxed_dot_add(weights, quads, *sum);
                            }
                        };
                        if COLUMN < K {
                            add(0, COLUMN);
                        }
                        if COLUMN >= STRIDE {
                            add(1, COLUMN - STRIDE);
                        }
                    }
                });
            }
        });
    }
    sums
}
