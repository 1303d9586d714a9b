//! Operators that move elements: RESHAPE, PAD, TRANSPOSE, CONCATENATION and PACK.

use achado_model::{Activation, DataType, Operator, Result, Tensor, TensorId};

use crate::NodeRef;
use crate::geometry::Affine;
use crate::infer::{paddings, permutation};

/// Refuses a result of another type or scale than `input`, whose elements it takes as they are.
///
/// # Errors
/// `UNSUPPORTED_TYPE` and `UNSUPPORTED_OPERATOR`.
pub fn check_alike(node: &NodeRef, input: &Tensor, output: &Tensor) -> Result<()> {
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let is_quantized = matches!(input.dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16);
    // Integers without a scale are moved as they are.
    if is_quantized && input.quantization.is_some() && output.quantization.is_some() {
        super::shares_scale(node, &[input], output)?;
    }
    Ok(())
}

/// The element that stands for 0 where `tensor` is padded.
///
/// # Errors
/// `UNSUPPORTED_OPERATOR` for several scales.
pub fn zero_element(node: &NodeRef, tensor: &Tensor) -> Result<i32> {
    match tensor.quantization {
        Some(_) if tensor.dtype != DataType::Int32 => Ok(node.affine(tensor)?.zero_point),
        _ => Ok(0),
    }
}

/// PAD or PADV2.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// `[before, after]` of each dimension.
    pub paddings: Vec<[usize; 2]>,
    /// What is around the input.
    pub value: PadValue,
}

/// What PAD puts around a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadValue {
    /// The element that stands for 0.
    Element(i32),
    /// The one element of a tensor.
    Tensor(TensorId),
}

/// The padding that a node is.
///
/// # Errors
/// `MODEL_FORMAT` for paddings or a value that do not fit, those of [`check_alike`].
pub fn pad(node: &NodeRef) -> Result<Pad> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    check_alike(node, input, output)?;
    let paddings = paddings(node)?;
    let value = match node.optional_input(2) {
        None => PadValue::Element(zero_element(node, input)?),
        Some(value) => {
            check_alike(node, value, output)?;
            if value.elements() != 1 {
                return Err(node.malformed("the value should be one element"));
            }
            PadValue::Tensor(node.input_id(2)?)
        }
    };
    Ok(Pad { paddings, value })
}

/// Which dimension of operand 0 each dimension of TRANSPOSE's result is; `None` where elements stay in
/// their order, as dimensions of 1 alone move.
///
/// # Errors
/// `MODEL_FORMAT` for what is no permutation, those of [`check_alike`].
pub fn transpose(node: &NodeRef) -> Result<Option<Vec<usize>>> {
    let input = node.input(0)?;
    check_alike(node, input, node.output(0)?)?;
    let order = permutation(node)?;
    let is_view = order.iter().filter(|&&axis| input.shape[axis] != 1).is_sorted();
    Ok((!is_view).then_some(order))
}

/// CONCATENATION or PACK: `rows` times the rows of each part side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Concatenation {
    /// Rows: the dimensions outside of the axis.
    pub rows: usize,
    /// Those operands that have elements, in order.
    pub parts: Vec<Part>,
}

/// An operand of a CONCATENATION.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The operand.
    pub input: TensorId,
    /// Where its elements begin in a row of the result, in bytes.
    pub offset_bytes: usize,
    /// Scales of operand and result, where the elements stand for other numbers there.
    pub rescale: Option<[Affine; 2]>,
}

/// The concatenation that a node is.
///
/// # Errors
/// `UNSUPPORTED_TYPE` where types differ, `UNSUPPORTED_OPERATOR` for a fused activation.
pub fn concatenation(node: &NodeRef) -> Result<Concatenation> {
    let output = node.output(0)?;
    let (axis, rank) = match node.node.operator {
        Operator::Concatenation { axis, activation } => {
            if activation != Activation::None {
                return Err(node.unsupported("a fused activation"));
            }
            (axis, node.input(0)?.shape.len())
        }
        Operator::Pack { axis } => (axis, output.shape.len()),
        _ => return Err(node.malformed("neither CONCATENATION nor PACK")),
    };
    let axis = node.axis(axis, rank)?;
    let outer = output.shape.get(..axis).unwrap_or_default();
    let rows: usize = outer.iter().product();
    let (mut parts, mut offset_bytes) = (Vec::with_capacity(node.node.inputs.len()), 0);
    for at in 0..node.node.inputs.len() {
        let (id, input) = (node.input_id(at)?, node.input(at)?);
        if input.dtype != output.dtype {
            return Err(node.unsupported_types());
        }
        let bytes = input.size_bytes().checked_div(rows).unwrap_or(0);
        if bytes == 0 {
            continue;
        }
        // Integers without a scale are moved as they are.
        let is_byte = matches!(input.dtype, DataType::Int8 | DataType::UInt8);
        let rescale = match input.quantization {
            Some(_) if is_byte => {
                let scales = [node.affine(input)?, node.affine(output)?];
                (scales[0] != scales[1]).then_some(scales)
            }
            _ => None,
        };
        parts.push(Part { input: id, offset_bytes, rescale });
        offset_bytes += bytes;
    }
    Ok(Concatenation { rows, parts })
}
