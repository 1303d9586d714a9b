//! Constants with some of their elements taken out.

use achado_model::{Bytes, Model, Operator, Tensor, TensorId};

/// Writes floats into a constant, whose shape is given.
pub(super) fn set_floats(model: &mut Model, id: TensorId, shape: Vec<usize>, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = &mut model.tensors[id.0];
    tensor.shape = shape;
    tensor.data = Some(Bytes::from(bytes));
}

/// Keeps some indices of a constant's dimension.
pub(super) fn keep(model: &mut Model, id: TensorId, axis: usize, kept: &[usize]) {
    let tensor = model.tensor(id);
    let Some(values) = tensor.constant_floats() else { return };
    let mut shape = tensor.shape.clone();
    let inner: usize = shape[axis + 1..].iter().product();
    let size = shape[axis];
    let mut out = Vec::with_capacity(values.len());
    for block in values.chunks_exact((size * inner).max(1)) {
        for &index in kept {
            out.extend_from_slice(&block[index * inner..][..inner]);
        }
    }
    shape[axis] = kept.len();
    set_floats(model, id, shape, &out);
}

/// The bias of a product, which is made where it has none.
pub(super) fn bias_of(model: &mut Model, node: usize, rows: usize) -> TensorId {
    if let Some(bias) = model.nodes[node].inputs.get(2).copied().flatten() {
        return bias;
    }
    let output = model.nodes[node].outputs[0];
    let made = TensorId(model.tensors.len());
    model.tensors.push(Tensor {
        name: format!("{}/bias", model.tensor(output).name),
        dtype: achado_model::DataType::Float32,
        shape: vec![rows],
        dynamic: Vec::new(),
        quantization: None,
        data: Some(Bytes::from(vec![0u8; 4 * rows])),
    });
    let inputs = &mut model.nodes[node].inputs;
    inputs.truncate(2);
    inputs.push(Some(made));
    made
}

/// Gives a RESHAPE the shape that its result has now.
pub(super) fn reshape_to_result(model: &mut Model, node: usize) {
    let output = model.nodes[node].outputs[0];
    let tensor = model.tensor(output);
    // What the caller may choose stays open.
    let open = tensor.dynamic.iter().position(|&dynamic| dynamic);
    let size = |(at, &size): (usize, &usize)| if Some(at) == open { -1 } else { size as i64 };
    let new_shape: Vec<i64> = tensor.shape.iter().enumerate().map(size).collect();
    model.nodes[node].operator = Operator::Reshape { new_shape };
    model.nodes[node].inputs.truncate(1);
}
