//! CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

use std::marker::PhantomData;

use achado_graph::NodeRef;
use achado_graph::legal::{self, Arithmetic, Convolution, arithmetic};
use achado_kernels::compiled::{self, Compiled};
use achado_kernels::conv2d::{Conv2dFloat, Conv2dQuantized};
use achado_kernels::depthwise_conv2d::{self, DepthwiseFloat, DepthwiseQuantized};
use achado_kernels::fully_connected::{FullyConnectedFloat, FullyConnectedQuantized};
use achado_kernels::gemm::TILE_ROWS;
use achado_kernels::reference::conv2d::{Conv2dShape, conv2d_quantized};
use achado_kernels::reference::depthwise_conv2d::{DepthwiseShape, depthwise_conv2d_quantized};
use achado_kernels::reference::wide;
use achado_kernels::requant::builtin::Ties;
use achado_kernels::requant::dynamic::Grid;
use achado_model::{DataType, Result, TensorId};

use super::operands::{conv2d_shape, depthwise_shape};
use super::weights::{
    FloatParts, Grids, QuantizedParts, constant_weights, dynamic_range, packed_weights,
};
use super::{Builder, hybrid, int16, matrix, with_quantized};
use crate::step::{Operands, Simple, Step};

/// A packed 8-bit kernel with its element type.
struct Packed<K, T> {
    kernel: K,
    element: PhantomData<fn() -> T>,
}

impl<K, T> Packed<K, T> {
    fn new(kernel: K) -> Self {
        Self { kernel, element: PhantomData }
    }
}

/// CONV_2D and DEPTHWISE_CONV_2D.
#[inline(never)]
pub(super) fn convolution(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (convolution, arithmetic) = (legal::weighted(node)?, arithmetic(node)?);
    let is_conv2d = convolution.channel_axis == 0;
    if convolution.is_depthwise() && !(is_conv2d && arithmetic == Arithmetic::Wide) {
        return channel_by_channel(builder, node, &convolution, arithmetic);
    }
    let (shape, bounds) = (conv2d_shape(&convolution), convolution.bounds);
    let out_c = shape.out_c;
    let (inputs, outputs) = ([node.input_id(0)?], [node.output_id(0)?]);
    match arithmetic {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let ties = if shape.groups == 1 { Ties::UP } else { Ties::AWAY_FROM_ZERO };
            let parts = QuantizedParts::new(node, out_c, 0, bounds, ties)?;
            let values = constant_weights::<T>(node)?;
            if !parts.fits_vectors() {
                let values = values.to_vec();
                return builder.push_simple(node, "reference", &inputs, move |operands| {
                    let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
                    let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                    let (weights, zero_point) = (parts.weights(&values), parts.input_zero_point());
                    conv2d_quantized(&shape, input, zero_point, &weights, &parts.requant(), out);
                });
            }
            let weights = parts.weights(values);
            let kernel = T::pack_conv2d(
                shape,
                parts.input_zero_point(),
                &weights,
                &parts.requant(),
                builder.byte_dot,
            );
            builder.push(node, Packed::<_, T>::new(kernel), &inputs, &outputs);
        }, else return Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, out_c, 0, bounds)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::conv2d(&shape, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)?;
        }
        Arithmetic::Float => {
            if hybrid::is_exact(node)? {
                return hybrid::conv2d(builder, node, shape, bounds);
            }
            let kernel = match packed_weights(builder, node, out_c, bounds)? {
                Some(packed) => Conv2dFloat::with_packed(shape, packed),
                None => {
                    let parts = FloatParts::new(node, out_c, bounds)?;
                    Conv2dFloat::new(shape, &parts.weights())
                }
            };
            let inputs = [dynamic_range(builder, node, hybrid::grids(node, &shape)?)?];
            builder.push(node, Packed::<_, f32>::new(kernel), &inputs, &outputs);
        }
    }
    Ok(())
}

pub(super) fn conv2d_macs(shape: &Conv2dShape) -> u64 {
    let Conv2dShape { window, in_c, out_c, groups } = shape;
    window.out_pixels() as u64
        * (window.kernel_h * window.kernel_w) as u64
        * (in_c / groups * out_c) as u64
}

impl<T: Compiled> Step for Packed<Conv2dQuantized, T> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let out_c = self.kernel.shape().out_c;
        operands.pool.split(out, out_c, TILE_ROWS, operands.scratch, |pixels, out, scratch| {
            T::conv2d(&self.kernel, input, pixels, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        conv2d_macs(self.kernel.shape())
    }
}

impl Step for Packed<Conv2dFloat, f32> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let out_c = self.kernel.shape().out_c;
        operands.pool.split(out, out_c, TILE_ROWS, operands.scratch, |pixels, out, scratch| {
            compiled::conv2d_f32(&self.kernel, input, pixels, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        conv2d_macs(self.kernel.shape())
    }
}

/// A DEPTHWISE_CONV_2D, or a CONV_2D with a group for each input channel, whose weights are in another
/// order.
#[inline(never)]
fn channel_by_channel(
    builder: &mut Builder,
    node: &NodeRef,
    convolution: &Convolution,
    arithmetic: Arithmetic,
) -> Result<()> {
    let &Convolution { out_c, channel_axis, bounds, .. } = convolution;
    let is_depthwise = channel_axis == 3;
    let shape = depthwise_shape(convolution);
    let outputs = [node.output_id(0)?];
    match arithmetic {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let ties = match (is_depthwise, T::MIN) {
                (false, _) | (true, 0) => Ties::AWAY_FROM_ZERO,
                _ => Ties::of_vectors(out_c),
            };
            let parts = QuantizedParts::new(node, out_c, channel_axis, bounds, ties)?;
            let values = constant_weights::<T>(node)?;
            let transposed = if is_depthwise { Vec::new() } else { transposed(values, out_c) };
            let values = if is_depthwise { values } else { &transposed };
            let (input, shape) = repeat_channels::<T>(builder, node, node.input_id(0)?, shape);
            if depthwise_conv2d::fits(&shape) && parts.fits_vectors() {
                let kernel = T::pack_depthwise(
                    shape,
                    parts.input_zero_point(),
                    &parts.weights(values),
                    &parts.requant(),
                    builder.byte_dot,
                );
                builder.push(node, Packed::<_, T>::new(kernel), &[input], &outputs);
            } else {
                let values = values.to_vec();
                builder.push_simple(node, "reference", &[input], move |operands| {
                    let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
                    let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                    depthwise_conv2d_quantized(
                        &shape,
                        input,
                        parts.input_zero_point(),
                        &parts.weights(&values),
                        &parts.requant(),
                        out,
                    );
                })?;
            }
        }, else return Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, out_c, channel_axis, bounds)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::depthwise_conv2d(&shape, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)?;
        }
        Arithmetic::Float => {
            let mut parts = FloatParts::new(node, out_c, bounds)?;
            if !is_depthwise {
                parts.reorder(|values| transposed(values, out_c));
            }
            let DepthwiseShape { window, in_c, .. } = shape;
            let grids = match is_depthwise {
                true => Grids { grid: Grid::Affine, len: window.in_h * window.in_w * in_c },
                false => hybrid::grids(node, &conv2d_shape(convolution))?,
            };
            let input = dynamic_range(builder, node, grids)?;
            let (input, shape) = repeat_channels::<f32>(builder, node, input, shape);
            let kernel = DepthwiseFloat::new(shape, &parts.weights());
            builder.push(node, Packed::<_, f32>::new(kernel), &[input], &outputs);
        }
    }
    Ok(())
}

/// Weights `[out_c, kernel_h, kernel_w, 1]` as `[1, kernel_h, kernel_w, out_c]`.
fn transposed<T: Copy>(values: &[T], out_c: usize) -> Vec<T> {
    let taps = values.len() / out_c;
    (0..values.len()).map(|at| values[at % out_c * taps + at / out_c]).collect()
}

/// The input with each channel as often as it has output channels: a temporary, and a shape with a
/// multiplier of 1. As it is where the multiplier is 1.
fn repeat_channels<T: bytemuck::Pod + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    input: TensorId,
    shape: DepthwiseShape,
) -> (TensorId, DepthwiseShape) {
    let DepthwiseShape { window, in_c, multiplier } = shape;
    if multiplier == 1 {
        return (input, shape);
    }
    let out_c = in_c * multiplier;
    let pixels = window.batch * window.in_h * window.in_w;
    let repeated = builder.temporary(pixels * out_c * size_of::<T>());
    let run = move |operands: &mut Operands| {
        let input: &[T] = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        operands.pool.split(out, out_c, 64, operands.scratch, |pixels, out, _| {
            let input = &input[pixels.start * in_c..pixels.end * in_c];
            for (&x, out) in input.iter().zip(out.chunks_exact_mut(multiplier)) {
                out.fill(x);
            }
        });
    };
    builder.push(node, Simple { kernel: "repeat channels", run }, &[input], &[repeated]);
    (repeated, DepthwiseShape { in_c: out_c, multiplier: 1, ..shape })
}

fn depthwise_macs(shape: &DepthwiseShape) -> u64 {
    let window = &shape.window;
    (window.out_pixels() * shape.in_c) as u64 * (window.kernel_h * window.kernel_w) as u64
}

impl<T: Compiled> Step for Packed<DepthwiseQuantized, T> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let row_len = self.kernel.shape().window.out_w * self.kernel.shape().in_c;
        operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, scratch| {
            T::depthwise(&self.kernel, input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        depthwise_macs(self.kernel.shape())
    }
}

impl Step for Packed<DepthwiseFloat, f32> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let row_len = self.kernel.shape().window.out_w * self.kernel.shape().in_c;
        operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, scratch| {
            compiled::depthwise_f32(&self.kernel, input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        depthwise_macs(self.kernel.shape())
    }
}

/// FULLY_CONNECTED.
#[inline(never)]
pub(super) fn fully_connected(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let convolution = legal::weighted(node)?;
    let Convolution { in_c, out_c, bounds, .. } = convolution;
    let sizes = [in_c, out_c];
    let (input, weights) = (node.input(0)?, node.input(1)?);
    if !weights.is_constant() && !builder.weights.has(node.input_id(1)?) {
        return matrix::product_of_computed(builder, node, sizes, bounds);
    }
    let (inputs, outputs) = ([node.input_id(0)?], [node.output_id(0)?]);
    let macs = input.elements() as u64 * out_c as u64;
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(input.dtype, T => {
            let parts = QuantizedParts::new(node, out_c, 0, bounds, Ties::UP)?;
            let values = constant_weights::<T>(node)?;
            if !parts.fits_vectors() {
                let values = values.to_vec();
                return matrix::push_reference(builder, node, sizes, parts, Some(values));
            }
            let weights = parts.weights(values);
            let kernel = T::pack_fully_connected(
                sizes,
                parts.input_zero_point(),
                &weights,
                &parts.requant(),
                builder.byte_dot,
            );
            builder.push(node, Rows { packed: Packed::<_, T>::new(kernel), out_c, macs }, &inputs, &outputs);
        }, else return Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, out_c, 0, bounds)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::fully_connected(sizes, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)?;
        }
        Arithmetic::Float => {
            if hybrid::is_exact(node)? {
                return hybrid::fully_connected(builder, node, &convolution);
            }
            let kernel = match packed_weights(builder, node, out_c, bounds)? {
                Some(packed) => FullyConnectedFloat::with_packed(sizes, packed),
                None => {
                    let parts = FloatParts::new(node, out_c, bounds)?;
                    FullyConnectedFloat::new(sizes, &parts.weights())
                }
            };
            let inputs = [dynamic_range(builder, node, hybrid::row_grids(node, in_c)?)?];
            let packed = Packed::<_, f32>::new(kernel);
            builder.push(node, Rows { packed, out_c, macs }, &inputs, &outputs);
        }
    }
    Ok(())
}

/// A packed FULLY_CONNECTED.
struct Rows<K, T> {
    packed: Packed<K, T>,
    out_c: usize,
    macs: u64,
}

impl<T: Compiled> Step for Rows<FullyConnectedQuantized, T> {
    fn kernel(&self) -> &'static str {
        self.packed.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        operands.pool.split(out, self.out_c, TILE_ROWS, operands.scratch, |rows, out, scratch| {
            T::fully_connected(&self.packed.kernel, input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.packed.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.packed.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        self.macs
    }
}

impl Step for Rows<FullyConnectedFloat, f32> {
    fn kernel(&self) -> &'static str {
        "gemm f32"
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        operands.pool.split(out, self.out_c, TILE_ROWS, operands.scratch, |rows, out, scratch| {
            compiled::fully_connected_f32(&self.packed.kernel, input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.packed.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.packed.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        self.macs
    }
}
