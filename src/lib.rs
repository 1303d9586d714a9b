//! The browser shell of achado: converts types between JavaScript and the rooms below, and
//! computes nothing. `js/` is the public TypeScript API over it.
#![forbid(unsafe_code)]

use wasm_bindgen::prelude::*;

/// The version of this build, as `package.json` has it.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
