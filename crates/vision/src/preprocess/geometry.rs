//! From a picture's size, a frame and a fit to the two axes that are resampled.

use super::resample::{Order, Range};
use crate::frame::{FrameOptions, Orientation, Region};

/// How a picture of one aspect ratio becomes a tensor of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fit {
    /// Both sides scaled by themselves; the whole picture is seen. MediaPipe's way.
    #[default]
    Stretch,
    /// The largest centred part of the tensor's aspect ratio; the rest is cut off. With a
    /// `crop_fraction` or a `short_side` as torchvision and timm evaluate: the picture is resized to
    /// whole pixels, so that it just covers these, and cut at whole pixels.
    CenterCrop,
    /// The whole picture at its own aspect ratio, centred, with a colour around it.
    Contain,
}

impl Fit {
    /// The names in JavaScript; of two, the first is what it is called.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("stretch", Self::Stretch),
        ("centerCrop", Self::CenterCrop),
        ("cover", Self::CenterCrop),
        ("contain", Self::Contain),
        ("letterbox", Self::Contain),
    ];

    /// The name in JavaScript.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::CenterCrop => "centerCrop",
            Self::Contain => "contain",
        }
    }
}

/// A fit with what belongs to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Fitting {
    pub fit: Fit,
    pub crop_fraction: Option<f32>,
    /// Excludes `crop_fraction`.
    pub short_side: Option<usize>,
    /// Whether [`Fit::CenterCrop`] cuts at whole pixels before it resizes, as Keras'
    /// `crop_to_aspect_ratio` does: pixels outside are not seen then.
    pub crops_first: bool,
}

/// Where source pixels go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    pub orientation: Orientation,
    /// Along source rows and along source columns, counted from the end where the upright axis is
    /// flipped.
    pub source_x: Range,
    pub source_y: Range,
    pub order: Order,
    /// The part of the tensor that is written: left, top, width, height.
    pub target: [usize; 4],
}

impl Placement {
    /// Whether the target leaves pixels of a `width` x `height` tensor unwritten.
    pub fn leaves_border(&self, width: usize, height: usize) -> bool {
        self.target[2] < width || self.target[3] < height
    }
}

/// The source range of each upright axis for a tensor of `width` x `height` pixels.
///
/// The box is found in `f64` and kept in `f32`, as Pillow's `resize(box=...)` does: pixels beyond
/// the box but inside the picture still weigh in at its edges, as when cropping comes after
/// resizing.
pub(crate) fn place(
    (picture_width, picture_height): (usize, usize),
    frame: &FrameOptions,
    fitting: &Fitting,
    (width, height): (usize, usize),
) -> Placement {
    let orientation = frame.orientation();
    let region = upright_region(frame.region, orientation);
    let (upright_width, upright_height) = if orientation.transpose {
        (picture_height, picture_width)
    } else {
        (picture_width, picture_height)
    };

    let (x0, x1) = (region.left * upright_width as f64, region.right * upright_width as f64);
    let (y0, y1) = (region.top * upright_height as f64, region.bottom * upright_height as f64);
    let whole = [x1 - x0, y1 - y0];
    let sides = [width, height];
    let Fitting { fit, crop_fraction, short_side, crops_first } = *fitting;
    let is_evaluation = fit == Fit::CenterCrop && (crop_fraction.is_some() || short_side.is_some());
    let crops_first = crops_first && fit == Fit::CenterCrop && !is_evaluation;
    let [box_width, box_height] = if is_evaluation {
        whole
    } else {
        let fraction = f64::from(crop_fraction.unwrap_or(1.0));
        let cut = if fit == Fit::CenterCrop { covered(whole, sides) } else { whole };
        cut.map(|length| length * fraction)
    };

    let (target_width, target_height) = if fit == Fit::Contain {
        let scale = (width as f64 / box_width).min(height as f64 / box_height);
        let side = |length: f64, limit: usize| ((length * scale).round() as usize).clamp(1, limit);
        (side(box_width, width), side(box_height, height))
    } else {
        (width, height)
    };
    let target =
        [(width - target_width) / 2, (height - target_height) / 2, target_width, target_height];

    let mut x = centred(x0, x1, box_width, upright_width, target_width, crops_first);
    let mut y = centred(y0, y1, box_height, upright_height, target_height, crops_first);
    if is_evaluation {
        let resized = covering(whole, sides, crop_fraction, short_side);
        for (range, resized) in [&mut x, &mut y].into_iter().zip(resized) {
            range.resized = resized.max(range.outputs);
            range.skip = half_to_even(range.resized - range.outputs);
        }
    }
    let (source_x, source_y) = if orientation.transpose { (y, x) } else { (x, y) };

    // Pillow 13 goes along columns first where the picture loses more than twice as many rows as
    // columns: found by trying, equal in 2,635 random cases with and without a box.
    let lost_columns = upright_width.saturating_sub(x.resized);
    let tall = upright_height.saturating_sub(y.resized) > 2 * lost_columns;
    let order = if orientation.transpose != tall { Order::YFirst } else { Order::XFirst };
    Placement { orientation, source_x, source_y, order, target }
}

/// The largest part of a box that has the tensor's aspect ratio.
fn covered(lengths: [f64; 2], sides: [usize; 2]) -> [f64; 2] {
    let scale = (lengths[0] / sides[0] as f64).min(lengths[1] / sides[1] as f64);
    sides.map(|side| scale * side as f64)
}

/// The whole pixels that a box is resized to before the tensor is cut out of its middle. The side
/// that is relatively shorter gets its length, the other what the aspect ratio gives, rounded down:
/// torchvision's `Resize`, and timm's rounding of `side / crop_pct`.
fn covering(
    lengths: [f64; 2],
    sides: [usize; 2],
    crop_fraction: Option<f32>,
    short_side: Option<usize>,
) -> [usize; 2] {
    let fraction = f64::from(crop_fraction.unwrap_or(1.0));
    // The fraction is the nearest f32: 320 / 0.8 is 400.
    let cover = |side: usize| short_side.unwrap_or((side as f64 / fraction + 1e-3) as usize);
    let covers = sides.map(cover);
    let short = usize::from(lengths[1] / covers[1] as f64 * (covers[0] as f64) < lengths[0]);
    let mut resized = covers;
    resized[1 - short] = (covers[short] as f64 * lengths[1 - short] / lengths[short]) as usize;
    resized
}

/// Half of it as Python rounds, which torchvision's `CenterCrop` does: halves to the even number.
fn half_to_even(n: usize) -> usize {
    n / 2 + (n % 2) * (n / 2 % 2)
}

/// `length` source pixels in the middle of `start..end`, at whole pixels with `crops_first`.
fn centred(
    start: f64,
    end: f64,
    length: f64,
    size: usize,
    outputs: usize,
    crops_first: bool,
) -> Range {
    let limit = size as f32;
    let (from, length) = if crops_first {
        // Keras rounds down both.
        let length = (length + 1e-9).floor().max(1.0);
        (start.floor() + ((end - start - length) / 2.0).floor().max(0.0), length)
    } else {
        (start + (end - start - length) / 2.0, length)
    };
    let (from, to) = ((from as f32).clamp(0.0, limit), ((from + length) as f32).clamp(0.0, limit));
    let seen = if crops_first {
        (from as usize, (to as usize).clamp(from as usize + 1, size))
    } else {
        (0, size)
    };
    Range { size, from, to, resized: outputs, skip: 0, outputs, seen }
}

/// The region in fractions of the upright picture.
fn upright_region(region: Option<Region>, orientation: Orientation) -> Region {
    let Some(mut region) = region else {
        return Region { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };
    };
    if orientation.transpose {
        let Region { left, top, right, bottom } = region;
        region = Region { left: top, top: left, right: bottom, bottom: right };
    }
    if orientation.flip_x {
        (region.left, region.right) = (1.0 - region.right, 1.0 - region.left);
    }
    if orientation.flip_y {
        (region.top, region.bottom) = (1.0 - region.bottom, 1.0 - region.top);
    }
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: FrameOptions = FrameOptions { region: None, rotation_degrees: 0, mirror: false };

    const CROP: Fitting =
        Fitting { fit: Fit::CenterCrop, crop_fraction: None, short_side: None, crops_first: false };

    fn box_of(placement: &Placement) -> [f32; 4] {
        let Placement { source_x: x, source_y: y, .. } = placement;
        [x.from, y.from, x.to, y.to]
    }

    #[test]
    fn stretch_takes_everything() {
        let placed = place((640, 480), &WHOLE, &Fitting::default(), (224, 224));
        assert_eq!(box_of(&placed), [0.0, 0.0, 640.0, 480.0]);
        assert!(!placed.leaves_border(224, 224));
    }

    #[test]
    fn centre_crop_takes_the_middle() {
        let placed = place((640, 480), &WHOLE, &CROP, (224, 224));
        assert_eq!(box_of(&placed), [80.0, 0.0, 560.0, 480.0]);
        let evaluated = Fitting { crop_fraction: Some(0.875), ..CROP };
        let placed = place((640, 480), &WHOLE, &evaluated, (224, 224));
        // Resized to 341 x 256, cut out from column 58 and row 16.
        assert_eq!(box_of(&placed), [0.0, 0.0, 640.0, 480.0]);
        let (x, y) = (placed.source_x, placed.source_y);
        assert_eq!([x.resized, x.skip, x.outputs], [341, 58, 224]);
        assert_eq!([y.resized, y.skip, y.outputs], [256, 16, 224]);
    }

    #[test]
    fn the_short_side_is_resized_as_training_programs_do() {
        let sizes = |picture, fitting: Fitting, side: usize| {
            let Placement { source_x: x, source_y: y, .. } =
                place(picture, &WHOLE, &fitting, (side, side));
            [x.resized, x.skip, y.resized, y.skip]
        };
        let short = |side| Fitting { short_side: Some(side), ..CROP };
        let fraction = |crop| Fitting { crop_fraction: Some(crop), ..CROP };
        // torchvision: int(256 * 500 / 375) is 341, and round(117 / 2) is 58.
        assert_eq!(sizes((500, 375), short(256), 224), [341, 58, 256, 16]);
        // round(59.5) is 60, round(58.5) is 58.
        assert_eq!(sizes((500, 373), short(256), 224), [343, 60, 256, 16]);
        assert_eq!(sizes((375, 500), short(232), 224), [232, 4, 309, 42]);
        // timm: floor(224 / 0.9) is 248, 320 / 0.8 is 400.
        assert_eq!(sizes((300, 300), fraction(0.9), 224), [248, 12, 248, 12]);
        assert_eq!(sizes((300, 300), fraction(0.8), 320), [400, 40, 400, 40]);
        // Ultralytics: as long as the input.
        assert_eq!(sizes((500, 375), fraction(1.0), 224), [298, 37, 224, 0]);
    }

    #[test]
    fn keras_crops_at_whole_pixels_first() {
        let keras = Fitting { crops_first: true, ..CROP };
        let placed = place((30, 17), &WHOLE, &keras, (8, 6));
        // int(17 * 8 / 6) is 22, and starts at int(8 / 2).
        assert_eq!(box_of(&placed), [4.0, 0.0, 26.0, 17.0]);
        assert_eq!((placed.source_x.seen, placed.source_y.seen), ((4, 26), (0, 17)));
    }

    #[test]
    fn contain_leaves_a_border() {
        let contain = Fitting { fit: Fit::Contain, ..Fitting::default() };
        let placed = place((640, 480), &WHOLE, &contain, (224, 224));
        assert_eq!(box_of(&placed), [0.0, 0.0, 640.0, 480.0]);
        assert_eq!(placed.target, [0, 28, 224, 168]);
        assert!(placed.leaves_border(224, 224));
        let sliver = place((100_000, 1), &WHOLE, &contain, (224, 224));
        assert_eq!(sliver.target, [0, 111, 224, 1]);
    }

    #[test]
    fn the_region_is_in_the_picture_as_given() {
        let frame = FrameOptions {
            region: Some(Region { left: 0.0, top: 0.5, right: 0.25, bottom: 1.0 }),
            rotation_degrees: 90,
            mirror: false,
        };
        let placed = place((640, 480), &frame, &Fitting::default(), (10, 20));
        // Clockwise: the upright left is the given bottom, so rows 240..480 are upright 0..240.
        assert_eq!((placed.source_y.from, placed.source_y.to), (0.0, 240.0));
        assert_eq!((placed.source_x.from, placed.source_x.to), (0.0, 160.0));
        assert_eq!((placed.source_y.outputs, placed.source_x.outputs), (10, 20));
        assert!(placed.orientation.flip_x);
    }
}
