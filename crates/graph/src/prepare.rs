//! From a model to the graph that backends start from.

use achado_model::{Model, Result};

use crate::passes::{
    choose_kernels, find_integer_products, find_patterns, fuse, infer_shapes, keep_halves,
};
use crate::{Evaluate, Graph, Limits};

/// All passes, in the order that each needs. What `model` states holds, as its reader or
/// [`Model::validate`] has checked.
///
/// In the result every shape is known, what can be computed is constant, and each node is one piece of
/// work: nodes that were folded are gone.
///
/// # Errors
/// `MODEL_FORMAT` where shapes do not fit each other, `UNSUPPORTED_OPERATOR` and `UNSUPPORTED_TYPE`
/// for constants that `evaluator` lacks, `INVALID_OPTION` for input shapes that cannot be,
/// `OUT_OF_MEMORY` for tensors beyond the budget.
pub fn prepare(model: Model, limits: &Limits, evaluator: &dyn Evaluate) -> Result<Graph> {
    let mut graph = Graph::new(model);
    keep_halves(&mut graph, limits)?;
    choose_kernels(&mut graph, limits)?;
    infer_shapes(&mut graph, limits, evaluator)?;
    fuse(&mut graph, limits)?;
    find_integer_products(&mut graph, limits)?;
    find_patterns(&mut graph, limits)?;
    graph.sweep();
    Ok(graph)
}
