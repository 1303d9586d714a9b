//! Resampling is within 1 of 255 of what TensorFlow, Keras, OpenCV, Pillow and torchvision make, and
//! of a naive one. `scripts/preprocess/make.py` says how the expected bytes were made.

mod common;

use achado_model::DataType;
use achado_vision::{Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor, Resize};
use common::Random;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// As in `tests/pillow.rs`.
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

fn resized(
    (width, height): (usize, usize),
    data: &[u8],
    (target_width, target_height): (usize, usize),
    options: &Preprocess,
) -> Vec<u8> {
    let tensor = common::tensor(DataType::UInt8, &[1, target_height, target_width, 3], None);
    let mut out = vec![0xaa; target_width * target_height * 3];
    let picture = Picture { pixels: data, width, height, format: PixelFormat::Rgb8 };
    let mut preprocessor = Preprocessor::new(&tensor, None, options).unwrap();
    preprocessor.run(&picture, &FrameOptions::default(), &mut out).unwrap();
    out
}

fn check(line: &str) {
    let fields: Vec<&str> = line.split(' ').collect();
    let [_, resize, fit, short_side, width, height, tw, th, expected] = fields[..] else {
        panic!("bad fixture: {line}");
    };
    let number = |text: &str| text.parse::<usize>().unwrap();
    let size = (number(width), number(height));
    let options = Preprocess {
        fit: Some(if fit == "stretch" { Fit::Stretch } else { Fit::CenterCrop }),
        resize: Some(match resize {
            "bilinear" => Resize::Bilinear,
            "bilinear-tf" => Resize::BilinearTf,
            "bicubic" => Resize::Bicubic,
            "lanczos" => Resize::Lanczos,
            "area" => Resize::Area,
            "box" => Resize::Box,
            "nearest" => Resize::Nearest,
            _ => panic!("bad fixture: {line}"),
        }),
        short_side: (short_side != "-").then(|| number(short_side)),
        ..Default::default()
    };
    let found = resized(size, &pixels(size.0, size.1, 3), (number(tw), number(th)), &options);
    let expected: Vec<u8> = (0..expected.len() / 2)
        .map(|i| u8::from_str_radix(&expected[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    assert_eq!(found.len(), expected.len(), "{line}");
    let off = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(off <= Some(1), "off by {off:?}: {line}\n{found:?}\n{expected:?}");
}

#[test]
fn equals_other_programs_within_1() {
    let cases = include_str!("fixtures/resize.txt");
    cases.lines().for_each(check);
    assert!(cases.lines().count() > 190);
}

/// One axis of a picture, in real numbers and without limits: what each filter means, by the book.
fn weights(resize: Resize, size: usize, outputs: usize, output: usize) -> Vec<f64> {
    let scale = size as f64 / outputs as f64;
    let width = scale.max(1.0);
    let center = (output as f64 + 0.5) * scale;
    let sinc = |x: f64| {
        let x = x * std::f64::consts::PI;
        if x == 0.0 { 1.0 } else { x.sin() / x }
    };
    let weight = |x: usize| {
        let distance = ((x as f64 + 0.5 - center) / width).abs();
        match resize {
            Resize::Bilinear => (1.0 - distance).max(0.0),
            Resize::Lanczos if distance < 3.0 => sinc(distance) * sinc(distance / 3.0),
            Resize::Bicubic if distance < 1.0 => {
                1.5 * distance.powi(3) - 2.5 * distance.powi(2) + 1.0
            }
            Resize::Bicubic if distance < 2.0 => {
                -0.5 * distance.powi(3) + 2.5 * distance.powi(2) - 4.0 * distance + 2.0
            }
            Resize::Area => {
                let (begin, end) = (center - scale / 2.0, center + scale / 2.0);
                (end.min(x as f64 + 1.0) - begin.max(x as f64)).max(0.0)
            }
            Resize::BilinearTf => {
                let center = center.clamp(0.5, size as f64 - 0.5);
                (1.0 - (x as f64 + 0.5 - center).abs()).max(0.0)
            }
            _ => 0.0,
        }
    };
    let weights: Vec<f64> = (0..size).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[test]
fn equals_the_naive_one_within_1() {
    let mut random = Random(29);
    for case in 0..300 {
        let resize = random.pick(&[
            Resize::Bilinear,
            Resize::BilinearTf,
            Resize::Bicubic,
            Resize::Lanczos,
            Resize::Area,
        ]);
        let (width, height) = (1 + random.below(30), 1 + random.below(30));
        let limit = |side: usize| if resize == Resize::Area { side } else { 12 };
        let target = (1 + random.below(limit(width)), 1 + random.below(limit(height)));
        // Away from 0 and 255, where bytes between the passes would be cut off.
        let data: Vec<u8> = (0..width * height * 3).map(|_| 60 + random.byte() / 2).collect();
        let options = Preprocess { resize: Some(resize), ..Default::default() };
        let found = resized((width, height), &data, target, &options);
        let columns: Vec<_> = (0..target.0).map(|x| weights(resize, width, target.0, x)).collect();
        for y in 0..target.1 {
            let rows = weights(resize, height, target.1, y);
            for (x, columns) in columns.iter().enumerate() {
                for channel in 0..3 {
                    let mut sum = 0.0;
                    for (v, row) in rows.iter().enumerate() {
                        for (u, column) in columns.iter().enumerate() {
                            sum += f64::from(data[(v * width + u) * 3 + channel]) * row * column;
                        }
                    }
                    let byte = found[(y * target.0 + x) * 3 + channel];
                    // Two roundings, the first weighed by lobes.
                    let off = (f64::from(byte) - sum).abs();
                    assert!(
                        off <= 1.25,
                        "case {case}: {resize:?} {width}x{height} to {target:?}: {off}"
                    );
                }
            }
        }
    }
}
