//! Operators of one or two operands, element by element, and along rows.

use achado_model::{Activation, DataType, Operator, Result};

use super::bounds;
use crate::NodeRef;
use crate::geometry::Affine;
use crate::infer::reduced;

/// ADD, MUL and the like: two operands, whose shapes meet in NumPy's rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The type of both operands and of the result.
    pub dtype: DataType,
    /// What the result is clamped to.
    pub bounds: [f32; 2],
}

/// The type and the bounds of an operator of two operands.
///
/// # Errors
/// `UNSUPPORTED_TYPE` where types differ.
pub fn pair(node: &NodeRef) -> Result<Pair> {
    let activation = match node.node.operator {
        Operator::Add { activation }
        | Operator::Sub { activation }
        | Operator::Mul { activation }
        | Operator::Div { activation } => activation,
        _ => Activation::None,
    };
    let dtype = node.input(0)?.dtype;
    if node.input(1)?.dtype != dtype || node.output(0)?.dtype != dtype {
        return Err(node.unsupported_types());
    }
    Ok(Pair { dtype, bounds: bounds(activation) })
}

/// The scales of two quantized operands and of the result.
///
/// # Errors
/// `MODEL_FORMAT` where one is missing.
pub fn pair_scales(node: &NodeRef) -> Result<[Affine; 3]> {
    Ok([node.affine(node.input(0)?)?, node.affine(node.input(1)?)?, node.affine(node.output(0)?)?])
}

/// Rows along the last dimension, each by itself: SOFTMAX and normalizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Elements of a row.
    pub depth: usize,
    /// The type of operand and result.
    pub dtype: DataType,
}

/// The rows of an operator along the last dimension.
///
/// # Errors
/// `UNSUPPORTED_TYPE` where the type changes.
pub fn rows(node: &NodeRef) -> Result<Rows> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    Ok(Rows { depth: input.shape.last().copied().unwrap_or(1), dtype: input.dtype })
}

/// MEAN, SUM, REDUCE_MAX and the like: which dimensions of operand 0 are taken together.
///
/// # Errors
/// `UNSUPPORTED_TYPE` where the type changes, `MODEL_FORMAT` for axes that there are not.
pub fn reduction(node: &NodeRef) -> Result<Vec<bool>> {
    if node.input(0)?.dtype != node.output(0)?.dtype {
        return Err(node.unsupported_types());
    }
    reduced(node)
}
