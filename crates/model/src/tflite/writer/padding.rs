//! Explicit padding, which the format lacks, as operators of its own.
#![deny(clippy::arithmetic_side_effects)]

use crate::{Bytes, DataType, Model, Node, Operator, Padding, Result, Tensor, TensorId};

/// The model with a PAD before each convolution that has explicit padding; `None` where there is
/// none.
pub(super) fn spell_out(model: &Model) -> Result<Option<Model>> {
    let explicit = |node: &Node| matches!(padding(&node.operator), Some(Padding::Explicit { .. }));
    if !model.nodes.iter().any(explicit) {
        return Ok(None);
    }
    let mut spelt_out = Model { nodes: Vec::new(), ..model.clone() };
    for node in &model.nodes {
        let mut node = node.clone();
        if let Some(Padding::Explicit { top, bottom, left, right }) = padding(&node.operator)
            && let Some(&Some(input)) = node.inputs.first()
            && let Some(valid) = with_valid_padding(&node.operator)
        {
            let pads = [[0, 0], [top, bottom], [left, right], [0, 0]];
            let padded = pad(&mut spelt_out, input, pads);
            if let Some(first) = node.inputs.first_mut() {
                *first = Some(padded);
            }
            node.operator = valid;
        }
        spelt_out.nodes.push(node);
    }
    spelt_out.validate()?;
    Ok(Some(spelt_out))
}

fn padding(operator: &Operator) -> Option<Padding> {
    match operator {
        Operator::Conv2d { padding, .. } | Operator::DepthwiseConv2d { padding, .. } => {
            Some(*padding)
        }
        _ => None,
    }
}

fn with_valid_padding(operator: &Operator) -> Option<Operator> {
    let mut operator = operator.clone();
    match &mut operator {
        Operator::Conv2d { padding, .. } | Operator::DepthwiseConv2d { padding, .. } => {
            *padding = Padding::Valid;
        }
        _ => return None,
    }
    Some(operator)
}

/// Adds a PAD of `input` and gives its result: zeros, or the zero point.
fn pad(model: &mut Model, input: TensorId, pads: [[usize; 2]; 4]) -> TensorId {
    let amounts: Vec<u8> = (pads.iter().flatten())
        .flat_map(|&amount| i32::try_from(amount).unwrap_or(i32::MAX).to_le_bytes())
        .collect();
    let source = model.tensor(input).clone();
    let name = |what: &str| format!("{}/{what}", source.name);
    let paddings = Tensor {
        name: name("paddings"),
        dtype: DataType::Int32,
        shape: vec![4, 2],
        dynamic: Vec::new(),
        quantization: None,
        data: Some(Bytes::from(amounts)),
    };
    let sizes = source.shape.iter().zip(pads);
    let shape =
        sizes.map(|(size, [before, after])| size.saturating_add(before).saturating_add(after));
    let padded =
        Tensor { name: name("padded"), shape: shape.collect(), data: None, ..source.clone() };
    let paddings_id = TensorId(model.tensors.len());
    model.tensors.push(paddings);
    let padded_id = TensorId(model.tensors.len());
    model.tensors.push(padded);
    let inputs = vec![Some(input), Some(paddings_id)];
    model.nodes.push(Node { operator: Operator::Pad, inputs, outputs: vec![padded_id] });
    padded_id
}
