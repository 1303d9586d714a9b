//! DEPTHWISE_CONV_2D of float32 tensors.

use core::ops::Range;

use super::edges::{Edges, GROUP, groups};
use super::{each_pixel, fits, picture_row, row_kernel, unrolled};
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
    /// Where [`fits`] says no.
    pub fn new(shape: DepthwiseShape, weights: &FloatWeights) -> Self {
        assert!(fits(&shape));
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
            None => "depthwise taps f32",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.bias.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: columns at the edges, or a pixel of zeros.
    pub fn scratch_bytes(&self) -> usize {
        let len = match self.row_kernel() {
            Some(_) => self.edges.len(&self.shape),
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
        match self.row_kernel() {
            Some((3, 1)) => self.run_rows::<S, 3, 1>(input, rows, out, scratch),
            Some((3, _)) => self.run_rows::<S, 3, 2>(input, rows, out, scratch),
            Some((_, 1)) => self.run_rows::<S, 5, 1>(input, rows, out, scratch),
            Some(_) => self.run_rows::<S, 5, 2>(input, rows, out, scratch),
            None => {
                scratch.fill(0.0);
                each_pixel(&self.shape, input, rows, scratch, out, |taps, out| {
                    self.pixel::<S>(taps, out);
                });
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

    /// One output pixel, tap by tap. Each of `taps` points at `channels` elements.
    #[inline(always)]
    fn pixel<S: Simd>(&self, taps: &[*const f32], out: &mut [f32]) {
        let channels = self.shape.in_c;
        let (min, max) = (S::f32x4_splat(self.range[0]), S::f32x4_splat(self.range[1]));
        let step = channels.min(CHANNELS);
        for block in 0..channels.div_ceil(CHANNELS) {
            let first = first_of(block, channels);
            // SAFETY: packed weights and biases have 4 channels a block; a tap is read whole, or
            // copied where there are fewer than 4 channels.
            unsafe {
                let weights = self.weights.as_ptr().add(block * taps.len() * CHANNELS);
                let mut sum = S::load(self.bias.as_ptr().add(block * CHANNELS));
                for (i, &tap) in taps.iter().enumerate() {
                    let x = if step == CHANNELS {
                        S::load(tap.add(first))
                    } else {
                        let mut few = [0.0f32; CHANNELS];
                        few.as_mut_ptr().copy_from_nonoverlapping(tap, step);
                        S::load(few.as_ptr())
                    };
                    sum = S::f32x4_madd(x, S::load(weights.add(i * CHANNELS)), sum);
                }
                let sum = S::f32x4_pmin(S::f32x4_pmax(sum, min), max);
                if step == CHANNELS {
                    S::store(out[first..first + CHANNELS].as_mut_ptr(), sum);
                } else {
                    let mut few = [0.0f32; CHANNELS];
                    S::store(few.as_mut_ptr(), sum);
                    out.copy_from_slice(&few[..step]);
                }
            }
        }
    }
}

/// The first channel of a block: the last block reaches back where channels are no multiple of 4.
fn first_of(block: usize, channels: usize) -> usize {
    (block * CHANNELS).min(channels.saturating_sub(CHANNELS))
}
