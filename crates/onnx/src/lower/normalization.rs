//! Normalisations.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use super::activation::{ADD, MUL, SUB};
use super::calculator::Calculator;
use super::statistics;
use crate::constant::Constant;
use crate::import::Importer;
use crate::site::Site;
use crate::view::View;

/// BatchNormalization that no convolution could take in: `x * factor + term`, for each channel.
pub(super) fn batch<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let more = |at: usize| {
        let name = site.node.outputs.get(at);
        name.is_some_and(|name| importer.is_output(name) || !importer.readers(name).is_empty())
    };
    let is_plain = !site.flag("training_mode", false)? && !(1..5).any(more);
    let Some((factors, terms)) = importer.batch_affine(site).filter(|_| is_plain) else {
        return statistics::batch(importer, site);
    };
    let view = importer.onnx_input(site, 0)?;
    let channels = view.dims().get(1).copied();
    if channels != Some(factors.len()) {
        return Err(site.malformed(format!(
            "{} channels of statistics for shape {:?}",
            factors.len(),
            view.dims()
        )));
    }
    let name = site.output_name(0)?;
    let result = channel_affine(importer, &view, &factors, &terms, name)?;
    importer.bind_view(site, result, DataType::Float32)
}

/// `x * factor + term`, for each channel (dimension 1).
fn channel_affine<'a>(
    importer: &mut Importer<'a>,
    view: &View,
    factors: &[f32],
    terms: &[f32],
    name: &str,
) -> Result<View> {
    let (tensor, order) = importer.builder.one_by_one(view)?;
    let shape = importer.builder.shape(tensor).to_vec();
    let mut wide = vec![1; view.rank()];
    if let Some(channels) = wide.get_mut(1) {
        *channels = factors.len();
    }
    let constant = |values: &[f32]| Constant::from_floats(wide.clone(), values);
    let factor_id =
        importer.ordered_constant(&constant(factors), &order, &format!("{name}/factor"))?;
    let term_id = importer.ordered_constant(&constant(terms), &order, &format!("{name}/term"))?;
    let builder = &mut importer.builder;
    let scaled = builder.emit_like(MUL, &[tensor, factor_id], &format!("{name}/scaled"), &shape)?;
    let shifted = builder.emit_like(ADD, &[scaled, term_id], name, &shape)?;
    Ok(View::new(shifted, &shape, &order))
}

/// `(x - mean) / sqrt(variance + epsilon)` with mean and variance over some dimensions of a tensor.
fn standardize(
    importer: &mut Importer<'_>,
    tensor: TensorId,
    axes: &[usize],
    epsilon: f32,
    name: &str,
) -> Result<TensorId> {
    let shape = importer.builder.shape(tensor).to_vec();
    let mut means = shape.clone();
    for &axis in axes {
        if let Some(size) = means.get_mut(axis) {
            *size = 1;
        }
    }
    let epsilon = importer.scalar(&format!("{name}/epsilon"), epsilon)?;
    let builder = &mut importer.builder;
    let axes = builder.add_integers(&format!("{name}/axes"), axes)?;
    let mean = Operator::Mean { keep_dims: true };
    let centre =
        builder.emit_like(mean.clone(), &[tensor, axes], &format!("{name}/mean"), &means)?;
    let centred = builder.emit_like(SUB, &[tensor, centre], &format!("{name}/centred"), &shape)?;
    let squares =
        builder.emit_like(Operator::Square, &[centred], &format!("{name}/squares"), &shape)?;
    let variance =
        builder.emit_like(mean, &[squares, axes], &format!("{name}/variance"), &means)?;
    let safe = builder.emit_like(ADD, &[variance, epsilon], &format!("{name}/safe"), &means)?;
    let factor = builder.emit_like(Operator::Rsqrt, &[safe], &format!("{name}/factor"), &means)?;
    builder.emit_like(MUL, &[centred, factor], &format!("{name}/standardised"), &shape)
}

/// LayerNormalization over the dimensions from `axis` on.
pub(super) fn layer<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let is_asked = |name: &&str| importer.is_output(name) || !importer.readers(name).is_empty();
    let is_plain = !site.node.outputs.iter().skip(1).any(is_asked);
    let is_known =
        |at: usize| site.input_name(at).is_none() || importer.constant_of(site, at).is_some();
    if !(is_plain && is_known(1) && is_known(2)) || site.input_name(1).is_none() {
        return statistics::layer(importer, site);
    }
    let view = importer.onnx_input(site, 0)?;
    let rank = view.rank();
    let axis = site.axis(site.int("axis", -1)?, rank)?;
    let epsilon = site.float("epsilon", 1e-5)?;
    let scale = importer.constant_input(site, 1)?;
    let bias = importer.optional_constant(site, 2)?;
    let (tensor, order) = importer.builder.one_by_one(&view)?;
    let shape = importer.builder.shape(tensor).to_vec();
    let axes: Vec<usize> = places(&order, |at| at >= axis);
    let name = site.output_name(0)?;
    let mut result = standardize(importer, tensor, &axes, epsilon, name)?;
    let scale_name = site.input_name(1).unwrap_or_default();
    let scale = importer.ordered_constant(&scale.to_real(), &order, scale_name)?;
    let scaled_name = if bias.is_some() { format!("{name}/scaled") } else { name.to_owned() };
    result = importer.builder.emit_like(MUL, &[result, scale], &scaled_name, &shape)?;
    if let Some(bias) = bias {
        let bias_name = site.input_name(2).unwrap_or_default();
        let bias = importer.ordered_constant(&bias.to_real(), &order, bias_name)?;
        result = importer.builder.emit_like(ADD, &[result, bias], name, &shape)?;
    }
    importer.bind_view(site, View::new(result, &shape, &order), DataType::Float32)
}

/// The tensor's dimensions that are logical dimensions of a kind.
fn places(order: &[usize], wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    (order.iter().enumerate()).filter(|(_, axis)| wanted(**axis)).map(|(at, _)| at).collect()
}

/// InstanceNormalization: over the pixels, for each channel.
pub(super) fn instance<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if importer.constant_of(site, 1).is_none() || importer.constant_of(site, 2).is_none() {
        return statistics::instance(importer, site);
    }
    let view = importer.onnx_input(site, 0)?;
    let scale = importer.constant_input(site, 1)?.floats();
    let bias = importer.constant_input(site, 2)?.floats();
    let epsilon = site.float("epsilon", 1e-5)?;
    let channels = view.dims().get(1).copied().unwrap_or(0);
    if scale.len() != channels || bias.len() != channels {
        return Err(site.malformed(format!("scale and bias do not fit {channels} channels")));
    }
    let name = site.output_name(0)?;
    let (tensor, order) = importer.builder.one_by_one(&view)?;
    let axes = places(&order, |at| at >= 2);
    let standard = standardize(importer, tensor, &axes, epsilon, name)?;
    let shape = importer.builder.shape(standard).to_vec();
    let view = View::new(standard, &shape, &order);
    let result = channel_affine(importer, &view, &scale, &bias, name)?;
    importer.bind_view(site, result, DataType::Float32)
}

/// GroupNormalization: over pixels and the channels of a group.
pub(super) fn group<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if importer.constant_of(site, 1).is_none() || importer.constant_of(site, 2).is_none() {
        return statistics::group(importer, site);
    }
    let view = importer.onnx_input(site, 0)?;
    let dims = view.dims();
    let groups = site.size(site.int("num_groups", 1)?, "num_groups")?;
    let (n, channels) = match dims[..] {
        [n, channels, ..] if groups > 0 && channels.is_multiple_of(groups) => (n, channels),
        _ => return Err(site.malformed(format!("{groups} groups of shape {dims:?}"))),
    };
    let epsilon = site.float("epsilon", 1e-5)?;
    // Opset 18 has a number for each group, opset 21 one for each channel.
    let spread = |values: Vec<f32>| -> Result<Vec<f32>> {
        match values.len() {
            found if found == channels => Ok(values),
            found if found == groups => {
                let each = channels.checked_div(groups).unwrap_or(1);
                Ok(values.iter().flat_map(|&value| std::iter::repeat_n(value, each)).collect())
            }
            found => Err(site.malformed(format!("{found} numbers for {channels} channels"))),
        }
    };
    let scale = spread(importer.constant_input(site, 1)?.floats())?;
    let bias = spread(importer.constant_input(site, 2)?.floats())?;
    let mut split = vec![n, groups, channels.checked_div(groups).unwrap_or(1)];
    split.extend(dims.iter().skip(2));
    let grouped = view.reshape(&split);
    let grouped = grouped.ok_or_else(|| site.unsupported("channels that lie scattered"))?;
    let name = site.output_name(0)?;
    let (tensor, order) = importer.builder.one_by_one(&grouped)?;
    let axes = places(&order, |at| at >= 2);
    let standard = standardize(importer, tensor, &axes, epsilon, name)?;
    let shape = importer.builder.shape(standard).to_vec();
    let standard = View::new(standard, &shape, &order);
    let standard = standard.reshape(&dims);
    let standard = standard.ok_or_else(|| site.malformed("groups that do not join"))?;
    let result = channel_affine(importer, &standard, &scale, &bias, name)?;
    importer.bind_view(site, result, DataType::Float32)
}

/// LRN: over neighbouring channels.
pub(super) fn local_response<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let size = site.size(site.int("size", 1)?, "size")?;
    if size.is_multiple_of(2) {
        return Err(site.unsupported_attribute("size", size));
    }
    let operator = Operator::LocalResponseNormalization {
        radius: size / 2,
        bias: site.float("bias", 1.0)?,
        // ONNX divides by the number of neighbours.
        alpha: site.float("alpha", 1e-4)? / size as f32,
        beta: site.float("beta", 0.75)?,
    };
    last_dimension(importer, site, 1, operator)
}

/// LpNormalization.
pub(super) fn lp<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let p = site.int("p", 2)?;
    if p == 1 {
        let mut c = Calculator::new(importer, site)?;
        let x = c.input(0)?;
        let axis = site.axis(site.int("axis", -1)?, x.view.rank())?;
        let sizes = c.map(Operator::Abs, &x)?;
        let sum = c.reduce(Operator::Sum { keep_dims: true }, &sizes, &[axis])?;
        let result = c.div(&x, &sum)?;
        c.give(0, result);
        return Ok(());
    }
    if p != 2 {
        return Err(site.unsupported_attribute("p", p));
    }
    let rank = importer.onnx_input(site, 0)?.rank();
    let axis = site.axis(site.int("axis", -1)?, rank)?;
    let operator = Operator::L2Normalization { activation: Activation::None };
    last_dimension(importer, site, axis, operator)
}

/// An operator of the model that runs over the last dimension, for logical dimension `axis`.
fn last_dimension<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    axis: usize,
    operator: Operator,
) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    let axis = site.axis(i64::try_from(axis).unwrap_or(i64::MAX), view.rank())?;
    let shape = importer.builder.shape(view.tensor);
    let mut order: Vec<usize> = (view.order_in(shape)).unwrap_or_else(|| view.natural_order());
    order.retain(|&at| at != axis);
    order.push(axis);
    let tensor = importer.builder.in_order(&view, &order)?;
    let shape = importer.builder.shape(tensor).to_vec();
    let name = site.output_name(0)?;
    let tensor = importer.builder.emit_like(operator, &[tensor], name, &shape)?;
    importer.bind_view(site, View::new(tensor, &shape, &order), DataType::Float32)
}
