//! What a worker does while the model is downloaded.

use wasm_bindgen::prelude::wasm_bindgen;

/// Gets the browser to compile what any model needs, while there is none yet.
#[derive(Default)]
#[wasm_bindgen]
pub struct Primer(crate::runner::Primer);

#[wasm_bindgen]
impl Primer {
    /// Nothing is done yet.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does a little; `false` where nothing is left to do. Nothing depends on it.
    pub fn step(&mut self) -> bool {
        self.0.step().unwrap_or(false)
    }
}
