//! From a graph to a plan: [`weight_store`] packs float weights where they are, [`lower`] turns each
//! node into packed steps, [`arena`] gives every tensor its place.

mod arena;
mod lower;
mod lowered;
mod plan;
mod weight_store;

use std::ops::Range;

use achado_graph::{Graph, Limits};
use achado_kernels::aligned::{AlignedVec, LINE_BYTES};
use achado_model::{Result, Tensor, TensorId};

pub(crate) use self::plan::{Place, Plan, PlannedStep, Source};
use self::weight_store::WeightStore;
use crate::step::MAX_OPERANDS;

/// Compiles a prepared graph for `threads` threads; float weights are packed in its own memory.
pub(crate) fn compile(mut graph: Graph, limits: &Limits, threads: usize) -> Result<Plan> {
    let weights = weight_store::pack(&mut graph);
    plan(&graph, &weights, limits, threads)
}

/// Compiles a graph of one node whose operands are constants.
pub(crate) fn compile_constant(graph: &Graph, limits: &Limits) -> Result<Plan> {
    plan(graph, &WeightStore::EMPTY, limits, 1)
}

fn plan(graph: &Graph, weights: &WeightStore, limits: &Limits, threads: usize) -> Result<Plan> {
    let mut lowered = lower::lower(graph, weights, limits)?;
    let layout = arena::plan(graph, &lowered, limits)?;
    let scratch_bytes =
        lowered.steps.iter().map(|step| step.step.scratch_bytes()).max().unwrap_or(0);
    // Each thread's begins on a cache line.
    let scratch_bytes = scratch_bytes.next_multiple_of(LINE_BYTES);
    let steps_bytes: usize = lowered.steps.iter().map(|step| step.step.size_bytes()).sum();
    let constant_bytes: usize = lowered.constants.iter().map(AlignedVec::size_bytes).sum();
    let weight_bytes = steps_bytes + constant_bytes;
    let needed = scratch_bytes
        .checked_mul(threads)
        .and_then(|bytes| bytes.checked_add(weight_bytes))
        .and_then(|bytes| bytes.checked_add(layout.bytes))
        .unwrap_or(usize::MAX);
    if needed > limits.max_memory_bytes {
        return Err(limits.out_of_memory(needed));
    }
    let steps = std::mem::take(&mut lowered.steps)
        .into_iter()
        .map(|step| {
            let mut borrows: [Range<usize>; 2 * MAX_OPERANDS] = std::array::from_fn(|_| 0..0);
            let mut inputs = Vec::with_capacity(step.inputs.len());
            let mut borrowed = 0;
            for &input in &step.inputs {
                inputs.push(match layout.place(&lowered, input) {
                    Place::Constant(constant) => Source::Constant(constant),
                    Place::Arena(range) => {
                        let known = borrows[..borrowed].iter().position(|known| *known == range);
                        Source::Borrow(known.unwrap_or_else(|| {
                            borrows[borrowed] = range;
                            borrowed += 1;
                            borrowed - 1
                        }))
                    }
                });
            }
            for (place, &output) in borrows[MAX_OPERANDS..].iter_mut().zip(&step.outputs) {
                *place = layout.range(output);
            }
            let name = step.result.map(|id| graph.tensor(id).name.clone());
            PlannedStep {
                step: step.step,
                operator: step.operator,
                name: name.unwrap_or_default(),
                borrows,
                inputs,
            }
        })
        .collect();
    let describe = |ids: &[TensorId]| -> Vec<Tensor> {
        ids.iter().map(|&id| Tensor { data: None, ..graph.tensor(id).clone() }).collect()
    };
    Ok(Plan {
        steps,
        arena_bytes: layout.bytes,
        scratch_bytes,
        weight_bytes,
        inputs: graph.inputs.iter().map(|&id| layout.range(id)).collect(),
        outputs: graph.outputs.iter().map(|&id| layout.place(&lowered, id)).collect(),
        input_tensors: describe(&graph.inputs),
        output_tensors: describe(&graph.outputs),
        constants: lowered.constants,
    })
}
