//! Settles the shape of every tensor, and computes what is known already.
//!
//! One pass in order of execution: an operator's results get the shapes that it computes; where all
//! its operands are constants, so are its results ([`fold`](super::fold)). Both together, since
//! shape arithmetic (SHAPE, STRIDED_SLICE, PACK, RESHAPE) folds into constants that later shapes
//! depend on.

use achado_model::limits::{MAX_RANK, MAX_TENSOR_BYTES};
use achado_model::{Error, Model, Result, Tensor, TensorId};

use super::node::NodeRef;
use super::{fold, infer, out_of_memory};
use crate::session::SessionOptions;

/// Settles shapes and constants; says of each node whether its results are constants now.
pub(crate) fn settle(model: &mut Model, options: &SessionOptions) -> Result<Vec<bool>> {
    let resized = resize_inputs(model, options)?;
    let nodes = std::mem::take(&mut model.nodes);
    let mut folded = vec![false; nodes.len()];
    let mut folded_bytes = 0usize;
    for (index, node) in nodes.iter().enumerate() {
        let shapes = infer::shapes(&NodeRef { model, index, node })?;
        if shapes.len() != node.outputs.len() {
            let what = format!("{} results, should be {}", node.outputs.len(), shapes.len());
            return Err(NodeRef { model, index, node }.malformed(what));
        }
        for (&id, shape) in node.outputs.iter().zip(shapes) {
            check(&NodeRef { model, index, node }, id, &shape, resized, options)?;
            model.tensors[id.0].shape = shape;
        }
        if !fold::is_known(&NodeRef { model, index, node }) {
            continue;
        }
        for &id in &node.outputs {
            folded_bytes = folded_bytes.saturating_add(model.tensor(id).size_bytes());
        }
        if folded_bytes > options.max_memory_bytes {
            return Err(out_of_memory(folded_bytes, options));
        }
        let values = fold::evaluate(&NodeRef { model, index, node }, options)?;
        for (&id, value) in node.outputs.iter().zip(values) {
            model.tensors[id.0].data = Some(value);
        }
        folded[index] = true;
    }
    model.nodes = nodes;
    Ok(folded)
}

/// Gives the inputs the caller's shapes; whether that changed any.
fn resize_inputs(model: &mut Model, options: &SessionOptions) -> Result<bool> {
    let mut changed = false;
    let count = model.inputs.len();
    for (&at, shape) in &options.input_shapes {
        let Some(&id) = model.inputs.get(at) else {
            let what = format!("inputShapes: there is no input {at}, the model has {count}");
            return Err(Error::invalid_option(what).with("index", at).with("count", count));
        };
        let label = model.tensor_label(id);
        let tensor = &mut model.tensors[id.0];
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
    options: &SessionOptions,
) -> Result<()> {
    let tensor = node.model.tensor(id);
    let label = || node.model.tensor_label(id);
    // The file leaves a shape open by giving none, or a dimension that the caller chooses.
    let is_open = resized || tensor.shape.is_empty() || tensor.dynamic.contains(&true);
    if !is_open && tensor.shape != shape {
        let what = format!("{} should have shape {shape:?}, has {:?}", label(), tensor.shape);
        return Err(node.malformed(what));
    }
    match size_bytes(tensor, shape) {
        None => Err(node.malformed(format!("{} of shape {shape:?} is too large", label()))),
        Some(bytes) if bytes > options.max_memory_bytes => Err(out_of_memory(bytes, options)),
        Some(_) => Ok(()),
    }
}
