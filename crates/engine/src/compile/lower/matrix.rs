//! TRANSPOSE_CONV, MediaPipe's Convolution2DTransposeBias, and BATCH_MATMUL.

use achado_kernels::batch_matmul::BatchMatmul;
use achado_kernels::requant::builtin::FixedMultiplier;
use achado_kernels::transpose_conv::{transpose_conv_f32, transpose_conv_quantized};
use achado_model::{Activation, DataType, Node, Operator, Result};

use super::convolution::{Arithmetic, FloatParts, QuantizedParts, arithmetic, constant_weights};
use super::{Builder, with_quantized};
use crate::compile::infer;
use crate::compile::node::NodeRef;

/// TRANSPOSE_CONV and Convolution2DTransposeBias.
pub(super) fn transpose_conv(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let shape = infer::transpose_conv(node)?;
    let activation = match node.node.operator {
        Operator::TransposeConv { activation, .. } => activation,
        _ => Activation::None,
    };
    // In the order of CONV_2D's operands.
    let order: &[usize] = if matches!(node.node.operator, Operator::TransposeConv { .. }) {
        &[2, 1, 3]
    } else {
        &[0, 1, 2]
    };
    let operand = |&at: &usize| node.node.inputs.get(at).copied().flatten();
    let ordered = Node {
        operator: node.node.operator.clone(),
        inputs: order.iter().map(operand).collect(),
        outputs: node.node.outputs.clone(),
    };
    let node = &NodeRef { node: &ordered, ..*node };
    let inputs = [node.input_id(0)?];
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let parts = QuantizedParts::new::<T>(node, shape.out_c, 0, activation)?;
            let values = constant_weights::<T>(node)?.to_vec();
            builder.push_simple(node, "transposed", &inputs, move |operands| {
                let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
                let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                let weights = parts.weights(&values);
                let zero_point = parts.input_zero_point;
                transpose_conv_quantized(&shape, input, zero_point, &weights, &parts.requant(), out);
            })
        }, else Err(node.unsupported_types())),
        Arithmetic::Float => {
            let parts = FloatParts::new(node, shape.out_c, activation)?;
            builder.push_simple(node, "transposed f32", &inputs, move |operands| {
                let input = bytemuck::cast_slice(operands.inputs[0]);
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                transpose_conv_f32(&shape, input, &parts.weights(), out);
            })
        }
    }
}

/// BATCH_MATMUL.
pub(super) fn batch_matmul(
    builder: &mut Builder,
    node: &NodeRef,
    adjoint: [bool; 2],
) -> Result<()> {
    let (a, b, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let product = BatchMatmul::new(&a.shape, &b.shape, adjoint).ok_or_else(|| {
        node.unsupported(format!("matrices of shapes {:?} and {:?}", a.shape, b.shape))
    })?;
    if a.dtype != b.dtype || a.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    if a.dtype == DataType::Float32 {
        return builder.push_simple(node, "matmul f32", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            let (a, b) = (operands.inputs[0], operands.inputs[1]);
            product.run_f32(bytemuck::cast_slice(a), bytemuck::cast_slice(b), out);
        });
    }
    let (from, by, to) = (node.affine(a)?, node.affine(b)?, node.affine(output)?);
    let zero_points = [from, by, to].map(|affine| affine.zero_point);
    let multiplier = FixedMultiplier::of_products(from, by, to);
    with_quantized!(a.dtype, T => {
        builder.push_simple(node, "matmul", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let (a, b) = (operands.inputs[0], operands.inputs[1]);
            let (a, b) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b));
            product.run_quantized(zero_points, multiplier, a, b, out);
        })
    }, else Err(node.unsupported_types()))
}
