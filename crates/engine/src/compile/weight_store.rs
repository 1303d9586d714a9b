//! Packs float weights in the memory of the model's file: they are most of it, and a copy of them
//! would be as much again.
//!
//! The last the file's bytes are needed for is packing. So what is packed stays there for as long as
//! the plan lives, where the float weights are at least half of the file.

use std::ops::Range;
use std::sync::Arc;

use achado_graph::{Graph, Node, Uses};
use achado_kernels::gemm::float::{pack_halves_in_place, pack_in_place};
use achado_kernels::order::order;
use achado_model::{Bytes, DataType, Operator, TensorId};

/// Packed float weights, which the graph has no more.
pub(crate) struct WeightStore {
    /// By tensor, or none.
    packed: Vec<Option<Bytes>>,
}

impl WeightStore {
    /// None at all.
    pub const EMPTY: Self = Self { packed: Vec::new() };

    /// The packed elements of a tensor.
    pub fn get(&self, id: TensorId) -> Option<&Bytes> {
        self.packed.get(id.0).and_then(Option::as_ref)
    }

    /// Whether the weights are here.
    pub fn has(&self, id: TensorId) -> bool {
        self.get(id).is_some()
    }
}

/// Weights that their operator alone reads.
struct Weights {
    tensor: TensorId,
    /// Elements of a column of the matrix.
    k: usize,
    /// Whether they are float16.
    is_half: bool,
}

/// Packs what can be packed in place. The graph gives it away: its tensors are no constants then.
pub(super) fn pack(graph: &mut Graph) -> WeightStore {
    let mut packed = vec![None; graph.tensors.len()];
    let weights = float_weights(graph);
    // The largest first: a model has one file, and what was computed lies in buffers of its own.
    let size = |at: usize| graph.tensor(weights[at].tensor).size_bytes();
    let order = order(weights.len(), &|a, b| size(b).cmp(&size(a)));
    let mut tried = vec![false; packed.len()];
    for at in order {
        let tensor = weights[at].tensor;
        if !tried[tensor.0] {
            pack_buffer(graph, &weights, tensor, &mut packed, &mut tried);
        }
    }
    WeightStore { packed }
}

/// Packs the weights that lie in one buffer with `tensor`, where they are at least half of it; all
/// that lies in it has been tried then.
fn pack_buffer(
    graph: &mut Graph,
    weights: &[Weights],
    tensor: TensorId,
    packed: &mut [Option<Bytes>],
    tried: &mut [bool],
) {
    let Some(data) = graph.tensor(tensor).data.clone() else { return };
    let (mut file, _) = data.into_parts();

    // All that points into the file lets go of it, so that it has one owner.
    let tensors = graph.tensors.iter_mut();
    let parts: Vec<Option<Range<usize>>> = tensors
        .map(|tensor| {
            let part = tensor.data.take_if(|data| data.is_of(&file))?;
            Some(part.into_parts().1)
        })
        .collect();
    let alone = alone(&parts);
    let range =
        |weights: &Weights| parts[weights.tensor.0].clone().filter(|_| alone[weights.tensor.0]);
    let bytes: usize = weights.iter().filter_map(range).map(|range| range.len()).sum();
    let mut is_packed = vec![false; parts.len()];
    if bytes >= file.len() / 2
        && let Some(file) = Arc::get_mut(&mut file)
    {
        for weights in weights {
            let bytes = range(weights).and_then(|range| file.get_mut(range));
            is_packed[weights.tensor.0] |= bytes.is_some_and(|bytes| weights.pack(bytes));
        }
    }
    for (at, part) in parts.into_iter().enumerate() {
        if let Some(range) = part {
            tried[at] = true;
            let place = if is_packed[at] { &mut packed[at] } else { &mut graph.tensors[at].data };
            *place = Bytes::of(Arc::clone(&file), range);
        }
    }
}

impl Weights {
    /// Packs the elements in `bytes`, if they are aligned for that.
    fn pack(&self, bytes: &mut [u8]) -> bool {
        if self.is_half {
            let halves = bytemuck::try_cast_slice_mut(bytes);
            return halves.is_ok_and(|halves| pack_halves_in_place(self.k, halves));
        }
        let floats = bytemuck::try_cast_slice_mut(bytes);
        floats.map(|floats| pack_in_place(self.k, floats)).is_ok()
    }
}

/// The float weights of products of matrices that nothing else reads.
fn float_weights(graph: &Graph) -> Vec<Weights> {
    let uses = Uses::new(graph);
    let nodes = graph.nodes.iter().filter(|node| node.is_operator());
    nodes
        .filter_map(|node| weights_of(graph, node))
        .filter(|weights| uses.count(weights.tensor) == 1)
        .collect()
}

fn weights_of(graph: &Graph, node: &Node) -> Option<Weights> {
    let &[Some(input), Some(tensor), ..] = &node.inputs[..] else { return None };
    let (input, weights) = (graph.tensor(input), graph.tensor(tensor));
    let operands = [input, graph.tensor(*node.outputs.first()?)];
    let is_product = match &node.operator {
        // Of one group.
        Operator::Conv2d { .. } => {
            weights.shape.len() == 4 && input.shape.last() == weights.shape.last()
        }
        Operator::FullyConnected { .. } => weights.shape.len() == 2,
        _ => false,
    };
    let is_half = weights.dtype == DataType::Float16;
    let is_float = operands.iter().all(|tensor| tensor.dtype == DataType::Float32)
        && (is_half || weights.dtype == DataType::Float32);
    let k = weights.shape.iter().skip(1).product();
    let is_empty = weights.elements() == 0;
    (is_product && is_float && !is_empty && weights.is_constant()).then_some(Weights {
        tensor,
        k,
        is_half,
    })
}

/// Which of the ranges share no byte with another.
fn alone(parts: &[Option<Range<usize>>]) -> Vec<bool> {
    let mut alone = vec![false; parts.len()];
    let start = |at: usize| parts[at].as_ref().map_or(usize::MAX, |range| range.start);
    let sorted = order(parts.len(), &|a, b| start(a).cmp(&start(b)));
    let mut end = 0;
    for (place, &at) in sorted.iter().enumerate() {
        let Some(range) = &parts[at] else { break };
        let next = sorted.get(place + 1).map_or(usize::MAX, |&next| start(next));
        alone[at] = range.start >= end && range.end <= next;
        end = end.max(range.end);
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_alone_and_those_that_overlap_are_not() {
        let parts = [Some(8..16), None, Some(0..8), Some(20..30), Some(16..21), Some(22..23)];
        assert_eq!(alone(&parts), [true, false, true, false, false, false]);
        assert_eq!(alone(&[Some(4..8), Some(4..8)]), [false, false]);
        assert!(alone(&[]).is_empty());
    }
}
