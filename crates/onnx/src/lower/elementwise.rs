//! Operators on elements of several operands, broadcast.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Result, TensorId};

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
    let values = [importer.input(site, 0)?, importer.input(site, 1)?];
    let output = importer.output(site)?;
    arithmetic(importer, site, &values, operator, output)
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
fn plain<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    values: &[Value],
    operator: Operator,
    name: &'a str,
    dtype: Option<DataType>,
) -> Result<Value> {
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

/// Pow.
pub(super) fn pow<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let exponent = match importer.input(site, 1)? {
        Value::Constant(constant) => constant.scalar(),
        _ => None,
    };
    let operator = match exponent {
        Some(2.0) => Operator::Square,
        Some(0.5) => Operator::Sqrt,
        Some(1.0) => return super::movement::identity(importer, site),
        _ => {
            let values = [importer.input(site, 0)?, importer.input(site, 1)?];
            // The exponent may be of another type than the base.
            let exponent = match &values[1] {
                Value::Constant(constant) => Value::Constant(
                    Constant::from_floats(constant.shape.clone(), &constant.floats()).into(),
                ),
                other => other.clone(),
            };
            let values = [values[0].clone(), exponent];
            let name = site.output_name(0)?;
            let power = plain(importer, site, &values, Operator::Pow, name, None)?;
            importer.bind(name, power);
            return Ok(());
        }
    };
    super::activation::unary(importer, site, operator)
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

/// Mod: of integers, with the sign of the divisor.
pub(super) fn modulo<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if site.flag("fmod", false)? {
        return Err(site.unsupported_attribute("fmod", 1));
    }
    let values = [importer.input(site, 0)?, importer.input(site, 1)?];
    let name = site.output_name(0)?;
    let result = plain(importer, site, &values, Operator::FloorMod, name, None)?;
    importer.bind(name, result);
    Ok(())
}

/// Comparisons and logical operators, to bool.
pub(super) fn compare<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: Operator,
) -> Result<()> {
    let values = [importer.input(site, 0)?, importer.input(site, 1)?];
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
