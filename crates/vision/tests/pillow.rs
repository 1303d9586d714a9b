//! Preprocessing equals Pillow byte for byte, turned, mirrored, cropped and resized.
//! `fixtures/make_pillow.py` says how the expected bytes were made.

mod common;

use achado_model::DataType;
use achado_vision::{
    Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor, Region, Resize,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pixels(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let seed = width * 7919 + height * 104_729 + channels;
    let mut state = u32::try_from(seed).unwrap();
    (0..width * height * channels)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn fnv(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("fnv:{hash:016x}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(line: &str) {
    let fields: Vec<&str> = line.split(' ').collect();
    let [format, width, height, region, rotation, mirror, fit, crop, resize, tw, th, expected] =
        fields[..]
    else {
        panic!("bad fixture: {line}");
    };
    let (format, depth) = match format.strip_prefix("luma-") {
        Some(format) => (format, 1),
        None => (format, 3),
    };
    let format = match format {
        "rgba" => PixelFormat::Rgba8,
        "rgb" => PixelFormat::Rgb8,
        "gray" => PixelFormat::Gray8,
        _ => panic!("bad fixture: {line}"),
    };
    let number = |text: &str| text.parse::<usize>().unwrap();
    let (width, height, tw, th) = (number(width), number(height), number(tw), number(th));
    let region = (region != "-").then(|| {
        let sides: Vec<f64> = region.split(',').map(|side| side.parse().unwrap()).collect();
        Region { left: sides[0], top: sides[1], right: sides[2], bottom: sides[3] }
    });
    let options = Preprocess {
        fit: Some(match fit {
            "stretch" => Fit::Stretch,
            "centerCrop" => Fit::CenterCrop,
            "contain" => Fit::Contain,
            _ => panic!("bad fixture: {line}"),
        }),
        resize: Some(match resize {
            "bilinear" => Resize::Bilinear,
            "nearest" => Resize::Nearest,
            "box" => Resize::Box,
            "bicubic" => Resize::Bicubic,
            "lanczos" => Resize::Lanczos,
            _ => panic!("bad fixture: {line}"),
        }),
        crop_fraction: (crop != "-").then(|| crop.parse().unwrap()),
        ..Default::default()
    };
    let frame =
        FrameOptions { region, rotation_degrees: rotation.parse().unwrap(), mirror: mirror == "1" };
    let data = pixels(width, height, format.channels());
    let picture = Picture { pixels: &data, width, height, format };

    let tensor = common::tensor(DataType::UInt8, &[1, th, tw, depth], None);
    let mut out = vec![0xaa; th * tw * depth];
    let mut preprocessor = Preprocessor::new(&tensor, None, &options).unwrap();
    preprocessor.run(&picture, &frame, &mut out).unwrap();
    let found = if expected.starts_with("fnv:") { fnv(&out) } else { hex(&out) };
    assert_eq!(found, expected, "{line}");

    // Planned axes and scratch memory give the same again, also after another picture.
    let other = Picture { pixels: &[9; 12], width: 3, height: 4, format: PixelFormat::Gray8 };
    preprocessor.run(&other, &FrameOptions::default(), &mut vec![0; out.len()]).unwrap();
    let mut again = vec![0x55; out.len()];
    preprocessor.run(&picture, &frame, &mut again).unwrap();
    preprocessor.run(&picture, &frame, &mut again).unwrap();
    assert_eq!(again, out, "{line}");
}

#[test]
fn equals_pillow() {
    let cases = include_str!("fixtures/pillow.txt");
    cases.lines().for_each(check);
    assert!(cases.lines().count() > 150);
}
