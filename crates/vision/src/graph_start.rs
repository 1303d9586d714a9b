//! Graphs that normalise by themselves: what their first operators make of pixels.

use achado_model::{Activation, Model, Operator, Tensor, TensorId};

/// `x * scale + offset` for each channel, or for all: what a graph does to an input at first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GraphStart {
    scale: Vec<f64>,
    offset: Vec<f64>,
}

/// Values of pixels that networks take: `(preset, for 0, for 255)`.
const PRESETS: [(&str, f64, f64); 3] =
    [("raw", 0.0, 255.0), ("unit", 0.0, 1.0), ("symmetric", -1.0, 1.0)];

impl GraphStart {
    /// The first operators after an input, where they scale and shift by constants.
    pub fn of(model: &Model, input: TensorId) -> Option<Self> {
        let mut found = Self { scale: vec![1.0], offset: vec![0.0] };
        let mut is_affine = false;
        let mut tensor = input;
        loop {
            let mut readers = model.nodes.iter().filter(|node| node.inputs.contains(&Some(tensor)));
            let (Some(node), None) = (readers.next(), readers.next()) else { break };
            let &[output] = &node.outputs[..] else { break };
            match (&node.operator, &node.inputs[..]) {
                (
                    Operator::Cast
                    | Operator::Quantize
                    | Operator::Dequantize
                    | Operator::Reshape { .. }
                    | Operator::Transpose
                    | Operator::ExpandDims
                    | Operator::Squeeze { .. }
                    | Operator::ResizeBilinear { .. }
                    | Operator::ResizeNearestNeighbor { .. },
                    [Some(first), ..],
                ) if *first == tensor => {}
                (operator, &[Some(a), Some(b)]) => {
                    let is_first = a == tensor;
                    let other = model.tensor(if is_first { b } else { a });
                    if found.apply(operator, other, is_first).is_none() {
                        break;
                    }
                    is_affine = true;
                }
                _ => break,
            }
            tensor = output;
        }
        is_affine.then_some(found)
    }

    /// Goes on with an operator of two operands, one of them the pixels.
    fn apply(&mut self, operator: &Operator, other: &Tensor, is_first: bool) -> Option<()> {
        let constants: Vec<f64> = other.constant_floats()?.into_iter().map(f64::from).collect();
        if !matches!(constants.len(), 1 | 3) {
            return None;
        }
        let (scale, offset): (Vec<f64>, Vec<f64>) = match *operator {
            Operator::Mul { activation: Activation::None } => {
                constants.iter().map(|&c| (c, 0.0)).unzip()
            }
            Operator::Div { activation: Activation::None } if is_first => {
                constants.iter().map(|&c| (1.0 / c, 0.0)).unzip()
            }
            Operator::Add { activation: Activation::None, .. } => {
                constants.iter().map(|&c| (1.0, c)).unzip()
            }
            Operator::Sub { activation: Activation::None, .. } => {
                let sign = if is_first { 1.0 } else { -1.0 };
                constants.iter().map(|&c| (sign, -sign * c)).unzip()
            }
            _ => return None,
        };
        let count = constants.len().max(self.scale.len());
        let at = |values: &[f64], channel: usize| values[channel % values.len()];
        (self.scale, self.offset) = (0..count)
            .map(|c| {
                let scale = at(&scale, c);
                (at(&self.scale, c) * scale, at(&self.offset, c) * scale + at(&offset, c))
            })
            .unzip();
        Some(())
    }

    /// What becomes of values of an input, from the least to the greatest over all channels.
    fn range(&self, values: impl Fn(usize) -> [f64; 2]) -> [f64; 2] {
        let mut range = [f64::INFINITY, f64::NEG_INFINITY];
        for channel in 0..self.scale.len() {
            for value in values(channel) {
                let y = value * self.scale[channel] + self.offset[channel];
                range = [range[0].min(y), range[1].max(y)];
            }
        }
        range
    }

    /// Whether the graph takes pixels from 0 to 255 as they are, beyond doubt.
    pub fn takes_raw(&self) -> bool {
        is_normalised(self.range(|_| [0.0, 255.0]))
    }

    /// What to say where values of pixels 0 and 255 by channel become numbers that no network is
    /// trained with: mostly they were normalised twice.
    pub fn complaint(&self, values: impl Fn(usize) -> [f64; 2]) -> Option<String> {
        let [low, high] = self.range(values);
        // Networks with Caffe's weights go on with bytes.
        let is_bytes = (100.0..=600.0).contains(&(high - low)) && low >= -300.0 && high <= 300.0;
        if is_normalised([low, high]) || is_bytes {
            return None;
        }
        let mut message = format!(
            "the model's first operators scale pixels by themselves; prepared as they are, their \
             result goes from {low:.4} to {high:.4}, as if normalized twice or not at all"
        );
        if let Some(fits) = self.fitting() {
            message += &format!("; preprocess \"{fits}\" fits them");
        }
        Some(message)
    }

    /// The preset whose values the graph seems to take.
    pub fn fitting(&self) -> Option<&'static str> {
        let fits =
            |&&(_, low, high): &&(&str, f64, f64)| is_normalised(self.range(|_| [low, high]));
        PRESETS.iter().find(fits).map(|(name, ..)| *name)
    }
}

/// Whether values are spread as networks take them: 0..1, -1..1, or by mean and deviation.
fn is_normalised([low, high]: [f64; 2]) -> bool {
    (0.4..=7.0).contains(&(high - low)) && low >= -5.0 && high <= 5.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(scale: &[f64], offset: &[f64]) -> GraphStart {
        GraphStart { scale: scale.to_vec(), offset: offset.to_vec() }
    }

    #[test]
    fn what_a_graph_takes_is_known_by_what_it_makes() {
        let unit = start(&[1.0 / 255.0], &[0.0]);
        let symmetric = start(&[1.0 / 127.5], &[-1.0]);
        for graph in [&unit, &symmetric] {
            assert!(graph.takes_raw());
            assert_eq!(graph.fitting(), Some("raw"));
            assert_eq!(graph.complaint(|_| [0.0, 255.0]), None);
            for twice in [[0.0, 1.0], [-1.0, 1.0], [-2.1, 2.6]] {
                let complaint = graph.complaint(|_| twice).unwrap();
                assert!(complaint.contains("preprocess \"raw\" fits"), "{complaint}");
            }
        }
        let deviations = [1.0 / 0.229, 1.0 / 0.224, 1.0 / 0.225];
        let imagenet = start(&deviations, &[-2.118, -2.036, -1.804]);
        assert!(!imagenet.takes_raw());
        assert_eq!(imagenet.fitting(), Some("unit"));
        assert_eq!(imagenet.complaint(|_| [0.0, 1.0]), None);
        assert!(imagenet.complaint(|_| [-2.118, 2.64]).unwrap().contains("\"unit\" fits"));
        assert!(imagenet.complaint(|_| [0.0, 255.0]).is_some());
        // Back to bytes, for weights of Caffe's.
        let bytes = start(&[127.5], &[20.0]);
        assert_eq!(bytes.complaint(|_| [-1.0, 1.0]), None);
    }
}
