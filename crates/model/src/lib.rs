//! The model in the middle of achado: TensorFlow Lite's meaning in plain Rust types.
//!
//! Readers ([`tflite`]) turn bytes into a validated [`Model`]; the engine compiles it; tools are
//! functions `Model -> Model`. Tensors are NHWC, quantisation is affine, operators carry
//! TensorFlow Lite's names and attributes.
#![forbid(unsafe_code)]

mod bytes;
mod dtype;
mod error;
mod flatbuffer;
mod flatbuffer_writer;
mod flexbuffer;
pub mod limits;
pub mod metadata;
mod model;
mod operator;
mod operator_table;
mod prune;
mod quantization;
mod tensor;
pub mod tflite;
mod validate;

pub use bytes::Bytes;
pub use dtype::DataType;
pub use error::{Detail, Error, ErrorCode, Result};
pub use metadata::{LabelFile, Labels, Metadata, Normalization, TensorMetadata, Trainer};
pub use model::{Model, Node, Signature, SourceOrder};
pub use operator::{Activation, DetectionPostProcess, Operator, Padding};
pub use operator_table::OperatorKind;
pub use prune::prune;
pub use quantization::Quantization;
pub use tensor::{Tensor, TensorId};
