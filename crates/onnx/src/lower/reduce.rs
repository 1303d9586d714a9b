//! Operators that reduce dimensions.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Operator, Result};

use super::calculator::Calculator;
use crate::fold::shapes;
use crate::import::Importer;
use crate::site::Site;
use crate::view::View;

/// The logical dimensions that a node reduces; `None` where it reduces nothing.
fn axes<'a>(importer: &Importer<'a>, site: &Site<'a>, rank: usize) -> Result<Option<Vec<usize>>> {
    let named = match site.ints("axes")? {
        Some(axes) => Some(axes.to_vec()),
        None => importer.optional_integers(site, 1)?,
    };
    shapes::reduced_axes(site, named.as_deref(), rank)
}

/// ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd.
pub(super) fn reduce<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: fn(bool) -> Operator,
) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let operator: fn(bool) -> Operator = match (operator(true), value.dtype) {
        (Operator::ReduceMax { .. }, DataType::Bool) => {
            |keep_dims| Operator::ReduceAny { keep_dims }
        }
        (Operator::ReduceMin { .. }, DataType::Bool) => {
            |keep_dims| Operator::ReduceAll { keep_dims }
        }
        _ => operator,
    };
    let output = importer.output(site)?;
    let Some(axes) = axes(importer, site, value.view.rank())? else {
        return importer.bind_view(site, value.view.clone(), value.dtype);
    };
    let keep = site.flag("keepdims", true)?;
    let is_mean = matches!(operator(keep), Operator::Mean { .. });
    let target = output.target.filter(|_| is_mean && importer.is_quantized(&value));
    let view = match target {
        Some(_) => value.view.clone(),
        None => importer.as_onnx(&value)?,
    };
    let (tensor, shape, order) = prepared(importer, &view, &axes, keep)?;
    let places = places(&order.0, &axes);
    let name = output.name;
    let builder = &mut importer.builder;
    let indices = builder.add_integers(&format!("{name}/axes"), &places)?;
    let operands = [tensor, indices];
    let tensor = match target {
        Some(target) => {
            let quantization = Some(target.quantization());
            builder.emit(operator(keep), &operands, name, target.dtype, &shape, quantization)?
        }
        None => builder.emit_like(operator(keep), &operands, name, &shape)?,
    };
    importer.bind_view(site, View::new(tensor, &shape, &order.1), value.dtype)
}

/// The order of the operand's dimensions and that of the result's.
type Orders = (Vec<usize>, Vec<usize>);

/// The operand one dimension by one, and the shape and orders of what is left of it.
fn prepared(
    importer: &mut Importer<'_>,
    view: &View,
    axes: &[usize],
    keep: bool,
) -> Result<(achado_model::TensorId, Vec<usize>, Orders)> {
    let (tensor, order) = importer.builder.one_by_one(view)?;
    let sizes = importer.builder.shape(tensor).to_vec();
    let mut shape = Vec::new();
    let mut left = Vec::new();
    for (&axis, &size) in order.iter().zip(&sizes) {
        if !axes.contains(&axis) {
            shape.push(size);
            // Where dimensions go away, those behind them move up.
            let gone = axes.iter().filter(|&&gone| gone < axis).count();
            left.push(if keep { axis } else { axis.saturating_sub(gone) });
        } else if keep {
            shape.push(1);
            left.push(axis);
        }
    }
    Ok((tensor, shape, (order, left)))
}

/// The tensor's dimensions that hold logical dimensions.
fn places(order: &[usize], axes: &[usize]) -> Vec<usize> {
    (order.iter().enumerate()).filter(|(_, axis)| axes.contains(axis)).map(|(at, _)| at).collect()
}

/// Sums of sizes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Norm {
    L1,
    L2,
    SumSquare,
}

/// ReduceL1, ReduceL2, ReduceSumSquare.
pub(super) fn norm<'a>(importer: &mut Importer<'a>, site: &Site<'a>, norm: Norm) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    let all: Vec<usize> = (0..view.rank()).collect();
    let axes = axes(importer, site, view.rank())?.unwrap_or(all);
    let keep_dims = site.flag("keepdims", true)?;
    let (tensor, shape, (order, left)) = prepared(importer, &view, &axes, keep_dims)?;
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let whole = builder.shape(tensor).to_vec();
    let size = if norm == Norm::L1 { Operator::Abs } else { Operator::Square };
    let sizes = builder.emit_like(size, &[tensor], &format!("{name}/sizes"), &whole)?;
    let indices = builder.add_integers(&format!("{name}/axes"), &places(&order, &axes))?;
    let sum_name = if norm == Norm::L2 { format!("{name}/sum") } else { name.to_owned() };
    let sum = Operator::Sum { keep_dims };
    let mut tensor = builder.emit_like(sum, &[sizes, indices], &sum_name, &shape)?;
    if norm == Norm::L2 {
        tensor = builder.emit_like(Operator::Sqrt, &[tensor], name, &shape)?;
    }
    importer.bind_view(site, View::new(tensor, &shape, &left), DataType::Float32)
}

/// ReduceLogSum, and with `exponentials` ReduceLogSumExp.
pub(super) fn log_sum<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    exponentials: bool,
) -> Result<()> {
    let rank = importer.tensor_input(site, 0)?.view.rank();
    let axes = axes(importer, site, rank)?;
    let keep = site.flag("keepdims", true)?;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let axes = axes.unwrap_or_default();
    let sum = Operator::Sum { keep_dims: true };
    let result = if exponentials {
        // Without overflow: the greatest one is taken out.
        let greatest = c.reduce(Operator::ReduceMax { keep_dims: true }, &x, &axes)?;
        let below = c.sub(&x, &greatest)?;
        let powers = c.map(Operator::Exp, &below)?;
        let total = c.reduce(sum, &powers, &axes)?;
        let total = c.map(Operator::Log, &total)?;
        c.add(&total, &greatest)?
    } else {
        let total = c.reduce(sum, &x, &axes)?;
        c.map(Operator::Log, &total)?
    };
    let dims = result.view.dims();
    let left: Vec<usize> = (dims.iter().enumerate())
        .filter(|(axis, _)| keep || !axes.contains(axis))
        .map(|(_, &size)| size)
        .collect();
    let result = c.reshape(&result, &left)?;
    c.give(0, result);
    Ok(())
}

/// ArgMax, ArgMin; of equal elements the last one where that is asked for.
pub(super) fn arg<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operator: Operator,
) -> Result<()> {
    if site.flag("select_last_index", false)? {
        let keep = site.flag("keepdims", true)?;
        let mut c = Calculator::new(importer, site)?;
        let x = c.input(0)?;
        let axis = site.axis(site.int("axis", 0)?, x.view.rank())?;
        let mut dims = x.view.dims();
        let size = dims.get(axis).copied().unwrap_or(1);
        let backwards: Vec<usize> = (0..size).rev().collect();
        let turned = c.pick(&x, axis, &backwards)?;
        let index = c.arg(operator, &turned, axis)?;
        let last = c.number(size.saturating_sub(1) as f32, DataType::Int64)?;
        let index = c.sub(&last, &index)?;
        match dims.get_mut(axis) {
            Some(size) if keep => *size = 1,
            _ => {
                dims.remove(axis);
            }
        }
        let index = c.reshape(&index, &dims)?;
        c.give(0, index);
        return Ok(());
    }
    let view = importer.onnx_input(site, 0)?;
    let axis = site.axis(site.int("axis", 0)?, view.rank())?;
    let keep = site.flag("keepdims", true)?;
    // The model's operator always drops the dimension.
    let (tensor, shape, (order, left)) = prepared(importer, &view, &[axis], false)?;
    let place = order.iter().position(|&at| at == axis).unwrap_or(0);
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let place = builder.add_int32(&format!("{name}/axis"), Vec::new(), &[place])?;
    let tensor = builder.emit(operator, &[tensor, place], name, DataType::Int64, &shape, None)?;
    let result = View::new(tensor, &shape, &left);
    let result = match keep {
        true => {
            let mut dims = view.dims();
            if let Some(size) = dims.get_mut(axis) {
                *size = 1;
            }
            importer.reshaped(site, &result, &dims)?
        }
        false => result,
    };
    importer.bind_view(site, result, DataType::Int64)
}

/// CumSum.
pub(super) fn cumulative_sum<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    let axis = match importer.optional_integers(site, 1)?.as_deref() {
        Some(&[axis]) => site.axis(axis, view.rank())?,
        _ => return Err(site.malformed("the axis is missing")),
    };
    let operator = Operator::Cumsum {
        exclusive: site.flag("exclusive", false)?,
        reverse: site.flag("reverse", false)?,
    };
    let (tensor, order) = importer.builder.one_by_one(&view)?;
    let place = order.iter().position(|&at| at == axis).unwrap_or(0);
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let shape = builder.shape(tensor).to_vec();
    let place = builder.add_int32(&format!("{name}/axis"), Vec::new(), &[place])?;
    let tensor = builder.emit_like(operator, &[tensor, place], name, &shape)?;
    let dtype = importer.builder.tensor(tensor).dtype;
    importer.bind_view(site, View::new(tensor, &shape, &order), dtype)
}
