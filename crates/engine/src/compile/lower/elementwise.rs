//! ADD and MUL with broadcasting; operators of one operand.

use achado_graph::legal::{self, Pair};
use achado_graph::{NodeRef, TfliteKernel};
use achado_kernels::add::add_f32;
use achado_kernels::binary::Binary;
use achado_kernels::broadcast::Broadcast;
use achado_kernels::compiled::Compiled;
use achado_kernels::mul::{MulQuantized, mul_f32};
use achado_kernels::requant::{AddRequantize, MulRequantize};
use achado_kernels::table::{self, Table};
use achado_kernels::unary::{self, Unary, unary_f32};
use achado_model::{DataType, Operator, Result};

use super::operands::{affine, pair_scales};
use super::{Builder, binary, int16, with_quantized};

/// How the operands of a binary operator meet.
pub(super) fn broadcast(node: &NodeRef) -> Result<Broadcast> {
    let (first, second) = (&node.input(0)?.shape, &node.input(1)?.shape);
    Broadcast::new(first, second)
        .ok_or_else(|| node.unsupported(format!("operands of shapes {first:?} and {second:?}")))
}

/// Elements of a part of an element-wise step, at least: less is not worth another thread.
const GRAIN: usize = 4096;

/// A step that computes pairs of elements, in parts: `run` gets the loops of a part of the output.
pub(super) fn push_pairs<T: bytemuck::Pod + Send + Sync, O: bytemuck::Pod + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    kernel: &'static str,
    run: impl Fn(&Broadcast, &[T], &[T], &mut [O]) + Send + Sync + 'static,
) -> Result<()> {
    let (broadcast, inputs) = (broadcast(node)?, [node.input_id(0)?, node.input_id(1)?]);
    builder.push_simple(node, kernel, &inputs, move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        let (first, second) = (operands.inputs[0], operands.inputs[1]);
        let (first, second) = (bytemuck::cast_slice(first), bytemuck::cast_slice(second));
        let len = broadcast.item_len();
        let grain = GRAIN.div_ceil(len);
        operands.pool.split(out, len, grain, operands.scratch, |items, out, _| {
            run(&broadcast.part(items), first, second, out);
        });
    })
}

/// A step that computes elements by themselves, in parts.
pub(super) fn push_map<T: bytemuck::Pod + Send + Sync, O: bytemuck::Pod + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    kernel: &'static str,
    run: impl Fn(&[T], &mut [O]) + Send + Sync + 'static,
) -> Result<()> {
    push_rows(builder, node, kernel, 1, run)
}

/// A step that maps rows of `len` elements, in parts.
pub(super) fn push_rows<T: bytemuck::Pod + Send + Sync, O: bytemuck::Pod + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    kernel: &'static str,
    len: usize,
    run: impl Fn(&[T], &mut [O]) + Send + Sync + 'static,
) -> Result<()> {
    let len = len.max(1);
    builder.push_simple(node, kernel, &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        let input: &[T] = bytemuck::cast_slice(operands.inputs[0]);
        let grain = GRAIN.div_ceil(len);
        operands.pool.split(out, len, grain, operands.scratch, |rows, out, _| {
            run(&input[rows.start * len..rows.end * len], out);
        });
    })
}

/// ADD.
#[inline(never)]
pub(super) fn add(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let pair @ Pair { dtype, bounds } = legal::pair(node)?;
    match dtype {
        DataType::Float32 => {
            push_pairs(builder, node, "add f32", move |broadcast, first, second, out| {
                add_f32(broadcast, bounds, first, second, out);
            })
        }
        DataType::Int32 | DataType::Int64 => binary::integers(builder, node, Binary::Add, pair),
        DataType::Int16 => int16::pairs(builder, node),
        _ => add_or_subtract(builder, node, pair, false),
    }
}

/// 8-bit ADD and SUB.
pub(super) fn add_or_subtract(
    builder: &mut Builder,
    node: &NodeRef,
    pair: Pair,
    subtract: bool,
) -> Result<()> {
    let ([first, second, output], clamp) = pair_scales(node, &pair, TfliteKernel::Xnnpack)?;
    let requant = AddRequantize::new(first, second, output, subtract);
    with_quantized!(pair.dtype, T => {
        push_pairs(builder, node, "add i32", move |broadcast, first, second, out| {
            T::add(broadcast, &requant, clamp, first, second, out);
        })
    }, else Err(node.unsupported_types()))
}

/// MUL.
#[inline(never)]
pub(super) fn mul(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let pair @ Pair { dtype, bounds } = legal::pair(node)?;
    if dtype == DataType::Float32 {
        return push_pairs(builder, node, "mul f32", move |broadcast, first, second, out| {
            mul_f32(broadcast, bounds, first, second, out);
        });
    }
    if matches!(dtype, DataType::Int32 | DataType::Int64) {
        return binary::integers(builder, node, Binary::Mul, pair);
    }
    if dtype == DataType::Int16 {
        return int16::pairs(builder, node);
    }
    let ([first, second, output], bounds) = pair_scales(node, &pair, TfliteKernel::Xnnpack)?;
    let params = MulQuantized {
        requant: MulRequantize::new(first, second, output),
        zero_points: [first.zero_point, second.zero_point, output.zero_point],
        bounds,
    };
    with_quantized!(dtype, T => {
        push_pairs(builder, node, "mul i32", move |broadcast, first, second, out| {
            T::mul(broadcast, &params, first, second, out);
        })
    }, else Err(node.unsupported_types()))
}

/// LOGISTIC, RELU, TANH, EXP, ...
#[inline(never)]
pub(super) fn unary(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let operator = match node.node.operator {
        Operator::Logistic => Unary::Logistic,
        Operator::Relu => Unary::Relu,
        Operator::Relu6 => Unary::Relu6,
        Operator::ReluN1To1 => Unary::ReluN1To1,
        Operator::Relu0To1 => Unary::Relu0To1,
        Operator::HardSwish => Unary::HardSwish,
        Operator::Tanh => Unary::Tanh,
        Operator::Elu => Unary::Elu,
        Operator::Gelu { approximate } => Unary::Gelu { approximate },
        Operator::LeakyRelu { alpha } => Unary::LeakyRelu { alpha },
        Operator::Abs => Unary::Abs,
        Operator::Neg => Unary::Neg,
        Operator::Exp => Unary::Exp,
        Operator::Log => Unary::Log,
        Operator::Sqrt => Unary::Sqrt,
        Operator::Rsqrt => Unary::Rsqrt,
        Operator::Square => Unary::Square,
        Operator::Sin => Unary::Sin,
        Operator::Cos => Unary::Cos,
        Operator::Floor => Unary::Floor,
        Operator::Ceil => Unary::Ceil,
        Operator::Round => Unary::Round,
        Operator::Sign => Unary::Sign,
        ref other => return Err(node.unsupported(format!("{} is not unary", other.name()))),
    };
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    match input.dtype {
        DataType::Float32 => {
            push_map(builder, node, "map f32", move |input, out| unary_f32(operator, input, out))
        }
        DataType::Int32 => unary_integer::<i32>(builder, node, operator),
        DataType::Int64 => unary_integer::<i64>(builder, node, operator),
        DataType::Int16 => int16::map(builder, node),
        _ => {
            let (from, to) = (affine(node, input)?, affine(node, output)?);
            let table = with_quantized!(
                input.dtype, T => table::unary::<T>(operator, from, to), else None);
            push_table(builder, node, table.ok_or_else(|| node.unsupported_types())?)
        }
    }
}

fn unary_integer<T: unary::Integer>(
    builder: &mut Builder,
    node: &NodeRef,
    operator: Unary,
) -> Result<()> {
    if T::apply(operator, T::default()).is_none() {
        return Err(node.unsupported_types());
    }
    builder.push_simple(node, "map", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        unary::unary_integer::<T>(operator, bytemuck::cast_slice(operands.inputs[0]), out);
    })
}

pub(super) fn push_table(builder: &mut Builder, node: &NodeRef, table: Table) -> Result<()> {
    push_map(builder, node, "table", move |input, out| table::apply(&table, input, out))
}
