//! Results as numbers, and metadata as the plain objects of `js/types.ts`.

use std::sync::Arc;

use achado_engine::OperatorProfile;
use achado_vision::{
    Category, ClassifierResult, Embedding, HeadInfo, ModelMetadata, Names, TensorInfo,
};
use js_sys::{Float32Array, Int8Array, Uint32Array};
use wasm_bindgen::JsValue;

use crate::object::{array, number, object};

/// Results as `js/results.ts` reads them, one after the other: the times of preprocessing, inference
/// and postprocessing; of each head the number of categories, and of each of these index and score.
///
/// A thousand objects, each property of which is a call, took 3 ms of the 12 that a call of MobileNet
/// V2 int8 takes in Chromium, and 10 of its first.
pub fn results(results: &[ClassifierResult]) -> Vec<f64> {
    let mut numbers = Vec::new();
    for ClassifierResult { timings, classifications, .. } in results {
        numbers.extend([timings.preprocess, timings.inference, timings.postprocess]);
        for head in classifications {
            numbers.push(head.categories.len() as f64);
            let category = |c: &Category| [c.index as f64, c.score.into()];
            numbers.extend(head.categories.iter().flat_map(category));
        }
    }
    numbers
}

/// `JoinedNames[]` of `js/results.ts`.
pub fn names<'a>(heads: impl Iterator<Item = &'a Names>) -> JsValue {
    array(heads, |names| {
        object([("category", joined(&names.category)), ("display", joined(&names.display))]).into()
    })
}

/// `{ text, lengths }`: one text goes over at once. Lengths are JavaScript's, in UTF-16.
fn joined(names: &[Arc<str>]) -> JsValue {
    // A text of wasm's memory has less than 2^32 units.
    let lengths: Vec<_> = names.iter().map(|name| name.encode_utf16().count() as u32).collect();
    let text = names.concat();
    object([("text", text.into()), ("lengths", Uint32Array::from(&lengths[..]).into())]).into()
}

/// `ModelMetadata`.
pub fn metadata(metadata: &ModelMetadata) -> JsValue {
    object([
        ("name", metadata.name.as_str().into()),
        ("description", metadata.description.as_str().into()),
        ("version", metadata.version.as_str().into()),
        ("author", metadata.author.as_str().into()),
        ("license", metadata.license.as_str().into()),
        ("inputs", array(&metadata.inputs, tensor)),
        ("pictureInput", metadata.picture_input.map_or(JsValue::NULL, number)),
        ("outputs", array(&metadata.outputs, tensor)),
        ("heads", array(&metadata.heads, head)),
        ("labels", number(metadata.labels)),
        ("locales", array(&metadata.locales, |locale| locale.as_str().into())),
    ])
    .into()
}

fn head(head: &HeadInfo) -> JsValue {
    object([
        ("headIndex", number(head.head_index)),
        ("headName", head.head_name.as_str().into()),
        ("classes", number(head.classes)),
        ("labels", number(head.labels)),
        ("activation", head.activation.name().into()),
    ])
    .into()
}

fn tensor(tensor: &TensorInfo) -> JsValue {
    let quantization = tensor.quantization.as_ref().and_then(|q| q.as_per_tensor());
    let quantization = quantization.map_or(JsValue::NULL, |(scale, zero_point)| {
        object([("scale", f64::from(scale).into()), ("zeroPoint", zero_point.into())]).into()
    });
    object([
        ("name", tensor.name.as_str().into()),
        ("shape", array(&tensor.shape, |&side| number(side))),
        ("shapeSignature", array(&tensor.shape_signature, |side| side.map_or((-1).into(), number))),
        ("dtype", tensor.dtype.to_string().into()),
        ("quantization", quantization),
    ])
    .into()
}

/// `Float32Array | Int8Array`, a copy outside of wasm's memory.
pub fn embedding(embedding: &Embedding) -> JsValue {
    match embedding {
        Embedding::Float(values) => Float32Array::from(&values[..]).into(),
        Embedding::Quantized(values) => Int8Array::from(&values[..]).into(),
    }
}

/// `OperatorProfile[]`.
pub fn profile(operators: &[OperatorProfile]) -> JsValue {
    array(operators, |operator| {
        object([
            ("index", number(operator.index)),
            ("operator", operator.operator.into()),
            ("kernel", operator.kernel.into()),
            ("name", operator.name.as_str().into()),
            ("medianMs", operator.median_ms.into()),
            // Counts of one picture's multiplications stay far below 2^53.
            ("macs", (operator.macs as f64).into()),
            ("share", operator.share.into()),
        ])
        .into()
    })
}
