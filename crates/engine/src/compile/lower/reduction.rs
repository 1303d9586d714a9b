//! AVERAGE_POOL_2D, MAX_POOL_2D, MEAN and SOFTMAX.

use achado_kernels::average_pool_2d::{average_pool_2d_f32, average_pool_2d_quantized};
use achado_kernels::max_pool_2d::{max_pool_2d_f32, max_pool_2d_quantized};
use achado_kernels::mean::{mean_f32, mean_quantized};
use achado_kernels::reduce::Reduction;
use achado_kernels::requant::ReduceRequantize;
use achado_kernels::softmax::{SoftmaxTable, softmax_f32, softmax_quantized};
use achado_model::{Activation, DataType, Operator, Result};

use super::convolution::{WindowAttributes, window};
use super::{Builder, with_quantized};
use crate::compile::node::NodeRef;

/// AVERAGE_POOL_2D and MAX_POOL_2D.
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
    node.expect_output_shape(&[window.batch, window.out_h, window.out_w, channels])?;
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
            if is_max {
                max_pool_2d_f32(&window, channels, [low, high], input, out);
            } else {
                average_pool_2d_f32(&window, channels, [low, high], input, out);
            }
        });
    }
    let affine = node.affine(input)?;
    if affine != node.affine(output)? {
        return Err(node.unsupported("input and output must share scale and zero point"));
    }
    with_quantized!(input.dtype, T => {
        let bounds = affine.activation_bounds::<T>([low, high]);
        let kernel = if is_max { "max" } else { "average" };
        builder.push_simple(node, kernel, &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let input = bytemuck::cast_slice(operands.inputs[0]);
            if is_max {
                max_pool_2d_quantized(&window, channels, bounds, input, out);
            } else {
                average_pool_2d_quantized(&window, channels, bounds, input, out);
            }
        })
    }, else Err(node.unsupported_types()))
}

/// MEAN.
pub(super) fn mean(builder: &mut Builder, node: &NodeRef, keep_dims: bool) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let mut is_reduced = vec![false; input.shape.len()];
    for axis in node.constant_integers(1)? {
        is_reduced[node.axis(axis, input.shape.len())?] = true;
    }
    let mut expected = Vec::with_capacity(input.shape.len());
    for (&dim, &is_reduced) in input.shape.iter().zip(&is_reduced) {
        match (is_reduced, keep_dims) {
            (false, _) => expected.push(dim),
            (true, true) => expected.push(1),
            (true, false) => {}
        }
    }
    node.expect_output_shape(&expected)?;
    let reduction = Reduction::new(&input.shape, &is_reduced)
        .ok_or_else(|| node.unsupported(format!("a tensor of shape {:?}", input.shape)))?;
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let inputs = [node.input_id(0)?];
    if input.dtype == DataType::Float32 {
        return builder.push_simple(node, "mean f32", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            mean_f32(&reduction, bytemuck::cast_slice(operands.inputs[0]), out);
        });
    }
    let requant =
        ReduceRequantize::mean(node.affine(input)?, node.affine(output)?, reduction.count());
    with_quantized!(input.dtype, T => {
        builder.push_simple(node, "mean i32", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            mean_quantized(&reduction, &requant, input, out);
        })
    }, else Err(node.unsupported_types()))
}

/// SOFTMAX.
pub(super) fn softmax(builder: &mut Builder, node: &NodeRef, beta: f32) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    node.expect_output_shape(&input.shape)?;
    let depth = input.shape.last().copied().unwrap_or(1);
    if depth == 0 {
        return Err(node.malformed("softmax over no elements"));
    }
    let inputs = [node.input_id(0)?];
    match (input.dtype, output.dtype) {
        (DataType::Float32, DataType::Float32) => {
            builder.push_simple(node, "softmax f32", &inputs, move |operands| {
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                softmax_f32(beta, depth, bytemuck::cast_slice(operands.inputs[0]), out);
            })
        }
        (from, to) if from == to => with_quantized!(from, T => {
            let scale = node.affine(input)?.scale;
            let table = SoftmaxTable::new(scale, beta, node.affine(output)?);
            builder.push_simple(node, "softmax table", &inputs, move |operands| {
                let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
                softmax_quantized(&table, depth, input, out);
            })
        }, else Err(node.unsupported_types())),
        _ => Err(node.unsupported_types()),
    }
}
