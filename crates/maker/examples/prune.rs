//! Prunes a float model and measures what that costs on pictures of groceries, and for a head that is
//! trained anew on pictures of clothes:
//!
//! `cargo run --release -p achado-maker --example prune -- MODEL [--method channels|weights]
//! [--target T]... [--pictures N] [--magnitude] [--exclude NAME] [--dequantize] [--out FILE]`
//!
//! It collects on `transfer/clothing5/train` and counts on `accuracy/truth.tsv` and
//! `transfer/clothing5/test`, in the folder `models` of `ACHADO_SHARED` or `../shared`. `--dequantize`
//! makes a float model of one with integers first.

#[path = "pictures/mod.rs"]
mod pictures;

use std::time::Instant;
use std::{env, fs};

use achado_engine::{Session, SessionOptions};
use achado_maker::export::Base;
use achado_maker::macs::total_macs;
use achado_maker::prune::{Choice, Method, Pruner, agreement};
use achado_maker::train::{TrainOptions, Training, head_logits};
use achado_model::{Bytes, Model, tflite};

/// Photos of clothes with their classes.
fn labeled(model: &Model, set: &str) -> Vec<(Vec<u8>, usize)> {
    let folder = pictures::shared().join("transfer/clothing5").join(set);
    let mut classes: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    classes.sort();
    let mut found = Vec::new();
    for (class, folder) in classes.iter().enumerate() {
        let mut paths = Vec::new();
        pictures::files(folder, &mut paths);
        found.extend(paths.iter().map(|path| (pictures::prepare(model, path), class)));
    }
    found
}

/// How many of the test pictures a head on the model's embedding gets right.
fn transfer(model: &Model, train: &[(Vec<u8>, usize)], test: &[(Vec<u8>, usize)]) -> f64 {
    let base = Base::cut(tflite::write(model).unwrap()).unwrap();
    let base = tflite::read(Bytes::from(base.write().unwrap())).unwrap();
    let mut session = Session::new(base, &SessionOptions::default()).unwrap();
    let mut embed = |picture: &[u8]| -> Vec<f32> {
        session.input_bytes_mut(0).unwrap().copy_from_slice(picture);
        session.run().unwrap();
        let bytes = session.output_bytes(0).unwrap().as_chunks().0.iter();
        let mut embedding: Vec<f32> = bytes.map(|b| f32::from_le_bytes(*b)).collect();
        let length = embedding.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
        embedding.iter_mut().for_each(|x| *x /= length);
        embedding
    };
    let embeddings: Vec<f32> = train.iter().flat_map(|(picture, _)| embed(picture)).collect();
    let features = embeddings.len() / train.len();
    let labels: Vec<usize> = train.iter().map(|&(_, class)| class).collect();
    let sessions: Vec<usize> = (0..labels.len()).collect();
    let options = TrainOptions::default();
    let mut training =
        Training::new(&embeddings, features, &labels, &sessions, 5, options).unwrap();
    while training.advance().unwrap() {}
    let head = training.finish().unwrap();
    let right = test.iter().filter(|(picture, class)| {
        let logits = head_logits(&head.weights, &head.bias, &embed(picture));
        let best = (0..5).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        best == *class
    });
    right.count() as f64 / test.len() as f64
}

/// Medians of runs that take turns, in milliseconds.
fn times(a: &Model, b: &Model) -> (f64, f64) {
    let open = |model: &Model| Session::new(model.clone(), &SessionOptions::default()).unwrap();
    let mut sessions = [open(a), open(b)];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..31 {
        for (session, times) in sessions.iter_mut().zip(&mut times) {
            let start = Instant::now();
            session.run().unwrap();
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(&mut times[0]), median(&mut times[1]))
}

fn main() {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().expect("a model");
    let (mut method, mut choice, mut count, mut out) = (Method::Channels, Choice::Error, 100, None);
    let (mut targets, mut exclude, mut integers) = (Vec::new(), Vec::new(), false);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--method" if value() == "weights" => method = Method::Weights,
            "--method" => {}
            "--target" => targets.push(value().parse::<f64>().unwrap()),
            "--pictures" => count = value().parse().unwrap(),
            "--exclude" => exclude.push(value()),
            "--magnitude" => choice = Choice::Magnitude,
            "--dequantize" => integers = true,
            "--out" => out = Some(value()),
            other => panic!("{other}"),
        }
    }
    let float = pictures::open(&path, integers);
    let groceries = pictures::groceries(&float);
    let (train, test) = (labeled(&float, "train"), labeled(&float, "test"));
    let samples = pictures::clothes(&float, count);
    let start = Instant::now();
    let mut pruner =
        Pruner::new(float.clone(), method, &exclude, &SessionOptions::default()).unwrap();
    for sample in &samples {
        pruner.add(&[sample]).unwrap();
    }
    println!("collected of {count} pictures in {:.1?}", start.elapsed());
    let is_classifier = float.tensor(float.outputs[0]).elements() >= 1000;
    let told = |model: &Model| {
        let named = if is_classifier { pictures::accuracy(model, &groceries) } else { f64::NAN };
        format!(
            "groceries {named:.4}, clothes with a new head {:.2}",
            transfer(model, &train, &test)
        )
    };
    println!("float: {}", told(&float));
    for target in targets {
        let start = Instant::now();
        let pruned = match method {
            Method::Channels => pruner.cut_channels(target),
            Method::Weights => pruner.zero_weights(target, choice),
        };
        let pruned = match pruned {
            Ok(pruned) => pruned,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let took = start.elapsed();
        for layer in pruned.layers.iter().filter(|layer| layer.after < layer.before) {
            println!(
                "  {:<60} {:>7} of {:>7}  error {:.5}",
                layer.name, layer.after, layer.before, layer.error
            );
        }
        let unseen: Vec<Vec<u8>> = test.iter().map(|(picture, _)| picture.clone()).collect();
        let agreed = agreement(&float, &pruned.model, &unseen, &SessionOptions::default()).unwrap();
        let (before, after) = times(&float, &pruned.model);
        println!(
            "target {target}: reached {:.4}, {:.1} of {:.1} MMACs, {after:.2} ms of {before:.2} ms: {:.2}x \
             faster, agreement {agreed:.2}, {}; {took:.1?}",
            pruned.reached,
            total_macs(&pruned.model) as f64 / 1e6,
            total_macs(&float) as f64 / 1e6,
            before / after,
            told(&pruned.model),
        );
        if let Some(out) = &out {
            fs::write(format!("{out}-{target}.tflite"), tflite::write(&pruned.model).unwrap())
                .unwrap();
        }
    }
}
