//! Real models on real pictures from file to categories, against the recorded answers of TFLite.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fs;

use achado_model::ErrorCode;
use achado_vision::{
    Classifier, ClassifierOptions, FrameOptions, Picture, PixelFormat, Preprocess,
};
use serde_json::Value;

/// A score may differ by this much from the recorded one, which is that of TFLite's reference
/// kernels; the engine computes as XNNPACK does, 19 steps of 1/256 away for one picture here. That
/// the outputs equal XNNPACK's is tested beside the engine.
const TOLERANCE: f64 = 0.08;

#[test]
fn real_models_name_what_tflite_names() {
    let (Some(models), Some(expected)) =
        (common::shared("models/models"), common::shared("models/expected/expected.json"))
    else {
        return;
    };
    let expected: Value = serde_json::from_str(&fs::read_to_string(expected).unwrap()).unwrap();
    let (mut classified, mut models_run) = (0, 0);
    for (model, runs) in expected.as_object().unwrap() {
        if !model.ends_with(".tflite") {
            continue;
        }
        let mut runs = runs.as_object().unwrap().iter().filter(|(_, run)| {
            run["top5"].is_array() && run["input"].as_str().unwrap().starts_with("inputs/")
        });
        let Some(first) = runs.next() else { continue };
        let mut options = ClassifierOptions { max_results: Some(5), ..Default::default() };
        // The two float models without metadata.
        options.model.preprocess = match first.1["prep"].as_str().unwrap() {
            "f01" => Preprocess { std: Some(vec![255.0]), ..Default::default() },
            _ => Preprocess::default(),
        };
        let bytes = fs::read(models.join(model)).unwrap();
        let mut classifier = match Classifier::new(bytes, options) {
            Ok(classifier) => classifier,
            Err(error) => {
                println!("{model}: {error}");
                assert_eq!(error.code, ErrorCode::UnsupportedOperator, "{model}: {error}");
                continue;
            }
        };
        models_run += 1;
        for (name, run) in std::iter::once(first).chain(runs) {
            let image = ["bmp", "png", "jpg"]
                .iter()
                .filter_map(|ext| common::shared_quiet(&format!("models/images/{name}.{ext}")))
                .next()
                .unwrap();
            let image = image::open(image).unwrap().to_rgba8();
            let picture = Picture {
                pixels: image.as_raw(),
                width: image.width() as usize,
                height: image.height() as usize,
                format: PixelFormat::Rgba8,
            };
            let result = classifier.classify(&picture, &FrameOptions::default(), &|| 0.0).unwrap();
            let categories = &result.classifications[0].categories;
            let top = &run["top5"][0];
            let (index, score) = (top[0].as_u64().unwrap() as usize, top[2].as_f64().unwrap());
            let found = &categories[0];
            println!(
                "{model} {name}: {} {:?} {:.4}, TFLite {index} {} {score:.4}",
                found.index, found.category_name, found.score, top[1]
            );
            let agrees = categories.iter().find(|category| category.index == index);
            let difference = agrees.map(|category| (f64::from(category.score) - score).abs());
            assert!(difference.is_some_and(|d| d <= TOLERANCE), "{model} {name}: {categories:?}");
            assert!(f64::from(found.score) - score <= TOLERANCE, "{model} {name}: {categories:?}");
            classified += 1;
        }
    }
    println!("{classified} pictures, {models_run} models");
    assert!(models_run >= 5 && classified >= 30);
}
