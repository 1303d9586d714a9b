//! Exported models beside the embeddings and heads that they are made of.

#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};

use achado_engine::{Session, SessionOptions};
use achado_maker::export::{Base, Export, HeadType, export, head_only};
use achado_maker::train::head_logits;
use achado_model::{Bytes, DataType, Model, Operator, tflite};
use achado_vision::{Channels, Fit, Preprocess};

fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

fn read(bytes: &[u8]) -> Model {
    tflite::read(Bytes::from(bytes.to_vec())).unwrap()
}

/// The first output of a file for pixels that follow from `seed`, or for the input that is given.
fn run(bytes: &[u8], seed: usize, given: Option<&[u8]>) -> Vec<u8> {
    let mut session = Session::new(read(bytes), &SessionOptions::default()).unwrap();
    let dtype = session.inputs()[0].dtype;
    let input = session.input_bytes_mut(0).unwrap();
    let pixel = |at: usize| ((at * (seed + 7) * 2_654_435_761) >> 13) as u8;
    match (given, dtype) {
        (Some(given), _) => input.copy_from_slice(given),
        (None, DataType::Float32) => {
            let values = input.len() / 4;
            let value = |at| f32::from(pixel(at)) / 127.5 - 1.0;
            let floats: Vec<u8> = (0..values).flat_map(|at| value(at).to_le_bytes()).collect();
            input.copy_from_slice(&floats);
        }
        (None, _) => input.iter_mut().enumerate().for_each(|(at, byte)| *byte = pixel(at)),
    }
    session.run().unwrap();
    session.output_bytes(0).unwrap().to_vec()
}

/// The embedding of a base, in real numbers.
fn reals(base: &Base, bytes: &[u8]) -> Vec<f32> {
    let tensor = base.embedding();
    let real = |q: i32| {
        let (scale, zero_point) = tensor.quantization.as_ref().unwrap().as_per_tensor().unwrap();
        scale * (q - zero_point) as f32
    };
    match tensor.dtype {
        DataType::Float32 => floats(bytes),
        DataType::UInt8 => bytes.iter().map(|&byte| real(byte.into())).collect(),
        DataType::Int8 => bytes.iter().map(|&byte| real(byte.cast_signed().into())).collect(),
        other => panic!("{other}"),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}

const NAMES: [&str; 3] = ["dress", "calças", "👟"];

fn head(features: usize, head: HeadType) -> Export {
    let weight = |at: usize| ((at * 31 % 101) as f32 / 50.0 - 1.0) * 4.0;
    Export {
        weights: (0..3 * features).map(weight).collect(),
        bias: vec![0.5, -0.25, 0.0],
        labels: NAMES.map(str::to_owned).to_vec(),
        head,
        name: "clothes".to_owned(),
        ..Export::default()
    }
}

/// Cuts and exports a model, and compares all parts of it. Gives the file.
fn check(file: Vec<u8>, has_own_end: bool) -> Vec<u8> {
    let before = read(&file);
    let base = Base::cut(file).unwrap();
    let cut = base.write().unwrap();
    assert_eq!(read(&cut).outputs.len(), 1);
    let embeddings = [0, 1].map(|seed| run(&cut, seed, None));
    let reals: Vec<Vec<f32>> = embeddings.iter().map(|bytes| reals(&base, bytes)).collect();
    assert_ne!(reals[0], reals[1]);

    let options = head(base.features(), HeadType::Float);
    let file = export(&base, &options, &[]).unwrap();
    let model = read(&file);
    // The network is that of the file, byte for byte.
    let known = |model: &Model| {
        let large = model.tensors.iter().filter(|tensor| tensor.size_bytes() > 64);
        large.filter_map(|tensor| tensor.data.clone()).collect::<Vec<_>>()
    };
    let kept = known(&read(&cut));
    assert!(kept.iter().all(|data| known(&before).contains(data)));
    assert!(kept.iter().all(|data| known(&model).contains(data)));
    assert_eq!(has_own_end, known(&before).len() > kept.len());
    let only = head_only(file.clone()).unwrap();
    for seed in 0..2 {
        let logits = head_logits(&options.weights, &options.bias, &reals[seed]);
        let expected = softmax(&logits);
        let whole = floats(&run(&file, seed, None));
        for (found, expected) in whole.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{whole:?} {expected:?}");
        }
        assert_eq!(floats(&run(&only, 0, Some(&embeddings[seed]))), whole);
    }
    let labels = &model.metadata.as_ref().unwrap().outputs[0].labels;
    assert_eq!(labels[0].names, NAMES);

    if base.embedding().dtype != DataType::Float32 {
        let mut options = head(base.features(), HeadType::Integer);
        // Weights as training makes them: logits stay within ten or so.
        options.weights.iter_mut().for_each(|weight| *weight *= 0.5);
        let integer = export(&base, &options, &reals.concat()).unwrap();
        assert_eq!(read(&integer).tensor(read(&integer).outputs[0]).dtype, base.embedding().dtype);
        let mean = (length(&reals[0]) + length(&reals[1])) / 2.0;
        for (seed, reals) in reals.iter().enumerate() {
            // It divides by the mean length.
            let stretch = length(reals) / mean;
            let mut logits = head_logits(&options.weights, &options.bias, reals);
            logits.iter_mut().zip(&options.bias).for_each(|(logit, &bias)| {
                *logit = (*logit - f64::from(bias)) * stretch + f64::from(bias);
            });
            let found: Vec<f64> = run(&integer, seed, None)
                .iter()
                .map(|&byte| match base.embedding().dtype {
                    DataType::UInt8 => f64::from(byte) / 256.0,
                    _ => (f64::from(byte.cast_signed()) + 128.0) / 256.0,
                })
                .collect();
            for (found, expected) in found.iter().zip(softmax(&logits)) {
                assert!((found - expected).abs() < 0.03, "{found} {expected}");
            }
        }
    } else {
        let options = head(base.features(), HeadType::Integer);
        let error = export(&base, &options, &reals.concat()).unwrap_err();
        assert!(error.message.contains("int8 or uint8; this one's is float32"), "{error}");
    }
    file
}

#[test]
fn the_default_model_gets_other_classes() {
    let file = fs::read(repository("models/efficientnet-lite0-int8.tflite")).unwrap();
    let exported = check(file.clone(), true);
    assert!(exported.len() < file.len() && exported.len() < 4_200_000, "{}", exported.len());
    // Again from what came out.
    let base = Base::cut(exported).unwrap();
    assert_eq!(base.features(), 1280);
    assert_eq!(base.embedding().dtype, DataType::Float32);
}

#[test]
fn converted_onnx_models_get_other_classes() {
    for name in ["mobilenet_v2", "resnet18"] {
        let onnx = fs::read(repository(&format!("tests/fixtures/onnx/{name}.onnx"))).unwrap();
        let model = achado_onnx::convert(Bytes::from(onnx), &Default::default()).unwrap();
        let exported = check(model, true);
        let operators = read(&exported).nodes;
        assert!(operators.iter().all(|node| node.operator != Operator::Dequantize), "{name}");
    }
}

#[test]
fn shared_models_get_other_classes() {
    let root = std::env::var_os("ACHADO_SHARED")
        .map_or_else(|| repository("../shared"), PathBuf::from)
        .join("models/models");
    // Classifiers and embedders; uint8, int8, hybrid and float; dense layers and 1x1 convolutions.
    for (name, has_own_end) in [
        ("mobilenet_v1_0.25_128_quant", true),
        ("mobilenet_v2_0.35_96_embedder_hybrid", false),
        ("mobilenet_v1_0.25_224_f32_md", true),
        ("vww_96_int8", true),
        ("cifar10_resnet8_f32", true),
        ("cifar10_resnet8_int8", true),
    ] {
        match fs::read(root.join(format!("{name}.tflite"))) {
            Ok(file) => drop(check(file, has_own_end)),
            Err(_) => println!("skipped: no shared {name}"),
        }
    }
}

#[test]
fn what_cannot_be_cut_or_appended_is_refused_by_name() {
    let onnx = fs::read(repository("tests/fixtures/onnx/colours.onnx")).unwrap();
    let model = achado_onnx::convert(Bytes::from(onnx), &Default::default()).unwrap();
    match Base::cut(model) {
        Err(error) => assert!(error.message.contains("no embedding to train on"), "{error}"),
        Ok(base) => assert!(base.features() > 1),
    }
    let file = fs::read(repository("models/efficientnet-lite0-int8.tflite")).unwrap();
    let base = Base::cut(file.clone()).unwrap();
    let refuse = |change: &dyn Fn(&mut Export)| {
        let mut options = head(1280, HeadType::Float);
        change(&mut options);
        export(&base, &options, &[]).unwrap_err().to_string()
    };
    let twice = |options: &mut Export| options.labels[2] = "dress".to_owned();
    assert!(refuse(&twice).contains("\"dress\" is the name of two classes"));
    let fewer = |options: &mut Export| options.labels.truncate(2);
    assert!(refuse(&fewer).contains("2 names for 3 classes"));
    let lines = |options: &mut Export| options.labels[0] = "a\nb".to_owned();
    assert!(refuse(&lines).contains("holds a line break"));
    let nan = |options: &mut Export| options.weights[7] = f32::NAN;
    assert!(refuse(&nan).contains("no finite number"));
    let short = |options: &mut Export| options.weights.truncate(5);
    assert!(refuse(&short).contains("does not fit an embedding of 1280"));
    let names = vec![("../x".to_owned(), vec![String::new(); 3])];
    let locale = |options: &mut Export| options.display_names = names.clone();
    assert!(refuse(&locale).contains("no language tag"));
    assert!(head_only(file).unwrap_err().message.contains("no head of the Maker"));
}

#[test]
fn how_pictures_were_prepared_goes_along() {
    let file = fs::read(repository("models/efficientnet-lite0-int8.tflite")).unwrap();
    let base = Base::cut(file).unwrap();
    let mut options = head(1280, HeadType::Float);
    options.preprocess = Preprocess {
        fit: Some(Fit::CenterCrop),
        crop_fraction: Some(0.875),
        channels: Some(Channels::Rgb),
        ..Preprocess::default()
    };
    options.score_threshold = Some(0.25);
    options.display_names = vec![("pt-BR".to_owned(), NAMES.map(str::to_owned).to_vec())];
    let exported = export(&base, &options, &[]).unwrap();
    let metadata = read(&exported).metadata.unwrap();
    let stored = Preprocess::default().or_stored(Some(&metadata)).unwrap();
    assert_eq!(stored, options.preprocess);
    assert_eq!(metadata.outputs[0].score_threshold, Some(0.25));
    assert_eq!(metadata.outputs[0].labels[1].file_name, "labels_pt-BR.txt");
    // A second head keeps what nobody changed.
    options.preprocess = Preprocess { fit: Some(Fit::Contain), ..Preprocess::default() };
    let again = export(&Base::cut(exported).unwrap(), &options, &[]).unwrap();
    let stored = Preprocess::default().or_stored(read(&again).metadata.as_ref()).unwrap();
    assert_eq!((stored.fit, stored.crop_fraction), (Some(Fit::Contain), None));
    assert_eq!(stored.channels, Some(Channels::Rgb));
}
