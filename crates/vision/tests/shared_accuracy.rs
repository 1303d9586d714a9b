//! Top-1 and top-5 over photos of groceries, against what TFLite reached with them.
//!
//! The reference resized the short side to round(side / 0.875) and cut out the centre; here the
//! same pixels are resized once, so single photos may fall differently.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fs;

use achado_vision::{
    Classifier, ClassifierOptions, Fit, FrameOptions, ImageModelOptions, Picture, PixelFormat,
    Preprocess,
};

/// Of 175 photos: four may fall differently.
const TOLERANCE: f64 = 0.025;

#[test]
fn groceries_are_found_as_often_as_by_tflite() {
    let (Some(models), Some(folder)) =
        (common::shared("models/models"), common::shared("models/accuracy"))
    else {
        return;
    };
    let truth = fs::read_to_string(folder.join("truth.tsv")).unwrap();
    let photos: Vec<(image::RgbaImage, usize)> = truth
        .lines()
        .skip(1)
        .map(|line| {
            let (file, index) = line.split_once('\t').unwrap();
            (image::open(folder.join(file)).unwrap().to_rgba8(), index.parse().unwrap())
        })
        .collect();
    let reference = fs::read_to_string(folder.join("reference_accuracy.tsv")).unwrap();
    let mut wrong = Vec::new();
    for name in ["mobilenet_v1_0.25_224_quant_md.tflite"] {
        let line = reference.lines().find(|line| line.starts_with(name)).unwrap();
        let numbers: Vec<&str> = line.split('\t').collect();
        let expected = [numbers[2], numbers[3]].map(|number| number.parse::<f64>().unwrap());
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
                pixels: photo.as_raw(),
                width: usize::try_from(photo.width()).unwrap(),
                height: usize::try_from(photo.height()).unwrap(),
                format: PixelFormat::Rgba8,
            };
            let result = classifier.classify(&picture, &FrameOptions::default(), &|| 0.0).unwrap();
            let categories = &result.classifications[0].categories;
            // 1001 classes: 0 is the background.
            let rank = categories.iter().position(|category| category.index == truth + 1);
            for (hits, within) in hits.iter_mut().zip([1, 5]) {
                *hits += f64::from(u8::from(rank.is_some_and(|rank| rank < within)));
            }
        }
        let found = hits.map(|hits| hits / photos.len() as f64);
        println!("{name}: top-1 {:.4}, top-5 {:.4}; TFLite {expected:?}", found[0], found[1]);
        if found.iter().zip(expected).any(|(found, expected)| found < &(expected - TOLERANCE)) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
