//! Pruned models beside the float ones that they were made of.

#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::Path;

use achado_engine::{Session, SessionOptions};
use achado_maker::macs::total_macs;
use achado_maker::prune::{Choice, Method, PrunedLayer, Pruner, agreement};
use achado_maker::quantize::float_model;
use achado_model::{Bytes, ErrorCode, Model, Node, Operator, TensorId, tflite};
use achado_onnx::ImportOptions;

fn repository(path: &str) -> Vec<u8> {
    fs::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)).unwrap()
}

fn small() -> Model {
    let file = repository("crates/maker/tests/quantize.tflite");
    float_model(tflite::read(Bytes::from(file)).unwrap()).unwrap()
}

fn architecture(name: &str) -> Model {
    let file = repository(&format!("tests/fixtures/onnx/{name}.onnx"));
    let file = achado_onnx::convert(Bytes::from(file), &ImportOptions::default()).unwrap();
    float_model(tflite::read(Bytes::from(file)).unwrap()).unwrap()
}

/// Smooth pictures, -1 to 1: channels of noise would have nothing in common.
fn sample(model: &Model, seed: usize) -> Vec<u8> {
    let shape = &model.tensor(model.inputs[0]).shape;
    let (width, channels) = (shape[2], shape[3]);
    let value = |at: usize| {
        let (pixel, channel) = (at / channels, at % channels);
        let (x, y) = ((pixel % width) as f32, (pixel / width) as f32);
        let turn = seed as f32 * 0.7 + channel as f32;
        ((x * 0.13 * (1.0 + seed as f32 * 0.05) + turn).sin() + (y * 0.17 + turn).cos()) / 2.0
    };
    let elements = model.tensor(model.inputs[0]).elements();
    (0..elements).flat_map(|at| value(at).to_le_bytes()).collect()
}

fn pruner(model: &Model, method: Method, pictures: usize) -> Pruner {
    let session = SessionOptions::default();
    let mut pruner = Pruner::new(model.clone(), method, &[], &session).unwrap();
    for seed in 0..pictures {
        pruner.add(&[&sample(model, seed)]).unwrap();
    }
    pruner
}

fn output(model: &Model, seed: usize) -> Vec<f32> {
    let mut session = Session::new(model.clone(), &SessionOptions::default()).unwrap();
    session.input_bytes_mut(0).unwrap().copy_from_slice(&sample(model, seed));
    session.run().unwrap();
    let bytes = session.output_bytes(0).unwrap().as_chunks().0.iter();
    bytes.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Root mean square of the difference over that of what differs among pictures.
fn error(float: &Model, pruned: &Model) -> f64 {
    let seeds = 100..108;
    let wanted: Vec<Vec<f32>> = seeds.clone().map(|seed| output(float, seed)).collect();
    let mean: Vec<f64> = (0..wanted[0].len())
        .map(|i| wanted.iter().map(|row| f64::from(row[i])).sum::<f64>() / wanted.len() as f64)
        .collect();
    let (mut noise, mut signal) = (0.0, 0.0);
    for (seed, wanted) in seeds.zip(&wanted) {
        for ((found, &wanted), mean) in output(pruned, seed).iter().zip(wanted).zip(&mean) {
            noise += (f64::from(*found) - f64::from(wanted)).powi(2);
            signal += (f64::from(wanted) - mean).powi(2);
        }
    }
    (noise / signal).sqrt()
}

/// The model as it is read back from its file.
fn written(model: &Model) -> Model {
    tflite::read(Bytes::from(tflite::write(model).unwrap())).unwrap()
}

#[test]
fn channels_are_cut_out_of_all_architectures() {
    for name in ["mobilenet_v2", "mobilenet_v3", "resnet18"] {
        let float = architecture(name);
        let pruner = pruner(&float, Method::Channels, 6);
        let pruned = pruner.cut_channels(0.1).unwrap();
        let model = written(&pruned.model);
        let saved = 1.0 - total_macs(&model) as f64 / total_macs(&float) as f64;
        assert!(saved >= 0.1 && (saved - pruned.reached).abs() < 1e-9, "{name}: {saved}");
        assert!(pruned.layers.iter().any(|layer| layer.after < layer.before));
        let found = output(&model, 3);
        assert_eq!(found.len(), output(&float, 3).len());
        assert!(found.iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn refitted_weights_lose_less_than_the_smallest() {
    let float = small();
    let pruner = pruner(&float, Method::Weights, 24);
    let by = |choice| pruner.zero_weights(0.5, choice).unwrap();
    let (fitted, smallest) = (by(Choice::Error), by(Choice::Magnitude));
    assert!(fitted.reached >= 0.5 && smallest.reached >= 0.5);
    let (a, b) = (error(&float, &written(&fitted.model)), error(&float, &smallest.model));
    println!("refitted {a:.3}, the smallest {b:.3}");
    assert!(a < b / 2.0, "{a} {b}");
    let same = by(Choice::Error);
    assert_eq!(tflite::write(&same.model).unwrap(), tflite::write(&fitted.model).unwrap());
}

#[test]
fn what_is_copied_can_be_cut_without_loss() {
    let mut float = architecture("resnet18");
    let pruner_of = |model: &Model| pruner(model, Method::Channels, 8);
    let layers = pruner_of(&float).cut_channels(0.05).unwrap().layers;
    // A convolution that another one reads, with nothing between that treats channels differently.
    let place = |name: &str| float.tensors.iter().position(|tensor| tensor.name == name).unwrap();
    let reader =
        |id: usize| float.nodes.iter().find(|node| node.inputs.contains(&Some(TensorId(id))));
    let is_read = |layer: &&PrunedLayer| {
        let is_same = |node: &&Node| matches!(node.operator, Operator::Relu | Operator::Pad);
        let mut next = reader(place(&layer.name));
        while let Some(node) = next.filter(is_same) {
            next = reader(node.outputs[0].0);
        }
        next.is_some_and(|node| matches!(node.operator, Operator::Conv2d { .. }))
    };
    let name = layers.iter().find(is_read).unwrap().name.clone();
    let writes = |node: &&Node| node.outputs[0].0 == place(&name);
    let writer = float.nodes.iter().find(writes).unwrap();
    // The second half of its channels is the first half again.
    let (weights, bias) = (writer.inputs[1].unwrap(), writer.inputs[2].unwrap());
    for id in [weights, bias] {
        let mut values = float.tensor(id).constant_floats().unwrap();
        let half = values.len() / 2;
        let (from, to) = values.split_at_mut(half);
        to[..half].copy_from_slice(&from[..half]);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        float.tensors[id.0].data = Some(Bytes::from(bytes));
    }
    let pruned = pruner_of(&float).cut_channels(0.02).unwrap();
    let layer = pruned.layers.iter().find(|layer| layer.name == name).unwrap();
    assert!(layer.after < layer.before, "{layer:?}");
    assert!(error(&float, &pruned.model) < 0.05, "{}", error(&float, &pruned.model));
    let samples: Vec<Vec<u8>> = (50..58).map(|seed| sample(&float, seed)).collect();
    let agreed = agreement(&float, &pruned.model, &samples, &SessionOptions::default()).unwrap();
    assert_eq!(agreed, 1.0);
}

#[test]
fn what_cannot_be_pruned_is_refused() {
    let float = small();
    let session = SessionOptions::default();
    let open = |exclude: &str| {
        Pruner::new(float.clone(), Method::Channels, &[exclude.to_owned()], &session)
    };
    let found = open("CONV_2").unwrap_err();
    assert_eq!(found.code, ErrorCode::InvalidOption);
    assert!(found.message.contains("did you mean \"CONV_2D\""), "{found}");
    assert_eq!(open("CONV_2D").unwrap_err().code, ErrorCode::InvalidOption);

    for (pictures, text) in [(0, "there are 0"), (1, "there is 1")] {
        let found = pruner(&float, Method::Channels, pictures).cut_channels(0.2).unwrap_err();
        assert_eq!(found.code, ErrorCode::NotEnoughData);
        assert!(found.message.contains(text), "{found}");
    }
    let mut some = pruner(&float, Method::Channels, 4);
    for target in [0.0, 1.0, -1.0, f64::NAN] {
        assert_eq!(some.cut_channels(target).unwrap_err().code, ErrorCode::InvalidOption);
    }
    let found = some.cut_channels(0.99).unwrap_err();
    assert!(found.detail.contains_key("best"), "{found}");
    assert!(found.message.contains("the most that was found is 0."), "{found}");
    let weights = pruner(&float, Method::Weights, 4);
    assert!(weights.zero_weights(0.99, Choice::Error).unwrap_err().detail.contains_key("best"));

    let mut bad = sample(&float, 1);
    bad[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let found = some.add(&[&bad]).unwrap_err();
    assert_eq!(found.code, ErrorCode::InvalidInput);
    assert!(found.message.contains("infinite or no numbers"), "{found}");
    assert_eq!(some.add(&[&bad[4..]]).unwrap_err().code, ErrorCode::InvalidInput);
}
