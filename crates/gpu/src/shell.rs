//! The recorder for JavaScript. What is thrown is `{ code, message, detail }`.

// What is thrown is the same in every wasm file.
#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/object.rs"]
#[allow(dead_code, reason = "errors need a part of it")]
mod object;

use achado_model::{Bytes, tflite};
use wasm_bindgen::prelude::*;

use crate::{Limits, Recording, record};

/// Runs once, when the wasm file is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(error::throw_panic));
}

/// A recorded model.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Recorded {
    recording: Recording,
}

#[wasm_bindgen]
impl Recorded {
    /// Records the bytes of a `.tflite` model for a device with these limits.
    ///
    /// # Errors
    /// Those of [`tflite::read`] and [`record`].
    #[wasm_bindgen(constructor)]
    pub fn new(model: Vec<u8>, binding_bytes: f64, buffer_bytes: f64) -> Result<Recorded, JsValue> {
        let limits =
            Limits { binding_bytes: binding_bytes as usize, buffer_bytes: buffer_bytes as usize };
        let open = || record(tflite::read(Bytes::from(model))?, limits);
        open().map(|recording| Self { recording }).map_err(error::thrown)
    }

    /// All but the blobs, as JSON.
    #[must_use]
    pub fn plan(&self) -> String {
        self.recording.to_json()
    }

    /// The buffer of weights.
    #[must_use]
    pub fn weights(&self) -> Vec<u8> {
        self.recording.weights.clone()
    }

    /// The buffer of parameters.
    #[must_use]
    pub fn params(&self) -> Vec<u8> {
        self.recording.params.clone()
    }

    /// The file of what the CPU computes after the GPU, if anything.
    #[must_use]
    pub fn tail(&self) -> Option<Vec<u8>> {
        self.recording.tail.clone()
    }
}
