//! Keeps float16 weights as they are: they are half of what they would be as floats.
//!
//! A converter stores them behind a DEQUANTIZE. Where nothing but products of matrices reads its result,
//! and as weights, these read the constant itself, and the DEQUANTIZE is taken out.

use achado_model::{DataType, Operator, Result, TensorId};

use crate::{Changed, Graph, Limits, Node};

/// Lets products read float16 constants.
///
/// # Errors
/// None.
pub fn keep_halves(graph: &mut Graph, _: &Limits) -> Result<Changed> {
    if !graph.nodes.iter().any(|node| half(graph, node).is_some()) {
        return Ok(false);
    }
    // By tensor: what stands for it.
    let mut kept: Vec<Option<TensorId>> = vec![None; graph.tensors.len()];
    for node in &graph.nodes {
        if let (Some(half), Some(&output)) = (half(graph, node), node.outputs.first()) {
            kept[output.0] = Some(half);
        }
    }
    for output in &graph.outputs {
        kept[output.0] = None;
    }
    for node in &graph.nodes {
        for (at, id) in node.inputs.iter().enumerate() {
            let Some(id) = *id else { continue };
            if at != 1 || !is_product(graph, node) {
                kept[id.0] = None;
            }
        }
    }
    let before = graph.nodes.len();
    graph.nodes.retain(|node| {
        let is_kept = node.outputs.iter().any(|output| kept[output.0].is_some());
        !(is_kept && node.operator == Operator::Dequantize)
    });
    for id in graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().flatten()) {
        *id = kept[id.0].unwrap_or(*id);
    }
    Ok(graph.nodes.len() != before)
}

/// The float16 constant that a DEQUANTIZE widens.
fn half(graph: &Graph, node: &Node) -> Option<TensorId> {
    let &[Some(input)] = &node.inputs[..] else { return None };
    let tensor = graph.tensor(input);
    let is_half = tensor.dtype == DataType::Float16 && tensor.is_constant();
    (node.operator == Operator::Dequantize && is_half).then_some(input)
}

/// Whether its operand 1 is weights that the float product takes as they are.
fn is_product(graph: &Graph, node: &Node) -> bool {
    let shape = |at: usize| {
        let id = node.inputs.get(at).copied().flatten();
        id.map_or(&[][..], |id| &graph.tensor(id).shape)
    };
    match node.operator {
        // The file may leave the input's shape open; groups are found out later, and widened.
        Operator::Conv2d { .. } => shape(1).len() == 4 || shape(1).is_empty(),
        Operator::FullyConnected { .. } => shape(1).len() == 2 || shape(1).is_empty(),
        _ => false,
    }
}
