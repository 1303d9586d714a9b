//! CONV_2D: `[n, h, w, in_c]` by weights `[out_c, kernel_h, kernel_w, in_c / groups]`.
//!
//! Quantised arithmetic as in XNNPACK's `qs8-qc8w-igemm`, `qs8-igemm` and `qu8-igemm`: a 32-bit
//! sum of `(input - zero point) * (weight - zero point)` and the bias, then
//! [`requantise`](crate::requant::requantise).

use super::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};
use crate::shape::Window;

/// The geometry of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    /// The pictures and the way of the window.
    pub window: Window,
    /// Input channels.
    pub in_c: usize,
    /// Output channels.
    pub out_c: usize,
    /// Groups: output channel `o` reads only the input channels of group `o / (out_c / groups)`.
    pub groups: usize,
}

/// Quantised convolution into `[n, out_h, out_w, out_c]`.
pub fn conv2d_quantized<I: Quantized, W: Quantized, O: Quantized>(
    shape: &Conv2dShape,
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

/// Convolution of uint8 whose zero point and scale are computed while the model runs: exact sums,
/// then `clamp(sum * factor + bias)`, each operation rounded. `factors` has one element for all
/// output channels or one for each; the bias of `weights` is not used.
pub fn conv2d_dynamic(
    shape: &Conv2dShape,
    input: &[u8],
    input_zero_point: u8,
    weights: &QuantizedWeights<u8>,
    (factors, bias): (&[f32], &[f32]),
    activation: [f32; 2],
    out: &mut [f32],
) {
    for_each_output(shape, |at, channel, taps| {
        let mut sum = 0;
        taps(&mut |i, w| {
            let x = i32::from(input[i]) - i32::from(input_zero_point);
            sum += x * (i32::from(weights.values[w]) - weights.zero_point);
        });
        let scaled = sum as f32 * factors[channel % factors.len()];
        out[at] = (scaled + bias[channel]).clamp(activation[0], activation[1]);
    });
}

/// Float convolution into `[n, out_h, out_w, out_c]`.
pub fn conv2d_f32(shape: &Conv2dShape, input: &[f32], weights: &FloatWeights, out: &mut [f32]) {
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
    shape: &Conv2dShape,
    mut body: impl FnMut(usize, usize, &dyn Fn(Tap)),
) {
    let Conv2dShape { window, in_c, out_c, groups } = shape;
    let (group_in, group_out) = (in_c / groups, out_c / groups);
    let mut at = 0;
    for n in 0..window.batch {
        for y in 0..window.out_h {
            for x in 0..window.out_w {
                for channel in 0..*out_c {
                    let first_in = channel / group_out * group_in;
                    body(at, channel, &|tap| {
                        for ky in 0..window.kernel_h {
                            let Some(row) = window.input_row(y, ky) else { continue };
                            for kx in 0..window.kernel_w {
                                let Some(column) = window.input_column(x, kx) else { continue };
                                let pixel = (n * window.in_h + row) * window.in_w + column;
                                let place = (channel * window.kernel_h + ky) * window.kernel_w + kx;
                                for c in 0..group_in {
                                    tap(pixel * in_c + first_in + c, place * group_in + c);
                                }
                            }
                        }
                    });
                    at += 1;
                }
            }
        }
    }
}
