//! ONNX models that have no `.tflite` form, run whole by tract: slower than the engine, and with
//! more operators.
//!
//! A file is outlined by `achado-onnx` before tract sees it, so that its size is bounded and its
//! inputs are named, shaped and refused as those of converted models. Tensors keep the order of the
//! file, `[n, c, h, w]` for pictures; [`Plan`] takes pictures as `[n, h, w, c]` and turns them.
#![forbid(unsafe_code)]

mod compile;
mod order;
mod plan;
mod refusal;

use achado_model::{Bytes, Result};
use achado_onnx::{ImportOptions, outline};
use achado_vision::{
    Classifier, ClassifierOptions, ImageModel, ImageModelOptions, OutputEnd, ScoreActivation,
};

pub use plan::Plan;

/// Opens an ONNX model for tensors.
///
/// # Errors
/// Those of [`outline`]; `UNSUPPORTED_OPERATOR` for what tract cannot run, `OUT_OF_MEMORY` for what
/// it could not hold, and those of [`ImageModel::from_runner`].
pub fn model(file: Vec<u8>, options: &ImageModelOptions) -> Result<ImageModel<Plan>> {
    // Before the work of reading: a wrong option needs no model to be found.
    options.preprocess.validate()?;
    let file = Bytes::from(file);
    let shapes = ImportOptions { input_shapes: options.input_shapes.clone(), ..Default::default() };
    let outline = outline(&file, &shapes)?;
    let ends = outline.outputs.iter().map(|output| OutputEnd {
        activation: match output.operator.as_str() {
            "Softmax" => ScoreActivation::Softmax,
            "Sigmoid" => ScoreActivation::Sigmoid,
            _ => ScoreActivation::None,
        },
        features: None,
        scores: None,
    });
    let description = match outline.producer.as_str() {
        "" => "ONNX".to_owned(),
        producer => format!("ONNX ({producer})"),
    };
    let plan = compile::compile(&file, &outline)?;
    ImageModel::from_runner(plan, ends.collect(), &description, options)
}

/// Opens an ONNX model for a classifier.
///
/// # Errors
/// Those of [`model`] and of [`Classifier::from_image_model`].
pub fn classifier(file: Vec<u8>, options: ClassifierOptions) -> Result<Classifier<Plan>> {
    options.validate()?;
    Classifier::from_image_model(model(file, &options.model)?, options)
}
