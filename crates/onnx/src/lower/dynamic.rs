//! Dynamic quantisation: DynamicQuantizeLinear, and the products of integers behind it.
//!
//! No operator of the model takes a scale that is computed. So the integers are whole numbers in
//! float32: each step is ONNX's own, sums of products are exact below 2^24, and the results are
//! those of ONNX Runtime. achado's engine knows these operators, in the order of operands that
//! [`quantized`] gives them, and multiplies integers. The hybrid operators of TensorFlow Lite, which quantise activations
//! themselves, would take other scales: one for each pixel where a convolution is 1x1.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{DataType, Operator, Result, TensorId};

use super::activation::{ADD, DIV, MUL, SUB};
use super::calculator::Calculator;
use super::convolution::{Operands, convolve};
use super::quantized::{Output, scaled};
use super::{linear, tail};
use crate::builder::Builder;
use crate::constant::Constant;
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// A result of DynamicQuantizeLinear that has no tensor of its own.
#[derive(Clone, Debug)]
pub(crate) enum Dynamic {
    /// The integers less their zero point, as floats.
    Quantized(TensorValue),
    /// The zero point of the integers in this tensor.
    ZeroPoint(TensorId),
}

/// Whole numbers and the scale that they have, a tensor of one element.
struct Quantized {
    whole: TensorValue,
    scale: TensorId,
}

/// Operators on floats, named after the node that they are steps of.
struct Steps<'b> {
    builder: &'b mut Builder,
    name: &'b str,
    count: usize,
}

impl Steps<'_> {
    fn next_name(&mut self) -> String {
        self.count = self.count.saturating_add(1);
        format!("{}/step {}", self.name, self.count)
    }

    fn numbers(&mut self, values: &[f32]) -> Result<TensorId> {
        let name = self.next_name();
        self.builder.add_constant(&name, &Constant::from_floats(vec![values.len()], values))
    }

    fn apply(
        &mut self,
        operator: Operator,
        operands: &[TensorId],
        shape: &[usize],
    ) -> Result<TensorId> {
        let name = self.next_name();
        self.builder.emit(operator, operands, &name, DataType::Float32, shape, None)
    }
}

/// Operand 0 of a node after DynamicQuantizeLinear, `q(x) - zero point` in place of `q(x)`:
///
/// `scale = (max(0, x) - min(0, x)) / 255`, `zero point = round(-min / scale)`,
/// `q(x) = clamp(round(x / scale) + zero point, 0, 255)`; ties to even.
fn quantized<'a>(importer: &mut Importer<'a>, site: &Site<'a>, name: &str) -> Result<Quantized> {
    let view = importer.onnx_input(site, 0)?;
    let x = view.tensor;
    let shape = importer.builder.shape(x).to_vec();
    let one = vec![1; shape.len()];
    let axes: Vec<usize> = (0..shape.len()).collect();
    let axes = importer.builder.add_integers(&format!("{name}/axes"), &axes)?;
    let mut steps = Steps { builder: &mut importer.builder, name, count: 0 };
    let zero = steps.numbers(&[0.0])?;
    let limit = steps.numbers(&[255.0])?;
    let min = steps.apply(Operator::ReduceMin { keep_dims: true }, &[x, axes], &one)?;
    let min = steps.apply(Operator::Minimum, &[min, zero], &one)?;
    let max = steps.apply(Operator::ReduceMax { keep_dims: true }, &[x, axes], &one)?;
    let max = steps.apply(Operator::Maximum, &[max, zero], &one)?;
    let range = steps.apply(SUB, &[max, min], &one)?;
    let scale = steps.apply(DIV, &[range, limit], &one)?;
    // Where all is 0 there is nothing to divide by.
    let least = steps.numbers(&[f32::MIN_POSITIVE])?;
    let scale = steps.apply(Operator::Maximum, &[scale, least], &one)?;
    let below = steps.apply(SUB, &[zero, min], &one)?;
    let below = steps.apply(DIV, &[below, scale], &one)?;
    let zero_point = steps.apply(Operator::Round, &[below], &one)?;
    let zero_point = steps.apply(Operator::Minimum, &[zero_point, limit], &one)?;
    let low = steps.apply(SUB, &[zero, zero_point], &one)?;
    let high = steps.apply(SUB, &[limit, zero_point], &one)?;
    let whole = steps.apply(DIV, &[x, scale], &shape)?;
    let whole = steps.apply(Operator::Round, &[whole], &shape)?;
    let whole = steps.apply(Operator::Maximum, &[whole, low], &shape)?;
    let whole = steps.apply(Operator::Minimum, &[whole, high], &shape)?;
    let whole = TensorValue { view: view.of(whole), dtype: DataType::Float32 };
    Ok(Quantized { whole, scale })
}

/// DynamicQuantizeLinear.
pub(super) fn quantize<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let is_for_products = |name: &str| {
        !importer.is_output(name)
            && importer.readers(name).iter().all(|&reader| {
                let node = importer.site(reader).map(|site| site.node.operator);
                matches!(node, Some("ConvInteger" | "MatMulInteger"))
            })
    };
    let results = &site.node.outputs;
    if ![0, 2].iter().all(|&at| results.get(at).is_none_or(|name| is_for_products(name))) {
        return quantize_to_integers(importer, site);
    }
    let Quantized { whole, scale } = quantized(importer, site, site.output_name(0)?)?;
    let shape = importer.builder.shape(scale).to_vec();
    let zero_point = Dynamic::ZeroPoint(whole.view.tensor);
    let scale = TensorValue { view: View::new(scale, &shape, &[]), dtype: DataType::Float32 };
    let values = [
        Value::Dynamic(Dynamic::Quantized(whole)),
        Value::Tensor(scale),
        Value::Dynamic(zero_point),
    ];
    for (&name, value) in site.node.outputs.iter().zip(values) {
        importer.bind(name, value);
    }
    Ok(())
}

/// DynamicQuantizeLinear whose integers others read than products.
fn quantize_to_integers<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let axes: Vec<usize> = (0..x.view.rank()).collect();
    let least = c.reduce(Operator::ReduceMin { keep_dims: true }, &x, &axes)?;
    let least = c.with(Operator::Minimum, &least, 0.0)?;
    let most = c.reduce(Operator::ReduceMax { keep_dims: true }, &x, &axes)?;
    let most = c.with(Operator::Maximum, &most, 0.0)?;
    let range = c.sub(&most, &least)?;
    let scale = c.with(DIV, &range, 255.0)?;
    let scale = c.with(Operator::Maximum, &scale, f32::MIN_POSITIVE)?;
    let below = c.div(&least, &scale)?;
    let below = c.map(Operator::Neg, &below)?;
    let clamped = |c: &mut Calculator<'_, 'a>, x: &TensorValue| {
        let x = c.map(Operator::Round, x)?;
        let x = c.with(Operator::Maximum, &x, 0.0)?;
        c.with(Operator::Minimum, &x, 255.0)
    };
    let zero = clamped(&mut c, &below)?;
    let steps = c.div(&x, &scale)?;
    let steps = c.map(Operator::Round, &steps)?;
    let whole = c.add(&steps, &zero)?;
    let whole = clamped(&mut c, &whole)?;
    let whole = c.cast(&whole, DataType::UInt8)?;
    c.give(0, whole);
    let scale = c.reshape(&scale, &[])?;
    c.give(1, scale);
    let zero = c.cast(&zero, DataType::UInt8)?;
    let zero = c.reshape(&zero, &[])?;
    c.give(2, zero);
    Ok(())
}

/// ConvInteger, MatMulInteger.
pub(super) fn accumulate<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let Value::Dynamic(Dynamic::Quantized(x)) = importer.input(site, 0)? else {
        return Err(site.unsupported("an operand that no DynamicQuantizeLinear made"));
    };
    match importer.optional_input(site, 2)? {
        Some(Value::Dynamic(Dynamic::ZeroPoint(of))) if of == x.view.tensor => {}
        _ => return Err(site.unsupported("another zero point than that of the operand")),
    }
    let weights = importer.constant_input(site, 1)?;
    let zero = importer.optional_constant(site, 3)?;
    // Sums of products: floats without a fraction for what reads them.
    let output = Output { target: None, ..importer.output(site)? };
    if site.node.operator == "ConvInteger" {
        let weights = Rc::new(whole_weights(site, &weights, zero.as_deref(), 0)?);
        let operands = Operands { x, weights, bias: None, names: [1, usize::MAX] };
        return convolve(importer, site, operands, output);
    }
    let weights = whole_weights(site, &weights, zero.as_deref(), -1)?;
    let weights = Rc::new(weights.transpose(&[1, 0], &mut importer.builder.budget)?);
    let operands = Operands { x, weights, bias: None, names: [1, usize::MAX] };
    linear::fully_connected(importer, site, operands, output)
}

/// Weights with a zero point and a scale of 1.
fn whole_weights(
    site: &Site<'_>,
    weights: &Constant,
    zero: Option<&Constant>,
    axis: i64,
) -> Result<Constant> {
    let zeros = zero.and_then(Constant::stored_integers).unwrap_or_default();
    // One for each channel is one for all where they are the same.
    let shared = zeros.iter().all(|other| Some(other) == zeros.first());
    let channels = if shared { 1 } else { zeros.len() };
    let ones = Constant::from_floats(vec![channels], &vec![1.0; channels]);
    let zero = zero.filter(|_| !shared || zeros.len() == 1);
    let mut whole = scaled(site, weights, &ones, zero, axis)?;
    if let (Some(scaling), true, Some(&first)) = (&mut whole.scaling, shared, zeros.first()) {
        scaling.zero_point = vec![i32::try_from(first).unwrap_or(0)];
    }
    Ok(whole)
}

/// com.microsoft's DynamicQuantizeMatMul: `a, b, scale of b, zero point of b, bias`.
pub(super) fn mat_mul<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let name = site.output_name(0)?;
    let weights = importer.constant_input(site, 1)?;
    let factors = importer.constant_input(site, 2)?.floats();
    let zero = importer.optional_constant(site, 3)?;
    let bias = importer.optional_constant(site, 4)?;
    let Quantized { whole, scale } = quantized(importer, site, name)?;
    let rank = whole.view.rank();
    let weights = whole_weights(site, &weights, zero.as_deref(), -1)?;
    let weights = Rc::new(weights.transpose(&[1, 0], &mut importer.builder.budget)?);
    let channels = weights.shape.first().copied().unwrap_or(0);
    if ![1, channels].contains(&factors.len()) {
        return Err(site.malformed(format!("{} scales for {channels} channels", factors.len())));
    }
    let sum = linear::product(importer, site, &whole.view, &weights, name)?;
    let shape = importer.builder.shape(sum.tensor).to_vec();
    let last = rank.saturating_sub(1);
    // The operand may lie in a tensor of another rank.
    let scale = importer.builder.reshape(scale, &vec![1; rank])?;
    let mut steps = Steps { builder: &mut importer.builder, name, count: 100 };
    let factors_tensor = steps.numbers(&factors)?;
    let mut scales = vec![1; last];
    scales.push(factors.len());
    let scale = steps.apply(MUL, &[scale, factors_tensor], &scales)?;
    let mut result = steps.apply(MUL, &[sum.tensor, scale], &shape)?;
    if let Some(bias) = bias {
        let Some(values) = tail::per_channel(&bias, last, rank, channels) else {
            return Err(site.malformed(format!("a bias of shape {:?}", bias.shape)));
        };
        let bias = steps.numbers(&values)?;
        result = steps.apply(ADD, &[result, bias], &shape)?;
    }
    importer
        .bind(name, Value::Tensor(TensorValue { view: sum.of(result), dtype: DataType::Float32 }));
    Ok(())
}
