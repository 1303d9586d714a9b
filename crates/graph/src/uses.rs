//! Who writes and reads which tensor.

use achado_model::TensorId;

use crate::Graph;

/// The producer and the consumers of all tensors, by tensor; nodes that are folded count for nothing.
/// A pass keeps it up to date while it edits.
pub struct Uses {
    /// The node that writes it.
    producer: Vec<Option<usize>>,
    /// How often nodes read it, the caller counted as one.
    count: Vec<usize>,
    /// The last node that reads it.
    last: Vec<Option<usize>>,
}

impl Uses {
    /// Those of a graph.
    #[inline(never)]
    pub fn new(graph: &Graph) -> Self {
        let tensors = graph.tensors.len();
        let (producer, count) = (vec![None; tensors], vec![0; tensors]);
        let mut uses = Self { producer, count, last: vec![None; tensors] };
        let nodes = graph.nodes.iter().enumerate();
        for (index, node) in nodes.filter(|(_, node)| !node.is_folded()) {
            for id in node.inputs.iter().flatten() {
                uses.count[id.0] += 1;
                uses.last[id.0] = Some(index);
            }
            for id in &node.outputs {
                uses.producer[id.0] = Some(index);
            }
        }
        for id in &graph.outputs {
            uses.count[id.0] += 1;
        }
        uses
    }

    /// The node that writes `id`, when the uses were made.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.producer.get(id.0).copied().flatten()
    }

    /// How often `id` is read, the caller counted as one.
    pub fn count(&self, id: TensorId) -> usize {
        self.count.get(id.0).copied().unwrap_or(0)
    }

    /// The last node that reads `id`.
    pub fn last_consumer(&self, id: TensorId) -> Option<usize> {
        self.last.get(id.0).copied().flatten()
    }

    /// The node that reads `id`, where nobody else does.
    pub fn sole_consumer(&self, id: TensorId) -> Option<usize> {
        self.last_consumer(id).filter(|_| self.count(id) == 1)
    }

    /// `id`, which may be new, is read by `node` as its last consumer, `count` times in all.
    pub fn set(&mut self, id: TensorId, count: usize, last: Option<usize>) {
        if id.0 >= self.count.len() {
            self.producer.resize(id.0 + 1, None);
            self.count.resize(id.0 + 1, 0);
            self.last.resize(id.0 + 1, None);
        }
        self.count[id.0] = count;
        self.last[id.0] = last;
    }

    /// One more reads `id`.
    pub fn retain(&mut self, id: TensorId) {
        if let Some(count) = self.count.get_mut(id.0) {
            *count += 1;
        }
    }

    /// One less reads `id`; how many are left.
    pub fn release(&mut self, id: TensorId) -> usize {
        let Some(count) = self.count.get_mut(id.0) else { return 0 };
        *count = count.saturating_sub(1);
        *count
    }
}
