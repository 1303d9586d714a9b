//! What comes between a model and a backend: a [`Graph`] that passes edit and backends read.
//!
//! [`prepare`] gives what every backend starts from: all shapes known, constants computed, operators
//! joined, those that several spell out named. The [`passes`] can be called one by one, too.
#![forbid(unsafe_code)]

mod evaluate;
pub mod geometry;
mod graph;
pub mod infer;
pub mod legal;
mod limits;
mod node_ref;
pub mod passes;
mod prepare;
mod uses;

pub use evaluate::Evaluate;
pub use graph::{Graph, IntegerProduct, Kind, Node, Normalization, Pattern, TfliteKernel};
pub use limits::Limits;
pub use node_ref::NodeRef;
pub use passes::constant_floats;
pub use prepare::prepare;
pub use uses::Uses;

/// Whether a pass changed the graph.
pub type Changed = bool;
