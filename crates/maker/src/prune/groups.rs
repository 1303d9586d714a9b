//! Channels that can be cut together: what convolutions write, what passes it on channel by channel,
//! and the convolutions or dense layers that read it.

use achado_model::{DataType, Model, Node, Operator, TensorId};

use super::moments::Watch;
use super::{Product, is_own, product};

/// One set of channels, at all places where they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// How many.
    pub channels: usize,
    /// Operators that write them: rows of weights, and biases.
    pub writers: Vec<usize>,
    /// DEPTHWISE_CONV_2D that pass them on.
    pub depthwise: Vec<usize>,
    /// Constants with an element for each channel.
    pub constants: Vec<TensorId>,
    /// RESHAPE that pass them on.
    pub reshapes: Vec<usize>,
    /// Operators that read them: columns of weights.
    pub readers: Vec<Reader>,
    /// All activations that have them, in their last dimension.
    pub tensors: Vec<TensorId>,
}

/// An operator that mixes the channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reader {
    pub node: usize,
    pub product: Product,
    /// What its result becomes part of: errors weigh by the variance of that.
    pub result: TensorId,
    /// Of what is read pooled: what is pooled. Few pictures have few pooled pixels.
    pub pooled: Option<TensorId>,
}

impl Reader {
    pub fn of(model: &Model, node: usize, product: Product) -> Self {
        let result = result_of(model, &model.nodes[node]);
        Self { node, product, result, pooled: pooled(model, product.input) }
    }
}

impl Group {
    /// What has to be known of pictures.
    pub fn watches(&self) -> Vec<Watch> {
        let inputs = self.readers.iter().map(|reader| Watch::Channels(reader.product.input));
        let pooled = self.readers.iter().filter_map(|reader| reader.pooled.map(Watch::Channels));
        inputs
            .chain(pooled)
            .chain(self.readers.iter().map(|reader| Watch::Variance(reader.result)))
            .collect()
    }
}

/// All groups of a model, by the first operator that writes their channels.
pub(super) fn find(model: &Model, excluded: &[bool]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for start in 0..model.nodes.len() {
        if product(model, &model.nodes[start]).is_none()
            || groups.iter().any(|group| group.writers.contains(&start))
        {
            continue;
        }
        groups.extend(Search::new(model, excluded, start).run());
    }
    groups
}

struct Search<'a> {
    model: &'a Model,
    excluded: &'a [bool],
    group: Group,
    queue: Vec<TensorId>,
}

impl<'a> Search<'a> {
    fn new(model: &'a Model, excluded: &'a [bool], start: usize) -> Self {
        let output = model.nodes[start].outputs[0];
        let channels = model.tensor(output).shape.last().copied().unwrap_or(0);
        let group = Group { channels, ..Group::default() };
        Self { model, excluded, group, queue: vec![output] }
    }

    /// The group, if nothing stands against cutting it.
    fn run(mut self) -> Option<Group> {
        if self.group.channels < 2 {
            return None;
        }
        while let Some(tensor) = self.queue.pop() {
            if self.group.tensors.contains(&tensor) {
                continue;
            }
            let model = self.model;
            let is_end = model.outputs.contains(&tensor) || model.inputs.contains(&tensor);
            let shape = &model.tensor(tensor).shape;
            let is_float = model.tensor(tensor).dtype == DataType::Float32;
            if is_end || !is_float || shape.last() != Some(&self.group.channels) {
                return None;
            }
            self.group.tensors.push(tensor);
            let writer = model.nodes.iter().position(|node| node.outputs.contains(&tensor))?;
            self.write(writer)?;
            for reader in 0..model.nodes.len() {
                if model.nodes[reader].inputs.contains(&Some(tensor)) {
                    self.read(reader, tensor)?;
                }
            }
        }
        let Group { writers, readers, .. } = &self.group;
        (!writers.is_empty() && !readers.is_empty()).then_some(self.group)
    }

    fn write(&mut self, index: usize) -> Option<()> {
        let node = &self.model.nodes[index];
        if let Some(product) = product(self.model, node) {
            if self.excluded[index] || !self.owns(product) {
                return None;
            }
            self.group.writers.push(index);
            return Some(());
        }
        self.pass(index)
    }

    fn read(&mut self, index: usize, tensor: TensorId) -> Option<()> {
        let node = &self.model.nodes[index];
        let Some(product) = product(self.model, node) else { return self.pass(index) };
        // Only the first operand is mixed; a dense layer must not see rows of several pixels as one.
        let reads = node.inputs.iter().filter(|&&input| input == Some(tensor)).count();
        let columns = self.model.tensor(product.weights).shape.last().copied();
        let fits = product.input == tensor && reads == 1 && columns == Some(self.group.channels);
        if self.excluded[index] || !fits || !self.owns(product) {
            return None;
        }
        self.group.readers.push(Reader::of(self.model, index, product));
        Some(())
    }

    /// An operator that keeps channels apart: all that it reads and writes has them.
    fn pass(&mut self, index: usize) -> Option<()> {
        use Operator as O;
        let model = self.model;
        let node = &model.nodes[index];
        let operand = |at: usize| node.inputs.get(at).copied().flatten();
        let constant = |at: usize| operand(at).map(|id| model.tensor(id));
        let integers = |at: usize| constant(at)?.constant_integers();
        match &node.operator {
            O::Relu
            | O::Relu6
            | O::ReluN1To1
            | O::Relu0To1
            | O::HardSwish
            | O::Logistic
            | O::Tanh
            | O::Elu
            | O::Gelu { .. }
            | O::LeakyRelu { .. }
            | O::Abs
            | O::Neg
            | O::Square
            | O::AveragePool2d { .. }
            | O::MaxPool2d { .. }
            | O::L2Pool2d { .. }
            | O::ResizeBilinear { .. }
            | O::ResizeNearestNeighbor { .. } => {
                self.queue.push(operand(0)?);
            }
            O::DepthwiseConv2d { depth_multiplier: 1, .. } => {
                let (weights, bias) = (operand(1)?, operand(2));
                let is_own = |id: TensorId| {
                    let tensor = model.tensor(id);
                    tensor.dtype == DataType::Float32 && tensor.is_constant() && is_own(model, id)
                };
                if self.excluded[index] || !is_own(weights) || !bias.is_none_or(is_own) {
                    return None;
                }
                if !self.group.depthwise.contains(&index) {
                    self.group.depthwise.push(index);
                }
                self.queue.push(operand(0)?);
            }
            O::Mul { .. }
            | O::Add { .. }
            | O::Sub { .. }
            | O::Div { .. }
            | O::Maximum
            | O::Minimum
            | O::Prelu => {
                let variables: Vec<TensorId> = node
                    .inputs
                    .iter()
                    .flatten()
                    .copied()
                    .filter(|&id| !model.tensor(id).is_constant())
                    .collect();
                // A sum joins branches, which would all lose the channels; a product gates them.
                if variables.len() > 1 && !matches!(node.operator, O::Mul { .. }) {
                    return None;
                }
                for &id in node.inputs.iter().flatten() {
                    if model.tensor(id).is_constant() {
                        self.constant(id)?;
                    }
                }
                self.queue.extend(variables);
            }
            O::Mean { .. } => {
                let rank = model.tensor(operand(0)?).shape.len() as i64;
                let is_inner = |&axis: &i64| axis.rem_euclid(rank.max(1)) + 1 < rank;
                if !integers(1)?.iter().all(is_inner) {
                    return None;
                }
                self.queue.push(operand(0)?);
            }
            O::Pad => {
                if !matches!(integers(1)?[..], [.., 0, 0]) {
                    return None;
                }
                self.queue.push(operand(0)?);
            }
            // With the same last dimension, the elements of a pixel stay together.
            O::Reshape { .. } => {
                if operand(1).is_some() && integers(1).is_none() {
                    return None;
                }
                if !self.group.reshapes.contains(&index) {
                    self.group.reshapes.push(index);
                }
                self.queue.push(operand(0)?);
            }
            O::Squeeze { .. } => self.queue.push(operand(0)?),
            _ => return None,
        }
        self.queue.extend(&node.outputs);
        Some(())
    }

    /// A constant beside the channels: one number, or one for each of them.
    fn constant(&mut self, id: TensorId) -> Option<()> {
        let tensor = self.model.tensor(id);
        let elements = tensor.elements();
        if elements == 1 {
            return Some(());
        }
        let fits = tensor.shape.last() == Some(&self.group.channels)
            && elements == self.group.channels
            && tensor.dtype == DataType::Float32
            && is_own(self.model, id);
        if !fits {
            return None;
        }
        if !self.group.constants.contains(&id) {
            self.group.constants.push(id);
        }
        Some(())
    }

    fn owns(&self, product: Product) -> bool {
        is_own(self.model, product.weights)
            && product.bias.is_none_or(|bias| is_own(self.model, bias))
    }
}

/// What an operator writes, or the sum that is its only reader.
fn result_of(model: &Model, node: &Node) -> TensorId {
    let output = node.outputs[0];
    if model.outputs.contains(&output) {
        return output;
    }
    let mut readers = model.nodes.iter().filter(|node| node.inputs.contains(&Some(output)));
    match (readers.next(), readers.next()) {
        (Some(sum), None) if matches!(sum.operator, Operator::Add { .. }) => sum.outputs[0],
        _ => output,
    }
}

/// What a tensor of a single pixel is the mean of.
fn pooled(model: &Model, mut id: TensorId) -> Option<TensorId> {
    let pixels = |id: TensorId| {
        let shape = &model.tensor(id).shape;
        shape.iter().rev().skip(1).product::<usize>()
    };
    while pixels(id) == 1 {
        let node = model.nodes.iter().find(|node| node.outputs.contains(&id))?;
        let input = node.inputs.first().copied().flatten()?;
        match node.operator {
            Operator::Reshape { .. } | Operator::Squeeze { .. } => id = input,
            Operator::Mean { .. } | Operator::AveragePool2d { .. } => {
                return (pixels(input) > 1).then_some(input);
            }
            _ => return None,
        }
    }
    None
}
