//! DEPTHWISE_CONV_2D: `[n, h, w, in_c]` by weights `[1, kernel_h, kernel_w, in_c * multiplier]`.
//!
//! Output channel `c * multiplier + m` reads input channel `c` alone. Quantised arithmetic as in
//! XNNPACK's `qs8-qc8w-dwconv`, `qs8-dwconv` and `qu8-dwconv`: the same as CONV_2D's.

use super::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};
use crate::shape::Window;

/// The geometry of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// The pictures and the way of the window.
    pub window: Window,
    /// Input channels.
    pub in_c: usize,
    /// Output channels for each input channel.
    pub multiplier: usize,
}

/// Quantised depthwise convolution into `[n, out_h, out_w, in_c * multiplier]`.
pub fn depthwise_conv2d_quantized<I: Quantized, W: Quantized, O: Quantized>(
    shape: &DepthwiseShape,
    input: &[I],
    input_zero_point: i32,
    weights: &QuantizedWeights<W>,
    requant: &Requantize,
    out: &mut [O],
) {
    for_each_output(shape, |at, channel, taps| {
        let mut sum = weights.bias.map_or(0, |bias| bias[channel]);
        taps(&mut |i, w| {
            let x: i32 = input[i].into() - input_zero_point;
            let y: i32 = weights.values[w].into() - weights.zero_point;
            sum = sum.wrapping_add(x * y);
        });
        out[at] = O::from_i32(requant.apply(sum, channel));
    });
}

/// Float depthwise convolution into `[n, out_h, out_w, in_c * multiplier]`.
pub fn depthwise_conv2d_f32(
    shape: &DepthwiseShape,
    input: &[f32],
    weights: &FloatWeights,
    out: &mut [f32],
) {
    for_each_output(shape, |at, channel, taps| {
        let mut sum = 0.0;
        taps(&mut |i, w| sum += f64::from(input[i]) * f64::from(weights.values[w]));
        out[at] = weights.finish(sum, channel);
    });
}

/// Receives the indexes of an input element and of the weight that multiplies it.
pub(super) type Tap<'a> = &'a mut dyn FnMut(usize, usize);

/// Calls `body(output index, output channel, taps)` for each output element; `taps` walks the
/// products that the element sums.
pub(super) fn for_each_output(
    shape: &DepthwiseShape,
    mut body: impl FnMut(usize, usize, &dyn Fn(Tap)),
) {
    let DepthwiseShape { window, in_c, multiplier } = shape;
    let out_c = in_c * multiplier;
    let mut at = 0;
    for n in 0..window.batch {
        for y in 0..window.out_h {
            for x in 0..window.out_w {
                for channel in 0..out_c {
                    body(at, channel, &|tap| {
                        for ky in 0..window.kernel_h {
                            let Some(row) = window.input_row(y, ky) else { continue };
                            for kx in 0..window.kernel_w {
                                let Some(column) = window.input_column(x, kx) else { continue };
                                let pixel = (n * window.in_h + row) * window.in_w + column;
                                let place = ky * window.kernel_w + kx;
                                tap(pixel * in_c + channel / multiplier, place * out_c + channel);
                            }
                        }
                    });
                    at += 1;
                }
            }
        }
    }
}
