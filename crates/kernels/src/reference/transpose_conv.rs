//! TRANSPOSE_CONV: `[n, h, w, in_c]` by weights `[out_c, kernel_h, kernel_w, in_c]`.
//!
//! Input pixel `(y, x)` adds its products to the output pixels
//! `(y * stride + ky - pad_top, x * stride + kx - pad_left)`. Quantised arithmetic as CONV_2D's
//! (XNNPACK's `deconvolution-nhwc.c` uses the same kernels).

use super::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};

/// The geometry of a transposed convolution. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransposeConvShape {
    /// Pictures.
    pub batch: usize,
    /// Input height and width.
    pub in_size: [usize; 2],
    /// Output height and width.
    pub out_size: [usize; 2],
    /// Window.
    pub kernel: [usize; 2],
    /// Output pixels from one input pixel to the next.
    pub stride: [usize; 2],
    /// Rows and columns cut off above and to the left.
    pub pad: [usize; 2],
    /// Input channels.
    pub in_c: usize,
    /// Output channels.
    pub out_c: usize,
}

impl TransposeConvShape {
    /// The input row (`axis` 0) or column that meets output place `i` by window place `k`.
    pub fn input_place(&self, axis: usize, i: usize, k: usize) -> Option<usize> {
        let steps = (i + self.pad[axis]).checked_sub(k)?;
        let place = steps / self.stride[axis];
        (steps.is_multiple_of(self.stride[axis]) && place < self.in_size[axis]).then_some(place)
    }

    /// Weights of an output channel.
    pub fn weights_step(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.in_c
    }
}

/// Quantised transposed convolution into `[n, out_h, out_w, out_c]`.
pub fn transpose_conv_quantized<I: Quantized, W: Quantized, O: Quantized>(
    shape: &TransposeConvShape,
    input: &[I],
    input_zero_point: i32,
    weights: &QuantizedWeights<W>,
    requant: &Requantize,
    out: &mut [O],
) {
    let bias = |channel: usize| weights.bias.map_or(0, |bias| bias[channel]);
    let mut sums: Vec<i32> = (0..out.len()).map(|at| bias(at % shape.out_c)).collect();
    for_each_product(shape, |i, w, at| {
        let x: i32 = input[i].into() - input_zero_point;
        let y: i32 = weights.values[w].into() - weights.zero_point;
        sums[at] = sums[at].wrapping_add(x * y);
    });
    for (at, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
        *out = O::from_i32(requant.apply(sum, at % shape.out_c));
    }
}

/// Float transposed convolution into `[n, out_h, out_w, out_c]`.
pub fn transpose_conv_f32(
    shape: &TransposeConvShape,
    input: &[f32],
    weights: &FloatWeights,
    out: &mut [f32],
) {
    let mut sums = vec![0.0; out.len()];
    for_each_product(shape, |i, w, at| {
        sums[at] += f64::from(input[i]) * f64::from(weights.values[w]);
    });
    for (at, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
        *out = weights.finish(sum, at % shape.out_c);
    }
}

/// Calls `body(input, weight, output)` with the offsets of each product, input by input.
pub(super) fn for_each_product(
    shape: &TransposeConvShape,
    mut body: impl FnMut(usize, usize, usize),
) {
    let [in_h, in_w] = shape.in_size;
    let [out_h, out_w] = shape.out_size;
    for pixel in 0..shape.batch * in_h * in_w {
        let (n, y, x) = (pixel / (in_h * in_w), pixel / in_w % in_h, pixel % in_w);
        for ky in 0..shape.kernel[0] {
            for kx in 0..shape.kernel[1] {
                let row = (y * shape.stride[0] + ky).checked_sub(shape.pad[0]);
                let column = (x * shape.stride[1] + kx).checked_sub(shape.pad[1]);
                let (Some(row), Some(column)) = (row, column) else { continue };
                if row >= out_h || column >= out_w {
                    continue;
                }
                for out_c in 0..shape.out_c {
                    for in_c in 0..shape.in_c {
                        let place = (out_c * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                        body(
                            pixel * shape.in_c + in_c,
                            place * shape.in_c + in_c,
                            ((n * out_h + row) * out_w + column) * shape.out_c + out_c,
                        );
                    }
                }
            }
        }
    }
}
