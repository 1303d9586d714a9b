//! Runs models: a [`Session`] compiles a [`Model`](achado_model::Model) into a plan of steps over
//! one arena, and runs it without allocating.

#![deny(unsafe_code)]
// Builds with threads need a nightly compiler for the standard library, too.
#![cfg_attr(
    all(target_arch = "wasm32", target_feature = "atomics"),
    feature(stdarch_wasm_atomic_wait)
)]

mod compile;
// One output is written by several threads, each its own part.
#[allow(unsafe_code)]
mod pool;
mod primer;
mod session;
mod step;

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub use pool::helpers;
pub use primer::Primer;
pub use session::{OperatorProfile, Session, SessionOptions};

/// The vector level of this build's kernels: `portable`, `simd128` or `relaxed`.
pub const SIMD: &str = <achado_kernels::simd::Native as achado_kernels::simd::Simd>::NAME;
