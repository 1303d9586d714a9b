//! A whole classifier over a network small enough to know its answers: softmax over the red, green
//! and blue of a one-pixel input.

use std::cell::Cell;

use achado_model::metadata::{Labels, Normalization, TensorMetadata};
use achado_model::{DataType, ErrorCode, Metadata, Model, Node, Operator, Tensor, TensorId};
use achado_vision::{
    Classifier, ClassifierOptions, FrameOptions, ImageModelOptions, Picture, PixelFormat,
    Preprocess, Region,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn tensor(name: &str, shape: &[usize]) -> Tensor {
    Tensor {
        name: name.into(),
        dtype: DataType::Float32,
        shape: shape.to_vec(),
        dynamic: Vec::new(),
        quantization: None,
        data: None,
    }
}

fn colours() -> Model {
    let labels = |locale: &str, names: [&str; 3]| Labels {
        file_name: "colours.txt".into(),
        locale: locale.into(),
        names: names.map(String::from).to_vec(),
    };
    Model {
        description: "made by hand".into(),
        tensors: vec![tensor("in", &[1, 1, 1, 3]), tensor("flat", &[1, 3]), tensor("out", &[1, 3])],
        nodes: vec![
            Node {
                operator: Operator::Reshape { new_shape: vec![1, 3] },
                inputs: vec![Some(TensorId(0))],
                outputs: vec![TensorId(1)],
            },
            Node {
                operator: Operator::Softmax { beta: 1.0 },
                inputs: vec![Some(TensorId(1))],
                outputs: vec![TensorId(2)],
            },
        ],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(2)],
        signatures: Vec::new(),
        metadata: Some(Metadata {
            name: "colours".into(),
            version: "v1".into(),
            inputs: vec![TensorMetadata {
                name: "image".into(),
                normalization: Some(Normalization { mean: vec![0.0], std: vec![51.0] }),
                ..Default::default()
            }],
            outputs: vec![TensorMetadata {
                name: "colour".into(),
                labels: vec![
                    labels("", ["red", "green", "blue"]),
                    labels("pt", ["vermelho", "verde", "azul"]),
                ],
                ..Default::default()
            }],
            ..Default::default()
        }),
        source_order: None,
    }
}

/// Left half red, right half blue, a bit of green in all.
const PIXELS: [u8; 8] = [204, 51, 0, 255, 0, 51, 204, 255];
const PICTURE: Picture<'_> =
    Picture { pixels: &PIXELS, width: 2, height: 1, format: PixelFormat::Rgba8 };
const LEFT: Region = Region { left: 0.0, top: 0.0, right: 0.5, bottom: 1.0 };

fn no_clock() -> f64 {
    0.0
}

#[test]
fn a_picture_gets_labelled_scores() {
    let options =
        ClassifierOptions { display_names_locale: Some("pt-BR".into()), ..Default::default() };
    let mut classifier = Classifier::from_model(colours(), options).unwrap();
    // Area, not Bilinear: a triangle filter would take in some of the blue beside the region.
    let preprocess = Preprocess { resize: Some(achado_vision::Resize::Area), ..Default::default() };
    let mut options = classifier.options().clone();
    options.model.preprocess = preprocess;
    classifier.set_options(options).unwrap();
    let frame = FrameOptions { region: Some(LEFT), ..Default::default() };
    let ticks = Cell::new(0.0);
    let clock = || {
        ticks.set(ticks.get() + 1.5);
        ticks.get()
    };
    let result = classifier.classify(&PICTURE, &frame, &clock).unwrap();

    let [head] = &result.classifications[..] else { panic!("one head") };
    assert_eq!((head.head_index, &*head.head_name), (0, "colour"));
    let exponents = [4.0f32, 1.0, 0.0].map(f32::exp);
    let sum: f32 = exponents.iter().sum();
    for (category, (index, name, display)) in head.categories.iter().zip([
        (0, "red", "vermelho"),
        (1, "green", "verde"),
        (2, "blue", "azul"),
    ]) {
        assert_eq!((category.index, &*category.category_name), (index, name));
        assert_eq!(&*category.display_name, display);
        assert!((category.score - exponents[index] / sum).abs() < 1e-6, "{category:?}");
    }
    assert_eq!(result.top.as_ref(), head.categories.first());
    let timings = result.timings;
    assert_eq!([timings.preprocess, timings.inference, timings.postprocess], [1.5; 3]);

    // The other half; the same classifier.
    let frame = FrameOptions { region: Some(LEFT), mirror: true, rotation_degrees: 180 };
    let again = classifier.classify(&PICTURE, &frame, &no_clock).unwrap();
    assert_eq!(again.classifications, result.classifications);
    let right = Region { left: 0.5, right: 1.0, ..LEFT };
    let frame = FrameOptions { region: Some(right), ..Default::default() };
    let blue = classifier.classify(&PICTURE, &frame, &no_clock).unwrap();
    assert_eq!(&*blue.top.unwrap().category_name, "blue");
}

#[test]
fn options_change_or_stay() {
    let mut classifier = Classifier::from_model(colours(), ClassifierOptions::default()).unwrap();
    let classify = |classifier: &mut Classifier| {
        let result = classifier.classify(&PICTURE, &FrameOptions::default(), &no_clock).unwrap();
        result.classifications[0].categories.len()
    };
    assert_eq!(classify(&mut classifier), 3);
    let two = ClassifierOptions { max_results: Some(2), ..Default::default() };
    classifier.set_options(two.clone()).unwrap();
    assert_eq!(classify(&mut classifier), 2);
    for (bad, option) in [
        (ClassifierOptions { score_threshold: Some(f32::NAN), ..two.clone() }, "scoreThreshold"),
        (ClassifierOptions { max_results: Some(0), ..two.clone() }, "maxResults"),
        (ClassifierOptions { labels: Some(vec!["one".into()]), ..two.clone() }, "labels"),
        (
            ClassifierOptions { category_denylist: vec!["mauve".into()], ..two.clone() },
            "categoryDenylist",
        ),
    ] {
        let error = classifier.set_options(bad).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidOption);
        assert!(error.message.starts_with(option), "{error}");
        assert_eq!(classifier.options(), &two);
        assert_eq!(classify(&mut classifier), 2);
    }
    let none = ClassifierOptions { score_threshold: Some(1.5), ..Default::default() };
    classifier.set_options(none).unwrap();
    let result = classifier.classify(&PICTURE, &FrameOptions::default(), &no_clock).unwrap();
    assert_eq!(result.top, None);

    let bad = Picture { width: 3, ..PICTURE };
    let error = classifier.classify(&bad, &FrameOptions::default(), &no_clock).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
}

#[test]
fn the_model_describes_itself() {
    let classifier = Classifier::from_model(colours(), ClassifierOptions::default()).unwrap();
    let metadata = classifier.metadata();
    assert_eq!((&*metadata.name, &*metadata.version), ("colours", "v1"));
    assert_eq!(metadata.description, "made by hand");
    assert_eq!(
        (metadata.inputs[0].name.as_str(), &metadata.inputs[0].shape[..]),
        ("image", &[1, 1, 1, 3][..])
    );
    assert_eq!(
        (metadata.outputs[0].name.as_str(), metadata.outputs[0].dtype),
        ("colour", DataType::Float32)
    );
    assert_eq!((metadata.labels, &metadata.locales[..]), (3, &["pt".to_owned()][..]));

    let bare = Model { metadata: None, ..colours() };
    let error = Classifier::from_model(bare.clone(), ClassifierOptions::default()).unwrap_err();
    assert_eq!(error.code, ErrorCode::MetadataMissing);
    let preprocess = Preprocess { std: Some(vec![255.0]), ..Default::default() };
    let model = ImageModelOptions { preprocess, ..Default::default() };
    let options = ClassifierOptions { model, ..Default::default() };
    let mut classifier = Classifier::from_model(bare, options).unwrap();
    assert_eq!(
        (classifier.metadata().inputs[0].name.as_str(), classifier.metadata().labels),
        ("in", 0)
    );
    let result = classifier.classify(&PICTURE, &FrameOptions::default(), &no_clock).unwrap();
    assert_eq!(&*result.top.unwrap().category_name, "");
}

#[test]
fn what_is_no_model_is_refused() {
    let refused = |bytes: &[u8]| {
        Classifier::new(bytes.to_vec(), ClassifierOptions::default()).unwrap_err().code
    };
    assert_eq!(refused(b""), ErrorCode::ModelFormat);
    assert_eq!(refused(b"<!doctype html><title>404</title>"), ErrorCode::ModelFormat);
    let bad = ClassifierOptions { max_results: Some(0), ..Default::default() };
    let error = Classifier::new(Vec::new(), bad).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidOption);

    let mut two_inputs = colours();
    two_inputs.tensors.push(tensor("second", &[1, 3]));
    two_inputs.inputs.push(TensorId(3));
    let error = Classifier::from_model(two_inputs, ClassifierOptions::default()).unwrap_err();
    assert!(error.message.contains("the model has 2 inputs"), "{error}");
}
