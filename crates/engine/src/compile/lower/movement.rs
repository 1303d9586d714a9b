//! RESHAPE and SQUEEZE, which move nothing; PAD and CONCATENATION, which do.

use achado_kernels::concatenation::{concatenate_part, concatenate_part_mapped};
use achado_kernels::pad::Pad;
use achado_kernels::table;
use achado_model::{Activation, DataType, Operator, Result};

use super::{Builder, with_quantized};
use crate::compile::node::NodeRef;

/// RESHAPE and SQUEEZE: the result is a view of the operand.
pub(super) fn view(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let expected = match &node.node.operator {
        Operator::Squeeze { dims } => squeezed(node, &input.shape, dims)?,
        Operator::Reshape { new_shape } => {
            let target = match node.optional_input(1) {
                Some(_) => node.constant_integers(1)?,
                None => new_shape.clone(),
            };
            // Old converters wrote the shape of a scalar as [0].
            let target = if target == [0] && input.elements() == 1 { Vec::new() } else { target };
            reshaped(node, input.elements(), &target)?
        }
        _ => output.shape.clone(),
    };
    node.expect_output_shape(&expected)?;
    builder.view(node.output_id(0)?, node.input_id(0)?);
    Ok(())
}

/// `shape` without the dimensions `dims`, or without all of size 1.
fn squeezed(node: &NodeRef, shape: &[usize], dims: &[i64]) -> Result<Vec<usize>> {
    let mut keep: Vec<bool> = shape.iter().map(|&dim| !dims.is_empty() || dim != 1).collect();
    for &dim in dims {
        let axis = node.axis(dim, shape.len())?;
        if shape[axis] != 1 {
            return Err(node.malformed(format!("dimension {axis} of {shape:?} is not 1")));
        }
        keep[axis] = false;
    }
    Ok(shape.iter().zip(keep).filter(|(_, keep)| *keep).map(|(&dim, _)| dim).collect())
}

/// `target` with its -1 computed, if it has as many elements.
fn reshaped(node: &NodeRef, elements: usize, target: &[i64]) -> Result<Vec<usize>> {
    let wrong = || node.malformed(format!("cannot reshape {elements} elements to {target:?}"));
    let mut known = 1usize;
    let mut free = None;
    let mut shape = Vec::with_capacity(target.len());
    for (i, &dim) in target.iter().enumerate() {
        if dim == -1 && free.is_none() {
            free = Some(i);
            shape.push(1);
            continue;
        }
        let dim = usize::try_from(dim).map_err(|_| wrong())?;
        known = known.checked_mul(dim).ok_or_else(wrong)?;
        shape.push(dim);
    }
    if let Some(i) = free {
        shape[i] = elements.checked_div(known).ok_or_else(wrong)?;
        known = known.checked_mul(shape[i]).ok_or_else(wrong)?;
    }
    if known == elements { Ok(shape) } else { Err(wrong()) }
}

/// PAD: zeros around a tensor; real zeros where it is quantised.
pub(super) fn pad(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let sizes = node.constant_integers(1)?;
    let rank = input.shape.len();
    if node.input(1)?.shape != [rank, 2] {
        return Err(node.malformed(format!("paddings should have shape [{rank}, 2]")));
    }
    let mut padding = Vec::with_capacity(rank);
    for pair in sizes.as_chunks::<2>().0 {
        let [before, after] = pair.map(usize::try_from);
        let negative = || node.malformed(format!("paddings {pair:?} are out of range"));
        padding.push([before.map_err(|_| negative())?, after.map_err(|_| negative())?]);
    }
    let expected: Option<Vec<usize>> = input
        .shape
        .iter()
        .zip(&padding)
        .map(|(&dim, [before, after])| dim.checked_add(*before)?.checked_add(*after))
        .collect();
    let too_large = || node.malformed("the padded tensor is too large");
    node.expect_output_shape(&expected.ok_or_else(too_large)?)?;
    let pad = Pad::new(&input.shape, &padding)
        .ok_or_else(|| node.unsupported(format!("a tensor of shape {:?}", input.shape)))?;
    let inputs = [node.input_id(0)?];
    match input.dtype {
        DataType::Float32 | DataType::Int32 => {
            builder.push_simple(node, "copy", &inputs, move |operands| {
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                pad.apply(0u32, bytemuck::cast_slice(operands.inputs[0]), out);
            })
        }
        DataType::Int8 | DataType::UInt8 => {
            let affine = node.affine(input)?;
            if affine != node.affine(output)? {
                return Err(node.unsupported("input and output must share scale and zero point"));
            }
            // The low byte of the zero point, in either type.
            let zero = affine.zero_point as u8;
            builder.push_simple(node, "copy", &inputs, move |operands| {
                pad.apply(zero, operands.inputs[0], operands.outputs[0]);
            })
        }
        _ => Err(node.unsupported_types()),
    }
}

/// CONCATENATION: one step for each operand.
pub(super) fn concatenation(
    builder: &mut Builder,
    node: &NodeRef,
    axis: i64,
    activation: Activation,
) -> Result<()> {
    if activation != Activation::None {
        return Err(node.unsupported("a fused activation"));
    }
    let output = node.output(0)?;
    let first = node.input(0)?;
    let axis = node.axis(axis, first.shape.len())?;
    let mut expected = first.shape.clone();
    expected[axis] = 0;
    for i in 0..node.node.inputs.len() {
        let input = node.input(i)?;
        let alike = input.shape.len() == expected.len()
            && (0..expected.len()).all(|d| d == axis || input.shape[d] == expected[d]);
        if !alike || input.dtype != output.dtype {
            let what = format!("operand {i} is {} {:?}", input.dtype, input.shape);
            return Err(node.malformed(format!("{what}, beside {} {expected:?}", output.dtype)));
        }
        expected[axis] = expected[axis]
            .checked_add(input.shape[axis])
            .ok_or_else(|| node.malformed("the joined tensor is too large"))?;
    }
    node.expect_output_shape(&expected)?;
    let rows: usize = expected[..axis].iter().product();
    let element = output.dtype.size_bytes();
    let mut offset = 0;
    for i in 0..node.node.inputs.len() {
        let input = node.input(i)?;
        let part = input.shape[axis..].iter().product::<usize>() * element;
        let inputs = [node.input_id(i)?];
        let map = with_quantized!(output.dtype, T => {
            table::concatenation::<T>(node.affine(input)?, node.affine(output)?)
        }, else None);
        match map {
            None => builder.push_simple(node, "copy", &inputs, move |operands| {
                concatenate_part(rows, offset, operands.inputs[0], operands.outputs[0]);
            })?,
            Some(table) => {
                builder.push_simple(node, "copy by table", &inputs, move |operands| {
                    let (input, out) = (operands.inputs[0], &mut *operands.outputs[0]);
                    concatenate_part_mapped(rows, offset, &table, input, out);
                })?
            }
        }
        offset += part;
    }
    Ok(())
}
