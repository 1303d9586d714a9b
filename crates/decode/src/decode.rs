//! The `image` crate, told to do what browsers do: orientation from EXIF, profiles, 8 bits a channel.

use std::io::Cursor;

use achado_model::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbaImage};

use crate::color;

/// The longest side that is decoded, in pixels.
const MAX_SIDE: u32 = 16_384;

/// What decoding one picture may allocate, in bytes: 8192 x 8192 RGBA, and as much again.
const MAX_ALLOCATION_BYTES: u64 = 512 << 20;

/// A picture as pixels.
pub struct Decoded {
    /// `[height, width, 4]`, RGBA in sRGB, not premultiplied: colours are those that are stored, also
    /// of pixels that are transparent, as Pillow and TensorFlow give them. GIF has none for these: they
    /// are black, as in browsers.
    pub pixels: Vec<u8>,
    /// In pixels, after the EXIF orientation was applied.
    pub width: u32,
    /// In pixels, after the EXIF orientation was applied.
    pub height: u32,
}

/// Decodes a BMP, GIF (first frame), JPEG, PNG or WebP file.
///
/// # Errors
/// `INVALID_INPUT` when the bytes are none of these, are damaged, or hold a picture that is larger
/// than 16384 pixels a side or half a gigabyte.
pub fn decode(file: &[u8]) -> Result<Decoded> {
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|error| Error::invalid_input(format!("the picture cannot be read: {error}")))?;
    let Some(format) = reader.format() else {
        return Err(Error::invalid_input(
            "the file is not a picture that achado decodes in Node: it needs BMP, GIF, JPEG, PNG or WebP",
        ));
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOCATION_BYTES);
    reader.limits(limits);

    if format == ImageFormat::Jpeg && !is_whole_jpeg(file) {
        // The decoder would fill the rest with grey; browsers refuse such a file, too.
        return Err(Error::invalid_input("the Jpeg picture cannot be decoded: it is cut off"));
    }
    let failed = |error: ImageError| {
        Error::invalid_input(format!("the {format:?} picture cannot be decoded: {error}"))
            .with("format", format.to_mime_type())
    };
    let mut decoder = reader.into_decoder().map_err(failed)?;
    // A damaged EXIF block does not stop a browser from showing the picture. Chromium does not look at
    // that of WebP files.
    let orientation = match format {
        ImageFormat::WebP => Orientation::NoTransforms,
        _ => decoder.orientation().unwrap_or(Orientation::NoTransforms),
    };
    let profile = decoder.icc_profile().ok().flatten();
    let is_gray = !decoder.color_type().has_color();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    picture.apply_orientation(orientation);
    let mut rgba = to_rgba8(picture);
    if format == ImageFormat::Gif {
        for pixel in rgba.pixels_mut().filter(|pixel| pixel.0[3] == 0) {
            pixel.0 = [0; 4];
        }
    }
    let profile = match profile {
        Some(profile) => color::icc(&profile, is_gray),
        None if format == ImageFormat::Png => color::png(file, is_gray),
        None => None,
    };
    if let Some(profile) = profile {
        color::to_srgb(&profile, &mut rgba);
    }
    let (width, height) = rgba.dimensions();
    Ok(Decoded { pixels: rgba.into_raw(), width, height })
}

/// Four bytes a pixel. Of 16 bits the upper 8 are taken, as libpng's `png_set_strip_16` does, which
/// TensorFlow and Pillow go by.
fn to_rgba8(picture: DynamicImage) -> RgbaImage {
    let upper = |wide: u16| (wide >> 8) as u8;
    let (width, height) = (picture.width(), picture.height());
    let pixels: Vec<u8> = match picture {
        DynamicImage::ImageLuma16(gray) => gray
            .as_raw()
            .iter()
            .flat_map(|&gray| [upper(gray), upper(gray), upper(gray), 255])
            .collect(),
        DynamicImage::ImageLumaA16(gray) => {
            let pixels = gray.as_raw().as_chunks::<2>().0.iter();
            pixels.flat_map(|&[g, a]| [upper(g), upper(g), upper(g), upper(a)]).collect()
        }
        DynamicImage::ImageRgb16(rgb) => {
            let pixels = rgb.as_raw().as_chunks::<3>().0.iter();
            pixels.flat_map(|&[r, g, b]| [upper(r), upper(g), upper(b), 255]).collect()
        }
        DynamicImage::ImageRgba16(rgba) => rgba.as_raw().iter().map(|&wide| upper(wide)).collect(),
        other => return other.into_rgba8(),
    };
    RgbaImage::from_raw(width, height, pixels).unwrap_or_default()
}

/// Whether an end-of-image marker comes after the first scan begins. (ITU-T T.81, annex B: segments
/// are `FF`, a marker, and a length of 2 bytes that counts itself; SOS is `DA`, EOI `D9`. Thumbnails
/// in segments have an end of their own, so segments are skipped, not searched.)
fn is_whole_jpeg(file: &[u8]) -> bool {
    let mut rest = file.get(2..).unwrap_or_default();
    loop {
        match rest {
            [0xff, 0xda, scan @ ..] => return scan.windows(2).any(|pair| pair == [0xff, 0xd9]),
            // Fill bytes may stand before a marker.
            [0xff, 0xff, ..] => rest = &rest[1..],
            &[0xff, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(next) = rest.get(2 + length..) else { return false };
                rest = next;
            }
            // Damaged in another way, which the decoder names.
            _ => return !rest.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use achado_model::ErrorCode;
    use image::{ImageEncoder, Rgba};

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn lossless_formats_give_the_pixels_back() {
        let picture = RgbaImage::from_fn(5, 3, |x, y| Rgba([x as u8 * 40, y as u8 * 80, 7, 255]));
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
            let decoded = decode(&encoded(&picture.clone().into(), format)).unwrap();
            assert_eq!((decoded.width, decoded.height), (5, 3), "{format:?}");
            assert_eq!(decoded.pixels, *picture.as_raw(), "{format:?}");
        }
    }

    #[test]
    fn invisible_pixels_keep_the_colour_that_is_stored() {
        let picture = RgbaImage::from_raw(2, 1, vec![9, 8, 7, 0, 9, 9, 9, 1]).unwrap();
        let decoded = decode(&encoded(&picture.into(), ImageFormat::Png)).unwrap();
        assert_eq!(decoded.pixels, [9, 8, 7, 0, 9, 9, 9, 1]);
    }

    #[test]
    fn of_sixteen_bits_a_channel_the_upper_eight_are_taken() {
        let picture = image::ImageBuffer::from_raw(1, 1, vec![0xffff_u16, 0x80ff, 0]).unwrap();
        let file = encoded(&DynamicImage::ImageRgb16(picture), ImageFormat::Png);
        assert_eq!(decode(&file).unwrap().pixels, [255, 128, 0, 255]);
        let picture = image::ImageBuffer::from_raw(1, 1, vec![0x12ff_u16, 0x34ff]).unwrap();
        let file = encoded(&DynamicImage::ImageLumaA16(picture), ImageFormat::Png);
        assert_eq!(decode(&file).unwrap().pixels, [0x12, 0x12, 0x12, 0x34]);
    }

    /// The pictures of `scripts/preprocess/pictures.py`.
    fn fixture(name: &str) -> Decoded {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pictures/");
        decode(&std::fs::read([folder, name].concat()).unwrap()).unwrap()
    }

    fn farthest(a: &Decoded, b: &Decoded) -> u8 {
        a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn profiles_are_applied_to_pixels_of_any_depth_and_layout() {
        let plain = fixture("rgb.png");
        let wide = fixture("p3.png");
        assert!(farthest(&plain, &wide) > 50);
        // Display P3's primaries lie outside of sRGB's: [0, 0, 239] in the corner becomes darker.
        for same in ["p3.webp", "p3_16.png", "p3_alpha.png"] {
            let other = fixture(same);
            let rgb = |picture: &Decoded| -> Vec<u8> {
                picture.pixels.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect()
            };
            let off = rgb(&wide).iter().zip(rgb(&other)).map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(1), "{same}: {off:?}");
        }
        assert!(farthest(&fixture("plain.jpg"), &fixture("p3.jpg")) > 50);
        assert!(farthest(&fixture("gray.png"), &fixture("gray_icc.png")) > 20);
        assert!(farthest(&plain, &fixture("gamma.png")) > 50);
        assert_eq!(farthest(&plain, &fixture("damaged_icc.png")), 0);
    }

    /// A JPEG 32 pixels wide and 16 high, its left half white, with an EXIF orientation.
    fn jpeg_with_orientation(orientation: u8) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(32, 16, |x, _| {
            image::Rgb(if x < 16 { [255; 3] } else { [0; 3] })
        });
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        let mut file = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut file);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&picture, 32, 16, image::ExtendedColorType::Rgb8).unwrap();
        file
    }

    #[test]
    fn exif_orientation_is_applied_as_browsers_do() {
        // Orientation 6: the camera was turned, the picture needs 90 degrees clockwise.
        let turned = decode(&jpeg_with_orientation(6)).unwrap();
        assert_eq!((turned.width, turned.height), (16, 32));
        assert!(turned.pixels[0] > 250, "the left half has become the top half");
        assert!(turned.pixels[turned.pixels.len() - 4] < 5);
        // Orientation 3: upside down.
        let turned = decode(&jpeg_with_orientation(3)).unwrap();
        assert_eq!((turned.width, turned.height), (32, 16));
        assert!(turned.pixels[0] < 5, "white has moved from the left to the right");
        assert_eq!(decode(&jpeg_with_orientation(1)).unwrap().width, 32);
    }

    #[test]
    fn what_is_no_picture_is_refused_with_a_reason() {
        for file in [&b""[..], b"hello", b"%PDF-1.7", &[0; 64]] {
            let error = decode(file).err().unwrap();
            assert_eq!(error.code, ErrorCode::InvalidInput);
            assert!(error.message.contains("BMP, GIF, JPEG, PNG or WebP"), "{error}");
        }
        let png = encoded(&DynamicImage::new_rgb8(9, 9), ImageFormat::Png);
        let error = decode(&png[..png.len() / 2]).err().unwrap();
        assert!(error.message.contains("Png"), "{error}");
        let jpeg = jpeg_with_orientation(1);
        for length in [jpeg.len() - 2, jpeg.len() / 2, 30, 4] {
            assert!(decode(&jpeg[..length]).is_err(), "{length} of {} bytes", jpeg.len());
        }
        assert!(decode(&[&jpeg[..], b"more after the end"].concat()).is_ok());
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_allocation() {
        let mut bmp = encoded(&DynamicImage::new_rgb8(2, 2), ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&100_000_i32.to_le_bytes());
        bmp[22..26].copy_from_slice(&100_000_i32.to_le_bytes());
        assert_eq!(decode(&bmp).err().unwrap().code, ErrorCode::InvalidInput);
    }
}
