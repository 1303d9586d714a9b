//! DEPTHWISE_CONV_2D of 8-bit tensors with any window: two taps are interleaved as i16 pairs, and
//! one `i32x4_dot_i16x8` serves both.

use core::ops::Range;

use super::units::{CHANNELS, Dot, Words, interleave};
use super::{each_pixel, fits};
use crate::aligned::AlignedVec;
use crate::reference::QuantizedWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::{Quantized, Requantize};
use crate::requant_vector::{FixedColumns, VectorRequantize};
use crate::simd::{Element, Simd};

/// i16 elements of one pair of taps of a step.
const PAIR: usize = CHANNELS * 2;

/// A packed DEPTHWISE_CONV_2D of int8 or uint8 tensors with a multiplier of 1.
#[derive(Clone)]
pub struct DepthwiseTaps {
    shape: DepthwiseShape,
    /// `[channels / 8][pairs of taps][8][2]`, less the zero point. A last tap without a partner has
    /// one of weight 0.
    weights: AlignedVec<i16>,
    /// Pairs of taps of 8 channels.
    pairs: usize,
    bias: AlignedVec<i32>,
    scale: AlignedVec<f32>,
    /// In place of `scale`.
    fixed: Option<FixedColumns>,
    input_zero_point: i32,
    requant: [i32; 3],
}

impl DepthwiseTaps {
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
        let pairs = taps.div_ceil(2);
        let padded = shape.in_c.next_multiple_of(CHANNELS);
        let mut packed = AlignedVec::zeroed(padded * pairs * 2);
        let mut bias = AlignedVec::zeroed(padded);
        let mut scale = AlignedVec::zeroed(padded);
        for c in 0..shape.in_c {
            for tap in 0..taps {
                let at = (c / CHANNELS * pairs + tap / 2) * PAIR + c % CHANNELS * 2;
                packed[at + tap % 2] = value(tap, c) as i16;
            }
            // The input's zero point: padding is a row of zero points.
            let sum: i32 = (0..taps).map(|tap| value(tap, c)).sum();
            bias[c] = weights
                .bias
                .map_or(0, |bias| bias[c])
                .wrapping_sub(sum.wrapping_mul(input_zero_point));
            scale[c] = requant.scale_of(c);
        }
        let fixed = FixedColumns::new(requant, shape.in_c, padded);
        let requant = [requant.zero_point, requant.min, requant.max];
        Self { shape, weights: packed, pairs, bias, scale, fixed, input_zero_point, requant }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        let fixed = self.fixed.as_ref().map_or(0, FixedColumns::size_bytes);
        self.weights.size_bytes() + self.bias.size_bytes() + self.scale.size_bytes() + fixed
    }

    /// Bytes of scratch that [`Self::run`] needs: a pixel of zero points.
    pub fn scratch_bytes(&self) -> usize {
        self.shape.in_c
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
        assert_eq!(out.len(), rows.len() * self.shape.window.out_w * self.shape.in_c);
        let padding = &mut bytemuck::cast_slice_mut(scratch)[..self.shape.in_c];
        padding.fill(T::from_i32(self.input_zero_point));
        each_pixel(&self.shape, input, rows, padding, out, |taps, out| {
            self.pixel::<S, T>(taps, out);
        });
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
                let [low, high] = match &self.fixed {
                    None => {
                        let scale = self.scale.as_ptr().add(first);
                        let low = requant.apply(sums[0], S::load(scale));
                        [low, requant.apply(sums[1], S::load(scale.add(4)))]
                    }
                    Some(fixed) => {
                        let low = requant.apply_fixed(sums[0], &fixed.lanes(first));
                        [low, requant.apply_fixed(sums[1], &fixed.lanes(first + 4))]
                    }
                };
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
        VectorRequantize::new::<T>(&Requantize { scale: &[], fixed: None, zero_point, min, max })
    }
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
        *sum = Words::add::<S>(weights, taps, *sum);
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
