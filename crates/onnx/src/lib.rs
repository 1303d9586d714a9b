//! ONNX models as [`Model`]s: NHWC, TensorFlow Lite's operators, quantised where ONNX is quantised.
//!
//! The importer reads ONNX's messages itself, without copying weights, and lowers node by node; a
//! value remembers how its dimensions lie in a tensor ([`view`]), so that transposes between
//! ONNX's `[n, c, h, w]` and the model's `[n, h, w, c]` never become operators. Every shape is
//! known while a model is imported: shape arithmetic is folded on the way.
#![forbid(unsafe_code)]

mod builder;
mod constant;
mod control;
pub mod elsewhere;
mod endings;
mod fold;
mod import;
mod inputs;
pub mod limits;
mod lower;
mod metadata;
mod outline;
mod patterns;
mod proto;
mod protobuf;
#[cfg(all(target_arch = "wasm32", feature = "shell"))]
mod shell;
mod site;
mod view;
mod weigh;

use achado_model::{Bytes, Model, Result, tflite};

pub use metadata::{Channels, Preprocessing};
pub use outline::{InputOutline, Outline, OutputOutline, outline};

/// How to import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Shapes of inputs, by name, in ONNX's order: for those that the file leaves open. An open
    /// first dimension, the batch, is 1 without it.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// What pixels become before they are the first input: goes into the model's metadata.
    pub preprocessing: Option<Preprocessing>,
    /// Names of the classes of the first output, by index: go into the model's metadata, in place of
    /// those that the file has.
    pub labels: Option<Vec<String>>,
    /// Note in the model how its inputs and outputs lie in the ONNX file, so that achado gives and
    /// takes them in that order. Other runtimes read no such note.
    pub keep_order: bool,
}

/// Imports an ONNX file.
///
/// Pictures, of `[n, c, h, w]` in ONNX, are `[n, h, w, c]` in the model, inputs and outputs
/// included: [`Model::source_order`] says which, with [`ImportOptions::keep_order`]. Whatever the bytes are, this returns: it allocates at most
/// [`limits::IMPORT_BUDGET_BASE_BYTES`] + [`limits::IMPORT_BUDGET_PER_BYTE`] × the file's length
/// beside the file.
///
/// # Errors
/// - `MODEL_FORMAT`: the file is no ONNX model, is truncated, or contradicts itself; weights that
///   lie in other files are named.
/// - `UNSUPPORTED_OPERATOR`: names the ONNX operator, the node, its opset and the attribute.
/// - `UNSUPPORTED_TYPE`: an element type that is missing here.
/// - `INVALID_OPTION`: an open dimension, an input shape or a label list that does not fit.
/// - `OUT_OF_MEMORY`: the file asks for more than the budget.
pub fn import(bytes: Bytes, options: &ImportOptions) -> Result<Model> {
    let (mut model, said) = import::import(&bytes, options)?;
    metadata::describe(&mut model, options, said)?;
    Ok(model)
}

/// Imports an ONNX file and writes it as `.tflite`.
///
/// # Errors
/// Those of [`import`].
pub fn convert(bytes: Bytes, options: &ImportOptions) -> Result<Vec<u8>> {
    tflite::write(&import(bytes, options)?)
}
