//! The browser shell of achado: converts types between JavaScript and the rooms below, and
//! computes nothing. `js/` is the public TypeScript API over it.
#![forbid(unsafe_code)]

mod answer;
mod core;
mod error;
mod object;
mod options;

pub use crate::core::{Core, simd_level};
