//! JavaScript's options as those of the rooms below, which check their values.

use achado_model::{LabelFile, Result};
use achado_vision::{
    Channels, ClassifierOptions, EmbedOptions, Fit, FrameOptions, ImageModelOptions, Preprocess,
    Region, Resize, ScoreActivation, Smoothing, integer_option,
};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};

use super::object::Fields;

/// Whether the model is opened as a classifier.
pub fn classifies(value: &JsValue) -> Result<bool> {
    let task = Fields::of(value).choice("task", &[("classifier", true), ("tensors", false)])?;
    Ok(task.unwrap_or(true))
}

/// `CoreOptions` of `js/engine.ts`.
pub fn classifier_options(value: &JsValue) -> Result<ClassifierOptions> {
    let fields = Fields::of(value);
    Ok(ClassifierOptions {
        model: ImageModelOptions {
            preprocess: preprocess(&fields)?,
            input_shapes: input_shapes(&fields)?,
            batch_size: count(&fields, "batchSize")?,
            threads: count(&fields, "threads")?,
        },
        heads: fields.strings("heads")?.unwrap_or_default(),
        activation: fields
            .choice(
                "activation",
                &[
                    ("none", ScoreActivation::None),
                    ("softmax", ScoreActivation::Softmax),
                    ("sigmoid", ScoreActivation::Sigmoid),
                ],
            )?
            .unwrap_or_default(),
        labels: labels(&fields)?,
        max_results: integer(&fields, "maxResults")?,
        // Thresholds are f32 below: JavaScript's double is rounded to the nearest.
        score_threshold: fields.number("scoreThreshold")?.map(|threshold| threshold as f32),
        display_names_locale: fields.string("displayNamesLocale")?,
        category_allowlist: fields.strings("categoryAllowlist")?.unwrap_or_default(),
        category_denylist: fields.strings("categoryDenylist")?.unwrap_or_default(),
    })
}

/// Names by index: a list, or the bytes of a label file.
fn labels(options: &Fields<'_>) -> Result<Option<Vec<String>>> {
    let Some(value) = options.get("labels") else { return Ok(None) };
    let file = match value.dyn_ref::<Uint8Array>() {
        Some(bytes) => LabelFile::read(&bytes.to_vec()),
        None => LabelFile::from_lines(&options.strings("labels")?.unwrap_or_default()),
    };
    file.map(|file| Some(file.names)).map_err(|error| error.in_option("labels"))
}

/// Negative numbers count as 1, as 0 does.
fn count(fields: &Fields<'_>, name: &str) -> Result<usize> {
    Ok(integer(fields, name)?.and_then(|n| n.try_into().ok()).unwrap_or(1))
}

fn input_shapes(options: &Fields<'_>) -> Result<Vec<(String, Vec<usize>)>> {
    let Some(value) = options.object("inputShapes")? else { return Ok(Vec::new()) };
    let fields = Fields::nested(&value, "inputShapes.");
    let shape = |name: String| {
        let sizes = fields.counts(&name)?.unwrap_or_default();
        Ok((name, sizes))
    };
    fields.names().into_iter().map(shape).collect()
}

/// The options of an embedding, which come with those of the frame.
pub fn embed_options(value: &JsValue) -> Result<EmbedOptions> {
    let fields = Fields::of(value);
    Ok(EmbedOptions {
        l2_normalize: fields.boolean("l2Normalize")?.unwrap_or(false),
        quantize: fields.boolean("quantize")?.unwrap_or(false),
    })
}

/// The `preprocess` among options.
pub fn preprocess(options: &Fields<'_>) -> Result<Preprocess> {
    let Some(value) = options.object("preprocess")? else { return Ok(Preprocess::default()) };
    let fields = Fields::nested(&value, "preprocess.");
    Ok(Preprocess {
        fit: fields.choice("fit", &Fit::NAMES)?,
        resize: fields.choice("resize", &Resize::NAMES)?,
        mean: fields.numbers("mean")?,
        std: fields.numbers("std")?,
        channels: fields.choice(
            "channels",
            &[("RGB", Channels::Rgb), ("BGR", Channels::Bgr), ("GRAY", Channels::Gray)],
        )?,
        crop_fraction: fields.number("cropFraction")?.map(|fraction| fraction as f32),
        // Negative numbers are refused as 0 is: no input is so small.
        short_side: integer(&fields, "shortSide")?.map(|side| side.try_into().unwrap_or(0)),
        pad_color: color(&fields, "padColor")?,
        background: color(&fields, "background")?,
    })
}

/// Red, green and blue, which `js/presets.ts` has checked.
fn color(fields: &Fields<'_>, name: &str) -> Result<Option<[u8; 3]>> {
    let Some(list) = fields.counts(name)? else { return Ok(None) };
    Ok(<[usize; 3]>::try_from(list).ok().map(|color| color.map(|byte| byte.min(255) as u8)))
}

/// `FrameGeometry` of `js/engine.ts`.
pub fn frame_options(value: &JsValue) -> Result<FrameOptions> {
    let fields = Fields::of(value);
    let region = match fields.object("regionOfInterest")? {
        None => None,
        Some(value) => {
            let sides = Fields::nested(&value, "regionOfInterest.");
            // A side that is missing is not a number, which the checks below refuse by name.
            let side = |name| Ok(sides.number(name)?.unwrap_or(f64::NAN));
            Some(Region {
                left: side("left")?,
                top: side("top")?,
                right: side("right")?,
                bottom: side("bottom")?,
            })
        }
    };
    Ok(FrameOptions {
        region,
        rotation_degrees: integer(&fields, "rotationDegrees")?.unwrap_or(0),
        mirror: fields.boolean("mirror")?.unwrap_or(false),
    })
}

/// Whether transparent pixels of the frame show the page behind it: the `page` of `FrameGeometry`.
pub fn is_on_page(value: &JsValue) -> Result<bool> {
    Ok(Fields::of(value).boolean("page")?.unwrap_or(false))
}

/// The `smoothing` of `FrameGeometry`.
pub fn smoothing(value: &JsValue) -> Result<Option<Smoothing>> {
    let Some(value) = Fields::of(value).object("smoothing")? else { return Ok(None) };
    let fields = Fields::nested(&value, "smoothing.");
    Ok(Some(Smoothing {
        share: fields.number("share")?.unwrap_or(f64::NAN) as f32,
        restart: fields.boolean("restart")?.unwrap_or(false),
    }))
}

fn integer(fields: &Fields<'_>, name: &str) -> Result<Option<i32>> {
    fields.number(name)?.map(|value| integer_option(name, value)).transpose()
}
