//! The Maker for JavaScript. What is thrown is `{ code, message, detail }`.

// What is thrown, and how options are read, is the same in every wasm file.
#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/object.rs"]
#[allow(dead_code, reason = "the options need a part of it")]
mod object;
#[path = "../../../src/options.rs"]
#[allow(dead_code, reason = "pictures are prepared elsewhere")]
mod options;

use achado_model::{Error, Result};
use js_sys::{Float32Array, Float64Array};
use wasm_bindgen::prelude::*;

use self::object::{Fields, array, object};
use crate::export::{self, Export, HeadType};
use crate::train::{self, Kind, TrainOptions};

/// Runs once, when the wasm file is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(error::throw_panic));
}

/// A network cut before its last layer.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Base(export::Base);

#[wasm_bindgen]
impl Base {
    /// Cuts the bytes of a `.tflite` model.
    ///
    /// # Errors
    /// Those of [`export::Base::cut`].
    #[wasm_bindgen(constructor)]
    pub fn new(model: Vec<u8>) -> Result<Base, JsValue> {
        export::Base::cut(model).map(Base).map_err(error::thrown)
    }

    /// How many features an embedding has.
    #[must_use]
    pub fn features(&self) -> usize {
        self.0.features()
    }

    /// The type of the embedding's elements in the file.
    #[must_use]
    pub fn dtype(&self) -> String {
        self.0.embedding().dtype.name().to_owned()
    }

    /// The name, description and licence that the file had.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "{ name: string; author: string; license: string }")]
    pub fn described(&self) -> JsValue {
        let file = self.0.metadata();
        let text = |text: &String| JsValue::from_str(text);
        object([
            ("name", text(&file.name)),
            ("author", text(&file.author)),
            ("license", text(&file.license)),
        ])
        .into()
    }

    /// A `.tflite` file whose only output is the embedding.
    ///
    /// # Errors
    /// Those of [`export::Base::write`].
    pub fn write(&self) -> Result<Vec<u8>, JsValue> {
        self.0.write().map_err(error::thrown)
    }

    /// The network with a head behind it. `embeddings`, `[n, features]`, are those that it was trained
    /// on.
    ///
    /// # Errors
    /// Those of [`export::export`].
    pub fn export(
        &self,
        weights: Vec<f32>,
        bias: Vec<f32>,
        embeddings: Vec<f32>,
        #[wasm_bindgen(unchecked_param_type = "import('../../maker/maker.js').HeadDescription")]
        options: &JsValue,
    ) -> Result<Vec<u8>, JsValue> {
        let run = || {
            let options = export_options(weights, bias, options)?;
            export::export(&self.0, &options, &embeddings)
        };
        run().map_err(error::thrown)
    }
}

/// The head of an exported file alone, as a file.
///
/// # Errors
/// Those of [`export::head_only`].
#[wasm_bindgen(js_name = headOnly)]
pub fn head_only(model: Vec<u8>) -> Result<Vec<u8>, JsValue> {
    export::head_only(model).map_err(error::thrown)
}

/// The training of a head.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Training(train::Training);

#[wasm_bindgen]
impl Training {
    /// Pictures by their embeddings, `[n, features]`, their classes and sessions.
    ///
    /// # Errors
    /// Those of [`train::Training::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        embeddings: Vec<f32>,
        features: usize,
        labels: Vec<u32>,
        sessions: Vec<u32>,
        classes: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../maker/maker.js').HeadTraining")]
        options: &JsValue,
    ) -> Result<Training, JsValue> {
        let counts = |list: Vec<u32>| list.into_iter().map(|n| n as usize).collect::<Vec<_>>();
        let (labels, sessions) = (counts(labels), counts(sessions));
        let run = || {
            let options = train_options(options)?;
            train::Training::new(&embeddings, features, &labels, &sessions, classes, options)
        };
        run().map(Training).map_err(error::thrown)
    }

    /// Does a part of the work. Gives whether there is more.
    ///
    /// # Errors
    /// Those of [`train::Training::advance`].
    pub fn advance(&mut self) -> Result<bool, JsValue> {
        self.0.advance().map_err(error::thrown)
    }

    /// The share of the work that is done, 0 to 1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        self.0.progress()
    }

    /// What came out.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is more to be done.
    #[wasm_bindgen(unchecked_return_type = "import('../../maker/maker.js').TrainedHead")]
    pub fn finish(self) -> Result<JsValue, JsValue> {
        let trained = self.0.finish();
        let trained = trained
            .ok_or_else(|| error::thrown(Error::invalid_input("the training is not over")))?;
        let tried = array(&trained.tried, |tried| {
            object([
                ("l2", tried.strength.into()),
                ("loss", tried.loss.into()),
                ("accuracy", tried.accuracy.into()),
            ])
            .into()
        });
        Ok(object([
            ("weights", Float32Array::from(&trained.weights[..]).into()),
            ("bias", Float32Array::from(&trained.bias[..]).into()),
            ("l2", trained.strength.into()),
            ("temperature", (1.0 / trained.factor).into()),
            ("objective", trained.objective.into()),
            ("threshold", trained.threshold.into()),
            ("unseen", Float32Array::from(&trained.unseen[..]).into()),
            ("tried", tried),
        ])
        .into())
    }
}

/// The logits of a head for embeddings, `[n, features]`: `[n, classes]`.
#[must_use]
#[wasm_bindgen(js_name = headLogits)]
pub fn head_logits(
    weights: &[f32],
    bias: &[f32],
    embeddings: &[f32],
    features: usize,
) -> Float64Array {
    let mut logits = Vec::with_capacity(bias.len() * embeddings.len() / features.max(1));
    for embedding in embeddings.chunks_exact(features.max(1)) {
        logits.extend(train::head_logits(weights, bias, embedding));
    }
    Float64Array::from(&logits[..])
}

fn train_options(value: &JsValue) -> Result<TrainOptions> {
    let fields = Fields::of(value);
    let default = TrainOptions::default();
    let kinds = [("softmax", Kind::Softmax), ("lda", Kind::Lda), ("centroid", Kind::Centroid)];
    let seed = fields.number("seed")?.unwrap_or(0.0);
    Ok(TrainOptions {
        kind: fields.choice("head", &kinds)?.unwrap_or_default(),
        strength: fields.number("l2")?,
        balanced: fields.boolean("balanced")?.unwrap_or(default.balanced),
        calibrate: fields.boolean("calibrate")?.unwrap_or(default.calibrate),
        folds: fields.number("folds")?.map_or(default.folds, |folds| folds as usize),
        seed: seed.to_bits(),
        pass: fields.number("reject")?.unwrap_or(default.pass),
    })
}

fn export_options(weights: Vec<f32>, bias: Vec<f32>, value: &JsValue) -> Result<Export> {
    let fields = Fields::of(value);
    let text = |name| Ok(fields.string(name)?.unwrap_or_default());
    let mut display_names = Vec::new();
    if let Some(names) = fields.object("displayNames")? {
        let lists = Fields::nested(&names, "displayNames.");
        for locale in lists.names() {
            let list = lists.strings(&locale)?.unwrap_or_default();
            display_names.push((locale, list));
        }
    }
    let types = [("float32", HeadType::Float), ("int8", HeadType::Integer)];
    Ok(Export {
        weights,
        bias,
        labels: fields.strings("labels")?.unwrap_or_default(),
        display_names,
        head: fields.choice("head", &types)?.unwrap_or_default(),
        preprocess: options::preprocess(&fields)?,
        score_threshold: fields.number("scoreThreshold")?.map(|threshold| threshold as f32),
        name: text("name")?,
        description: text("description")?,
        version: text("version")?,
        author: text("author")?,
    })
}
