//! What a worker does while the model is downloaded.

#[cfg(not(feature = "tract"))]
use achado_engine::Primer as Steps;
use wasm_bindgen::prelude::wasm_bindgen;

/// A small network, as a file. A test of the engine writes it.
#[cfg(not(feature = "tract"))]
const FILE: &[u8] = include_bytes!("primer.tflite");

/// tract is loaded when its model is there: there is nothing to do before.
#[cfg(feature = "tract")]
#[derive(Default)]
struct Steps;

#[cfg(feature = "tract")]
impl Steps {
    fn step(&mut self) -> Option<bool> {
        None
    }
}

#[cfg(feature = "tract")]
const FILE: &[u8] = &[];

/// Gets the browser to compile what any model needs, while there is none yet.
#[derive(Default)]
#[wasm_bindgen]
pub struct Primer(Steps);

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

    /// A small model, to be opened as any other.
    #[must_use]
    pub fn model(&self) -> Vec<u8> {
        FILE.to_vec()
    }
}
