//! Operators that move elements: RESHAPE and SQUEEZE, which move nothing; PAD, TRANSPOSE, slices,
//! parts, repetitions and blocks.

use achado_graph::legal::{self, Concatenation, PadValue, Part, check_alike, zero_element};
use achado_graph::{NodeRef, infer};
use achado_kernels::concatenation::{concatenate_part, concatenate_part_mapped};
use achado_kernels::indexed_copy::IndexedCopy;
use achado_kernels::pad::Pad;
use achado_kernels::strided_copy::{BatchCopy, StridedCopy};
use achado_kernels::table;
use achado_model::{DataType, Operator, Result, Tensor, TensorId};

use super::operands::kernel_affine;
use super::{Builder, with_bits, with_quantized};
use crate::step::Simple;

/// The error for shapes that a kernel does not take.
fn unsupported_shape(node: &NodeRef, tensor: &Tensor) -> achado_model::Error {
    node.unsupported(format!("a tensor of shape {:?}", tensor.shape))
}

/// RESHAPE, SQUEEZE, EXPAND_DIMS: the result is a view of the operand.
#[inline(never)]
pub(super) fn view(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    if node.input(0)?.dtype != node.output(0)?.dtype {
        return Err(node.unsupported_types());
    }
    builder.view(node.output_id(0)?, node.input_id(0)?);
    Ok(())
}

/// A step that copies operand `input` to result `output`.
fn push_strided(
    builder: &mut Builder,
    node: &NodeRef,
    [input, output]: [TensorId; 2],
    copy: Option<StridedCopy>,
) -> Result<()> {
    let tensor = node.graph.tensor(input);
    check_alike(node, tensor, node.graph.tensor(output))?;
    let copy = copy.ok_or_else(|| unsupported_shape(node, tensor))?;
    with_bits!(tensor.dtype.size_bytes(), T => {
        let run = move |operands: &mut crate::step::Operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            copy.apply(bytemuck::cast_slice(operands.inputs[0]), out);
        };
        builder.push(node, Simple { kernel: "copy", run }, &[input], &[output]);
    });
    Ok(())
}

/// A step that copies operand 0 to result 0.
pub(super) fn push_indexed(
    builder: &mut Builder,
    node: &NodeRef,
    copy: Option<IndexedCopy>,
) -> Result<()> {
    let input = node.input(0)?;
    check_alike(node, input, node.output(0)?)?;
    let copy = copy.ok_or_else(|| unsupported_shape(node, input))?;
    with_bits!(input.dtype.size_bytes(), T => {
        builder.push_simple(node, "indexed copy", &[node.input_id(0)?], move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            copy.apply(bytemuck::cast_slice(operands.inputs[0]), out);
        })
    })
}

/// PAD and PADV2: a value around a tensor; real zeros where PAD's is quantized.
#[inline(never)]
pub(super) fn pad(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, id) = (node.input(0)?, node.input_id(0)?);
    let legal::Pad { paddings, value } = legal::pad(node)?;
    let pad = Pad::new(&input.shape, &paddings).ok_or_else(|| unsupported_shape(node, input))?;
    match value {
        PadValue::Tensor(value) => with_bits!(input.dtype.size_bytes(), T => {
            builder.push_simple(node, "copy", &[id, value], move |operands| {
                let value = bytemuck::cast_slice::<u8, T>(operands.inputs[1])[0];
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                pad.apply(value, bytemuck::cast_slice(operands.inputs[0]), out);
            })
        }),
        PadValue::Element(zero) => with_bits!(input.dtype.size_bytes(), T => {
            builder.push_simple(node, "copy", &[id], move |operands| {
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                pad.apply(zero as T, bytemuck::cast_slice(operands.inputs[0]), out);
            })
        }),
    }
}

/// MIRROR_PAD.
#[inline(never)]
pub(super) fn mirror_pad(builder: &mut Builder, node: &NodeRef, symmetric: bool) -> Result<()> {
    let padding = infer::paddings(node)?;
    let copy = IndexedCopy::mirror_pad(&node.input(0)?.shape, &padding, symmetric);
    if copy.is_none() {
        let shape = &node.input(0)?.shape;
        let what = format!("paddings {padding:?} are too large for a tensor of shape {shape:?}");
        return Err(node.malformed(what));
    }
    push_indexed(builder, node, copy)
}

/// REVERSE_V2.
#[inline(never)]
pub(super) fn reverse(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let copy = IndexedCopy::reverse(&node.input(0)?.shape, &infer::reduced(node)?);
    push_indexed(builder, node, copy)
}

/// TRANSPOSE.
#[inline(never)]
pub(super) fn transpose(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let Some(order) = legal::transpose(node)? else { return view(builder, node) };
    let ids = [node.input_id(0)?, node.output_id(0)?];
    push_strided(builder, node, ids, StridedCopy::transpose(&node.input(0)?.shape, &order))
}

/// SLICE.
#[inline(never)]
pub(super) fn slice(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let shape = &node.input(0)?.shape;
    let slice = infer::slice(node)?;
    let copy = StridedCopy::slice(shape, &slice.begin, &vec![1; shape.len()], &slice.size);
    push_strided(builder, node, [node.input_id(0)?, node.output_id(0)?], copy)
}

/// STRIDED_SLICE.
#[inline(never)]
pub(super) fn strided_slice(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let slice = infer::strided_slice(node)?;
    let copy = StridedCopy::slice(&slice.input, &slice.begin, &slice.step, &slice.size);
    push_strided(builder, node, [node.input_id(0)?, node.output_id(0)?], copy)
}

/// SPLIT and SPLIT_V: one step for each result.
#[inline(never)]
pub(super) fn split(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (operand, axis, sizes) = infer::split_sizes(node)?;
    let shape = &node.input(operand)?.shape;
    let mut begin = vec![0; shape.len()];
    for (at, size) in sizes.into_iter().enumerate() {
        let mut part = shape.clone();
        part[axis] = size;
        if !part.contains(&0) {
            let copy = StridedCopy::slice(shape, &begin, &vec![1; shape.len()], &part);
            let ids = [node.input_id(operand)?, node.output_id(at)?];
            push_strided(builder, node, ids, copy)?;
        }
        begin[axis] += size;
    }
    Ok(())
}

/// UNPACK: one step for each result.
#[inline(never)]
pub(super) fn unpack(builder: &mut Builder, node: &NodeRef, axis: i64) -> Result<()> {
    let shape = &node.input(0)?.shape;
    let axis = node.axis(axis, shape.len())?;
    let (mut begin, mut part) = (vec![0; shape.len()], shape.clone());
    part[axis] = 1;
    for at in 0..shape[axis] {
        begin[axis] = at;
        let copy = StridedCopy::slice(shape, &begin, &vec![1; shape.len()], &part);
        push_strided(builder, node, [node.input_id(0)?, node.output_id(at)?], copy)?;
    }
    Ok(())
}

/// BROADCAST_TO.
#[inline(never)]
pub(super) fn broadcast_to(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let copy = StridedCopy::broadcast_to(&node.input(0)?.shape, &node.output(0)?.shape);
    push_strided(builder, node, [node.input_id(0)?, node.output_id(0)?], copy)
}

/// TILE.
#[inline(never)]
pub(super) fn tile(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let multiples = infer::dims(node, 1)?;
    let copy = StridedCopy::tile(&node.input(0)?.shape, &multiples);
    push_strided(builder, node, [node.input_id(0)?, node.output_id(0)?], copy)
}

/// SPACE_TO_DEPTH.
#[inline(never)]
pub(super) fn space_to_depth(builder: &mut Builder, node: &NodeRef, block: usize) -> Result<()> {
    let copy = StridedCopy::space_to_depth(node.picture(node.input(0)?)?, block);
    push_strided(builder, node, [node.input_id(0)?, node.output_id(0)?], copy)
}

/// DEPTH_TO_SPACE.
#[inline(never)]
pub(super) fn depth_to_space(builder: &mut Builder, node: &NodeRef, block: usize) -> Result<()> {
    let copy = StridedCopy::depth_to_space(node.picture(node.input(0)?)?, block);
    push_strided(builder, node, [node.input_id(0)?, node.output_id(0)?], copy)
}

/// SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND.
#[inline(never)]
pub(super) fn blocks_of_batches(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    check_alike(node, input, output)?;
    let (picture, block, borders) = infer::blocks(node)?;
    let copy = match (&node.node.operator, &output.shape[..]) {
        (Operator::SpaceToBatchNd, _) => BatchCopy::space_to_batch(picture, block, borders),
        (_, &[n, h, w, c]) => BatchCopy::batch_to_space([n, h, w, c], block, borders),
        (_, &[n, w, c]) => BatchCopy::batch_to_space([n, 1, w, c], block, borders),
        _ => None,
    };
    let copy = copy.ok_or_else(|| unsupported_shape(node, input))?;
    let zero = zero_element(node, input)?;
    with_bits!(input.dtype.size_bytes(), T => {
        builder.push_simple(node, "copy", &[node.input_id(0)?], move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            out.fill(zero as T);
            copy.apply(bytemuck::cast_slice(operands.inputs[0]), out);
        })
    })
}

/// FILL and ZEROS_LIKE.
#[inline(never)]
pub(super) fn fill(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let output = node.output(0)?;
    if node.node.operator == Operator::ZerosLike {
        return builder.push_simple(node, "fill", &[], |operands| operands.outputs[0].fill(0));
    }
    let value = node.input(1)?;
    check_alike(node, value, output)?;
    if value.elements() != 1 {
        return Err(node.malformed("the value should be one element"));
    }
    with_bits!(output.dtype.size_bytes(), T => {
        builder.push_simple(node, "fill", &[node.input_id(1)?], |operands| {
            let value = bytemuck::cast_slice::<u8, T>(operands.inputs[0])[0];
            bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]).fill(value);
        })
    })
}

/// CONCATENATION and PACK: one step for each operand.
#[inline(never)]
pub(super) fn concatenation(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let dtype = node.output(0)?.dtype;
    let Concatenation { rows, parts } = legal::concatenation(node)?;
    for Part { input, offset_bytes: offset, rescale } in parts {
        let table = with_quantized!(dtype, T => {
            rescale.and_then(|scales| {
                let [from, to] = scales.map(kernel_affine);
                table::concatenation::<T>(from, to)
            })
        }, else None);
        match table {
            None => builder.push_simple(node, "copy", &[input], move |operands| {
                concatenate_part(rows, offset, operands.inputs[0], operands.outputs[0]);
            })?,
            Some(table) => {
                builder.push_simple(node, "copy by table", &[input], move |operands| {
                    let (input, out) = (operands.inputs[0], &mut *operands.outputs[0]);
                    concatenate_part_mapped(rows, offset, &table, input, out);
                })?
            }
        }
    }
    Ok(())
}
