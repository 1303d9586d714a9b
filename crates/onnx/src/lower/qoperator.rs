//! Operators of quantised operands with their scales beside them: ONNX's own, and com.microsoft's.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{Activation, Operator, Result};

use super::convolution::{Operands, convolve};
use super::{activation, dynamic, elementwise, linear, missing, movement, pool};
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;

/// Lowers a node of the domain com.microsoft.
pub(super) fn lower<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    match site.node.operator {
        "QLinearAdd" => arithmetic(importer, site, |activation| Operator::Add { activation }),
        "QLinearMul" => arithmetic(importer, site, |activation| Operator::Mul { activation }),
        "QLinearConcat" => concat(importer, site),
        "QLinearGlobalAveragePool" => {
            channels_first(site)?;
            let x = tensor(importer, site, 0)?;
            let output = importer.quantized_output(site, 3, 4)?;
            pool::global_average(importer, site, x, output)
        }
        "QLinearAveragePool" => {
            channels_first(site)?;
            let x = tensor(importer, site, 0)?;
            let output = importer.quantized_output(site, 3, 4)?;
            pool::average(importer, site, x, output)
        }
        "QLinearSigmoid" => unary(importer, site, Operator::Logistic),
        "QLinearLeakyRelu" => {
            let alpha = site.float("alpha", 0.01)?;
            unary(importer, site, Operator::LeakyRelu { alpha })
        }
        "QLinearSoftmax" => {
            let x = tensor(importer, site, 0)?;
            let output = importer.quantized_output(site, 3, 4)?;
            activation::softmax_to(importer, site, x, Operator::Softmax { beta: 1.0 }, output)
        }
        "QGemm" => gemm(importer, site),
        "DynamicQuantizeMatMul" => dynamic::mat_mul(importer, site),
        "Gelu" => activation::unary(importer, site, Operator::Gelu { approximate: false }),
        _ => Err(missing(site)),
    }
}

/// Refuses pools over `[n, h, w, c]`.
fn channels_first(site: &Site<'_>) -> Result<()> {
    match site.int("channels_last", 0)? {
        0 => Ok(()),
        other => Err(site.unsupported_attribute("channels_last", other)),
    }
}

/// A quantised operand, followed by its scale and zero point, as a tensor.
fn tensor<'a>(importer: &mut Importer<'a>, site: &Site<'a>, at: usize) -> Result<TensorValue> {
    let value = importer.dequantized_input(site, at, 0)?;
    match value {
        Value::Constant(constant) => {
            let name = site.input_name(at).unwrap_or_default();
            let stored = importer.stored_constant(&constant);
            let id = importer.builder.add_constant(name, &stored)?;
            let view = crate::view::View::plain(id, &constant.shape);
            Ok(TensorValue { view, dtype: achado_model::DataType::Float32 })
        }
        value => importer.store(site, site.input_name(at).unwrap_or_default(), value),
    }
}

/// QLinearConv.
pub(super) fn conv<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = tensor(importer, site, 0)?;
    let weights = weights(importer, site, 3, 0)?;
    let bias = importer.optional_constant(site, 8)?;
    let output = importer.quantized_output(site, 6, 7)?;
    must_be_integer(importer, site, &x, &weights)?;
    let operands = Operands { x, weights, bias, names: [3, 8] };
    convolve(importer, site, operands, output)
}

/// Constant weights with their scales.
fn weights<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    at: usize,
    axis: i64,
) -> Result<Rc<crate::constant::Constant>> {
    match importer.dequantized_input(site, at, axis)? {
        Value::Constant(constant) => Ok(constant),
        _ => Err(site.unsupported("computed weights are not supported")),
    }
}

fn must_be_integer(
    importer: &Importer<'_>,
    site: &Site<'_>,
    x: &TensorValue,
    weights: &crate::constant::Constant,
) -> Result<()> {
    if importer.has_integer_kernel(x, weights) {
        return Ok(());
    }
    Err(site.unsupported(
        "weights with scales for each channel and zero points other than the middle, or of another \
         type than the model's other weights",
    ))
}

/// QLinearMatMul, with constant weights.
pub(super) fn mat_mul<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = tensor(importer, site, 0)?;
    let weights = weights(importer, site, 3, 1)?;
    if weights.shape.len() != 2 {
        return Err(site.unsupported(format!("weights of shape {:?}", weights.shape)));
    }
    let output = importer.quantized_output(site, 6, 7)?;
    let weights = Rc::new(weights.transpose(&[1, 0], &mut importer.builder.budget)?);
    must_be_integer(importer, site, &x, &weights)?;
    let operands = Operands { x, weights, bias: None, names: [3, 8] };
    linear::fully_connected(importer, site, operands, output)
}

/// QGemm, with constant weights.
fn gemm<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut x = tensor(importer, site, 0)?;
    let is_turned = site.flag("transB", false)?;
    let mut weights = weights(importer, site, 3, if is_turned { 0 } else { 1 })?;
    let alpha = site.float("alpha", 1.0)?;
    if alpha != 1.0 {
        return Err(site.unsupported_attribute("alpha", alpha));
    }
    if site.flag("transA", false)? {
        x.view = x.view.transpose(&[1, 0]);
    }
    if weights.shape.len() != 2 || x.view.rank() != 2 {
        return Err(site.malformed("a product of other than matrices"));
    }
    if !is_turned {
        weights = Rc::new(weights.transpose(&[1, 0], &mut importer.builder.budget)?);
    }
    let bias = importer.optional_constant(site, 6)?;
    let output = importer.quantized_output(site, 7, 8)?;
    must_be_integer(importer, site, &x, &weights)?;
    let operands = Operands { x, weights, bias, names: [3, 6] };
    linear::fully_connected(importer, site, operands, output)
}

/// QLinearAdd, QLinearMul.
fn arithmetic<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: fn(Activation) -> Operator,
) -> Result<()> {
    let values = [importer.dequantized_input(site, 0, 0)?, importer.dequantized_input(site, 3, 0)?];
    let output = importer.quantized_output(site, 6, 7)?;
    elementwise::arithmetic(importer, site, &values, operator, output)
}

/// QLinearConcat: scale and zero point of the result, then three operands for each part.
fn concat<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut values = Vec::new();
    for at in (2..site.node.inputs.len()).step_by(3) {
        values.push(tensor(importer, site, at)?);
    }
    let output = importer.quantized_output(site, 0, 1)?;
    movement::concatenate(importer, site, values, output)
}

/// Operators on elements.
fn unary<'a>(importer: &mut Importer<'a>, site: &Site<'a>, operator: Operator) -> Result<()> {
    let x = tensor(importer, site, 0)?;
    let output = importer.quantized_output(site, 3, 4)?;
    activation::apply(importer, x, operator, output)
}
