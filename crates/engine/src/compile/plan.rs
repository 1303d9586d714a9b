//! What compiling gives: steps, constants, and where every tensor lives.

use std::ops::Range;

use achado_kernels::aligned::AlignedVec;
use achado_model::Tensor;

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

/// Where an input of a step comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The place among the step's borrowed ranges.
    Borrow(usize),
    /// The place among the plan's constants.
    Constant(usize),
}
