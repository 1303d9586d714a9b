//! The quantizer for JavaScript. What is thrown is `{ code, message, detail }`.

// What is thrown, and how options are read, is the same in every wasm file.
#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/object.rs"]
#[allow(dead_code, reason = "the options need a part of it")]
mod object;

#[path = "inspect_shell.rs"]
mod inspect_shell;
#[path = "prune_shell.rs"]
mod prune_shell;

use achado_engine::SessionOptions;
use achado_model::{
    Bytes, DataType, Error, Model, Node, Operator, Result, Tensor, TensorId, tflite,
};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use self::object::{Fields, array, number, object};
use crate::quantize::{
    Calibration, Calibrator, Comparison, Int8Options, IoType, Range, RangeMethod, Weights8,
    float_model, to_float16, to_int8, to_weights8, with_islands,
};

/// Held back pictures that are kept: as input tensors they are large.
const MOST_HELD_BACK: usize = 64;

/// Runs once, when the wasm file is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(error::throw_panic));
}

/// A float model without pictures: `"float16"`, `"dynamic"` or `"int8-weights"`.
///
/// # Errors
/// Those of [`tflite::read`], [`to_float16`] and [`to_weights8`].
#[wasm_bindgen(js_name = compactModel)]
pub fn compact_model(
    model: Vec<u8>,
    to: &str,
    per_channel_dense: bool,
) -> Result<Vec<u8>, JsValue> {
    let run = || {
        let model = tflite::read(Bytes::from(model))?;
        let model = match to {
            "float16" => to_float16(model)?,
            "dynamic" => to_weights8(model, Weights8::Dynamic, per_channel_dense)?,
            "int8-weights" => to_weights8(model, Weights8::WeightsOnly, per_channel_dense)?,
            other => return Err(Error::invalid_option(format!("{other:?} is no quantization"))),
        };
        tflite::write(&model)
    };
    run().map_err(error::thrown)
}

/// A float model that is calibrated on pictures, every second of which is held back to compare.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Quantizer {
    float: Model,
    calibrator: Calibrator,
    held_back: Vec<Vec<Vec<u8>>>,
    pictures: usize,
}

#[wasm_bindgen]
impl Quantizer {
    /// Opens the bytes of a float `.tflite` model.
    ///
    /// # Errors
    /// Those of [`tflite::read`] and [`float_model`]; `UNSUPPORTED_TYPE` where the model has another input
    /// beside the picture.
    #[wasm_bindgen(constructor)]
    pub fn new(model: Vec<u8>) -> Result<Quantizer, JsValue> {
        Self::open(model).map_err(error::thrown)
    }

    fn open(model: Vec<u8>) -> Result<Self> {
        let float = float_model(tflite::read(Bytes::from(model))?)?;
        single_input(&float, "int8")?;
        let calibrator = Calibrator::new(&float, &SessionOptions::default())?;
        Ok(Self { float, calibrator, held_back: Vec::new(), pictures: 0 })
    }

    /// A `.tflite` file that gives its input as its output, and says of it what the model says: run on a
    /// picture, it gives the tensor that the model takes.
    ///
    /// # Errors
    /// Those of [`tflite::write`].
    #[wasm_bindgen(js_name = preparation)]
    pub fn preparation(&self) -> Result<Vec<u8>, JsValue> {
        preparation(&self.float).map_err(error::thrown)
    }

    /// Takes one picture as the model's input. The first is calibrated on, the second held back, and so
    /// on.
    ///
    /// # Errors
    /// Those of [`Calibrator::add`].
    pub fn add(&mut self, elements: &[f32]) -> Result<(), JsValue> {
        let sample: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        let held_back = self.pictures % 2 == 1 && self.held_back.len() < MOST_HELD_BACK;
        self.pictures += 1;
        if held_back {
            self.held_back.push(vec![sample]);
            return Ok(());
        }
        self.calibrator.add(&[&sample]).map_err(error::thrown)
    }

    /// Quantizes. What is compared is calibrated on the pictures that were not held back; the file on all.
    ///
    /// # Errors
    /// Those of [`Calibrator::finish`], [`to_int8`], [`with_islands`] and [`tflite::write`];
    /// `INVALID_INPUT` with a single picture.
    #[wasm_bindgen(unchecked_return_type = "import('../../maker/quantize.js').Int8Result")]
    pub fn finish(
        self,
        #[wasm_bindgen(unchecked_param_type = "import('../../maker/quantize.js').Int8Request")]
        options: &JsValue,
    ) -> Result<JsValue, JsValue> {
        self.quantize(options).map_err(error::thrown)
    }

    fn quantize(self, value: &JsValue) -> Result<JsValue> {
        let Self { float, mut calibrator, held_back, pictures, .. } = self;
        if pictures < 2 {
            return Err(Error::invalid_input(format!(
                "int8 needs some 100 pictures of the kind that the model will see, and two at the \
                 least; there {} {pictures}",
                if pictures == 1 { "is" } else { "are" }
            ))
            .with("found", pictures));
        }
        let fields = Fields::of(value);
        let mut options = int8_options(&fields)?;
        if fields.boolean("asModelSays")?.unwrap_or(false) {
            options.known_ranges.extend(input_range(&float, calibrator.calibration()));
        }
        let session = SessionOptions::default();
        let half = calibrator.calibration().clone();
        let max_drop = fields.number("maxDrop")?;
        let (comparison, islands, holds) = match max_drop {
            None => {
                let quantized = to_int8(&float, &half, &options)?;
                (quantized.compare(&held_back, &session)?, Vec::new(), true)
            }
            Some(drop) => {
                if !(0.0..=100.0).contains(&drop) {
                    return Err(Error::invalid_option(format!(
                        "maxDrop: must be percent from 0 to 100, is {drop}"
                    ))
                    .with("option", "maxDrop"));
                }
                let found =
                    with_islands(&float, &half, &held_back, &options, drop / 100.0, &session)?;
                (found.comparison, found.islands, found.holds)
            }
        };
        options.exclude.extend(islands.iter().cloned());
        for sample in &held_back {
            calibrator.add(&[&sample[0]])?;
        }
        let quantized = to_int8(&float, &calibrator.finish()?, &options)?;
        let float_operators = quantized.float_operators.clone();
        let file = tflite::write(&quantized.into_model())?;
        let names = |names: &[String]| array(names, |name| JsValue::from_str(name));
        Ok(object([
            ("model", Uint8Array::from(&file[..]).into()),
            ("pictures", number(pictures)),
            ("compared", number(comparison.samples)),
            ("agreement", comparison.top1_agreement.into()),
            ("holds", holds.into()),
            ("islands", names(&islands)),
            ("floatOperators", names(&float_operators)),
            ("layers", layers(&comparison)),
        ])
        .into())
    }
}

/// Refuses models that take anything but one picture of floats.
fn single_input(float: &Model, what: &str) -> Result<()> {
    let &[id] = &float.inputs[..] else {
        return Err(Error::unsupported_type(format!(
            "the model has {} inputs; {what} needs one, which takes pictures",
            float.inputs.len()
        )));
    };
    let input = float.tensor(id);
    if input.dtype == DataType::Float32 {
        return Ok(());
    }
    Err(Error::invalid_option(format!(
        "input {:?} is {}: {what} is made of models that take floats",
        input.name, input.dtype
    )))
}

/// A file that gives its input, which is `float`'s, as its output.
fn preparation(float: &Model) -> Result<Vec<u8>> {
    let input = Tensor { dynamic: Vec::new(), ..float.tensor(float.inputs[0]).clone() };
    let new_shape = input.shape.iter().map(|&size| size as i64).collect();
    let output = Tensor { name: "prepared".to_owned(), ..input.clone() };
    let metadata = float.metadata.clone().map(|mut file| {
        file.outputs.clear();
        file
    });
    let model = Model {
        tensors: vec![input, output],
        nodes: vec![Node {
            operator: Operator::Reshape { new_shape },
            inputs: vec![Some(TensorId(0))],
            outputs: vec![TensorId(1)],
        }],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(1)],
        metadata,
        ..Model::default()
    };
    tflite::write(&model)
}

/// What pixels of 0 to 255 become by the normalization in the file: pictures seldom show all of it. None
/// where a picture went beyond, since the file is then wrong about itself.
fn input_range(float: &Model, calibration: &Calibration) -> Option<(TensorId, Range)> {
    let &id = float.inputs.first()?;
    let file = float.metadata.as_ref()?.inputs.first()?.normalization.as_ref()?;
    let ends = file
        .mean
        .iter()
        .zip(&file.std)
        .flat_map(|(mean, std)| [0.0, 255.0].map(|pixel: f32| (pixel - mean) / std));
    let (low, high) = ends
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
    let known = Range { min: low, max: high };
    let seen = calibration.observed(id)?.range(RangeMethod::MinMax);
    let slack = (high - low) * 1e-3;
    // A range without 0 could not be written.
    let fits = low <= 0.0 && high >= 0.0 && seen.min >= low - slack && seen.max <= high + slack;
    (fits && known.min < known.max).then_some((id, known))
}

fn layers(comparison: &Comparison) -> JsValue {
    array(&comparison.layers, |layer| {
        object([
            ("operator", layer.operator.into()),
            ("name", layer.name.as_str().into()),
            ("rmseOverScale", layer.rmse_over_scale.into()),
            ("snrDb", layer.snr_db.into()),
            ("cosine", layer.cosine.into()),
        ])
        .into()
    })
}

fn int8_options(fields: &Fields<'_>) -> Result<Int8Options> {
    let default = Int8Options::default();
    let io_types = [("uint8", IoType::UInt8), ("int8", IoType::Int8), ("float32", IoType::Float32)];
    let ranges = [
        ("percentile", default.ranges),
        ("minmax", RangeMethod::MinMax),
        ("moving-average", RangeMethod::MovingAverage),
        ("mse", RangeMethod::Mse),
    ];
    Ok(Int8Options {
        io_type: fields.choice("ioType", &io_types)?.unwrap_or_default(),
        ranges: fields.choice("ranges", &ranges)?.unwrap_or(default.ranges),
        bias_correction: fields.boolean("biasCorrection")?.unwrap_or(default.bias_correction),
        equalization: fields.boolean("equalization")?.unwrap_or(default.equalization),
        per_channel_dense: fields.boolean("perChannelDense")?.unwrap_or(default.per_channel_dense),
        exclude: fields.strings("exclude")?.unwrap_or_default(),
        known_ranges: Vec::new(),
    })
}
