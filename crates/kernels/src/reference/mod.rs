//! The naive truth of every operator: loops as the definition has them, no care for speed.

pub mod add;
pub mod average_pool_2d;
pub mod binary_quantized;
pub mod broadcast_to;
pub mod concatenation;
pub mod conv2d;
pub mod depthwise_conv2d;
pub mod dequantize;
pub mod dynamic_quantize;
pub mod fully_connected;
pub mod l2_pool_2d;
pub mod max_pool_2d;
pub mod mean;
pub mod mirror_pad;
pub mod mul;
pub mod pad;
pub mod quantize;
pub mod resize_bilinear;
pub mod resize_nearest_neighbor;
pub mod softmax;
pub mod space_to_batch_nd;
pub mod space_to_depth;
pub mod strided_slice;
pub mod transpose;
pub mod transpose_conv;
pub mod unary;
pub mod unary_quantized;
pub mod wide;

use crate::shape::Window;

/// Weights of a quantised convolution or matrix product, with the bias.
#[derive(Clone, Copy, Debug)]
pub struct QuantizedWeights<'a, W> {
    /// Elements; the order is the operator's.
    pub values: &'a [W],
    /// Zero point: 0 for int8 weights quantised per channel.
    pub zero_point: i32,
    /// One for each output channel, in the scale `input scale * weight scale`.
    pub bias: Option<&'a [i32]>,
}

/// Weights of a float convolution or matrix product, with the bias and the fused activation.
#[derive(Clone, Copy, Debug)]
pub struct FloatWeights<'a> {
    /// Elements; the order is the operator's.
    pub values: &'a [f32],
    /// One for each output channel.
    pub bias: Option<&'a [f32]>,
    /// Least and greatest output: infinities where no activation is fused.
    pub activation: [f32; 2],
}

impl FloatWeights<'_> {
    /// Adds the channel's bias to a sum of products and clamps. Sums are taken in f64, so that
    /// the truth depends on no order of summation.
    fn finish(&self, sum: f64, channel: usize) -> f32 {
        let biased = sum + self.bias.map_or(0.0, |bias| f64::from(bias[channel]));
        (biased as f32).clamp(self.activation[0], self.activation[1])
    }
}

/// The index of each dimension of the element at `offset`, row by row.
fn indexes(shape: &[usize], mut offset: usize) -> Vec<usize> {
    let mut indexes = vec![0; shape.len()];
    for (index, &len) in indexes.iter_mut().zip(shape).rev() {
        *index = offset % len;
        offset /= len;
    }
    indexes
}

/// The offset of the element at `indexes`, of which dimensions of length 1 take only 0 and those
/// in front that `shape` lacks are left out: NumPy's broadcasting.
fn broadcast_offset(shape: &[usize], indexes: &[usize]) -> usize {
    let aligned = &indexes[indexes.len() - shape.len()..];
    shape
        .iter()
        .zip(aligned)
        .fold(0, |offset, (&len, &index)| offset * len + if len == 1 { 0 } else { index })
}

/// The shape of two operands together.
pub fn broadcast_shape(first: &[usize], second: &[usize]) -> Vec<usize> {
    let rank = first.len().max(second.len());
    let axis =
        |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|i| match (axis(first, i), axis(second, i)) {
            (1, b) => b,
            (a, _) => a,
        })
        .collect()
}

/// A tensor with its shape.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, T> {
    /// Lengths of the dimensions, outermost first.
    pub shape: &'a [usize],
    /// Elements, row by row.
    pub values: &'a [T],
}

/// `out = f(first, second)` with broadcasting; `out` has [`broadcast_shape`].
fn binary<A: Copy, B: Copy, O>(
    first: Operand<A>,
    second: Operand<B>,
    out: &mut [O],
    f: impl Fn(A, B) -> O,
) {
    let shape = broadcast_shape(first.shape, second.shape);
    for (offset, out) in out.iter_mut().enumerate() {
        let at = indexes(&shape, offset);
        let a = first.values[broadcast_offset(first.shape, &at)];
        let b = second.values[broadcast_offset(second.shape, &at)];
        *out = f(a, b);
    }
}

/// Calls `body(output index, input indexes)` for each element of a pooled
/// `[n, out_h, out_w, channels]`: the inputs are those of the window that lie in the picture.
fn for_each_pooled(
    window: &Window,
    channels: usize,
    mut body: impl FnMut(usize, &mut dyn Iterator<Item = usize>),
) {
    let mut at = 0;
    for n in 0..window.batch {
        for y in 0..window.out_h {
            for x in 0..window.out_w {
                for c in 0..channels {
                    let rows = (0..window.kernel_h).filter_map(|ky| window.input_row(y, ky));
                    let mut taps = rows.flat_map(|row| {
                        (0..window.kernel_w).filter_map(move |kx| window.input_column(x, kx)).map(
                            move |column| {
                                ((n * window.in_h + row) * window.in_w + column) * channels + c
                            },
                        )
                    });
                    body(at, &mut taps);
                    at += 1;
                }
            }
        }
    }
}

/// Fills `out`, of this shape, with the input elements that `from` names by their indexes; places
/// for which it has none are left as they are.
fn moved<T: Copy>(
    out_shape: &[usize],
    input: Operand<T>,
    out: &mut [T],
    from: impl Fn(&[usize]) -> Option<Vec<usize>>,
) {
    for (offset, out) in out.iter_mut().enumerate() {
        if let Some(at) = from(&indexes(out_shape, offset)) {
            let offset =
                at.iter().zip(input.shape).fold(0, |from, (index, len)| from * len + index);
            *out = input.values[offset];
        }
    }
}
