//! What an output of a graph ends in: the function that made its scores, the features before them.

use achado_model::{Model, Operator, TensorId};

use crate::options::ScoreActivation;

/// The last layers of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputEnd {
    /// The function that the graph itself applies: `None` for logits, and for outputs that are no
    /// scores at all.
    pub activation: ScoreActivation,
    /// What the last FULLY_CONNECTED or 1x1 CONV_2D reads: the picture as a vector, before it is
    /// told apart into classes.
    pub features: Option<TensorId>,
    /// What the graph chooses the best of, where the output is that choice alone: the scores that a
    /// classifier gives in its place.
    pub scores: Option<TensorId>,
}

/// The ends of all outputs of a model, in order.
pub fn output_ends(model: &Model) -> Vec<OutputEnd> {
    let mut writer = vec![None; model.tensors.len()];
    for (index, node) in model.nodes.iter().enumerate() {
        for output in &node.outputs {
            writer[output.0] = Some(index);
        }
    }
    model.outputs.iter().map(|&output| end(model, &writer, output)).collect()
}

fn end(model: &Model, writer: &[Option<usize>], output: TensorId) -> OutputEnd {
    let mut found = OutputEnd { activation: ScoreActivation::None, features: None, scores: None };
    let mut tensor = output;
    // Nodes stand in order of execution, so this goes backwards and ends.
    while let Some(node) = writer[tensor.0].map(|index| &model.nodes[index]) {
        let Some(Some(input)) = node.inputs.first() else { break };
        let logits = found.activation == ScoreActivation::None;
        match node.operator {
            Operator::Softmax { .. } if logits => found.activation = ScoreActivation::Softmax,
            Operator::Logistic if logits => found.activation = ScoreActivation::Sigmoid,
            Operator::ArgMax if logits && is_choice(model, *input, tensor) => {
                found.scores = Some(*input);
            }
            Operator::FullyConnected { .. } => {
                found.features = Some(*input);
                break;
            }
            Operator::Conv2d { .. } => {
                if matches!(model.tensor(*input).shape[..], [_, 1, 1, _]) {
                    found.features = Some(*input);
                }
                break;
            }
            Operator::Reshape { .. }
            | Operator::Cast
            | Operator::Squeeze { .. }
            | Operator::ExpandDims
            | Operator::Quantize
            | Operator::Dequantize => {}
            // A bias that was not fused.
            Operator::Add { .. } if has_constant(model, &node.inputs) => {}
            _ => break,
        }
        tensor = *input;
    }
    found
}

/// Whether one of several classes is chosen for each picture.
fn is_choice(model: &Model, scores: TensorId, choice: TensorId) -> bool {
    let [scores, choice] = [scores, choice].map(|id| model.tensor(id));
    matches!(scores.shape[..], [pictures, classes] if classes > 1 && choice.elements() == pictures)
}

fn has_constant(model: &Model, inputs: &[Option<TensorId>]) -> bool {
    matches!(inputs, [_, Some(second)] if model.tensor(*second).is_constant())
}
