//! Pools.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Padding, Result};

use super::calculator::Calculator;
use super::quantized::{Output, Target};
use super::spatial::{self, Pool};
use super::window::{NHWC, Window, as_picture, from_picture};
use crate::constant::Constant;
use crate::import::{Importer, TensorValue};
use crate::site::Site;

/// Whether a pool is none of those over pictures that the model has operators for.
fn is_for_any_rank(site: &Site<'_>, rank: usize) -> Result<bool> {
    let dilations = site.ints("dilations")?.unwrap_or_default();
    Ok(rank > 4 || dilations.iter().any(|&dilation| dilation != 1))
}

/// GlobalLpPool, and the other global pools over more than two dimensions.
pub(super) fn global_any<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    pool: Pool,
) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let axes: Vec<usize> = (2..x.view.rank()).collect();
    let result = match pool {
        Pool::Max => c.reduce(Operator::ReduceMax { keep_dims: true }, &x, &axes)?,
        Pool::Average => c.mean(&x, &axes)?,
        Pool::Power => {
            let p = site.int("p", 2).map(|p| p as f32).or_else(|_| site.float("p", 2.0))?;
            let powers = c.power(&x, p)?;
            let sum = c.reduce(Operator::Sum { keep_dims: true }, &powers, &axes)?;
            c.root(&sum, p)?
        }
    };
    c.give(0, result);
    Ok(())
}

/// MaxPool.
pub(super) fn max_pool<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    if site
        .node
        .outputs
        .get(1)
        .is_some_and(|name| importer.is_output(name) || !importer.readers(name).is_empty())
    {
        return Err(site.unsupported("the indices of the greatest elements are not supported"));
    }
    // Of quantised integers, too: the greatest stays the greatest.
    let x = importer.tensor_input(site, 0)?;
    let rank = x.view.rank();
    let is_plain = importer.builder.tensor(x.view.tensor).quantization.is_none();
    if is_for_any_rank(site, rank)? || (!x.is_real() && is_plain) {
        return spatial::pool(importer, site, Pool::Max);
    }
    let (picture, [n, c, h, w]) = as_picture(site, &x.view)?;
    let window = Window::read(site, [h, w], None, rank.saturating_sub(2))?;
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let mut picture = builder.in_order(&picture, &NHWC)?;
    let padding = match window.padding() {
        Some(padding) => padding,
        None => {
            picture = builder.pad_picture(picture, &window, true)?;
            Padding::Valid
        }
    };
    let Window { filter, stride, out: [out_h, out_w], .. } = window;
    let activation = Activation::None;
    let operator = Operator::MaxPool2d { filter, stride, padding, activation };
    let shape = [n, out_h, out_w, c];
    let tensor = builder.emit_like(operator, &[picture], name, &shape)?;
    importer.bind_view(site, from_picture(tensor, shape, rank), x.dtype)
}

/// AveragePool.
pub(super) fn average_pool<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = importer.tensor_input(site, 0)?;
    if is_for_any_rank(site, x.view.rank())? {
        return spatial::pool(importer, site, Pool::Average);
    }
    let output = importer.output(site)?;
    average(importer, site, x, output)
}

/// An average pool to an output.
pub(super) fn average<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    x: TensorValue,
    output: Output<'a>,
) -> Result<()> {
    let rank = x.view.rank();
    let (picture, [n, c, h, w]) = as_picture(site, &x.view)?;
    let window = Window::read(site, [h, w], None, rank.saturating_sub(2))?;
    let counts_pads = site.flag("count_include_pad", false)?;
    let Window { filter, stride, out: [out_h, out_w], .. } = window;
    let (padding, needs_pad, correction) = match window.padding() {
        Some(Padding::Valid) => (Padding::Valid, false, None),
        Some(padding) if !counts_pads => (padding, false, None),
        _ => (Padding::Valid, true, correction(&window, [h, w], counts_pads)),
    };
    // A correction divides by counts that integers have no scale for.
    let is_integer = importer.is_quantized(&x) && output.target.is_some() && correction.is_none();
    let view = match is_integer {
        true => picture,
        false => importer.as_onnx(&TensorValue { view: picture, ..x })?,
    };
    let builder = &mut importer.builder;
    let mut tensor = builder.in_order(&view, &NHWC)?;
    if needs_pad {
        tensor = builder.pad_picture(tensor, &window, false)?;
    }
    let operator =
        Operator::AveragePool2d { filter, stride, padding, activation: Activation::None };
    let shape = [n, out_h, out_w, c];
    let mut tensor = builder.emit_like(operator, &[tensor], output.name, &shape)?;
    if let Some(factors) = correction {
        let constant = Constant::from_floats(vec![1, out_h, out_w, 1], &factors);
        let name = format!("{}/corrected", output.name);
        let factors = builder.add_constant(&format!("{name}/factors"), &constant)?;
        let operator = Operator::Mul { activation: Activation::None };
        tensor = builder.emit_like(operator, &[tensor, factors], &name, &shape)?;
    }
    let view = from_picture(tensor, shape, rank);
    match is_integer {
        // The operator keeps the scale of its operand.
        true => importer.bind_requantized(&output, view)?,
        false => importer.bind_output(&output, view),
    }
    Ok(())
}

/// What each mean over a padded window is multiplied by to be that over the pixels that count;
/// `None` where it is right already.
fn correction(window: &Window, input: [usize; 2], counts_pads: bool) -> Option<Vec<f32>> {
    let counts = |at: usize| -> Vec<usize> {
        let (before, filter) = (window.before[at], window.filter[at]);
        // The pads that the file names may count, those that ceil_mode adds never do.
        let named = window.after[at].saturating_sub(window.extra[at]);
        let picture_end = input[at].saturating_add(before);
        let end = if counts_pads { picture_end.saturating_add(named) } else { picture_end };
        let begin = if counts_pads { 0 } else { before };
        (0..window.out[at])
            .map(|out| {
                let first = out.saturating_mul(window.stride[at]);
                let last = first.saturating_add(filter).min(end);
                last.saturating_sub(first.max(begin))
            })
            .collect()
    };
    let (rows, columns) = (counts(0), counts(1));
    let whole = window.filter[0].saturating_mul(window.filter[1]) as f32;
    let factors: Vec<f32> = rows
        .iter()
        .flat_map(|&row| {
            columns.iter().map(move |&column| whole / row.saturating_mul(column).max(1) as f32)
        })
        .collect();
    factors.iter().any(|&factor| factor != 1.0).then_some(factors)
}

/// GlobalAveragePool.
pub(super) fn global_average_pool<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let x = importer.tensor_input(site, 0)?;
    if x.view.rank() > 4 {
        return global_any(importer, site, Pool::Average);
    }
    let output = importer.output(site)?;
    global_average(importer, site, x, output)
}

/// The mean over all pixels, to an output.
pub(super) fn global_average<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    x: TensorValue,
    output: Output<'a>,
) -> Result<()> {
    global(importer, site, x, output, Operator::Mean { keep_dims: true })
}

/// GlobalMaxPool.
pub(super) fn global_max_pool<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let view = importer.onnx_input(site, 0)?;
    if view.rank() > 4 {
        return global_any(importer, site, Pool::Max);
    }
    let output = Output { target: None, ..importer.output(site)? };
    let x = TensorValue { view, dtype: DataType::Float32 };
    global(importer, site, x, output, Operator::ReduceMax { keep_dims: true })
}

fn global<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    x: TensorValue,
    output: Output<'a>,
    operator: Operator,
) -> Result<()> {
    let rank = x.view.rank();
    let target = output.target.filter(|_| importer.is_quantized(&x));
    let view = match target {
        Some(_) => x.view,
        None => importer.as_onnx(&x)?,
    };
    let (picture, [n, c, _, _]) = as_picture(site, &view)?;
    let builder = &mut importer.builder;
    let picture = builder.in_order(&picture, &NHWC)?;
    let axes = builder.add_integers(&format!("{}/axes", output.name), &[1, 2])?;
    let shape = [n, 1, 1, c];
    let tensor = match target {
        Some(Target { dtype, .. }) => {
            let quantization = target.map(|target| target.quantization());
            builder.emit(operator, &[picture, axes], output.name, dtype, &shape, quantization)?
        }
        None => builder.emit_like(operator, &[picture, axes], output.name, &shape)?,
    };
    importer.bind_output(&output, from_picture(tensor, shape, rank));
    Ok(())
}
