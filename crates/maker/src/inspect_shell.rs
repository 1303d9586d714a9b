//! What a model is made of, for JavaScript.

use achado_model::tflite::{self, Outline};
use achado_model::{
    Bytes, Error, ErrorCode, Metadata, Model, Node, Result, Tensor, TensorMetadata,
};
use js_sys::Object;
use wasm_bindgen::prelude::*;

use super::error;
use super::object::{array, number, object};
use crate::inspect::statistics;
use crate::macs::macs;

/// All that a `.tflite` file says of itself. Operators and tensors are listed even of a model that
/// cannot be run, and `problem` says why it cannot.
///
/// # Errors
/// Those of [`tflite::outline`].
#[wasm_bindgen(
    js_name = inspectModel,
    unchecked_return_type = "import('../../maker/inspect.js').Inspected"
)]
pub fn inspect_model(model: Vec<u8>) -> Result<JsValue, JsValue> {
    inspect(Bytes::from(model)).map_err(error::thrown)
}

fn inspect(bytes: Bytes) -> Result<JsValue> {
    let outline = tflite::outline(&bytes)?;
    let (model, problem) = match tflite::read(bytes) {
        Ok(model) => (Some(model), None),
        // A damaged file cannot be described; what is missing here can.
        Err(error) if error.code == ErrorCode::ModelFormat => return Err(error),
        Err(error) => (None, Some(error)),
    };
    let problem = problem.map_or(JsValue::NULL, |error: Error| {
        object([("code", error.code.as_str().into()), ("message", error.message.as_ref().into())])
            .into()
    });
    let metadata = model.as_ref().map_or(&outline.metadata, |model| &model.metadata);
    let places = |ids: &[i32]| array(ids, |&id| id.into());
    Ok(object([
        ("description", outline.description.as_str().into()),
        ("subgraphs", number(outline.subgraphs)),
        ("problem", problem),
        ("metadata", metadata.as_ref().map_or(JsValue::NULL, described)),
        ("inputs", places(&outline.inputs)),
        ("outputs", places(&outline.outputs)),
        ("operators", operators(&outline, model.as_ref())),
        ("tensors", tensors(&outline, model.as_ref())),
    ])
    .into())
}

fn operators(outline: &Outline, model: Option<&Model>) -> JsValue {
    let places = |ids: &[i32]| array(ids, |&id| id.into());
    array(outline.operators.iter().enumerate(), |(index, operator)| {
        let node = model.and_then(|model| model.nodes.get(index).map(|node| (model, node)));
        let missing = operator.missing.as_deref();
        object([
            ("index", number(index)),
            ("operator", operator.name.as_str().into()),
            ("version", operator.version.into()),
            ("attributes", node.map_or_else(String::new, |(_, node)| attributes(node)).into()),
            ("inputs", places(&operator.inputs)),
            ("outputs", places(&operator.outputs)),
            ("macs", node.map_or(0.0, |(model, node)| macs(model, node) as f64).into()),
            ("missing", missing.map_or(JsValue::NULL, JsValue::from_str)),
        ])
        .into()
    })
}

/// `stride: [2, 2], padding: Same, activation: Relu6`.
fn attributes(node: &Node) -> String {
    let text = format!("{:?}", node.operator);
    let inner = text.split_once(" { ").map(|(_, rest)| rest.trim_end_matches(" }"));
    inner.unwrap_or_default().to_owned()
}

fn tensors(outline: &Outline, model: Option<&Model>) -> JsValue {
    array(outline.tensors.iter().enumerate(), |(index, listed)| {
        let tensor = model.and_then(|model| model.tensors.get(index));
        let shape = match tensor {
            Some(tensor) => array(&tensor.shape, |&size| number(size)),
            None => array(&listed.shape, |&size| size.into()),
        };
        object([
            ("index", number(index)),
            ("name", listed.name.as_str().into()),
            ("dtype", listed.dtype.as_str().into()),
            ("shape", shape),
            ("storedBytes", number(listed.stored_bytes)),
            ("isConstant", (listed.stored_bytes > 0).into()),
            ("scales", number(listed.scales)),
            ("quantization", tensor.map_or(JsValue::NULL, quantization)),
            ("statistics", tensor.map_or(JsValue::NULL, statistics_of)),
        ])
        .into()
    })
}

fn quantization(tensor: &Tensor) -> JsValue {
    let Some(found) = &tensor.quantization else { return JsValue::NULL };
    object([
        ("scale", array(&found.scale, |&scale| scale.into())),
        ("zeroPoint", array(&found.zero_point, |&zero| zero.into())),
        ("axis", number(found.axis)),
    ])
    .into()
}

fn statistics_of(tensor: &Tensor) -> JsValue {
    let Some(found) = statistics(tensor) else { return JsValue::NULL };
    object([
        ("elements", number(tensor.elements())),
        ("min", found.min.into()),
        ("max", found.max.into()),
        ("mean", found.mean.into()),
        ("standardDeviation", found.deviation.into()),
        ("zeros", number(found.zeros)),
        ("notFinite", number(found.not_finite)),
        ("histogram", array(&found.histogram, |&count| count.into())),
    ])
    .into()
}

fn described(file: &Metadata) -> JsValue {
    let text = |text: &String| JsValue::from_str(text);
    let custom = Object::new();
    for (name, value) in &file.custom {
        super::object::set(&custom, name, &JsValue::from_str(value));
    }
    object([
        ("name", text(&file.name)),
        ("description", text(&file.description)),
        ("version", text(&file.version)),
        ("author", text(&file.author)),
        ("license", text(&file.license)),
        ("inputs", array(&file.inputs, end)),
        ("outputs", array(&file.outputs, end)),
        ("custom", custom.into()),
    ])
    .into()
}

fn end(end: &TensorMetadata) -> JsValue {
    let normalization = end.normalization.as_ref().map_or(JsValue::NULL, |found| {
        let numbers = |list: &[f32]| array(list, |&number| number.into());
        object([("mean", numbers(&found.mean)), ("std", numbers(&found.std))]).into()
    });
    object([
        ("name", end.name.as_str().into()),
        ("description", end.description.as_str().into()),
        ("normalization", normalization),
        ("scoreThreshold", end.score_threshold.map_or(JsValue::NULL, JsValue::from)),
        (
            "labels",
            array(&end.labels, |labels| {
                object([
                    ("locale", labels.locale.as_str().into()),
                    ("names", array(&labels.names, |name| JsValue::from_str(name))),
                ])
                .into()
            }),
        ),
    ])
    .into()
}
