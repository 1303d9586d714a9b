//! Conformance to TensorFlow Lite: models of one operator over a grid of shapes, types and
//! attributes, each with TensorFlow Lite's recorded answers, run here and compared.
//!
//! `scripts/conformance` writes the cases; [`archive`] reads them, [`run`] runs and judges one,
//! [`promised`] is what it must not refuse,
//! [`table`] sums them up for `docs/operators.md` and remembers each in `status.tsv`.
#![forbid(unsafe_code)]

pub mod archive;
pub mod promised;
pub mod run;
pub mod table;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The operators that have cases, in alphabetical order.
pub fn operators() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(operator, _)| *operator)
}

/// The cases of an operator.
///
/// # Panics
/// If there is no such operator, or its file is damaged.
pub fn cases(operator: &str) -> Vec<archive::Case> {
    let (_, file) = FILES.iter().find(|(name, _)| *name == operator).expect("an operator");
    archive::read(file)
}
