//! What a caller allows a graph.

use std::collections::BTreeMap;

use achado_model::{Error, ErrorCode};

/// What passes hold to.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The most memory that one tensor, or all constants that are computed, may take.
    pub max_memory_bytes: usize,
    /// Shapes of inputs, by their index, that are not the file's.
    pub input_shapes: &'a BTreeMap<usize, Vec<usize>>,
}

impl Limits<'_> {
    /// The error for a model beyond the memory budget.
    pub fn out_of_memory(&self, needed: usize) -> Error {
        let limit = self.max_memory_bytes;
        let message = format!("the model needs {needed} bytes to run, the limit is {limit}");
        Error::new(ErrorCode::OutOfMemory, message).with("needed", needed).with("limit", limit)
    }
}
