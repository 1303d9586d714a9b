//! Real models on batches: the outputs are those of one picture after another, bit for bit.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fs;

use achado_model::ErrorCode;
use achado_vision::{
    FrameOptions, ImageModel, ImageModelOptions, Picture, PixelFormat, Preprocess,
};

#[test]
fn a_batch_of_real_models_is_one_picture_after_another() {
    let Some(models) = common::shared("models/models") else { return };
    let mut random = common::Random(3);
    let pictures: Vec<Vec<u8>> =
        (0..3).map(|_| (0..40 * 30 * 3).map(|_| random.byte()).collect()).collect();
    let picture = |index: usize| Picture {
        pixels: &pictures[index],
        width: 40,
        height: 30,
        format: PixelFormat::Rgb8,
    };
    let frame = FrameOptions::default();
    let mut batched = 0;
    let mut files: Vec<_> =
        fs::read_dir(models).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "tflite")) {
        let name = file.file_name().unwrap().to_string_lossy();
        let bytes = fs::read(file).unwrap();
        let mut options = ImageModelOptions { batch_size: 3, ..Default::default() };
        let mut model = ImageModel::new(bytes.clone(), &options).unwrap();
        if let Err(error) = model.check_picture() {
            if error.code != ErrorCode::MetadataMissing {
                println!("{name}: {error}");
                continue;
            }
            options.preprocess = Preprocess { std: Some(vec![255.0]), ..Default::default() };
            model = ImageModel::new(bytes, &options).unwrap();
        }
        if let Some(why) = model.batch_refusal() {
            println!("{name}: one by one: {why}");
            continue;
        }
        println!("{name}: batches");
        batched += 1;
        for slot in 0..3 {
            model.put_picture_in_batch(slot, &picture(slot), &frame).unwrap();
        }
        model.run_batch().unwrap();
        for slot in 0..3 {
            model.put_picture(&picture(slot), &frame).unwrap();
            model.run().unwrap();
            for output in 0..model.outputs().len() {
                let alone = model.session().output_bytes(output).unwrap();
                let together = model.batch_output_bytes(output, slot).unwrap();
                assert!(alone == together, "{name}: output {output} of picture {slot}");
            }
        }
    }
    assert!(batched > 0, "no model takes batches");
}
