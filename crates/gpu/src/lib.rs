//! The WebGPU backend: a model as a [`Recording`] of shaders, buffers and dispatches, plain data that
//! `src/js/gpu` plays in the browser.
//!
//! Tensors are NHWC with channels padded to 4: `vec4<f32>`, or four bytes in a `u32`, signed whatever the
//! model has. All activations share one buffer at offsets of 256 bytes; no textures. The whole network goes
//! to the GPU, but for a tail without products, which the CPU computes; or none of it.
#![forbid(unsafe_code)]

mod lower;
mod places;
mod recording;
#[cfg(target_arch = "wasm32")]
mod shell;
mod template;

pub use lower::{Limits, record};
pub use recording::{ALIGNMENT, Dispatch, Pipeline, Recording, Transfer};
