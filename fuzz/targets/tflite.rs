//! Any bytes as a `.tflite` file: an error, or a model that compiles or is refused, and whose written
//! form reads as the same model.
#![no_main]

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, tflite};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Ok(model) = tflite::read(Bytes::from(file.to_vec())) else { return };
    if let Ok(written) = tflite::write(&model) {
        let again = tflite::read(Bytes::from(written)).expect("what was written is read");
        assert_eq!(again.nodes, model.nodes);
        assert_eq!(again.inputs.len(), model.inputs.len());
        assert_eq!(again.outputs.len(), model.outputs.len());
    }
    let options = SessionOptions { max_memory_bytes: 1 << 24, ..SessionOptions::default() };
    drop(Session::new(model, &options));
});
