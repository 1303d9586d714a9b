//! Milliseconds to fill a 224x224 input: `cargo bench -p achado-vision`.

use std::hint::black_box;
use std::time::Instant;

use achado_model::{DataType, Tensor};
use achado_vision::{Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor, Resize};

fn main() {
    let sizes = [(256, 256), (640, 480), (1280, 720), (1920, 1080), (4032, 3024), (100, 100)];
    for (width, height) in sizes {
        for format in [PixelFormat::Rgba8, PixelFormat::Rgb8] {
            for (dtype, resize, rotation_degrees) in [
                (DataType::UInt8, Resize::Bilinear, 0),
                (DataType::Float32, Resize::Bilinear, 0),
                (DataType::UInt8, Resize::Bilinear, 90),
                (DataType::UInt8, Resize::Nearest, 0),
            ] {
                let tensor = Tensor {
                    name: "input".into(),
                    dtype,
                    shape: vec![1, 224, 224, 3],
                    dynamic: Vec::new(),
                    quantization: None,
                    data: None,
                };
                let float = dtype == DataType::Float32;
                let options = Preprocess {
                    fit: Some(Fit::Stretch),
                    resize: Some(resize),
                    mean: float.then(|| vec![127.5]),
                    std: float.then(|| vec![127.5]),
                    ..Default::default()
                };
                let mut preprocessor = Preprocessor::new(&tensor, None, &options).unwrap();
                let pixels: Vec<u8> = (0..width * height * format.channels())
                    .map(|i| ((i * 31) >> 3) as u8)
                    .collect();
                let picture = Picture { pixels: &pixels, width, height, format };
                let frame = FrameOptions { rotation_degrees, ..Default::default() };
                let mut out = vec![0; tensor.size_bytes()];
                let mut times: Vec<f64> = (0..15)
                    .map(|_| {
                        let start = Instant::now();
                        preprocessor.run(black_box(&picture), &frame, &mut out).unwrap();
                        black_box(&out);
                        start.elapsed().as_secs_f64() * 1e3
                    })
                    .collect();
                times.sort_by(f64::total_cmp);
                let median = times[times.len() / 2];
                println!(
                    "{width}x{height} {format:?} {resize:?} rotated {rotation_degrees} to {dtype}: \
                     {median:.2} ms"
                );
            }
        }
    }
}
