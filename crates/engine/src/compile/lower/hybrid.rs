//! CONV_2D and FULLY_CONNECTED of floats by 8-bit weights: dynamic-range quantisation, with products of
//! integers.

use achado_graph::NodeRef;
use achado_graph::legal::{Convolution, check_scales, float_bias};
use achado_kernels::compiled;
use achado_kernels::conv2d::{self, Conv2dHybrid};
use achado_kernels::gemm::TILE_ROWS;
use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::requant::dynamic::Grid;
use achado_model::{DataType, Result, TensorId};

use super::Builder;
use super::convolution::conv2d_macs;
use super::operands::conv2d_shape;
use super::weights::Grids;
use crate::step::{Operands, Simple, Step};

/// Whether the weights are of 8 bits, without zero points, and no sum of a window leaves 32 bits.
pub(super) fn is_exact(node: &NodeRef) -> Result<bool> {
    let weights = node.input(1)?;
    let zero_points = weights.quantization.iter().flat_map(|q| &q.zero_point);
    let products: usize = weights.shape.iter().skip(1).product();
    let is_byte = matches!(weights.dtype, DataType::Int8 | DataType::UInt8);
    Ok(is_byte
        && weights.is_constant()
        && products <= Conv2dHybrid::MOST_PRODUCTS
        && zero_points.clone().all(|&zero_point| zero_point == 0))
}

/// The grids of a CONV_2D.
pub(super) fn grids(node: &NodeRef, shape: &Conv2dShape) -> Result<Grids> {
    let &Conv2dShape { window, in_c, groups, .. } = shape;
    let picture_len = window.in_h * window.in_w * in_c;
    let weights = node.input(1)?;
    if !node.is_builtin() && weights.dtype != DataType::UInt8 {
        // XNNPACK computes the product of a matrix by FULLY_CONNECTED.
        let is_product =
            [window.kernel_h, window.kernel_w] == [1, 1] && window.stride == [1, 1] && groups == 1;
        let len = if is_product { in_c } else { picture_len };
        return Ok(Grids { grid: Grid::Xnnpack, len });
    }
    let scales = weights.quantization.as_ref().map_or(&[][..], |q| &q.scale);
    let is_uniform = scales.iter().all(|scale| *scale == scales[0]);
    let grid = if is_uniform && groups == 1 { Grid::Symmetric } else { Grid::Affine };
    Ok(Grids { grid, len: picture_len })
}

/// The grids of a FULLY_CONNECTED, whose rows have `len` elements.
pub(super) fn row_grids(node: &NodeRef, len: usize) -> Result<Grids> {
    let grid = match node.input(1)?.dtype {
        DataType::UInt8 => Grid::Symmetric,
        _ => Grid::Xnnpack,
    };
    Ok(Grids { grid, len })
}

/// CONV_2D whose weights [`is_exact`] takes.
#[inline(never)]
pub(super) fn conv2d(
    builder: &mut Builder,
    node: &NodeRef,
    shape: Conv2dShape,
    bounds: [f32; 2],
) -> Result<()> {
    let grids = grids(node, &shape)?;
    product(builder, node, shape, grids, bounds)
}

/// FULLY_CONNECTED whose weights [`is_exact`] takes.
#[inline(never)]
pub(super) fn fully_connected(
    builder: &mut Builder,
    node: &NodeRef,
    convolution: &Convolution,
) -> Result<()> {
    let grids = row_grids(node, convolution.in_c)?;
    product(builder, node, conv2d_shape(convolution), grids, convolution.bounds)
}

/// A step that quantises, and one that multiplies.
fn product(
    builder: &mut Builder,
    node: &NodeRef,
    shape: Conv2dShape,
    grids: Grids,
    bounds: [f32; 2],
) -> Result<()> {
    let out_c = shape.out_c;
    check_scales(node, out_c, 0)?;
    let scale = &node.quantization(node.input(1)?)?.scale;
    let scale = (0..out_c).map(|channel| scale[channel % scale.len()]).collect();
    let bias = float_bias(node, out_c)?.unwrap_or_else(|| vec![0.0; out_c]);
    // Old converters write signed weights as uint8.
    let Some(data) = &node.input(1)?.data else {
        return Err(node.unsupported("the weights must be a constant"));
    };
    let window = &shape.window;
    let is_product =
        [window.kernel_h, window.kernel_w, window.stride[0], window.stride[1]] == [1; 4];
    let by_pixel = is_product && grids.len == shape.in_c;
    let values = bytemuck::cast_slice(data);
    let kernel = Conv2dHybrid::new(shape, values, (scale, bias), bounds, by_pixel);
    let inputs = quantised(builder, node, grids)?;
    builder.push(node, kernel, &inputs, &[node.output_id(0)?]);
    Ok(())
}

/// The bytes of the input, the zero points and the steps: temporaries, written by a step of its own.
fn quantised(builder: &mut Builder, node: &NodeRef, grids: Grids) -> Result<[TensorId; 3]> {
    let Grids { grid, len } = grids;
    let elements = node.input(0)?.elements();
    let count = elements / len;
    let sizes = [elements, count, count * size_of::<f32>()];
    let outputs = sizes.map(|bytes| builder.temporary(bytes));
    let run = move |operands: &mut Operands| {
        let input: &[f32] = bytemuck::cast_slice(operands.inputs[0]);
        let [bytes, zero_points, steps, ..] = &mut operands.outputs;
        let steps: &mut [f32] = bytemuck::cast_slice_mut(steps);
        let grids = zero_points.iter_mut().zip(steps);
        let parts = input.chunks_exact(len).zip(bytes.chunks_exact_mut(len));
        for ((input, out), (zero_point, step)) in parts.zip(grids) {
            (*zero_point, *step) = grid.quantise(input, out);
        }
    };
    let step = Simple { kernel: "dynamic range", run };
    builder.push(node, step, &[node.input_id(0)?], &outputs);
    Ok(outputs)
}

impl Step for Conv2dHybrid {
    fn kernel(&self) -> &'static str {
        "gemm i16 hybrid"
    }

    fn run(&self, operands: &mut Operands) {
        let [input, zero_points, steps, _] = operands.inputs;
        let grids = conv2d::Grids { zero_points, steps: bytemuck::cast_slice(steps) };
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let out_c = self.shape().out_c;
        operands.pool.split(out, out_c, TILE_ROWS, operands.scratch, |pixels, out, scratch| {
            compiled::conv2d_hybrid(self, input, &grids, pixels, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }

    fn macs(&self) -> u64 {
        conv2d_macs(self.shape())
    }
}
