//! Constants that can be computed now: DEQUANTIZE of a constant (float16 weights, mostly).

use achado_model::{Bytes, DataType, Model, Operator, Result, Tensor};

use super::node::NodeRef;

/// Replaces the results of DEQUANTIZE nodes over constants by constants.
pub(crate) fn fold(model: &mut Model) -> Result<()> {
    let mut folded = Vec::new();
    for (index, node) in model.nodes.iter().enumerate() {
        if node.operator != Operator::Dequantize {
            continue;
        }
        let node = NodeRef { model, index, node };
        let input = node.input(0)?;
        if !input.is_constant() {
            continue;
        }
        node.expect_output_shape(&input.shape)?;
        if node.output(0)?.dtype != DataType::Float32 {
            return Err(node.unsupported_types());
        }
        let values = constant_floats(&node, input)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        folded.push((index, node.output_id(0)?, Bytes::from(bytes)));
    }
    for (_, output, bytes) in &folded {
        model.tensors[output.0].data = Some(bytes.clone());
    }
    let mut dropped = folded.iter().map(|(index, ..)| *index).peekable();
    let mut index = 0;
    model.nodes.retain(|_| {
        let drop = dropped.next_if_eq(&index).is_some();
        index += 1;
        !drop
    });
    Ok(())
}

/// The elements of a float constant as float32: float16 is widened; int8 and uint8 (weights of
/// models that compute in float) are dequantised, per tensor or per channel.
pub(crate) fn constant_floats(node: &NodeRef, tensor: &Tensor) -> Result<Vec<f32>> {
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
                _ => tensor.shape.iter().skip(quantization.axis + 1).product(),
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
