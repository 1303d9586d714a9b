//! torchvision's architectures as PyTorch's exporter writes them, with few channels and random
//! weights, against ONNX Runtime. `scripts/onnx/architectures.py` makes the files.

mod support;

use std::path::PathBuf;

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Model, tflite};
use achado_onnx::ImportOptions;
use support::{largest_difference, npy, numbers};

/// The largest difference from ONNX Runtime, relative to the largest result (or to 1).
const TOLERANCE: f64 = 1e-3;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)
}

fn convert(name: &str) -> Model {
    let file = std::fs::read(fixture(&format!("{name}.onnx"))).expect("a file");
    let bytes = achado_onnx::convert(Bytes::from(file), &ImportOptions::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    tflite::read(Bytes::from(bytes)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn names(model: &Model) -> Vec<&str> {
    model.nodes.iter().map(|node| node.operator.name()).collect()
}

/// The input, `[1, 3, 64, 64]` in the file, as the model takes it: `[1, 64, 64, 3]`.
fn input() -> Vec<u8> {
    let (_, values) = npy(&fixture("input.npy"));
    let pixels = values.len() / 3;
    (0..pixels)
        .flat_map(|pixel| [0, 1, 2].map(|channel| values[channel * pixels + pixel] as f32))
        .flat_map(f32::to_le_bytes)
        .collect()
}

/// Runs a model and compares; gives the model's operators.
fn agrees(name: &str) -> Vec<String> {
    let model = convert(name);
    let operators: Vec<String> = names(&model).iter().map(ToString::to_string).collect();
    let mut session = Session::new(model, &SessionOptions::default()).expect(name);
    session.input_bytes_mut(0).expect("an input").copy_from_slice(&input());
    session.run().expect("a run");
    let found = numbers(session.output_bytes(0).expect("an output"), "float32");
    let (_, expected) = npy(&fixture(&format!("{name}.npy")));
    let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    let difference = largest_difference(&found, &expected);
    println!("{name}: {difference:.1e} of {largest:.1e}; {}", operators.join(" "));
    assert!(difference <= TOLERANCE * largest, "{name}: {difference} of {largest}");
    operators
}

/// The same, and asserts that pictures stay `[n, h, w, c]` from end to end.
fn agrees_without_transposes(name: &str) -> Vec<String> {
    let operators = agrees(name);
    assert!(!operators.iter().any(|name| name == "TRANSPOSE"), "{name}: {operators:?}");
    operators
}

fn count(operators: &[String], name: &str) -> usize {
    operators.iter().filter(|operator| *operator == name).count()
}

#[test]
fn mobilenet_v2_of_opset_9_has_its_clips_built_in() {
    let operators = agrees_without_transposes("mobilenet_v2");
    assert_eq!(count(&operators, "RELU6"), 0);
    assert!(count(&operators, "DEPTHWISE_CONV_2D") > 0);
}

#[test]
fn mobilenet_v3_of_opset_18() {
    let operators = agrees_without_transposes("mobilenet_v3");
    assert!(count(&operators, "HARD_SWISH") > 0);
}

#[test]
fn efficientnet_b0_of_opset_13_has_its_batch_normalisations_folded() {
    let operators = agrees_without_transposes("efficientnet_b0");
    // SiLU, and squeeze and excitation, multiply; a batch normalisation would multiply and add.
    assert_eq!(count(&operators, "SUB") + count(&operators, "DIV"), 0);
}

#[test]
fn resnet18_of_opset_20() {
    agrees_without_transposes("resnet18");
}

#[test]
fn regnet_of_opset_21_has_convolutions_in_groups() {
    agrees_without_transposes("regnet_y");
}

#[test]
fn convnext_of_opset_17_has_nothing_to_transpose() {
    let operators = agrees_without_transposes("convnext_tiny");
    assert!(count(&operators, "GELU") > 0);
}

/// Its channel shuffles do move elements: each is one TRANSPOSE between the halves.
#[test]
fn shufflenet_v2_of_opset_11_transposes_where_it_shuffles() {
    let operators = agrees("shufflenet_v2");
    assert_eq!(count(&operators, "TRANSPOSE"), 7, "one for each of 2 + 3 + 2 units");
}

#[test]
fn vision_transformer_of_opset_21() {
    let operators = agrees("vit");
    assert!(count(&operators, "BATCH_MATMUL") > 0);
}
