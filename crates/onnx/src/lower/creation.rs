//! Operators that make their operand larger, or tell its shape.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Operator, Result};

use super::calculator::Calculator;
use super::elementwise::broadcast_dims;
use crate::constant::{Constant, elements};
use crate::fold::shapes::Range;
use crate::import::{Importer, TensorValue};
use crate::site::Site;
use crate::view::View;

/// Pad.
pub(super) fn pad<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let rank = dims.len();
    // The first version had another name.
    let amounts = match site.ints("pads")?.or(site.ints("paddings")?) {
        Some(amounts) => amounts.to_vec(),
        None => importer
            .optional_integers(site, 1)?
            .ok_or_else(|| site.malformed("the pads are missing"))?,
    };
    let axes = match importer.optional_integers(site, 3)? {
        Some(axes) => site.axes(&axes, rank)?,
        None => (0..rank).collect(),
    };
    if amounts.len() != axes.len().saturating_mul(2) {
        return Err(site.malformed(format!("{} pads for {rank} dimensions", amounts.len())));
    }
    let mut pads = vec![[0usize; 2]; rank];
    // Negative pads cut.
    let mut cuts: Vec<Range> =
        dims.iter().map(|&count| Range { start: 0, step: 1, count }).collect();
    for (at, &axis) in axes.iter().enumerate() {
        let ends =
            [at, at.saturating_add(axes.len())].map(|at| amounts.get(at).copied().unwrap_or(0));
        let kept = ends.map(|amount| usize::try_from(amount).unwrap_or(0));
        let [front, back] = ends
            .map(|amount| usize::try_from(amount.min(0).saturating_neg()).unwrap_or(usize::MAX));
        if let (Some(pads), Some(cut)) = (pads.get_mut(axis), cuts.get_mut(axis)) {
            *pads = kept;
            cut.start = front;
            let left = cut.count.checked_sub(front).and_then(|left| left.checked_sub(back));
            cut.count = left.filter(|&left| left > 0).ok_or_else(|| {
                site.unsupported(format!("pads {ends:?}, which cut all of dimension {axis}"))
            })?;
        }
    }
    let value = match cuts.iter().zip(&dims).any(|(cut, size)| cut.count != *size) {
        true => {
            let name = format!("{}/cut", site.output_name(0)?);
            let view = importer.pick(site, &value.view, &cuts, &name)?;
            TensorValue { view, ..value }
        }
        false => value,
    };
    let fill = match importer.optional_constant(site, 2)? {
        Some(constant) => constant.scalar().unwrap_or(0.0),
        None => site.float("value", 0.0)?,
    };
    let mode = site.text("mode", "constant")?;
    if pads.iter().all(|pads| *pads == [0, 0]) {
        return importer.bind_view(site, value.view.clone(), value.dtype);
    }
    if matches!(mode, "edge" | "wrap") || (fill != 0.0 && !value.is_real()) {
        return pad_by_picking(importer, site, &value, &pads, fill);
    }
    // The zero point stands for 0: that pad leaves a quantised tensor quantised.
    let keeps = mode != "constant" || fill == 0.0;
    let view = if keeps { value.view.clone() } else { importer.as_onnx(&value)? };
    let (tensor, order) = importer.builder.one_by_one(&view)?;
    let name = site.output_name(0)?;
    let sides: Vec<[usize; 2]> =
        order.iter().map(|&axis| pads.get(axis).copied().unwrap_or([0; 2])).collect();
    let builder = &mut importer.builder;
    let shape: Vec<usize> = (builder.shape(tensor).iter().zip(&sides))
        .map(|(&size, [before, after])| size.saturating_add(*before).saturating_add(*after))
        .collect();
    let paddings =
        builder.add_int32(&format!("{name}/paddings"), vec![rank, 2], sides.as_flattened())?;
    let tensor = match mode {
        "constant" if fill == 0.0 => {
            builder.emit_like(Operator::Pad, &[tensor, paddings], name, &shape)?
        }
        "constant" if value.is_real() => {
            let fill = Constant::from_floats(vec![1], &[fill]);
            let fill = builder.add_constant(&format!("{name}/value"), &fill)?;
            builder.emit_like(Operator::PadV2, &[tensor, paddings, fill], name, &shape)?
        }
        "reflect" => {
            let operator = Operator::MirrorPad { symmetric: false };
            builder.emit_like(operator, &[tensor, paddings], name, &shape)?
        }
        other => return Err(site.unsupported_attribute("mode", other)),
    };
    importer.bind_view(site, View::new(tensor, &shape, &order), value.dtype)
}

/// Pads that repeat the operand's own elements, or a whole number.
fn pad_by_picking<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    value: &TensorValue,
    pads: &[[usize; 2]],
    fill: f32,
) -> Result<()> {
    let mode = site.text("mode", "constant")?;
    let mut c = Calculator::new(importer, site)?;
    let mut x = c.onnx(value)?;
    if mode == "constant" {
        let result = c.pad(&x, pads, fill)?;
        c.give(0, result);
        return Ok(());
    }
    for (axis, &[before, after]) in pads.iter().enumerate() {
        let size = x.view.dims().get(axis).copied().unwrap_or(1);
        if (before, after) == (0, 0) || size == 0 {
            continue;
        }
        let count = size.saturating_add(before).saturating_add(after);
        elements(&[count])?;
        c.importer.builder.budget.take(count, 8)?;
        let turn = before.checked_rem(size).unwrap_or(0);
        let place = |at: usize| match mode {
            "edge" => at.saturating_sub(before).min(size.saturating_sub(1)),
            _ => at.saturating_add(size).saturating_sub(turn).checked_rem(size).unwrap_or(0),
        };
        let places: Vec<usize> = (0..count).map(place).collect();
        x = c.pick(&x, axis, &places)?;
    }
    c.give(0, x);
    Ok(())
}

/// Expand.
pub(super) fn expand<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let Some(wanted) = importer.optional_integers(site, 1)? else {
        return Err(site.malformed("the shape is missing"));
    };
    let wanted: Result<Vec<usize>> =
        wanted.iter().map(|&dim| site.size(dim, "a dimension")).collect();
    let dims = value.view.dims();
    let result = broadcast_dims(site, &[&dims, &wanted?])?;
    let rank = result.len();
    let mut wide = vec![1; rank.saturating_sub(dims.len())];
    wide.extend(&dims);
    let view = importer.reshaped(site, &value.view, &wide)?;
    if wide == result {
        return importer.bind_view(site, view, value.dtype);
    }
    let (tensor, order) = importer.builder.one_by_one(&view)?;
    let shape: Vec<usize> =
        order.iter().map(|&axis| result.get(axis).copied().unwrap_or(1)).collect();
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let wanted = builder.add_integers(&format!("{name}/shape"), &shape)?;
    let tensor = builder.emit_like(Operator::BroadcastTo, &[tensor, wanted], name, &shape)?;
    importer.bind_view(site, View::new(tensor, &shape, &order), value.dtype)
}

/// Tile.
pub(super) fn tile<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let Some(repeats) = importer.optional_integers(site, 1)? else {
        return Err(site.malformed("the repeats are missing"));
    };
    let repeats: Result<Vec<usize>> =
        repeats.iter().map(|&count| site.size(count, "a repeat")).collect();
    let repeats = repeats?;
    let (tensor, order) = importer.builder.one_by_one(&value.view)?;
    if repeats.len() != order.len() || repeats.contains(&0) {
        return Err(site.malformed(format!("repeats {repeats:?} of {:?}", value.view.dims())));
    }
    let multiples: Vec<usize> =
        order.iter().map(|&axis| repeats.get(axis).copied().unwrap_or(1)).collect();
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let shape: Vec<usize> = (builder.shape(tensor).iter().zip(&multiples))
        .map(|(size, count)| size.saturating_mul(*count))
        .collect();
    let multiples = builder.add_integers(&format!("{name}/multiples"), &multiples)?;
    let tensor = builder.emit_like(Operator::Tile, &[tensor, multiples], name, &shape)?;
    importer.bind_view(site, View::new(tensor, &shape, &order), value.dtype)
}

/// Shape: known, as all shapes are.
pub(super) fn shape<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let dims = dims(importer, site)?;
    let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let bound = |value: i64| {
        let place = if value < 0 { value.saturating_add(rank) } else { value };
        usize::try_from(place.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (bound(site.int("start", 0)?), bound(site.int("end", rank)?));
    let part: Vec<i64> = dims
        .iter()
        .skip(start)
        .take(end.saturating_sub(start))
        .map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX))
        .collect();
    let constant = Constant::from_integers(vec![part.len()], &part);
    importer.bind(site.output_name(0)?, Importer::known(constant));
    Ok(())
}

/// Size.
pub(super) fn size<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let size: usize = dims(importer, site)?.iter().product();
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let constant = Constant::from_integers(Vec::new(), &[size]);
    importer.bind(site.output_name(0)?, Importer::known(constant));
    Ok(())
}

fn dims<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<Vec<usize>> {
    let TensorValue { view, .. } = importer.tensor_input(site, 0)?;
    Ok(view.dims())
}
