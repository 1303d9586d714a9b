//! The importer for JavaScript.

// What is thrown looks the same from every wasm file.
#[path = "../../../src/error.rs"]
mod error;
#[allow(dead_code, reason = "the errors need a part of it")]
#[path = "../../../src/object.rs"]
mod object;

use achado_model::{Bytes, Error, LabelFile};
use wasm_bindgen::prelude::*;

use crate::{Channels, ImportOptions, Preprocessing, convert, elsewhere};

/// Sends panics to the caller.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(error::throw_panic));
}

/// A conversion with its options.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Conversion {
    options: ImportOptions,
}

#[wasm_bindgen]
impl Conversion {
    /// A conversion without options.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The shape of an input, in the order of the ONNX file's dimensions.
    #[wasm_bindgen(js_name = setInputShape)]
    pub fn set_input_shape(&mut self, name: String, shape: Vec<u32>) -> Result<(), JsValue> {
        let shape: Result<Vec<usize>, _> = shape.into_iter().map(usize::try_from).collect();
        let shape = shape.map_err(|_| {
            error::thrown(Error::invalid_option("inputShapes: a dimension is too large"))
        })?;
        self.options.input_shapes.push((name, shape));
        Ok(())
    }

    /// What pixels become before they are the input: `(x - mean) / std`.
    #[wasm_bindgen(js_name = setPreprocessing)]
    pub fn set_preprocessing(&mut self, mean: Vec<f32>, std: Vec<f32>, is_bgr: bool) {
        let channels = if is_bgr { Channels::Bgr } else { Channels::Rgb };
        self.options.preprocessing = Some(Preprocessing { mean, std, channels });
    }

    /// The names of the classes, by index.
    ///
    /// # Errors
    /// Throws `{ code, message, detail }`.
    #[wasm_bindgen(js_name = setLabels)]
    pub fn set_labels(&mut self, labels: Vec<String>) -> Result<(), JsValue> {
        self.keep_labels(LabelFile::from_lines(&labels))
    }

    /// The same as the bytes of a label file.
    ///
    /// # Errors
    /// Throws `{ code, message, detail }`.
    #[wasm_bindgen(js_name = setLabelFile)]
    pub fn set_label_file(&mut self, labels: &[u8]) -> Result<(), JsValue> {
        self.keep_labels(LabelFile::read(labels))
    }

    /// Lets achado give and take tensors in the order of the ONNX file's dimensions.
    #[wasm_bindgen(js_name = keepOrder)]
    pub fn keep_order(&mut self) {
        self.options.keep_order = true;
    }

    /// The bytes of the `.tflite` file.
    ///
    /// # Errors
    /// Throws `{ code, message, detail }`.
    pub fn convert(self, file: Vec<u8>) -> Result<Vec<u8>, JsValue> {
        let file = Bytes::from(file);
        convert(file.clone(), &self.options).map_err(|error| {
            // Said for those who may ask tract.
            let other = elsewhere::check_file(&file, &self.options);
            error::thrown(match other {
                Ok(()) => error.with("fallback", "tract"),
                Err(reason) => error.with("tract", reason.message.into_owned()),
            })
        })
    }
}

impl Conversion {
    fn keep_labels(&mut self, labels: achado_model::Result<LabelFile>) -> Result<(), JsValue> {
        let labels = labels.map_err(|error| error::thrown(error.in_option("labels")))?;
        self.options.labels = Some(labels.names);
        Ok(())
    }
}
