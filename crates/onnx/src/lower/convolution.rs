//! Convolutions.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{DataType, Operator, Padding, Quantization, Result, TensorId};

use super::quantized::{Output, Target};
use super::tail::{Affine, Tail};
use super::window::{NHWC, Window, as_picture, from_picture, pads};
use crate::constant::{Constant, Scaling};
use crate::import::{Importer, TensorValue};
use crate::site::Site;
use crate::view::View;

/// Operands of a convolution or a matrix product.
pub(super) struct Operands {
    pub x: TensorValue,
    pub weights: Rc<Constant>,
    pub bias: Option<Rc<Constant>>,
    /// Which operands of the node weights and bias are, for their names.
    pub names: [usize; 2],
}

/// Conv.
pub(super) fn conv<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if importer.tensor_input(site, 0)?.view.rank() == 5 {
        return super::spatial::conv(importer, site);
    }
    let operands = Operands {
        x: importer.tensor_input(site, 0)?,
        weights: importer.constant_input(site, 1)?,
        bias: importer.optional_constant(site, 2)?,
        names: [1, 2],
    };
    let output = importer.output(site)?;
    convolve(importer, site, operands, output)
}

/// The weights of a convolution by their names: `[out, in / groups, height, width]`.
fn weight_shape(site: &Site<'_>, weights: &Constant) -> Result<[usize; 4]> {
    let shape = match weights.shape[..] {
        [out, group, height, width] => [out, group, height, width],
        [out, group, width] => [out, group, 1, width],
        _ => return Err(site.unsupported(format!("weights of shape {:?}", weights.shape))),
    };
    if shape.contains(&0) {
        return Err(site.malformed(format!("weights of shape {shape:?}")));
    }
    Ok(shape)
}

/// A convolution to an output.
pub(super) fn convolve<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operands: Operands,
    mut output: Output<'a>,
) -> Result<()> {
    let Operands { x, weights, bias, names } = operands;
    let rank = x.view.rank();
    let (picture, [n, c, h, w]) = as_picture(site, &x.view)?;
    let [out, per_group, height, width] = weight_shape(site, &weights)?;
    let groups = site.size(site.int("group", 1)?, "group")?;
    if per_group.checked_mul(groups) != Some(c) || groups == 0 || !out.is_multiple_of(groups) {
        return Err(site.malformed(format!(
            "weights of shape {:?} in {groups} groups do not fit {c} channels",
            weights.shape
        )));
    }
    let window = Window::read(site, [h, w], Some([height, width]), rank.saturating_sub(2))?;
    let is_depthwise = groups == c && per_group == 1 && groups > 1;
    let form = Form::of(importer, &x, &weights);
    let tail = importer.fuse_tail(&mut output, 1, rank, out, form.affine())?;
    let weights = weights.with_shape(vec![out, per_group, height, width]);
    let form = form.settle(output.target);

    let x = form.input(importer, TensorValue { view: picture, ..x })?;
    let x = importer.builder.in_order(&x, &NHWC)?;
    let (weights, bias) = form.operands(importer, site, x, &weights, bias.as_deref(), &tail)?;
    check_bias(site, bias.as_ref(), out)?;
    // TensorFlow Lite's convolutions refuse to have none.
    let bias = match bias {
        None => Some(form.no_bias(out)),
        bias => bias,
    };
    let arranged = match is_depthwise {
        true => weights.transpose(&[1, 2, 3, 0], &mut importer.builder.budget)?,
        false => weights.transpose(&[0, 2, 3, 1], &mut importer.builder.budget)?,
    };
    let (x, padding) = match window.padding() {
        Some(padding) => (x, padding),
        None => (importer.builder.pad_picture(x, &window, false)?, Padding::Valid),
    };
    let Window { stride, dilation, .. } = window;
    let activation = tail.activation;
    let operator = match is_depthwise {
        true => {
            let depth_multiplier = out.checked_div(c).unwrap_or(1);
            Operator::DepthwiseConv2d { stride, dilation, padding, depth_multiplier, activation }
        }
        false => Operator::Conv2d { stride, dilation, padding, activation },
    };
    let shape = [n, window.out[0], window.out[1], out];
    let operands = [Some(&arranged), bias.as_ref()];
    let tensor = form.emit(importer, site, operator, x, operands, names, &shape, &output)?;
    importer.bind_output(&output, from_picture(tensor, shape, rank));
    Ok(())
}

/// What an operator with weights computes with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Floats.
    Real,
    /// Integers, if its result is quantised.
    Quantizable,
    /// Integers.
    Integer(Target),
}

impl Form {
    pub fn of(importer: &Importer<'_>, x: &TensorValue, weights: &Constant) -> Self {
        match importer.has_integer_kernel(x, weights) {
            true => Self::Quantizable,
            false => Self::Real,
        }
    }

    /// What it can take in of what follows.
    pub fn affine(self) -> Affine {
        match self {
            Self::Real => Affine::Full,
            Self::Quantizable | Self::Integer(_) => Affine::Nothing,
        }
    }

    /// Decides by what the result is quantised to.
    pub fn settle(self, target: Option<Target>) -> Self {
        match (self, target) {
            (Self::Quantizable, Some(target)) => Self::Integer(target),
            (Self::Quantizable, None) => Self::Real,
            (form, _) => form,
        }
    }

    /// The input in the type that it computes with.
    pub fn input(self, importer: &mut Importer<'_>, x: TensorValue) -> Result<View> {
        match self {
            Self::Integer(_) => Ok(x.view),
            _ => importer.as_onnx(&x),
        }
    }

    /// Weights and bias as they are stored.
    pub fn operands(
        self,
        importer: &Importer<'_>,
        site: &Site<'_>,
        x: TensorId,
        weights: &Constant,
        bias: Option<&Constant>,
        tail: &Tail,
    ) -> Result<(Constant, Option<Constant>)> {
        match self {
            Self::Integer(_) => integer_operands(importer, site, x, weights, bias),
            _ => Ok(real_operands(weights, bias, tail)),
        }
    }

    /// A bias of zeros.
    fn no_bias(self, out: usize) -> Constant {
        let dtype = match self {
            Self::Integer(_) => DataType::Int32,
            _ => DataType::Float32,
        };
        Constant::new(dtype, vec![out], vec![0; out.saturating_mul(4)])
    }

    /// Emits an operator with weights and a bias.
    #[allow(clippy::too_many_arguments, reason = "the parts of one operator")]
    pub fn emit<'a>(
        self,
        importer: &mut Importer<'a>,
        site: &Site<'a>,
        operator: Operator,
        x: TensorId,
        operands: [Option<&Constant>; 2],
        names: [usize; 2],
        shape: &[usize],
        output: &Output<'a>,
    ) -> Result<TensorId> {
        let mut inputs = vec![Some(x)];
        for ((constant, at), what) in operands.into_iter().zip(names).zip(["weights", "bias"]) {
            let Some(constant) = constant else {
                inputs.push(None);
                continue;
            };
            let name = match site.input_name(at) {
                Some(name) => name.to_owned(),
                None => format!("{}/{what}", output.name),
            };
            let is_stored = matches!(self, Self::Integer(_));
            inputs.push(Some(match is_stored {
                true => importer.builder.add_constant(&name, constant)?,
                false => importer.builder.add_real_constant(&name, constant)?,
            }));
        }
        let (dtype, quantization) = match self {
            Self::Integer(target) => (target.dtype, Some(target.quantization())),
            _ => (DataType::Float32, None),
        };
        importer.builder.emit_optional(operator, inputs, output.name, dtype, shape, quantization)
    }
}

pub(super) fn check_bias(site: &Site<'_>, bias: Option<&Constant>, out: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.len() != out => {
            Err(site.malformed(format!("the bias has {} elements, needs {out}", bias.len())))
        }
        _ => Ok(()),
    }
}

/// Float weights and bias with the tail in them.
fn real_operands(
    weights: &Constant,
    bias: Option<&Constant>,
    tail: &Tail,
) -> (Constant, Option<Constant>) {
    let bias = match (bias, &tail.scale, &tail.shift) {
        (bias, None, None) => bias.cloned(),
        (bias, ..) => tail
            .bias(bias.map(Constant::floats))
            .map(|bias| Constant::from_floats(vec![bias.len()], &bias)),
    };
    (tail.scale_weights(weights), bias)
}

/// Integer weights, and the bias as int32 with the scale of input times weights.
fn integer_operands(
    importer: &Importer<'_>,
    site: &Site<'_>,
    x: TensorId,
    weights: &Constant,
    bias: Option<&Constant>,
) -> Result<(Constant, Option<Constant>)> {
    let weights = importer.stored_constant(weights);
    let quantization = importer.builder.tensor(x).quantization.as_ref();
    let scale = quantization.and_then(Quantization::as_per_tensor).map(|(scale, _)| scale);
    let (Some(scale), Some(scaling)) = (scale, &weights.scaling) else {
        return Err(site.malformed("a quantised operand has no scale"));
    };
    let scales: Vec<f32> = scaling.scale.iter().map(|weight| weight * scale).collect();
    let Some(bias) = bias else { return Ok((weights, None)) };
    let scale_of = |at: usize| scales.get(at).or(scales.first()).copied().unwrap_or(1.0);
    let values: Vec<i32> = match (bias.dtype, &bias.scaling) {
        // A quantised operator's bias has that scale by definition.
        (DataType::Int32, None) => {
            bias.data.as_chunks().0.iter().copied().map(i32::from_le_bytes).collect()
        }
        (DataType::Int32, Some(own)) if near(&own.scale, &scales) => {
            bias.data.as_chunks().0.iter().copied().map(i32::from_le_bytes).collect()
        }
        _ => (bias.floats().iter().enumerate())
            .map(|(at, &value)| (value / scale_of(at)).round_ties_even() as i32)
            .collect(),
    };
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut stored = Constant::new(DataType::Int32, vec![values.len()], data);
    let usable = scales.iter().all(|scale| scale.is_finite() && *scale > 0.0);
    if usable && (scales.len() == 1 || scales.len() == values.len()) {
        let zero_point = vec![0; scales.len()];
        stored.scaling = Some(Scaling { scale: scales, zero_point, axis: 0 });
    }
    Ok((weights, Some(stored)))
}

/// Whether scales are the same but for rounding.
fn near(own: &[f32], product: &[f32]) -> bool {
    let close = |(own, product): (&f32, &f32)| (own - product).abs() <= product * 1e-5;
    own.len() == product.len() && own.iter().zip(product).all(close)
}

/// ConvTranspose, with constant weights `[in, out / groups, height, width]`.
pub(super) fn conv_transpose<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let is_picture = importer.tensor_input(site, 0)?.view.rank() <= 4
        && site.int("group", 1)? == 1
        && site.ints("dilations")?.is_none_or(|all| all.iter().all(|&dilation| dilation == 1))
        && site.text("auto_pad", "NOTSET")? == "NOTSET"
        && !site.has("output_shape");
    if !is_picture {
        return super::spatial::conv_transpose(importer, site);
    }
    let x = importer.onnx_input(site, 0)?;
    let weights = importer.constant_input(site, 1)?;
    let bias = importer.optional_constant(site, 2)?;
    let rank = x.rank();
    let (picture, [n, c, h, w]) = as_picture(site, &x)?;
    let [input, out, height, width] = weight_shape(site, &weights)?;
    if input != c {
        return Err(
            site.malformed(format!("weights of shape {:?} for {c} channels", weights.shape))
        );
    }
    let dimensions = rank.saturating_sub(2);
    let spread = Window::read(site, [h, w], Some([height, width]), dimensions);
    // Pads of a transposed convolution cut; the window's own arithmetic may not fit them.
    let stride = match (&spread, site.ints("strides")?) {
        (Ok(window), _) => window.stride,
        (Err(_), Some(&[vertical, horizontal])) => {
            [site.size(vertical, "strides")?, site.size(horizontal, "strides")?]
        }
        (Err(error), _) => return Err(error.clone()),
    };
    let cut = pads(site, dimensions)?;
    let extra = match site.ints("output_padding")? {
        Some(&[vertical, horizontal]) => {
            [site.size(vertical, "output_padding")?, site.size(horizontal, "output_padding")?]
        }
        Some(&[horizontal]) => [0, site.size(horizontal, "output_padding")?],
        _ => [0; 2],
    };
    // The whole result, without anything cut: VALID of the model's operator.
    let too_large = || site.malformed("the result is too large");
    let whole = |size: usize, stride: usize, filter: usize, extra: usize| {
        size.checked_sub(1)?.checked_mul(stride)?.checked_add(filter)?.checked_add(extra)
    };
    let whole_h = whole(h, stride[0], height, extra[0]).ok_or_else(too_large)?;
    let whole_w = whole(w, stride[1], width, extra[1]).ok_or_else(too_large)?;
    let mut output = importer.output(site)?;
    let tail = importer.fuse_tail(&mut output, 1, rank, out, Affine::Full)?;
    let weights = weights.with_shape(vec![input, out, height, width]);
    let turned = weights.transpose(&[1, 2, 3, 0], &mut importer.builder.budget)?;
    let (weights, bias) = real_operands(&turned, bias.as_deref(), &tail);
    check_bias(site, bias.as_ref(), out)?;

    let cuts = cut.iter().flatten().any(|&cut| cut > 0);
    let shape = [n, whole_h, whole_w, out];
    let name = output.name;
    let builder = &mut importer.builder;
    let x = builder.in_order(&picture, &NHWC)?;
    let output_shape = builder.add_integers(&format!("{name}/shape"), &shape)?;
    let weights = builder.add_real_constant(site.input_name(1).unwrap_or(name), &weights)?;
    let bias = match bias {
        Some(bias) => Some(builder.add_real_constant(&format!("{name}/bias"), &bias)?),
        None => None,
    };
    let operator =
        Operator::TransposeConv { stride, padding: Padding::Valid, activation: tail.activation };
    let inputs = vec![Some(output_shape), Some(weights), Some(x), bias];
    let whole_name = if cuts { format!("{name}/whole") } else { name.to_owned() };
    let mut tensor =
        builder.emit_optional(operator, inputs, &whole_name, DataType::Float32, &shape, None)?;
    let mut result = shape;
    if cuts {
        let [[top, bottom], [left, right]] = cut;
        let height = top.checked_add(bottom).and_then(|cut| whole_h.checked_sub(cut));
        let width = left.checked_add(right).and_then(|cut| whole_w.checked_sub(cut));
        let (Some(height @ 1..), Some(width @ 1..)) = (height, width) else {
            return Err(site.malformed("the pads cut all of the result"));
        };
        result = [n, height, width, out];
        let begin = builder.add_integers(&format!("{name}/begin"), &[0, top, left, 0])?;
        let size = builder.add_integers(&format!("{name}/size"), &result)?;
        tensor = builder.emit_like(Operator::Slice, &[tensor, begin, size], name, &result)?;
    }
    importer.bind_output(&output, from_picture(tensor, result, rank));
    Ok(())
}
