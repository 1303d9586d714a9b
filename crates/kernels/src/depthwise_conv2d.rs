//! DEPTHWISE_CONV_2D: eight channels at a time, tap by tap through pointers.
//!
//! For each output pixel a list of pointers names the input pixels of its taps (a row of zero
//! points where a tap is in the padding), so that the channel loop has no edges. In 8 bits two
//! taps are interleaved as i16 pairs, and one `i32x4_dot_i16x8` serves both.

use core::ops::Range;

use crate::aligned::AlignedVec;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::reference::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};
use crate::requant_vector::VectorRequantize;
use crate::simd::{Element, Simd};

/// Channels of a step.
const CHANNELS: usize = 8;
/// Windows up to this many taps have their pointers on the stack.
pub const MAX_TAPS: usize = 81;

/// A packed DEPTHWISE_CONV_2D of int8 or uint8 tensors with a multiplier of 1.
#[derive(Clone)]
pub struct DepthwiseQuantized {
    shape: DepthwiseShape,
    /// `[channels / 8][pairs of taps][8][2]`, less the zero point; an odd tap's partner is zero.
    weights: AlignedVec<i16>,
    bias: AlignedVec<i32>,
    scale: AlignedVec<f32>,
    input_zero_point: i32,
    requant: [i32; 3],
}

impl DepthwiseQuantized {
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
        let (pairs, padded) = (taps.div_ceil(2), shape.in_c.next_multiple_of(CHANNELS));
        let mut packed = AlignedVec::zeroed(padded * pairs * 2);
        let mut bias = AlignedVec::zeroed(padded);
        let mut scale = AlignedVec::zeroed(padded);
        for c in 0..shape.in_c {
            let mut sum = 0i32;
            for tap in 0..taps {
                let value: i32 = weights.values[tap * shape.in_c + c].into();
                let value = value - weights.zero_point;
                sum += value;
                let pair = c / CHANNELS * pairs + tap / 2;
                packed[(pair * CHANNELS + c % CHANNELS) * 2 + tap % 2] = value as i16;
            }
            // The input's zero point: padding is a row of zero points.
            bias[c] = weights
                .bias
                .map_or(0, |bias| bias[c])
                .wrapping_sub(sum.wrapping_mul(input_zero_point));
            scale[c] = requant.scale_of(c);
        }
        let requant = [requant.zero_point, requant.min, requant.max];
        Self { shape, weights: packed, bias, scale, input_zero_point, requant }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.bias.size_bytes() + self.scale.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: a row of zero points.
    pub fn scratch_bytes(&self) -> usize {
        self.shape.in_c.next_multiple_of(CHANNELS)
    }

    /// Computes the output pixels `pixels` of `[n * out_h * out_w]` into `out`, which holds just
    /// these. `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd, T: Element>(
        &self,
        input: &[T],
        pixels: Range<usize>,
        out: &mut [T],
        scratch: &mut [u8],
    ) {
        let padding: &mut [T] = bytemuck::cast_slice_mut(scratch);
        padding.fill(T::from_i32(self.input_zero_point));
        let channels = self.shape.in_c;
        assert!(padding.len() >= channels);
        assert_eq!(out.len(), pixels.len() * channels);
        for (out, pixel) in out.chunks_exact_mut(channels).zip(pixels) {
            let taps = tap_pointers(&self.shape, input, pixel, padding);
            match self.shape.window.kernel_h * self.shape.window.kernel_w {
                9 => self.pixel::<S, T>(&taps[..9], out),
                25 => self.pixel::<S, T>(&taps[..25], out),
                n => self.pixel::<S, T>(&taps[..n], out),
            }
        }
    }

    /// One output pixel. Each of `taps` points at `channels` elements.
    #[inline(always)]
    fn pixel<S: Simd, T: Element>(&self, taps: &[*const T], out: &mut [T]) {
        let channels = self.shape.in_c;
        let [zero_point, min, max] = self.requant;
        let requant = VectorRequantize::<S>::new(&Requantize { scale: &[], zero_point, min, max });
        let pairs = taps.len().div_ceil(2);
        let weights = self.weights.as_ptr();
        let mut first = 0;
        while first < channels {
            let step = (channels - first).min(CHANNELS);
            let mut tails = [[T::default(); CHANNELS]; 2];
            // SAFETY: packed weights, biases and scales reach to the next multiple of 8 channels;
            // a tap is read whole, or copied where fewer than 8 channels are left.
            unsafe {
                let mut weights = weights.add(first * pairs * 2);
                let bias = self.bias.as_ptr().add(first);
                let mut sums = [S::load(bias), S::load(bias.add(4))];
                for pair in 0..pairs {
                    let a = load_tap::<S, T>(taps[2 * pair].add(first), step, &mut tails[0]);
                    let b = match taps.get(2 * pair + 1) {
                        Some(tap) => load_tap::<S, T>(tap.add(first), step, &mut tails[1]),
                        None => S::i32x4_splat(0),
                    };
                    let low = S::i16x8_interleave_low(a, b);
                    let high = S::i16x8_interleave_high(a, b);
                    sums[0] = S::i32x4_add(sums[0], S::i32x4_dot_i16x8(low, S::load(weights)));
                    sums[1] =
                        S::i32x4_add(sums[1], S::i32x4_dot_i16x8(high, S::load(weights.add(8))));
                    weights = weights.add(2 * CHANNELS);
                }
                let scale = self.scale.as_ptr().add(first);
                let words = S::i16x8_narrow_i32x4(
                    requant.apply(sums[0], S::load(scale)),
                    requant.apply(sums[1], S::load(scale.add(4))),
                );
                let bytes = T::narrow::<S>(words, words);
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

/// Whether the fast kernels take this shape: a multiplier of 1, at most [`MAX_TAPS`] taps.
pub fn fits(shape: &DepthwiseShape) -> bool {
    shape.multiplier == 1 && shape.window.kernel_h * shape.window.kernel_w <= MAX_TAPS
}

/// Pointers to the input pixels of each tap of an output pixel; `padding` where it has none.
#[inline(always)]
fn tap_pointers<T>(
    shape: &DepthwiseShape,
    input: &[T],
    pixel: usize,
    padding: &[T],
) -> [*const T; MAX_TAPS] {
    let window = &shape.window;
    let channels = shape.in_c;
    let (row, x) = (pixel / window.out_w, pixel % window.out_w);
    let (n, y) = (row / window.out_h, row % window.out_h);
    let mut taps = [padding.as_ptr(); MAX_TAPS];
    for ky in 0..window.kernel_h {
        let Some(row) = window.input_row(y, ky) else { continue };
        for kx in 0..window.kernel_w {
            let Some(column) = window.input_column(x, kx) else { continue };
            let at = ((n * window.in_h + row) * window.in_w + column) * channels;
            taps[ky * window.kernel_w + kx] = input[at..at + channels].as_ptr();
        }
    }
    taps
}

/// A packed DEPTHWISE_CONV_2D of float32 tensors with a multiplier of 1.
#[derive(Clone)]
pub struct DepthwiseFloat {
    shape: DepthwiseShape,
    /// `[channels / 4][taps][4]`.
    weights: AlignedVec<f32>,
    bias: AlignedVec<f32>,
    range: [f32; 2],
}

/// Float channels of a step.
const FLOATS: usize = 4;

impl DepthwiseFloat {
    /// Packs weights `[1, kernel_h, kernel_w, channels]`.
    ///
    /// # Panics
    /// Where [`fits`] says no.
    pub fn new(shape: DepthwiseShape, weights: &FloatWeights) -> Self {
        assert!(fits(&shape));
        let taps = shape.window.kernel_h * shape.window.kernel_w;
        let padded = shape.in_c.next_multiple_of(FLOATS);
        let mut packed = AlignedVec::zeroed(padded * taps);
        let mut bias = AlignedVec::zeroed(padded);
        for c in 0..shape.in_c {
            for tap in 0..taps {
                let at = (c / FLOATS * taps + tap) * FLOATS + c % FLOATS;
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

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.bias.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: a row of zeros.
    pub fn scratch_bytes(&self) -> usize {
        self.shape.in_c.next_multiple_of(FLOATS) * size_of::<f32>()
    }

    /// Computes the output pixels `pixels` of `[n * out_h * out_w]` into `out`, which holds just
    /// these. `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[f32],
        pixels: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let padding: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        padding.fill(0.0);
        let channels = self.shape.in_c;
        assert!(padding.len() >= channels);
        assert_eq!(out.len(), pixels.len() * channels);
        for (out, pixel) in out.chunks_exact_mut(channels).zip(pixels) {
            let taps = tap_pointers(&self.shape, input, pixel, padding);
            match self.shape.window.kernel_h * self.shape.window.kernel_w {
                9 => self.pixel::<S>(&taps[..9], out),
                25 => self.pixel::<S>(&taps[..25], out),
                n => self.pixel::<S>(&taps[..n], out),
            }
        }
    }

    /// One output pixel. Each of `taps` points at `channels` elements.
    #[inline(always)]
    fn pixel<S: Simd>(&self, taps: &[*const f32], out: &mut [f32]) {
        let channels = self.shape.in_c;
        let (min, max) = (S::f32x4_splat(self.range[0]), S::f32x4_splat(self.range[1]));
        let mut first = 0;
        while first < channels {
            let step = (channels - first).min(FLOATS);
            // SAFETY: packed weights and biases reach to the next multiple of 4 channels; a tap is
            // read whole, or copied where fewer than 4 channels are left.
            unsafe {
                let weights = self.weights.as_ptr().add(first * taps.len());
                let mut sum = S::load(self.bias.as_ptr().add(first));
                for (i, &tap) in taps.iter().enumerate() {
                    let x = if step == FLOATS {
                        S::load(tap.add(first))
                    } else {
                        let mut tail = [0.0f32; FLOATS];
                        for (i, place) in tail[..step].iter_mut().enumerate() {
                            *place = tap.add(first + i).read();
                        }
                        S::load(tail.as_ptr())
                    };
                    sum = S::f32x4_madd(x, S::load(weights.add(i * FLOATS)), sum);
                }
                let sum = S::f32x4_pmin(S::f32x4_pmax(sum, min), max);
                if step == FLOATS {
                    S::store(out[first..first + FLOATS].as_mut_ptr(), sum);
                } else {
                    let mut rest = [0.0f32; FLOATS];
                    S::store(rest.as_mut_ptr(), sum);
                    out[first..].copy_from_slice(&rest[..step]);
                }
            }
            first += step;
        }
    }
}
