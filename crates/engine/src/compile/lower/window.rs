//! Operators over pictures without weights: pools and RESIZE.

use achado_graph::legal::{self, Pool, PoolKind, Resize};
use achado_graph::{NodeRef, TfliteKernel};
use achado_kernels::average_pool_2d::average_pool_2d_f32;
use achado_kernels::compiled::Compiled;
use achado_kernels::indexed_copy::IndexedCopy;
use achado_kernels::l2_pool_2d::l2_pool_2d_f32;
use achado_kernels::max_pool_2d::max_pool_2d_f32;
use achado_kernels::resize::ResizeBilinear;
use achado_kernels::resize_builtin::BuiltinResize;
use achado_model::{DataType, Result};

use super::movement::push_indexed;
use super::operands::window;
use super::{Builder, int16, with_quantized};

/// AVERAGE_POOL_2D and MAX_POOL_2D.
#[inline(never)]
pub(super) fn pool(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let pool = legal::pool(node)?;
    let Pool { channels, bounds, .. } = pool;
    let (window, is_max) = (window(&pool.window), pool.kind == PoolKind::Max);
    let (input, output) = (node.input(0)?, node.output(0)?);
    let row_len = window.out_w * channels;
    let inputs = [node.input_id(0)?];
    if input.dtype == DataType::Float32 {
        let kernel = if is_max { "max f32" } else { "average f32" };
        return builder.push_simple(node, kernel, &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            let input = bytemuck::cast_slice(operands.inputs[0]);
            operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, _| {
                if is_max {
                    max_pool_2d_f32(&window, channels, bounds, input, rows, out);
                } else {
                    average_pool_2d_f32(&window, channels, bounds, input, rows, out);
                }
            });
        });
    }
    // AVERAGE_POOL_2D averages the elements as they are, whatever the result's scale is.
    let from = if is_max { &[input][..] } else { &[] };
    let to = legal::shares_scale(node, from, output)?;
    node.affine(input)?;
    if input.dtype == DataType::Int16 {
        let clamp = legal::quantized_bounds(to, input.dtype, bounds, TfliteKernel::Builtin);
        return int16::pool(builder, node, pool, clamp);
    }
    let bounds = legal::quantized_bounds(to, input.dtype, bounds, TfliteKernel::Xnnpack);
    with_quantized!(input.dtype, T => {
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
    let pool = legal::pool(node)?;
    let Pool { channels, bounds, .. } = pool;
    let window = window(&pool.window);
    builder.push_simple(node, "l2 f32", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        let input = bytemuck::cast_slice(operands.inputs[0]);
        l2_pool_2d_f32(&window, channels, bounds, input, out);
    })
}

/// RESIZE_BILINEAR.
#[inline(never)]
pub(super) fn resize_bilinear(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let legal = legal::resize(node)?;
    let Resize { picture, out_size, align_corners, half_pixel_centers } = legal;
    let resize = ResizeBilinear::new(picture, out_size, align_corners, half_pixel_centers);
    let input = node.input(0)?;
    let inputs = [node.input_id(0)?];
    if input.dtype == DataType::Float32 {
        return builder.push_simple(node, "bilinear f32", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            resize.run_f32(bytemuck::cast_slice(operands.inputs[0]), out);
        });
    }
    legal::shares_scale(node, &[input], node.output(0)?)?;
    if node.is_builtin() || input.dtype == DataType::Int16 {
        return builtin_resize(builder, node, &legal);
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
fn builtin_resize(builder: &mut Builder, node: &NodeRef, resize: &Resize) -> Result<()> {
    /// Places in 1/1024 of pixels fit 32 bits.
    const MOST: usize = 1 << 20;
    let &Resize { picture, out_size, align_corners, half_pixel_centers } = resize;
    let [_, h, w, _] = picture;
    if [h, w].iter().chain(&out_size).any(|&side| side >= MOST) {
        return Err(node.unsupported("a picture that is so large"));
    }
    let (dtype, inputs) = (node.input(0)?.dtype, [node.input_id(0)?]);
    let new = match dtype {
        DataType::UInt8 => BuiltinResize::unsigned,
        _ => BuiltinResize::signed,
    };
    let resize = new(picture, out_size, align_corners, half_pixel_centers);
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
pub(super) fn resize_nearest_neighbor(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let Resize { picture, out_size, align_corners, half_pixel_centers } = legal::resize(node)?;
    let copy =
        IndexedCopy::resize_nearest_neighbor(picture, out_size, align_corners, half_pixel_centers);
    push_indexed(builder, node, copy)
}
