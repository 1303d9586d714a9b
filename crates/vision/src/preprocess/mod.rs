//! Pixels to tensor: region, rotation, mirror, fit, resize, normalise, quantise.

mod elements;
mod geometry;
mod passes;
pub(crate) mod resample;
mod shift;
mod stored;
mod table;

use achado_model::metadata::Normalization;
use achado_model::{Error, Result, Tensor};

use crate::frame::FrameOptions;
use crate::picture::{MAX_SIDE, Picture, PixelFormat, check_size};
pub use geometry::Fit;
use geometry::{Fitting, Placement, place};
pub use resample::Resize;
use resample::{Axis, Rows, Scratch, resample};
pub use stored::STORED_PREPROCESS;
use table::{Normalise, Table};

/// Which colours a tensor has, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Red, green, blue: the default of tensors with 3 channels.
    Rgb,
    /// Blue, green, red, as OpenCV and Caffe have it.
    Bgr,
    /// Luma `(19595 R + 38470 G + 7471 B + 32768) >> 16` (ITU-R 601, Pillow's `L`): the default of
    /// tensors with 1 channel.
    Gray,
}

impl Channels {
    /// The name in JavaScript.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rgb => "RGB",
            Self::Bgr => "BGR",
            Self::Gray => "GRAY",
        }
    }
}

/// What a caller sets of the preprocessing; the rest comes from the model's metadata and defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocess {
    /// How one aspect ratio becomes another; default [`Fit::Stretch`].
    pub fit: Option<Fit>,
    /// The filter; default [`Resize::Bilinear`].
    pub resize: Option<Resize>,
    /// Subtracted from pixels (0..=255) before dividing by `std`; one value, or one for each of the
    /// tensor's channels in the tensor's order. Defaults to the metadata's, or 0 where only `std`
    /// is known. Giving `mean` or `std` also makes integer inputs normalised and quantised instead
    /// of fed as raw pixels.
    pub mean: Option<Vec<f32>>,
    /// Divides; as `mean`. Defaults to the metadata's, or 1 where only `mean` is known.
    pub std: Option<Vec<f32>>,
    /// The tensor's colours; default by its number of channels.
    pub channels: Option<Channels>,
    /// The centred part of the picture that is used, above 0 and up to 1; default 1. With
    /// [`Fit::CenterCrop`], also where it is 1, as timm evaluates: the short side is resized to the
    /// tensor's divided by it, rounded down.
    pub crop_fraction: Option<f32>,
    /// With [`Fit::CenterCrop`]: the short side in pixels before it is cut, as torchvision's
    /// `Resize(R)`. Excludes `crop_fraction`.
    pub short_side: Option<usize>,
    /// Red, green and blue around the picture with [`Fit::Contain`]; default black.
    pub pad_color: Option<[u8; 3]>,
    /// Red, green and blue behind transparent pixels. Not of use to [`Preprocessor`], which takes
    /// colours as they are stored: [`flatten`](crate::flatten) puts pictures on it.
    pub background: Option<[u8; 3]>,
}

impl Preprocess {
    /// Checks what can be checked without a model.
    ///
    /// # Errors
    /// `INVALID_OPTION`, by the option's name in JavaScript.
    pub fn validate(&self) -> Result<()> {
        if let Some(fraction) = self.crop_fraction
            && !(fraction > 0.0 && fraction <= 1.0)
        {
            return Err(option(
                "cropFraction",
                format!("must be above 0 and at most 1, is {fraction}"),
            ));
        }
        if self.short_side.is_some() {
            if self.fit != Some(Fit::CenterCrop) {
                let fit = self.fit.unwrap_or_default().name();
                return Err(option(
                    "shortSide",
                    format!("is for fit \"centerCrop\", which cuts it; fit is \"{fit}\""),
                ));
            }
            if self.crop_fraction.is_some() {
                return Err(option(
                    "shortSide",
                    "says the same as cropFraction; give one of the two".into(),
                ));
            }
        }
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            let Some(values) = values else { continue };
            if values.is_empty() {
                return Err(option(name, "must have one value, or one a channel; is empty".into()));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(option(name, format!("must be finite numbers, has {value}")));
            }
            if name == "std" && values.contains(&0.0) {
                return Err(option(name, "divides, so it cannot be 0".into()));
            }
        }
        Ok(())
    }
}

fn option(name: &str, message: String) -> Error {
    Error::invalid_option(format!("preprocess.{name}: {message}"))
        .with("option", format!("preprocess.{name}"))
}

/// Rows of a large picture, and what comes of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    size: (usize, usize),
    format: PixelFormat,
    frame: FrameOptions,
    rows: (usize, usize),
    outputs: (usize, usize),
}

impl Band {
    /// The first row, and one past the last.
    pub fn rows(&self) -> (usize, usize) {
        self.rows
    }
}

/// Fills one input tensor `[1, height, width, channels]` from pictures.
///
/// float32 tensors get `(x - mean) / std`, by the caller's values or by the metadata's. uint8
/// tensors get the pixel bytes themselves, as in MediaPipe, and int8 tensors get `x - 128`, where
/// that is within one step of normalising and quantising; a caller who gives `mean` or `std` gets
/// exactly `round((x - mean) / std / scale) + zero_point`, clamped.
///
/// Axes are planned once for each size of picture and kept while it repeats; then a call allocates
/// nothing.
#[derive(Debug)]
pub struct Preprocessor {
    width: usize,
    height: usize,
    channels: Channels,
    depth: usize,
    fit: Fitting,
    resize: Resize,
    pad_color: [u8; 3],
    table: Table,
    planned: Option<(usize, usize, FrameOptions, Placement)>,
    x: Axis,
    y: Axis,
    scratch: Scratch,
    gray: Vec<u8>,
}

impl Preprocessor {
    /// Checks the options against the tensor and its normalisation in the metadata.
    ///
    /// # Errors
    /// `UNSUPPORTED_TYPE` if the tensor is no picture, `INVALID_OPTION` if options are out of range
    /// or do not fit it, `METADATA_MISSING` if nobody says how to normalise, `MODEL_FORMAT` if the
    /// metadata's normalisation does not fit the tensor.
    pub fn new(
        tensor: &Tensor,
        metadata: Option<&Normalization>,
        options: &Preprocess,
    ) -> Result<Self> {
        options.validate()?;
        let (height, width, depth) = picture_shape(tensor)?;
        let default = if depth == 1 { Channels::Gray } else { Channels::Rgb };
        let channels = options.channels.unwrap_or(default);
        if (channels == Channels::Gray) != (depth == 1) {
            let name = channels.name();
            return Err(option(
                "channels",
                format!("{name} does not fit input tensor {:?} with {depth} channels", tensor.name),
            ));
        }
        for (name, values) in [("mean", &options.mean), ("std", &options.std)] {
            if let Some(values) = values
                && values.len() != 1
                && values.len() != depth
            {
                let found = values.len();
                return Err(option(
                    name,
                    format!(
                        "the input has {depth} channels, so give 1 or {depth} values; {found} given"
                    ),
                ));
            }
        }
        if let Some(side) = options.short_side
            && !(height.max(width)..=MAX_SIDE).contains(&side)
        {
            return Err(option(
                "shortSide",
                format!(
                    "must be from {}, the input's longer side, to {MAX_SIDE}; is {side}",
                    height.max(width)
                ),
            ));
        }
        let caller = options.mean.is_some() || options.std.is_some();
        let overridden = options.mean.is_some() && options.std.is_some();
        let metadata = match metadata {
            Some(normalization) if !overridden => {
                for (name, values) in [("mean", &normalization.mean), ("std", &normalization.std)] {
                    if values.len() != 1 && values.len() != depth {
                        let found = values.len();
                        return Err(Error::format(format!(
                            "the metadata of input tensor {:?} has {found} values as {name} for \
                             {depth} channels; give preprocess.mean and preprocess.std",
                            tensor.name
                        )));
                    }
                }
                Some(Normalise { mean: &normalization.mean, std: &normalization.std })
            }
            _ => None,
        };
        let caller = caller.then(|| Normalise {
            mean: options.mean.as_deref().or(metadata.map(|m| m.mean)).unwrap_or(&[0.0]),
            std: options.std.as_deref().or(metadata.map(|m| m.std)).unwrap_or(&[1.0]),
        });
        Ok(Self {
            width,
            height,
            channels,
            depth,
            fit: Fitting {
                fit: options.fit.unwrap_or_default(),
                crop_fraction: options.crop_fraction,
                short_side: options.short_side,
                crops_first: options.resize.is_some_and(Resize::samples),
            },
            resize: options.resize.unwrap_or_default(),
            pad_color: options.pad_color.unwrap_or_default(),
            table: Table::new(tensor, depth, caller, metadata)?,
            planned: None,
            x: Axis::default(),
            y: Axis::default(),
            scratch: Scratch::default(),
            gray: Vec::new(),
        })
    }

    /// What the least and the greatest byte of a channel become, in the real numbers of the input
    /// tensor.
    pub(crate) fn values(&self, tensor: &Tensor, channel: usize) -> [f64; 2] {
        self.table.values(tensor, channel % self.depth)
    }

    /// The rows of a picture that are read at a time, so that they take at most so many bytes: one after
    /// the other from the top. A row that is of no use is in none.
    ///
    /// # Errors
    /// Those of [`Preprocessor::run`] about the picture's size and the frame.
    pub fn bands(
        &mut self,
        (width, height): (usize, usize),
        format: PixelFormat,
        frame: &FrameOptions,
        most_bytes: usize,
    ) -> Result<Vec<Band>> {
        check_size(width, height)?;
        frame.validate()?;
        self.plan(width, height, frame);
        let groups = self.y.groups((most_bytes / (width * format.channels())).max(1));
        let band =
            |(outputs, rows)| Band { size: (width, height), format, frame: *frame, rows, outputs };
        Ok(groups.into_iter().map(band).collect())
    }

    /// Writes the elements that come of a band, in its order, into `out`, which is for all of them.
    ///
    /// # Errors
    /// `INVALID_INPUT` where `pixels` are not the rows of the band.
    ///
    /// # Panics
    /// If `out` is not the tensor's size in bytes.
    pub fn run_band(&mut self, band: &Band, pixels: &[u8], out: &mut [u8]) -> Result<()> {
        let Band { size: (width, height), format, ref frame, rows, outputs } = *band;
        let picture = Picture { pixels, width, height: rows.1 - rows.0, format };
        picture.validate()?;
        let placement = self.plan(width, height, frame);
        self.fill_from(&picture, rows.0, placement, outputs, out);
        Ok(())
    }

    /// Writes the tensor's elements, little-endian, into `out`.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a picture without pixels or with a buffer of another size,
    /// `INVALID_OPTION` for a region outside the picture or a rotation that is no multiple of 90.
    ///
    /// # Panics
    /// If `out` is not the tensor's size in bytes.
    pub fn run(
        &mut self,
        picture: &Picture<'_>,
        frame: &FrameOptions,
        out: &mut [u8],
    ) -> Result<()> {
        picture.validate()?;
        frame.validate()?;
        let placement = self.plan(picture.width, picture.height, frame);
        self.fill_from(picture, 0, placement, (0, self.y.len()), out);
        Ok(())
    }

    /// Fills `outputs` from rows of the source, the first of which is `origin`.
    fn fill_from(
        &mut self,
        picture: &Picture<'_>,
        origin: usize,
        placement: Placement,
        outputs: (usize, usize),
        out: &mut [u8],
    ) {
        let elements = self.width * self.height * self.depth;
        assert_eq!(out.len(), elements * self.table.element_bytes(), "tensor size");

        let Picture { pixels, width, height, format } = *picture;
        let mut scratch = std::mem::take(&mut self.scratch);
        if self.channels == Channels::Gray && format != PixelFormat::Gray8 {
            let (first_row, end_row) = self.y.bounds();
            let first_row = first_row.max(origin);
            let end_row = end_row.min(origin + height);
            let stride = width * format.channels();
            let pixels = &pixels[(first_row - origin) * stride..(end_row - origin) * stride];
            let mut gray = std::mem::take(&mut self.gray);
            gray.clear();
            match format {
                PixelFormat::Rgba8 => gray.extend(pixels.as_chunks::<4>().0.iter().map(luma)),
                _ => gray.extend(pixels.as_chunks::<3>().0.iter().map(luma)),
            }
            let rows = Rows { pixels: &gray, width, channels: 1, first_row };
            self.fill(rows, placement, outputs, &mut scratch, out);
            self.gray = gray;
        } else {
            let rows = Rows { pixels, width, channels: format.channels(), first_row: origin };
            self.fill(rows, placement, outputs, &mut scratch, out);
        }
        self.scratch = scratch;
    }

    fn plan(&mut self, width: usize, height: usize, frame: &FrameOptions) -> Placement {
        if let Some((planned_width, planned_height, planned_frame, placement)) = self.planned
            && (planned_width, planned_height, planned_frame) == (width, height, *frame)
        {
            return placement;
        }
        let placement = place((width, height), frame, &self.fit, (self.width, self.height));
        let orientation = placement.orientation;
        let (flip_x, flip_y) = if orientation.transpose {
            (orientation.flip_y, orientation.flip_x)
        } else {
            (orientation.flip_x, orientation.flip_y)
        };
        let resize = self.resize.of_axes(&placement.source_x, &placement.source_y);
        self.x.plan(resize, placement.source_x, flip_x);
        self.y.plan(resize, placement.source_y, flip_y);
        self.planned = Some((width, height, *frame, placement));
        placement
    }

    /// A colour in the tensor's channels.
    fn colour(&self, [r, g, b]: [u8; 3]) -> [u8; 3] {
        match self.channels {
            Channels::Rgb => [r, g, b],
            Channels::Bgr => [b, g, r],
            Channels::Gray => [luma(&[r, g, b]); 3],
        }
    }

    /// `out` is `[height, width, depth]` elements.
    fn fill(
        &self,
        rows: Rows<'_>,
        placement: Placement,
        outputs: (usize, usize),
        scratch: &mut Scratch,
        out: &mut [u8],
    ) {
        let pixel_bytes = self.depth * self.table.element_bytes();
        if outputs.0 == 0 && placement.leaves_border(self.width, self.height) {
            let mut pad = [0; 3 * 4];
            let pad = &mut pad[..pixel_bytes];
            self.table.convert(&self.colour(self.pad_color)[..self.depth], pad);
            for pixel in out.chunks_exact_mut(pixel_bytes) {
                pixel.copy_from_slice(pad);
            }
        }
        let [left, top, ..] = placement.target;
        // A line is a row of the tensor, or a column where the picture lies on its side.
        let transpose = placement.orientation.transpose;
        let axes = (&self.x, &self.y);
        let mut colours = std::mem::take(&mut scratch.colours);
        resample(rows, axes, placement.order, outputs, scratch, &mut |line, pixels| {
            let colours = elements::colours(self.channels, rows.channels, pixels, &mut colours);
            if !transpose {
                let first = ((top + line) * self.width + left) * pixel_bytes;
                let bytes = colours.len() * self.table.element_bytes();
                return self.table.convert(colours, &mut out[first..first + bytes]);
            }
            let first = top * self.width + left + line;
            let mut targets = out[first * pixel_bytes..].chunks_mut(self.width * pixel_bytes);
            let mut column = [0; elements::BLOCK * 4];
            for colours in colours.chunks(elements::BLOCK) {
                let column = &mut column[..colours.len() * self.table.element_bytes()];
                self.table.convert(colours, column);
                for (pixel, target) in column.chunks_exact(pixel_bytes).zip(&mut targets) {
                    target[..pixel_bytes].copy_from_slice(pixel);
                }
            }
        });
        scratch.colours = colours;
    }
}

fn luma<const C: usize>(pixel: &[u8; C]) -> u8 {
    let [r, g, b] = [0, 1, 2].map(|c| u32::from(pixel[c]));
    // The coefficients add up to 2^16, so the result is at most 255.
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// Height, width and channels of a picture's tensor.
fn picture_shape(tensor: &Tensor) -> Result<(usize, usize, usize)> {
    let refuse = |why: &str| {
        let Tensor { name, shape, .. } = tensor;
        Error::unsupported_type(format!(
            "input tensor {name:?} has shape {shape:?}{why}; a classifier's input is \
             [1, height, width, 1] or [1, height, width, 3]"
        ))
        .with("tensor", name.as_str())
    };
    // A side that is left open has its size in the file all the same; 1 only holds its place.
    let open =
        |side: usize| tensor.dynamic.get(side) == Some(&true) && tensor.shape.get(side) == Some(&1);
    if open(1) || open(2) {
        return Err(refuse(" with its height or width left open: give its shape as inputShapes"));
    }
    match tensor.shape[..] {
        [1, height, width, depth @ (1 | 3)] if height > 0 && width > 0 => {
            Ok((height, width, depth))
        }
        [_, 1 | 3, _, _] => Err(refuse(", which looks like channels before height and width")),
        // Without a dimension for channels, or for the number of pictures, or for both.
        [height, width, depth @ (1 | 3)] if height.min(width) > 3 => Ok((height, width, depth)),
        [1, height, width] | [height, width] if height.min(width) > 3 => Ok((height, width, 1)),
        [1, count] | [count] => Err(refuse(&row(tensor, count))),
        _ => Err(refuse("")),
    }
}

/// What to say about a row of numbers, which may be a picture.
fn row(tensor: &Tensor, count: usize) -> String {
    let side = |channels: usize| {
        let side = (count / channels).isqrt();
        (side > 1 && side * side * channels == count).then_some(side)
    };
    let example = match (side(1), side(3)) {
        (Some(side), _) => format!("[1, {side}, {side}]"),
        (None, Some(side)) => format!("[1, {side}, {side}, 3]"),
        (None, None) => "[1, height, width]".to_owned(),
    };
    let name = &tensor.name;
    format!(
        ", a row of {count} numbers: if they are the pixels of a picture, declare its shape, such \
         as inputShapes: {{ {name:?}: {example} }}"
    )
}
