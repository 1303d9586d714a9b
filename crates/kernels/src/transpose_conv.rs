//! TRANSPOSE_CONV, and MediaPipe's Convolution2DTransposeBias. Arithmetic: see
//! [`reference::transpose_conv`](crate::reference::transpose_conv).

use crate::reference::transpose_conv::TransposeConvShape;
use crate::reference::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};
use crate::unary::clamp;

/// Products that are summed apart, so that the compiler makes vectors of them.
const LANES: usize = 8;

/// Float transposed convolution into `[n, out_h, out_w, out_c]`.
pub fn transpose_conv_f32(
    shape: &TransposeConvShape,
    input: &[f32],
    weights: &FloatWeights,
    out: &mut [f32],
) {
    for_each_pixel(shape, out, |pixel, taps| {
        for (channel, out) in pixel.iter_mut().enumerate() {
            let mut sum = weights.bias.map_or(0.0, |bias| bias[channel]);
            taps(&mut |x, w| {
                let w = w + channel * shape.weights_step();
                sum += dot(&input[x..x + shape.in_c], &weights.values[w..w + shape.in_c]);
            });
            *out = clamp(sum, weights.activation);
        }
    });
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
    for_each_pixel(shape, out, |pixel, taps| {
        for (channel, out) in pixel.iter_mut().enumerate() {
            let mut sum = weights.bias.map_or(0, |bias| bias[channel]);
            taps(&mut |x, w| {
                let w = w + channel * shape.weights_step();
                let products = input[x..x + shape.in_c].iter().zip(&weights.values[w..]);
                let part: i32 = products
                    .map(|(&x, &y)| {
                        let (x, y): (i32, i32) = (x.into(), y.into());
                        (x - input_zero_point) * (y - weights.zero_point)
                    })
                    .sum();
                sum = sum.wrapping_add(part);
            });
            *out = O::from_i32(requant.apply(sum, channel));
        }
    });
}

/// The sum of products of slices of one length.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f32 = rest.map(|(x, y)| x * y).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Receives the offsets of an input pixel and of the weights that it meets in output channel 0.
type Tap<'a> = &'a mut dyn FnMut(usize, usize);

/// Calls `body(channels of an output pixel, its taps)` for each output pixel.
fn for_each_pixel<T>(
    shape: &TransposeConvShape,
    out: &mut [T],
    mut body: impl FnMut(&mut [T], &dyn Fn(Tap)),
) {
    let mut pixels = out.chunks_exact_mut(shape.out_c);
    for n in 0..shape.batch {
        for y in 0..shape.out_size[0] {
            for x in 0..shape.out_size[1] {
                let Some(pixel) = pixels.next() else { return };
                body(pixel, &|tap| {
                    for ky in 0..shape.kernel[0] {
                        let Some(row) = shape.input_place(0, y, ky) else { continue };
                        for kx in 0..shape.kernel[1] {
                            let Some(column) = shape.input_place(1, x, kx) else { continue };
                            let from = (n * shape.in_size[0] + row) * shape.in_size[1] + column;
                            tap(from * shape.in_c, (ky * shape.kernel[1] + kx) * shape.in_c);
                        }
                    }
                });
            }
        }
    }
}
