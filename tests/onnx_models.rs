//! Whole ONNX models, converted to `.tflite` bytes and read back, against what ONNX Runtime
//! answered. Prints a line for each model and picture.

mod support;

use std::path::Path;

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Model, Result, tflite};
use achado_onnx::ImportOptions;
use serde_json::Value;
use support::{
    expected, largest_difference, npy, numbers, picture_path, pixels, prepare, recorded, top1,
};

/// Float models: the largest difference from ONNX Runtime's results, relative to the largest one.
const FLOAT_TOLERANCE: f64 = 1e-4;

/// Quantised models: steps of the output's scale. Integer sums are equal, but ONNX Runtime and the
/// model's operators round differently where a result lies between two steps.
const QUANTIZED_STEPS: f64 = 2.0;

/// ONNX Runtime's answers where its sums do not saturate. On x86-64 without an 8-bit dot product
/// its sums of two products of uint8 and int8 end at 16 bits, and the recorded answers come from
/// such a machine: `scripts/onnx/exact.py` proves it.
fn exact(name: &str, picture: &str) -> Option<Vec<f64>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx/exact");
    let file = folder.join(name).join(format!("{picture}.npy"));
    file.exists().then(|| npy(&file).1)
}

fn convert(path: &Path) -> Result<Model> {
    let file = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let bytes = achado_onnx::convert(Bytes::from(file), &ImportOptions::default())?;
    tflite::read(Bytes::from(bytes))
}

/// The step of a quantised model's output: the scale of the tensor itself, or of the one that its
/// DEQUANTIZE reads.
fn output_step(model: &Model) -> Option<f64> {
    let output = model.outputs[0];
    let maker = model.nodes.iter().find(|node| node.outputs.contains(&output));
    let before = maker.and_then(|node| node.inputs.first().copied().flatten());
    let scale = |id| model.tensor(id).quantization.as_ref().map(|q| f64::from(q.scale[0]));
    match scale(output) {
        // The recorded numbers are the integers themselves.
        Some(_) => Some(1.0),
        None => before.and_then(scale),
    }
}

fn count(model: &Model, name: &str) -> usize {
    model.nodes.iter().filter(|node| node.operator.name() == name).count()
}

/// A convolution or matrix product that does not multiply integers.
fn float_product(session: &mut Session) -> Option<String> {
    let profile = session.profile(1, &|| 0.0).expect("a profile");
    let is_product = |operator: &str| matches!(operator, "CONV_2D" | "FULLY_CONNECTED");
    let found = profile.iter().find(|o| is_product(o.operator) && o.kernel != "gemm i16")?;
    Some(format!("{} {:?} by {}", found.operator, found.name, found.kernel))
}

#[test]
fn real_models_give_the_recorded_outputs() {
    let Some((models, expected)) = expected() else { return };
    let (mut wrong, mut compared, mut seen) = (Vec::new(), 0, 0);
    for (name, runs) in &expected {
        if !name.ends_with(".onnx") {
            continue;
        }
        seen += 1;
        let model = match convert(&models.join("models").join(name)) {
            Ok(model) => model,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        // A convolutional network has nothing to transpose: all of it lies in layouts.
        let transposes = count(&model, "TRANSPOSE");
        if transposes > 0 {
            wrong.push(format!("{name}: {transposes} transposes"));
        }
        let step = output_step(&model);
        let mut session = match Session::new(model, &SessionOptions::default()) {
            Ok(session) => session,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        if let Some(line) = float_product(&mut session).filter(|_| name.contains("dynamic")) {
            wrong.push(format!("{name}: {line}"));
        }
        for (picture, run) in runs.as_object().expect("an object") {
            match compare(&mut session, &models, (name, picture), run, step) {
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
    println!("{compared} runs of {seen} models compared");
    assert!(wrong.is_empty(), "beyond the tolerance:\n{}", wrong.join("\n"));
    assert!(compared > 0);
}

/// Runs one picture; the line to print, and whether it is within the tolerance.
fn compare(
    session: &mut Session,
    models: &Path,
    (name, picture): (&str, &str),
    run: &Value,
    step: Option<f64>,
) -> Option<(String, bool)> {
    let input = picture_path(models, run["input"].as_str().expect("a path"))?;
    let channels = *session.inputs()[0].shape.last().expect("a picture");
    let bytes = prepare(&pixels(&input, channels), run["prep"].as_str().expect("prep"));
    session.input_bytes_mut(0).expect("an input").copy_from_slice(&bytes);
    session.run().expect("a run");
    let outputs = recorded(models, name, run, "ort").expect("recorded outputs");
    let (mut line, mut is_right) = (String::new(), true);
    for (at, ort) in outputs.iter().enumerate() {
        let tensor = &session.outputs()[at];
        let mut found = numbers(session.output_bytes(at).expect("an output"), tensor.dtype.name());
        if run["outputs"]["ort"][at]["dtype"] == "float16" {
            found.iter_mut().for_each(|x| *x = f64::from(half::f16::from_f64(*x)));
        }
        let agrees = top1(&found) == top1(ort);
        let exact = exact(name, picture);
        let difference = largest_difference(&found, exact.as_ref().unwrap_or(ort));
        match step {
            Some(step) => {
                line += &format!("{:.2} steps", difference / step);
                if exact.is_some() {
                    let recorded = largest_difference(&found, ort) / step;
                    line += &format!(" ({recorded:.2} from saturated sums)");
                }
                is_right &= difference <= QUANTIZED_STEPS * step * 1.001 && agrees;
            }
            None => {
                let largest = ort.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
                line += &format!("{difference:.3e} of {largest:.3e}");
                is_right &= difference <= FLOAT_TOLERANCE * largest && agrees;
            }
        }
        line += if agrees { ", top-1 agrees; " } else { ", top-1 differs; " };
    }
    Some((line.trim_end_matches("; ").to_owned(), is_right))
}
