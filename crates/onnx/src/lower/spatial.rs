//! Convolutions and pools over any number of dimensions, for those that the model's operators for
//! pictures do not have: three dimensions, dilated pools, integers, groups of transposed
//! convolutions. Pools are separable; a convolution is the sum of convolutions of pictures.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, Operator, Padding, Result};

use super::activation::ADD;
use super::calculator::Calculator;
use super::window::{NHWC, Side};
use crate::constant::{Constant, Places, elements, strides};
use crate::import::{Importer, TensorValue};
use crate::site::Site;
use crate::view::View;

/// The attributes of a window over the dimensions behind `[n, c]`.
pub(super) struct Windows {
    pub filter: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    pub sides: Vec<Side>,
}

/// A list of `count` sizes, of `least` or more.
fn sizes(
    site: &Site<'_>,
    name: &'static str,
    count: usize,
    default: usize,
    least: i64,
) -> Result<Vec<usize>> {
    let Some(values) = site.ints(name)?.filter(|values| !values.is_empty()) else {
        return Ok(vec![default; count]);
    };
    let all: Option<Vec<usize>> = (values.iter())
        .map(|&value| usize::try_from(value).ok().filter(|_| value >= least))
        .collect();
    all.filter(|all| all.len() == count).ok_or_else(|| {
        site.malformed(format!(
            "attribute {name:?} is {values:?}, must be {count} numbers of {least} or more"
        ))
    })
}

impl Windows {
    pub fn read(site: &Site<'_>, input: &[usize], filter: Option<&[usize]>) -> Result<Self> {
        let rank = input.len();
        let filter = match filter {
            Some(filter) => filter.to_vec(),
            None if site.has("kernel_shape") => sizes(site, "kernel_shape", rank, 1, 1)?,
            None => return Err(site.malformed("attribute \"kernel_shape\" is missing")),
        };
        let (stride, dilation) =
            (sizes(site, "strides", rank, 1, 1)?, sizes(site, "dilations", rank, 1, 1)?);
        let pads = sizes(site, "pads", rank.saturating_mul(2), 0, 0)?;
        let ceil = site.flag("ceil_mode", false)?;
        let auto = site.text("auto_pad", "NOTSET")?;
        let get = |all: &[usize], at: usize| all.get(at).copied().unwrap_or(1);
        let mut sides = Vec::with_capacity(rank);
        for at in 0..rank {
            let pads = [get(&pads, at), get(&pads, at.saturating_add(rank))];
            let (filter, stride) = (get(&filter, at), get(&stride, at));
            let (size, dilation) = (get(input, at), get(&dilation, at));
            sides.push(Side::settle(site, size, [filter, stride, dilation], auto, pads, ceil)?);
        }
        Ok(Self { filter, stride, dilation, sides })
    }

    fn pads(&self) -> Vec<[usize; 2]> {
        let own = self.sides.iter().map(|side| [side.before, side.after]);
        [[0, 0]; 2].into_iter().chain(own).collect()
    }
}

/// What a pool makes of the elements of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pool {
    Max,
    Average,
    /// `(sum of |x|^p)^(1/p)`.
    Power,
}

/// A pool over the dimensions behind `[n, c]`, dimension by dimension.
pub(super) fn pool<'a>(importer: &mut Importer<'a>, site: &Site<'a>, kind: Pool) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let [_, _, input @ ..] = &dims[..] else {
        return Err(site.malformed(format!("shape {dims:?} is no [n, c, ...]")));
    };
    let windows = Windows::read(site, input, None)?;
    let counts_pads = kind == Pool::Average && site.flag("count_include_pad", false)?;
    if counts_pads && windows.sides.iter().any(|side| side.extra > 0) {
        // ONNX Runtime does not count it, ONNX's own implementation does.
        return Err(site.unsupported(
            "a mean over pads and what ceil_mode adds to them: what counts is not agreed on",
        ));
    }
    let p = match site.has("p") {
        // The first version had a float.
        true => site.int("p", 2).map(|p| p as f32).or_else(|_| site.float("p", 2.0))?,
        false => 2.0,
    };
    let (mut y, fill, operator) = match kind {
        Pool::Max => {
            // Of 8 bits the model has only quantised maxima.
            let wide = c.widened(&x)?;
            (wide, f32::NEG_INFINITY, Operator::Maximum)
        }
        Pool::Average => (x.clone(), 0.0, ADD),
        Pool::Power => (c.power(&x, p)?, 0.0, ADD),
    };
    y = c.pad(&y, &windows.pads(), fill)?;
    for (at, side) in windows.sides.iter().enumerate() {
        let get = |all: &[usize]| all.get(at).copied().unwrap_or(1);
        let mut sum: Option<TensorValue> = None;
        for tap in 0..get(&windows.filter) {
            let start = tap.saturating_mul(get(&windows.dilation));
            let axis = at.saturating_add(2);
            let term = c.part(&y, axis, start, get(&windows.stride), side.out)?;
            sum = Some(match sum {
                None => term,
                Some(sum) => c.pair(operator.clone(), &sum, &term)?,
            });
        }
        y = sum.unwrap_or(y);
    }
    let result = match kind {
        Pool::Max => c.cast(&y, x.dtype)?,
        Pool::Average => {
            let factors = factors(&windows, input, counts_pads)?;
            let factors = c.constant(&factors)?;
            c.mul(&y, &factors)?
        }
        Pool::Power => c.root(&y, p)?,
    };
    c.give(0, result);
    Ok(())
}

/// One over the number of elements that count in each window.
fn factors(windows: &Windows, input: &[usize], counts_pads: bool) -> Result<Constant> {
    let shape: Vec<usize> = windows.sides.iter().map(|side| side.out).collect();
    let mut factors = vec![1.0f32; elements(&shape)?];
    for (at, (side, &size)) in windows.sides.iter().zip(input).enumerate() {
        let get = |all: &[usize]| all.get(at).copied().unwrap_or(1);
        let named = side.after.saturating_sub(side.extra);
        let picture_end = size.saturating_add(side.before);
        let end = if counts_pads { picture_end.saturating_add(named) } else { picture_end };
        let begin = if counts_pads { 0 } else { side.before };
        let count = |out: usize| {
            let first = out.saturating_mul(get(&windows.stride));
            let tap = |tap: usize| first.saturating_add(tap.saturating_mul(get(&windows.dilation)));
            (0..get(&windows.filter)).filter(|&at| (begin..end).contains(&tap(at))).count()
        };
        let counts: Vec<usize> = (0..side.out).map(count).collect();
        let stride = strides(&shape).get(at).copied().unwrap_or(1).max(1);
        for (place, factor) in factors.iter_mut().enumerate() {
            let index = place.checked_div(stride).unwrap_or(0);
            let index = index.checked_rem(side.out.max(1)).unwrap_or(0);
            *factor /= counts.get(index).copied().unwrap_or(1).max(1) as f32;
        }
    }
    Ok(Constant::from_floats(shape, &factors))
}

/// A convolution over up to three dimensions of a value whose borders are there already.
struct Convolution<'k> {
    weights: &'k Constant,
    bias: Option<&'k Constant>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    out: Vec<usize>,
}

/// Sizes of up to three dimensions as those of three.
fn three(sizes: &[usize]) -> Vec<usize> {
    let mut wide = vec![1; 3usize.saturating_sub(sizes.len())];
    wide.extend(sizes);
    wide
}

fn convolve<'a>(
    c: &mut Calculator<'_, 'a>,
    x: &TensorValue,
    convolution: &Convolution<'_>,
) -> Result<TensorValue> {
    let site = c.site;
    let dims = x.view.dims();
    let (Some(&[n, channels]), Some(input)) =
        (dims.get(..2).and_then(|d| d.first_chunk()), dims.get(2..))
    else {
        return Err(site.malformed(format!("shape {dims:?} is no [n, c, ...]")));
    };
    let (Some(&[out, group]), Some(filter)) = (
        convolution.weights.shape.get(..2).and_then(|d| d.first_chunk()),
        convolution.weights.shape.get(2..),
    ) else {
        return Err(site.malformed("weights of too few dimensions"));
    };
    if filter.len() > 3 || filter.len() != input.len() {
        return Err(site.unsupported(format!(
            "weights of shape {:?} for {dims:?}; up to three dimensions are supported",
            convolution.weights.shape
        )));
    }
    let (input, filter) = (three(input), three(filter));
    let (stride, dilation) = (three(&convolution.stride), three(&convolution.dilation));
    let [&[depth, height, width], &[step, ..], &[spread, ..]] =
        [&three(&convolution.out)[..], &stride[..], &dilation[..]]
            .map(|sizes| sizes.first_chunk::<3>().unwrap_or(&[1; 3]));
    let x = c.reshape(x, &[&[n, channels], &input[..]].concat())?;
    let get = |all: &[usize], at: usize| all.get(at).copied().unwrap_or(1);
    let (rows, columns) = (get(&filter, 1), get(&filter, 2));
    let weights = convolution.weights.to_real();
    let own = strides(&[&[out, group], &filter[..]].concat());
    let name = site.input_name(1).unwrap_or_default();
    let mut sum: Option<TensorValue> = None;
    for tap in 0..get(&filter, 0) {
        let slice = c.part(&x, 2, tap.saturating_mul(spread), step, depth)?;
        let turned = c.transpose(&slice, &[0, 2, 1, 3, 4]);
        let pictures = n.saturating_mul(depth);
        let planes = [pictures, channels, get(&input, 1), get(&input, 2)];
        let pictures_view = c.reshape(&turned, &planes)?;
        let builder = &mut c.importer.builder;
        let picture = builder.in_order(&pictures_view.view, &NHWC)?;
        // `[out, kh, kw, in]` of this tap.
        let walk = [get(&own, 0), get(&own, 3), get(&own, 4), get(&own, 1)];
        let shape = vec![out, rows, columns, group];
        let first = tap.saturating_mul(get(&own, 2));
        let places = Places::new(&shape, walk.to_vec()).map(|place| place.saturating_add(first));
        let weights = weights.pick(shape.clone(), places, &mut builder.budget)?;
        let weights = builder.add_constant(&format!("{name}/tap {tap}"), &weights)?;
        let zeros = Constant::from_floats(vec![out], &vec![0.0; out]);
        let bias = match convolution.bias.filter(|_| tap == 0) {
            Some(bias) => bias.to_real(),
            None => zeros,
        };
        let bias = builder.add_constant(&format!("{name}/bias {tap}"), &bias)?;
        let operator = Operator::Conv2d {
            stride: [get(&stride, 1), get(&stride, 2)],
            dilation: [get(&dilation, 1), get(&dilation, 2)],
            padding: Padding::Valid,
            activation: Activation::None,
        };
        let shape = [pictures, height, width, out];
        let result = format!("{name}/product {tap}");
        let tensor = builder.emit_like(operator, &[picture, weights, bias], &result, &shape)?;
        let view = View::new(tensor, &shape, &NHWC);
        let term = TensorValue { view, dtype: x.dtype };
        let term = c.reshape(&term, &[n, depth, out, height, width])?;
        let term = c.transpose(&term, &[0, 2, 1, 3, 4]);
        sum = Some(match sum {
            None => term,
            Some(sum) => c.add(&sum, &term)?,
        });
    }
    let Some(sum) = sum else { return Err(site.malformed("the weights are empty")) };
    c.reshape(&sum, &[&[n, out], &convolution.out[..]].concat())
}

/// Conv over three dimensions, with constant weights.
pub(super) fn conv<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let weights = importer.constant_input(site, 1)?;
    let bias = importer.optional_constant(site, 2)?;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let filter = weights.shape.get(2..).unwrap_or_default();
    let input = dims.get(2..).filter(|input| input.len() == filter.len());
    let input = input.ok_or_else(|| site.malformed(format!("weights {:?}", weights.shape)))?;
    let groups = site.size(site.int("group", 1)?, "group")?;
    let (out, group) = (weights.shape.first(), weights.shape.get(1).copied().unwrap_or(0));
    let fits = group.checked_mul(groups) == dims.get(1).copied()
        && out.is_some_and(|out| *out > 0 && out.is_multiple_of(groups.max(1)))
        && bias.as_ref().is_none_or(|bias| Some(&bias.len()) == out);
    if !fits || elements(&weights.shape)? == 0 || weights.len() == 0 {
        return Err(site.malformed(format!(
            "weights of shape {:?} in {groups} groups do not fit shape {dims:?}",
            weights.shape
        )));
    }
    let windows = Windows::read(site, input, Some(filter))?;
    let padded = c.pad(&x, &windows.pads(), 0.0)?;
    let convolution = Convolution {
        weights: &weights,
        bias: bias.as_deref(),
        out: windows.sides.iter().map(|side| side.out).collect(),
        stride: windows.stride,
        dilation: windows.dilation,
    };
    let result = convolve(&mut c, &padded, &convolution)?;
    c.give(0, result);
    Ok(())
}

/// ConvTranspose as a convolution of the operand with zeros between its elements.
pub(super) fn conv_transpose<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let weights = importer.constant_input(site, 1)?;
    let bias = importer.optional_constant(site, 2)?;
    let mut c = Calculator::new(importer, site)?;
    let mut x = c.input(0)?;
    let dims = x.view.dims();
    let filter = weights.shape.get(2..).unwrap_or_default().to_vec();
    let rank = filter.len();
    let groups = site.size(site.int("group", 1)?, "group")?;
    let (Some(&[_, channels]), Some(&[input, out])) = (
        dims.get(..2).and_then(|d| d.first_chunk()),
        weights.shape.get(..2).and_then(|d| d.first_chunk()),
    ) else {
        return Err(site.malformed(format!("weights of shape {:?}", weights.shape)));
    };
    let whole_out = out.saturating_mul(groups);
    let fits = dims.len() == rank.saturating_add(2)
        && input == channels
        && groups > 0
        && channels.is_multiple_of(groups)
        && weights.len() > 0
        && bias.as_ref().is_none_or(|bias| bias.len() == whole_out);
    if !fits {
        return Err(site.malformed(format!(
            "weights of shape {:?} in {groups} groups do not fit shape {dims:?}",
            weights.shape
        )));
    }
    let (stride, dilation) =
        (sizes(site, "strides", rank, 1, 1)?, sizes(site, "dilations", rank, 1, 1)?);
    let extra = sizes(site, "output_padding", rank, 0, 0)?;
    let named = sizes(site, "pads", rank.saturating_mul(2), 0, 0)?;
    let wanted = match site.ints("output_shape")?.filter(|shape| !shape.is_empty()) {
        // Some writers name all dimensions.
        Some(shape) => {
            let skipped = shape.len().saturating_sub(rank);
            let shape: Result<Vec<usize>> =
                shape.iter().skip(skipped).map(|&size| site.size(size, "output_shape")).collect();
            Some(shape?)
        }
        None => None,
    };
    let auto = site.text("auto_pad", "NOTSET")?;
    let get = |all: &[usize], at: usize| all.get(at).copied().unwrap_or(0);
    let mut result = Vec::with_capacity(rank);
    let mut pads = vec![[0usize; 2]; rank.saturating_add(2)];
    for at in 0..rank {
        let axis = at.saturating_add(2);
        let (size, step) = (get(&dims, axis), get(&stride, at));
        let span = get(&filter, at).saturating_sub(1).saturating_mul(get(&dilation, at));
        // The whole result, without anything cut.
        let whole = size
            .saturating_sub(1)
            .saturating_mul(step)
            .saturating_add(span)
            .saturating_add(1)
            .saturating_add(get(&extra, at));
        let target = match (&wanted, auto) {
            (Some(wanted), _) => Some(get(wanted, at)),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(size.saturating_mul(step)),
            (None, "NOTSET" | "VALID") => None,
            (None, other) => return Err(site.unsupported_attribute("auto_pad", other)),
        };
        let [before, after] = match target {
            None if auto == "VALID" => [0, 0],
            None => [get(&named, at), get(&named, at.saturating_add(rank))],
            Some(target) => {
                let cut = whole.checked_sub(target).ok_or_else(|| {
                    site.unsupported(format!("an output of {target} where {whole} are computed"))
                })?;
                let (half, rest) = (cut / 2, cut.saturating_sub(cut / 2));
                if auto == "SAME_UPPER" { [half, rest] } else { [rest, half] }
            }
        };
        let out = whole.checked_sub(before.saturating_add(after)).filter(|&out| out > 0);
        result.push(out.ok_or_else(|| site.malformed("the pads cut all of the result"))?);
        // Zeros between the elements: a dimension of `step` behind, of which the first is kept.
        if step > 1 {
            let now = x.view.dims();
            let (front, back) = now.split_at(axis.min(now.len()));
            let split = [front, &[size, 1], back.get(1..).unwrap_or_default()].concat();
            let spread = c.reshape(&x, &split)?;
            let mut between = vec![[0; 2]; split.len()];
            if let Some(pads) = between.get_mut(axis.saturating_add(1)) {
                *pads = [0, step.saturating_sub(1)];
            }
            let spread = c.pad(&spread, &between, 0.0)?;
            let long = [front, &[size.saturating_mul(step)], back.get(1..).unwrap_or_default()];
            let spread = c.reshape(&spread, &long.concat())?;
            let count = size.saturating_sub(1).saturating_mul(step).saturating_add(1);
            x = c.part(&spread, axis, 0, 1, count)?;
        }
        // Windows reach `span` beyond either end; what is cut beyond that is cut from the operand.
        let reach = [span, span.saturating_add(get(&extra, at))];
        for (which, (reach, cut)) in reach.into_iter().zip([before, after]).enumerate() {
            match reach.checked_sub(cut) {
                Some(pad) => {
                    if let Some(pads) = pads.get_mut(axis).and_then(|pads| pads.get_mut(which)) {
                        *pads = pad;
                    }
                }
                None => {
                    let size = x.view.dims().get(axis).copied().unwrap_or(1);
                    let cut = cut.saturating_sub(reach).min(size.saturating_sub(1));
                    let start = if which == 0 { cut } else { 0 };
                    x = c.part(&x, axis, start, 1, size.saturating_sub(cut))?;
                }
            }
        }
    }
    let padded = c.pad(&x, &pads, 0.0)?;
    let turned = turned(&weights, groups, &mut c.importer.builder.budget)?;
    let convolution = Convolution {
        weights: &turned,
        bias: bias.as_deref(),
        stride: vec![1; rank],
        dilation,
        out: result,
    };
    let y = convolve(&mut c, &padded, &convolution)?;
    c.give(0, y);
    Ok(())
}

/// Weights `[in, out / groups, ...]` as `[out, in / groups, ...]`, back to front.
fn turned(
    weights: &Constant,
    groups: usize,
    budget: &mut crate::limits::Budget,
) -> Result<Constant> {
    let weights = weights.to_real();
    let (Some(&[input, out]), Some(filter)) =
        (weights.shape.get(..2).and_then(|d| d.first_chunk()), weights.shape.get(2..))
    else {
        return Ok(weights);
    };
    let area: usize = filter.iter().product();
    let each = input.checked_div(groups).unwrap_or(0);
    let shape = [&[out.saturating_mul(groups), each], filter].concat();
    let mut places = Vec::with_capacity(weights.len());
    for group in 0..groups {
        for result in 0..out {
            for channel in 0..each {
                let row = group.saturating_mul(each).saturating_add(channel);
                let first = row.saturating_mul(out).saturating_add(result).saturating_mul(area);
                places.extend((first..first.saturating_add(area)).rev());
            }
        }
    }
    weights.pick(shape, places.into_iter(), budget)
}
