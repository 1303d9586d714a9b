//! Drops operators and tensors that no output needs.

use crate::{Model, TensorId};

/// The model without dead operators, its tensors numbered anew. Inputs stay, whether needed or not.
pub fn prune(mut model: Model) -> Model {
    let mut needed = vec![false; model.tensors.len()];
    for id in model.inputs.iter().chain(&model.outputs) {
        needed[id.0] = true;
    }
    let mut live = vec![false; model.nodes.len()];
    for (index, node) in model.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|id| needed[id.0]) {
            live[index] = true;
            for id in node.inputs.iter().flatten().chain(&node.outputs) {
                needed[id.0] = true;
            }
        }
    }
    let mut live = live.into_iter();
    model.nodes.retain(|_| live.next().unwrap_or(true));
    let mut next = 0;
    let places: Vec<TensorId> = needed
        .iter()
        .map(|&needed| {
            next += usize::from(needed);
            TensorId(next.max(1) - 1)
        })
        .collect();
    let mut needed = needed.into_iter();
    model.tensors.retain(|_| needed.next().unwrap_or(true));
    let renumber = |id: &mut TensorId| *id = places[id.0];
    model.inputs.iter_mut().chain(&mut model.outputs).for_each(renumber);
    for node in &mut model.nodes {
        node.inputs.iter_mut().flatten().chain(&mut node.outputs).for_each(renumber);
    }
    for signature in &mut model.signatures {
        let named = signature.inputs.iter_mut().chain(&mut signature.outputs);
        named.for_each(|(_, id)| renumber(id));
    }
    model
}
