//! Quantized models beside what TensorFlow Lite's converter and Google's quantizer make of the same
//! network (`scripts/maker/quantize.py`), and beside the float models that they were made of.

#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};

use achado_engine::{Session, SessionOptions};
use achado_maker::quantize::{
    Calibration, Calibrator, Int8Options, IoType, Quantized, RangeMethod, Weights8, float_model,
    to_float16, to_int8, to_weights8, with_islands,
};
use achado_model::{Bytes, DataType, ErrorCode, Model, Operator, tflite};
use achado_onnx::ImportOptions;
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

fn small() -> Model {
    let file = fs::read(repository("crates/maker/tests/quantize.tflite")).unwrap();
    float_model(tflite::read(Bytes::from(file)).unwrap()).unwrap()
}

/// The same numbers as in the script: bytes of a hash, from -1 to 1, as the model's input.
fn sample(model: &Model, seed: usize) -> Vec<Vec<u8>> {
    let pixel = |at: usize| ((at * (seed + 7) * 2_654_435_761) >> 13) as u8;
    let elements = model.tensor(model.inputs[0]).elements();
    let value = |at| f32::from(pixel(at)) / 127.5 - 1.0;
    vec![(0..elements).flat_map(|at| value(at).to_le_bytes()).collect()]
}

fn samples(model: &Model, seeds: std::ops::Range<usize>) -> Vec<Vec<Vec<u8>>> {
    seeds.map(|seed| sample(model, seed)).collect()
}

fn calibrate(model: &Model, count: usize) -> Calibration {
    let mut calibrator = Calibrator::new(model, &SessionOptions::default()).unwrap();
    for sample in samples(model, 0..count) {
        calibrator.add(&[&sample[0]]).unwrap();
    }
    calibrator.finish().unwrap()
}

/// As the other quantizers do it.
fn plain() -> Int8Options {
    Int8Options {
        io_type: IoType::Int8,
        ranges: RangeMethod::MinMax,
        bias_correction: false,
        equalization: false,
        per_channel_dense: true,
        ..Int8Options::default()
    }
}

fn fixture() -> Value {
    let text = fs::read_to_string(repository("crates/maker/tests/quantize.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The model as it is read back from its file.
fn written(quantized: Quantized) -> Model {
    let file = tflite::write(&quantized.into_model()).unwrap();
    tflite::read(Bytes::from(file)).unwrap()
}

#[test]
fn weights_are_those_of_googles_quantizer_to_the_bit() {
    let float = small();
    let quantized = written(to_int8(&float, &calibrate(&float, 8), &plain()).unwrap());
    let expected = fixture();
    let expected = expected["weights"].as_object().unwrap();
    assert_eq!(expected.len(), 6);
    for (name, expected) in expected {
        let tensor = quantized.tensors.iter().find(|tensor| tensor.name == *name).expect(name);
        let values: Vec<i64> =
            tensor.data.as_ref().unwrap().iter().map(|&byte| i64::from(byte as i8)).collect();
        let numbers = |key: &str| expected[key].as_array().unwrap().clone();
        let wanted: Vec<i64> = numbers("values").iter().map(|v| v.as_i64().unwrap()).collect();
        assert_eq!(values, wanted, "{name}");
        let scales: Vec<f32> =
            numbers("scales").iter().map(|v| v.as_f64().unwrap() as f32).collect();
        assert_eq!(tensor.quantization.as_ref().unwrap().scale, scales, "{name}");
    }
}

#[test]
fn activations_have_the_converters_scales() {
    let float = small();
    let quantized = to_int8(&float, &calibrate(&float, 8), &plain()).unwrap().into_model();
    let expected = fixture();
    for (name, expected) in expected["activations"].as_object().unwrap() {
        // ADD runs in place while the converter calibrates, which sees the sum in the operand's stead.
        if name.starts_with("functional_1/back_1") {
            continue;
        }
        let tensor = quantized.tensors.iter().find(|tensor| tensor.name == *name).expect(name);
        let (scale, zero_point) = tensor.quantization.as_ref().unwrap().as_per_tensor().unwrap();
        let wanted = expected[0].as_f64().unwrap();
        assert!((f64::from(scale) / wanted - 1.0).abs() < 1e-6, "{name}: {scale}, not {wanted}");
        assert_eq!(i64::from(zero_point), expected[1].as_i64().unwrap(), "{name}");
    }
}

/// Architectures in small, as PyTorch's exporter writes them.
const ARCHITECTURES: [(&str, f64); 8] = [
    ("mobilenet_v2", 20.0),
    ("mobilenet_v3", 15.0),
    ("resnet18", 20.0),
    ("shufflenet_v2", 15.0),
    ("regnet_y", 15.0),
    ("efficientnet_b0", 12.0),
    ("convnext_tiny", 12.0),
    ("vit", 12.0),
];

fn architecture(name: &str) -> Model {
    let path = repository(&format!("tests/fixtures/onnx/{name}.onnx"));
    let file = fs::read(path).unwrap();
    let file = achado_onnx::convert(Bytes::from(file), &ImportOptions::default()).unwrap();
    float_model(tflite::read(Bytes::from(file)).unwrap()).unwrap()
}

#[test]
fn architectures_keep_their_outputs() {
    let session = SessionOptions::default();
    for (name, least_db) in ARCHITECTURES {
        let float = architecture(name);
        let calibration = calibrate(&float, 4);
        let quantized = to_int8(&float, &calibration, &Int8Options::default()).unwrap();
        let comparison = quantized.compare(&samples(&float, 4..8), &session).unwrap();
        let last = comparison.layers.last().unwrap();
        println!("{name}: {:.1} dB, float {:?}", last.snr_db, quantized.float_operators);
        assert!(last.snr_db > least_db, "{name}: {last:?}");
        // What is written opens again.
        let model = written(quantized);
        Session::new(model, &session).unwrap();
    }
}

#[test]
fn inputs_and_outputs_have_the_type_that_is_asked_for() {
    let float = small();
    let calibration = calibrate(&float, 4);
    let types = [
        (IoType::Int8, DataType::Int8),
        (IoType::UInt8, DataType::UInt8),
        (IoType::Float32, DataType::Float32),
    ];
    for (io_type, dtype) in types {
        let options = Int8Options { io_type, ..Int8Options::default() };
        let model = written(to_int8(&float, &calibration, &options).unwrap());
        for (now, then) in
            [(model.inputs[0], float.inputs[0]), (model.outputs[0], float.outputs[0])]
        {
            assert_eq!(model.tensor(now).dtype, dtype);
            assert_eq!(model.tensor(now).name, float.tensor(then).name);
        }
    }
}

#[test]
fn excluded_operators_stay_in_float_and_unknown_ones_are_refused() {
    let float = small();
    let calibration = calibrate(&float, 4);
    let with =
        |exclude: &str| Int8Options { exclude: vec![exclude.to_owned()], ..Int8Options::default() };
    let quantized = to_int8(&float, &calibration, &with("SOFTMAX")).unwrap();
    assert_eq!(quantized.float_operators, [float.tensor(float.outputs[0]).name.clone()]);
    let model = written(quantized);
    let is_float = |node: &&achado_model::Node| matches!(node.operator, Operator::Softmax { .. });
    let softmax = model.nodes.iter().find(is_float).unwrap();
    assert_eq!(model.tensor(softmax.outputs[0]).dtype, DataType::Float32);
    let error = to_int8(&float, &calibration, &with("functional_1/sum_1/Ad")).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidOption);
    assert!(error.message.contains("did you mean \"functional_1/sum_1/Add\"?"), "{error}");
}

#[test]
fn islands_are_found_until_the_drop_holds() {
    let float = architecture("mobilenet_v3");
    let calibration = calibrate(&float, 4);
    let session = SessionOptions::default();
    let held_back = samples(&float, 4..8);
    let options = Int8Options::default();
    let easy = with_islands(&float, &calibration, &held_back, &options, 1.0, &session).unwrap();
    assert!(easy.holds && easy.islands.is_empty());
    let strict = with_islands(&float, &calibration, &held_back, &options, 0.0, &session).unwrap();
    assert!(strict.holds || !strict.islands.is_empty());
    assert_eq!(strict.holds, strict.comparison.top1_agreement == 1.0);
}

#[test]
fn small_files_are_as_small_as_they_should_be() {
    let float = architecture("mobilenet_v2");
    let size = |model: &Model| tflite::write(model).unwrap().len() as f64;
    let whole = size(&float);
    let run = |model: Model| {
        let mut session = Session::new(model, &SessionOptions::default()).unwrap();
        session.input_bytes_mut(0).unwrap().copy_from_slice(&sample(&float, 3)[0]);
        session.run().unwrap();
        let output = session.output_bytes(0).unwrap();
        output.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>()
    };
    let wanted = run(float.clone());
    let near = |model: Model, tolerance: f32| {
        let largest = wanted.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (found, wanted) in run(model).iter().zip(&wanted) {
            assert!((found - wanted).abs() <= tolerance * largest, "{found} {wanted}");
        }
    };
    let half = to_float16(float.clone()).unwrap();
    assert!(size(&half) / whole < 0.65, "{}", size(&half) / whole);
    near(half, 5e-3);
    for kind in [Weights8::Dynamic, Weights8::WeightsOnly] {
        let model = to_weights8(float.clone(), kind, true).unwrap();
        near(model, 0.1);
    }
}

#[test]
fn what_cannot_be_quantized_is_refused() {
    let float = small();
    let quantized = written(to_int8(&float, &calibrate(&float, 2), &plain()).unwrap());
    let error = float_model(quantized).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidOption);
    assert!(error.message.contains("quantized already"), "{error}");

    let mut calibrator = Calibrator::new(&float, &SessionOptions::default()).unwrap();
    let nothing = Calibrator::new(&float, &SessionOptions::default()).unwrap();
    assert_eq!(nothing.finish().unwrap_err().code, ErrorCode::InvalidInput);
    let mut bad = sample(&float, 1);
    bad[0][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = calibrator.add(&[&bad[0]]).unwrap_err();
    assert!(error.message.contains("sample 0 makes numbers in tensor"), "{error}");
    let error = calibrator.add(&[&bad[0][4..]]).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
}
