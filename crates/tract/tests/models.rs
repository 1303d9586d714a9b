//! Whole files: what tract answers beside ONNX Runtime and the engine, and what is refused.

use std::path::Path;

use achado_model::{DataType, ErrorCode, Result};
use achado_tract::{Plan, classifier, model};
use achado_vision::{
    Channels, ClassifierOptions, FrameOptions, ImageModel, ImageModelOptions, Picture, PixelFormat,
    Preprocess, Runner, ScoreActivation,
};

const CLOCK: &dyn Fn() -> f64 = &|| 0.0;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/onnx");
    std::fs::read(folder.join(name)).expect("a fixture")
}

/// The float32 elements of a .npy file, which are its end.
fn recorded(name: &str, elements: usize) -> Vec<f32> {
    let bytes = fixture(name);
    let (_, data) = bytes.split_at(bytes.len() - 4 * elements);
    data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn options(preprocess: Preprocess) -> ImageModelOptions {
    ImageModelOptions { preprocess, ..Default::default() }
}

/// `x / 255`.
fn unit() -> Preprocess {
    Preprocess { mean: Some(vec![0.0]), std: Some(vec![255.0]), ..Default::default() }
}

const SIDES: (usize, usize) = (24, 16);

/// The picture of scripts/onnx/einsum.py, as RGB or as BGR.
fn picture(channels: Channels) -> Vec<u8> {
    let (width, height) = SIDES;
    let pixel = |at: usize| {
        let (y, x, c) = (at / 3 / width, at / 3 % width, at % 3);
        let c = if channels == Channels::Bgr { 2 - c } else { c };
        ((x * 9 + y * 4 + c * 70) % 256) as u8
    };
    (0..width * height * 3).map(pixel).collect()
}

fn rgb(pixels: &[u8]) -> Picture<'_> {
    Picture { pixels, width: SIDES.0, height: SIDES.1, format: PixelFormat::Rgb8 }
}

fn near(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= 1e-5, "{found}, wanted {wanted}");
    }
}

fn run(model: &mut ImageModel<Plan>, pixels: &[u8]) -> Vec<f32> {
    model.put_picture(&rgb(pixels), &FrameOptions::default()).unwrap();
    model.run().unwrap();
    floats(model.session().output_bytes(0).unwrap())
}

#[test]
fn what_the_importer_refuses_gets_onnx_runtimes_answer() {
    let file = fixture("einsum.onnx");
    let refused = achado_onnx::convert(file.clone().into(), &Default::default()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::UnsupportedOperator);
    let wanted = recorded("einsum.npy", 5);
    let mut made = model(file.clone(), &options(unit())).unwrap();
    near(&run(&mut made, &picture(Channels::Rgb)), &wanted);

    let bgr = Preprocess { channels: Some(Channels::Bgr), ..unit() };
    let mut made = model(file.clone(), &options(bgr)).unwrap();
    near(&run(&mut made, &picture(Channels::Bgr)), &wanted);

    let classes = ClassifierOptions { model: options(unit()), ..Default::default() };
    let mut made = classifier(file, classes).unwrap();
    let pixels = picture(Channels::Rgb);
    let result = made.classify(&rgb(&pixels), &FrameOptions::default(), CLOCK).unwrap();
    assert_eq!(result.top.unwrap().index, 4);
    assert_eq!(made.metadata().heads[0].activation, ScoreActivation::Softmax);
}

#[test]
fn tensors_are_those_of_the_file() {
    let mut made = model(fixture("einsum.onnx"), &options(unit())).unwrap();
    let metadata = made.metadata().clone();
    assert_eq!(metadata.picture_input, Some(0));
    let input = &metadata.inputs[0];
    assert_eq!((input.name.as_str(), input.dtype), ("pixels", DataType::Float32));
    assert_eq!(input.shape, [1, 3, 16, 24]);
    assert_eq!(input.shape_signature, [None, Some(3), Some(16), Some(24)]);
    let output = &metadata.outputs[0];
    assert_eq!((output.name.as_str(), &output.shape[..]), ("scores", &[1, 5][..]));

    let pixels = picture(Channels::Rgb);
    let planes = (0..3).flat_map(|c| pixels.iter().skip(c).step_by(3));
    let bytes: Vec<u8> =
        planes.flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()).collect();
    let plan = made.session_mut();
    assert_eq!(plan.output_bytes(0).unwrap_err().code, ErrorCode::InvalidInput);
    plan.input_bytes_mut(0).unwrap().copy_from_slice(&bytes);
    plan.run().unwrap();
    near(&floats(plan.output_bytes(0).unwrap()), &recorded("einsum.npy", 5));
    assert_eq!(plan.input_bytes_mut(1).unwrap_err().code, ErrorCode::InvalidInput);
    assert_eq!(plan.output_bytes(1).unwrap_err().code, ErrorCode::InvalidInput);

    let profile = plan.profile(3, CLOCK).unwrap();
    assert_eq!((profile.len(), profile[0].operator), (1, "tract"));
    assert_eq!(plan.profile(0, CLOCK).unwrap_err().code, ErrorCode::InvalidOption);
}

/// What PyTorch exports, to the tolerance of the importer's own tests.
#[test]
fn architectures_get_onnx_runtimes_answers() {
    for name in ["mobilenet_v2", "vit"] {
        let mut made = model(fixture(&format!("{name}.onnx")), &options(unit())).unwrap();
        let side = made.metadata().inputs[0].shape[3];
        let all = fixture("input.npy");
        let halves = all[all.len() - 2 * 3 * 64 * 64..].as_chunks().0;
        // The upper left of each plane.
        let places = (0..3 * side * side).map(|at| {
            let (plane, row, column) = (at / side / side, at / side % side, at % side);
            plane * 64 * 64 + row * 64 + column
        });
        let input: Vec<u8> = places
            .flat_map(|place| half::f16::from_le_bytes(halves[place]).to_f32().to_le_bytes())
            .collect();
        let plan = made.session_mut();
        plan.input_bytes_mut(0).unwrap().copy_from_slice(&input);
        plan.run().unwrap();
        let found = floats(plan.output_bytes(0).unwrap());
        let wanted = recorded(&format!("{name}.npy"), found.len());
        let largest = wanted.iter().fold(1f32, |most, x| most.max(x.abs()));
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() <= 1e-3 * largest, "{name}: {found}, wanted {wanted}");
        }
    }
}

#[test]
fn batches_run_one_by_one() {
    let four = ImageModelOptions { batch_size: 4, ..options(unit()) };
    let made = model(fixture("einsum.onnx"), &four).unwrap();
    assert_eq!(made.batch_size(), 1);
    assert!(made.batch_refusal().unwrap().message.contains("one picture at a time"));
}

fn refused(file: Vec<u8>, options: &ImageModelOptions) -> achado_model::Error {
    let made: Result<ImageModel<Plan>> = model(file, options);
    made.expect_err("an error")
}

#[test]
fn options_are_checked_as_for_other_models() {
    let shape = |name: &str, shape: &[usize]| ImageModelOptions {
        input_shapes: vec![(name.to_owned(), shape.to_vec())],
        ..options(unit())
    };
    let file = fixture("einsum.onnx");
    let error = refused(file.clone(), &shape("pixel", &[1, 3, 16, 24]));
    assert_eq!(error.code, ErrorCode::InvalidOption);
    assert!(error.message.contains("\"pixels\""), "{error}");
    let error = refused(file.clone(), &shape("pixels", &[1, 3, 8, 8]));
    assert_eq!(error.code, ErrorCode::InvalidOption);
    assert!(model(file.clone(), &shape("pixels", &[2, 3, 16, 24])).is_ok());
    // Nobody says how pixels become floats.
    let bare = classifier(file, ClassifierOptions::default()).unwrap_err();
    assert_eq!(bare.code, ErrorCode::MetadataMissing);
}

#[test]
fn damaged_files_are_errors() {
    let file = fixture("einsum.onnx");
    for length in (0..file.len()).step_by(7) {
        // Without its last initializers a file may still be a whole message.
        let made = model(file[..length].to_vec(), &options(unit()));
        let code = made.expect_err("an error").code;
        let known = [ErrorCode::ModelFormat, ErrorCode::UnsupportedOperator];
        assert!(known.contains(&code), "{length}: {code}");
    }
}
