//! The graph.

use crate::{Metadata, Operator, Tensor, TensorId};

/// One operator of the graph with its tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub operator: Operator,
    /// The operands in TensorFlow Lite's order; `None` for one left out.
    pub inputs: Vec<Option<TensorId>>,
    /// The results.
    pub outputs: Vec<TensorId>,
}

/// A named entry point: names for the model's inputs and outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The key, usually `serving_default`.
    pub key: String,
    /// Names of inputs.
    pub inputs: Vec<(String, TensorId)>,
    /// Names of outputs.
    pub outputs: Vec<(String, TensorId)>,
}

/// How inputs and outputs lie in the file of another format that a model was converted from:
/// dimension `i` of a tensor here is dimension `order[i]` there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOrder {
    /// By input, a permutation of its dimensions.
    pub inputs: Vec<Vec<usize>>,
    /// By output, likewise.
    pub outputs: Vec<Vec<usize>>,
}

/// A whole model. A `Model` that a reader returns has been validated: every id is in range, the
/// nodes stand in an order in which each operand is an input, a constant or an earlier result, no
/// tensor is written twice, sizes fit `usize`, constants have the size that their shape says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Free text of the file.
    pub description: String,
    /// All tensors of the main subgraph.
    pub tensors: Vec<Tensor>,
    /// The operators, in order of execution.
    pub nodes: Vec<Node>,
    /// The tensors that a caller gives.
    pub inputs: Vec<TensorId>,
    /// The tensors that a caller gets.
    pub outputs: Vec<TensorId>,
    /// Named entry points.
    pub signatures: Vec<Signature>,
    /// TFLite Model Metadata, where the file has it.
    pub metadata: Option<Metadata>,
    /// The order in which callers give and get tensors, where it is that of another file.
    pub source_order: Option<SourceOrder>,
}

impl Model {
    /// The tensor of an id.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// `tensor 12 "conv1/w"`, as in messages.
    pub fn tensor_label(&self, id: TensorId) -> String {
        format!("tensor {} {:?}", id.0, self.tensor(id).name)
    }
}
