//! The float model that quantizers start from.

use achado_model::{Bytes, DataType, Error, ErrorCode, Model, Operator, Result, Tensor, prune};
use half::f16;

/// The model with its float16 constants widened.
///
/// # Errors
/// `INVALID_OPTION` for a model that has integers where a float model has floats.
pub fn float_model(mut model: Model) -> Result<Model> {
    let mut nodes = Vec::with_capacity(model.nodes.len());
    for node in std::mem::take(&mut model.nodes) {
        if let (Operator::Dequantize, [Some(input)], [output]) =
            (&node.operator, &node.inputs[..], &node.outputs[..])
            && model.tensors[input.0].dtype == DataType::Float16
            && let Some(data) = model.tensors[input.0].data.clone()
        {
            let values = data.as_chunks().0.iter().map(|half| f16::from_le_bytes(*half).to_f32());
            let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            model.tensors[output.0].data = Some(Bytes::from(bytes));
            continue;
        }
        nodes.push(node);
    }
    model.nodes = nodes;
    let model = prune(model);
    let is_quantized = |tensor: &&Tensor| {
        matches!(tensor.dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16)
            && tensor.quantization.is_some()
    };
    if let Some(tensor) = model.tensors.iter().find(is_quantized) {
        let message = format!(
            "the model is quantized already: tensor {:?} is {}; give the float model that it was \
             made of",
            tensor.name, tensor.dtype
        );
        return Err(
            Error::new(ErrorCode::InvalidOption, message).with("tensor", tensor.name.as_str())
        );
    }
    Ok(model)
}
