//! A compiled model with its memory.

use std::collections::BTreeMap;
use std::fmt;

use achado_graph::{Evaluate, Graph, Limits, prepare};
use achado_kernels::aligned::AlignedVec;
use achado_kernels::order::order;
use achado_model::{Bytes, Error, ErrorCode, Model, Result, Tensor};

use crate::compile::{Place, Plan, PlannedStep, Source, compile, compile_constant};
use crate::pool::Pool;
use crate::step::{MAX_OPERANDS, Operands};

/// How to compile and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// The most memory for activations, scratch and packed weights together. A model that needs
    /// more is refused with `OUT_OF_MEMORY` before anything is allocated for it.
    pub max_memory_bytes: usize,
    /// How many threads share the work, the caller's included: 0 counts as 1, 32 are the most.
    /// Results do not depend on it. WebAssembly without atomics has one.
    pub threads: usize,
    /// Shapes of inputs, by their index, that are not the file's: another batch, a larger picture.
    /// The shapes of all other tensors follow from them. An operator that does not allow it, such as
    /// a RESHAPE to a constant shape, is an error that names it.
    pub input_shapes: BTreeMap<usize, Vec<usize>>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { max_memory_bytes: 1 << 30, threads: 1, input_shapes: BTreeMap::new() }
    }
}

/// A model that is ready to run: packed weights, one arena for all activations, no allocation in
/// [`Session::run`].
pub struct Session {
    plan: Plan,
    arena: AlignedVec<u8>,
    scratch: AlignedVec<u8>,
    pool: Pool,
    /// Milliseconds of each step in the last profiled run.
    times_ms: Vec<f64>,
}

/// One operator's share of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorProfile {
    /// The place in the order of execution.
    pub index: usize,
    /// TensorFlow Lite's name.
    pub operator: &'static str,
    /// How it is computed: `gemm i16`, `table`, ... `reference` is the naive loop.
    pub kernel: &'static str,
    /// The name of the tensor that it writes.
    pub name: String,
    /// Median over the runs.
    pub median_ms: f64,
    /// Multiplications with an addition.
    pub macs: u64,
    /// Of all operators' time, 0 to 1.
    pub share: f64,
}

impl Session {
    /// Compiles `model`. The model is consumed: its bytes are released once the weights are packed, or
    /// float weights are packed where they are in it, if nobody else has its bytes.
    ///
    /// # Errors
    /// `MODEL_FORMAT` where shapes do not fit each other, `UNSUPPORTED_OPERATOR` and
    /// `UNSUPPORTED_TYPE` for what this engine lacks, `OUT_OF_MEMORY` beyond the budget.
    pub fn new(model: Model, options: &SessionOptions) -> Result<Self> {
        let pool = Pool::new(options.threads);
        let SessionOptions { max_memory_bytes, input_shapes, .. } = options;
        let limits = Limits { max_memory_bytes: *max_memory_bytes, input_shapes };
        let graph = prepare(model, &limits, &Evaluator)?;
        let plan = compile(graph, &limits, pool.threads())?;
        Ok(Self::with_plan(plan, pool))
    }

    fn with_plan(plan: Plan, pool: Pool) -> Self {
        let arena = AlignedVec::zeroed(plan.arena_bytes);
        let scratch = AlignedVec::zeroed(plan.scratch_bytes * pool.threads());
        let times_ms = vec![0.0; plan.steps.len()];
        Self { plan, arena, scratch, pool, times_ms }
    }

    /// The tensors that a caller writes: name, type, shape, quantisation.
    pub fn inputs(&self) -> &[Tensor] {
        &self.plan.input_tensors
    }

    /// The tensors that a caller reads.
    pub fn outputs(&self) -> &[Tensor] {
        &self.plan.output_tensors
    }

    /// The elements of input `index`, little-endian, aligned to a cache line. They keep their
    /// values from run to run.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such input.
    pub fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]> {
        let Some(range) = self.plan.inputs.get(index) else {
            return Err(no_such("input", index, self.plan.inputs.len()));
        };
        Ok(&mut self.arena[range.clone()])
    }

    /// The elements of output `index` of the last run, little-endian, aligned to a cache line.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such output.
    pub fn output_bytes(&self, index: usize) -> Result<&[u8]> {
        match self.plan.outputs.get(index) {
            Some(Place::Arena(range)) => Ok(&self.arena[range.clone()]),
            Some(Place::Constant(constant)) => Ok(&self.plan.constants[*constant]),
            None => Err(no_such("output", index, self.plan.outputs.len())),
        }
    }

    /// Computes the outputs from the inputs. Allocates nothing.
    ///
    /// # Errors
    /// `INVALID_INPUT` where the inputs make an operator fail: an index out of range, an integer
    /// divided by zero.
    pub fn run(&mut self) -> Result<()> {
        let Self { plan, arena, scratch, pool, .. } = self;
        for step in &plan.steps {
            run_step(step, &plan.constants, arena, scratch, pool)?;
        }
        Ok(())
    }

    /// Runs `runs` times over the inputs as they are and reports the median of each operator.
    /// `clock` gives milliseconds.
    ///
    /// # Errors
    /// `INVALID_OPTION` where `runs` is 0, and what [`Session::run`] gives.
    pub fn profile(
        &mut self,
        runs: usize,
        clock: &dyn Fn() -> f64,
    ) -> Result<Vec<OperatorProfile>> {
        if runs == 0 {
            return Err(Error::invalid_option("runs: must be 1 or more, is 0"));
        }
        let mut times = vec![Vec::with_capacity(runs); self.plan.steps.len()];
        for _ in 0..runs {
            let Self { plan, arena, scratch, pool, times_ms } = self;
            for (step, time_ms) in plan.steps.iter().zip(times_ms) {
                let start = clock();
                run_step(step, &plan.constants, arena, scratch, pool)?;
                *time_ms = clock() - start;
            }
            for (times, &time) in times.iter_mut().zip(&self.times_ms) {
                times.push(time);
            }
        }
        let medians: Vec<f64> = times
            .iter()
            .map(|times| {
                let sorted = order(times.len(), &|a, b| times[a].total_cmp(&times[b]));
                times[sorted[times.len() / 2]]
            })
            .collect();
        let total: f64 = medians.iter().sum();
        let profile = |(index, (step, median_ms)): (usize, (&PlannedStep, f64))| OperatorProfile {
            index,
            operator: step.operator,
            kernel: step.step.kernel(),
            name: step.name.clone(),
            median_ms,
            macs: step.step.macs(),
            share: if total > 0.0 { median_ms / total } else { 0.0 },
        };
        Ok(self.plan.steps.iter().zip(medians).enumerate().map(profile).collect())
    }

    /// Activations, scratch, packed weights and constants.
    pub fn memory_bytes(&self) -> usize {
        self.arena.size_bytes() + self.scratch.size_bytes() + self.plan.weight_bytes
    }
}

/// Computes constants by the kernels that run models.
struct Evaluator;

impl Evaluate for Evaluator {
    fn evaluate(&self, graph: Graph, limits: &Limits) -> Result<Vec<Bytes>> {
        let plan = compile_constant(&graph, limits)?;
        let mut session = Session::with_plan(plan, Pool::new(1));
        let index = graph.nodes.first().map_or(0, |node| node.index);
        session.run().map_err(|error| error.with("index", index))?;
        let read = |at: usize| session.output_bytes(at).map(|bytes| Bytes::from(bytes.to_vec()));
        (0..graph.outputs.len()).map(read).collect()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("inputs", &self.plan.input_tensors)
            .field("outputs", &self.plan.output_tensors)
            .field("steps", &self.plan.steps.len())
            .field("memory_bytes", &self.memory_bytes())
            .finish()
    }
}

fn no_such(what: &str, index: usize, count: usize) -> Error {
    let message = format!("{what} {index}: the model has {count}");
    Error::new(ErrorCode::InvalidInput, message).with("index", index).with("count", count)
}

/// Finds the step's tensors in the arena and the constants, and runs it.
fn run_step(
    step: &PlannedStep,
    constants: &[AlignedVec<u8>],
    arena: &mut [u8],
    scratch: &mut [u8],
    pool: &Pool,
) -> Result<()> {
    // The plan gives each step distinct ranges that do not overlap: a tensor that is read twice
    // is borrowed once. Unused places are the empty range 0..0.
    let [a, b, c, d, e, f, g, h] = arena
        .get_disjoint_mut(step.borrows.clone())
        .expect("the arena plan keeps the tensors of a step apart");
    let (borrowed, outputs): ([&[u8]; MAX_OPERANDS], _) = ([a, b, c, d], [e, f, g, h]);
    let mut inputs: [&[u8]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
    for (input, source) in inputs.iter_mut().zip(&step.inputs) {
        *input = match *source {
            Source::Borrow(place) => borrowed[place],
            Source::Constant(constant) => &constants[constant],
        };
    }
    let mut operands = Operands { inputs, outputs, scratch, pool, fault: None };
    step.step.run(&mut operands);
    match operands.fault {
        None => Ok(()),
        Some(fault) => Err(failed(step, fault)),
    }
}

#[cold]
#[inline(never)]
fn failed(step: &PlannedStep, fault: &str) -> Error {
    let message = format!("{} {:?}: {fault}", step.operator, step.name);
    Error::new(ErrorCode::InvalidInput, message).with("operator", step.operator)
}
