//! 16-bit activations by 8-bit weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and
//! TRANSPOSE_CONV, as TensorFlow Lite's reference kernels have them (`integer_ops/conv.h` and its
//! kin for `int16_t` with a 64-bit bias): 64-bit sums, [`FixedMultiplier::apply_wide`]
//! or [`scaled_wide`]. All zero points are 0.

use super::conv2d::{self, Conv2dShape};
use super::depthwise_conv2d::{self, DepthwiseShape};
use super::transpose_conv::{self, TransposeConvShape};
use crate::requant::builtin::{FixedMultiplier, scaled_wide};

/// Weights with the bias, and how sums become results.
#[derive(Clone, Debug)]
pub struct WideWeights {
    /// Elements; the order is the operator's.
    pub values: Vec<i8>,
    /// One for each output channel, in the scale `input scale * weight scale`; 0 where there is no
    /// bias.
    pub bias: Vec<i64>,
    /// `input scale * weight scale / output scale`, one for each output channel.
    pub ratios: Vec<f64>,
    /// Least and greatest result.
    pub bounds: [i32; 2],
}

impl WideWeights {
    fn product(&self, input: i16, weight: usize) -> i64 {
        i64::from(i32::from(input) * i32::from(self.values[weight]))
    }

    fn finish(&self, sum: i64, channel: usize, requantise: impl Fn(i64, f64) -> i32) -> i16 {
        let [min, max] = self.bounds;
        requantise(sum + self.bias[channel], self.ratios[channel]).max(min).min(max) as i16
    }
}

/// What convolutions make of a sum.
fn fixed(sum: i64, ratio: f64) -> i32 {
    FixedMultiplier::new(ratio).apply_wide(sum)
}

/// CONV_2D into `[n, out_h, out_w, out_c]`.
pub fn conv2d(shape: &Conv2dShape, input: &[i16], weights: &WideWeights, out: &mut [i16]) {
    conv2d::for_each_output(shape, |at, channel, taps| {
        let mut sum = 0;
        taps(&mut |i, w| sum += weights.product(input[i], w));
        out[at] = weights.finish(sum, channel, fixed);
    });
}

/// DEPTHWISE_CONV_2D into `[n, out_h, out_w, in_c * multiplier]`.
pub fn depthwise_conv2d(
    shape: &DepthwiseShape,
    input: &[i16],
    weights: &WideWeights,
    out: &mut [i16],
) {
    depthwise_conv2d::for_each_output(shape, |at, channel, taps| {
        let mut sum = 0;
        taps(&mut |i, w| sum += weights.product(input[i], w));
        out[at] = weights.finish(sum, channel, fixed);
    });
}

/// TRANSPOSE_CONV into `[n, out_h, out_w, out_c]`.
pub fn transpose_conv(
    shape: &TransposeConvShape,
    input: &[i16],
    weights: &WideWeights,
    out: &mut [i16],
) {
    let mut sums = vec![0; out.len()];
    transpose_conv::for_each_product(shape, |i, w, at| sums[at] += weights.product(input[i], w));
    for (at, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
        *out = weights.finish(sum, at % shape.out_c, fixed);
    }
}

/// FULLY_CONNECTED of rows `[n, in_c]` into `[n, out_c]`, whose sums are scaled in f64.
pub fn fully_connected(
    [in_c, out_c]: [usize; 2],
    input: &[i16],
    weights: &WideWeights,
    out: &mut [i16],
) {
    for (row, out_row) in input.chunks_exact(in_c).zip(out.chunks_exact_mut(out_c)) {
        for (channel, out) in out_row.iter_mut().enumerate() {
            let products = row.iter().enumerate();
            let sum = products.map(|(i, &x)| weights.product(x, channel * in_c + i)).sum();
            *out = weights.finish(sum, channel, scaled_wide);
        }
    }
}
