//! torchvision's architectures as PyTorch's exporter writes them, with few channels and random
//! weights, against ONNX Runtime, and the `.tflite` files that they become against TensorFlow Lite.
//! `scripts/onnx/architectures.py` makes the files, `scripts/onnx/litert.py` the latter answers.

mod support;

use std::path::PathBuf;

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Model, tflite};
use achado_onnx::ImportOptions;
use support::{largest_difference, npy, numbers};

/// The largest difference from ONNX Runtime, relative to the largest result (or to 1).
const TOLERANCE: f64 = 1e-3;

/// The largest difference from TensorFlow Lite on the same `.tflite`, relative alike: float sums in
/// another order.
const LITERT_TOLERANCE: f64 = 1e-5;

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

/// The upper left of the input, `[1, 3, 64, 64]` in the file, as a model of `size` pixels takes it:
/// `[1, size, size, 3]`.
fn input(size: usize) -> Vec<u8> {
    let (_, values) = npy(&fixture("input.npy"));
    let pixels = (0..size).flat_map(|y| (0..size).map(move |x| y * 64 + x));
    pixels
        .flat_map(|pixel| [0, 1, 2].map(|channel| values[channel * 64 * 64 + pixel] as f32))
        .flat_map(f32::to_le_bytes)
        .collect()
}

/// Runs a model; gives its operators and its output.
fn run(name: &str) -> (Vec<String>, Vec<f64>) {
    let model = convert(name);
    let operators: Vec<String> = names(&model).iter().map(ToString::to_string).collect();
    let mut session = Session::new(model, &SessionOptions::default()).expect(name);
    let size = session.inputs()[0].shape[1];
    session.input_bytes_mut(0).expect("an input").copy_from_slice(&input(size));
    session.run().expect("a run");
    (operators, numbers(session.output_bytes(0).expect("an output"), "float32"))
}

fn compare(name: &str, what: &str, found: &[f64], answer: &str, tolerance: f64) {
    let (_, expected) = npy(&fixture(&format!("{name}.{answer}")));
    let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    let difference = largest_difference(found, &expected);
    println!("{name}: {difference:.1e} of {largest:.1e} from {what}");
    assert!(difference <= tolerance * largest, "{name}, {what}: {difference} of {largest}");
}

/// Runs a model and compares; gives the model's operators.
fn agrees(name: &str) -> Vec<String> {
    let (operators, found) = run(name);
    compare(name, "ONNX Runtime", &found, "npy", TOLERANCE);
    compare(name, "TensorFlow Lite", &found, "litert.npy", LITERT_TOLERANCE);
    println!("{name}: {}", operators.join(" "));
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

/// Models of few nodes: in float, as QDQ, and with every operator of dynamic quantisation.
#[test]
fn small_models_agree() {
    for name in ["colours", "colours.quantized", "colours.dynamic"] {
        let (operators, found) = run(name);
        println!("{name}: {}", operators.join(" "));
        compare(name, "ONNX Runtime", &found, "npy", LITERT_TOLERANCE);
        compare(name, "TensorFlow Lite", &found, "litert.npy", LITERT_TOLERANCE);
    }
}
