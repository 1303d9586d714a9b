//! DEPTHWISE_CONV_2D of float32 tensors.

use core::ops::Range;

use super::ring::{Ring, block_len, ring_len};
use super::{MAX_TAPS, PIXELS, fits, picture_row, row_kernel, tap_pointers, unrolled};
use crate::aligned::AlignedVec;
use crate::reference::FloatWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::simd::Simd;

/// Channels of a step.
const CHANNELS: usize = 4;

/// A packed DEPTHWISE_CONV_2D of float32 tensors with a multiplier of 1.
#[derive(Clone)]
pub struct DepthwiseFloat {
    shape: DepthwiseShape,
    /// `[channels / 4][taps][4]`.
    weights: AlignedVec<f32>,
    bias: AlignedVec<f32>,
    range: [f32; 2],
}

impl DepthwiseFloat {
    /// Packs weights `[1, kernel_h, kernel_w, channels]`.
    ///
    /// # Panics
    /// Where [`fits`] says no.
    pub fn new(shape: DepthwiseShape, weights: &FloatWeights) -> Self {
        assert!(fits(&shape));
        let taps = shape.window.kernel_h * shape.window.kernel_w;
        let padded = shape.in_c.next_multiple_of(CHANNELS);
        let mut packed = AlignedVec::zeroed(padded * taps);
        let mut bias = AlignedVec::zeroed(padded);
        for c in 0..shape.in_c {
            for tap in 0..taps {
                let at = (c / CHANNELS * taps + tap) * CHANNELS + c % CHANNELS;
                packed[at] = weights.values[tap * shape.in_c + c];
            }
            bias[c] = weights.bias.map_or(0.0, |bias| bias[c]);
        }
        Self { shape, weights: packed, bias, range: weights.activation }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match row_kernel(&self.shape.window) {
            Some(_) => "depthwise rows f32",
            None => "depthwise taps f32",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.bias.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: the lines of the window, or a pixel of zeros.
    pub fn scratch_bytes(&self) -> usize {
        let len = match row_kernel(&self.shape.window) {
            Some(_) => ring_len::<CHANNELS>(&self.shape),
            None => self.shape.in_c,
        };
        len * size_of::<f32>()
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
        match row_kernel(window) {
            Some((3, 1)) => self.run_rows::<S, 3, 1>(input, rows, out, scratch),
            Some((3, _)) => self.run_rows::<S, 3, 2>(input, rows, out, scratch),
            Some((_, 1)) => self.run_rows::<S, 5, 1>(input, rows, out, scratch),
            Some(_) => self.run_rows::<S, 5, 2>(input, rows, out, scratch),
            None => {
                scratch.fill(0.0);
                let count = window.kernel_h * window.kernel_w;
                let mut taps = [scratch.as_ptr(); MAX_TAPS];
                let taps = &mut taps[..count];
                for (row, out) in rows.zip(out.chunks_exact_mut(row_len)) {
                    let at = picture_row(window, row);
                    for (x, out) in out.chunks_exact_mut(self.shape.in_c).enumerate() {
                        tap_pointers(&self.shape, input, at, x, scratch, taps);
                        self.pixel::<S>(taps, out);
                    }
                }
            }
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
        let mut ring = Ring::<f32, CHANNELS>::new(&self.shape, scratch, 0.0);
        let block_len = block_len::<CHANNELS>(&self.shape);
        for (row, out) in rows.zip(out.chunks_exact_mut(window.out_w * channels)) {
            let lines = ring.rows::<K>(input, picture_row(window, row));
            for first in (0..channels).step_by(CHANNELS) {
                let lines = lines.map(|line| &line[first / CHANNELS * block_len..][..block_len]);
                // SAFETY: a block of a line holds the columns of all pairs of output pixels.
                unsafe {
                    self.block_of_row::<S, K, STRIDE>(lines.map(<[f32]>::as_ptr), first, out);
                }
            }
        }
    }

    /// A block of four channels, from `first`, of an output row. A column that two neighbouring
    /// pixels see is loaded once.
    ///
    /// # Safety
    /// Each of `lines` is readable for 4 channels of all columns that the windows of the row's
    /// pairs of pixels cover.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn block_of_row<S: Simd, const K: usize, const STRIDE: usize>(
        &self,
        mut lines: [*const f32; K],
        first: usize,
        out: &mut [f32],
    ) {
        let channels = self.shape.in_c;
        let (min, max) = (S::f32x4_splat(self.range[0]), S::f32x4_splat(self.range[1]));
        let step = (channels - first).min(CHANNELS);
        // SAFETY: packed weights and biases reach to the next multiple of 4 channels.
        let (weights, bias) = unsafe {
            (self.weights.as_ptr().add(first * K * K), S::load(self.bias.as_ptr().add(first)))
        };
        for pixels in out.chunks_mut(PIXELS * channels) {
            let mut sums = [bias; PIXELS];
            // SAFETY: the caller's; each round steps over the columns of a pair of pixels.
            unsafe {
                unrolled!(KY in 0 1 2 3 4 {
                    if KY < K {
                        unrolled!(COLUMN in 0 1 2 3 4 5 6 {
                            if COLUMN < K + STRIDE {
                                let x = S::load(lines[KY].add(COLUMN * CHANNELS));
                                let weight = |kx: usize| weights.add((KY * K + kx) * CHANNELS);
                                if COLUMN < K {
                                    sums[0] = S::f32x4_madd(x, S::load(weight(COLUMN)), sums[0]);
                                }
                                if COLUMN >= STRIDE {
                                    let weight = S::load(weight(COLUMN - STRIDE));
                                    sums[1] = S::f32x4_madd(x, weight, sums[1]);
                                }
                            }
                        });
                    }
                });
                lines = lines.map(|line| line.add(PIXELS * STRIDE * CHANNELS));
            }
            for (out, sum) in pixels.chunks_mut(channels).zip(sums) {
                let clamped = S::f32x4_pmin(S::f32x4_pmax(sum, min), max);
                let out = &mut out[first..first + step];
                if step == CHANNELS {
                    // SAFETY: four floats.
                    unsafe { S::store(out.as_mut_ptr(), clamped) };
                } else {
                    let mut rest = [0.0f32; CHANNELS];
                    // SAFETY: four floats.
                    unsafe { S::store(rest.as_mut_ptr(), clamped) };
                    out.copy_from_slice(&rest[..step]);
                }
            }
        }
    }

    /// One output pixel, tap by tap. Each of `taps` points at `channels` elements.
    #[inline(always)]
    fn pixel<S: Simd>(&self, taps: &[*const f32], out: &mut [f32]) {
        let channels = self.shape.in_c;
        let mut first = 0;
        let (min, max) = (S::f32x4_splat(self.range[0]), S::f32x4_splat(self.range[1]));
        while first < channels {
            let step = (channels - first).min(CHANNELS);
            // SAFETY: packed weights and biases reach to the next multiple of 4 channels; a tap is
            // read whole, or copied where fewer than 4 channels are left.
            unsafe {
                let weights = self.weights.as_ptr().add(first * taps.len());
                let mut sum = S::load(self.bias.as_ptr().add(first));
                for (i, &tap) in taps.iter().enumerate() {
                    let x = if step == CHANNELS {
                        S::load(tap.add(first))
                    } else {
                        let mut tail = [0.0f32; CHANNELS];
                        for (i, place) in tail[..step].iter_mut().enumerate() {
                            *place = tap.add(first + i).read();
                        }
                        S::load(tail.as_ptr())
                    };
                    sum = S::f32x4_madd(x, S::load(weights.add(i * CHANNELS)), sum);
                }
                let sum = S::f32x4_pmin(S::f32x4_pmax(sum, min), max);
                if step == CHANNELS {
                    S::store(out[first..first + CHANNELS].as_mut_ptr(), sum);
                } else {
                    let mut rest = [0.0f32; CHANNELS];
                    S::store(rest.as_mut_ptr(), sum);
                    out[first..].copy_from_slice(&rest[..step]);
                }
            }
            first += step;
        }
    }
}
