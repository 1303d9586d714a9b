//! The steps of a model, whose tensors have no places yet.

use achado_kernels::aligned::AlignedVec;
use achado_model::TensorId;

use crate::step::Step;

/// A step with its tensors, not yet placed.
pub(crate) struct LoweredStep {
    pub step: Box<dyn Step>,
    pub operator: &'static str,
    /// The operator's first result, by which profiles name it.
    pub result: Option<TensorId>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
}

/// All steps of a model.
pub(crate) struct Lowered {
    pub steps: Vec<LoweredStep>,
    pub constants: Vec<AlignedVec<u8>>,
    /// By tensor: its place in `constants`.
    pub constant_of: Vec<Option<usize>>,
    /// By tensor: the tensor whose memory it is a view of; itself for most.
    pub view_of: Vec<TensorId>,
    /// By tensor: its size. The last ones are no tensors of the model but temporaries of steps.
    pub sizes_bytes: Vec<usize>,
}

impl Lowered {
    /// The tensor whose memory `id` lives in.
    pub fn resolve(&self, id: TensorId) -> TensorId {
        self.view_of[id.0]
    }

    /// The place of a constant that steps read as a tensor.
    pub fn constant_of(&self, id: TensorId) -> Option<usize> {
        self.constant_of[self.resolve(id).0]
    }

    /// How many tensors and temporaries there are.
    pub fn tensors(&self) -> usize {
        self.sizes_bytes.len()
    }

    /// The size of a tensor or temporary.
    pub fn size_bytes(&self, id: TensorId) -> usize {
        self.sizes_bytes[id.0]
    }
}
