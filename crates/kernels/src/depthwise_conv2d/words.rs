//! DEPTHWISE_CONV_2D of 8-bit tensors: two taps are interleaved as i16 pairs, and one
//! `i32x4_dot_i16x8` serves both.

use core::ops::Range;

use super::ring::{Ring, block_len, ring_len};
use super::{MAX_TAPS, PIXELS, fits, picture_row, row_kernel, tap_pointers, unrolled};
use crate::aligned::AlignedVec;
use crate::reference::QuantizedWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::{Quantized, Requantize};
use crate::requant_vector::VectorRequantize;
use crate::simd::{Element, Simd};

/// Channels of a step.
const CHANNELS: usize = 8;
/// i16 elements of one pair of taps of a step.
const PAIR: usize = CHANNELS * 2;

/// A packed DEPTHWISE_CONV_2D of int8 or uint8 tensors with a multiplier of 1.
#[derive(Clone)]
pub struct DepthwiseWords {
    shape: DepthwiseShape,
    /// `[channels / 8][pairs of taps][8][2]`, less the zero point: see [`pairs_of_taps`].
    weights: AlignedVec<i16>,
    /// Pairs of taps of 8 channels.
    pairs: usize,
    bias: AlignedVec<i32>,
    scale: AlignedVec<f32>,
    input_zero_point: i32,
    requant: [i32; 3],
}

/// The taps that are multiplied together, in the order of their weights. `None` has weight 0.
///
/// Row kernels of `k` x `k`: for each column the rows `(0, 1), (2, 3), ...`; then the last row by
/// pairs of columns from the first, `(0, 1), (2, 3), ..., (k - 1, -)`; then, for the second of two
/// neighbouring pixels, the same shifted by one: `(-, 0), (1, 2), ...`.
///
/// Other windows: all taps in order, `(0, 1), (2, 3), ...`.
fn pairs_of_taps(shape: &DepthwiseShape) -> Vec<[Option<usize>; 2]> {
    let taps = shape.window.kernel_h * shape.window.kernel_w;
    let Some((k, _)) = row_kernel(&shape.window) else {
        let second = |first: usize| (first + 1 < taps).then_some(first + 1);
        return (0..taps).step_by(2).map(|first| [Some(first), second(first)]).collect();
    };
    let mut pairs = Vec::new();
    for column in 0..k {
        for row in (0..k - 1).step_by(2) {
            pairs.push([Some(row * k + column), Some((row + 1) * k + column)]);
        }
    }
    let last = (k - 1) * k;
    let tap = |column: usize| (column < k).then_some(last + column);
    for column in (0..k).step_by(2) {
        pairs.push([tap(column), tap(column + 1)]);
    }
    for column in (0..k).step_by(2) {
        pairs.push([column.checked_sub(1).and_then(tap), tap(column)]);
    }
    pairs
}

impl DepthwiseWords {
    /// Packs weights `[1, kernel_h, kernel_w, channels]`.
    ///
    /// # Panics
    /// Where [`fits`] says no.
    pub fn new<W: Quantized>(
        shape: DepthwiseShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
    ) -> Self {
        assert!(fits(&shape));
        let taps = shape.window.kernel_h * shape.window.kernel_w;
        let value = |tap: usize, c: usize| -> i32 {
            let value: i32 = weights.values[tap * shape.in_c + c].into();
            value - weights.zero_point
        };
        let pairs = pairs_of_taps(&shape);
        let padded = shape.in_c.next_multiple_of(CHANNELS);
        let mut packed = AlignedVec::zeroed(padded * pairs.len() * 2);
        let mut bias = AlignedVec::zeroed(padded);
        let mut scale = AlignedVec::zeroed(padded);
        for c in 0..shape.in_c {
            let block = c / CHANNELS * pairs.len();
            for (i, pair) in pairs.iter().enumerate() {
                let at = (block + i) * PAIR + c % CHANNELS * 2;
                for (tap, place) in pair.iter().zip(&mut packed[at..at + 2]) {
                    *place = tap.map_or(0, |tap| value(tap, c) as i16);
                }
            }
            // The input's zero point: padding is a row of zero points.
            let sum: i32 = (0..taps).map(|tap| value(tap, c)).sum();
            bias[c] = weights
                .bias
                .map_or(0, |bias| bias[c])
                .wrapping_sub(sum.wrapping_mul(input_zero_point));
            scale[c] = requant.scale_of(c);
        }
        let requant = [requant.zero_point, requant.min, requant.max];
        let pairs = pairs.len();
        Self { shape, weights: packed, pairs, bias, scale, input_zero_point, requant }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match row_kernel(&self.shape.window) {
            Some(_) => "depthwise rows i16",
            None => "depthwise taps i16",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.bias.size_bytes() + self.scale.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: the lines of the window, or a pixel of zero
    /// points.
    pub fn scratch_bytes(&self) -> usize {
        match row_kernel(&self.shape.window) {
            Some(_) => ring_len::<CHANNELS>(&self.shape),
            None => self.shape.in_c,
        }
    }

    /// Computes the output rows `rows` of `[n * out_h]` into `out`, which holds just these.
    /// `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd, T: Element>(
        &self,
        input: &[T],
        rows: Range<usize>,
        out: &mut [T],
        scratch: &mut [u8],
    ) {
        let window = &self.shape.window;
        let row_len = window.out_w * self.shape.in_c;
        assert_eq!(out.len(), rows.len() * row_len);
        let scratch = bytemuck::cast_slice_mut(scratch);
        match row_kernel(window) {
            Some((3, 1)) => self.run_rows::<S, T, 3, 1>(input, rows, out, scratch),
            Some((3, _)) => self.run_rows::<S, T, 3, 2>(input, rows, out, scratch),
            Some((_, 1)) => self.run_rows::<S, T, 5, 1>(input, rows, out, scratch),
            Some(_) => self.run_rows::<S, T, 5, 2>(input, rows, out, scratch),
            None => {
                let padding = &mut scratch[..self.shape.in_c];
                padding.fill(T::from_i32(self.input_zero_point));
                let count = window.kernel_h * window.kernel_w;
                let mut taps = [padding.as_ptr(); MAX_TAPS];
                let taps = &mut taps[..count];
                for (row, out) in rows.zip(out.chunks_exact_mut(row_len)) {
                    let at = picture_row(window, row);
                    for (x, out) in out.chunks_exact_mut(self.shape.in_c).enumerate() {
                        tap_pointers(&self.shape, input, at, x, padding, taps);
                        self.pixel::<S, T>(taps, out);
                    }
                }
            }
        }
    }

    /// Output rows of a `K` x `K` window.
    #[inline(always)]
    fn run_rows<S: Simd, T: Element, const K: usize, const STRIDE: usize>(
        &self,
        input: &[T],
        rows: Range<usize>,
        out: &mut [T],
        scratch: &mut [T],
    ) {
        let (window, channels) = (&self.shape.window, self.shape.in_c);
        let zero = T::from_i32(self.input_zero_point);
        let mut ring = Ring::<T, CHANNELS>::new(&self.shape, scratch, zero);
        let block_len = block_len::<CHANNELS>(&self.shape);
        for (row, out) in rows.zip(out.chunks_exact_mut(window.out_w * channels)) {
            let lines = ring.rows::<K>(input, picture_row(window, row));
            for first in (0..channels).step_by(CHANNELS) {
                let lines = lines.map(|line| &line[first / CHANNELS * block_len..][..block_len]);
                // SAFETY: a block of a line holds the columns of all pairs of output pixels.
                unsafe {
                    self.block_of_row::<S, T, K, STRIDE>(lines.map(<[T]>::as_ptr), first, out);
                }
            }
        }
    }

    /// A block of eight channels, from `first`, of an output row.
    ///
    /// # Safety
    /// Each of `lines` is readable for 8 channels of all columns that the windows of the row's
    /// pairs of pixels cover.
    // Not inlined: V8 allocates registers better in small functions (measured: 6 to 9 GMAC/s).
    #[inline(never)]
    unsafe fn block_of_row<S: Simd, T: Element, const K: usize, const STRIDE: usize>(
        &self,
        mut lines: [*const T; K],
        first: usize,
        out: &mut [T],
    ) {
        let channels = self.shape.in_c;
        let requant = self.vector_requantize::<S, T>();
        // SAFETY: packed weights, biases and scales reach to the next multiple of 8 channels.
        let (weights, bias, scale) = unsafe {
            let bias = self.bias.as_ptr().add(first);
            let scale = self.scale.as_ptr().add(first);
            (
                self.weights.as_ptr().add(first * self.pairs * 2),
                [S::load(bias), S::load(bias.add(4))],
                [S::load(scale), S::load(scale.add(4))],
            )
        };
        let step = (channels - first).min(CHANNELS);
        for pixels in out.chunks_mut(PIXELS * channels) {
            // SAFETY: the caller's; each round steps over the columns of a pair of pixels.
            let sums = unsafe {
                let sums = pixel_pair::<S, T, K, STRIDE>(lines, weights, bias);
                lines = lines.map(|line| line.add(PIXELS * STRIDE * CHANNELS));
                sums
            };
            let [[a, b], [c, d]] = sums
                .map(|[low, high]| [requant.apply(low, scale[0]), requant.apply(high, scale[1])]);
            let bytes = requant.narrow([a, b, c, d]);
            if step == CHANNELS && pixels.len() == PIXELS * channels {
                // SAFETY: two pixels, with 8 channels from `first` each.
                unsafe {
                    let out = pixels.as_mut_ptr().add(first);
                    S::store64(out, bytes);
                    S::store64_high(out.add(channels), bytes);
                }
            } else {
                let mut both = [T::default(); PIXELS * CHANNELS];
                // SAFETY: 16 elements of one byte.
                unsafe { S::store(both.as_mut_ptr(), bytes) };
                for (out, from) in pixels.chunks_mut(channels).zip(both.chunks(CHANNELS)) {
                    out[first..first + step].copy_from_slice(&from[..step]);
                }
            }
        }
    }

    /// One output pixel, tap by tap. Each of `taps` points at `channels` elements.
    #[inline(always)]
    fn pixel<S: Simd, T: Element>(&self, taps: &[*const T], out: &mut [T]) {
        let channels = self.shape.in_c;
        let requant = self.vector_requantize::<S, T>();
        let mut first = 0;
        while first < channels {
            let step = (channels - first).min(CHANNELS);
            let mut tails = [[T::default(); CHANNELS]; 2];
            // SAFETY: packed weights, biases and scales reach to the next multiple of 8 channels;
            // a tap is read whole, or copied where fewer than 8 channels are left.
            unsafe {
                let mut weights = self.weights.as_ptr().add(first * self.pairs * 2);
                let bias = self.bias.as_ptr().add(first);
                let mut sums = [S::load(bias), S::load(bias.add(4))];
                for pair in taps.chunks(2) {
                    let a = load_tap::<S, T>(pair[0].add(first), step, &mut tails[0]);
                    let b = match pair.get(1) {
                        Some(tap) => load_tap::<S, T>(tap.add(first), step, &mut tails[1]),
                        None => S::i32x4_splat(0),
                    };
                    add_pair::<S>(&mut sums, interleave::<S>(a, b), weights);
                    weights = weights.add(PAIR);
                }
                let scale = self.scale.as_ptr().add(first);
                let low = requant.apply(sums[0], S::load(scale));
                let high = requant.apply(sums[1], S::load(scale.add(4)));
                let bytes = requant.narrow([low, high, low, high]);
                if step == CHANNELS {
                    S::store64(out[first..first + CHANNELS].as_mut_ptr(), bytes);
                } else {
                    let mut rest = [T::default(); CHANNELS];
                    S::store64(rest.as_mut_ptr(), bytes);
                    out[first..].copy_from_slice(&rest[..step]);
                }
            }
            first += step;
        }
    }

    #[inline(always)]
    fn vector_requantize<S: Simd, T: Element>(&self) -> VectorRequantize<S> {
        let [zero_point, min, max] = self.requant;
        VectorRequantize::new::<T>(&Requantize { scale: &[], zero_point, min, max })
    }
}

/// Sums of 8 channels of two neighbouring output pixels.
///
/// For each column the rows are interleaved in pairs, and each of the two pixels that the column
/// belongs to multiplies them by its own weights; the last row is interleaved by columns. So a
/// pixel costs 39 instructions before requantisation, where tap by tap it costs 49.
///
/// # Safety
/// Each of `lines` is readable for 8 channels of `K + STRIDE` columns; `weights` holds the pairs of
/// [`pairs_of_taps`].
#[inline(always)]
unsafe fn pixel_pair<S: Simd, T: Element, const K: usize, const STRIDE: usize>(
    lines: [*const T; K],
    weights: *const i16,
    bias: [S::V; 2],
) -> [[S::V; 2]; PIXELS] {
    let mut sums = [bias; PIXELS];
    let columns = K + STRIDE;
    let (vertical, halves) = (K * (K / 2), K.div_ceil(2));
    // SAFETY: the caller's; pairs are counted as pairs_of_taps makes them.
    unsafe {
        unrolled!(COLUMN in 0 1 2 3 4 5 6 {
            if COLUMN < columns {
                unrolled!(PAIR_OF_ROWS in 0 1 {
                    if PAIR_OF_ROWS < K / 2 {
                        let [a, b] = [2 * PAIR_OF_ROWS, 2 * PAIR_OF_ROWS + 1].map(|row| {
                            T::load_extend::<S>(lines[row].add(COLUMN * CHANNELS))
                        });
                        let ab = interleave::<S>(a, b);
                        let weight = |kx: usize| weights.add((kx * (K / 2) + PAIR_OF_ROWS) * PAIR);
                        if COLUMN < K {
                            add_pair::<S>(&mut sums[0], ab, weight(COLUMN));
                        }
                        if COLUMN >= STRIDE {
                            add_pair::<S>(&mut sums[1], ab, weight(COLUMN - STRIDE));
                        }
                    }
                });
            }
        });
        unrolled!(HALF in 0 1 2 3 {
            if 2 * HALF < columns {
                let last = lines[K - 1].add(2 * HALF * CHANNELS);
                let a = T::load_extend::<S>(last);
                let b = if 2 * HALF + 1 < columns {
                    T::load_extend::<S>(last.add(CHANNELS))
                } else {
                    S::i32x4_splat(0)
                };
                let ab = interleave::<S>(a, b);
                let weight = |pair: usize| weights.add((vertical + pair) * PAIR);
                if HALF < halves {
                    add_pair::<S>(&mut sums[0], ab, weight(HALF));
                }
                if STRIDE == 1 {
                    add_pair::<S>(&mut sums[1], ab, weight(halves + HALF));
                } else if HALF >= 1 {
                    add_pair::<S>(&mut sums[1], ab, weight(HALF - 1));
                }
            }
        });
    }
    sums
}

/// Two taps of eight channels as i16 pairs: channels 0 to 3, channels 4 to 7.
#[inline(always)]
fn interleave<S: Simd>(a: S::V, b: S::V) -> [S::V; 2] {
    [S::i16x8_interleave_low(a, b), S::i16x8_interleave_high(a, b)]
}

/// Adds the products of a pair of taps of eight channels.
///
/// # Safety
/// `weights` is readable for 16 elements.
#[inline(always)]
unsafe fn add_pair<S: Simd>(sums: &mut [S::V; 2], taps: [S::V; 2], weights: *const i16) {
    // SAFETY: the caller's.
    let weights = unsafe { [S::load(weights), S::load(weights.add(8))] };
    for ((sum, taps), weights) in sums.iter_mut().zip(taps).zip(weights) {
        *sum = S::i32x4_add(*sum, S::i32x4_dot_i16x8(taps, weights));
    }
}

/// Eight channels of a tap as words; where only `step` are left, through `tail`.
///
/// # Safety
/// `from` is readable for `step` elements, `step` is 1 to 8.
#[inline(always)]
unsafe fn load_tap<S: Simd, T: Element>(
    from: *const T,
    step: usize,
    tail: &mut [T; CHANNELS],
) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        if step == CHANNELS {
            return T::load_extend::<S>(from);
        }
        for (i, place) in tail[..step].iter_mut().enumerate() {
            *place = from.add(i).read();
        }
        T::load_extend::<S>(tail.as_ptr())
    }
}
