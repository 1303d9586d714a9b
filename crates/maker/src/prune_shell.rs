//! Pruning for JavaScript.

use achado_engine::SessionOptions;
use achado_model::{Bytes, Error, Model, Result, tflite};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::object::{Fields, array, number, object};
use super::{error, preparation, single_input};
use crate::macs::total_macs;
use crate::prune::{Choice, Method, Pruned, PrunedLayer, Pruner as Pruning, agreement};
use crate::quantize::float_model;

/// Every fifth picture is held back to compare, up to so many: as input tensors they are large.
const HELD_BACK: (usize, usize) = (5, 32);
/// Targets that are tried below one that costs too much.
const TRIES: usize = 4;

/// A float model that is pruned by what pictures show.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Pruner {
    pruning: Pruning,
    method: Method,
    held_back: Vec<Vec<u8>>,
    pictures: usize,
}

#[wasm_bindgen]
impl Pruner {
    /// Opens the bytes of a float `.tflite` model.
    ///
    /// # Errors
    /// Those of [`tflite::read`], [`float_model`] and [`Pruning::new`]; `UNSUPPORTED_TYPE` where the model
    /// has another input beside the picture.
    #[wasm_bindgen(constructor)]
    pub fn new(
        model: Vec<u8>,
        #[wasm_bindgen(unchecked_param_type = "{ method: string; exclude: readonly string[] }")]
        options: &JsValue,
    ) -> Result<Pruner, JsValue> {
        Self::open(model, options).map_err(error::thrown)
    }

    fn open(model: Vec<u8>, options: &JsValue) -> Result<Self> {
        let fields = Fields::of(options);
        let methods = [("channels", Method::Channels), ("weights", Method::Weights)];
        let method = fields.choice("method", &methods)?;
        let method = method.ok_or_else(|| {
            Error::invalid_option("method: needs \"channels\" or \"weights\"")
                .with("option", "method")
        })?;
        let exclude = fields.strings("exclude")?.unwrap_or_default();
        let float = float_model(tflite::read(Bytes::from(model))?)?;
        single_input(&float, "pruning")?;
        let pruning = Pruning::new(float, method, &exclude, &SessionOptions::default())?;
        Ok(Self { pruning, method, held_back: Vec::new(), pictures: 0 })
    }

    /// A `.tflite` file that gives the model's input for a picture; see `Quantizer.preparation`.
    ///
    /// # Errors
    /// Those of [`tflite::write`].
    pub fn preparation(&self) -> Result<Vec<u8>, JsValue> {
        preparation(self.pruning.model()).map_err(error::thrown)
    }

    /// Takes one picture as the model's input.
    ///
    /// # Errors
    /// Those of [`Pruning::add`].
    pub fn add(&mut self, elements: &[f32]) -> Result<(), JsValue> {
        let sample: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        let (every, most) = HELD_BACK;
        self.pictures += 1;
        if self.pictures.is_multiple_of(every) && self.held_back.len() < most {
            self.held_back.push(sample);
            return Ok(());
        }
        self.pruning.add(&[&sample]).map_err(error::thrown)
    }

    /// Prunes.
    ///
    /// # Errors
    /// Those of [`Pruning::cut_channels`], [`Pruning::zero_weights`] and [`tflite::write`];
    /// `INVALID_OPTION` where `maxDrop` cannot be held: `best` of its details is the greatest target that
    /// was found to hold it.
    #[wasm_bindgen(unchecked_return_type = "import('../../maker/prune.js').PruneResult")]
    pub fn finish(
        self,
        #[wasm_bindgen(unchecked_param_type = "import('../../maker/prune.js').PruneRequest")]
        options: &JsValue,
    ) -> Result<JsValue, JsValue> {
        self.prune(options).map_err(error::thrown)
    }

    fn at(&self, target: f64) -> Result<(Pruned, Option<f64>)> {
        let pruned = match self.method {
            Method::Channels => self.pruning.cut_channels(target)?,
            Method::Weights => self.pruning.zero_weights(target, Choice::Error)?,
        };
        if self.held_back.is_empty() {
            return Ok((pruned, None));
        }
        let session = SessionOptions::default();
        let agreed = agreement(self.pruning.model(), &pruned.model, &self.held_back, &session)?;
        Ok((pruned, Some(agreed)))
    }

    fn prune(&self, options: &JsValue) -> Result<JsValue> {
        let fields = Fields::of(options);
        let target = fields.number("target")?.ok_or_else(|| {
            Error::invalid_option("target: needs a share, such as 0.25").with("option", "target")
        })?;
        let most = fields.number("maxDrop")?;
        if most.is_some_and(|most| !(0.0..=100.0).contains(&most)) {
            return Err(Error::invalid_option("maxDrop: must be percent from 0 to 100")
                .with("option", "maxDrop"));
        }
        let (pruned, agreed) = self.at(target)?;
        if let Some(most) = most {
            self.check_drop(target, agreed, most)?;
        }
        let (float, model) = (self.pruning.model(), &pruned.model);
        let file = tflite::write(model)?;
        Ok(object([
            ("model", Uint8Array::from(&file[..]).into()),
            ("pictures", number(self.pictures)),
            ("compared", number(self.held_back.len())),
            ("agreement", agreed.map_or(JsValue::NULL, JsValue::from)),
            ("reached", pruned.reached.into()),
            ("macs", macs(float, model)),
            ("layers", array(&pruned.layers, layer)),
        ])
        .into())
    }

    /// Refuses what costs too much, with the greatest target that does not.
    fn check_drop(&self, target: f64, agreed: Option<f64>, most: f64) -> Result<()> {
        let Some(agreed) = agreed else {
            return Err(Error::not_enough_data(format!(
                "maxDrop needs pictures to compare with, every fifth is: there are {}",
                self.pictures
            ))
            .with("found", self.pictures));
        };
        let drop = |agreed: f64| 100.0 * (1.0 - agreed);
        if drop(agreed) <= most + 1e-9 {
            return Ok(());
        }
        let (mut holds, mut fails) = (0.0, target);
        for _ in 0..TRIES {
            let middle = f64::midpoint(holds, fails);
            let tried = self.at(middle)?.1.unwrap_or(0.0);
            match drop(tried) <= most + 1e-9 {
                true => holds = middle,
                false => fails = middle,
            }
        }
        let best = (holds * 1000.0).floor() / 1000.0;
        let found = match holds > 0.0 {
            true => format!("the greatest target that was found to hold it is {best}"),
            false => format!("no target down to {fails:.3} holds it"),
        };
        Err(Error::invalid_option(format!(
            "maxDrop: pruned by {target}, the model gives another class for {:.1} % of the {} pictures held \
             back, more than {most} %; {found}",
            drop(agreed),
            self.held_back.len()
        ))
        .with("option", "maxDrop")
        .with("best", best)
        .with("agreement", agreed))
    }
}

fn macs(float: &Model, model: &Model) -> JsValue {
    let (before, after) = (total_macs(float) as f64, total_macs(model) as f64);
    object([("before", before.into()), ("after", after.into())]).into()
}

fn layer(layer: &PrunedLayer) -> JsValue {
    object([
        ("name", layer.name.as_str().into()),
        ("before", number(layer.before)),
        ("after", number(layer.after)),
        ("error", layer.error.into()),
    ])
    .into()
}
