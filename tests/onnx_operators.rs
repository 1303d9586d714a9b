//! ONNX operators one by one against ONNX Runtime. `scripts/onnx/operators.py` makes the file.

mod support;

use std::path::Path;

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Result, tflite};
use achado_onnx::ImportOptions;
use serde_json::Value;
use support::{largest_difference, numbers};

/// The largest difference, relative to the largest result (or to 1).
const TOLERANCE: f64 = 1e-5;

fn values(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().as_chunks::<2>().0.iter();
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
        .collect()
}

fn run(file: Vec<u8>, input: &[u8]) -> Result<Vec<f64>> {
    let bytes = achado_onnx::convert(Bytes::from(file), &ImportOptions::default())?;
    let mut session = Session::new(tflite::read(Bytes::from(bytes))?, &SessionOptions::default())?;
    session.input_bytes_mut(0)?.copy_from_slice(input);
    session.run()?;
    Ok(numbers(session.output_bytes(0)?, session.outputs()[0].dtype.name()))
}

#[test]
fn operators_give_what_onnx_runtime_gives() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx/operators.json");
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("JSON");
    // `[1, 4, 6, 7]` there, `[1, 6, 7, 4]` here.
    let pixels = values(&document["input"]);
    let input: Vec<u8> = (0..6 * 7)
        .flat_map(|pixel| [0, 1, 2, 3].map(|channel| pixels[channel * 6 * 7 + pixel] as f32))
        .flat_map(f32::to_le_bytes)
        .collect();
    let cases = document["cases"].as_array().expect("cases");
    let mut wrong = Vec::new();
    for case in cases {
        let (name, expected) = (case["name"].as_str().expect("a name"), values(&case["output"]));
        match run(unhex(case["model"].as_str().expect("a model")), &input) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(found) if found.len() != expected.len() => {
                wrong.push(format!("{name}: {} results, not {}", found.len(), expected.len()));
            }
            Ok(found) => {
                let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
                let difference = largest_difference(&found, &expected) / largest;
                // Not a number is no agreement.
                if difference.is_nan() || difference > TOLERANCE {
                    wrong.push(format!("{name}: {difference:.1e}"));
                }
            }
        }
    }
    println!("{} operators compared", cases.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases.len() > 60);
}
