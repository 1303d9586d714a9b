//! Joins neighbours that one kernel computes as well: PAD into the convolution that reads it, MUL and
//! ADD of constants into the weights before them, activations into what they clamp, QUANTIZE away
//! where it undoes DEQUANTIZE.
//!
//! Integers stay the same to the bit. Floats of MUL and ADD may round otherwise.

use achado_model::{
    Activation, Bytes, DataType, Model, Operator, Padding, Result, Tensor, TensorId,
};

use super::fold::constant_floats;
use super::node::NodeRef;
use super::readers::Readers;

/// Joins what can be joined. Nodes that are no longer needed are marked in `folded`.
pub(crate) fn fuse(model: &mut Model, folded: &mut [bool]) -> Result<()> {
    let mut graph = Graph::new(model, folded);
    for index in 0..graph.model.nodes.len() {
        if graph.folded[index] {
            continue;
        }
        // What few models have stands alone, as in `lower`: browsers compile what is called.
        match graph.model.nodes[index].operator {
            Operator::Pad => drop(graph.pad(index)),
            Operator::Dequantize => drop(graph.requantise(index)),
            _ => {}
        }
        // A result may be scaled, shifted and clamped, in this order.
        while match graph.scaling(index) {
            Some(scaling) => graph.scale(index, scaling)?,
            None => graph.clamp(index),
        } {}
    }
    Ok(())
}

struct Graph<'a> {
    model: &'a mut Model,
    folded: &'a mut [bool],
    readers: Readers,
}

impl<'a> Graph<'a> {
    fn new(model: &'a mut Model, folded: &'a mut [bool]) -> Self {
        let readers = Readers::new(model, folded);
        Self { model, folded, readers }
    }

    /// Node `reader` is done by `index`, too, which writes its result now.
    fn absorb(&mut self, index: usize, reader: usize) {
        let outputs = std::mem::take(&mut self.model.nodes[reader].outputs);
        self.model.nodes[index].outputs = outputs;
        self.folded[reader] = true;
    }

    /// A PAD with zeros becomes the padding of the one convolution that reads it.
    #[inline(never)]
    fn pad(&mut self, index: usize) -> Option<()> {
        let node = &self.model.nodes[index];
        let (&[Some(input), Some(paddings)], &[output]) = (&node.inputs[..], &node.outputs[..])
        else {
            return None;
        };
        if !self.same_numbers(input, output) {
            return None;
        }
        let paddings = self.model.tensor(paddings).constant_integers()?;
        let &[0, 0, top, bottom, left, right, 0, 0] = &paddings[..] else { return None };
        let reader = self.readers.only(output)?;
        let convolution = &self.model.nodes[reader];
        let weights = convolution.inputs.get(1).copied().flatten()?;
        // A hybrid quantises its input as a whole: left as TensorFlow Lite has it.
        let is_hybrid = self.model.tensor(input).dtype == DataType::Float32
            && self.model.tensor(weights).dtype != DataType::Float32;
        if convolution.inputs.first() != Some(&Some(output)) || is_hybrid {
            return None;
        }
        let (Operator::Conv2d { padding, .. } | Operator::DepthwiseConv2d { padding, .. }) =
            &mut self.model.nodes[reader].operator
        else {
            return None;
        };
        let before = match *padding {
            Padding::Valid => [0; 4],
            Padding::Explicit { top, bottom, left, right } => [top, bottom, left, right],
            Padding::Same => return None,
        };
        let mut sides = [0usize; 4];
        for ((side, before), added) in sides.iter_mut().zip(before).zip([top, bottom, left, right])
        {
            *side = before.checked_add(usize::try_from(added).ok()?)?;
        }
        let [top, bottom, left, right] = sides;
        *padding = Padding::Explicit { top, bottom, left, right };
        self.model.nodes[reader].inputs[0] = Some(input);
        self.readers.last[input.0] = Some(reader);
        self.folded[index] = true;
        Some(())
    }

    /// QUANTIZE to what this DEQUANTIZE came from gives the very same numbers.
    #[inline(never)]
    fn requantise(&mut self, index: usize) -> Option<()> {
        let node = &self.model.nodes[index];
        let (&[Some(input)], &[real]) = (&node.inputs[..], &node.outputs[..]) else { return None };
        let is_quantised = matches!(
            self.model.tensor(input).dtype,
            DataType::Int8 | DataType::UInt8 | DataType::Int16
        );
        if !is_quantised {
            return None;
        }
        let reader = self.readers.only(real)?;
        let [output] = self.model.nodes[reader].outputs[..] else { return None };
        let is_result = self.model.outputs.contains(&output);
        if self.model.nodes[reader].operator != Operator::Quantize
            || is_result
            || !self.same_numbers(input, output)
        {
            return None;
        }
        for node in &mut self.model.nodes[reader + 1..] {
            for operand in node.inputs.iter_mut().filter(|operand| **operand == Some(output)) {
                *operand = Some(input);
            }
        }
        let Readers { count, last } = &mut self.readers;
        count[input.0] += count[output.0];
        count[input.0] -= 1;
        last[input.0] = last[output.0].or(last[input.0]);
        [self.folded[index], self.folded[reader]] = [true; 2];
        Some(())
    }

    /// An activation that stands alone is done by the operator before it.
    fn clamp(&mut self, index: usize) -> bool {
        let &[output] = &self.model.nodes[index].outputs[..] else { return false };
        let Some(reader) = self.readers.only(output) else { return false };
        let clamped = match self.model.nodes[reader].operator {
            Operator::Relu => Activation::Relu,
            Operator::Relu6 => Activation::Relu6,
            Operator::ReluN1To1 => Activation::ReluN1To1,
            _ => return false,
        };
        let [result] = self.model.nodes[reader].outputs[..] else { return false };
        if !self.same_numbers(output, result) {
            return false;
        }
        match activation(&mut self.model.nodes[index].operator) {
            Some(activation) if *activation == Activation::None => *activation = clamped,
            _ => return false,
        }
        self.absorb(index, reader);
        true
    }

    /// MUL, ADD or SUB of a constant for each channel goes into float weights and bias.
    #[inline(never)]
    fn scale(&mut self, index: usize, scaling: Scaling) -> Result<bool> {
        let Scaling { reader, constant, channels, .. } = scaling;
        let node = NodeRef { model: self.model, index, node: &self.model.nodes[index] };
        let (weights_id, weights, bias) =
            (node.input_id(1)?, node.input(1)?, node.optional_input(2));
        let mut biases = match bias {
            Some(bias) if bias.elements() == channels => constant_floats(&node, bias)?,
            Some(_) => return Ok(false),
            None => vec![0.0; channels],
        };
        let by_reader =
            NodeRef { model: self.model, index: reader, node: &self.model.nodes[reader] };
        let constants = constant_floats(&by_reader, self.model.tensor(constant))?;
        let constant = |channel: usize| constants[channel % constants.len()];
        let shape = weights.shape.clone();
        let scaled = match self.model.nodes[reader].operator {
            Operator::Mul { .. } => {
                let mut values = constant_floats(&node, weights)?;
                // Output channels run along the last dimension of depthwise weights, along the
                // first of others.
                let last = matches!(node.node.operator, Operator::DepthwiseConv2d { .. });
                let run = if last { 1 } else { values.len() / channels };
                for (i, value) in values.iter_mut().enumerate() {
                    *value *= constant(i / run % channels);
                }
                for (channel, bias) in biases.iter_mut().enumerate() {
                    *bias *= constant(channel);
                }
                Some(values)
            }
            _ => {
                for (channel, bias) in biases.iter_mut().enumerate() {
                    *bias += if scaling.subtract { -constant(channel) } else { constant(channel) };
                }
                None
            }
        };
        // What is only shifted keeps its weights.
        let weights = match scaled {
            Some(values) => self.add_floats(index, 1, &shape, &values),
            None => weights_id,
        };
        let bias = self.add_floats(index, 2, &[channels], &biases);
        let node = &mut self.model.nodes[index];
        node.inputs.truncate(1);
        node.inputs.extend([Some(weights), Some(bias)]);
        if let Some(activation) = activation(&mut node.operator) {
            *activation = scaling.activation;
        }
        self.absorb(index, reader);
        Ok(true)
    }

    /// What scales or shifts the result of node `index`, if weights can do that.
    fn scaling(&self, index: usize) -> Option<Scaling> {
        let node = &self.model.nodes[index];
        let channels = match node.operator {
            Operator::Conv2d { activation: Activation::None, .. }
            | Operator::FullyConnected { activation: Activation::None, .. } => 0,
            Operator::DepthwiseConv2d { activation: Activation::None, .. } => 3,
            _ => return None,
        };
        let constant = |at: usize| {
            let tensor = self.model.tensor(node.inputs.get(at).copied().flatten()?);
            let is_float = matches!(tensor.dtype, DataType::Float32 | DataType::Float16);
            (tensor.is_constant() && is_float).then_some(tensor)
        };
        let channels = *constant(1)?.shape.get(channels)?;
        if node.inputs.get(2).copied().flatten().is_some() {
            constant(2)?;
        }
        let &[output] = &node.outputs[..] else { return None };
        let reader = self.readers.only(output)?;
        let scaling = &self.model.nodes[reader];
        let (&[Some(first), Some(second)], &[result]) = (&scaling.inputs[..], &scaling.outputs[..])
        else {
            return None;
        };
        let (activation, commutes, subtract) = match scaling.operator {
            Operator::Mul { activation } | Operator::Add { activation } => {
                (activation, true, false)
            }
            Operator::Sub { activation } => (activation, false, true),
            _ => return None,
        };
        let constant = match (first == output, second == output) {
            (true, false) => second,
            (false, true) if commutes => first,
            _ => return None,
        };
        let tensor = self.model.tensor(constant);
        let elements = tensor.elements();
        // Along the channels, or one for all.
        let is_by_channel = elements == 1 || tensor.shape.last() == Some(&elements);
        let fits = tensor.is_constant()
            && tensor.dtype == DataType::Float32
            && (elements == 1 || elements == channels)
            && is_by_channel
            && channels > 0
            && self.model.tensor(output).shape == self.model.tensor(result).shape;
        fits.then_some(Scaling { reader, constant, channels, activation, subtract })
    }

    /// A new constant that stands for operand `at` of node `index`.
    fn add_floats(&mut self, index: usize, at: usize, shape: &[usize], values: &[f32]) -> TensorId {
        let before = self.model.nodes[index].inputs.get(at).copied().flatten();
        let name = before.map(|id| self.model.tensor(id).name.clone());
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.model.tensors.push(Tensor {
            name: name.unwrap_or_default(),
            dtype: DataType::Float32,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: Some(Bytes::from(bytes)),
        });
        self.readers.count.push(1);
        self.readers.last.push(Some(index));
        TensorId(self.model.tensors.len() - 1)
    }

    /// Whether two tensors have one type and, if they are quantised, one scale and zero point.
    fn same_numbers(&self, a: TensorId, b: TensorId) -> bool {
        let [a, b] = [a, b].map(|id| self.model.tensor(id));
        a.dtype == b.dtype && a.quantization == b.quantization
    }
}

/// See [`Graph::scaling`].
struct Scaling {
    reader: usize,
    constant: TensorId,
    channels: usize,
    activation: Activation,
    subtract: bool,
}

/// The activation that an operator applies to its result.
fn activation(operator: &mut Operator) -> Option<&mut Activation> {
    match operator {
        Operator::Conv2d { activation, .. }
        | Operator::DepthwiseConv2d { activation, .. }
        | Operator::FullyConnected { activation, .. }
        | Operator::Add { activation }
        | Operator::Sub { activation }
        | Operator::Mul { activation }
        | Operator::Div { activation }
        | Operator::AveragePool2d { activation, .. }
        | Operator::MaxPool2d { activation, .. }
        | Operator::L2Pool2d { activation, .. } => Some(activation),
        _ => None,
    }
}
