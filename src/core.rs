//! The one class that JavaScript sees: a classifier and room for a picture.

use achado_model::{Error, Result};
use achado_vision::{Classifier, Picture, PixelFormat};
use wasm_bindgen::prelude::*;

use crate::{answer, error, options};

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the page, worker or process began.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn now_ms() -> f64;
}

/// Runs once, when the wasm file is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(error::throw_panic));
}

/// The vector level of this file's kernels: `simd128` or `relaxed`.
#[must_use]
#[wasm_bindgen(js_name = simdLevel, unchecked_return_type = "'simd128' | 'relaxed'")]
pub fn simd_level() -> String {
    achado_engine::SIMD.to_owned()
}

/// A classifier. Everything that it throws is `{ code, message, detail }`.
#[wasm_bindgen]
pub struct Core {
    classifier: Classifier,
    /// The pixels of one picture, RGBA, kept from picture to picture.
    pixels: Vec<u8>,
}

#[wasm_bindgen]
impl Core {
    /// Compiles a model. Its bytes are copied into wasm's memory once, and kept no longer than
    /// their weights are needed.
    ///
    /// # Errors
    /// Those of [`Classifier::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        model: Vec<u8>,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').CoreOptions")]
        options: &JsValue,
    ) -> Result<Core, JsValue> {
        let options = options::classifier_options(options).map_err(error::thrown)?;
        let classifier = Classifier::new(model, options).map_err(error::thrown)?;
        Ok(Self { classifier, pixels: Vec::new() })
    }

    /// Makes room for a picture of `bytes` bytes, and gives its address in wasm's memory. The
    /// caller writes the pixels there and then calls [`Core::classify`].
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    pub fn frame(&mut self, bytes: usize) -> Result<usize, JsValue> {
        if bytes < self.pixels.capacity() / 8 {
            // One large photo must not hold its memory for ever.
            self.pixels = Vec::new();
        }
        if let Some(more) = bytes.checked_sub(self.pixels.len())
            && self.pixels.try_reserve_exact(more).is_err()
        {
            return Err(error::thrown(out_of_memory(bytes)));
        }
        self.pixels.resize(bytes, 0);
        Ok(self.pixels.as_ptr().addr())
    }

    /// What the picture shows whose pixels were written to [`Core::frame`].
    ///
    /// # Errors
    /// Those of [`Classifier::classify`], and `INVALID_OPTION` for options of a wrong type.
    #[wasm_bindgen(unchecked_return_type = "import('../../types.js').ClassifierResult")]
    pub fn classify(
        &mut self,
        width: usize,
        height: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').FrameGeometry")]
        frame: &JsValue,
    ) -> Result<JsValue, JsValue> {
        let picture = Picture { pixels: &self.pixels, width, height, format: PixelFormat::Rgba8 };
        let mut run = || {
            let (smoothing, frame) = (options::smoothing(frame)?, options::frame_options(frame)?);
            self.classifier.classify_smoothed(&picture, &frame, smoothing.as_ref(), &now_ms)
        };
        run().map(|result| answer::result(&result)).map_err(error::thrown)
    }

    /// Replaces all options.
    ///
    /// # Errors
    /// `INVALID_OPTION`; then the old ones stay in force.
    #[wasm_bindgen(js_name = setOptions)]
    pub fn set_options(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').CoreOptions")]
        options: &JsValue,
    ) -> Result<(), JsValue> {
        options::classifier_options(options)
            .and_then(|options| self.classifier.set_options(options))
            .map_err(error::thrown)
    }

    /// What the model says about itself.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "import('../../types.js').ModelMetadata")]
    pub fn metadata(&self) -> JsValue {
        answer::metadata(self.classifier.metadata())
    }

    /// Times each operator on the picture that was classified last.
    ///
    /// # Errors
    /// Those of [`achado_engine::Session::profile`].
    #[wasm_bindgen(unchecked_return_type = "import('../../types.js').OperatorProfile[]")]
    pub fn profile(&mut self, runs: usize) -> Result<JsValue, JsValue> {
        let operators = self.classifier.session_mut().profile(runs, &now_ms);
        operators.map(|operators| answer::profile(&operators)).map_err(error::thrown)
    }
}

fn out_of_memory(bytes: usize) -> Error {
    Error::new(
        achado_model::ErrorCode::OutOfMemory,
        format!("WebAssembly has no {bytes} bytes left for the picture; scale it down"),
    )
    .with("needed", bytes)
}
