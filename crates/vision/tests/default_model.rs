//! The default model from file to names, on pictures of this repository.

#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};

use achado_vision::{
    Classifier, ClassifierOptions, Fit, FrameOptions, ImageModelOptions, Picture, PixelFormat,
    Preprocess,
};
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

fn classifier(fit: Fit) -> Classifier {
    let options = ClassifierOptions {
        max_results: Some(5),
        model: ImageModelOptions {
            preprocess: Preprocess { fit: Some(fit), ..Default::default() },
            ..Default::default()
        },
        ..Default::default()
    };
    let model = fs::read(repository("models/efficientnet-lite0-int8.tflite")).unwrap();
    Classifier::new(model, options).unwrap()
}

/// Index, name and score of the best five.
fn top5(classifier: &mut Classifier, path: &Path) -> Vec<(u64, String, f64)> {
    let image = image::open(path).unwrap().to_rgba8();
    let picture = Picture {
        pixels: image.as_raw(),
        width: usize::try_from(image.width()).unwrap(),
        height: usize::try_from(image.height()).unwrap(),
        format: PixelFormat::Rgba8,
    };
    let result = classifier.classify(&picture, &FrameOptions::default(), &|| 0.0).unwrap();
    let categories = result.classifications[0].categories.iter();
    categories.map(|c| (c.index as u64, c.category_name.to_string(), f64::from(c.score))).collect()
}

#[test]
fn pictures_of_the_models_size_get_tflites_scores() {
    let folder = repository("tests/fixtures/default_model");
    let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let mut classifier = classifier(Fit::Stretch);
    let pictures = expected["pictures"].as_object().unwrap();
    for (name, picture) in pictures {
        let found = top5(&mut classifier, &folder.join(picture["input"].as_str().unwrap()));
        let expected: Vec<_> = picture["outputs"]["default"]["top5"]
            .as_array()
            .unwrap()
            .iter()
            .map(|category| {
                let name = category["name"].as_str().unwrap().to_owned();
                (category["index"].as_u64().unwrap(), name, category["score"].as_f64().unwrap())
            })
            .collect();
        assert_eq!(found, expected, "{name}");
    }
    assert!(!pictures.is_empty());
}

#[test]
fn photos_get_their_names() {
    for fit in [Fit::Stretch, Fit::CenterCrop] {
        let mut classifier = classifier(fit);
        for (photo, name) in
            [("cat.jpg", "Egyptian cat"), ("coffee.jpg", "espresso"), ("camera.jpg", "tripod")]
        {
            let found = top5(&mut classifier, &repository("tests/fixtures/photos").join(photo));
            assert_eq!(found[0].1, name, "{photo} {fit:?}: {found:?}");
        }
    }
}
