//! Classifiers and detectors that people have run on fast kernels alone: no operator takes the
//! naive loop, which profiles call `reference`.

mod support;

use std::path::{Path, PathBuf};

use achado_engine::{Session, SessionOptions};
use support::{read_model, shared};

/// Files that must be here, from the repository's root: EfficientNet-Lite0.
const OWN: [&str; 1] = ["models/efficientnet-lite0-int8.tflite"];

/// Files of the shared folder: MobileNet V1 and V2 in float32, uint8 and int8, SSD-MobileNet.
const SHARED: [&str; 9] = [
    "mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet_v1_0.25_224_f32_md.tflite",
    "mobilenet_v1_0.25_224_quant_md.tflite",
    "mobilenet_v1_0.5_128_quant.tflite",
    "mobilenet_v1_1.0_224_quant_embedder.tflite",
    "mobilenet_v2_0.35_96_embedder_hybrid.tflite",
    "mobilenet_v2_1.0_224_int8pc_u8io.tflite",
    "mobilenet_v2_1.0_224_quant.tflite",
    "coco_ssd_mobilenet_v1_quant_md.tflite",
];

/// Operators of a model that take the naive loop.
fn naive(path: &Path) -> Vec<String> {
    let label = path.display();
    let model = read_model(path).unwrap_or_else(|e| panic!("{label}: {e}"));
    let mut session =
        Session::new(model, &SessionOptions::default()).unwrap_or_else(|e| panic!("{label}: {e}"));
    let profile = session.profile(1, &|| 0.0).expect("a profile");
    assert!(!profile.is_empty(), "{label}");
    let mut kernels: Vec<_> = profile.iter().map(|step| step.kernel).collect();
    kernels.sort_unstable();
    kernels.dedup();
    println!("{label}: {} steps by {}", profile.len(), kernels.join(", "));
    let naive = profile.iter().filter(|step| step.kernel == "reference");
    naive.map(|step| format!("{label}: {} {} {:?}", step.index, step.operator, step.name)).collect()
}

#[test]
fn no_operator_takes_the_naive_loop() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = OWN.iter().map(|file| root.join(file)).collect();
    match shared() {
        None => println!("no shared models here: set ACHADO_SHARED to look at them, too"),
        Some(folder) => {
            paths.extend(SHARED.iter().map(|file| folder.join("models/models").join(file)));
        }
    }
    // Further models of one's own, such as MobileNet V3.
    if let Some(folder) = std::env::var_os("ACHADO_FAST_MODELS") {
        let entries = std::fs::read_dir(folder).expect("the folder of ACHADO_FAST_MODELS");
        let files = entries.map(|entry| entry.expect("an entry").path());
        paths.extend(files.filter(|path| path.extension().is_some_and(|end| end == "tflite")));
    }
    let naive: Vec<_> = paths.iter().flat_map(|path| naive(path)).collect();
    assert!(naive.is_empty(), "{}", naive.join("\n"));
}
