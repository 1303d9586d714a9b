//! Encoded pictures to RGBA pixels, for places without a browser's decoders (Node).
//!
//! A wasm file of its own, so that what a browser downloads stays small.
#![forbid(unsafe_code)]

mod color;
mod decode;
mod shell;

pub use decode::{Decoded, decode};
