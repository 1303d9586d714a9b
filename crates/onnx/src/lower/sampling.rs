//! Which elements of a dimension a Resize takes, and with which weights.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Operator, Result};

use crate::site::Site;

/// How weights fall off around a place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Nearest(Rounding),
    Linear,
    Cubic { a: f64 },
}

/// Which neighbour is the nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// Where an output element lies among the input's.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Places {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// `tf_half_pixel_for_nn`: without the half that goes off again.
    HalfPixelForNearest,
    CropAndResize,
}

/// The attributes of a Resize.
#[derive(Clone, Debug)]
pub(super) struct Coordinates {
    mode: Mode,
    places: Places,
    antialias: bool,
    exclude_outside: bool,
    /// Stands for what lies outside of a region.
    pub extrapolation: f32,
}

/// One of the elements that each output element is the sum of.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap {
    pub indices: Vec<usize>,
    pub weights: Vec<f32>,
}

/// The elements and weights of each output element of one dimension.
#[derive(Clone, Debug)]
pub(super) struct Sampling {
    /// Sorted, each index once; at least one.
    elements: Vec<Vec<(usize, f64)>>,
    /// Output elements that no input element is near to.
    pub outside: Vec<bool>,
}

/// Weights of one output element: more come from a file made to exhaust memory.
const MAX_TAPS: usize = 256;

impl Sampling {
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    pub fn is_identity(&self, size: usize) -> bool {
        self.len() == size
            && self.elements.iter().enumerate().all(|(at, taps)| taps[..] == [(at, 1.0)])
            && !self.outside.contains(&true)
    }

    /// Whether each output element is an input element.
    pub fn picks(&self) -> bool {
        self.elements.iter().all(|taps| matches!(taps[..], [(_, 1.0)]))
            && !self.outside.contains(&true)
    }

    /// The terms of the sums.
    pub fn taps(&self) -> impl Iterator<Item = Tap> + '_ {
        let most = self.elements.iter().map(Vec::len).max().unwrap_or(0);
        (0..most).map(|at| {
            let term = |taps: &Vec<(usize, f64)>| match (taps.get(at), taps.first()) {
                (Some(&(index, weight)), _) => (index, weight as f32),
                (None, Some(&(index, _))) => (index, 0.0),
                (None, None) => (0, 0.0),
            };
            let (indices, weights) = self.elements.iter().map(term).unzip();
            Tap { indices, weights }
        })
    }
}

impl Coordinates {
    /// Reads the attributes of a Resize or an Upsample.
    pub fn read(site: &Site<'_>) -> Result<Self> {
        // Before opset 11 there were neither coordinates nor ways to round.
        let is_old = site.node.operator == "Upsample" || site.opset < 11;
        let text = |name, default, old| if is_old { Ok(old) } else { site.text(name, default) };
        let transformation = "coordinate_transformation_mode";
        let places = match text(transformation, "half_pixel", "asymmetric")? {
            "half_pixel" => Places::HalfPixel,
            "half_pixel_symmetric" => Places::HalfPixelSymmetric,
            "pytorch_half_pixel" => Places::PytorchHalfPixel,
            "align_corners" => Places::AlignCorners,
            "asymmetric" => Places::Asymmetric,
            "tf_half_pixel_for_nn" => Places::HalfPixelForNearest,
            "tf_crop_and_resize" => Places::CropAndResize,
            other => return Err(site.unsupported_attribute(transformation, other)),
        };
        let mode = match site.text("mode", "nearest")? {
            "nearest" => {
                Mode::Nearest(match text("nearest_mode", "round_prefer_floor", "floor")? {
                    "round_prefer_floor" => Rounding::PreferFloor,
                    "round_prefer_ceil" => Rounding::PreferCeil,
                    "floor" => Rounding::Floor,
                    "ceil" => Rounding::Ceil,
                    other => return Err(site.unsupported_attribute("nearest_mode", other)),
                })
            }
            "linear" | "bilinear" => Mode::Linear,
            "cubic" => Mode::Cubic { a: site.float("cubic_coeff_a", -0.75)?.into() },
            other => return Err(site.unsupported_attribute("mode", other)),
        };
        Ok(Self {
            mode,
            places,
            antialias: site.flag("antialias", false)?,
            exclude_outside: site.flag("exclude_outside", false)?,
            extrapolation: site.float("extrapolation_value", 0.0)?,
        })
    }

    /// The model's operator that takes the same pixels of `[n, c, h, w]` with the same weights.
    pub fn operator(&self, from: &[usize], to: &[usize], scales: &[f32]) -> Option<Operator> {
        let (&[n, c, ..], &[out_n, out_c, ..], 4) = (from, to, from.len()) else { return None };
        if (n, c) != (out_n, out_c) {
            return None;
        }
        let sides = || from.iter().zip(to).zip(scales).skip(2);
        // The model goes by the sizes, ONNX by the scale.
        let is_whole = sides().all(|((&from, &to), &scale)| is_ratio(from, to, scale));
        let shrinks = sides().any(|((from, to), _)| to < from);
        if !is_whole || from.contains(&0) || (self.antialias && shrinks) {
            return None;
        }
        let (align_corners, half_pixel_centers) = match self.places {
            Places::HalfPixel | Places::HalfPixelSymmetric => (false, true),
            // With one pixel to make, PyTorch takes the first one.
            Places::PytorchHalfPixel if !to.get(2..)?.contains(&1) => (false, true),
            Places::AlignCorners => (true, false),
            Places::Asymmetric => (false, false),
            Places::PytorchHalfPixel | Places::HalfPixelForNearest | Places::CropAndResize => {
                return None;
            }
        };
        match self.mode {
            Mode::Linear => Some(Operator::ResizeBilinear { align_corners, half_pixel_centers }),
            Mode::Nearest(_) => {
                let kinds = [(false, false), (false, true), (true, false)];
                let agrees = |&(align_corners, half_pixel_centers): &(bool, bool)| {
                    sides().all(|((&from, &to), &scale)| {
                        (0..to).all(|at| {
                            let place = self.place(at, from, to, scale, [0.0, 1.0]);
                            let taken = nearest(at, from, to, align_corners, half_pixel_centers);
                            self.taps(place, from, scale)[..] == [(taken, 1.0)]
                        })
                    })
                };
                let found = kinds.iter().find(|kind| agrees(kind));
                found.map(|&(align_corners, half_pixel_centers)| Operator::ResizeNearestNeighbor {
                    align_corners,
                    half_pixel_centers,
                })
            }
            Mode::Cubic { .. } => None,
        }
    }

    /// How a dimension of `size` elements becomes one of `out`; `None` where it stays as it is.
    pub fn sampling(
        &self,
        site: &Site<'_>,
        size: usize,
        out: usize,
        scale: f32,
        region: [f32; 2],
    ) -> Result<Option<Sampling>> {
        if size == out && scale == 1.0 && self.places != Places::CropAndResize {
            return Ok(None);
        }
        if size == 0 || !(scale.is_finite() && scale > 0.0) {
            return Err(site.unsupported(format!("resizing {size} elements by {scale}")));
        }
        if self.places == Places::AlignCorners && !is_ratio(size, out, scale) {
            // ONNX Runtime goes by the size, ONNX's own implementation by the scale.
            return Err(site.unsupported(format!(
                "aligned corners of {size} elements by a scale of {scale}, which is not the ratio \
                 of whole sizes: what it means is not agreed on; give sizes instead"
            )));
        }
        let last = size.saturating_sub(1) as f32;
        let mut sampling =
            Sampling { elements: Vec::with_capacity(out), outside: Vec::with_capacity(out) };
        for at in 0..out {
            let place = self.place(at, size, out, scale, region);
            let is_outside = self.places == Places::CropAndResize && !(0.0..=last).contains(&place);
            let taps = if is_outside { vec![(0, 1.0)] } else { self.taps(place, size, scale) };
            if taps.len() > MAX_TAPS {
                return Err(site.unsupported(format!(
                    "a scale of {scale}: each result is the sum of {} elements, {MAX_TAPS} are \
                     the most",
                    taps.len()
                )));
            }
            sampling.elements.push(taps);
            sampling.outside.push(is_outside);
        }
        Ok(Some(sampling))
    }

    /// Where output element `at` lies among the input's, in the precision of ONNX Runtime: ties
    /// depend on it.
    fn place(&self, at: usize, size: usize, out: usize, scale: f32, region: [f32; 2]) -> f32 {
        let (at, size, out) = (at as f32, size as f32, out as f32);
        let half = |at: f32| (at + 0.5) / scale - 0.5;
        match self.places {
            Places::HalfPixel => half(at),
            Places::PytorchHalfPixel => {
                if out > 1.0 {
                    half(at)
                } else {
                    0.0
                }
            }
            Places::HalfPixelSymmetric => {
                let adjustment = out / (scale * size);
                let offset = size / 2.0 * (1.0 - adjustment);
                offset + half(at)
            }
            Places::AlignCorners => {
                if out > 1.0 {
                    at * (size - 1.0) / (out - 1.0)
                } else {
                    0.0
                }
            }
            Places::Asymmetric => at / scale,
            Places::HalfPixelForNearest => (at + 0.5) / scale,
            Places::CropAndResize => {
                let [start, end] = region;
                if out > 1.0 {
                    start * (size - 1.0) + at * (end - start) * (size - 1.0) / (out - 1.0)
                } else {
                    0.5 * (start + end) * (size - 1.0)
                }
            }
        }
    }

    /// The elements near a place, each once, with weights whose sum is 1.
    fn taps(&self, place: f32, size: usize, scale: f32) -> Vec<(usize, f64)> {
        let last = i64::try_from(size).unwrap_or(i64::MAX).saturating_sub(1);
        let clamp = |index: i64| usize::try_from(index.clamp(0, last)).unwrap_or(0);
        let reach = match self.mode {
            Mode::Nearest(rounding) => {
                let nearest = match rounding {
                    Rounding::PreferFloor if place == place.floor() + 0.5 => place.floor(),
                    Rounding::PreferFloor | Rounding::PreferCeil => (place + 0.5).floor(),
                    Rounding::Floor => place.floor(),
                    Rounding::Ceil => place.ceil(),
                };
                // Saturates far beyond any size.
                return vec![(clamp(nearest as i64), 1.0)];
            }
            Mode::Linear => 1.0,
            Mode::Cubic { .. } => 2.0,
        };
        // A window that widens where elements become fewer.
        let narrow = if self.antialias { f64::from(scale).min(1.0) } else { 1.0 };
        let place = f64::from(place);
        let reach = reach / narrow;
        let first = (place - reach).floor() as i64;
        let until = (place + reach).ceil() as i64;
        let mut taps: Vec<(usize, f64)> = Vec::new();
        let mut total = 0.0;
        for index in first..=until {
            let weight = self.weight((index as f64 - place) * narrow);
            let is_inside = (0..=last).contains(&index);
            if weight == 0.0 || (self.exclude_outside && !is_inside) {
                continue;
            }
            total += weight;
            let index = clamp(index);
            match taps.last_mut() {
                Some((known, sum)) if *known == index => *sum += weight,
                _ => taps.push((index, weight)),
            }
        }
        let is_whole = taps.len() == 1;
        for (_, weight) in &mut taps {
            *weight = if is_whole { 1.0 } else { *weight / total };
        }
        if taps.is_empty() {
            taps.push((clamp(place.round() as i64), 1.0));
        }
        taps
    }

    /// The weight of an element at a distance.
    fn weight(&self, distance: f64) -> f64 {
        let x = distance.abs();
        match self.mode {
            Mode::Nearest(_) => 0.0,
            Mode::Linear => (1.0 - x).max(0.0),
            // Keys, "Cubic convolution interpolation for digital image processing", 1981.
            Mode::Cubic { a } if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            Mode::Cubic { a } if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
            Mode::Cubic { .. } => 0.0,
        }
    }
}

/// Whether a scale is the ratio of two sizes but for rounding.
fn is_ratio(from: usize, to: usize, scale: f32) -> bool {
    (f64::from(scale) * from as f64 - to as f64).abs() <= to as f64 * 1e-6
}

/// The element that RESIZE_NEAREST_NEIGHBOR takes.
fn nearest(at: usize, from: usize, to: usize, align_corners: bool, half_pixel: bool) -> usize {
    let scale = match align_corners && to > 1 {
        true => from.saturating_sub(1) as f32 / to.saturating_sub(1) as f32,
        false => from as f32 / to as f32,
    };
    let offset = if half_pixel { 0.5 } else { 0.0 };
    let place = (at as f32 + offset) * scale;
    let place = if align_corners { place.round() } else { place.floor() };
    // Not negative, and within the size.
    (place as usize).min(from.saturating_sub(1))
}
