//! Top-1 and top-5 over photos of groceries, against what TFLite reached with them.
//!
//! The reference decoded with libjpeg-turbo, and so does this test, by its descendant mozjpeg: by
//! the `image` crate, whose pixels differ by up to 7 steps of 255, the same models find 1 to 4
//! photos of 175 more or fewer.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fs;

use achado_vision::{
    Classifier, ClassifierOptions, Fit, FrameOptions, ImageModelOptions, Picture, PixelFormat,
    Preprocess,
};

/// Photos that may fall differently.
const TOLERANCE: f64 = 1.0;

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
fn groceries_are_found_as_often_as_by_tflite() {
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
    let models_there = reference.lines().filter_map(|line| line.split_once('\t'));
    for (name, rest) in models_there.filter(|(name, _)| name.ends_with(".tflite")) {
        let numbers: Vec<&str> = rest.split('\t').collect();
        let count = photos.len() as f64;
        let expected = [numbers[1], numbers[2]];
        let expected = expected.map(|share| (share.parse::<f64>().unwrap() * count).round());
        let options = ClassifierOptions {
            max_results: Some(5),
            model: ImageModelOptions {
                preprocess: Preprocess {
                    fit: Some(Fit::CenterCrop),
                    crop_fraction: Some(0.875),
                    ..Default::default()
                },
                ..Default::default()
            },
            ..Default::default()
        };
        let mut classifier =
            Classifier::new(fs::read(models.join(name)).unwrap(), options).unwrap();
        let mut hits = [0.0; 2];
        for (photo, truth) in &photos {
            let picture = Picture {
                pixels: photo.pixels.as_flattened(),
                width: photo.width,
                height: photo.height,
                format: PixelFormat::Rgb8,
            };
            let result = classifier.classify(&picture, &FrameOptions::default(), &|| 0.0).unwrap();
            let categories = &result.classifications[0].categories;
            // 1001 classes: 0 is the background.
            let rank = categories.iter().position(|category| category.index == truth + 1);
            for (hits, within) in hits.iter_mut().zip([1, 5]) {
                *hits += f64::from(u8::from(rank.is_some_and(|rank| rank < within)));
            }
        }
        println!("{name}: of {count} photos {hits:?} are found, TFLite found {expected:?}");
        if hits.iter().zip(expected).any(|(hits, expected)| (hits - expected).abs() > TOLERANCE) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
