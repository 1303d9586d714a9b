//! What constant folding asks of a backend.

use achado_model::{Bytes, Result};

use crate::{Graph, Limits};

/// Computes operators whose operands are constants.
pub trait Evaluate {
    /// The results of a graph of one node, in the order of its outputs, whose operands are constants;
    /// all shapes are known. See [`Graph::alone`].
    ///
    /// # Errors
    /// Those of the operator, named by [`NodeRef::label`](crate::NodeRef::label).
    fn evaluate(&self, graph: Graph, limits: &Limits) -> Result<Vec<Bytes>>;
}
