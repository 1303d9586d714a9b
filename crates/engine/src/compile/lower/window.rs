//! Operators over pictures without weights: pools and RESIZE.

use achado_graph::{NodeRef, infer::WindowAttributes};
use achado_kernels::average_pool_2d::average_pool_2d_f32;
use achado_kernels::compiled::Compiled;
use achado_kernels::indexed_copy::IndexedCopy;
use achado_kernels::l2_pool_2d::l2_pool_2d_f32;
use achado_kernels::max_pool_2d::max_pool_2d_f32;
use achado_kernels::resize::ResizeBilinear;
use achado_kernels::resize_builtin::BuiltinResize;
use achado_model::{Activation, DataType, Operator, Result};

use super::movement::push_indexed;
use super::operands::affine;
use super::operands::window;
use super::{Builder, int16, with_quantized};

/// AVERAGE_POOL_2D and MAX_POOL_2D.
#[inline(never)]
pub(super) fn pool(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (attributes, activation, is_max) = match node.node.operator {
        Operator::AveragePool2d { filter, stride, padding, activation } => {
            (WindowAttributes { filter, stride, dilation: [1, 1], padding }, activation, false)
        }
        Operator::MaxPool2d { filter, stride, padding, activation } => {
            (WindowAttributes { filter, stride, dilation: [1, 1], padding }, activation, true)
        }
        _ => return Err(node.malformed("not a pooling operator")),
    };
    let (input, output) = (node.input(0)?, node.output(0)?);
    let picture = node.picture(input)?;
    let channels = picture[3];
    let window = window(node, picture, &attributes)?;
    let row_len = window.out_w * channels;
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let inputs = [node.input_id(0)?];
    let (low, high) = Activation::range(activation);
    if input.dtype == DataType::Float32 {
        let kernel = if is_max { "max f32" } else { "average f32" };
        return builder.push_simple(node, kernel, &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            let input = bytemuck::cast_slice(operands.inputs[0]);
            operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, _| {
                if is_max {
                    max_pool_2d_f32(&window, channels, [low, high], input, rows, out);
                } else {
                    average_pool_2d_f32(&window, channels, [low, high], input, rows, out);
                }
            });
        });
    }
    let from = affine(node, input)?;
    let to = affine(node, output)?;
    // AVERAGE_POOL_2D averages the elements as they are, whatever the result's scale is.
    if is_max && from != to {
        return Err(node.unsupported("input and output must share scale and zero point"));
    }
    if input.dtype == DataType::Int16 {
        return int16::pool(builder, node, (window, channels, is_max), (to, activation));
    }
    with_quantized!(input.dtype, T => {
        let bounds = to.activation_bounds::<T>([low, high]);
        let kernel = if is_max { "max" } else { "average" };
        builder.push_simple(node, kernel, &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let input = bytemuck::cast_slice(operands.inputs[0]);
            operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, _| {
                if is_max {
                    T::max_pool_2d(&window, channels, bounds, input, rows, out);
                } else {
                    T::average_pool_2d(&window, channels, bounds, input, rows, out);
                }
            });
        })
    }, else Err(node.unsupported_types()))
}

/// L2_POOL_2D.
#[inline(never)]
pub(super) fn l2_pool(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let Operator::L2Pool2d { filter, stride, padding, activation } = node.node.operator else {
        return Err(node.malformed("not L2_POOL_2D"));
    };
    let attributes = WindowAttributes { filter, stride, dilation: [1, 1], padding };
    let picture = node.picture(node.input(0)?)?;
    let (window, channels) = (window(node, picture, &attributes)?, picture[3]);
    let (low, high) = Activation::range(activation);
    builder.push_simple(node, "l2 f32", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        let input = bytemuck::cast_slice(operands.inputs[0]);
        l2_pool_2d_f32(&window, channels, [low, high], input, out);
    })
}

/// RESIZE_BILINEAR.
#[inline(never)]
pub(super) fn resize_bilinear(
    builder: &mut Builder,
    node: &NodeRef,
    align_corners: bool,
    half_pixel_centers: bool,
) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let picture = node.picture(input)?;
    let [_, out_h, out_w, _] = node.picture(output)?;
    let resize = ResizeBilinear::new(picture, [out_h, out_w], align_corners, half_pixel_centers);
    let inputs = [node.input_id(0)?];
    if input.dtype == DataType::Float32 {
        return builder.push_simple(node, "bilinear f32", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            resize.run_f32(bytemuck::cast_slice(operands.inputs[0]), out);
        });
    }
    if affine(node, input)? != affine(node, output)? {
        return Err(node.unsupported("input and output must share scale and zero point"));
    }
    if node.is_builtin() || input.dtype == DataType::Int16 {
        return builtin_resize(builder, node, align_corners, half_pixel_centers);
    }
    with_quantized!(input.dtype, T => {
        builder.push_simple(node, "bilinear", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            resize.run_quantized(bytemuck::cast_slice(operands.inputs[0]), out);
        })
    }, else Err(node.unsupported_types()))
}

/// RESIZE_BILINEAR by the built-in kernels.
#[inline(never)]
fn builtin_resize(
    builder: &mut Builder,
    node: &NodeRef,
    align_corners: bool,
    half_pixel_centers: bool,
) -> Result<()> {
    /// Places in 1/1024 of pixels fit 32 bits.
    const MOST: usize = 1 << 20;
    let shape = node.picture(node.input(0)?)?;
    let [_, out_h, out_w, _] = node.picture(node.output(0)?)?;
    if [shape[1], shape[2], out_h, out_w].iter().any(|&side| side >= MOST) {
        return Err(node.unsupported("a picture that is so large"));
    }
    let (dtype, size, inputs) = (node.input(0)?.dtype, [out_h, out_w], [node.input_id(0)?]);
    let new = match dtype {
        DataType::UInt8 => BuiltinResize::unsigned,
        _ => BuiltinResize::signed,
    };
    let resize = new(shape, size, align_corners, half_pixel_centers);
    builder.push_simple(node, "bilinear built-in", &inputs, move |operands| {
        let (input, out) = (operands.inputs[0], &mut *operands.outputs[0]);
        match dtype {
            DataType::UInt8 => resize.run::<u8>(input, out),
            DataType::Int8 => {
                resize.run::<i8>(bytemuck::cast_slice(input), bytemuck::cast_slice_mut(out));
            }
            _ => resize.run::<i16>(bytemuck::cast_slice(input), bytemuck::cast_slice_mut(out)),
        }
    })
}

/// RESIZE_NEAREST_NEIGHBOR.
#[inline(never)]
pub(super) fn resize_nearest_neighbor(
    builder: &mut Builder,
    node: &NodeRef,
    align_corners: bool,
    half_pixel_centers: bool,
) -> Result<()> {
    let picture = node.picture(node.input(0)?)?;
    let [_, out_h, out_w, _] = node.picture(node.output(0)?)?;
    let copy = IndexedCopy::resize_nearest_neighbor(
        picture,
        [out_h, out_w],
        align_corners,
        half_pixel_centers,
    );
    push_indexed(builder, node, copy)
}
