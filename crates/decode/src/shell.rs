//! [`decode`](crate::decode()) for JavaScript.

use js_sys::{Object, Reflect, Uint8ClampedArray};
use wasm_bindgen::prelude::*;

/// Decodes a picture: `{ data: Uint8ClampedArray, width, height }`, as an `ImageData`.
///
/// # Errors
/// Throws `{ code, message }`.
#[wasm_bindgen(js_name = decodeImage, unchecked_return_type = "{ data: Uint8ClampedArray; width: number; height: number }")]
pub fn decode_image(file: &[u8]) -> Result<Object, Object> {
    let picture = crate::decode(file).map_err(|error| {
        object(&[
            ("code", error.code.as_str().into()),
            ("message", error.message.as_ref().into()),
        ])
    })?;
    Ok(object(&[
        ("data", Uint8ClampedArray::from(picture.pixels.as_slice()).into()),
        ("width", picture.width.into()),
        ("height", picture.height.into()),
    ]))
}

fn object(entries: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        // Setting a fresh plain object's property cannot fail.
        let _ = Reflect::set(&object, &JsValue::from_str(key), value);
    }
    object
}
