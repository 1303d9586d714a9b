//! Who reads which tensor.

use achado_model::{Model, TensorId};

/// The readers of all tensors, by tensor.
pub(crate) struct Readers {
    /// How many nodes read it, the caller counted as one.
    pub count: Vec<usize>,
    /// The last node that reads it.
    pub last: Vec<Option<usize>>,
}

impl Readers {
    /// Those among the nodes that are not folded.
    pub fn new(model: &Model, folded: &[bool]) -> Self {
        let tensors = model.tensors.len();
        let (mut count, mut last) = (vec![0; tensors], vec![None; tensors]);
        for (index, node) in model.nodes.iter().enumerate().filter(|&(i, _)| !folded[i]) {
            for id in node.inputs.iter().flatten() {
                count[id.0] += 1;
                last[id.0] = Some(index);
            }
        }
        for id in &model.outputs {
            count[id.0] += 1;
        }
        Self { count, last }
    }

    /// The node that reads `id`, where nobody else does.
    pub fn only(&self, id: TensorId) -> Option<usize> {
        self.last[id.0].filter(|_| self.count[id.0] == 1)
    }
}
