//! Operators that find elements or take them by index: ARG_MAX, TOPK_V2, GATHER, ONE_HOT, RANGE.

use achado_graph::{NodeRef, infer};
use achado_kernels::arrange::{arg_extreme, gather, gather_nd, one_hot, top_k};
use achado_model::{DataType, Result};

use super::{Builder, with_bits};

/// What a run says of an index that no constant could be checked for.
const OUT_OF_RANGE: &str = "an index is out of range";

/// Calls `$body` with the type of int32 or int64 bound to `$I`.
macro_rules! with_index {
    ($node:expr, $dtype:expr, $I:ident => $body:expr) => {
        match $dtype {
            DataType::Int32 => {
                type $I = i32;
                $body
            }
            DataType::Int64 => {
                type $I = i64;
                $body
            }
            _ => Err($node.unsupported_types()),
        }
    };
}

/// Calls `$body` with the type of an ordered [`DataType`] bound to `$T`.
macro_rules! with_ordered {
    ($node:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DataType::Float32 => {
                type $T = f32;
                $body
            }
            DataType::Int8 => {
                type $T = i8;
                $body
            }
            DataType::UInt8 | DataType::Bool => {
                type $T = u8;
                $body
            }
            DataType::Int16 => {
                type $T = i16;
                $body
            }
            other => with_index!($node, other, $T => $body),
        }
    };
}

/// ARG_MAX and ARG_MIN.
#[inline(never)]
pub(super) fn arg(builder: &mut Builder, node: &NodeRef, least: bool) -> Result<()> {
    let input = node.input(0)?;
    let sides = node.around_axis(&input.shape, node.constant_axis(1, input.shape.len())?);
    let inputs = [node.input_id(0)?];
    with_index!(node, node.output(0)?.dtype, I => with_ordered!(node, input.dtype, T => {
        builder.push_simple(node, "find", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, I>(operands.outputs[0]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            arg_extreme(sides, least, input, out);
        })
    }))
}

/// TOPK_V2.
#[inline(never)]
pub(super) fn top(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype || node.output(1)?.dtype != DataType::Int32 {
        return Err(node.unsupported_types());
    }
    let (depth, k) = match (input.shape.last(), output.shape.last()) {
        (Some(&depth), Some(&k)) => (depth, k),
        _ => return Err(node.malformed("the input should have a dimension")),
    };
    let (inputs, outputs) = ([node.input_id(0)?], [node.output_id(0)?, node.output_id(1)?]);
    with_ordered!(node, input.dtype, T => {
        let run = move |operands: &mut crate::step::Operands| {
            let [values, indexes, ..] = &mut operands.outputs;
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            let indexes = bytemuck::cast_slice_mut::<u8, i32>(indexes);
            top_k(depth, k, input, bytemuck::cast_slice_mut(values), indexes);
        };
        builder.push(node, crate::step::Simple { kernel: "find", run }, &inputs, &outputs);
        Ok(())
    })
}

/// GATHER.
#[inline(never)]
pub(super) fn take(
    builder: &mut Builder,
    node: &NodeRef,
    axis: i64,
    batch_dims: i64,
) -> Result<()> {
    let (input, indices, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let (axis, batch) = infer::gather_axes(node, axis, batch_dims)?;
    let batches: usize = input.shape[..batch].iter().product();
    let sides = node.around_axis(&input.shape, axis);
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    with_index!(node, indices.dtype, I => with_bits!(input.dtype.size_bytes(), T => {
        builder.push_simple(node, "gather", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let indexes = bytemuck::cast_slice::<u8, I>(operands.inputs[1]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            let part = |len: usize| (len / batches).max(1);
            let parts = input.chunks_exact(part(input.len()));
            let parts = parts.zip(indexes.chunks_exact(part(indexes.len())));
            let out_part = part(out.len());
            for ((input, indexes), out) in parts.zip(out.chunks_exact_mut(out_part)) {
                if gather(sides, indexes, input, out).is_err() {
                    operands.fault = Some(OUT_OF_RANGE);
                }
            }
        })
    }))
}

/// GATHER_ND.
#[inline(never)]
pub(super) fn take_nd(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, indices, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let depth = indices.shape.last().copied().unwrap_or(0);
    let shape = input.shape.clone();
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    with_index!(node, indices.dtype, I => with_bits!(input.dtype.size_bytes(), T => {
        builder.push_simple(node, "gather", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let indexes = bytemuck::cast_slice::<u8, I>(operands.inputs[1]);
            let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
            if gather_nd(&shape, depth, indexes, input, out).is_err() {
                operands.fault = Some(OUT_OF_RANGE);
            }
        })
    }))
}

/// ONE_HOT.
#[inline(never)]
pub(super) fn hot(builder: &mut Builder, node: &NodeRef, axis: i64) -> Result<()> {
    let (indices, output) = (node.input(0)?, node.output(0)?);
    let rank = indices.shape.len();
    let axis = if axis == -1 { rank } else { node.axis(axis, rank + 1)? };
    let sides = node.around_axis(&output.shape, axis);
    for value in [node.input(2)?, node.input(3)?] {
        if value.elements() != 1 || value.dtype != output.dtype {
            return Err(node.malformed("on and off should be one element each"));
        }
    }
    let inputs = [node.input_id(0)?, node.input_id(2)?, node.input_id(3)?];
    with_index!(node, indices.dtype, I => with_bits!(output.dtype.size_bytes(), T => {
        builder.push_simple(node, "fill", &inputs, move |operands| {
            let of = |i: usize| bytemuck::cast_slice::<u8, T>(operands.inputs[i])[0];
            let values = [of(1), of(2)];
            let indexes = bytemuck::cast_slice::<u8, I>(operands.inputs[0]);
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            one_hot(sides, values, indexes, out);
        })
    }))
}

/// RANGE, whose operands are constants.
#[inline(never)]
pub(super) fn range(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let output = node.output(0)?;
    match output.dtype {
        DataType::Float32 => {
            let of = |i: usize| -> Result<f32> {
                let values = node.input(i)?.constant_floats();
                let value = values.and_then(|values| values.first().copied());
                value.ok_or_else(|| node.unsupported(format!("operand {i} must be a constant")))
            };
            let (start, delta) = (of(0)?, of(2)?);
            builder.push_simple(node, "fill", &[], move |operands| {
                let out = bytemuck::cast_slice_mut::<u8, f32>(operands.outputs[0]);
                let mut value = start;
                for out in out {
                    *out = value;
                    value += delta;
                }
            })
        }
        _ => {
            let (start, delta) = (node.constant_integers(0)?, node.constant_integers(2)?);
            let (&[start], &[delta]) = (&start[..], &delta[..]) else {
                return Err(node.malformed("start and delta should be one element each"));
            };
            with_index!(node, output.dtype, I => {
                builder.push_simple(node, "fill", &[], move |operands| {
                    let out = bytemuck::cast_slice_mut::<u8, I>(operands.outputs[0]);
                    for (i, out) in (0i64..).zip(out) {
                        *out = start.wrapping_add(delta.wrapping_mul(i)) as I;
                    }
                })
            })
        }
    }
}
