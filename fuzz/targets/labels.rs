//! Any bytes as a label file: an error, or names; and as many of them as a model may want.
#![no_main]

use achado_model::LabelFile;
use achado_model::metadata::fit_labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(labels) = LabelFile::read(text) else { return };
    for classes in [1, 2, 1000, 1001] {
        if let Some(fitting) = fit_labels(&labels.names, classes) {
            assert_eq!(fitting.len(), classes);
        }
    }
});
