//! Operators on elements of several operands, broadcast.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use super::calculator::Calculator;
use super::missing;
use super::quantized::{Output, Target};
use crate::constant::{Constant, elements};
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// Operands brought into one order of dimensions.
pub(super) struct Broadcast {
    pub tensors: Vec<TensorId>,
    /// The result's shape.
    pub shape: Vec<usize>,
    /// Which logical dimension each of the result's is.
    pub order: Vec<usize>,
}

/// The logical dimensions of a value.
fn dims_of(site: &Site<'_>, value: &Value) -> Result<Vec<usize>> {
    match value {
        Value::Constant(constant) => Ok(constant.shape.clone()),
        Value::Tensor(value) => Ok(value.view.dims()),
        Value::Dynamic(_) => {
            Err(site.unsupported("an operand is a part of a dynamic quantisation"))
        }
    }
}

/// What dimensions broadcast to.
pub(super) fn broadcast_dims(site: &Site<'_>, all: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = all.iter().map(|dims| dims.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for dims in all {
        let missing = rank.saturating_sub(dims.len());
        for (size, &dim) in result.iter_mut().skip(missing).zip(*dims) {
            match (*size, dim) {
                (_, 1) => {}
                (1, _) => *size = dim,
                (known, dim) if known == dim => {}
                _ => return Err(site.malformed(format!("{all:?} do not broadcast"))),
            }
        }
    }
    elements(&result).map_err(|error| site.explain(error))?;
    Ok(result)
}

/// Dimensions with ones in front.
fn padded(dims: &[usize], rank: usize) -> Vec<usize> {
    let mut wide = vec![1; rank.saturating_sub(dims.len())];
    wide.extend(dims);
    wide
}

impl<'a> Importer<'a> {
    /// Brings operands into one order, that of the largest computed one. `dims` is what they
    /// broadcast to. Constants are stored as they are: quantised ones quantised.
    pub(super) fn broadcast(
        &mut self,
        site: &Site<'a>,
        values: &[Value],
        dims: &[usize],
    ) -> Result<Broadcast> {
        let rank = dims.len();
        let mut views = Vec::with_capacity(values.len());
        for value in values {
            views.push(match value {
                Value::Tensor(value) => {
                    let wide = value.view.reshape(&padded(&value.view.dims(), rank));
                    Some(wide.ok_or_else(|| site.malformed("an operand of too many dimensions"))?)
                }
                _ => None,
            });
        }
        let size = |view: &&View| -> usize { view.dims().iter().product() };
        // The first of the largest leads.
        let lead = views.iter().flatten().rev().max_by_key(size).cloned();
        let order: Vec<usize> = match lead {
            Some(lead) => lead
                .order_in(self.builder.shape(lead.tensor))
                .unwrap_or_else(|| lead.natural_order()),
            None => (0..rank).collect(),
        };
        let mut tensors = Vec::with_capacity(values.len());
        for (at, (value, view)) in values.iter().zip(&views).enumerate() {
            tensors.push(match (value, view) {
                (_, Some(view)) => self.builder.in_order(view, &order)?,
                (Value::Constant(constant), None) => {
                    let name = site.input_name(at).unwrap_or_default();
                    self.ordered_constant(constant, &order, name)?
                }
                _ => return Err(site.unsupported("an operand is a part of a dynamic quantisation")),
            });
        }
        let shape = order.iter().map(|&axis| dims.get(axis).copied().unwrap_or(1)).collect();
        Ok(Broadcast { tensors, shape, order })
    }

    /// A constant with its dimensions in an order, without ones in front.
    pub(super) fn ordered_constant(
        &mut self,
        constant: &Constant,
        order: &[usize],
        name: &str,
    ) -> Result<TensorId> {
        let wide = constant.with_shape(padded(&constant.shape, order.len()));
        let turned = wide.transpose(order, &mut self.builder.budget)?;
        let ones = turned.shape.iter().take_while(|&&dim| dim == 1).count();
        let short = turned.shape.iter().skip(ones).copied().collect::<Vec<_>>();
        let short = turned.with_shape(if short.is_empty() { vec![1] } else { short });
        match &short.scaling {
            Some(_) => self.builder.add_constant(name, &short),
            None => self.builder.add_real_or_integers(name, &short),
        }
    }

    /// A constant of one number as an operand.
    pub(super) fn scalar(&mut self, name: &str, value: f32) -> Result<TensorId> {
        self.builder.add_constant(name, &Constant::from_floats(vec![1], &[value]))
    }

    /// Operands as quantised integers, if all of them are.
    fn quantized_operands(&self, values: &[Value]) -> Option<Vec<Value>> {
        let dtype = if self.unsigned { DataType::UInt8 } else { DataType::Int8 };
        values
            .iter()
            .map(|value| match value {
                Value::Tensor(value) => {
                    let stored = self.builder.tensor(value.view.tensor).dtype;
                    (self.is_quantized(value) && stored == dtype)
                        .then(|| Value::Tensor(value.clone()))
                }
                Value::Constant(constant) => {
                    let stored = self.stored_constant(constant);
                    let one_scale = stored.scaling.as_ref()?.per_tensor().is_some();
                    (one_scale && stored.dtype == dtype).then(|| Value::Constant(stored.into()))
                }
                Value::Dynamic(_) => None,
            })
            .collect()
    }

    /// Operands in ONNX's types.
    fn onnx_operands(&mut self, values: &[Value]) -> Result<Vec<Value>> {
        let mut operands = Vec::with_capacity(values.len());
        for value in values {
            operands.push(match value {
                Value::Tensor(value) => {
                    let view = self.as_onnx(value)?;
                    Value::Tensor(TensorValue { view, dtype: value.dtype })
                }
                Value::Constant(constant) if constant.scaling.is_some() => {
                    Value::Constant(constant.to_real().into())
                }
                other => other.clone(),
            });
        }
        Ok(operands)
    }
}

/// Add, Sub, Mul, Div.
pub(super) fn binary<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: fn(Activation) -> Operator,
) -> Result<()> {
    let values = pair(importer, site)?;
    let output = importer.output(site)?;
    arithmetic(importer, site, &values, operator, output)
}

/// The two operands of a node. Before opset 7 the second one says where its dimensions begin.
fn pair<'a>(importer: &Importer<'a>, site: &Site<'a>) -> Result<[Value; 2]> {
    let values = [importer.input(site, 0)?, importer.input(site, 1)?];
    let is_old = site.node.domain.is_empty() && site.opset < 7;
    if !(is_old && site.flag("broadcast", false)? && site.has("axis")) {
        return Ok(values);
    }
    let [a, b] = values;
    let rank = dims_of(site, &a)?.len();
    let axis = site.axis(site.int("axis", 0)?, rank)?;
    let mut dims = dims_of(site, &b)?;
    let behind = rank.checked_sub(axis.saturating_add(dims.len()));
    let Some(behind) = behind else {
        return Err(site.malformed(format!("{dims:?} at axis {axis} of {rank} dimensions")));
    };
    dims.extend(std::iter::repeat_n(1, behind));
    let b = match b {
        Value::Constant(constant) => Value::Constant(constant.with_shape(dims).into()),
        Value::Tensor(value) => {
            let view = value.view.reshape(&dims);
            let view = view.ok_or_else(|| site.malformed("an operand that cannot be spread"))?;
            Value::Tensor(TensorValue { view, ..value })
        }
        dynamic => dynamic,
    };
    Ok([a, b])
}

/// The type of integers that the model's operators take only where they are quantised.
fn narrow_type(value: &Value) -> Option<DataType> {
    let dtype = match value {
        Value::Tensor(value) if !value.is_real() => value.dtype,
        Value::Constant(constant) if !constant.is_real() => constant.dtype,
        _ => return None,
    };
    matches!(dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16).then_some(dtype)
}

impl<'a> Importer<'a> {
    /// Integers as int32.
    fn widened(&mut self, value: &Value, name: &str) -> Result<Value> {
        if narrow_type(value).is_none() {
            return Ok(value.clone());
        }
        match value {
            Value::Constant(constant) => {
                let values = constant.stored_integers().unwrap_or_default();
                self.builder.budget.take(values.len(), 16)?;
                // Of 16 bits at most.
                let narrow = values.iter().map(|&value| i32::try_from(value).unwrap_or(0));
                let data = narrow.flat_map(i32::to_le_bytes).collect();
                Ok(Importer::known(Constant::new(DataType::Int32, constant.shape.clone(), data)))
            }
            Value::Tensor(value) => {
                let view = self.as_onnx(value)?;
                let shape = self.builder.shape(view.tensor).to_vec();
                let (dtype, operands) = (DataType::Int32, [view.tensor]);
                let tensor =
                    self.builder.emit(Operator::Cast, &operands, name, dtype, &shape, None)?;
                Ok(Value::Tensor(TensorValue { view: view.of(tensor), dtype }))
            }
            dynamic => Ok(dynamic.clone()),
        }
    }
}

/// Arithmetic to an output.
pub(super) fn arithmetic<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    values: &[Value],
    operator: fn(Activation) -> Operator,
    mut output: Output<'a>,
) -> Result<()> {
    let all: Result<Vec<Vec<usize>>> = values.iter().map(|value| dims_of(site, value)).collect();
    let all = all?;
    let all: Vec<&[usize]> = all.iter().map(Vec::as_slice).collect();
    let dims = broadcast_dims(site, &all)?;
    let is_real = values.iter().all(|value| match value {
        Value::Tensor(value) => value.is_real(),
        Value::Constant(constant) => constant.is_real(),
        Value::Dynamic(_) => false,
    });
    if values.iter().any(|value| narrow_type(value).is_some()) {
        let result = plain(importer, site, values, operator(Activation::None), output.name, None)?;
        importer.bind(output.name, result);
        return Ok(());
    }
    let activation =
        if is_real { importer.fuse_activation(&mut output)? } else { Activation::None };
    let operator = operator(activation);
    let divides = matches!(operator, Operator::Div { .. });
    if let (Some(target), Some(quantized), false) =
        (output.target, importer.quantized_operands(values), divides)
    {
        let sum = importer.broadcast(site, &quantized, &dims)?;
        let Target { dtype, .. } = target;
        let quantization = Some(target.quantization());
        let tensor = importer.builder.emit(
            operator,
            &sum.tensors,
            output.name,
            dtype,
            &sum.shape,
            quantization,
        )?;
        importer.bind_output(&output, View::new(tensor, &sum.shape, &sum.order));
        return Ok(());
    }
    let values = importer.onnx_operands(values)?;
    let sum = importer.broadcast(site, &values, &dims)?;
    let tensor = importer.builder.emit_like(operator, &sum.tensors, output.name, &sum.shape)?;
    let dtype = importer.builder.tensor(tensor).dtype;
    let output = Output { dtype, ..output };
    importer.bind_output(&output, View::new(tensor, &sum.shape, &sum.order));
    Ok(())
}

/// An operator on operands in ONNX's types, whose result has the type `dtype`, or that of its
/// operands.
pub(super) fn plain<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    values: &[Value],
    operator: Operator,
    name: &str,
    dtype: Option<DataType>,
) -> Result<Value> {
    if let Some(narrow) = values.iter().find_map(narrow_type) {
        let mut wide = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            wide.push(importer.widened(value, &format!("{name}/wide {at}"))?);
        }
        let result = plain(importer, site, &wide, operator, &format!("{name}/wide"), dtype)?;
        let (Value::Tensor(value), None) = (&result, dtype) else { return Ok(result) };
        let shape = importer.builder.shape(value.view.tensor).to_vec();
        let operands = [value.view.tensor];
        let tensor =
            importer.builder.emit(Operator::Cast, &operands, name, narrow, &shape, None)?;
        return Ok(Value::Tensor(TensorValue { view: value.view.of(tensor), dtype: narrow }));
    }
    let all: Result<Vec<Vec<usize>>> = values.iter().map(|value| dims_of(site, value)).collect();
    let all = all?;
    let all: Vec<&[usize]> = all.iter().map(Vec::as_slice).collect();
    let dims = broadcast_dims(site, &all)?;
    let values = importer.onnx_operands(values)?;
    let operands = importer.broadcast(site, &values, &dims)?;
    let like = operands.tensors.last().map(|&id| importer.builder.tensor(id).dtype);
    let dtype = dtype.or(like).unwrap_or(DataType::Float32);
    let Broadcast { tensors, shape, order } = operands;
    let tensor = importer.builder.emit(operator, &tensors, name, dtype, &shape, None)?;
    Ok(Value::Tensor(TensorValue { view: View::new(tensor, &shape, &order), dtype }))
}

/// Pow: of the type of the base.
pub(super) fn pow<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let [base, exponent] = pair(importer, site)?;
    let is_real = |value: &Value| match value {
        Value::Tensor(value) => value.is_real(),
        Value::Constant(constant) => constant.is_real(),
        Value::Dynamic(_) => false,
    };
    if is_real(&base) {
        let number = match &exponent {
            Value::Constant(constant) => constant.scalar(),
            _ => None,
        };
        let operator = match number {
            Some(2.0) => Operator::Square,
            Some(0.5) => Operator::Sqrt,
            Some(1.0) => return super::movement::identity(importer, site),
            _ => Operator::Pow,
        };
        if operator != Operator::Pow {
            return super::activation::unary(importer, site, operator);
        }
    }
    let (base, exponent) = (
        importer.store(site, site.input_name(0).unwrap_or_default(), base)?,
        importer.store(site, site.input_name(1).unwrap_or_default(), exponent)?,
    );
    let mut c = Calculator::new(importer, site)?;
    let (base, exponent) = (c.onnx(&base)?, c.onnx(&exponent)?);
    // Whole numbers of 32 bits among themselves, all others as floats.
    let stays = base.dtype == DataType::Int32 && !exponent.is_real();
    let dtype = if stays { DataType::Int32 } else { DataType::Float32 };
    let (x, y) = (c.cast(&base, dtype)?, c.cast(&exponent, dtype)?);
    let power = c.pair(Operator::Pow, &x, &y)?;
    let power = match (base.is_real(), exponent.is_real()) {
        // Powers of whole numbers are whole.
        (false, false) if !stays => c.map(Operator::Round, &power)?,
        _ => power,
    };
    let power = c.cast(&power, base.dtype)?;
    c.give(0, power);
    Ok(())
}

/// Mean of any number of operands.
pub(super) fn mean<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let mut sum = c.input(0)?;
    for at in 1..site.node.inputs.len() {
        let next = c.input(at)?;
        sum = c.add(&sum, &next)?;
    }
    let mean = c.times(&sum, 1.0 / site.node.inputs.len() as f32)?;
    c.give(0, mean);
    Ok(())
}

/// Max, Min and Sum of any number of operands.
pub(super) fn variadic<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: Operator,
) -> Result<()> {
    let name = site.output_name(0)?;
    let mut result = importer.input(site, 0)?;
    for at in 1..site.node.inputs.len() {
        let values = [result, importer.input(site, at)?];
        result = plain(importer, site, &values, operator.clone(), name, None)?;
    }
    importer.bind(name, result);
    Ok(())
}

/// Mod: of integers with the sign of the divisor, or, as C's `fmod`, with that of the dividend.
pub(super) fn modulo<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let fmod = site.flag("fmod", false)?;
    let mut c = Calculator::new(importer, site)?;
    let (a, b) = (c.input(0)?, c.input(1)?);
    let result = match (fmod, a.is_real()) {
        (false, false) => c.pair(Operator::FloorMod, &a, &b)?,
        (true, true) => {
            // |a| - floor(|a| / |b|) * |b|, of the sign of a.
            let (x, y) = (c.map(Operator::Abs, &a)?, c.map(Operator::Abs, &b)?);
            let times = c.div(&x, &y)?;
            let times = c.map(Operator::Floor, &times)?;
            let whole = c.mul(&times, &y)?;
            let rest = c.sub(&x, &whole)?;
            let sign = c.map(Operator::Sign, &a)?;
            c.mul(&rest, &sign)?
        }
        (true, false) => {
            // Division of integers rounds towards zero.
            let times = c.div(&a, &b)?;
            let whole = c.mul(&times, &b)?;
            c.sub(&a, &whole)?
        }
        (false, true) => return Err(site.unsupported("floats need the attribute \"fmod\"")),
    };
    c.give(0, result);
    Ok(())
}

/// Comparisons and logical operators, to bool.
pub(super) fn compare<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: Operator,
) -> Result<()> {
    let values = pair(importer, site)?;
    let name = site.output_name(0)?;
    let result = plain(importer, site, &values, operator, name, Some(DataType::Bool))?;
    importer.bind(name, result);
    Ok(())
}

/// Where.
pub(super) fn select<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if site.node.inputs.len() != 3 {
        return Err(missing(site));
    }
    let values = [importer.input(site, 0)?, importer.input(site, 1)?, importer.input(site, 2)?];
    let name = site.output_name(0)?;
    let result = plain(importer, site, &values, Operator::SelectV2, name, None)?;
    importer.bind(name, result);
    Ok(())
}
