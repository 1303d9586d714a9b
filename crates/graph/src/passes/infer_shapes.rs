//! Settles the shape of every tensor, and computes what is known already.
//!
//! One pass in order of execution: an operator's results get the shapes that it computes; where all
//! its operands are constants, so are its results. Both together, since
//! shape arithmetic (SHAPE, STRIDED_SLICE, PACK, RESHAPE) folds into constants that later shapes
//! depend on.

use achado_model::limits::{MAX_RANK, MAX_TENSOR_BYTES};
use achado_model::{Error, Result, Tensor, TensorId};

use super::fold_constants::{compute, is_known};
use crate::{Changed, Evaluate, Graph, Kind, Limits, NodeRef, infer};

/// Settles shapes and constants. Nodes whose results are constants are folded then.
///
/// # Errors
/// `MODEL_FORMAT` where shapes do not fit each other or what the file says, `INVALID_OPTION` for
/// input shapes that cannot be, `OUT_OF_MEMORY` beyond the budget, and those of `evaluator`.
pub fn infer_shapes(
    graph: &mut Graph,
    limits: &Limits,
    evaluator: &dyn Evaluate,
) -> Result<Changed> {
    let resized = resize_inputs(graph, limits)?;
    let mut changed = resized;
    let mut nodes = std::mem::take(&mut graph.nodes);
    let mut folded_bytes = 0usize;
    for node in nodes.iter_mut().filter(|node| !node.is_folded()) {
        let shapes = infer::shapes(&NodeRef { graph, node })?;
        if shapes.len() != node.outputs.len() {
            let what = format!("{} results, should be {}", node.outputs.len(), shapes.len());
            return Err(NodeRef { graph, node }.malformed(what));
        }
        for (&id, shape) in node.outputs.iter().zip(shapes) {
            check(&NodeRef { graph, node }, id, &shape, resized, limits)?;
            changed |= graph.tensors[id.0].shape != shape;
            graph.tensors[id.0].shape = shape;
        }
        if !is_known(&NodeRef { graph, node }) {
            continue;
        }
        for &id in &node.outputs {
            folded_bytes = folded_bytes.saturating_add(graph.tensor(id).size_bytes());
        }
        if folded_bytes > limits.max_memory_bytes {
            return Err(limits.out_of_memory(folded_bytes));
        }
        let values = compute(&NodeRef { graph, node }, limits, evaluator)?;
        for (&id, value) in node.outputs.iter().zip(values) {
            graph.tensors[id.0].data = Some(value);
        }
        node.kind = Kind::Folded;
        changed = true;
    }
    graph.nodes = nodes;
    Ok(changed)
}

/// Gives the inputs the caller's shapes; whether that changed any.
fn resize_inputs(graph: &mut Graph, limits: &Limits) -> Result<bool> {
    let mut changed = false;
    let count = graph.inputs.len();
    for (&at, shape) in limits.input_shapes {
        let Some(&id) = graph.inputs.get(at) else {
            let what = format!("inputShapes: there is no input {at}, the model has {count}");
            return Err(Error::invalid_option(what).with("index", at).with("count", count));
        };
        let label = graph.tensor_label(id);
        let tensor = &mut graph.tensors[id.0];
        let usable = shape.len() == tensor.shape.len()
            && !shape.contains(&0)
            && size_bytes(tensor, shape).is_some();
        if !usable {
            let what = format!(
                "inputShapes: {label} of {} {:?} cannot have shape {shape:?}",
                tensor.dtype, tensor.shape
            );
            return Err(Error::invalid_option(what).with("index", at));
        }
        changed |= tensor.shape != *shape;
        tensor.shape.clone_from(shape);
    }
    Ok(changed)
}

/// The size of `tensor` in a shape, where it is within the limits.
fn size_bytes(tensor: &Tensor, shape: &[usize]) -> Option<usize> {
    let bytes = shape
        .iter()
        .try_fold(tensor.dtype.size_bytes(), |size, &dim| size.checked_mul(dim.max(1)))?;
    (shape.len() <= MAX_RANK && bytes <= MAX_TENSOR_BYTES).then_some(bytes)
}

/// Refuses a result whose shape in the file is not what the operator computes, and one too large.
fn check(
    node: &NodeRef,
    id: TensorId,
    shape: &[usize],
    resized: bool,
    limits: &Limits,
) -> Result<()> {
    let tensor = node.graph.tensor(id);
    let label = || node.graph.tensor_label(id);
    // The file leaves a shape open by giving none, or a dimension that the caller chooses.
    let is_open = resized || tensor.shape.is_empty() || tensor.dynamic.contains(&true);
    if !is_open && tensor.shape != shape {
        let what = format!("{} should have shape {shape:?}, has {:?}", label(), tensor.shape);
        return Err(node.malformed(what));
    }
    match size_bytes(tensor, shape) {
        None => Err(node.malformed(format!("{} of shape {shape:?} is too large", label()))),
        Some(bytes) if bytes > limits.max_memory_bytes => Err(limits.out_of_memory(bytes)),
        Some(_) => Ok(()),
    }
}
