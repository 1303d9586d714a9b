//! Resizing: the model's own operators where they take the same pixels with the same weights, or
//! else, dimension by dimension, sums of picked elements.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Operator, Result, TensorId};

use super::activation::{ADD, MUL};
use super::sampling::{Coordinates, Sampling};
use super::window::NHWC;
use crate::constant::{Constant, elements, strides};
use crate::import::{Importer, TensorValue};
use crate::site::Site;
use crate::view::View;

/// What a node asks for, dimension by dimension.
struct Wanted {
    sizes: Vec<usize>,
    /// As the file says it, or the ratio of the sizes.
    scales: Vec<f32>,
    /// Start and end of each dimension's region, as parts of it.
    regions: Vec<[f32; 2]>,
}

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
        // The first version.
        None if site.has("height_scale") => {
            let side = |name| site.float(name, 1.0);
            Some(vec![1.0, 1.0, side("height_scale")?, side("width_scale")?])
        }
        None => importer.optional_constant(site, 1)?.map(|scales| scales.floats()),
    };
    to_size(importer, site, scales, None)
}

fn wanted<'a>(
    importer: &Importer<'a>,
    site: &Site<'a>,
    dims: &[usize],
    scales: Option<Vec<f32>>,
    sizes: Option<Vec<i64>>,
) -> Result<Wanted> {
    let rank = dims.len();
    // Some writers name the sides only.
    let axes = match site.ints("axes")? {
        Some(axes) => site.axes(axes, rank)?,
        None => (0..rank).collect(),
    };
    let size_of = |axis: usize| dims.get(axis).copied().unwrap_or(1);
    let mut wanted =
        Wanted { sizes: dims.to_vec(), scales: vec![1.0; rank], regions: vec![[0.0, 1.0]; rank] };
    let mut set = |axis: usize, size: f64, scale: f32| -> Result<()> {
        if !(1.0..=f64::from(i32::MAX)).contains(&size) {
            return Err(site.unsupported(format!("resizing dimension {axis} to {size} elements")));
        }
        if let (Some(sizes), Some(scales)) =
            (wanted.sizes.get_mut(axis), wanted.scales.get_mut(axis))
        {
            // In range, as was just checked.
            (*sizes, *scales) = (size as usize, scale);
        }
        Ok(())
    };
    match (&sizes, &scales) {
        (Some(sizes), None) if sizes.len() == axes.len() => {
            let ratio = |(&axis, &size): (&usize, &i64)| size as f32 / size_of(axis).max(1) as f32;
            let ratios = axes.iter().zip(sizes).map(ratio);
            let shared = match site.text("keep_aspect_ratio_policy", "stretch")? {
                "stretch" => None,
                "not_larger" => ratios.clone().reduce(f32::min),
                "not_smaller" => ratios.clone().reduce(f32::max),
                other => {
                    return Err(site.unsupported_attribute("keep_aspect_ratio_policy", other));
                }
            };
            for ((&axis, &size), ratio) in axes.iter().zip(sizes).zip(ratios) {
                match shared {
                    None => set(axis, size as f64, ratio)?,
                    Some(scale) => {
                        let size = f64::from(scale * size_of(axis) as f32 + 0.5).floor();
                        set(axis, size, scale)?;
                    }
                }
            }
        }
        (None, Some(scales)) if scales.len() == axes.len() => {
            for (&axis, &scale) in axes.iter().zip(scales) {
                // Multiplied in the precision that the number of pixels is told in elsewhere.
                let size = f64::from((size_of(axis) as f32 * scale).floor());
                set(axis, size, scale)?;
            }
        }
        _ => return Err(site.malformed("neither scales nor sizes fit the operand")),
    }
    if site.opset >= 11
        && let Some(region) = importer.optional_constant(site, 1)?
        && site.node.operator == "Resize"
    {
        let region = region.floats();
        for (at, &axis) in axes.iter().enumerate() {
            let ends = (region.get(at), region.get(at.saturating_add(axes.len())));
            if let ((Some(&start), Some(&end)), Some(own)) = (ends, wanted.regions.get_mut(axis)) {
                *own = [start, end];
            }
        }
    }
    Ok(wanted)
}

fn to_size<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    scales: Option<Vec<f32>>,
    sizes: Option<Vec<i64>>,
) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let wanted = wanted(importer, site, &dims, scales, sizes)?;
    elements(&wanted.sizes).map_err(|error| site.explain(error))?;
    let coordinates = Coordinates::read(site)?;
    if let Some(operator) = coordinates.operator(&dims, &wanted.sizes, &wanted.scales)
        && (value.is_real() || matches!(operator, Operator::ResizeNearestNeighbor { .. }))
        && has_kernel(importer, &value)
    {
        return picture(importer, site, &value, operator, &wanted.sizes);
    }
    dimension_by_dimension(importer, site, value, &coordinates, &wanted)
}

/// Whether the model's operators for pictures take values of this type.
fn has_kernel(importer: &Importer<'_>, value: &TensorValue) -> bool {
    value.is_real() || importer.builder.tensor(value.view.tensor).dtype == DataType::Int32
}

fn picture<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    value: &TensorValue,
    operator: Operator,
    sizes: &[usize],
) -> Result<()> {
    let &[n, c, height, width] = sizes else {
        return Err(site.malformed("a picture without four dimensions"));
    };
    let builder = &mut importer.builder;
    let picture = builder.in_order(&value.view, &NHWC)?;
    let name = site.output_name(0)?;
    let size = builder.add_integers(&format!("{name}/size"), &[height, width])?;
    let shape = [n, height, width, c];
    let tensor = builder.emit_like(operator, &[picture, size], name, &shape)?;
    importer.bind_view(site, View::new(tensor, &shape, &NHWC), value.dtype)
}

fn dimension_by_dimension<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    value: TensorValue,
    coordinates: &Coordinates,
    wanted: &Wanted,
) -> Result<()> {
    let dims = value.view.dims();
    let mut samplings: Vec<Option<Sampling>> = Vec::with_capacity(dims.len());
    for (axis, &size) in dims.iter().enumerate() {
        let get = |all: &[usize]| all.get(axis).copied().unwrap_or(1);
        let scale = wanted.scales.get(axis).copied().unwrap_or(1.0);
        let region = wanted.regions.get(axis).copied().unwrap_or([0.0, 1.0]);
        let out = get(&wanted.sizes);
        importer.builder.budget.work(out)?;
        let sampling = coordinates.sampling(site, size, out, scale, region)?;
        samplings.push(sampling.filter(|sampling| !sampling.is_identity(size)));
    }
    let picks = samplings.iter().flatten().all(Sampling::picks);
    if !(picks || value.is_real()) {
        return Err(site.unsupported(format!(
            "resizing {} by weighted sums; floats are supported",
            value.dtype
        )));
    }
    let view = if picks { value.view } else { importer.as_onnx(&value)? };
    let (mut tensor, order) = importer.builder.one_by_one(&view)?;
    let name = site.output_name(0)?;
    let mut outside = Vec::new();
    for (axis, sampling) in samplings.iter().enumerate() {
        let Some(sampling) = sampling else { continue };
        let place = order.iter().position(|&at| at == axis).unwrap_or(0);
        tensor = resample(importer, tensor, place, sampling, &format!("{name}/dimension {axis}"))?;
        if sampling.outside.contains(&true) {
            outside.push((place, &sampling.outside));
        }
    }
    if !outside.is_empty() {
        let value = coordinates.extrapolation;
        tensor = extrapolated(importer, tensor, &outside, value, name)?;
    }
    let shape = importer.builder.shape(tensor).to_vec();
    importer.bind_view(site, View::new(tensor, &shape, &order), value.dtype)
}

/// Elements of one dimension of a tensor, picked and weighted.
fn resample(
    importer: &mut Importer<'_>,
    tensor: TensorId,
    place: usize,
    sampling: &Sampling,
    name: &str,
) -> Result<TensorId> {
    let mut shape = importer.builder.shape(tensor).to_vec();
    let rank = shape.len();
    if let Some(size) = shape.get_mut(place) {
        *size = sampling.len();
    }
    let mut sum = None;
    for (at, tap) in sampling.taps().enumerate() {
        let builder = &mut importer.builder;
        let indices = builder.add_integers(&format!("{name}/indices {at}"), &tap.indices)?;
        let operator = Operator::Gather { axis: i64::try_from(place).unwrap_or(0), batch_dims: 0 };
        let tap_name = format!("{name}/tap {at}");
        let mut part = builder.emit_like(operator, &[tensor, indices], &tap_name, &shape)?;
        if tap.weights.iter().any(|&weight| weight != 1.0) {
            let mut wide = vec![1; rank];
            if let Some(size) = wide.get_mut(place) {
                *size = tap.weights.len();
            }
            let weights = Constant::from_floats(wide, &tap.weights);
            let weights = builder.add_constant(&format!("{name}/weights {at}"), &weights)?;
            let weighted = format!("{tap_name} weighted");
            part = builder.emit_like(MUL, &[part, weights], &weighted, &shape)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => {
                builder.emit_like(ADD, &[sum, part], &format!("{name}/sum {at}"), &shape)?
            }
        });
    }
    Ok(sum.unwrap_or(tensor))
}

/// A number in place of the elements that lie outside of some dimension's region.
fn extrapolated(
    importer: &mut Importer<'_>,
    tensor: TensorId,
    outside: &[(usize, &Vec<bool>)],
    number: f32,
    name: &str,
) -> Result<TensorId> {
    let shape = importer.builder.shape(tensor).to_vec();
    let mut wide = vec![1; shape.len()];
    for (place, flags) in outside {
        if let Some(size) = wide.get_mut(*place) {
            *size = flags.len();
        }
    }
    let count = elements(&wide)?;
    importer.builder.budget.take(count, 1)?;
    importer.builder.budget.work(count)?;
    let mut mask = vec![0u8; count];
    for (place, flags) in outside {
        let own = strides(&wide).get(*place).copied().unwrap_or(1).max(1);
        for (at, masked) in mask.iter_mut().enumerate() {
            let index = at.checked_div(own).and_then(|at| at.checked_rem(flags.len().max(1)));
            let is_outside = index.and_then(|index| flags.get(index)).copied().unwrap_or(false);
            *masked |= u8::from(is_outside);
        }
    }
    let builder = &mut importer.builder;
    let mask = Constant::new(DataType::Bool, wide, mask);
    let mask = builder.add_constant(&format!("{name}/outside"), &mask)?;
    let number = Constant::from_floats(vec![1], &[number]);
    let number = builder.add_constant(&format!("{name}/extrapolation"), &number)?;
    let name = format!("{name}/extrapolated");
    let operands = [mask, number, tensor];
    builder.emit(Operator::SelectV2, &operands, &name, DataType::Float32, &shape, None)
}
