//! Reading and writing `.tflite` files (schema v3).

pub(crate) mod builtin;
mod missing;
mod operators;
mod outline;
mod reader;
mod schema;
mod sniff;
mod source_order;
mod sparsity;
mod tensors;
mod writer;

pub use outline::{Outline, OutlinedOperator, OutlinedTensor, outline};
pub use sniff::is_onnx;

use crate::{Bytes, Model, Result};

/// Reads and validates a model.
///
/// Constants are slices of `bytes` and copy nothing. Whatever the bytes are, this returns: it
/// follows no offset unchecked, does not recurse, takes time linear in the length of the file, and
/// allocates at most [`crate::limits::READ_BUDGET_BASE_BYTES`] +
/// [`crate::limits::READ_BUDGET_PER_BYTE`] × the file's length beside the file.
///
/// Only the main subgraph is read.
///
/// # Errors
/// - `MODEL_FORMAT`: the file is no `.tflite` (the message says what it looks like), is truncated,
///   or contradicts itself.
/// - `UNSUPPORTED_OPERATOR`: names every operator of the model that is missing here, with the index
///   and the output tensor of the first place where each stands.
/// - `UNSUPPORTED_TYPE`: a tensor has an element type or an encoding that is missing here.
/// - `OUT_OF_MEMORY`: the file claims more than the budget.
pub fn read(bytes: Bytes) -> Result<Model> {
    sniff::check(&bytes)?;
    let model = reader::Reader::open(&bytes)?.read()?;
    model.validate()?;
    Ok(model)
}

/// Writes a model with its metadata; the label files go into a zip at the end. The same model gives
/// the same bytes, and [`read`] gives the model back.
///
/// [`crate::Padding::Explicit`], which the format lacks, is written as a PAD before a convolution with
/// VALID padding.
///
/// # Errors
/// - `MODEL_FORMAT`: the model is not valid ([`Model::validate`]).
/// - `UNSUPPORTED_OPERATOR`: a pool with explicit padding.
/// - `INVALID_OPTION`: a label list that cannot be a file, such as a name of two lines.
/// - `OUT_OF_MEMORY`: the file would be larger than 2 GiB.
pub fn write(model: &Model) -> Result<Vec<u8>> {
    model.validate()?;
    writer::write(model)
}
