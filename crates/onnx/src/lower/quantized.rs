//! Quantised values: how they are stored, and what a result is to be stored as.
//!
//! ONNX surrounds float operators with DequantizeLinear and QuantizeLinear. A dequantised value
//! stays the quantised tensor that it comes from; an operator between such values whose result is
//! quantised becomes an integer operator.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{Activation, DataType, Operator, Quantization, Result};

use super::activation::{Chain, DIV, MUL};
use super::calculator::Calculator;
use crate::constant::{Constant, Scaling, data_type};
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// The 8-bit type, scale and zero point that a result is to be stored with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub dtype: DataType,
    pub scale: f32,
    pub zero_point: i32,
}

impl Target {
    /// As the model stores it.
    pub fn quantization(&self) -> Quantization {
        Quantization::per_tensor(self.scale, self.zero_point)
    }
}

/// Where the result of an operator goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<'a> {
    /// The name that it gets in the graph.
    pub name: &'a str,
    /// What it is to be quantised to, if it is.
    pub target: Option<Target>,
    /// ONNX's type of it: float32, or that of a quantised operator's result.
    pub dtype: DataType,
}

/// The distance between the zero points of uint8 and of int8 that mean the same.
const SHIFT: i32 = 128;

impl<'a> Importer<'a> {
    /// The type and zero point that the model stores ONNX's with.
    pub fn stored(&self, dtype: DataType, zero_point: i32) -> (DataType, i32) {
        match dtype {
            DataType::UInt8 if !self.unsigned => (DataType::Int8, zero_point.saturating_sub(SHIFT)),
            DataType::Int8 if self.unsigned => (DataType::UInt8, zero_point.saturating_add(SHIFT)),
            _ => (dtype, zero_point),
        }
    }

    /// A quantised constant as the model stores it.
    pub fn stored_constant(&self, constant: &Constant) -> Constant {
        let Some(scaling) = &constant.scaling else { return constant.clone() };
        let (dtype, _) = self.stored(constant.dtype, 0);
        if dtype == constant.dtype {
            return constant.clone();
        }
        let zero_point =
            scaling.zero_point.iter().map(|&zero| self.stored(constant.dtype, zero).1).collect();
        let flipped: Vec<u8> = constant.data.iter().map(|byte| byte ^ 0x80).collect();
        let mut stored = Constant::new(dtype, constant.shape.clone(), flipped);
        stored.scaling = Some(Scaling { zero_point, ..scaling.clone() });
        stored
    }

    /// Whether a value's floats are stored as quantised integers.
    pub fn is_quantized(&self, value: &TensorValue) -> bool {
        let stored = self.builder.tensor(value.view.tensor).dtype;
        value.is_real() && matches!(stored, DataType::Int8 | DataType::UInt8)
    }

    /// The scale and zero point of a quantised value.
    pub fn target_like(&self, value: &TensorValue) -> Option<Target> {
        let stored = self.builder.tensor(value.view.tensor);
        let (scale, zero_point) = stored.quantization.as_ref()?.as_per_tensor()?;
        Some(Target { dtype: stored.dtype, scale, zero_point })
    }

    /// The scale and zero point that operands `scale_at` and `zero_at` of a node name.
    fn target_at(&self, site: &Site<'a>, scale_at: usize, zero_at: usize) -> Option<Target> {
        let scale = self.constant(site.input_name(scale_at)?)?.scalar()?;
        let (dtype, zero_point) = match site.input_name(zero_at) {
            Some(name) => {
                let constant = self.constant(name)?;
                let &[zero_point] = &constant.stored_integers()?[..] else { return None };
                (constant.dtype, i32::try_from(zero_point).ok()?)
            }
            None => (DataType::UInt8, 0),
        };
        let is_8_bit = matches!(dtype, DataType::Int8 | DataType::UInt8);
        if !(is_8_bit && scale.is_finite() && scale > 0.0) {
            return None;
        }
        let (dtype, zero_point) = self.stored(dtype, zero_point);
        Some(Target { dtype, scale, zero_point })
    }

    /// The same, or an error that names the operands.
    pub fn required_target(
        &self,
        site: &Site<'a>,
        scale_at: usize,
        zero_at: usize,
    ) -> Result<Target> {
        self.target_at(site, scale_at, zero_at).ok_or_else(|| {
            site.unsupported(format!(
                "operands {scale_at} and {zero_at} must be one constant scale and one constant \
                 zero point of int8 or uint8"
            ))
        })
    }

    /// What a name is quantised to, if all who read it quantise it to the same.
    pub fn target_of(&self, name: &str) -> Option<Target> {
        if self.is_output(name) {
            return None;
        }
        let mut target = None;
        for &reader in self.readers(name) {
            let site = self.site(reader)?;
            if site.node.operator != "QuantizeLinear" {
                return None;
            }
            let found = self.target_at(&site, 1, 2)?;
            if *target.get_or_insert(found) != found {
                return None;
            }
        }
        target
    }

    /// Where the first result of a float operator goes.
    pub fn output(&self, site: &Site<'a>) -> Result<Output<'a>> {
        let name = site.output_name(0)?;
        Ok(Output { name, target: self.target_of(name), dtype: DataType::Float32 })
    }

    /// Where the result of a quantised operator goes, whose operands `scale_at` and `zero_at` say
    /// how it is stored.
    pub fn quantized_output(
        &self,
        site: &Site<'a>,
        scale_at: usize,
        zero_at: usize,
    ) -> Result<Output<'a>> {
        let target = self.required_target(site, scale_at, zero_at)?;
        let zero = site.input_name(zero_at).and_then(|name| self.constant(name));
        let dtype = zero.map_or(DataType::UInt8, |zero| zero.dtype);
        Ok(Output { name: site.output_name(0)?, target: Some(target), dtype })
    }

    /// Takes an activation that alone reads the result into the operator.
    pub fn fuse_activation(&mut self, output: &mut Output<'a>) -> Result<Activation> {
        if output.dtype != DataType::Float32 {
            return Ok(Activation::None);
        }
        let Some(reader) = self.only_reader(output.name) else { return Ok(Activation::None) };
        let Some(activation) = self.fusible_activation(&reader) else {
            return Ok(Activation::None);
        };
        *output = self.output(&reader)?;
        self.finish(reader.index);
        Ok(activation)
    }

    /// The activation that operators of the model have built in and that a node is.
    fn fusible_activation(&self, site: &Site<'a>) -> Option<Activation> {
        match (site.node.domain, site.node.operator) {
            ("", "Relu") => Some(Activation::Relu),
            ("", "Clip") => match self.clip_range(site)? {
                (0.0, 6.0) => Some(Activation::Relu6),
                (-1.0, 1.0) => Some(Activation::ReluN1To1),
                (0.0, f32::INFINITY | f32::MAX) => Some(Activation::Relu),
                _ => None,
            },
            _ => None,
        }
    }

    /// The constant bounds of a Clip; `None` where they are computed.
    pub fn clip_range(&self, site: &Site<'a>) -> Option<(f32, f32)> {
        let bound = |at: usize, name: &'static str, default: f32| match site.input_name(at) {
            Some(operand) => self.constant(operand)?.scalar(),
            None => site.float(name, default).ok(),
        };
        Some((bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?))
    }

    /// Gives a result its name.
    pub fn bind_output(&mut self, output: &Output<'a>, view: View) {
        self.bind(output.name, Value::Tensor(TensorValue { view, dtype: output.dtype }));
    }

    /// Gives a result its name after bringing it to its target: for operators whose results have
    /// a scale of their own.
    pub fn bind_requantized(&mut self, output: &Output<'a>, view: View) -> Result<()> {
        let view = match output.target {
            Some(Target { dtype, scale, zero_point }) => {
                let tensor =
                    self.builder.quantize(view.tensor, dtype, scale, zero_point, output.name)?;
                view.of(tensor)
            }
            None => view,
        };
        self.bind_output(output, view);
        Ok(())
    }

    /// Whether integer operators can have these weights: int8 weights have no zero point, uint8
    /// weights one scale.
    pub fn has_integer_kernel(&self, x: &TensorValue, weights: &Constant) -> bool {
        let Some(scaling) = &weights.scaling else { return false };
        let stored = self.builder.tensor(x.view.tensor).dtype;
        let (dtype, _) = self.stored(weights.dtype, 0);
        if !self.is_quantized(x) || stored != dtype {
            return false;
        }
        match dtype {
            DataType::Int8 => {
                scaling.zero_point.iter().all(|&zero| self.stored(weights.dtype, zero).1 == 0)
            }
            DataType::UInt8 => scaling.scale.len() == 1,
            _ => false,
        }
    }

    /// Whether some quantised weights need a zero point.
    pub fn weights_need_zero_points(&self) -> bool {
        let off_centre = |constant: &Constant, zero_points: &[i64]| {
            let centre = match constant.dtype {
                DataType::Int8 => 0,
                DataType::UInt8 => i64::from(SHIFT),
                _ => return false,
            };
            zero_points.iter().any(|&zero| zero != centre)
        };
        self.graph.nodes.iter().any(|node| {
            let constant = |at: usize| self.constant(node.inputs.get(at)?);
            let weights = match node.operator {
                "Conv" | "ConvTranspose" | "Gemm" | "MatMul" => constant(1),
                "QLinearConv" | "QLinearMatMul" => constant(3),
                "QGemm" => constant(3),
                _ => None,
            };
            let Some(weights) = weights else { return false };
            match &weights.scaling {
                Some(scaling) => {
                    let zeros: Vec<i64> =
                        scaling.zero_point.iter().map(|&zero| i64::from(zero)).collect();
                    off_centre(&weights, &zeros)
                }
                None => match constant(5).and_then(|zero| zero.stored_integers()) {
                    Some(zeros) => off_centre(&weights, &zeros),
                    None => false,
                },
            }
        })
    }

    /// A quantised operand as the floats that it means: operand `at` with the scale and zero point
    /// of the two that follow it.
    pub fn dequantized_input(&mut self, site: &Site<'a>, at: usize, axis: i64) -> Result<Value> {
        let (scale_at, zero_at) = (at.saturating_add(1), at.saturating_add(2));
        match self.input(site, at)? {
            Value::Constant(constant) => {
                let scale = self.constant_input(site, scale_at)?;
                let zero = self.optional_constant(site, zero_at)?;
                let scaled = scaled(site, &constant, &scale, zero.as_deref(), axis)?;
                Ok(Value::Constant(Rc::new(scaled)))
            }
            Value::Tensor(value) => {
                let target = self.required_target(site, scale_at, zero_at)?;
                self.dequantized(site, &value, target).map(Value::Tensor)
            }
            Value::Dynamic(_) => {
                Err(site.unsupported("the operand is a part of a dynamic quantisation"))
            }
        }
    }

    /// What the integers of a value mean with a scale and a zero point.
    fn dequantized(
        &mut self,
        site: &Site<'a>,
        value: &TensorValue,
        target: Target,
    ) -> Result<TensorValue> {
        let tensor = value.view.tensor;
        let name = self.builder.tensor(tensor).name.clone();
        let Target { dtype, scale, zero_point } = target;
        let view = match &self.builder.tensor(tensor).quantization {
            // An input of the model: nobody has said yet what its integers mean.
            None => {
                let stored = self.builder.tensor(tensor).dtype;
                let zero_there = match (stored, dtype) {
                    (DataType::UInt8, DataType::Int8) => zero_point.saturating_add(SHIFT),
                    (DataType::Int8, DataType::UInt8) => zero_point.saturating_sub(SHIFT),
                    (DataType::Int8 | DataType::UInt8, _) => zero_point,
                    _ => return Err(site.unsupported(format!("{name:?} is {stored}"))),
                };
                self.builder.model.tensors[tensor.0].quantization =
                    Some(Quantization::per_tensor(scale, zero_there));
                let stored = self.builder.quantize(tensor, dtype, scale, zero_point, &name)?;
                value.view.of(stored)
            }
            Some(found) if found.as_per_tensor() == Some((scale, zero_point)) => value.view.clone(),
            Some(found) => {
                let (scales, zero_points) = (&found.scale, &found.zero_point);
                return Err(site.unsupported(format!(
                    "{name:?} was quantised with scale {scales:?} and zero point {zero_points:?} and \
                     is dequantised with scale {scale} and zero point {zero_point}"
                )));
            }
        };
        Ok(TensorValue { view, dtype: DataType::Float32 })
    }
}

/// Integers with what they mean.
pub(crate) fn scaled(
    site: &Site<'_>,
    constant: &Constant,
    scale: &Constant,
    zero: Option<&Constant>,
    axis: i64,
) -> Result<Constant> {
    let scales = scale.floats();
    let zeros = zero.and_then(Constant::stored_integers).unwrap_or_else(|| vec![0; scales.len()]);
    if let Some(bad) = scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
        return Err(site.malformed(format!("a scale is {bad}")));
    }
    let zero_point: Result<Vec<i32>> = (zeros.iter())
        .map(|&zero| {
            i32::try_from(zero).map_err(|_| site.malformed(format!("a zero point is {zero}")))
        })
        .collect();
    let zero_point = zero_point?;
    let axis = match scales.len() {
        1 => 0,
        channels => {
            let axis = site.axis(axis, constant.shape.len())?;
            if constant.shape.get(axis) != Some(&channels) {
                return Err(site.malformed(format!(
                    "{channels} scales do not fit shape {:?} along axis {axis}",
                    constant.shape
                )));
            }
            axis
        }
    };
    if scales.is_empty() || zero_point.len() != scales.len() {
        return Err(site.malformed(format!(
            "{} scales and {} zero points",
            scales.len(),
            zero_point.len()
        )));
    }
    let mut scaled = constant.clone();
    scaled.scaling = Some(Scaling { scale: scales, zero_point, axis });
    Ok(scaled)
}

/// QuantizeLinear.
///
/// ONNX divides by the scale, TensorFlow Lite's QUANTIZE (XNNPACK) multiplies by its reciprocal:
/// numbers that lie between two steps, as whole pixels often do, would fall to the other side. So
/// floats are divided and rounded first, and QUANTIZE finds whole steps.
pub(super) fn quantize_linear<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    if !value.is_real() {
        return Err(site.unsupported("quantising integers is not supported"));
    }
    if importer.target_at(site, 1, 2).is_none() {
        return quantize_by_formula(importer, site);
    }
    let output = importer.quantized_output(site, 1, 2)?;
    let Some(Target { scale, .. }) = output.target.filter(|_| !importer.is_quantized(&value))
    else {
        return importer.bind_requantized(&output, value.view);
    };
    let mut chain = Chain::new(importer, output.name, value.view.tensor);
    let steps = chain.with(DIV, value.view.tensor, scale)?;
    let whole = chain.then(Operator::Round, &[steps])?;
    let rounded = chain.with(MUL, whole, scale)?;
    importer.bind_requantized(&output, value.view.of(rounded))
}

/// Scale or zero point beside a value of `rank` dimensions: one number, or one for each index of a
/// dimension.
fn parameter(c: &mut Calculator<'_, '_>, at: usize, dims: &[usize]) -> Result<Option<TensorValue>> {
    let Some(value) = c.optional(at)? else { return Ok(None) };
    let found = value.view.dims();
    let count: usize = found.iter().product();
    if count == 1 {
        return c.reshape(&value, &[]).map(Some);
    }
    let site = c.site;
    let axis = site.axis(site.int("axis", 1)?, dims.len())?;
    if site.int("block_size", 0)? != 0 || found.len() != 1 || dims.get(axis) != Some(&count) {
        return Err(site.unsupported(format!("scales of shape {found:?} for {dims:?}")));
    }
    let mut shape = vec![1; dims.len()];
    if let Some(size) = shape.get_mut(axis) {
        *size = count;
    }
    c.reshape(&value, &shape).map(Some)
}

/// QuantizeLinear to plain integers: `saturate(round(x / scale) + zero point)`, ties to even.
fn quantize_by_formula<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let (scale, zero) = (parameter(&mut c, 1, &dims)?, parameter(&mut c, 2, &dims)?);
    let Some(scale) = scale.filter(TensorValue::is_real) else {
        return Err(site.malformed("the scale is missing"));
    };
    let dtype = match &zero {
        Some(zero) => zero.dtype,
        None if site.has("output_dtype") => {
            data_type(site, "output_dtype", site.int("output_dtype", 2)?)?
        }
        None => DataType::UInt8,
    };
    let (least, most) = match dtype {
        DataType::UInt8 => (0.0, 255.0),
        DataType::Int8 => (-128.0, 127.0),
        DataType::Int16 => (-32768.0, 32767.0),
        other => return Err(site.unsupported(format!("quantising to {other}"))),
    };
    let steps = c.div(&x, &scale)?;
    let mut whole = c.map(Operator::Round, &steps)?;
    if let Some(zero) = zero {
        let zero = c.cast(&zero, DataType::Float32)?;
        whole = c.add(&whole, &zero)?;
    }
    let whole = c.with(Operator::Maximum, &whole, least)?;
    let whole = c.with(Operator::Minimum, &whole, most)?;
    let result = c.cast(&whole, dtype)?;
    c.give(0, result);
    Ok(())
}

/// DequantizeLinear of plain integers: `(q - zero point) * scale`.
fn dequantize_by_formula<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let (scale, zero) = (parameter(&mut c, 1, &dims)?, parameter(&mut c, 2, &dims)?);
    let Some(scale) = scale else { return Err(site.malformed("the scale is missing")) };
    let mut real = c.cast(&x, DataType::Float32)?;
    if let Some(zero) = zero {
        let zero = c.cast(&zero, DataType::Float32)?;
        real = c.sub(&real, &zero)?;
    }
    let result = c.mul(&real, &scale)?;
    c.give(0, result);
    Ok(())
}

/// DequantizeLinear.
pub(super) fn dequantize_linear<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if let Value::Tensor(value) = importer.input(site, 0)? {
        let stored = importer.builder.tensor(value.view.tensor);
        let is_plain = stored.quantization.is_none();
        if is_plain && !value.is_real() && importer.target_at(site, 1, 2).is_none() {
            return dequantize_by_formula(importer, site);
        }
    }
    let value = importer.dequantized_input(site, 0, site.int("axis", 1)?)?;
    importer.bind(site.output_name(0)?, value);
    Ok(())
}
