//! The browser shell of achado: converts types between JavaScript and the rooms below, and
//! computes nothing. `js/` is the public TypeScript API over it.
#![forbid(unsafe_code)]

mod answer;
mod core;
mod error;
mod object;
mod options;
mod runner;
// With threads the memory comes with the model: no instance is there before it.
#[cfg(not(all(target_arch = "wasm32", target_feature = "atomics")))]
mod primer;
#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
mod threads;

pub use crate::core::{Core, simd_level};
