//! Operators over the last dimension: SOFTMAX, LOG_SOFTMAX, L2_NORMALIZATION and
//! LOCAL_RESPONSE_NORMALIZATION.

use achado_graph::legal::{Rows, rows};
use achado_graph::{NodeRef, Normalization, Pattern};
use achado_kernels::normalization::{
    LocalResponse, RowNormalization, l2_normalization_f32, l2_normalization_quantized,
    local_response_normalization_f32, log_softmax_f32, log_softmax_quantized,
};
use achado_kernels::requant::Quantized;
use achado_kernels::softmax::{SoftmaxTable, softmax_f32, softmax_quantized};
use achado_kernels::unary::{Unary, unary_f32};
use achado_model::{Activation, DataType, Result};
use bytemuck::Pod;

use super::elementwise::{push_map, push_rows};
use super::operands::affine;
use super::{Builder, int16, with_quantized};

/// An operator that several spell out.
#[inline(never)]
pub(super) fn pattern(builder: &mut Builder, node: &NodeRef, pattern: &Pattern) -> Result<()> {
    let Pattern::Normalization(Normalization { is_centered, epsilon, gamma, beta }) = pattern
    else {
        let silu = |input: &[f32], out: &mut [f32]| unary_f32(Unary::Silu, input, out);
        return push_map(builder, node, "silu f32", silu);
    };
    let Rows { depth, .. } = rows(node)?;
    let all = |values: &[f32]| (0..depth).map(|channel| values[channel % values.len()]).collect();
    let params = RowNormalization {
        is_centered: *is_centered,
        epsilon: *epsilon,
        gamma: all(gamma),
        beta: all(beta),
    };
    let run = move |input: &[f32], out: &mut [f32]| params.run(input, out);
    push_rows(builder, node, "normalise rows f32", depth, run)
}

/// SOFTMAX.
#[inline(never)]
pub(super) fn softmax(builder: &mut Builder, node: &NodeRef, beta: f32) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if (input.dtype, output.dtype) == (DataType::Int8, DataType::Int16) {
        return softmax_of::<i8, i16>(builder, node, beta);
    }
    let Rows { depth, dtype } = rows(node)?;
    if dtype == DataType::Int16 {
        return int16::softmax(builder, node, beta, depth);
    }
    if dtype == DataType::Float32 {
        let run = move |input: &[f32], out: &mut [f32]| softmax_f32(beta, depth, input, out);
        return push_rows(builder, node, "softmax f32", depth, run);
    }
    with_quantized!(dtype, T => softmax_of::<T, T>(builder, node, beta),
        else Err(node.unsupported_types()))
}

fn softmax_of<I: Pod + Quantized + Ord + Send + Sync, O: Pod + Quantized + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    beta: f32,
) -> Result<()> {
    let input = node.input(0)?;
    let depth = input.shape.last().copied().unwrap_or(1);
    let table = SoftmaxTable::new(affine(node, input)?.scale, beta, affine(node, node.output(0)?)?);
    push_rows(builder, node, "softmax table", depth, move |input: &[I], out: &mut [O]| {
        softmax_quantized(&table, depth, input, out);
    })
}

/// LOG_SOFTMAX.
#[inline(never)]
pub(super) fn log_softmax(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let Rows { depth, dtype } = rows(node)?;
    if dtype == DataType::Float32 {
        let run = move |input: &[f32], out: &mut [f32]| log_softmax_f32(depth, input, out);
        return push_rows(builder, node, "log softmax f32", depth, run);
    }
    with_quantized!(dtype, T => {
        let scale = affine(node, node.input(0)?)?.scale;
        let to = affine(node, node.output(0)?)?;
        builder.push_simple(node, "log softmax", &[node.input_id(0)?], move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            log_softmax_quantized(scale, to, depth, input, out);
        })
    }, else Err(node.unsupported_types()))
}

/// L2_NORMALIZATION.
#[inline(never)]
pub(super) fn l2_normalization(
    builder: &mut Builder,
    node: &NodeRef,
    activation: Activation,
) -> Result<()> {
    if activation != Activation::None {
        return Err(node.unsupported("a fused activation"));
    }
    let Rows { depth, dtype } = rows(node)?;
    if dtype == DataType::Float32 {
        let run = move |input: &[f32], out: &mut [f32]| l2_normalization_f32(depth, input, out);
        return push_rows(builder, node, "normalise f32", depth, run);
    }
    let zero_point = affine(node, node.input(0)?)?.zero_point;
    let to = affine(node, node.output(0)?)?;
    let middle = if dtype == DataType::UInt8 { 128 } else { 0 };
    if to.scale != 1.0 / 128.0 || to.zero_point != middle {
        return Err(node.unsupported("a result whose scale is not 1/128"));
    }
    with_quantized!(dtype, T => {
        builder.push_simple(node, "normalise", &[node.input_id(0)?], move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            l2_normalization_quantized(zero_point, depth, input, out);
        })
    }, else Err(node.unsupported_types()))
}

/// LOCAL_RESPONSE_NORMALIZATION.
#[inline(never)]
pub(super) fn local_response_normalization(
    builder: &mut Builder,
    node: &NodeRef,
    params: LocalResponse,
) -> Result<()> {
    let Rows { depth, dtype } = rows(node)?;
    if dtype != DataType::Float32 {
        return Err(node.unsupported_types());
    }
    let run = move |input: &[f32], out: &mut [f32]| {
        local_response_normalization_f32(&params, depth, input, out);
    };
    push_rows(builder, node, "local response f32", depth, run)
}
