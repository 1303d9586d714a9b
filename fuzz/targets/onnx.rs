//! Any bytes as an ONNX file: an error, or a `.tflite` file that reads.
#![no_main]

use achado_model::{Bytes, tflite};
use achado_onnx::{ImportOptions, convert, outline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let bytes = Bytes::from(file.to_vec());
    let options = ImportOptions::default();
    drop(outline(&bytes, &options));
    let Ok(converted) = convert(bytes, &options) else { return };
    tflite::read(Bytes::from(converted)).expect("what was converted is read");
});
