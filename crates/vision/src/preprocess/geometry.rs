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
    /// `crop_fraction` below 1 as networks are evaluated: the picture is resized to whole pixels,
    /// so that it just covers `side / crop_fraction`, and cut at whole pixels.
    CenterCrop,
    /// The whole picture at its own aspect ratio, centred, with black (pixel byte 0) around it.
    Contain,
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
    (fit, crop_fraction): (Fit, f32),
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
    let (mut box_width, mut box_height) = (x1 - x0, y1 - y0);
    let fraction = f64::from(crop_fraction);
    let is_evaluation = fit == Fit::CenterCrop && fraction < 1.0;
    if fit == Fit::CenterCrop && !is_evaluation {
        let scale = (box_width / width as f64).min(box_height / height as f64);
        box_width = scale * width as f64;
        box_height = scale * height as f64;
    }
    if !is_evaluation {
        box_width *= fraction;
        box_height *= fraction;
    }

    let (target_width, target_height) = if fit == Fit::Contain {
        let scale = (width as f64 / box_width).min(height as f64 / box_height);
        let side = |length: f64, limit: usize| ((length * scale).round() as usize).clamp(1, limit);
        (side(box_width, width), side(box_height, height))
    } else {
        (width, height)
    };
    let target =
        [(width - target_width) / 2, (height - target_height) / 2, target_width, target_height];

    let mut x = centred(x0, x1, box_width, upright_width, target_width);
    let mut y = centred(y0, y1, box_height, upright_height, target_height);
    if is_evaluation {
        let cover = |side: usize| (side as f64 / fraction).round();
        let scale = (box_width / cover(width)).min(box_height / cover(height));
        for (range, length) in [(&mut x, box_width), (&mut y, box_height)] {
            range.resized = ((length / scale).round() as usize).max(range.outputs);
            range.skip = (range.resized - range.outputs) / 2;
        }
    }
    let (source_x, source_y) = if orientation.transpose { (y, x) } else { (x, y) };

    // Upright rows first, except that Pillow shrinks very tall pictures along columns first.
    let tall = upright_height > upright_width.saturating_mul(100) && y.resized < upright_height;
    let order = if orientation.transpose != tall { Order::YFirst } else { Order::XFirst };
    Placement { orientation, source_x, source_y, order, target }
}

/// `length` source pixels in the middle of `start..end`.
fn centred(start: f64, end: f64, length: f64, size: usize, outputs: usize) -> Range {
    let from = start + (end - start - length) / 2.0;
    let limit = size as f32;
    Range {
        size,
        from: (from as f32).clamp(0.0, limit),
        to: ((from + length) as f32).clamp(0.0, limit),
        resized: outputs,
        skip: 0,
        outputs,
    }
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

    fn box_of(placement: &Placement) -> [f32; 4] {
        let Placement { source_x: x, source_y: y, .. } = placement;
        [x.from, y.from, x.to, y.to]
    }

    #[test]
    fn stretch_takes_everything() {
        let placed = place((640, 480), &WHOLE, (Fit::Stretch, 1.0), (224, 224));
        assert_eq!(box_of(&placed), [0.0, 0.0, 640.0, 480.0]);
        assert!(!placed.leaves_border(224, 224));
    }

    #[test]
    fn centre_crop_takes_the_middle() {
        let placed = place((640, 480), &WHOLE, (Fit::CenterCrop, 1.0), (224, 224));
        assert_eq!(box_of(&placed), [80.0, 0.0, 560.0, 480.0]);
        let placed = place((640, 480), &WHOLE, (Fit::CenterCrop, 0.875), (224, 224));
        // Resized to 341 x 256, cut out from column 58 and row 16.
        assert_eq!(box_of(&placed), [0.0, 0.0, 640.0, 480.0]);
        let (x, y) = (placed.source_x, placed.source_y);
        assert_eq!([x.resized, x.skip, x.outputs], [341, 58, 224]);
        assert_eq!([y.resized, y.skip, y.outputs], [256, 16, 224]);
    }

    #[test]
    fn contain_leaves_a_border() {
        let placed = place((640, 480), &WHOLE, (Fit::Contain, 1.0), (224, 224));
        assert_eq!(box_of(&placed), [0.0, 0.0, 640.0, 480.0]);
        assert_eq!(placed.target, [0, 28, 224, 168]);
        assert!(placed.leaves_border(224, 224));
        let sliver = place((100_000, 1), &WHOLE, (Fit::Contain, 1.0), (224, 224));
        assert_eq!(sliver.target, [0, 111, 224, 1]);
    }

    #[test]
    fn the_region_is_in_the_picture_as_given() {
        let frame = FrameOptions {
            region: Some(Region { left: 0.0, top: 0.5, right: 0.25, bottom: 1.0 }),
            rotation_degrees: 90,
            mirror: false,
        };
        let placed = place((640, 480), &frame, (Fit::Stretch, 1.0), (10, 20));
        // Clockwise: the upright left is the given bottom, so rows 240..480 are upright 0..240.
        assert_eq!((placed.source_y.from, placed.source_y.to), (0.0, 240.0));
        assert_eq!((placed.source_x.from, placed.source_x.to), (0.0, 160.0));
        assert_eq!((placed.source_y.outputs, placed.source_x.outputs), (10, 20));
        assert!(placed.orientation.flip_x);
    }
}
