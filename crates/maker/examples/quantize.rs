//! Quantizes a float model and measures what that costs on the pictures of groceries:
//!
//! `cargo run --release -p achado-maker --example quantize -- MODEL [--ranges mse|minmax|average|P]
//! [--no-correction] [--pictures N] [--max-drop D] [--exclude NAME] [--dequantize] [--out FILE]`
//!
//! It calibrates on `transfer/clothing5/train` and counts on `accuracy/truth.tsv`, both in the folder
//! `models` of `ACHADO_SHARED` or `../shared`.

#[path = "pictures/mod.rs"]
mod pictures;

use std::{env, fs};

use achado_engine::SessionOptions;
use achado_maker::quantize::{Calibrator, Int8Options, RangeMethod, to_int8, with_islands};
use achado_model::tflite;

/// The most memory that this program has had, in bytes, where the system tells.
fn peak_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn main() {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().expect("a model");
    let mut options = Int8Options::default();
    let (mut count, mut max_drop, mut out, mut integers) = (100, None, None, false);
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
            "--dequantize" => integers = true,
            "--out" => out = Some(value()),
            other => panic!("{other}"),
        }
    }
    let float = pictures::open(&path, integers);
    let samples: Vec<Vec<Vec<u8>>> =
        pictures::clothes(&float, count).into_iter().map(|sample| vec![sample]).collect();
    // Pictures are kept here, which the package does one by one.
    let kept: usize = samples.iter().flatten().map(Vec::len).sum();
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
    let took = start.elapsed();
    println!(
        "{took:?}, {:.0} MB at most beside the pictures",
        peak_bytes().saturating_sub(kept) as f64 / 1e6
    );
    let quantized = quantized.into_model();
    let file = tflite::write(&quantized).unwrap();
    let groceries = pictures::groceries(&float);
    if let Some(out) = out {
        fs::write(out, &file).unwrap();
    }
    println!(
        "bytes {} of {}; accuracy float {:.4}, int8 {:.4}",
        file.len(),
        fs::metadata(&path).unwrap().len(),
        pictures::accuracy(&float, &groceries),
        pictures::accuracy(&quantized, &groceries),
    );
}
