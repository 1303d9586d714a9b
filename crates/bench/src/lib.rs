//! Measures kernels and models, natively and in a browser: `cargo xtask bench`.
//!
//! Every operator is measured in the same run as the register-only loop of the instructions that
//! it is made of, so that its share of that ceiling means something on any machine.
#![forbid(unsafe_code)]

mod ceiling;
mod clock;
mod layers;
mod models;

use achado_kernels::simd::{Native, Simd};
use serde_json::{Value, json};

/// Ceilings, then each operator over the layers of real networks.
///
/// `{ simd, ceilings: { name: gmacs }, operators: [{ operator, layer, gmacs, ceiling, share }] }`
pub fn operators() -> Value {
    let ceilings = ceiling::all();
    let operators = layers::all(&ceilings);
    json!({ "simd": Native::NAME, "ceilings": ceilings, "operators": operators })
}

pub use models::model;

#[cfg(target_arch = "wasm32")]
mod browser {
    use wasm_bindgen::prelude::wasm_bindgen;

    /// [`crate::operators`] as JSON.
    #[wasm_bindgen(js_name = operators)]
    pub fn operators() -> String {
        crate::operators().to_string()
    }

    /// [`crate::model`] as JSON; an error is `{ "error": message }`.
    #[wasm_bindgen(js_name = model)]
    pub fn model(bytes: Vec<u8>, runs: usize) -> String {
        crate::model(bytes, runs).to_string()
    }
}
