//! Joins neighbors that one kernel computes as well: PAD into the convolution that reads it, MUL and
//! ADD of constants into the weights before them, activations into what they clamp, QUANTIZE away
//! where it undoes DEQUANTIZE.
//!
//! Integers stay the same to the bit. Floats of MUL and ADD may round otherwise.

use achado_model::{Activation, DataType, Operator, Padding, Result, TensorId};

use super::constant_floats;
use crate::{Changed, Graph, Limits, Node, NodeRef, Uses};

/// Joins what can be joined. All shapes must be known.
///
/// # Errors
/// `UNSUPPORTED_TYPE` for constants of a type that is no float.
pub fn fuse(graph: &mut Graph, _: &Limits) -> Result<Changed> {
    let uses = Uses::new(graph);
    let mut fuser = Fuser { graph, uses };
    let mut changed = false;
    for index in 0..fuser.graph.nodes.len() {
        if fuser.graph.nodes[index].is_folded() {
            continue;
        }
        // What few models have stands alone, as in `lower`: browsers compile what is called.
        changed |= match fuser.graph.nodes[index].operator {
            Operator::Pad => fuser.pad(index).is_some(),
            Operator::Dequantize => fuser.requantize(index).is_some(),
            _ => false,
        };
        // A result may be scaled, shifted and clamped, in this order.
        while match fuser.scaling(index) {
            Some(scaling) => fuser.scale(index, scaling)?,
            None => fuser.clamp(index),
        } {
            changed = true;
        }
    }
    Ok(changed)
}

struct Fuser<'a> {
    graph: &'a mut Graph,
    uses: Uses,
}

impl Fuser<'_> {
    fn node(&self, index: usize) -> &Node {
        &self.graph.nodes[index]
    }

    /// Node `reader` is done by `index`, too, which writes its result now.
    fn absorb(&mut self, index: usize, reader: usize) {
        let outputs = std::mem::take(&mut self.graph.nodes[reader].outputs);
        self.graph.nodes[index].outputs = outputs;
        self.graph.remove(reader);
    }

    /// A PAD with zeros becomes the padding of the one convolution that reads it.
    #[inline(never)]
    fn pad(&mut self, index: usize) -> Option<()> {
        let node = &self.graph.nodes[index];
        let (&[Some(input), Some(paddings)], &[output]) = (&node.inputs[..], &node.outputs[..])
        else {
            return None;
        };
        if !self.graph.same_numbers(input, output) {
            return None;
        }
        let paddings = self.graph.tensor(paddings).constant_integers()?;
        let &[0, 0, top, bottom, left, right, 0, 0] = &paddings[..] else { return None };
        let reader = self.uses.sole_consumer(output)?;
        let convolution = &self.graph.nodes[reader];
        let weights = convolution.inputs.get(1).copied().flatten()?;
        // A hybrid quantises its input as a whole: left as TensorFlow Lite has it.
        let is_hybrid = self.graph.tensor(input).dtype == DataType::Float32
            && self.graph.tensor(weights).dtype != DataType::Float32;
        if convolution.inputs.first() != Some(&Some(output)) || is_hybrid {
            return None;
        }
        let (Operator::Conv2d { padding, .. } | Operator::DepthwiseConv2d { padding, .. }) =
            &mut self.graph.nodes[reader].operator
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
        self.graph.nodes[reader].inputs[0] = Some(input);
        self.uses.set(input, self.uses.count(input), Some(reader));
        self.graph.remove(index);
        Some(())
    }

    /// QUANTIZE to what this DEQUANTIZE came from gives the very same numbers.
    #[inline(never)]
    fn requantize(&mut self, index: usize) -> Option<()> {
        let node = &self.graph.nodes[index];
        let (&[Some(input)], &[real]) = (&node.inputs[..], &node.outputs[..]) else { return None };
        let is_quantized = matches!(
            self.graph.tensor(input).dtype,
            DataType::Int8 | DataType::UInt8 | DataType::Int16
        );
        if !is_quantized {
            return None;
        }
        let reader = self.uses.sole_consumer(real)?;
        let [output] = self.graph.nodes[reader].outputs[..] else { return None };
        let is_result = self.graph.outputs.contains(&output);
        if self.graph.nodes[reader].operator != Operator::Quantize
            || is_result
            || !self.graph.same_numbers(input, output)
        {
            return None;
        }
        self.graph.replace_operand(reader, output, input);
        let [before, added] = [input, output].map(|id| self.uses.count(id));
        let last = self.uses.last_consumer(output).or(self.uses.last_consumer(input));
        self.uses.set(input, (before + added).saturating_sub(1), last);
        self.graph.remove(index);
        self.graph.remove(reader);
        Some(())
    }

    /// An activation that stands alone is done by the operator before it.
    fn clamp(&mut self, index: usize) -> bool {
        let &[output] = &self.graph.nodes[index].outputs[..] else { return false };
        let Some(reader) = self.uses.sole_consumer(output) else { return false };
        let clamped = match self.graph.nodes[reader].operator {
            Operator::Relu => Activation::Relu,
            Operator::Relu6 => Activation::Relu6,
            Operator::ReluN1To1 => Activation::ReluN1To1,
            _ => return false,
        };
        let [result] = self.graph.nodes[reader].outputs[..] else { return false };
        if !self.graph.same_numbers(output, result) {
            return false;
        }
        match activation(&mut self.graph.nodes[index].operator) {
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
        let node = NodeRef { graph: self.graph, node: self.node(index) };
        let (weights_id, weights, bias) =
            (node.input_id(1)?, node.input(1)?, node.optional_input(2));
        let mut biases = match bias {
            Some(bias) if bias.elements() == channels => constant_floats(&node, bias)?,
            Some(_) => return Ok(false),
            None => vec![0.0; channels],
        };
        let by_reader = NodeRef { graph: self.graph, node: self.node(reader) };
        let constants = constant_floats(&by_reader, self.graph.tensor(constant))?;
        let constant = |channel: usize| constants[channel % constants.len()];
        let shape = weights.shape.clone();
        let scaled = match self.graph.nodes[reader].operator {
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
        let node = &mut self.graph.nodes[index];
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
        let node = &self.graph.nodes[index];
        let channels = match node.operator {
            Operator::Conv2d { activation: Activation::None, .. }
            | Operator::FullyConnected { activation: Activation::None, .. } => 0,
            Operator::DepthwiseConv2d { activation: Activation::None, .. } => 3,
            _ => return None,
        };
        let constant = |at: usize| {
            let tensor = self.graph.tensor(node.inputs.get(at).copied().flatten()?);
            let is_float = matches!(tensor.dtype, DataType::Float32 | DataType::Float16);
            (tensor.is_constant() && is_float).then_some(tensor)
        };
        let channels = *constant(1)?.shape.get(channels)?;
        if node.inputs.get(2).copied().flatten().is_some() {
            constant(2)?;
        }
        let &[output] = &node.outputs[..] else { return None };
        let reader = self.uses.sole_consumer(output)?;
        let scaling = &self.graph.nodes[reader];
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
        let tensor = self.graph.tensor(constant);
        let elements = tensor.elements();
        // Along the channels, or one for all.
        let is_by_channel = elements == 1 || tensor.shape.last() == Some(&elements);
        let fits = tensor.is_constant()
            && tensor.dtype == DataType::Float32
            && (elements == 1 || elements == channels)
            && is_by_channel
            && channels > 0
            && self.graph.tensor(output).shape == self.graph.tensor(result).shape;
        fits.then_some(Scaling { reader, constant, channels, activation, subtract })
    }

    /// A new constant that stands for operand `at` of node `index`.
    fn add_floats(&mut self, index: usize, at: usize, shape: &[usize], values: &[f32]) -> TensorId {
        let before = self.graph.nodes[index].inputs.get(at).copied().flatten();
        let name = before.map(|id| self.graph.tensor(id).name.clone());
        let id = self.graph.add_floats(name.unwrap_or_default(), shape, values);
        self.uses.set(id, 1, Some(index));
        id
    }
}

/// See [`Fuser::scaling`].
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
