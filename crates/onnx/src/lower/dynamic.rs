//! Dynamic quantisation: DynamicQuantizeLinear, a product of integers, Cast and Mul by the scales
//! become one operator with float activations and 8-bit weights, which quantises its input itself.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{DataType, Result, TensorId};

use super::convolution::{Operands, Weighting, convolve};
use super::quantized::scaled;
use super::{linear, missing};
use crate::constant::{Constant, Scaling};
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;

/// What a part of the pattern stands for, until all of it has been seen.
#[derive(Clone, Debug)]
pub(crate) enum Dynamic {
    /// The integers of a float tensor.
    Quantized(TensorValue),
    /// Their scale, times a constant.
    Scale { source: TensorId, factor: Option<Rc<Constant>> },
    /// Their zero point.
    ZeroPoint { source: TensorId },
    /// A sum of products with constant weights: the ConvInteger or MatMulInteger at `node`.
    Sum { x: TensorValue, node: usize, weights: Rc<Constant> },
}

/// DynamicQuantizeLinear.
pub(super) fn quantize<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = importer.tensor_input(site, 0)?;
    let source = x.view.tensor;
    let values = [
        Dynamic::Quantized(x),
        Dynamic::Scale { source, factor: None },
        Dynamic::ZeroPoint { source },
    ];
    for (&name, value) in site.node.outputs.iter().zip(values) {
        importer.bind(name, Value::Dynamic(value));
    }
    Ok(())
}

/// ConvInteger, MatMulInteger.
pub(super) fn accumulate<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let Value::Dynamic(Dynamic::Quantized(x)) = importer.input(site, 0)? else {
        return Err(site.unsupported("an operand that no DynamicQuantizeLinear made"));
    };
    match importer.optional_input(site, 2)? {
        Some(Value::Dynamic(Dynamic::ZeroPoint { source })) if source == x.view.tensor => {}
        _ => return Err(site.unsupported("another zero point than that of the operand")),
    }
    let weights = importer.constant_input(site, 1)?;
    let zero = importer.optional_constant(site, 3)?;
    // The scales come with the Mul behind.
    let one = Constant::from_floats(vec![1], &[1.0]);
    let weights = match zero.as_deref() {
        Some(zero) if zero.len() > 1 => {
            let ones = Constant::from_floats(vec![zero.len()], &vec![1.0; zero.len()]);
            scaled(site, &weights, &ones, Some(zero), channel_axis(site))?
        }
        zero => scaled(site, &weights, &one, zero, 0)?,
    };
    let value = Dynamic::Sum { x, node: site.index, weights: Rc::new(weights) };
    importer.bind(site.output_name(0)?, Value::Dynamic(value));
    Ok(())
}

/// The dimension of the weights that the results' channels run along.
fn channel_axis(site: &Site<'_>) -> i64 {
    if site.node.operator == "ConvInteger" { 0 } else { -1 }
}

/// A product of a part of the pattern: of a scale with a constant, or of a sum with its scale.
pub(super) fn multiply<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    values: &[Value],
) -> Result<()> {
    if site.node.operator != "Mul" {
        return Err(site.unsupported("a part of a dynamic quantisation"));
    }
    match values {
        [Value::Dynamic(Dynamic::Scale { source, factor: None }), Value::Constant(constant)]
        | [Value::Constant(constant), Value::Dynamic(Dynamic::Scale { source, factor: None })] => {
            let scale = Dynamic::Scale { source: *source, factor: Some(Rc::clone(constant)) };
            importer.bind(site.output_name(0)?, Value::Dynamic(scale));
            Ok(())
        }
        [
            Value::Dynamic(Dynamic::Sum { x, node, weights }),
            Value::Dynamic(Dynamic::Scale { source, factor }),
        ]
        | [
            Value::Dynamic(Dynamic::Scale { source, factor }),
            Value::Dynamic(Dynamic::Sum { x, node, weights }),
        ] if *source == x.view.tensor => {
            let sum = importer.site(*node).ok_or_else(|| missing(site))?;
            let factor = factor.as_deref().map_or_else(|| vec![1.0], Constant::floats);
            let weights = with_scales(site, weights, factor, channel_axis(&sum))?;
            emit(importer, site, &sum, x.clone(), weights, None)
        }
        _ => Err(site.unsupported("this product of parts of a dynamic quantisation")),
    }
}

/// Weights with the scales that the graph multiplies with behind the sum.
fn with_scales(
    site: &Site<'_>,
    weights: &Constant,
    factor: Vec<f32>,
    axis: i64,
) -> Result<Constant> {
    let Some(known) = &weights.scaling else { return Err(missing(site)) };
    let axis = site.axis(axis, weights.shape.len())?;
    let channels = factor.len().max(known.zero_point.len());
    let spread = |at: usize, len: usize| if len == 1 { 0 } else { at };
    if ![1, channels].contains(&factor.len()) || ![1, channels].contains(&known.zero_point.len()) {
        return Err(site.malformed("scales and zero points of the weights differ in number"));
    }
    if channels > 1 && weights.shape.get(axis) != Some(&channels) {
        return Err(site.malformed(format!("{channels} scales for {:?}", weights.shape)));
    }
    let pick = |at: usize| factor.get(spread(at, factor.len())).copied().unwrap_or(1.0);
    let zero =
        |at: usize| known.zero_point.get(spread(at, known.zero_point.len())).copied().unwrap_or(0);
    if factor.iter().any(|scale| !(scale.is_finite() && *scale > 0.0)) {
        return Err(site.unsupported("a scale that is not above 0"));
    }
    let mut scaled = weights.clone();
    scaled.scaling = Some(Scaling {
        scale: (0..channels).map(pick).collect(),
        zero_point: (0..channels).map(zero).collect(),
        axis,
    });
    Ok(scaled)
}

/// The operator that the whole pattern is; `site` names its result, `sum` has its attributes.
fn emit<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    sum: &Site<'a>,
    x: TensorValue,
    weights: Constant,
    bias: Option<Rc<Constant>>,
) -> Result<()> {
    let output = importer.output(site)?;
    let weights = Rc::new(symmetric(&weights));
    let names = [1, usize::MAX];
    match sum.node.operator {
        "ConvInteger" => {
            let operands = Operands { x, weights, bias, names };
            convolve(importer, sum, operands, output, Weighting::Dynamic)
        }
        _ => {
            let weights = Rc::new(weights.transpose(&[1, 0], &mut importer.builder.budget)?);
            let operands = Operands { x, weights, bias, names };
            linear::fully_connected(importer, sum, operands, output, Weighting::Dynamic)
        }
    }
}

/// Weights as int8 where that leaves no zero point, which is how TensorFlow Lite has them; as uint8
/// elsewhere.
fn symmetric(weights: &Constant) -> Constant {
    let Some(scaling) = &weights.scaling else { return weights.clone() };
    let (middle, shift, other) = match weights.dtype {
        DataType::UInt8 => (128, -128, DataType::Int8),
        _ => (0, 128, DataType::UInt8),
    };
    let is_central = scaling.zero_point.iter().all(|&zero| zero == middle);
    if is_central == (weights.dtype == DataType::Int8) {
        return weights.clone();
    }
    let flipped = weights.data.iter().map(|byte| byte ^ 0x80).collect();
    let mut turned = Constant::new(other, weights.shape.clone(), flipped);
    let zero_point = scaling.zero_point.iter().map(|zero| zero.saturating_add(shift)).collect();
    turned.scaling = Some(Scaling { zero_point, ..scaling.clone() });
    turned
}

/// com.microsoft's DynamicQuantizeMatMul: `a, b, scale of b, zero point of b, bias`.
pub(super) fn mat_mul<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = importer.tensor_input(site, 0)?;
    let weights = importer.constant_input(site, 1)?;
    let scale = importer.constant_input(site, 2)?;
    let zero = importer.optional_constant(site, 3)?;
    let bias = importer.optional_constant(site, 4)?;
    let weights = scaled(site, &weights, &scale, zero.as_deref(), -1)?;
    emit(importer, site, site, x, weights, bias)
}
