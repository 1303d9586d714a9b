//! Top-1 and top-5 over photos of groceries, against what TensorFlow Lite and ONNX Runtime reached
//! with them.
//!
//! The reference decoded with libjpeg-turbo, and so does this test, by its descendant mozjpeg: by
//! the `image` crate, whose pixels differ by up to 7 steps of 255, the same models find 1 to 4
//! photos of 175 more or fewer.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::{fs, thread};

use achado_model::Bytes;
use achado_onnx::ImportOptions;
use achado_vision::{
    Channels, Classifier, ClassifierOptions, Fit, FrameOptions, ImageModelOptions, Picture,
    PixelFormat, Preprocess,
};

/// Photos that may fall differently: the reference rounds the long side to the nearest pixel, `cropFraction`
/// down, as torchvision does.
const TOLERANCE: f64 = 2.0;

/// What pixels become for an ONNX model, which does not say it: colours, mean, standard deviation.
const NORMALISATION: [(&str, Channels, &[f32], &[f32]); 5] = [
    ("squeezenet_fp16.onnx", Channels::Bgr, &[104.0, 117.0, 123.0], &[1.0]),
    ("squeezenet1_1_dynamic.onnx", Channels::Bgr, &[104.0, 117.0, 123.0], &[1.0]),
    ("squeezenet1_1_qoperator.onnx", Channels::Bgr, &[104.0, 117.0, 123.0], &[1.0]),
    ("mobilenet_v1_0.25_224_f32.onnx", Channels::Rgb, &[127.5], &[127.5]),
    ("mobilenet_v1_0.25_224_qdq_s8pc.onnx", Channels::Rgb, &[127.5], &[127.5]),
];

/// The recorded answers of this model came of pair sums that saturate (ONNX Runtime on x86 without
/// VNNI): exact ones find more.
const SATURATED: &str = "mobilenet_v1_0.25_224_qdq_s8pc.onnx";

/// A decoded photo.
struct Photo {
    pixels: Vec<[u8; 3]>,
    width: usize,
    height: usize,
}

fn decode(file: &[u8]) -> Photo {
    let mut decoder = mozjpeg::Decompress::new_mem(file).unwrap().rgb().unwrap();
    let (width, height) = (decoder.width(), decoder.height());
    Photo { pixels: decoder.read_scanlines().unwrap(), width, height }
}

#[test]
fn groceries_are_found_as_often_as_by_others() {
    let (Some(models), Some(folder)) =
        (common::shared("models/models"), common::shared("models/accuracy"))
    else {
        return;
    };
    let truth = fs::read_to_string(folder.join("truth.tsv")).unwrap();
    let photos: Vec<(Photo, usize)> = truth
        .lines()
        .skip(1)
        .map(|line| {
            let (file, index) = line.split_once('\t').unwrap();
            (decode(&fs::read(folder.join(file)).unwrap()), index.parse().unwrap())
        })
        .collect();
    let reference = fs::read_to_string(folder.join("reference_accuracy.tsv")).unwrap();
    let mut wrong = Vec::new();
    let models_there = reference.lines().skip(1).filter_map(|line| line.split_once('\t'));
    for (name, rest) in models_there {
        let numbers: Vec<&str> = rest.split('\t').collect();
        let count = photos.len() as f64;
        let expected = [numbers[1], numbers[2]];
        let expected = expected.map(|share| (share.parse::<f64>().unwrap() * count).round());
        let mut preprocess = Preprocess {
            fit: Some(Fit::CenterCrop),
            crop_fraction: Some(0.875),
            ..Default::default()
        };
        if let Some((_, channels, mean, std)) = NORMALISATION.iter().find(|(of, ..)| *of == name) {
            preprocess.channels = Some(*channels);
            preprocess.mean = Some(mean.to_vec());
            preprocess.std = Some(std.to_vec());
        }
        let options = ClassifierOptions {
            max_results: Some(5),
            model: ImageModelOptions { preprocess, ..Default::default() },
            ..Default::default()
        };
        let mut file = fs::read(models.join(name)).unwrap();
        if name.ends_with(".onnx") {
            file = achado_onnx::convert(Bytes::from(file), &ImportOptions::default()).unwrap();
        }
        let hits = hits(&file, &options, &photos);
        println!("{name}: of {count} photos {hits:?} are found, the reference found {expected:?}");
        let beyond = |hits: f64, expected: f64| match name {
            SATURATED => expected - hits > TOLERANCE,
            _ => (hits - expected).abs() > TOLERANCE,
        };
        if hits.iter().zip(expected).any(|(&hits, expected)| beyond(hits, expected)) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// How many photos are found first, and within five, by as many threads as there are processors.
fn hits(model: &[u8], options: &ClassifierOptions, photos: &[(Photo, usize)]) -> [f64; 2] {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let shares = photos.chunks(photos.len().div_ceil(threads)).map(|share| {
            scope.spawn(|| {
                let mut classifier = Classifier::new(model.to_vec(), options.clone()).unwrap();
                hits_of(&mut classifier, share)
            })
        });
        let shares: Vec<_> = shares.collect();
        shares.into_iter().fold([0.0; 2], |sum, share| {
            let hits = share.join().expect("the thread does not panic");
            [sum[0] + hits[0], sum[1] + hits[1]]
        })
    })
}

fn hits_of(classifier: &mut Classifier, photos: &[(Photo, usize)]) -> [f64; 2] {
    let background = usize::from(classifier_classes(classifier) == 1001);
    let mut hits = [0.0; 2];
    for (photo, truth) in photos {
        let picture = Picture {
            pixels: photo.pixels.as_flattened(),
            width: photo.width,
            height: photo.height,
            format: PixelFormat::Rgb8,
        };
        let result = classifier.classify(&picture, &FrameOptions::default(), &|| 0.0).unwrap();
        let categories = &result.classifications[0].categories;
        let rank = categories.iter().position(|category| category.index == truth + background);
        for (hits, within) in hits.iter_mut().zip([1, 5]) {
            *hits += f64::from(u8::from(rank.is_some_and(|rank| rank < within)));
        }
    }
    hits
}

/// Classes of the first head: 1001 have the background at 0.
fn classifier_classes(classifier: &Classifier) -> usize {
    *classifier.session().outputs()[0].shape.iter().max().expect("dimensions")
}
