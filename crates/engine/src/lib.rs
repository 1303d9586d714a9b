//! Runs models: a [`Session`] compiles a [`Model`](achado_model::Model) into a plan of steps over
//! one arena, and runs it without allocating.

mod compile;
mod pool;
mod session;
mod step;

pub use session::{OperatorProfile, Session, SessionOptions};

/// The vector level of this build's kernels: `portable`, `simd128` or `relaxed`.
pub const SIMD: &str = <achado_kernels::simd::Native as achado_kernels::simd::Simd>::NAME;
