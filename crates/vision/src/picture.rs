//! Pictures as a caller gives them: bytes, a size, a pixel format.

use achado_model::{Error, Result};

/// The longest side of a picture in pixels. It keeps 22-bit resampling sums inside `i32`: with at
/// most 2^20 source pixels for an output pixel, rounding adds at most a quarter to a sum of 2^22.
pub const MAX_SIDE: usize = 1 << 20;

/// How the bytes of a [`Picture`] are laid out: rows from the top, no gaps, 8 bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Red, green, blue, alpha, as canvas `ImageData` has them. Alpha is ignored: a
    /// transparent pixel counts with the colour that it has; [`Flatten`](crate::Flatten) puts pictures
    /// on another before.
    Rgba8,
    /// Red, green, blue.
    Rgb8,
    /// One grey byte.
    Gray8,
}

impl PixelFormat {
    /// Bytes a pixel.
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgba8 => 4,
            Self::Rgb8 => 3,
            Self::Gray8 => 1,
        }
    }
}

/// A borrowed picture.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// `height * width * channels` bytes, rows from the top.
    pub pixels: &'a [u8],
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// The layout of `pixels`.
    pub format: PixelFormat,
}

/// Whether both sides are above zero and at most [`MAX_SIDE`].
pub(crate) fn check_size(width: usize, height: usize) -> Result<()> {
    let message = if width == 0 || height == 0 {
        format!(
            "the picture is {width}x{height} pixels; wait until it is loaded, \
             or give one with both sides above 0"
        )
    } else if width.max(height) > MAX_SIDE {
        format!(
            "the picture is {width}x{height} pixels; scale it down to at most {MAX_SIDE} a side"
        )
    } else {
        return Ok(());
    };
    Err(Error::invalid_input(message).with("width", width).with("height", height))
}

impl Picture<'_> {
    /// Whether the size is above zero, at most [`MAX_SIDE`], and what `pixels` holds.
    ///
    /// # Errors
    /// `INVALID_INPUT`, saying what to change.
    pub fn validate(&self) -> Result<()> {
        let Self { width, height, .. } = *self;
        check_size(width, height)?;
        let size = |error: Error| error.with("width", width).with("height", height);
        let channels = self.format.channels();
        let needed = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
        if needed != Some(self.pixels.len()) {
            let found = self.pixels.len();
            let needed = width as f64 * height as f64 * channels as f64;
            return Err(size(Error::invalid_input(format!(
                "a picture of {width}x{height} pixels with {channels} bytes each needs {needed} \
                 bytes, has {found}; check its width, height and pixel format"
            )))
            .with("needed", needed)
            .with("found", found));
        }
        Ok(())
    }
}
