//! What part of a picture is meant, and which way up it is.

use achado_model::{Error, Result};

/// A rectangle in fractions of the picture's width and height, from the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// 0..1, below `right`.
    pub left: f64,
    /// 0..1, below `bottom`.
    pub top: f64,
    /// 0..1.
    pub right: f64,
    /// 0..1.
    pub bottom: f64,
}

/// Options for one picture.
///
/// The order is MediaPipe's: the region is cut out in the coordinates of the picture *as given*,
/// the cutting is turned clockwise by `rotation_degrees`, and then mirrored left to right. Fit,
/// crop and resize come after, so the result is byte for byte that of a picture turned and
/// mirrored beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameOptions {
    /// `None` for the whole picture. (`regionOfInterest` in JavaScript.)
    pub region: Option<Region>,
    /// Clockwise; a multiple of 90, of either sign. (`rotationDegrees`.)
    pub rotation_degrees: i32,
    /// Swap left and right, as for a camera that faces the user. (`mirror`.)
    pub mirror: bool,
}

/// How the upright picture lies in the given one. `transpose` swaps the axes first; then the
/// upright axes run backwards where they are flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation {
    /// Upright rows run along source columns.
    pub transpose: bool,
    /// The upright left is the far end of its source axis.
    pub flip_x: bool,
    /// The upright top is the far end of its source axis.
    pub flip_y: bool,
}

impl FrameOptions {
    /// Whether the region lies in the picture and the rotation is a multiple of 90.
    ///
    /// # Errors
    /// `INVALID_OPTION`, by the option's name in JavaScript.
    pub fn validate(&self) -> Result<()> {
        if let Some(Region { left, top, right, bottom }) = self.region {
            for (name, value) in
                [("left", left), ("top", top), ("right", right), ("bottom", bottom)]
            {
                // NaN is in no range.
                if !(0.0..=1.0).contains(&value) {
                    return Err(region(format!(
                        "{name} must be a fraction from 0 to 1, is {value}"
                    )));
                }
            }
            if left >= right {
                return Err(region(format!(
                    "left must be below right, is {left}; right is {right}"
                )));
            }
            if top >= bottom {
                return Err(region(format!(
                    "top must be below bottom, is {top}; bottom is {bottom}"
                )));
            }
        }
        if self.rotation_degrees % 90 != 0 {
            let degrees = self.rotation_degrees;
            return Err(Error::invalid_option(format!(
                "rotationDegrees: must be a multiple of 90 (clockwise), is {degrees}"
            ))
            .with("option", "rotationDegrees")
            .with("found", f64::from(degrees)));
        }
        Ok(())
    }

    pub(crate) fn orientation(&self) -> Orientation {
        // Turned by 90 clockwise, the upright left is the given bottom; by 270, the given top.
        let (transpose, flip_x, flip_y) = match self.rotation_degrees.rem_euclid(360) {
            90 => (true, true, false),
            180 => (false, true, true),
            270 => (true, false, true),
            _ => (false, false, false),
        };
        Orientation { transpose, flip_x: flip_x != self.mirror, flip_y }
    }
}

fn region(message: String) -> Error {
    Error::invalid_option(format!("regionOfInterest: {message}")).with("option", "regionOfInterest")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orientation(rotation_degrees: i32, mirror: bool) -> (bool, bool, bool) {
        let frame = FrameOptions { region: None, rotation_degrees, mirror };
        frame.validate().unwrap();
        let Orientation { transpose, flip_x, flip_y } = frame.orientation();
        (transpose, flip_x, flip_y)
    }

    #[test]
    fn rotations_of_either_sign() {
        assert_eq!(orientation(0, false), (false, false, false));
        assert_eq!(orientation(90, false), (true, true, false));
        assert_eq!(orientation(-270, false), orientation(90, false));
        assert_eq!(orientation(-90, false), orientation(270, false));
        assert_eq!(orientation(540, false), orientation(180, false));
        assert_eq!(orientation(i32::MIN / 360 * 360, true), (false, true, false));
        assert_eq!(orientation(90, true), (true, false, false));
    }

    #[test]
    fn bad_frames_name_the_option() {
        let bad = |region: Option<Region>, rotation_degrees| {
            let frame = FrameOptions { region, rotation_degrees, mirror: false };
            frame.validate().unwrap_err().to_string()
        };
        let region = |left, top, right, bottom| Some(Region { left, top, right, bottom });
        assert_eq!(
            bad(None, 45),
            "INVALID_OPTION: rotationDegrees: must be a multiple of 90 (clockwise), is 45"
        );
        assert_eq!(
            bad(region(f64::NAN, 0.0, 1.0, 1.0), 0),
            "INVALID_OPTION: regionOfInterest: left must be a fraction from 0 to 1, is NaN"
        );
        assert_eq!(
            bad(region(0.0, 0.0, f64::INFINITY, 1.0), 0),
            "INVALID_OPTION: regionOfInterest: right must be a fraction from 0 to 1, is inf"
        );
        assert_eq!(
            bad(region(0.9, 0.0, 0.2, 1.0), 0),
            "INVALID_OPTION: regionOfInterest: left must be below right, is 0.9; right is 0.2"
        );
        assert_eq!(
            bad(region(0.0, 0.5, 1.0, 0.5), 0),
            "INVALID_OPTION: regionOfInterest: top must be below bottom, is 0.5; bottom is 0.5"
        );
        assert!(bad(region(0.0, -0.1, 1.0, 1.0), 0).contains("top"));
    }
}
