//! Resizing of pictures.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Operator, Result};

use super::window::NHWC;
use crate::import::Importer;
use crate::site::Site;
use crate::view::View;

/// Resize.
pub(super) fn resize<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    // Opset 10 has scales as the second operand, later ones `roi, scales, sizes`.
    let (scales_at, sizes_at) = if site.opset < 11 { (1, usize::MAX) } else { (2, 3) };
    let scales = importer.optional_constant(site, scales_at)?.map(|scales| scales.floats());
    let sizes = importer.optional_integers(site, sizes_at)?;
    to_size(importer, site, scales.filter(|scales| !scales.is_empty()), sizes)
}

/// Upsample.
pub(super) fn upsample<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let scales = match site.floats("scales")? {
        Some(scales) => Some(scales.to_vec()),
        None => importer.optional_constant(site, 1)?.map(|scales| scales.floats()),
    };
    to_size(importer, site, scales, None)
}

fn to_size<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    scales: Option<Vec<f32>>,
    sizes: Option<Vec<i64>>,
) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let [n, c, h, w] = dims[..] else {
        return Err(
            site.unsupported(format!("shape {dims:?}; pictures [n, c, h, w] are supported"))
        );
    };
    // Some writers name the sides only.
    let axes = match site.ints("axes")? {
        Some(axes) => site.axes(axes, 4)?,
        None => vec![0, 1, 2, 3],
    };
    let mut wanted = [n, c, h, w];
    match (&sizes, &scales) {
        (Some(sizes), _) if sizes.len() == axes.len() => {
            if site.text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
                let policy = site.text("keep_aspect_ratio_policy", "")?;
                return Err(site.unsupported_attribute("keep_aspect_ratio_policy", policy));
            }
            for (&axis, &size) in axes.iter().zip(sizes) {
                wanted[axis] = site.size(size, "a size")?;
            }
        }
        (None, Some(scales)) if scales.len() == axes.len() => {
            for (&axis, &scale) in axes.iter().zip(scales) {
                let size = (wanted[axis] as f64 * f64::from(scale)).floor();
                if !(1.0..=f64::from(i32::MAX)).contains(&size) {
                    return Err(site.malformed(format!("a scale is {scale}")));
                }
                // In range, as was just checked.
                wanted[axis] = size as usize;
            }
        }
        _ => return Err(site.malformed("neither scales nor sizes fit the operand")),
    }
    let [out_n, out_c, out_h, out_w] = wanted;
    if (out_n, out_c) != (n, c) || out_h == 0 || out_w == 0 {
        return Err(site.unsupported(format!("resizing {dims:?} to {wanted:?}")));
    }
    let operator = operator(site, [h, w], [out_h, out_w])?;
    let builder = &mut importer.builder;
    let picture = builder.in_order(&value.view, &NHWC)?;
    let name = site.output_name(0)?;
    let size = builder.add_integers(&format!("{name}/size"), &[out_h, out_w])?;
    let shape = [n, out_h, out_w, c];
    let tensor = builder.emit_like(operator, &[picture, size], name, &shape)?;
    importer.bind_view(site, View::new(tensor, &shape, &NHWC), value.dtype)
}

/// The model's operator that takes its pixels from the same places.
fn operator(site: &Site<'_>, from: [usize; 2], to: [usize; 2]) -> Result<Operator> {
    let is_upsample = site.node.operator == "Upsample" || site.opset < 11;
    let places = match is_upsample {
        true => "asymmetric",
        false => site.text("coordinate_transformation_mode", "half_pixel")?,
    };
    // With one pixel to make, PyTorch takes the first one.
    let (align_corners, half_pixel_centers) = match places {
        "half_pixel" => (false, true),
        "pytorch_half_pixel" if !to.contains(&1) => (false, true),
        "align_corners" => (true, false),
        "asymmetric" => (false, false),
        other => return Err(site.unsupported_attribute("coordinate_transformation_mode", other)),
    };
    match site.text("mode", "nearest")? {
        "linear" | "bilinear" => {
            let antialias = site.flag("antialias", false)?;
            if antialias && (to[0] < from[0] || to[1] < from[1]) {
                return Err(site.unsupported_attribute("antialias", 1));
            }
            Ok(Operator::ResizeBilinear { align_corners, half_pixel_centers })
        }
        "nearest" => {
            let rounding = match is_upsample {
                true => "floor",
                false => site.text("nearest_mode", "round_prefer_floor")?,
            };
            // The model takes floor(x * scale), floor((x + 0.5) * scale), or with aligned corners
            // round(x * scale). Where sides grow by whole factors, ONNX's half pixels rounded to
            // the nearest are the second of these: no centre falls between two pixels.
            let grows = (from.iter().zip(&to)).all(|(&from, &to)| to.is_multiple_of(from.max(1)));
            let fits = match (places, rounding) {
                ("asymmetric", "floor") => true,
                (
                    "half_pixel" | "pytorch_half_pixel",
                    "round_prefer_floor" | "round_prefer_ceil",
                ) => grows,
                ("align_corners", "round_prefer_ceil") => true,
                _ => from == to,
            };
            if !fits {
                return Err(site.unsupported(format!(
                    "nearest pixels by {places} and {rounding} from {from:?} to {to:?} are not \
                     supported"
                )));
            }
            Ok(Operator::ResizeNearestNeighbor { align_corners, half_pixel_centers })
        }
        other => Err(site.unsupported_attribute("mode", other)),
    }
}
