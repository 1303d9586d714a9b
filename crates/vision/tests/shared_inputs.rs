//! Real pictures, resized as the recorded model inputs were (PIL bilinear, whole picture).

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::path::Path;

use achado_model::DataType;
use achado_vision::{FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor};

fn decode(path: &Path) -> image::RgbaImage {
    image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_rgba8()
}

#[test]
fn real_pictures_equal_recorded_inputs() {
    let (Some(images), Some(inputs)) =
        (common::shared("models/images"), common::shared("models/inputs"))
    else {
        return;
    };
    let mut compared = 0;
    for entry in std::fs::read_dir(inputs).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let (name, size) = stem.rsplit_once('_').unwrap();
        let (width, height) = size.split_once('x').unwrap();
        let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
        let source = ["bmp", "png", "jpg"]
            .map(|extension| images.join(name).with_extension(extension))
            .into_iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no picture for {}", path.display()));
        let lossless = source.extension().is_some_and(|extension| extension != "jpg");
        let (picture, expected) = (decode(&source), decode(&path));

        let tensor = common::tensor(DataType::UInt8, &[1, height, width, 3], None);
        let mut preprocessor = Preprocessor::new(&tensor, None, &Preprocess::default()).unwrap();
        let picture = Picture {
            width: usize::try_from(picture.width()).unwrap(),
            height: usize::try_from(picture.height()).unwrap(),
            pixels: picture.as_raw(),
            format: PixelFormat::Rgba8,
        };
        let mut out = vec![0; width * height * 3];
        preprocessor.run(&picture, &FrameOptions::default(), &mut out).unwrap();
        let difference = out
            .as_chunks::<3>()
            .0
            .iter()
            .zip(expected.as_raw().as_chunks::<4>().0)
            .flat_map(|(found, expected)| (0..3).map(|c| found[c].abs_diff(expected[c])))
            .max()
            .unwrap();
        println!("{stem}: largest difference {difference}");
        // JPEG decoders may differ by their inverse transforms and chroma upsampling; what is
        // resized from them still has to be close.
        assert!(difference <= if lossless { 0 } else { 3 }, "{stem}: differs by {difference}");
        compared += 1;
    }
    assert!(compared > 20);
}
