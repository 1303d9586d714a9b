//! The eyes of achado: pixels to tensor, tensor to categories.
//!
//! [`Preprocessor`] fills a model's input from a [`Picture`] (region, rotation, mirror, fit, resize,
//! normalise, quantise); [`Postprocessor`] turns its outputs into labelled categories;
//! [`ImageModel`] is any network with its pictures and tensors, [`Classifier`] one between the two.
#![forbid(unsafe_code)]

mod classifier;
mod classify;
mod embed;
mod ends;
mod file_order;
mod flatten;
mod frame;
mod graph_start;
mod heads;
mod image_model;
mod labels;
mod metadata;
mod options;
mod picture;
mod preprocess;
mod runner;
mod smoothing;
#[cfg(test)]
mod testing;

pub use classifier::{Classifier, ClassifierResult, Timings};
pub use classify::{Category, Classifications, Postprocessor};
pub use embed::{EmbedOptions, Embedding};
pub use ends::{OutputEnd, output_ends};
pub use flatten::Flatten;
pub use frame::{FrameOptions, Region};
pub use image_model::{ImageModel, MAX_BATCH};
pub use labels::Names;
pub use metadata::{HeadInfo, ModelMetadata, TensorInfo};
pub use options::{ClassifierOptions, ImageModelOptions, ScoreActivation, integer_option};
pub use picture::{MAX_SIDE, Picture, PixelFormat};
pub use preprocess::{Band, Channels, Fit, Preprocess, Preprocessor, Resize, STORED_PREPROCESS};
pub use runner::Runner;
pub use smoothing::Smoothing;
