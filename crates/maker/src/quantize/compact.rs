//! Smaller files of a float model without pictures: float16 constants, 8-bit weights.

use achado_model::{Bytes, DataType, Model, Node, Operator, Result, Tensor, TensorId, prune};
use half::f16;

use super::float_model::float_model;
use super::role::{Role, role};
use super::weights;

/// What TensorFlow Lite's converter leaves in float: weights with fewer elements.
const LEAST_WEIGHTS: usize = 1024;

/// Constants as float16, each widened by a DEQUANTIZE: half the size, the same speed.
///
/// # Errors
/// `INVALID_OPTION` where the model is quantized already; `MODEL_FORMAT` where it is not valid.
pub fn to_float16(model: Model) -> Result<Model> {
    let float = float_model(model)?;
    let mut model = Model { nodes: Vec::new(), ..float.clone() };
    for node in &float.nodes {
        for id in node.inputs.iter().flatten() {
            let tensor = float.tensor(*id);
            // A constant that two operators read is widened once.
            if model.tensors[id.0].data.is_none() || float.outputs.contains(id) {
                continue;
            }
            let Some(values) = tensor.constant_floats() else { continue };
            let bytes: Vec<u8> =
                values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
            model.tensors.push(Tensor {
                name: format!("{}_float16", tensor.name),
                dtype: DataType::Float16,
                data: Some(Bytes::from(bytes)),
                ..tensor.clone()
            });
            let half = TensorId(model.tensors.len() - 1);
            model.tensors[id.0].data = None;
            model.nodes.push(Node {
                operator: Operator::Dequantize,
                inputs: vec![Some(half)],
                outputs: vec![*id],
            });
        }
        model.nodes.push(node.clone());
    }
    model.validate()?;
    Ok(model)
}

/// How 8-bit weights meet activations in float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights8 {
    /// Dynamic range: the runtime quantizes each operator's input, and multiplies integers.
    Dynamic,
    /// The weights are widened by a DEQUANTIZE: a quarter of the size, the speed of floats.
    WeightsOnly,
}

/// Weights of products as int8, all else in float.
///
/// # Errors
/// `INVALID_OPTION` where the model is quantized already; `MODEL_FORMAT` where it is not valid.
pub fn to_weights8(model: Model, kind: Weights8, per_channel_dense: bool) -> Result<Model> {
    let float = float_model(model)?;
    let mut model = Model { nodes: Vec::new(), ..float.clone() };
    let mut done: Vec<Option<TensorId>> = vec![None; float.tensors.len()];
    for node in &float.nodes {
        let mut node = node.clone();
        if let Role::Weighted(weighted) = role(&node.operator)
            && let Some(Some(id)) = node.inputs.get(weighted.weights).copied()
            && let Some(values) = float.tensor(id).constant_floats()
            && values.len() >= LEAST_WEIGHTS
            // TensorFlow Lite has no hybrid kernel for it.
            && !(kind == Weights8::Dynamic
                && matches!(node.operator, Operator::TransposeConv { .. }))
        {
            let tensor = float.tensor(id);
            let put = done[id.0].unwrap_or_else(|| {
                let one_scale = weighted.is_dense && !per_channel_dense;
                let axis = (!one_scale).then_some(weighted.axis);
                let scales = weights::scales(&values, &tensor.shape, axis);
                let quantized = weights::quantize(tensor, &values, scales, weighted.axis);
                match kind {
                    Weights8::Dynamic => model.tensors.push(quantized),
                    Weights8::WeightsOnly => {
                        let name = format!("{}_int8", tensor.name);
                        model.tensors.push(Tensor { name, ..quantized });
                        let from = TensorId(model.tensors.len() - 1);
                        model.tensors.push(Tensor { data: None, ..tensor.clone() });
                        let to = TensorId(model.tensors.len() - 1);
                        model.nodes.push(Node {
                            operator: Operator::Dequantize,
                            inputs: vec![Some(from)],
                            outputs: vec![to],
                        });
                    }
                }
                TensorId(model.tensors.len() - 1)
            });
            done[id.0] = Some(put);
            node.inputs[weighted.weights] = Some(put);
        }
        model.nodes.push(node);
    }
    let model = prune(model);
    model.validate()?;
    Ok(model)
}
