//! A model that passes edit and backends read.

use achado_model::{
    Activation, Bytes, DataType, Error, ErrorCode, Model, Operator, Result, Tensor, TensorId,
};

/// A [`Model`] under work. Ids are places in `tensors`, nodes stand in an order of execution; passes
/// keep both, and add tensors at the end.
#[derive(Clone, Debug)]
pub struct Graph {
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// The operators, in order of execution.
    pub nodes: Vec<Node>,
    /// The tensors that a caller gives.
    pub inputs: Vec<TensorId>,
    /// The tensors that a caller gets.
    pub outputs: Vec<TensorId>,
    /// What no pass looks at: description, signatures, metadata, order.
    rest: Model,
}

/// An operator with its tensors, and what passes have found out about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The place in the file, as messages name it.
    pub index: usize,
    /// What is computed, if `kind` says no other.
    pub operator: Operator,
    /// The operands in TensorFlow Lite's order; `None` for one left out.
    pub inputs: Vec<Option<TensorId>>,
    /// The results.
    pub outputs: Vec<TensorId>,
    /// What is to be done for it.
    pub kind: Kind,
    /// Which of TensorFlow Lite's kernels gives the numbers.
    pub kernel: TfliteKernel,
}

/// What is to be done for a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kind {
    /// What its operator says.
    #[default]
    Operator,
    /// Nothing: its results are constants, or another node gives them. [`Graph::sweep`] removes it.
    Folded,
    /// A CONV_2D or FULLY_CONNECTED of `[input, weights]` whose numbers are whole.
    IntegerProduct(IntegerProduct),
    /// What several operators spell out, of its one operand.
    Pattern(Pattern),
}

/// Which of TensorFlow Lite's kernels computes an operator; they round differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TfliteKernel {
    /// The delegate, which takes most operators.
    #[default]
    Xnnpack,
    /// TensorFlow Lite's own, for what the delegate declines.
    Builtin,
}

/// A CONV_2D or FULLY_CONNECTED, without bias, of what is quantized while the model runs:
/// `activation(sum * factors + bias)`.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerProduct {
    /// `x`, scale and zero point; the latter two have one element.
    pub quantized: [TensorId; 3],
    /// The whole numbers, of which no tensor needs to be made.
    pub whole: TensorId,
    /// What makes uint8 of the weights when it is added to them.
    pub weight_zero_point: i32,
    /// What the sums are multiplied by: one for each channel, or one for all.
    pub factors: Option<TensorId>,
    /// The constant that is added then: one for each channel, or one for all.
    pub bias: Option<TensorId>,
    /// What the result is clamped by.
    pub activation: Activation,
}

/// What a node computes in place of its operator, of its one operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// `x / (1 + e^-x)`.
    Silu,
    /// Along the last dimension.
    Normalization(Normalization),
}

/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, or without the mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// Whether the mean is taken off.
    pub is_centered: bool,
    /// What is added to the variance.
    pub epsilon: f32,
    /// One, or one for each channel.
    pub gamma: Vec<f32>,
    /// One, or one for each channel.
    pub beta: Vec<f32>,
}

impl Node {
    /// The same operator with other tensors, whatever its kind was.
    #[inline(never)]
    pub fn with_operands(&self, inputs: Vec<Option<TensorId>>, outputs: Vec<TensorId>) -> Self {
        let Self { index, ref operator, kernel, .. } = *self;
        Self { index, operator: operator.clone(), inputs, outputs, kind: Kind::Operator, kernel }
    }

    /// Whether there is nothing to be done for it.
    pub fn is_folded(&self) -> bool {
        matches!(self.kind, Kind::Folded)
    }

    /// Whether it is what its operator says.
    pub fn is_operator(&self) -> bool {
        matches!(self.kind, Kind::Operator)
    }
}

impl Graph {
    /// The graph of a model. What [`Model`] states must hold.
    pub fn new(mut model: Model) -> Self {
        let nodes = std::mem::take(&mut model.nodes);
        let node = |(index, node): (usize, achado_model::Node)| Node {
            index,
            operator: node.operator,
            inputs: node.inputs,
            outputs: node.outputs,
            kind: Kind::Operator,
            kernel: TfliteKernel::Xnnpack,
        };
        Self {
            nodes: nodes.into_iter().enumerate().map(node).collect(),
            tensors: std::mem::take(&mut model.tensors),
            inputs: std::mem::take(&mut model.inputs),
            outputs: std::mem::take(&mut model.outputs),
            rest: model,
        }
    }

    /// The model again, without nodes that are folded.
    ///
    /// # Errors
    /// `UNSUPPORTED_OPERATOR` where a node is what no operator of TensorFlow Lite says.
    pub fn into_model(mut self) -> Result<Model> {
        self.sweep();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            if !node.is_operator() {
                let what = format!("operator {} has no form in a model", node.index);
                return Err(
                    Error::new(ErrorCode::UnsupportedOperator, what).with("index", node.index)
                );
            }
            let Node { operator, inputs, outputs, .. } = node;
            nodes.push(achado_model::Node { operator, inputs, outputs });
        }
        let Self { tensors, inputs, outputs, rest, .. } = self;
        Ok(Model { tensors, nodes, inputs, outputs, ..rest })
    }

    /// The tensor of an id.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// `tensor 12 "conv1/w"`, as in messages.
    pub fn tensor_label(&self, id: TensorId) -> String {
        format!("tensor {} {:?}", id.0, self.tensor(id).name)
    }

    /// The node that writes a tensor, if there is one.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| !node.is_folded() && node.outputs.contains(&id))
    }

    /// The nodes that read a tensor. [`Uses`](crate::Uses) knows those of all tensors.
    pub fn consumers(&self, id: TensorId) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        let reads = move |node: &Node| !node.is_folded() && node.inputs.contains(&Some(id));
        nodes.filter(move |(_, node)| reads(node)).map(|(index, _)| index)
    }

    /// A new constant of float32.
    pub fn add_floats(&mut self, name: String, shape: &[usize], values: &[f32]) -> TensorId {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add_tensor(Tensor {
            name,
            dtype: DataType::Float32,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: Some(Bytes::from(bytes)),
        })
    }

    /// A new tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// Marks a node as done: by its results, which are constants, or by others.
    pub fn remove(&mut self, node: usize) {
        self.nodes[node].kind = Kind::Folded;
    }

    /// Removes the nodes that are marked.
    pub fn sweep(&mut self) {
        self.nodes.retain(|node| !node.is_folded());
    }

    /// Lets those nodes after the one at `after` that read `from` read `to`.
    pub fn replace_operand(&mut self, after: usize, from: TensorId, to: TensorId) {
        for node in self.nodes.iter_mut().skip(after + 1) {
            for operand in node.inputs.iter_mut().filter(|operand| **operand == Some(from)) {
                *operand = Some(to);
            }
        }
    }

    /// Whether two tensors have one type and, if they are quantized, one scale and zero point.
    pub fn same_numbers(&self, a: TensorId, b: TensorId) -> bool {
        let [a, b] = [a, b].map(|id| self.tensor(id));
        a.dtype == b.dtype && a.quantization == b.quantization
    }

    /// A graph of `node` alone, whose results are the outputs; constants are shared. It is computed
    /// by XNNPACK's rules.
    pub fn alone(&self, node: &Node) -> Graph {
        let mut tensors = Vec::with_capacity(node.inputs.len() + node.outputs.len());
        let mut add = |id: TensorId| {
            tensors.push(self.tensor(id).clone());
            TensorId(tensors.len() - 1)
        };
        let inputs = node.inputs.iter().map(|id| id.map(&mut add)).collect();
        let outputs: Vec<_> = node.outputs.iter().map(|&id| add(id)).collect();
        let kernel = TfliteKernel::Xnnpack;
        let alone = Node { kernel, ..node.with_operands(inputs, outputs.clone()) };
        Graph { tensors, nodes: vec![alone], inputs: Vec::new(), outputs, rest: Model::default() }
    }
}
