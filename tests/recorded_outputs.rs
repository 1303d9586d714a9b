//! Whole models against what TensorFlow Lite answered: `default` is its XNNPACK delegate, `ref`
//! its reference kernels. Prints a line for each model and picture.

mod support;

use std::path::Path;

use achado_engine::{Session, SessionOptions};
use achado_model::DataType;
use serde_json::Value;
use support::{largest_difference, numbers, pixels, prepare, read_model, recorded, shared, top1};

/// Float models: sums in another order than XNNPACK's, relative to the largest output.
const FLOAT_TOLERANCE: f64 = 1e-5;

/// Integer models equal XNNPACK's bytes.
const QUANTIZED_TOLERANCE: f64 = 0.0;

#[test]
fn real_models_give_the_recorded_outputs() {
    let Some(shared) = shared() else {
        println!("no recorded outputs here: set ACHADO_SHARED to compare with real models");
        return;
    };
    let models = shared.join("models");
    let expected = std::fs::read_to_string(models.join("expected/expected.json")).expect("read");
    let expected: Value = serde_json::from_str(&expected).expect("JSON");
    let (mut refused, mut wrong, mut compared) = (Vec::new(), Vec::new(), 0);
    for (name, runs) in expected.as_object().expect("an object") {
        if !name.ends_with(".tflite") {
            continue;
        }
        let model = read_model(&models.join("models").join(name));
        let session = model.and_then(|model| Session::new(model, &SessionOptions::default()));
        let mut session = match session {
            Ok(session) => session,
            Err(error) => {
                refused.push(format!("{name}: {error}"));
                continue;
            }
        };
        for (picture, run) in runs.as_object().expect("an object") {
            match compare(&mut session, &models, name, run) {
                None => println!("{name} {picture}: the picture is not here"),
                Some((line, is_right)) => {
                    println!("{name} {picture}: {line}");
                    compared += 1;
                    if !is_right {
                        wrong.push(format!("{name} {picture}: {line}"));
                    }
                }
            }
        }
    }
    for line in &refused {
        println!("refused: {line}");
    }
    println!("{compared} runs compared, {} models refused", refused.len());
    assert!(wrong.is_empty(), "beyond the tolerance:\n{}", wrong.join("\n"));
    assert!(compared > 0);
}

/// Runs one picture; the line to print, and whether it is within the tolerance.
fn compare(
    session: &mut Session,
    models: &Path,
    name: &str,
    run: &Value,
) -> Option<(String, bool)> {
    let input = picture_path(models, run["input"].as_str().expect("a path"))?;
    let channels = *session.inputs()[0].shape.last().expect("a picture");
    let bytes = prepare(&pixels(&input, channels), run["prep"].as_str().expect("prep"));
    session.input_bytes_mut(0).expect("an input").copy_from_slice(&bytes);
    session.run().expect("a run");
    let default = recorded(models, name, run, "default").expect("recorded outputs");
    let reference = recorded(models, name, run, "ref");
    let (mut line, mut is_right) = (String::new(), true);
    for (i, default) in default.iter().enumerate() {
        let tensor = &session.outputs()[i];
        let found = numbers(session.output_bytes(i).expect("an output"), tensor.dtype.name());
        let to_default = largest_difference(&found, default);
        let largest = default.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        is_right &= match tensor.dtype {
            DataType::Float32 => to_default <= FLOAT_TOLERANCE * largest,
            _ => to_default <= QUANTIZED_TOLERANCE,
        };
        line += &format!("default {to_default:.3e}");
        if let Some(reference) = &reference {
            line += &format!(", ref {:.3e}", largest_difference(&found, &reference[i]));
        }
        let agrees = top1(&found) == top1(default);
        line += if agrees { ", top-1 agrees; " } else { ", top-1 differs; " };
    }
    Some((line.trim_end_matches("; ").to_owned(), is_right))
}

/// The picture of a recorded run: beside the models, or in the `data` folder of PyPI's `foolbox`,
/// which `ACHADO_FOOLBOX` names.
fn picture_path(models: &Path, input: &str) -> Option<std::path::PathBuf> {
    let path = match input.strip_prefix("(foolbox ") {
        None => models.join(input),
        Some(name) => {
            Path::new(&std::env::var_os("ACHADO_FOOLBOX")?).join(name.trim_end_matches(')'))
        }
    };
    path.exists().then_some(path)
}
