//! Pure arithmetic on slices: no models, no browser, no allocation in the hot paths.
//!
//! `reference` holds the naive truth of every operator; the modules beside it hold the fast
//! kernel of the same name, written once over the vector trait in `simd`.

pub mod reference;
pub mod requant;
pub mod shape;
