//! Quantizes a float model and measures what that costs on the pictures of groceries:
//!
//! `cargo run --release -p achado-maker --example quantize -- MODEL [--ranges mse|minmax|average|P]
//! [--no-correction] [--pictures N] [--max-drop D] [--exclude NAME] [--out FILE]`
//!
//! It calibrates on `transfer/clothing5/train` and counts on `accuracy/truth.tsv`, both in the folder
//! `models` of `ACHADO_SHARED` or `../shared`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use achado_engine::{Session, SessionOptions};
use achado_maker::quantize::{
    Calibrator, Int8Options, RangeMethod, convert_input, float_model, to_int8, with_islands,
};
use achado_model::{Model, tflite};
use achado_vision::{Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor};

fn decode(path: &Path) -> (Vec<u8>, usize, usize) {
    let file = fs::read(path).unwrap();
    let mut decoder = mozjpeg::Decompress::new_mem(&file).unwrap().rgb().unwrap();
    let (width, height) = (decoder.width(), decoder.height());
    let pixels: Vec<[u8; 3]> = decoder.read_scanlines().unwrap();
    (pixels.concat(), width, height)
}

/// The picture as the float model's input.
fn prepare(model: &Model, path: &Path) -> Vec<u8> {
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

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
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
fn accuracy(model: &Model, pictures: &[(Vec<u8>, usize)]) -> f64 {
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

fn main() {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().expect("a model");
    let mut options = Int8Options::default();
    let (mut count, mut max_drop, mut out) = (100, None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--ranges" => {
                options.ranges = match value().as_str() {
                    "mse" => RangeMethod::Mse,
                    "minmax" => RangeMethod::MinMax,
                    "average" => RangeMethod::MovingAverage,
                    share => RangeMethod::Percentile(share.parse().unwrap()),
                }
            }
            "--no-equalization" => options.equalization = false,
            "--no-correction" => options.bias_correction = false,
            "--pictures" => count = value().parse().unwrap(),
            "--max-drop" => max_drop = Some(value().parse::<f64>().unwrap()),
            "--exclude" => options.exclude.push(value()),
            "--out" => out = Some(value()),
            other => panic!("{other}"),
        }
    }
    let bytes = fs::read(&path).unwrap();
    let model = if tflite::is_onnx(&bytes) {
        achado_onnx::import(bytes.into(), &achado_onnx::ImportOptions::default()).unwrap()
    } else {
        tflite::read(bytes.into()).unwrap()
    };
    let float = float_model(model).unwrap();
    let shared = env::var("ACHADO_SHARED").unwrap_or_else(|_| "../shared".into());
    let shared = Path::new(&shared).join("models");
    let truth = fs::read_to_string(shared.join("accuracy/truth.tsv")).unwrap();
    let pictures: Vec<(Vec<u8>, usize)> = truth
        .lines()
        .skip(1)
        .map(|line| {
            let (file, index) = line.split_once('\t').unwrap();
            (prepare(&float, &shared.join("accuracy").join(file)), index.parse().unwrap())
        })
        .collect();
    let mut calibration = Vec::new();
    files(&shared.join("transfer/clothing5/train"), &mut calibration);
    let step = (calibration.len() / count).max(1);
    let samples: Vec<Vec<Vec<u8>>> = calibration
        .iter()
        .step_by(step)
        .take(count)
        .map(|path| vec![prepare(&float, path)])
        .collect();
    let held_back = &samples[samples.len() / 2..];

    let start = std::time::Instant::now();
    let session = SessionOptions::default();
    let mut calibrator = Calibrator::new(&float, &session).unwrap();
    for sample in &samples {
        calibrator.add(&[&sample[0]]).unwrap();
    }
    let calibrated = calibrator.finish().unwrap();
    println!("calibrated on {} pictures in {:?}", calibrated.samples(), start.elapsed());
    let (quantized, comparison) = match max_drop {
        None => {
            let quantized = to_int8(&float, &calibrated, &options).unwrap();
            let comparison = quantized.compare(held_back, &session).unwrap();
            (quantized, comparison)
        }
        Some(drop) => {
            let found =
                with_islands(&float, &calibrated, held_back, &options, drop / 100.0, &session)
                    .unwrap();
            println!("islands {:?}, holds {}", found.islands, found.holds);
            (found.quantized, found.comparison)
        }
    };
    println!("float operators: {:?}", quantized.float_operators);
    for layer in &comparison.layers {
        println!(
            "{:<24} {:<50} rmse/scale {:>7.3} snr {:>6.1} dB cosine {:.5}",
            layer.operator, layer.name, layer.rmse_over_scale, layer.snr_db, layer.cosine
        );
    }
    println!("agreement on {} held back: {:.3}", comparison.samples, comparison.top1_agreement);
    let quantized = quantized.into_model();
    let file = tflite::write(&quantized).unwrap();
    if let Some(out) = out {
        fs::write(out, &file).unwrap();
    }
    println!(
        "bytes {} of {}; accuracy float {:.4}, int8 {:.4}; {:?} in all",
        file.len(),
        fs::metadata(&path).unwrap().len(),
        accuracy(&float, &pictures),
        accuracy(&quantized, &pictures),
        start.elapsed()
    );
}
