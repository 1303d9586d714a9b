//! What a plan is made of.

use crate::pool::Pool;

/// The most tensors that a step reads, and the most that it writes.
pub(crate) const MAX_OPERANDS: usize = 4;

/// The tensors of one step, as bytes, each aligned to a cache line. Unused places are empty.
pub(crate) struct Operands<'a> {
    /// What it reads, in the order of [`crate::compile::PlannedStep::inputs`].
    pub inputs: [&'a [u8]; MAX_OPERANDS],
    /// What it writes.
    pub outputs: [&'a mut [u8]; MAX_OPERANDS],
    /// At least [`Step::scratch_bytes`] for each thread.
    pub scratch: &'a mut [u8],
    /// Who computes.
    pub pool: &'a Pool,
    /// What is wrong with the elements: set by a step that cannot compute.
    pub fault: Option<&'static str>,
}

/// One piece of work of a plan, packed and ready.
pub(crate) trait Step: Send + Sync {
    /// How it is computed, for profiles: `gemm i16`, `table`, ... `reference` is the naive loop.
    fn kernel(&self) -> &'static str;

    /// Computes. Shapes and types were checked when the plan was made.
    fn run(&self, operands: &mut Operands);

    /// Scratch for each thread.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Packed weights and tables in memory.
    fn size_bytes(&self) -> usize {
        0
    }

    /// Multiplications with an addition.
    fn macs(&self) -> u64 {
        0
    }
}

/// A step without weights: a closure with the shapes in it.
pub(crate) struct Simple<F> {
    pub kernel: &'static str,
    pub run: F,
}

impl<F: Fn(&mut Operands) + Send + Sync> Step for Simple<F> {
    fn kernel(&self) -> &'static str {
        self.kernel
    }

    fn run(&self, operands: &mut Operands) {
        (self.run)(operands);
    }
}
