//! Whole models against what TensorFlow Lite answered: `default` is its XNNPACK delegate, `ref`
//! its reference kernels. Prints a line for each model and picture.

mod support;

use std::path::Path;

use achado_engine::{Session, SessionOptions};
use achado_model::{DataType, Tensor};
use serde_json::Value;
use support::{
    expected, largest_difference, numbers, picture_path, pixels, prepare, read_model, recorded,
    top1,
};

/// How near a model's outputs must be to `default`.
enum Rule {
    /// Integers: equal, or within the largest difference that `default` and `ref` have between
    /// themselves; the same top 1 where those two agree.
    Integers,
    /// Floats: relative to the largest output, as sums are taken in another order.
    Floats(f64),
    /// Float activations with 8-bit weights: within the difference of `default` and `ref`.
    Hybrid,
    /// A class for each pixel: this share agrees.
    ClassMap(f64),
    /// Boxes as shares of the picture's sides, classes, scores, count: boxes within so many of the
    /// input's pixels, everything else but the scores equal, scores within the last step.
    Boxes { pixels: f64, score: f64 },
}

/// Sums of float models in another order than XNNPACK's.
const FLOAT: Rule = Rule::Floats(1e-5);

/// Models whose logits are hundreds, and exponentials of them: an error of some 1e-7 grows.
const DEEP_FLOAT: Rule = Rule::Floats(1e-4);

/// The rule of a model.
fn rule(name: &str, output: &Tensor) -> Rule {
    match name {
        "mobilenet_v2_0.35_96_embedder_hybrid.tflite" => Rule::Hybrid,
        "selfie_segmentation.tflite" | "yolox_nano_f16.tflite" => DEEP_FLOAT,
        "deeplabv3_dm05_pascal_quant.tflite" => Rule::ClassMap(0.995),
        "coco_ssd_mobilenet_v1_quant_md.tflite" => Rule::Boxes { pixels: 2.0, score: 1.0 / 256.0 },
        _ if output.dtype == DataType::Float32 => FLOAT,
        _ => Rule::Integers,
    }
}

#[test]
fn real_models_give_the_recorded_outputs() {
    let Some((models, expected)) = expected() else { return };
    let (mut refused, mut wrong, mut compared) = (Vec::new(), Vec::new(), 0);
    for (name, runs) in &expected {
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
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
    assert!(compared > 0);
}

/// The input's bytes of a recorded run.
fn input(session: &Session, models: &Path, run: &Value) -> Option<Vec<u8>> {
    let path = picture_path(models, run["input"].as_str().expect("a path"))?;
    let shape = &session.inputs()[0].shape;
    let is_planar = run["layout"] == "NCHW";
    let channels = if is_planar { shape[1] } else { shape[shape.len() - 1] };
    let mut pixels = pixels(&path, channels);
    let mut prep = run["prep"].as_str().expect("prep");
    if prep == "bgr255" {
        pixels.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.reverse());
        prep = "raw255";
    }
    if is_planar {
        let plane = |channel: usize| pixels.iter().skip(channel).step_by(channels).copied();
        pixels = (0..channels).flat_map(plane).collect();
    }
    Some(prepare(&pixels, prep))
}

/// Runs one picture; the line to print, and whether it is within the tolerance.
fn compare(
    session: &mut Session,
    models: &Path,
    name: &str,
    run: &Value,
) -> Option<(String, bool)> {
    let bytes = input(session, models, run)?;
    session.input_bytes_mut(0).expect("an input").copy_from_slice(&bytes);
    session.run().expect("a run");
    let default = recorded(models, name, run, "default").expect("recorded outputs");
    let reference = recorded(models, name, run, "ref");
    let (mut line, mut is_right) = (String::new(), true);
    for (i, default) in default.iter().enumerate() {
        let tensor = &session.outputs()[i];
        let mut found = numbers(session.output_bytes(i).expect("an output"), tensor.dtype.name());
        // Large outputs are kept as every 97th element.
        let file = run["outputs"]["default"][i]["file"].as_str().expect("a file");
        if file.contains("every97") {
            found = found.into_iter().step_by(97).collect();
        }
        let reference = reference.as_ref().map(|reference| &reference[i]);
        let to_default = largest_difference(&found, default);
        line += &format!("default {to_default:.3e}");
        if let Some(reference) = reference {
            line += &format!(", ref {:.3e}", largest_difference(&found, reference));
        }
        let agrees = top1(&found) == top1(default);
        line += if agrees { ", top-1 agrees" } else { ", top-1 differs" };
        let spread = reference.map_or(0.0, |reference| largest_difference(reference, default));
        let side = session.inputs()[0].shape[1] as f64;
        is_right &= match rule(name, tensor) {
            Rule::Integers => {
                let decided = reference.is_none_or(|reference| top1(reference) == top1(default));
                to_default <= spread && (agrees || !decided)
            }
            Rule::Floats(tolerance) => {
                let largest = default.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
                to_default <= tolerance * largest
            }
            Rule::Hybrid => to_default <= spread,
            Rule::ClassMap(share) => {
                let alike = found.iter().zip(default).filter(|(a, b)| a == b).count();
                let found_share = alike as f64 / default.len() as f64;
                line += &format!(", {:.3} % of pixels agree", 100.0 * found_share);
                found_share >= share
            }
            Rule::Boxes { pixels, score } => match i {
                0 => to_default * side <= pixels,
                2 => to_default <= score,
                _ => to_default == 0.0,
            },
        };
        line += "; ";
    }
    Some((line.trim_end_matches("; ").to_owned(), is_right))
}
