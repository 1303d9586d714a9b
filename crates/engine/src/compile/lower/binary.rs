//! Operators of two operands beside ADD and MUL, and SELECT, all with broadcasting.

use achado_graph::legal::{self, Pair};
use achado_graph::{NodeRef, TfliteKernel};
use achado_kernels::binary::{
    Binary, Comparison, Integer, Select, binary_f32, binary_integer, compare, logical_and,
    logical_not, logical_or, maximum, minimum,
};
use achado_kernels::broadcast::Broadcast;
use achado_kernels::compiled::Compiled;
use achado_kernels::reference::binary_quantized::{Div, Prelu};
use achado_kernels::requant::builtin::FixedMultiplier;
use achado_kernels::squared_difference::SquaredDifference;
use achado_model::{DataType, Operator, Result};

use super::elementwise::{broadcast, push_pairs};
use super::operands::{affine, pair_scales};
use super::{Builder, elementwise, int16, with_bits, with_quantized};

/// SUB, DIV, MAXIMUM, MINIMUM, POW, ...
#[inline(never)]
pub(super) fn binary(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let operator = match node.node.operator {
        Operator::Sub { .. } => Binary::Sub,
        Operator::Div { .. } => Binary::Div,
        Operator::Maximum => Binary::Maximum,
        Operator::Minimum => Binary::Minimum,
        Operator::Pow => Binary::Pow,
        Operator::Atan2 => Binary::Atan2,
        Operator::SquaredDifference => Binary::SquaredDifference,
        Operator::FloorDiv => Binary::FloorDiv,
        Operator::FloorMod => Binary::FloorMod,
        Operator::Prelu => Binary::Prelu,
        ref other => return Err(node.unsupported(format!("{} is not binary", other.name()))),
    };
    if operator == Binary::Prelu && node.input(0)?.dtype == DataType::Int16 {
        return int16::prelu(builder, node);
    }
    let pair @ Pair { dtype, bounds } = legal::pair(node)?;
    match dtype {
        DataType::Float32 => {
            push_pairs(builder, node, "map f32", move |broadcast, first, second, out| {
                binary_f32(operator, broadcast, bounds, first, second, out);
            })
        }
        DataType::Int32 | DataType::Int64 => integers(builder, node, operator, pair),
        // The elements as they are, whatever their scale.
        _ if matches!(operator, Binary::FloorDiv | Binary::FloorMod) => {
            integers(builder, node, operator, pair)
        }
        DataType::Int16 => int16::pairs(builder, node),
        _ if operator == Binary::Sub => elementwise::add_or_subtract(builder, node, pair, true),
        _ => quantized(builder, node, operator, pair),
    }
}

/// Operators of plain integers.
pub(super) fn integers(
    builder: &mut Builder,
    node: &NodeRef,
    operator: Binary,
    Pair { dtype, bounds }: Pair,
) -> Result<()> {
    match dtype {
        DataType::Int32 => integers_of::<i32>(builder, node, operator, bounds),
        DataType::Int64 => integers_of::<i64>(builder, node, operator, bounds),
        DataType::Int8 => integers_of::<i8>(builder, node, operator, bounds),
        DataType::Int16 => integers_of::<i16>(builder, node, operator, bounds),
        _ => Err(node.unsupported_types()),
    }
}

fn integers_of<T: Integer + bytemuck::Pod + TryFrom<i32> + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    operator: Binary,
    bounds: [f32; 2],
) -> Result<()> {
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    // Bounds of activations are small integers or infinite.
    let bound = |bound: f32| T::try_from(bound as i32).ok().filter(|_| bound.is_finite());
    let [low, high] = bounds.map(bound);
    builder.push_simple(node, "map", &inputs, move |operands| {
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let (first, second) = (operands.inputs[0], operands.inputs[1]);
        let (first, second) = (bytemuck::cast_slice(first), bytemuck::cast_slice(second));
        if !binary_integer(operator, &broadcast, first, second, out) {
            operands.fault = Some("a division by zero or a negative exponent of an integer");
        }
        if let Some(low) = low {
            out.iter_mut().for_each(|out| *out = (*out).max(low));
        }
        if let Some(high) = high {
            out.iter_mut().for_each(|out| *out = (*out).min(high));
        }
    })
}

/// Operators of int8 and uint8.
fn quantized(builder: &mut Builder, node: &NodeRef, operator: Binary, pair: Pair) -> Result<()> {
    let ([first, second, output], clamp) = pair_scales(node, &pair, TfliteKernel::Builtin)?;
    let is_alike = first == second && first == output;
    with_quantized!(pair.dtype, T => {
        let kernel: Kernel<T> = match operator {
            Binary::Maximum | Binary::Minimum if !is_alike => {
                let what = "operands and result must share scale and zero point";
                return Err(node.unsupported(what));
            }
            Binary::Maximum => Box::new(maximum::<T>),
            Binary::Minimum => Box::new(minimum::<T>),
            Binary::Div => {
                let params = Div::new(first, second, output, clamp);
                Box::new(move |broadcast, a, b, out| {
                    broadcast.apply(a, b, out, |a: T, b: T| params.apply(a, b));
                })
            }
            Binary::SquaredDifference => {
                let params = SquaredDifference::new::<T>(first, second, output);
                Box::new(move |broadcast, a, b, out| {
                    T::squared_difference(broadcast, &params, a, b, out);
                })
            }
            Binary::Prelu => {
                let params = Prelu::new(first, second, output);
                Box::new(move |broadcast, a, b, out| {
                    broadcast.apply(a, b, out, |a: T, b: T| params.apply(a, b));
                })
            }
            _ => return Err(node.unsupported_types()),
        };
        push_pairs(builder, node, "map", kernel)
    }, else Err(node.unsupported_types()))
}

/// What an 8-bit operator does with its operands and its result.
type Kernel<T> = Box<dyn Fn(&Broadcast, &[T], &[T], &mut [T]) + Send + Sync>;

/// EQUAL, LESS, ...
#[inline(never)]
pub(super) fn comparison(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let comparison = match node.node.operator {
        Operator::Equal => Comparison::Equal,
        Operator::NotEqual => Comparison::NotEqual,
        Operator::Less => Comparison::Less,
        Operator::LessEqual => Comparison::LessEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterEqual => Comparison::GreaterEqual,
        ref other => return Err(node.unsupported(format!("{} compares nothing", other.name()))),
    };
    let dtype = node.input(0)?.dtype;
    if node.input(1)?.dtype != dtype || node.output(0)?.dtype != DataType::Bool {
        return Err(node.unsupported_types());
    }
    match dtype {
        DataType::Float32 => compared::<f32>(builder, node, comparison),
        DataType::Int32 => compared::<i32>(builder, node, comparison),
        DataType::Int64 => compared::<i64>(builder, node, comparison),
        DataType::Bool => compared::<u8>(builder, node, comparison),
        DataType::Int8 | DataType::UInt8 => compared_quantized(builder, node, comparison),
        DataType::Int16 if matches!(comparison, Comparison::Equal | Comparison::NotEqual) => {
            equal_wide(builder, node, comparison == Comparison::Equal)
        }
        // The elements as they are, whatever their scale.
        DataType::Int16 => compared::<i16>(builder, node, comparison),
        _ => Err(node.unsupported_types()),
    }
}

fn compared<T: bytemuck::Pod + PartialOrd>(
    builder: &mut Builder,
    node: &NodeRef,
    comparison: Comparison,
) -> Result<()> {
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    builder.push_simple(node, "compare", &inputs, move |operands| {
        let (first, second) = (operands.inputs[0], operands.inputs[1]);
        let (first, second) = (bytemuck::cast_slice::<u8, T>(first), bytemuck::cast_slice(second));
        compare(comparison, &broadcast, first, second, operands.outputs[0]);
    })
}

/// Bits that comparisons of 8-bit elements shift them to the left before they are rescaled.
const COMPARISON_SHIFT: u32 = 8;

/// 8-bit elements are compared as multiples of 1/256, in fixed point (`comparisons.cc`).
fn compared_quantized(builder: &mut Builder, node: &NodeRef, comparison: Comparison) -> Result<()> {
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    let is_signed = node.input(0)?.dtype == DataType::Int8;
    let table = |i: usize| -> Result<Vec<i32>> {
        let affine = affine(node, node.input(i)?)?;
        let multiplier = FixedMultiplier::new(f64::from(affine.scale));
        let entry = |bits: u8| {
            let element = if is_signed { i32::from(bits as i8) } else { i32::from(bits) };
            multiplier.apply((element - affine.zero_point) << COMPARISON_SHIFT)
        };
        Ok((0..=u8::MAX).map(entry).collect())
    };
    let (first, second) = (table(0)?, table(1)?);
    let holds: fn(&i32, &i32) -> bool = match comparison {
        Comparison::Equal => i32::eq,
        Comparison::NotEqual => i32::ne,
        Comparison::Less => i32::lt,
        Comparison::LessEqual => i32::le,
        Comparison::Greater => i32::gt,
        Comparison::GreaterEqual => i32::ge,
    };
    builder.push_simple(node, "compare by table", &inputs, move |operands| {
        let (a, b) = (operands.inputs[0], operands.inputs[1]);
        broadcast.apply(a, b, operands.outputs[0], |a: u8, b: u8| {
            u8::from(holds(&first[usize::from(a)], &second[usize::from(b)]))
        });
    })
}

/// EQUAL and NOT_EQUAL of 16-bit elements: as of 8 bits, without tables.
fn equal_wide(builder: &mut Builder, node: &NodeRef, is_equal: bool) -> Result<()> {
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    let (a, b) = (affine(node, node.input(0)?)?, affine(node, node.input(1)?)?);
    let [first, second] = [a, b].map(|affine| FixedMultiplier::new(f64::from(affine.scale)));
    builder.push_simple(node, "compare", &inputs, move |operands| {
        let (x, y) = (operands.inputs[0], operands.inputs[1]);
        let (x, y) = (bytemuck::cast_slice(x), bytemuck::cast_slice(y));
        broadcast.apply(x, y, operands.outputs[0], |x: i16, y: i16| {
            let x = first.apply((i32::from(x) - a.zero_point) << COMPARISON_SHIFT);
            let y = second.apply((i32::from(y) - b.zero_point) << COMPARISON_SHIFT);
            u8::from((x == y) == is_equal)
        });
    })
}

/// LOGICAL_AND and LOGICAL_OR.
#[inline(never)]
pub(super) fn logical(builder: &mut Builder, node: &NodeRef, is_and: bool) -> Result<()> {
    if legal::pair(node)?.dtype != DataType::Bool {
        return Err(node.unsupported_types());
    }
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    let kernel = if is_and { logical_and } else { logical_or };
    builder.push_simple(node, "map", &inputs, move |operands| {
        kernel(&broadcast, operands.inputs[0], operands.inputs[1], operands.outputs[0]);
    })
}

/// LOGICAL_NOT.
#[inline(never)]
pub(super) fn not(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    builder.push_simple(node, "map", &[node.input_id(0)?], |operands| {
        logical_not(operands.inputs[0], operands.outputs[0]);
    })
}

/// SELECT and SELECT_V2.
#[inline(never)]
pub(super) fn select(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (condition, first, second) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let output = node.output(0)?;
    if condition.dtype != DataType::Bool
        || first.dtype != second.dtype
        || first.dtype != output.dtype
    {
        return Err(node.unsupported_types());
    }
    if matches!(first.dtype, DataType::Int8 | DataType::UInt8) {
        legal::shares_scale(node, &[first, second], output)?;
    }
    let mut shape = condition.shape.clone();
    if node.node.operator == Operator::Select && shape.len() == 1 {
        // It selects rows.
        shape.resize(first.shape.len().max(1), 1);
    }
    let select = Select::new(&shape, &first.shape, &second.shape)
        .filter(|select| select.out_len() == output.elements())
        .ok_or_else(|| {
            node.malformed(format!(
                "shapes {:?}, {:?} and {:?} do not fit each other",
                condition.shape, first.shape, second.shape
            ))
        })?;
    let inputs = [node.input_id(0)?, node.input_id(1)?, node.input_id(2)?];
    with_bits!(output.dtype.size_bytes(), T => {
        builder.push_simple(node, "select", &inputs, move |operands| {
            let (first, second) = (operands.inputs[1], operands.inputs[2]);
            let (first, second) = (bytemuck::cast_slice(first), bytemuck::cast_slice(second));
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            select.apply(operands.inputs[0], first, second, out);
        })
    })
}
