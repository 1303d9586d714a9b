//! What the examples measure with: models, and the pictures of `ACHADO_SHARED` or `../shared`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use achado_engine::{Session, SessionOptions};
use achado_maker::quantize::{convert_input, float_model};
use achado_model::{Bytes, DataType, Model, Operator, Tensor, tflite};
use achado_vision::{Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor};

/// The folder of models and pictures.
pub fn shared() -> PathBuf {
    let shared = env::var("ACHADO_SHARED").unwrap_or_else(|_| "../shared".into());
    Path::new(&shared).join("models")
}

/// A float `.tflite` or ONNX model; where it has `integers`, what they stand for.
pub fn open(path: &str, integers: bool) -> Model {
    let bytes = fs::read(path).unwrap();
    let model = if tflite::is_onnx(&bytes) {
        achado_onnx::import(bytes.into(), &achado_onnx::ImportOptions::default()).unwrap()
    } else {
        tflite::read(bytes.into()).unwrap()
    };
    float_model(if integers { dequantized(model) } else { model }).unwrap()
}

/// A float model of one that computes with integers: constants and results become what they stand for.
fn dequantized(mut model: Model) -> Model {
    let real = |tensor: &Tensor| -> Option<Bytes> {
        let (data, quantization) = (tensor.data.as_ref()?, tensor.quantization.as_ref()?);
        let inner: usize =
            tensor.shape[(quantization.axis + 1).min(tensor.shape.len())..].iter().product();
        let channel = |at: usize| at / inner.max(1) % quantization.scale.len();
        let integers: Vec<i32> = match tensor.dtype {
            DataType::Int8 => data.iter().map(|&byte| i32::from(byte as i8)).collect(),
            DataType::UInt8 => data.iter().map(|&byte| i32::from(byte)).collect(),
            DataType::Int32 => data.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect(),
            _ => return None,
        };
        let float = |(at, q): (usize, i32)| {
            let channel = channel(at);
            (q - quantization.zero_point[channel]) as f32 * quantization.scale[channel]
        };
        let bytes: Vec<u8> =
            integers.into_iter().enumerate().map(float).flat_map(f32::to_le_bytes).collect();
        Some(Bytes::from(bytes))
    };
    for tensor in &mut model.tensors {
        if tensor.quantization.is_none() {
            continue;
        }
        if tensor.data.is_some() {
            tensor.data = Some(real(tensor).unwrap());
        }
        tensor.dtype = DataType::Float32;
        tensor.quantization = None;
    }
    for node in &mut model.nodes {
        // QUANTIZE and DEQUANTIZE between floats change nothing.
        if matches!(node.operator, Operator::Quantize | Operator::Dequantize) {
            let shape = &model.tensors[node.outputs[0].0].shape;
            let new_shape = shape.iter().map(|&size| size as i64).collect();
            node.operator = Operator::Reshape { new_shape };
        }
    }
    if let Some(metadata) = &mut model.metadata {
        for input in &mut metadata.inputs {
            input.normalization = None;
        }
    }
    model
}

/// The photos of groceries as the model's input, with their classes in ImageNet.
pub fn groceries(model: &Model) -> Vec<(Vec<u8>, usize)> {
    let folder = shared().join("accuracy");
    let truth = fs::read_to_string(folder.join("truth.tsv")).unwrap();
    let picture = |line: &str| {
        let (file, index) = line.split_once('\t').unwrap();
        (prepare(model, &folder.join(file)), index.parse().unwrap())
    };
    truth.lines().skip(1).map(picture).collect()
}

/// `count` photos of clothes as the model's input, evenly out of the training set.
pub fn clothes(model: &Model, count: usize) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    files(&shared().join("transfer/clothing5/train"), &mut paths);
    let step = (paths.len() / count).max(1);
    paths.iter().step_by(step).take(count).map(|path| prepare(model, path)).collect()
}

fn decode(path: &Path) -> (Vec<u8>, usize, usize) {
    let file = fs::read(path).unwrap();
    let mut decoder = mozjpeg::Decompress::new_mem(&file).unwrap().rgb().unwrap();
    let (width, height) = (decoder.width(), decoder.height());
    let pixels: Vec<[u8; 3]> = decoder.read_scanlines().unwrap();
    (pixels.concat(), width, height)
}

/// The picture as the float model's input.
pub fn prepare(model: &Model, path: &Path) -> Vec<u8> {
    let input = model.tensor(model.inputs[0]);
    let metadata = model.metadata.as_ref().and_then(|metadata| metadata.inputs.first());
    let normalization = metadata.and_then(|input| input.normalization.as_ref());
    let mut preprocess = Preprocess {
        fit: Some(Fit::CenterCrop),
        crop_fraction: Some(0.875),
        ..Preprocess::default()
    };
    if normalization.is_none() {
        preprocess.mean = Some(vec![127.5]);
        preprocess.std = Some(vec![127.5]);
    }
    let mut preprocessor = Preprocessor::new(input, normalization, &preprocess).unwrap();
    let (pixels, width, height) = decode(path);
    let picture = Picture { pixels: &pixels, width, height, format: PixelFormat::Rgb8 };
    let mut out = vec![0; input.size_bytes()];
    preprocessor.run(&picture, &FrameOptions::default(), &mut out).unwrap();
    out
}

pub fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files(&entry, into);
        } else {
            into.push(entry);
        }
    }
}

/// The share of pictures whose greatest score is the right class.
pub fn accuracy(model: &Model, pictures: &[(Vec<u8>, usize)]) -> f64 {
    let mut session = Session::new(model.clone(), &SessionOptions::default()).unwrap();
    let mut right = 0;
    let mut converted = Vec::new();
    for (input, truth) in pictures {
        convert_input(&session.inputs()[0].clone(), input, &mut converted);
        session.input_bytes_mut(0).unwrap().copy_from_slice(&converted);
        session.run().unwrap();
        let output = session.output_bytes(0).unwrap();
        let tensor = &session.outputs()[0];
        let scores: Vec<f32> = match tensor.dtype.name() {
            "float32" => output.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            "uint8" => output.iter().map(|&b| f32::from(b)).collect(),
            _ => output.iter().map(|&b| f32::from(b as i8)).collect(),
        };
        let mut best = 0;
        for (index, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = index;
            }
        }
        let background = usize::from(scores.len() == 1001);
        right += usize::from(best == truth + background);
    }
    right as f64 / pictures.len() as f64
}
