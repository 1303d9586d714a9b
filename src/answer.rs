//! Results and metadata as the plain objects of `js/types.ts`.

use achado_engine::OperatorProfile;
use achado_vision::{Category, ClassifierResult, Embedding, HeadInfo, ModelMetadata, TensorInfo};
use js_sys::{Float32Array, Int8Array};
use wasm_bindgen::JsValue;

use crate::object::{array, number, object};

/// `ClassifierResult`.
pub fn result(result: &ClassifierResult) -> JsValue {
    let classifications = array(&result.classifications, |head| {
        object([
            ("headIndex", number(head.head_index)),
            ("headName", head.head_name.as_ref().into()),
            ("categories", array(&head.categories, category)),
        ])
        .into()
    });
    let timings = object([
        ("preprocess", result.timings.preprocess.into()),
        ("inference", result.timings.inference.into()),
        ("postprocess", result.timings.postprocess.into()),
    ]);
    object([
        ("classifications", classifications),
        ("top", result.top.as_ref().map_or(JsValue::NULL, category)),
        ("timings", timings.into()),
    ])
    .into()
}

fn category(category: &Category) -> JsValue {
    object([
        ("index", number(category.index)),
        ("score", f64::from(category.score).into()),
        ("categoryName", category.category_name.as_ref().into()),
        ("displayName", category.display_name.as_ref().into()),
    ])
    .into()
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
