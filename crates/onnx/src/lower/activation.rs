//! Operators on the elements of one operand.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use super::calculator::Calculator;
use super::quantized::{Output, Target};
use super::tail::per_channel;
use crate::constant::Constant;
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// The scale and zero point that TensorFlow Lite fixes for an operator's 8-bit results, whose
/// range is known. `None` for one that has any.
fn fixed(operator: &Operator, dtype: DataType) -> Option<Target> {
    let (scale, zero_point) = match operator {
        Operator::Logistic | Operator::Softmax { .. } => (1.0 / 256.0, -128),
        Operator::Tanh => (1.0 / 128.0, 0),
        Operator::LogSoftmax => (16.0 / 256.0, 127),
        _ => return None,
    };
    // In the terms of int8; uint8 lies 128 higher.
    let zero_point: i32 =
        if dtype == DataType::UInt8 { i32::saturating_add(zero_point, 128) } else { zero_point };
    Some(Target { dtype, scale, zero_point })
}

/// Whether the model has the operator for 8-bit integers.
fn has_integer_form(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Relu
            | Operator::Relu6
            | Operator::Logistic
            | Operator::Tanh
            | Operator::HardSwish
            | Operator::LeakyRelu { .. }
            | Operator::Softmax { .. }
    )
}

/// An operator on the elements of the first operand.
pub(super) fn unary<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: Operator,
) -> Result<()> {
    let name = site.input_name(0).unwrap_or_default();
    unary_of(importer, site, name, operator)
}

/// An operator on the elements of a named value.
pub(super) fn unary_of<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    input: &'a str,
    operator: Operator,
) -> Result<()> {
    let Some(value) = importer.value(input).cloned() else {
        return Err(site.malformed(format!("{input:?} is not computed before")));
    };
    let value = importer.store(site, input, value)?;
    if !value.is_real() && value.dtype != DataType::Bool {
        return integers(importer, site, &value, operator);
    }
    let output = importer.output(site)?;
    apply(importer, value, operator, output)
}

/// An operator on integers.
fn integers<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    value: &TensorValue,
    operator: Operator,
) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let value = c.onnx(value)?;
    let wide = c.widened(&value)?;
    let result = match operator {
        Operator::Relu => c.with(Operator::Maximum, &wide, 0.0)?,
        Operator::Sign => {
            let above = c.with(Operator::Minimum, &wide, 1.0)?;
            c.with(Operator::Maximum, &above, -1.0)?
        }
        Operator::Abs | Operator::Neg | Operator::Square => c.map(operator, &wide)?,
        _ => return Err(site.unsupported(format!("{} is not supported", value.dtype))),
    };
    let result = c.cast(&result, value.dtype)?;
    c.give(0, result);
    Ok(())
}

/// An operator on the elements of a value, to an output.
pub(super) fn apply<'a>(
    importer: &mut Importer<'a>,
    value: TensorValue,
    operator: Operator,
    output: Output<'a>,
) -> Result<()> {
    if !value.is_real() {
        let shape = importer.builder.shape(value.view.tensor).to_vec();
        let tensor =
            importer.builder.emit_like(operator, &[value.view.tensor], output.name, &shape)?;
        let output = Output { dtype: value.dtype, ..output };
        importer.bind_output(&output, value.view.of(tensor));
        return Ok(());
    }
    // RELU keeps its operand's scale where no other is asked for: nothing is lost.
    let target = match operator {
        Operator::Relu => output.target.or_else(|| importer.target_like(&value)),
        _ => output.target,
    };
    let is_integer = importer.is_quantized(&value) && has_integer_form(&operator);
    match target.filter(|_| is_integer) {
        Some(target) => {
            let own = fixed(&operator, target.dtype).unwrap_or(target);
            let name =
                if own == target { output.name.to_owned() } else { format!("{}/own", output.name) };
            let source = value.view.tensor;
            let shape = importer.builder.shape(source).to_vec();
            let quantization = Some(own.quantization());
            let tensor = importer.builder.emit(
                operator,
                &[source],
                &name,
                own.dtype,
                &shape,
                quantization,
            )?;
            let view = value.view.of(tensor);
            importer.bind_requantized(&Output { target: Some(target), ..output }, view)
        }
        None => {
            let view = importer.as_onnx(&value)?;
            let shape = importer.builder.shape(view.tensor).to_vec();
            let tensor =
                importer.builder.emit_like(operator, &[view.tensor], output.name, &shape)?;
            importer.bind_output(&output, view.of(tensor));
            Ok(())
        }
    }
}

/// A chain of operators on the floats of one operand, each with at most one constant beside it.
pub(super) struct Chain<'c, 'a> {
    importer: &'c mut Importer<'a>,
    name: &'a str,
    shape: Vec<usize>,
    step: usize,
}

impl<'c, 'a> Chain<'c, 'a> {
    pub fn new(importer: &'c mut Importer<'a>, name: &'a str, tensor: TensorId) -> Self {
        let shape = importer.builder.shape(tensor).to_vec();
        Self { importer, name, shape, step: 0 }
    }

    fn next_name(&mut self) -> String {
        self.step = self.step.saturating_add(1);
        format!("{}/step {}", self.name, self.step)
    }

    /// One operator on tensors of the chain's shape.
    pub fn then(&mut self, operator: Operator, operands: &[TensorId]) -> Result<TensorId> {
        let name = self.next_name();
        self.importer.builder.emit_like(operator, operands, &name, &self.shape)
    }

    /// One operator with a number as its second operand.
    pub fn with(&mut self, operator: Operator, operand: TensorId, number: f32) -> Result<TensorId> {
        let name = self.next_name();
        let constant = self.importer.scalar(&format!("{name}/constant"), number)?;
        self.importer.builder.emit_like(operator, &[operand, constant], &name, &self.shape)
    }
}

pub(super) const ADD: Operator = Operator::Add { activation: Activation::None };
pub(super) const SUB: Operator = Operator::Sub { activation: Activation::None };
pub(super) const MUL: Operator = Operator::Mul { activation: Activation::None };
pub(super) const DIV: Operator = Operator::Div { activation: Activation::None };

/// The floats of the first operand, through a chain, to the first result.
fn chain<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    build: impl FnOnce(&mut Chain<'_, 'a>, TensorId) -> Result<TensorId>,
) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    let name = site.output_name(0)?;
    let mut chain = Chain::new(importer, name, view.tensor);
    let tensor = build(&mut chain, view.tensor)?;
    importer.bind_view(site, view.of(tensor), DataType::Float32)
}

/// Clip.
pub(super) fn clip<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let Some(range) = importer.clip_range(site).filter(|_| value.is_real()) else {
        let mut c = Calculator::new(importer, site)?;
        let mut x = c.onnx(&value)?;
        for (at, operator) in [(1, Operator::Maximum), (2, Operator::Minimum)] {
            if let Some(bound) = c.optional(at)? {
                x = c.pair(operator, &x, &bound)?;
            }
        }
        c.give(0, x);
        return Ok(());
    };
    match range {
        (0.0, 6.0) => unary(importer, site, Operator::Relu6),
        (-1.0, 1.0) => unary(importer, site, Operator::ReluN1To1),
        (0.0, 1.0) => unary(importer, site, Operator::Relu0To1),
        (0.0, f32::INFINITY | f32::MAX) => unary(importer, site, Operator::Relu),
        (low, high) => chain(importer, site, |chain, x| {
            let x = if low > f32::MIN { chain.with(Operator::Maximum, x, low)? } else { x };
            if high < f32::MAX { chain.with(Operator::Minimum, x, high) } else { Ok(x) }
        }),
    }
}

/// LeakyRelu.
pub(super) fn leaky_relu<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let alpha = site.float("alpha", 0.01)?;
    unary(importer, site, Operator::LeakyRelu { alpha })
}

/// PRelu.
pub(super) fn prelu<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let Some(slope) = importer.constant_of(site, 1) else {
        let mut c = Calculator::new(importer, site)?;
        let (x, slope) = (c.input(0)?, c.input(1)?);
        let above = c.map(Operator::Relu, &x)?;
        let below = c.with(Operator::Minimum, &x, 0.0)?;
        let below = c.mul(&below, &slope)?;
        let result = c.add(&above, &below)?;
        c.give(0, result);
        return Ok(());
    };
    let view = importer.onnx_input(site, 0)?;
    let rank = view.rank();
    let channels = view.dims().get(1).copied().unwrap_or(1);
    // Old files say [c] for what has to be [c, 1, 1].
    let slope = match per_channel(&slope, 1, rank, channels) {
        None if slope.shape == [channels] && rank > 2 => {
            let mut shape = vec![channels];
            shape.resize(rank.saturating_sub(1), 1);
            slope.with_shape(shape)
        }
        _ => (*slope).clone(),
    };
    let (tensor, order) = importer.builder.one_by_one(&view)?;
    let name = site.output_name(0)?;
    let slope_name = site.input_name(1).unwrap_or_default();
    let slope = importer.ordered_constant(&slope.to_real(), &order, slope_name)?;
    let shape = importer.builder.shape(tensor).to_vec();
    let tensor = importer.builder.emit_like(Operator::Prelu, &[tensor, slope], name, &shape)?;
    importer.bind_view(site, View::new(tensor, &shape, &order), DataType::Float32)
}

/// Elu.
pub(super) fn elu<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    match site.float("alpha", 1.0)? {
        1.0 => unary(importer, site, Operator::Elu),
        // alpha * elu(min(x, 0)) + max(x, 0)
        alpha => chain(importer, site, |chain, x| {
            let below = chain.with(Operator::Minimum, x, 0.0)?;
            let below = chain.then(Operator::Elu, &[below])?;
            let below = chain.with(MUL, below, alpha)?;
            let above = chain.then(Operator::Relu, &[x])?;
            chain.then(ADD, &[below, above])
        }),
    }
}

/// Selu: `gamma * (max(x, 0) + alpha * elu(min(x, 0)))`.
pub(super) fn selu<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let is_first = site.opset < 6;
    let alpha = site.float("alpha", if is_first { 1.6732 } else { 1.673_263_2 })?;
    let gamma = site.float("gamma", if is_first { 1.0507 } else { 1.050_701 })?;
    chain(importer, site, |chain, x| {
        let below = chain.with(Operator::Minimum, x, 0.0)?;
        let below = chain.then(Operator::Elu, &[below])?;
        let below = chain.with(MUL, below, alpha)?;
        let above = chain.then(Operator::Relu, &[x])?;
        let both = chain.then(ADD, &[below, above])?;
        chain.with(MUL, both, gamma)
    })
}

/// HardSigmoid: `min(max(alpha * x + beta, 0), 1)`.
pub(super) fn hard_sigmoid<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let alpha = site.float("alpha", 0.2)?;
    let beta = site.float("beta", 0.5)?;
    chain(importer, site, |chain, x| {
        // relu6(x + 3) / 6 where that is what is meant: the sum takes the clamp with it.
        if (alpha - 1.0 / 6.0).abs() < 1e-4 && beta == 0.5 {
            let activation = Activation::Relu6;
            let sum = chain.with(Operator::Add { activation }, x, 3.0)?;
            return chain.with(MUL, sum, 1.0 / 6.0);
        }
        let x = chain.with(MUL, x, alpha)?;
        let x = chain.with(ADD, x, beta)?;
        chain.then(Operator::Relu0To1, &[x])
    })
}

/// `max(x, 0) + log(1 + exp(-|x|))`, which does not overflow.
fn softplus_of(chain: &mut Chain<'_, '_>, x: TensorId) -> Result<TensorId> {
    let below = chain.then(Operator::Abs, &[x])?;
    let below = chain.then(Operator::Neg, &[below])?;
    let below = chain.then(Operator::Exp, &[below])?;
    let below = chain.with(ADD, below, 1.0)?;
    let below = chain.then(Operator::Log, &[below])?;
    let above = chain.then(Operator::Relu, &[x])?;
    chain.then(ADD, &[above, below])
}

/// Softplus.
pub(super) fn softplus<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    chain(importer, site, softplus_of)
}

/// Softsign: `x / (1 + |x|)`.
pub(super) fn softsign<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    chain(importer, site, |chain, x| {
        let size = chain.then(Operator::Abs, &[x])?;
        let size = chain.with(ADD, size, 1.0)?;
        chain.then(DIV, &[x, size])
    })
}

/// Mish: `x * tanh(softplus(x))`.
pub(super) fn mish<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    chain(importer, site, |chain, x| {
        let softplus = softplus_of(chain, x)?;
        let gate = chain.then(Operator::Tanh, &[softplus])?;
        chain.then(MUL, &[x, gate])
    })
}

/// Gelu.
pub(super) fn gelu<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let approximate = match site.text("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => return Err(site.unsupported_attribute("approximate", other)),
    };
    unary(importer, site, Operator::Gelu { approximate })
}

/// Reciprocal.
pub(super) fn reciprocal<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    let name = site.output_name(0)?;
    let one = importer.scalar(&format!("{name}/one"), 1.0)?;
    let shape = importer.builder.shape(view.tensor).to_vec();
    let tensor = importer.builder.emit_like(DIV, &[one, view.tensor], name, &shape)?;
    importer.bind_view(site, view.of(tensor), DataType::Float32)
}

/// Hardmax: 1 at the first greatest element of a dimension.
pub(super) fn hardmax<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let is_old = site.opset < 13;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let axis = site.axis(site.int("axis", if is_old { 1 } else { -1 })?, dims.len())?;
    // Before opset 13 over that dimension and all behind it.
    let (x, axis) = match is_old {
        true => {
            let rows = dims.iter().take(axis).product();
            let columns = dims.iter().skip(axis).product();
            (c.reshape(&x, &[rows, columns])?, 1)
        }
        false => (x, axis),
    };
    let own = x.view.dims();
    let size = own.get(axis).copied().unwrap_or(1);
    let mut shape = vec![1; own.len()];
    if let Some(own) = shape.get_mut(axis) {
        *own = size;
    }
    let places: Vec<i64> = (0..i64::try_from(size).unwrap_or(0)).collect();
    let places = c.constant(&Constant::from_integers(shape, &places))?;
    let greatest = c.arg(Operator::ArgMax, &x, axis)?;
    let hit = c.test(Operator::Equal, &greatest, &places)?;
    let result = c.cast(&hit, DataType::Float32)?;
    let result = c.reshape(&result, &dims)?;
    c.give(0, result);
    Ok(())
}

/// Softmax.
pub(super) fn softmax<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = importer.tensor_input(site, 0)?;
    let output = importer.output(site)?;
    softmax_to(importer, site, x, Operator::Softmax { beta: 1.0 }, output)
}

/// LogSoftmax.
pub(super) fn log_softmax<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    let x = TensorValue { view, dtype: DataType::Float32 };
    let output = importer.output(site)?;
    softmax_to(importer, site, x, Operator::LogSoftmax, output)
}

/// A softmax over one dimension, before opset 13 over that one and all behind it.
pub(super) fn softmax_to<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    x: TensorValue,
    operator: Operator,
    output: Output<'a>,
) -> Result<()> {
    let dims = x.view.dims();
    let rank = dims.len();
    // com.microsoft.QLinearSoftmax carries the opset whose meaning it has.
    let opset = match site.node.domain {
        "" => site.opset,
        _ => site.int("opset", 13)?,
    };
    let is_old = opset < 13;
    let axis = site.axis(site.int("axis", if is_old { 1 } else { -1 })?, rank)?;
    // The softmax runs over the last dimension of the tensor: the others go before it.
    let (view, order) = if is_old {
        let rows: usize = dims.iter().take(axis).product();
        let columns: usize = dims.iter().skip(axis).product();
        let flat = x.view.reshape(&[rows, columns]);
        let flat = flat.ok_or_else(|| site.malformed("a softmax over a part of a dimension"))?;
        (flat, vec![0, 1])
    } else {
        let mut order: Vec<usize> = x
            .view
            .order_in(importer.builder.shape(x.view.tensor))
            .unwrap_or_else(|| x.view.natural_order());
        order.retain(|&at| at != axis);
        order.push(axis);
        (x.view.clone(), order)
    };
    let x = TensorValue { view, ..x };
    let target = output.target.filter(|_| importer.is_quantized(&x));
    let view = match target {
        Some(_) => x.view,
        None => importer.as_onnx(&x)?,
    };
    let tensor = importer.builder.in_order(&view, &order)?;
    let shape = importer.builder.shape(tensor).to_vec();
    let (tensor, own) = match target {
        Some(target) => {
            let own = fixed(&operator, target.dtype).unwrap_or(target);
            let name =
                if own == target { output.name.to_owned() } else { format!("{}/own", output.name) };
            let quantization = Some(own.quantization());
            let builder = &mut importer.builder;
            (builder.emit(operator, &[tensor], &name, own.dtype, &shape, quantization)?, true)
        }
        None => (importer.builder.emit_like(operator, &[tensor], output.name, &shape)?, false),
    };
    let view = View::new(tensor, &shape, &order);
    let view = if is_old { view.reshape(&dims).unwrap_or(view) } else { view };
    match own {
        true => importer.bind_requantized(&output, view),
        false => {
            importer.bind_output(&output, view);
            Ok(())
        }
    }
}

impl<'a> Importer<'a> {
    /// A constant as a value that the importer knows.
    pub(super) fn known(constant: Constant) -> Value {
        Value::Constant(constant.into())
    }
}
