//! MEAN, SUM, REDUCE_MAX, ..., and CUMSUM.

use achado_graph::{NodeRef, legal};
use achado_kernels::arrange::cumsum;
use achado_kernels::compiled::Compiled;
use achado_kernels::mean::{mean_f32, sum_f32};
use achado_kernels::reduce::{Reduction, extreme_f32};
use achado_kernels::requant::builtin::{ProductRequantize, WideMean};
use achado_kernels::requant::{Quantized, ReduceRequantize};
use achado_model::{DataType, Operator, Result};

use super::operands::affine;
use super::{Builder, with_quantized};

fn reduction(node: &NodeRef) -> Result<Reduction> {
    let (input, is_reduced) = (node.input(0)?, legal::reduction(node)?);
    Reduction::new(&input.shape, &is_reduced)
        .ok_or_else(|| node.unsupported(format!("a tensor of shape {:?}", input.shape)))
}

/// A step that folds elements of `T` into accumulators and finishes these.
fn push_fold<T: bytemuck::Pod, A: Copy + Send + Sync + 'static>(
    builder: &mut Builder,
    node: &NodeRef,
    start: A,
    add: impl Fn(A, T) -> A + Send + Sync + 'static,
    finish: impl Fn(A) -> T + Send + Sync + 'static,
) -> Result<()> {
    let reduction = reduction(node)?;
    builder.push_simple(node, "reduce", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
        let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
        reduction.fold(input, start, &add, |tile, first| {
            for (out, &folded) in out[first..].iter_mut().zip(tile) {
                *out = finish(folded);
            }
        });
    })
}

/// MEAN and SUM.
#[inline(never)]
pub(super) fn mean(builder: &mut Builder, node: &NodeRef, is_mean: bool) -> Result<()> {
    let reduction = reduction(node)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let inputs = [node.input_id(0)?];
    match input.dtype {
        DataType::Float32 => {
            let kernel = if is_mean { "mean f32" } else { "sum f32" };
            let run = if is_mean { mean_f32 } else { sum_f32 };
            return builder.push_simple(node, kernel, &inputs, move |operands| {
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                run(&reduction, bytemuck::cast_slice(operands.inputs[0]), out);
            });
        }
        DataType::Int32 => {
            let count = if is_mean { i64::try_from(reduction.count()).unwrap_or(1) } else { 1 };
            // TensorFlow Lite sums in 64 bits, divides and keeps the low bits.
            let add = |sum: i64, x: i32| sum.wrapping_add(x.into());
            return push_fold(builder, node, 0i64, add, move |sum| (sum / count.max(1)) as i32);
        }
        DataType::Int64 => {
            let count = if is_mean { i64::try_from(reduction.count()).unwrap_or(1) } else { 1 };
            return push_fold(builder, node, 0i64, i64::wrapping_add, move |sum| {
                sum / count.max(1)
            });
        }
        _ => {}
    }
    let (from, to) = (affine(node, input)?, affine(node, output)?);
    if input.dtype == DataType::Int16 {
        let count = reduction.count();
        let requant = WideMean::new(from, to, count, is_mean);
        let add = |sum: i64, x: i16| sum + i64::from(x);
        return push_fold(builder, node, 0i64, add, move |sum| requant.apply(sum));
    }
    let requant = match is_mean {
        true => ReduceRequantize::mean(from, to, reduction.count()),
        false => ReduceRequantize::sum(from, to, reduction.count()),
    };
    with_quantized!(input.dtype, T => {
        builder.push_simple(node, "mean i32", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            T::mean(&reduction, &requant, input, out);
        })
    }, else Err(node.unsupported_types()))
}

/// REDUCE_MAX and REDUCE_MIN.
#[inline(never)]
pub(super) fn extreme(builder: &mut Builder, node: &NodeRef, is_max: bool) -> Result<()> {
    /// Folds with the better of two elements.
    macro_rules! extreme {
        ($T:ty, $worst:expr) => {{
            let better = move |a: $T, b: $T| match is_max {
                true => {
                    if b > a {
                        b
                    } else {
                        a
                    }
                }
                false => {
                    if b < a {
                        b
                    } else {
                        a
                    }
                }
            };
            push_fold::<$T, $T>(builder, node, $worst, better, |x| x)
        }};
    }
    let (input, output) = (node.input(0)?, node.output(0)?);
    if matches!(input.dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16) {
        legal::shares_scale(node, &[input], output)?;
    }
    match input.dtype {
        DataType::Float32 if output.elements() == 1 => {
            builder.push_simple(node, "reduce f32", &[node.input_id(0)?], move |operands| {
                let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
                out[0] = extreme_f32(bytemuck::cast_slice(operands.inputs[0]), is_max);
            })
        }
        DataType::Float32 => {
            extreme!(f32, if is_max { f32::NEG_INFINITY } else { f32::INFINITY })
        }
        DataType::Int32 => extreme!(i32, if is_max { i32::MIN } else { i32::MAX }),
        DataType::Int64 => extreme!(i64, if is_max { i64::MIN } else { i64::MAX }),
        DataType::Int16 => extreme!(i16, if is_max { i16::MIN } else { i16::MAX }),
        DataType::Int8 => extreme!(i8, if is_max { i8::MIN } else { i8::MAX }),
        DataType::UInt8 => extreme!(u8, if is_max { u8::MIN } else { u8::MAX }),
        _ => Err(node.unsupported_types()),
    }
}

/// REDUCE_PROD.
#[inline(never)]
pub(super) fn product(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    match node.input(0)?.dtype {
        DataType::Float32 => push_fold(builder, node, 1.0, |a: f32, b: f32| a * b, |x| x),
        DataType::Int32 => push_fold(builder, node, 1, i32::wrapping_mul, |x| x),
        DataType::Int64 => push_fold(builder, node, 1, i64::wrapping_mul, |x| x),
        DataType::Int8 => product_of_quantized::<i8>(builder, node),
        DataType::Int16 => product_of_quantized::<i16>(builder, node),
        _ => Err(node.unsupported_types()),
    }
}

fn product_of_quantized<T: Quantized + bytemuck::Pod + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
) -> Result<()> {
    let count = reduction(node)?.count();
    if count == 1 {
        // TensorFlow Lite copies the elements, whatever the scales are.
        let only = |_: T, x: T| x;
        return push_fold(builder, node, T::default(), only, |x| x);
    }
    let (from, to) = (affine(node, node.input(0)?)?, affine(node, node.output(0)?)?);
    let requant = ProductRequantize::new(from, to, count);
    let add = move |product, x: T| requant.step(product, x);
    push_fold(builder, node, None, add, move |product| requant.finish(product))
}

/// REDUCE_ANY and REDUCE_ALL.
#[inline(never)]
pub(super) fn truth(builder: &mut Builder, node: &NodeRef, is_all: bool) -> Result<()> {
    if node.input(0)?.dtype != DataType::Bool {
        return Err(node.unsupported_types());
    }
    let add = move |found: bool, x: u8| if is_all { found && x != 0 } else { found || x != 0 };
    push_fold(builder, node, is_all, add, u8::from)
}

/// CUMSUM.
#[inline(never)]
pub(super) fn cumulative(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    match node.input(0)?.dtype {
        DataType::Float32 => cumulative_of::<f32>(builder, node, 0.0, |a, b| a + b),
        DataType::Int32 => cumulative_of::<i32>(builder, node, 0, i32::wrapping_add),
        DataType::Int64 => cumulative_of::<i64>(builder, node, 0, i64::wrapping_add),
        _ => Err(node.unsupported_types()),
    }
}

fn cumulative_of<T: bytemuck::Pod + Send + Sync>(
    builder: &mut Builder,
    node: &NodeRef,
    zero: T,
    add: fn(T, T) -> T,
) -> Result<()> {
    let &Operator::Cumsum { exclusive, reverse } = &node.node.operator else {
        return Err(node.malformed("not a CUMSUM"));
    };
    let input = node.input(0)?;
    if input.dtype != node.output(0)?.dtype {
        return Err(node.unsupported_types());
    }
    let sides = node.around_axis(&input.shape, node.constant_axis(1, input.shape.len())?);
    let modes = [exclusive, reverse];
    builder.push_simple(node, "cumulative", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
        let input = bytemuck::cast_slice(operands.inputs[0]);
        cumsum(sides, modes, zero, add, input, out);
    })
}
