//! Matrix products.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use super::calculator::Calculator;
use super::convolution::{Form, Operands, check_bias};
use super::quantized::Output;
use super::tail::per_channel;
use crate::constant::Constant;
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// Gemm: `alpha * a * b + beta * c`.
pub(super) fn gemm<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut x = importer.tensor_input(site, 0)?;
    if x.view.rank() != 2 {
        return Err(site.malformed(format!("the first operand has shape {:?}", x.view.dims())));
    }
    if site.flag("transA", false)? {
        x.view = x.view.transpose(&[1, 0]);
    }
    let turned = site.flag("transB", false)?;
    let (alpha, beta) = (site.float("alpha", 1.0)?, site.float("beta", 1.0)?);
    let mut output = importer.output(site)?;
    let b = importer.input(site, 1)?;
    let c = importer.optional_input(site, 2)?;
    let Value::Constant(b) = b else {
        let mut steps = Calculator::new(importer, site)?;
        let (a, b) = (steps.onnx(&x)?, steps.input(1)?);
        if b.view.rank() != 2 {
            return Err(site.malformed(format!("the second operand has shape {:?}", b.view.dims())));
        }
        let b = if turned { steps.transpose(&b, &[1, 0]) } else { b };
        let mut sum = steps.product(&a, &b)?;
        if alpha != 1.0 {
            sum = steps.times(&sum, alpha)?;
        }
        if let Some(mut c) = steps.optional(2)? {
            if beta != 1.0 {
                c = steps.times(&c, beta)?;
            }
            sum = steps.add(&sum, &c)?;
        }
        steps.give(0, sum);
        return Ok(());
    };
    let mut weights = Rc::clone(&b);
    if weights.shape.len() != 2 {
        return Err(site.malformed(format!("the second operand has shape {:?}", b.shape)));
    }
    if !turned {
        weights = Rc::new(weights.transpose(&[1, 0], &mut importer.builder.budget)?);
    }
    if alpha != 1.0 {
        let values: Vec<f32> = weights.floats().iter().map(|value| value * alpha).collect();
        weights = Rc::new(Constant::from_floats(weights.shape.clone(), &values));
    }
    let out = weights.shape.first().copied().unwrap_or(0);
    // A bias of one number a column becomes a part of the operator.
    let bias = match &c {
        Some(Value::Constant(c)) if c.scaling.is_some() && beta == 1.0 && c.len() == out => {
            Some(Rc::new(c.with_shape(vec![out])))
        }
        Some(Value::Constant(c)) => per_channel(c, 1, 2, out).map(|values| {
            let values: Vec<f32> = values.iter().map(|value| value * beta).collect();
            Rc::new(Constant::from_floats(vec![out], &values))
        }),
        _ => None,
    };
    let rest = c.filter(|_| bias.is_none());
    if rest.is_none() {
        let operands = Operands { x, weights, bias, names: [1, 2] };
        return fully_connected(importer, site, operands, output);
    }
    let last = Output { target: None, ..output };
    output.target = None;
    // Others are added behind; nothing is fused into the product.
    let x = TensorValue { view: importer.as_onnx(&x)?, dtype: DataType::Float32 };
    let view = product(importer, site, &x.view, &weights, output.name)?;
    let mut steps = Calculator::new(importer, site)?;
    let mut c = steps.input(2)?;
    if beta != 1.0 {
        c = steps.times(&c, beta)?;
    }
    let c = c.view;
    let dims = view.dims();
    let sum = importer.broadcast(
        site,
        &[
            Value::Tensor(TensorValue { view, dtype: DataType::Float32 }),
            Value::Tensor(TensorValue { view: c, dtype: DataType::Float32 }),
        ],
        &dims,
    )?;
    let operator = Operator::Add { activation: Activation::None };
    let tensor = importer.builder.emit_like(operator, &sum.tensors, last.name, &sum.shape)?;
    importer.bind_output(&last, View::new(tensor, &sum.shape, &sum.order));
    Ok(())
}

/// A float product with constant weights `[out, in]`, without bias.
pub(super) fn product<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    x: &View,
    weights: &Constant,
    name: &str,
) -> Result<View> {
    let (x, weights, mut shape) = columns(importer, site, x, weights)?;
    shape.pop();
    shape.extend(weights.shape.first());
    let weights =
        importer.builder.add_real_constant(site.input_name(1).unwrap_or(name), &weights)?;
    let keep_num_dims = shape.len() != 2;
    let operator = Operator::FullyConnected { activation: Activation::None, keep_num_dims };
    let inputs = vec![Some(x), Some(weights), None];
    let name = format!("{name}/product");
    let tensor =
        importer.builder.emit_optional(operator, inputs, &name, DataType::Float32, &shape, None)?;
    Ok(View::plain(tensor, &shape))
}

/// MatMul.
pub(super) fn mat_mul<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let a = importer.input(site, 0)?;
    let b = importer.input(site, 1)?;
    let output = importer.output(site)?;
    match (a, b) {
        (Value::Tensor(x), Value::Constant(b)) if b.shape.len() == 2 && x.view.rank() >= 2 => {
            let weights = Rc::new(b.transpose(&[1, 0], &mut importer.builder.budget)?);
            let operands = Operands { x, weights, bias: None, names: [1, 2] };
            fully_connected(importer, site, operands, output)
        }
        _ => {
            let a = importer.onnx_input(site, 0)?;
            let b = importer.onnx_input(site, 1)?;
            batch_mat_mul(importer, site, &a, &b, output.name)
        }
    }
}

/// A product with constant weights `[out, in]` over the last dimension, to an output.
pub(super) fn fully_connected<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    operands: Operands,
    mut output: Output<'a>,
) -> Result<()> {
    let Operands { x, weights, bias, names } = operands;
    let rank = x.view.rank();
    let out = weights.shape.first().copied().unwrap_or(0);
    if out == 0 {
        return Err(site.malformed("the weights are empty"));
    }
    let form = Form::of(importer, &x, &weights);
    let last = rank.saturating_sub(1);
    let tail = importer.fuse_tail(&mut output, last, rank, out, form.affine())?;
    let form = form.settle(output.target);
    let view = form.input(importer, x)?;
    let (tensor, weights, mut shape) = columns(importer, site, &view, &weights)?;
    let (weights, bias) =
        form.operands(importer, site, tensor, &weights, bias.as_deref(), &tail)?;
    check_bias(site, bias.as_ref(), out)?;
    shape.pop();
    shape.push(out);
    let keep_num_dims = rank != 2;
    let operator = Operator::FullyConnected { activation: tail.activation, keep_num_dims };
    let operands = [Some(&weights), bias.as_ref()];
    let tensor = form.emit(importer, site, operator, tensor, operands, names, &shape, &output)?;
    importer.bind_output(&output, View::plain(tensor, &shape));
    Ok(())
}

/// Rows of the last logical dimension as the tensor holds them, and the weights `[out, in]` with
/// their columns in that order: a picture that was flattened stays as it lies.
fn columns<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    view: &View,
    weights: &Constant,
) -> Result<(TensorId, Constant, Vec<usize>)> {
    let dims = view.dims();
    let rank = dims.len();
    let (Some(&depth), Some(last)) = (dims.last(), rank.checked_sub(1)) else {
        return Err(site.malformed("a product with a scalar"));
    };
    let &[out, columns] = &weights.shape[..] else {
        return Err(site.malformed(format!("weights of shape {:?}", weights.shape)));
    };
    if columns != depth {
        return Err(site.malformed(format!("{columns} columns of weights for rows of {depth}")));
    }
    let rows: Vec<usize> = (0..last).collect();
    let leading = view.sequence(&rows);
    let inner = view.axis(last);
    let all: Vec<usize> = (0..rank).collect();
    if view.is_in_order(&all) || !leading.iter().copied().eq(0..leading.len()) {
        let tensor = importer.builder.in_order(view, &all)?;
        return Ok((tensor, weights.clone(), dims));
    }
    // The inner factors as they lie in the tensor, by their places in the logical order.
    let sizes: Vec<usize> =
        inner.iter().map(|&factor| view.factors().get(factor).copied().unwrap_or(1)).collect();
    let mut order: Vec<usize> = (0..inner.len()).collect();
    order.sort_by_key(|&at| inner.get(at).copied());
    let mut split = vec![out];
    split.extend(&sizes);
    let mut turn = vec![0];
    turn.extend(order.iter().map(|at| at.saturating_add(1)));
    let turned = weights
        .with_shape(split)
        .transpose(&turn, &mut importer.builder.budget)?
        .with_shape(vec![out, depth]);
    let tensor = importer.builder.reshape(view.tensor, &dims)?;
    Ok((tensor, turned, dims))
}

/// A product of two computed operands over their last two dimensions.
fn batch_mat_mul<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    a: &View,
    b: &View,
    name: &'a str,
) -> Result<()> {
    let (a_dims, b_dims) = (a.dims(), b.dims());
    // Vectors are rows and columns whose dimension goes away again.
    let (is_row, is_column) = (a_dims.len() == 1, b_dims.len() == 1);
    let widen = |view: &View, dims: Vec<usize>| {
        view.reshape(&dims).ok_or_else(|| site.malformed("a vector cannot be seen as a matrix"))
    };
    let a = if is_row { widen(a, vec![1, a_dims.iter().product()])? } else { a.clone() };
    let b = if is_column { widen(b, vec![b_dims.iter().product(), 1])? } else { b.clone() };
    let (a_dims, b_dims) = (a.dims(), b.dims());
    let (Some((a_batch, &[rows, depth])), Some((b_batch, &[other, columns]))) =
        (a_dims.split_last_chunk(), b_dims.split_last_chunk())
    else {
        return Err(site.malformed("a product with a scalar"));
    };
    if depth != other {
        return Err(site.malformed(format!("{a_dims:?} does not multiply with {b_dims:?}")));
    }
    let batch = super::elementwise::broadcast_dims(site, &[a_batch, b_batch])?;
    let (a, adj_x) = matrix(importer, &a)?;
    let (b, adj_y) = matrix(importer, &b)?;
    let mut shape = batch;
    shape.extend([rows, columns]);
    let operator = Operator::BatchMatmul { adj_x, adj_y };
    let tensor = importer.builder.emit_like(operator, &[a, b], name, &shape)?;
    let mut dims = shape.clone();
    if is_column {
        dims.pop();
    }
    if is_row {
        dims.remove(dims.len().saturating_sub(if is_column { 1 } else { 2 }));
    }
    let view = View::plain(tensor, &shape);
    let view = view.reshape(&dims).unwrap_or(view);
    importer.bind_view(site, view, DataType::Float32)
}

/// Matrices as a tensor, transposed where that costs nothing and the right order would.
fn matrix(importer: &mut Importer<'_>, view: &View) -> Result<(TensorId, bool)> {
    let plain: Vec<usize> = (0..view.rank()).collect();
    let mut turned = plain.clone();
    if let Some([.., rows, columns]) =
        turned.last_chunk_mut::<2>().map(|pair| pair as &mut [usize])
    {
        std::mem::swap(rows, columns);
    }
    if !view.is_in_order(&plain) && view.is_in_order(&turned) {
        return Ok((importer.builder.in_order(view, &turned)?, true));
    }
    Ok((importer.builder.in_order(view, &plain)?, false))
}
