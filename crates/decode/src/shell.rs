//! [`decode`](crate::decode()) for JavaScript.

use js_sys::{Object, Reflect, Uint8ClampedArray};
use wasm_bindgen::prelude::*;

/// Decodes a picture: `{ data, width, height }`, as an `ImageData`.
///
/// # Errors
/// Throws an `Error` whose message says why; its code is always `INVALID_INPUT`.
#[wasm_bindgen(
    js_name = decodeImage,
    unchecked_return_type = "{ data: Uint8ClampedArray; width: number; height: number }"
)]
pub fn decode_image(file: &[u8]) -> Result<Object, JsError> {
    let picture = crate::decode(file).map_err(|error| JsError::new(&error.message))?;
    let image = Object::new();
    for (key, value) in [
        ("data", Uint8ClampedArray::from(picture.pixels.as_slice()).into()),
        ("width", JsValue::from(picture.width)),
        ("height", JsValue::from(picture.height)),
    ] {
        // A fresh plain object refuses no property.
        let _ = Reflect::set(&image, &JsValue::from_str(key), &value);
    }
    Ok(image)
}
