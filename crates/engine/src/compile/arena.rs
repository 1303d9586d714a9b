//! Places for all tensors in one arena: greedy by size over lifetimes.
//!
//! The largest tensor is placed first, each at the lowest offset where no tensor that lives at the
//! same time lies (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference").

use std::ops::Range;

use achado_graph::{Graph, Limits};
use achado_kernels::aligned::LINE_BYTES;
use achado_kernels::order::order;
use achado_model::{Result, TensorId};

use super::lowered::Lowered;
use super::plan::Place;

/// The places of all tensors that steps read or write.
pub(crate) struct Layout {
    /// The arena's size.
    pub bytes: usize,
    /// By tensor; `None` for constants and for tensors that no step touches.
    ranges: Vec<Option<Range<usize>>>,
}

impl Layout {
    /// The place of a tensor; empty for one that has none.
    pub fn range(&self, id: TensorId) -> Range<usize> {
        self.ranges[id.0].clone().unwrap_or(0..0)
    }

    /// Where a tensor lives.
    pub fn place(&self, lowered: &Lowered, id: TensorId) -> Place {
        match lowered.constant_of(id) {
            Some(constant) => Place::Constant(constant),
            None => Place::Arena(self.range(id)),
        }
    }
}

/// A piece of memory while it is needed: views share one.
struct Value {
    bytes: usize,
    /// Steps from the one that writes it to the last that reads it.
    life: Range<usize>,
    offset: usize,
}

/// Plans the arena.
pub(crate) fn plan(graph: &Graph, lowered: &Lowered, limits: &Limits) -> Result<Layout> {
    let mut values: Vec<Option<Value>> = (0..lowered.tensors()).map(|_| None).collect();
    let end = lowered.steps.len() + 1;
    let mut touch = |id: TensorId, from: usize, to: usize| {
        let id = lowered.resolve(id);
        if lowered.constant_of(id).is_some() {
            return;
        }
        let bytes = lowered.size_bytes(id);
        let value = values[id.0].get_or_insert(Value { bytes, life: from..to, offset: 0 });
        value.life = value.life.start.min(from)..value.life.end.max(to);
    };
    // Inputs keep their values from run to run, so they live always.
    for &id in &graph.inputs {
        touch(id, 0, end);
    }
    for (at, step) in lowered.steps.iter().enumerate() {
        for &id in step.inputs.iter().chain(&step.outputs) {
            touch(id, at, at + 1);
        }
    }
    for &id in &graph.outputs {
        touch(id, end - 1, end);
    }

    let size = |i: usize| values[i].as_ref().map_or(0, |value| value.bytes);
    let largest_first = order(values.len(), &|a, b| size(b).cmp(&size(a)));
    let mut placed: Vec<Value> = Vec::with_capacity(values.len());
    let mut ranges = vec![None; values.len()];
    let mut bytes = 0;
    for i in largest_first {
        let Some(mut value) = values[i].take() else { continue };
        // Checked before sums of sizes are taken: usize is 32 bits wide in WebAssembly.
        if value.bytes > limits.max_memory_bytes.min(usize::MAX / 4) {
            return Err(limits.out_of_memory(value.bytes));
        }
        let neighbours: Vec<&Value> = placed
            .iter()
            .filter(|other| other.life.start < value.life.end && value.life.start < other.life.end)
            .collect();
        let offset = |i: usize| neighbours[i].offset;
        for i in order(neighbours.len(), &|a, b| offset(a).cmp(&offset(b))) {
            let other = neighbours[i];
            if value.offset + value.bytes <= other.offset {
                break;
            }
            value.offset =
                value.offset.max((other.offset + other.bytes).next_multiple_of(LINE_BYTES));
        }
        let stop = value.offset.saturating_add(value.bytes);
        if stop > limits.max_memory_bytes {
            return Err(limits.out_of_memory(stop));
        }
        bytes = bytes.max(stop);
        ranges[i] = Some(value.offset..stop);
        placed.push(value);
    }
    for i in 0..ranges.len() {
        let root = lowered.resolve(TensorId(i));
        ranges[i] = ranges[root.0].clone();
    }
    Ok(Layout { bytes, ranges })
}
