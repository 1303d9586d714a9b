//! Properties of preprocessing over seeded random pictures, sizes and options.

mod common;

use achado_model::DataType;
use achado_vision::{
    Channels, Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor, Region, Resize,
};
use common::Random;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Clone, Debug, PartialEq)]
struct Owned {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    format: PixelFormat,
}

impl Owned {
    fn random(random: &mut Random) -> Self {
        let format = random.pick(&[PixelFormat::Rgba8, PixelFormat::Rgb8, PixelFormat::Gray8]);
        let (width, height) = (1 + random.below(40), 1 + random.below(40));
        let pixels = (0..width * height * format.channels()).map(|_| random.byte()).collect();
        Self { pixels, width, height, format }
    }

    fn as_picture(&self) -> Picture<'_> {
        let Self { pixels, width, height, format } = self;
        Picture { pixels, width: *width, height: *height, format: *format }
    }

    /// The picture of which pixel `(x, y)` is this picture's `from(x, y)`.
    fn map(
        &self,
        (width, height): (usize, usize),
        from: impl Fn(usize, usize) -> (usize, usize),
    ) -> Self {
        let depth = self.format.channels();
        let mut pixels = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (x, y) = from(x, y);
                pixels.extend(&self.pixels[(y * self.width + x) * depth..][..depth]);
            }
        }
        Self { pixels, width, height, format: self.format }
    }

    fn turned_clockwise(&self) -> Self {
        self.map((self.height, self.width), |x, y| (y, self.height - 1 - x))
    }

    fn mirrored(&self) -> Self {
        self.map((self.width, self.height), |x, y| (self.width - 1 - x, y))
    }

    fn with_format(&self, format: PixelFormat, pixel: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let pixels = self.pixels.chunks(self.format.channels()).flat_map(pixel).collect();
        Self { pixels, format, ..*self }
    }
}

const RESIZES: [Resize; 7] = [
    Resize::Bilinear,
    Resize::BilinearTf,
    Resize::Bicubic,
    Resize::Lanczos,
    Resize::Area,
    Resize::Box,
    Resize::Nearest,
];

fn random_options(random: &mut Random) -> Preprocess {
    Preprocess {
        fit: Some(random.pick(&[Fit::Stretch, Fit::CenterCrop, Fit::Contain])),
        resize: Some(random.pick(&RESIZES)),
        crop_fraction: random.pick(&[None, Some(1.0), Some(0.875), Some(0.5)]),
        ..Default::default()
    }
}

/// A region whose sides are exact in binary, so that turning it is exact too.
fn random_region(random: &mut Random) -> Option<Region> {
    let mut side = |low: usize, high: usize| (low + random.below(high - low)) as f64 / 64.0;
    let (left, top) = (side(0, 32), side(0, 32));
    let (right, bottom) = (side(33, 65), side(33, 65));
    let region = Region { left, top, right, bottom };
    (random.below(3) > 0).then_some(region)
}

struct Target {
    width: usize,
    height: usize,
    depth: usize,
}

fn tensor_of(
    target: &Target,
    options: &Preprocess,
    picture: &Owned,
    frame: &FrameOptions,
) -> Vec<u8> {
    let shape = [1, target.height, target.width, target.depth];
    let tensor = common::tensor(DataType::UInt8, &shape, None);
    let mut out = vec![0xaa; shape.iter().product()];
    let mut preprocessor = Preprocessor::new(&tensor, None, options).unwrap();
    preprocessor.run(&picture.as_picture(), frame, &mut out).unwrap();
    out
}

#[test]
fn turning_equals_turned_pictures() {
    let mut random = Random(11);
    for case in 0..600 {
        let picture = Owned::random(&mut random);
        let options = random_options(&mut random);
        let target = Target {
            width: 1 + random.below(20),
            height: 1 + random.below(20),
            depth: random.pick(&[1, 3]),
        };
        let region = random_region(&mut random);
        let quarters = random.below(4);
        let mirror = random.below(2) == 1;
        let rotation_degrees = quarters as i32 * 90 - 360 * (random.below(2) as i32);
        let frame = FrameOptions { region, rotation_degrees, mirror };
        let found = tensor_of(&target, &options, &picture, &frame);

        let (mut turned, mut region) = (picture.clone(), region);
        for _ in 0..quarters {
            turned = turned.turned_clockwise();
            region = region.map(|r| Region {
                left: 1.0 - r.bottom,
                top: r.left,
                right: 1.0 - r.top,
                bottom: r.right,
            });
        }
        if mirror {
            turned = turned.mirrored();
            region = region.map(|r| Region { left: 1.0 - r.right, right: 1.0 - r.left, ..r });
        }
        let frame = FrameOptions { region, ..Default::default() };
        let expected = tensor_of(&target, &options, &turned, &frame);
        assert_eq!(found, expected, "case {case}: {picture:?} {options:?} turned {quarters}");
    }
}

#[test]
fn pixel_formats_agree() {
    let mut random = Random(12);
    let target = Target { width: 9, height: 7, depth: 3 };
    for _ in 0..100 {
        let picture = Owned::random(&mut random);
        let options = random_options(&mut random);
        let frame = FrameOptions {
            region: random_region(&mut random),
            rotation_degrees: 90 * random.below(4) as i32,
            mirror: false,
        };
        let of =
            |picture: &Owned, options: &Preprocess| tensor_of(&target, options, picture, &frame);
        let gray = picture.with_format(PixelFormat::Gray8, |p| vec![p[0]]);
        let rgb = gray.with_format(PixelFormat::Rgb8, |p| vec![p[0]; 3]);
        let rgba = gray.with_format(PixelFormat::Rgba8, |p| vec![p[0], p[0], p[0], 77]);
        assert_eq!(of(&gray, &options), of(&rgb, &options));
        assert_eq!(of(&gray, &options), of(&rgba, &options));
        // Luma of equal channels is the channel, so a grey tensor has the same bytes once.
        let one = Target { depth: 1, ..target };
        let once = tensor_of(&one, &options, &rgba, &frame);
        let thrice: Vec<u8> = once.iter().flat_map(|&byte| [byte; 3]).collect();
        assert_eq!(of(&rgba, &options), thrice);

        let swapped = Preprocess { channels: Some(Channels::Bgr), ..options.clone() };
        let rgb_bytes = of(&picture, &options);
        let bgr_bytes = of(&picture, &swapped);
        for (rgb, bgr) in rgb_bytes.chunks(3).zip(bgr_bytes.chunks(3)) {
            assert_eq!([rgb[2], rgb[1], rgb[0]], bgr);
        }
    }
}

#[test]
fn bands_give_what_the_whole_picture_gives() {
    let mut random = Random(31);
    for case in 0..300 {
        let picture = Owned::random(&mut random);
        let options = random_options(&mut random);
        let frame = FrameOptions {
            region: random_region(&mut random),
            rotation_degrees: random.pick(&[0, 90, 180, 270]),
            mirror: random.below(2) == 1,
        };
        let depth = random.pick(&[1, 3]);
        let shape = [1, 1 + random.below(12), 1 + random.below(12), depth];
        let tensor = common::tensor(DataType::UInt8, &shape, None);
        let mut preprocessor = Preprocessor::new(&tensor, None, &options).unwrap();
        let [mut whole, mut parts] = [0x55, 0xaa].map(|byte| vec![byte; tensor.size_bytes()]);
        preprocessor.run(&picture.as_picture(), &frame, &mut whole).unwrap();
        let stride = picture.width * picture.format.channels();
        let size = (picture.width, picture.height);
        let most = stride * (1 + random.below(picture.height));
        let bands = preprocessor.bands(size, picture.format, &frame, most).unwrap();
        assert!(bands.windows(2).all(|pair| pair[0].rows().0 <= pair[1].rows().0), "case {case}");
        for band in &bands {
            let (start, end) = band.rows();
            let rows = &picture.pixels[start * stride..end * stride];
            preprocessor.run_band(band, rows, &mut parts).unwrap();
            assert!(preprocessor.run_band(band, &rows[1..], &mut parts).is_err());
        }
        assert_eq!(parts, whole, "case {case}: {options:?} {frame:?} {bands:?}");
    }
}

#[test]
fn extreme_shapes_and_regions_neither_panic_nor_leave_the_range() {
    let mut random = Random(13);
    let sliver = 1e-9;
    for (width, height) in [(1, 1), (1, 3000), (3000, 1), (2, 257), (4096, 2)] {
        let pixels: Vec<u8> = (0..width * height).map(|_| 100 + random.byte() % 11).collect();
        let picture = Owned { pixels, width, height, format: PixelFormat::Gray8 };
        for (tw, th) in [(1, 1), (64, 1), (1, 64), (17, 33)] {
            let target = Target { width: tw, height: th, depth: 1 };
            for fit in [Fit::Stretch, Fit::CenterCrop] {
                // Those with lobes may leave it.
                let lobed = [Resize::Bicubic, Resize::Lanczos];
                for resize in RESIZES.into_iter().filter(|resize| !lobed.contains(resize)) {
                    for left in [0.0, 0.3, 0.5, 1.0 - sliver] {
                        let region = Region { left, top: left, right: left + sliver, bottom: 1.0 };
                        for rotation_degrees in [0, 90, 180, 270] {
                            let frame = FrameOptions {
                                region: Some(region),
                                rotation_degrees,
                                mirror: false,
                            };
                            let options = Preprocess {
                                fit: Some(fit),
                                resize: Some(resize),
                                ..Default::default()
                            };
                            let bytes = tensor_of(&target, &options, &picture, &frame);
                            // Any weighted mean of bytes in 100..=110, rounded twice.
                            let inside = bytes.iter().all(|byte| (99..=111).contains(byte));
                            assert!(inside, "{width}x{height} {options:?} {frame:?}: {bytes:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_border_of_contain_is_black_before_normalising() {
    let tensor = common::tensor(DataType::Float32, &[1, 4, 4, 3], None);
    let options = Preprocess {
        fit: Some(Fit::Contain),
        mean: Some(vec![127.5]),
        std: Some(vec![127.5]),
        ..Default::default()
    };
    let picture =
        Picture { pixels: &[255; 4 * 2 * 3], width: 4, height: 2, format: PixelFormat::Rgb8 };
    let mut out = vec![0; 4 * 4 * 3 * 4];
    let mut preprocessor = Preprocessor::new(&tensor, None, &options).unwrap();
    preprocessor.run(&picture, &FrameOptions::default(), &mut out).unwrap();
    let values: Vec<f32> = out.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let rows: Vec<f32> = values.chunks(12).map(|row| row.iter().sum::<f32>() / 12.0).collect();
    assert_eq!(rows, [-1.0, 1.0, 1.0, -1.0]);
}

#[test]
fn pictures_of_the_tensors_size_are_not_resampled() {
    let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    let (scale, zero_point) = (0.0187, 114);
    let normalised =
        Preprocess { mean: Some(mean.to_vec()), std: Some(std.to_vec()), ..Default::default() };
    let mut random = Random(14);
    for case in 0..120 {
        let mut picture = Owned::random(&mut random);
        // Longer than the pieces that columns are written in.
        let (width, height) = (1 + random.below(90), 1 + random.below(90));
        let bytes = width * height * picture.format.channels();
        let pixels = (0..bytes).map(|_| random.byte()).collect();
        picture = Owned { pixels, width, height, ..picture };
        let (quarters, mirror) = (random.below(4), random.below(2) == 1);
        let mut turned = picture.clone();
        for _ in 0..quarters {
            turned = turned.turned_clockwise();
        }
        if mirror {
            turned = turned.mirrored();
        }
        let frame = FrameOptions { region: None, rotation_degrees: 90 * quarters as i32, mirror };
        let resize = Some(random.pick(&RESIZES));
        let bgr = random.below(2) == 1;
        let channels = Some(if bgr { Channels::Bgr } else { Channels::Rgb });
        let shape = [1, turned.height, turned.width, 3];
        let colours: Vec<u8> = turned
            .pixels
            .chunks(turned.format.channels())
            .flat_map(|pixel| {
                let [a, b, c] = [0, 1, 2].map(|c| pixel[c.min(pixel.len() - 1)]);
                if bgr { [c, b, a] } else { [a, b, c] }
            })
            .collect();
        let of = |dtype, quantization, options: &Preprocess| {
            let tensor = common::tensor(dtype, &shape, quantization);
            let mut out = vec![0xaa; tensor.size_bytes()];
            let options = Preprocess { resize, channels, ..options.clone() };
            let mut preprocessor = Preprocessor::new(&tensor, None, &options).unwrap();
            preprocessor.run(&picture.as_picture(), &frame, &mut out).unwrap();
            out
        };
        let raw = of(DataType::UInt8, None, &Preprocess::default());
        assert!(raw == colours, "case {case}: {width}x{height} {:?} {frame:?}", picture.format);
        let signed = of(DataType::Int8, Some((1.0, -128)), &Preprocess::default());
        assert!(signed.iter().zip(&colours).all(|(s, c)| *s == c ^ 128), "case {case}");
        let reals: Vec<f32> = colours
            .iter()
            .enumerate()
            .map(|(i, &x)| (f32::from(x) - mean[i % 3]) / std[i % 3])
            .collect();
        let floats = of(DataType::Float32, None, &normalised);
        let floats = floats.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        assert!(floats.eq(reals.iter().copied()), "case {case}");
        let quantised = of(DataType::UInt8, Some((scale, zero_point)), &normalised);
        let expected = reals
            .iter()
            .map(|real| ((real / scale).round() + zero_point as f32).clamp(0.0, 255.0) as u8);
        assert!(quantised.into_iter().eq(expected), "case {case}");
    }
}
