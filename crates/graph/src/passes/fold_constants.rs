//! Constants that can be computed now: float16 weights, shape arithmetic, whatever reads constants
//! only.

use achado_model::{Bytes, DataType, Operator, Result, Tensor};

use crate::{Evaluate, Limits, NodeRef};

/// Whether the results are constants: all operands are, or only their shapes matter.
pub(super) fn is_known(node: &NodeRef) -> bool {
    let operands = node.node.inputs.iter().flatten();
    match node.node.operator {
        Operator::Shape | Operator::Rank => true,
        _ => operands.clone().all(|&id| node.graph.tensor(id).is_constant()),
    }
}

/// The results of an operator that [`is_known`].
#[inline(never)]
pub(super) fn compute(
    node: &NodeRef,
    limits: &Limits,
    evaluator: &dyn Evaluate,
) -> Result<Vec<Bytes>> {
    let input = || node.input(0);
    let integers = |values: &[usize]| -> Result<Vec<Bytes>> {
        // Dimensions are at most 2^31.
        let bytes: Vec<u8> = match node.output(0)?.dtype {
            DataType::Int64 => values.iter().flat_map(|&x| (x as i64).to_le_bytes()).collect(),
            DataType::Int32 => values.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect(),
            _ => return Err(node.unsupported_types()),
        };
        Ok(vec![Bytes::from(bytes)])
    };
    match node.node.operator {
        Operator::Shape => integers(&input()?.shape),
        Operator::Rank => integers(&[input()?.shape.len()]),
        // The same elements.
        Operator::Densify
        | Operator::Reshape { .. }
        | Operator::Squeeze { .. }
        | Operator::ExpandDims => {
            let (input, output) = (input()?, node.output(0)?);
            match &input.data {
                Some(data) if input.dtype == output.dtype => Ok(vec![data.clone()]),
                _ => Err(node.unsupported_types()),
            }
        }
        // Weights: no second copy of them in an arena.
        Operator::Dequantize => {
            if node.output(0)?.dtype != DataType::Float32 {
                return Err(node.unsupported_types());
            }
            let values = constant_floats(node, input()?)?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Ok(vec![Bytes::from(bytes)])
        }
        _ => evaluator.evaluate(node.graph.alone(node.node), limits),
    }
}

/// The elements of a float constant as float32: float16 is widened; int8 and uint8 (weights of
/// models that compute in float) are dequantized, per tensor or per channel.
///
/// # Errors
/// `UNSUPPORTED_OPERATOR` where `tensor` is no constant, `UNSUPPORTED_TYPE` for other types.
#[inline(never)]
pub fn constant_floats(node: &NodeRef, tensor: &Tensor) -> Result<Vec<f32>> {
    let Some(data) = &tensor.data else {
        return Err(node.unsupported(format!("tensor {:?} must be a constant", tensor.name)));
    };
    match tensor.dtype {
        DataType::Float32 => {
            Ok(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        DataType::Float16 => Ok(data
            .as_chunks()
            .0
            .iter()
            .map(|bytes| half::f16::from_le_bytes(*bytes).to_f32())
            .collect()),
        DataType::Int8 | DataType::UInt8 => {
            let quantization = node.quantization(tensor)?;
            let channels = quantization.scale.len();
            // Elements that lie side by side with the same channel.
            let run: usize = match channels {
                1 => tensor.elements().max(1),
                _ => tensor.shape.iter().skip(quantization.axis + 1).product::<usize>().max(1),
            };
            let element = |(i, &byte): (usize, &u8)| {
                let channel = i / run % channels;
                let value = match tensor.dtype {
                    DataType::Int8 => i32::from(byte as i8),
                    _ => i32::from(byte),
                };
                (value - quantization.zero_point[channel]) as f32 * quantization.scale[channel]
            };
            Ok(data.iter().enumerate().map(element).collect())
        }
        _ => Err(node.unsupported_types()),
    }
}
