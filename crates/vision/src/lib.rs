//! The eyes of achado: pixels to tensor, tensor to categories.
//!
//! [`Preprocessor`] fills a model's input from a [`Picture`] (region, rotation, mirror, fit, resize,
//! normalise, quantise); [`Postprocessor`] turns its outputs into labelled categories.
#![forbid(unsafe_code)]

mod classify;
mod frame;
mod labels;
mod options;
mod picture;
mod preprocess;
#[cfg(test)]
mod testing;

pub use classify::{Category, Classifications, Postprocessor};
pub use frame::{FrameOptions, Region};
pub use options::{ClassifierOptions, integer_option};
pub use picture::{MAX_SIDE, Picture, PixelFormat};
pub use preprocess::{Channels, Fit, Preprocess, Preprocessor, Resize};
