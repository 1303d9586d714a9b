//! What whole-model tests share: the recorded outputs beside the repository, pictures, `.npy`.

#![allow(dead_code, reason = "each suite uses a part")]

use std::path::{Path, PathBuf};

use achado_model::{Bytes, Model, Result, tflite};
use serde_json::Value;

/// The folder with real models and recorded outputs: `$ACHADO_SHARED`, or `../shared` where it is.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("ACHADO_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    folder.join("models/expected/expected.json").exists().then_some(folder)
}

/// The folder with the real models, and what others answered: by the model's file, by picture.
/// `None`, and a line that says so, where they are not here.
pub fn expected() -> Option<(PathBuf, serde_json::Map<String, Value>)> {
    let Some(shared) = shared() else {
        println!("no recorded outputs here: set ACHADO_SHARED to compare with real models");
        return None;
    };
    let models = shared.join("models");
    let text = std::fs::read_to_string(models.join("expected/expected.json")).expect("read");
    match serde_json::from_str(&text).expect("JSON") {
        Value::Object(expected) => Some((models, expected)),
        other => panic!("expected.json should be an object, is {other}"),
    }
}

/// Reads a model from a file.
pub fn read_model(path: &Path) -> Result<Model> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    tflite::read(Bytes::from(bytes))
}

/// A picture's pixels as `channels` bytes each, 3 or 1.
pub fn pixels(path: &Path, channels: usize) -> Vec<u8> {
    let image = image::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match channels {
        1 => image.into_luma8().into_raw(),
        _ => image.into_rgb8().into_raw(),
    }
}

/// Input bytes of a picture, by the name of its preparation in `expected.json`.
pub fn prepare(pixels: &[u8], prep: &str) -> Vec<u8> {
    let floats = |f: &dyn Fn(f32) -> f32| -> Vec<u8> {
        pixels.iter().flat_map(|&x| f(f32::from(x)).to_le_bytes()).collect()
    };
    match prep {
        "u8" => pixels.to_vec(),
        "q" => pixels.iter().map(|&x| x ^ 0x80).collect(),
        "pm1" => floats(&|x| (x - 127.5) / 127.5),
        "f01" => floats(&|x| x / 255.0),
        "raw255" | "mnist255" => floats(&|x| x),
        "tf127128" => floats(&|x| (x - 127.0) / 128.0),
        "mnistn" => floats(&|x| (x / 255.0 - 0.1307) / 0.3081),
        "bgrmean" => {
            let means = [104.0, 117.0, 123.0];
            let pixels = pixels.as_chunks::<3>().0.iter();
            let bgr = pixels.flat_map(|&[r, g, b]| [b, g, r].into_iter().zip(means));
            bgr.flat_map(|(x, mean): (u8, f32)| (f32::from(x) - mean).to_le_bytes()).collect()
        }
        other => panic!("preparation {other:?} is not known"),
    }
}

/// The elements of a `.npy` file as numbers, and their type's name.
pub fn npy(path: &Path) -> (String, Vec<f64>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(&bytes[..6], b"\x93NUMPY", "{}", path.display());
    let header_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..10 + header_len]).into_owned();
    let kind = header.split('\'').nth(3).expect("a type in the header").to_owned();
    (kind.clone(), numbers(&bytes[10 + header_len..], &kind))
}

/// Little-endian elements as numbers; `kind` is NumPy's name of the type.
pub fn numbers(data: &[u8], kind: &str) -> Vec<f64> {
    match kind {
        "|u1" | "uint8" => data.iter().map(|&x| f64::from(x)).collect(),
        "|i1" | "int8" => data.iter().map(|&x| f64::from(x as i8)).collect(),
        "<f4" | "float32" => {
            data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
        }
        "<f2" => {
            data.as_chunks().0.iter().map(|b| f64::from(half::f16::from_le_bytes(*b))).collect()
        }
        "<i4" | "int32" => {
            data.as_chunks().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect()
        }
        "<i8" | "int64" => {
            data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect()
        }
        other => panic!("type {other:?} is not known"),
    }
}

/// The largest absolute difference.
pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The index of the first greatest element.
pub fn top1(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// One output of a recorded run.
pub fn recorded(models: &Path, model: &str, run: &Value, mode: &str) -> Option<Vec<Vec<f64>>> {
    let outputs = run["outputs"][mode].as_array()?;
    let read = |output: &Value| {
        let file = output["file"].as_str().expect("a file");
        let path = models.join("expected").join(model).join(file);
        match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => npy(&path).1,
            _ => pixels(&path, 1).iter().map(|&x| f64::from(x)).collect(),
        }
    };
    Some(outputs.iter().map(read).collect())
}

/// The picture of a recorded run: beside the models, or in the `data` folder of PyPI's `foolbox`,
/// which `ACHADO_FOOLBOX` names.
pub fn picture_path(models: &Path, input: &str) -> Option<PathBuf> {
    let path = match input.strip_prefix("(foolbox ") {
        None => models.join(input),
        Some(name) => {
            Path::new(&std::env::var_os("ACHADO_FOOLBOX")?).join(name.trim_end_matches(')'))
        }
    };
    path.exists().then_some(path)
}
