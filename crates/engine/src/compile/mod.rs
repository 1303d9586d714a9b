//! From a model to a plan: one file a pass.
//!
//! [`halves`] keeps float16 weights, [`delegate`] finds which of TensorFlow Lite's kernels computes each
//! operator, [`shapes`] settles all shapes and computes what is known already, [`fuse`] joins operators,
//! [`dynamic`] finds products of integers among operators on floats, [`patterns`] operators that are
//! spelled out, [`in_place`] packs float weights
//! where they are, [`lower`] turns each operator into packed steps, [`arena`] gives every tensor its
//! place.

mod arena;
mod delegate;
mod dynamic;
mod fold;
mod fuse;
mod halves;
mod in_place;
mod infer;
mod lower;
mod node;
mod patterns;
mod readers;
mod shapes;

use std::ops::Range;

use achado_kernels::aligned::{AlignedVec, LINE_BYTES};
use achado_model::{Error, ErrorCode, Model, Result, Tensor, TensorId};

use self::dynamic::Product;
use self::patterns::Pattern;
use crate::session::{SessionOptions, Source};
use crate::step::{MAX_OPERANDS, Step};

/// A compiled model.
pub(crate) struct Plan {
    /// In order of execution.
    pub steps: Vec<PlannedStep>,
    /// Constants that steps read as tensors.
    pub constants: Vec<AlignedVec<u8>>,
    /// The arena's size.
    pub arena_bytes: usize,
    /// The largest scratch of a step, for one thread.
    pub scratch_bytes: usize,
    /// Packed weights, tables and constants.
    pub weight_bytes: usize,
    /// Places of the inputs in the arena.
    pub inputs: Vec<Range<usize>>,
    /// Places of the outputs.
    pub outputs: Vec<Place>,
    /// What the inputs are.
    pub input_tensors: Vec<Tensor>,
    /// What the outputs are.
    pub output_tensors: Vec<Tensor>,
}

/// A step with its place in the graph and its tensors' places in memory.
pub(crate) struct PlannedStep {
    pub step: Box<dyn Step>,
    /// TensorFlow Lite's name of the operator.
    pub operator: &'static str,
    /// The name of the tensor that it writes.
    pub name: String,
    /// Ranges of the arena: first the inputs', then the outputs'. All distinct.
    pub borrows: [Range<usize>; 2 * MAX_OPERANDS],
    /// Where each input comes from.
    pub inputs: Vec<Source>,
}

/// Where a tensor lives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// A range of the arena.
    Arena(Range<usize>),
    /// The place among the plan's constants.
    Constant(usize),
}

/// Compiles `model` for `threads` threads.
pub(crate) fn compile(mut model: Model, options: &SessionOptions, threads: usize) -> Result<Plan> {
    halves::keep(&mut model);
    let declined = delegate::declined(&model);
    let mut folded = shapes::settle(&mut model, options)?;
    fuse::fuse(&mut model, &mut folded)?;
    let products = dynamic::find(&mut model, &mut folded);
    let patterns = patterns::find(&mut model, &mut folded);
    let packed = in_place::pack(&mut model, &folded, &products);
    let found = Found {
        folded: &folded,
        declined: &declined,
        products: &products,
        patterns: &patterns,
        packed: &packed,
    };
    compile_settled(&model, &found, options, threads)
}

/// What is known of the nodes and tensors of a model before it is lowered.
pub(crate) struct Found<'a> {
    /// By node: whether its results are constants.
    pub folded: &'a [bool],
    /// By node, or none: whether TensorFlow Lite's built-in kernel computes it, not XNNPACK.
    pub declined: &'a [bool],
    /// By node, or none: products of integers among operators on floats.
    pub products: &'a [Option<Product>],
    /// By node, or none: operators that are spelled out by several.
    pub patterns: &'a [Option<Pattern>],
    /// By tensor, or none: whether these weights are packed where they are.
    pub packed: &'a [bool],
}

/// Compiles a model in which all shapes are known, but for the nodes that are folded.
pub(crate) fn compile_settled(
    model: &Model,
    found: &Found,
    options: &SessionOptions,
    threads: usize,
) -> Result<Plan> {
    let mut lowered = lower::lower(model, found, options)?;
    let layout = arena::plan(model, &lowered, options)?;
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
    if needed > options.max_memory_bytes {
        return Err(out_of_memory(needed, options));
    }
    let steps = std::mem::take(&mut lowered.steps)
        .into_iter()
        .map(|step| {
            let mut borrows: [Range<usize>; 2 * MAX_OPERANDS] = std::array::from_fn(|_| 0..0);
            let mut inputs = Vec::with_capacity(step.inputs.len());
            let mut borrowed = 0;
            for &input in &step.inputs {
                inputs.push(match lowered.place(&layout, input) {
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
            let name = step.result.map(|id| model.tensor(id).name.clone());
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
        ids.iter().map(|&id| Tensor { data: None, ..model.tensor(id).clone() }).collect()
    };
    Ok(Plan {
        steps,
        arena_bytes: layout.bytes,
        scratch_bytes,
        weight_bytes,
        inputs: model.inputs.iter().map(|&id| layout.range(id)).collect(),
        outputs: model.outputs.iter().map(|&id| lowered.place(&layout, id)).collect(),
        input_tensors: describe(&model.inputs),
        output_tensors: describe(&model.outputs),
        constants: lowered.constants,
    })
}

/// The error for a model beyond the memory budget.
fn out_of_memory(needed: usize, options: &SessionOptions) -> Error {
    let limit = options.max_memory_bytes;
    let message = format!("the model needs {needed} bytes to run, the limit is {limit}");
    Error::new(ErrorCode::OutOfMemory, message).with("needed", needed).with("limit", limit)
}
