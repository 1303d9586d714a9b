//! What is thrown: `{ code, message, detail }`, and after a panic the same with `crashed`.

use std::panic::PanicHookInfo;

use achado_model::{Detail, Error, ErrorCode};
use js_sys::Object;
use wasm_bindgen::JsValue;

use super::object::{object, set};

/// An error as `js/errors.ts` takes it.
pub fn thrown(error: Error) -> JsValue {
    let detail = Object::new();
    for (key, value) in error.detail {
        let value = match value {
            Detail::Text(text) => JsValue::from(text),
            Detail::Number(number) => JsValue::from_f64(number),
        };
        set(&detail, key, &value);
    }
    let (code, message) = (error.code.as_str(), error.message.as_ref());
    object([("code", code.into()), ("message", message.into()), ("detail", detail.into())]).into()
}

/// Throws a panic to the JavaScript caller as an error of its own kind. Without this hook it would
/// see the trap `unreachable`, and nobody would know why.
pub fn throw_panic(info: &PanicHookInfo<'_>) {
    let panic = info.payload_as_str().unwrap_or("a panic without words");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    // The standard library's word for an allocation beyond the address space.
    let (code, message) = if panic == "capacity overflow" {
        (
            ErrorCode::OutOfMemory.as_str(),
            "WebAssembly has no room for this picture or model".into(),
        )
    } else {
        ("INTERNAL", format!("achado failed inside, please report it: {panic} ({place})"))
    };
    let detail = object([("panic", panic.into()), ("place", place.into())]);
    wasm_bindgen::throw_val(
        object([
            ("code", code.into()),
            ("message", message.into()),
            ("detail", detail.into()),
            ("crashed", true.into()),
        ])
        .into(),
    );
}
