//! [`decode`](crate::decode()) for JavaScript, in numbers alone: so the wasm file needs no glue, and an
//! instance whose memory has grown with a large picture can be dropped for a new one.
//!
//! The caller asks for [`room`], writes the file there, calls [`decode_file`], and reads the pixels at
//! [`place`], [`width`] and [`height`]; or, where that failed, the reason as UTF-8 at [`place`].

use std::cell::RefCell;

use wasm_bindgen::prelude::*;

/// A file on its way in, and what came out of it.
#[derive(Default)]
struct Desk {
    file: Vec<u8>,
    /// Pixels, or the reason why there are none.
    answer: Vec<u8>,
    width: u32,
    height: u32,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// The address of room for a file of so many bytes; 0 where there is not so much.
#[must_use]
#[wasm_bindgen]
pub fn room(bytes: usize) -> usize {
    DESK.with_borrow_mut(|desk| {
        *desk = Desk::default();
        if desk.file.try_reserve_exact(bytes).is_err() {
            return 0;
        }
        desk.file.resize(bytes, 0);
        desk.file.as_ptr().addr()
    })
}

/// Decodes the file, which is forgotten, and says whether that worked.
#[must_use]
#[wasm_bindgen(js_name = decodeFile)]
pub fn decode_file() -> bool {
    let file = DESK.with_borrow_mut(|desk| std::mem::take(&mut desk.file));
    let decoded = crate::decode(&file);
    let is_picture = decoded.is_ok();
    let (answer, width, height) = match decoded {
        Ok(picture) => (picture.pixels, picture.width, picture.height),
        Err(error) => (error.message.as_bytes().to_vec(), 0, 0),
    };
    DESK.set(Desk { file: Vec::new(), answer, width, height });
    is_picture
}

/// The address of the answer.
#[must_use]
#[wasm_bindgen]
pub fn place() -> usize {
    DESK.with_borrow(|desk| desk.answer.as_ptr().addr())
}

/// Bytes of the answer: four a pixel, or those of the text.
#[must_use]
#[wasm_bindgen]
pub fn length() -> usize {
    DESK.with_borrow(|desk| desk.answer.len())
}

/// In pixels.
#[must_use]
#[wasm_bindgen]
pub fn width() -> u32 {
    DESK.with_borrow(|desk| desk.width)
}

/// In pixels.
#[must_use]
#[wasm_bindgen]
pub fn height() -> u32 {
    DESK.with_borrow(|desk| desk.height)
}
