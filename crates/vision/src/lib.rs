//! The eyes of achado: pixels to tensor, tensor to categories.
//!
//! [`Preprocessor`] fills a model's input from a [`Picture`] (region, rotation, mirror, fit, resize,
//! normalise, quantise); [`Postprocessor`] turns its outputs into labelled categories;
//! [`Classifier`] puts a network between the two.
#![forbid(unsafe_code)]

mod classifier;
mod classify;
mod frame;
mod labels;
mod metadata;
mod options;
mod picture;
mod preprocess;
mod smoothing;
#[cfg(test)]
mod testing;

pub use classifier::{Classifier, ClassifierResult, Timings};
pub use classify::{Category, Classifications, Postprocessor};
pub use frame::{FrameOptions, Region};
pub use metadata::{ModelMetadata, TensorInfo};
pub use options::{ClassifierOptions, integer_option};
pub use picture::{MAX_SIDE, Picture, PixelFormat};
pub use preprocess::{Channels, Fit, Preprocess, Preprocessor, Resize};
pub use smoothing::Smoothing;
