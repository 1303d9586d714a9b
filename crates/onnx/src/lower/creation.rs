//! Operators that make their operand larger, or tell its shape.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Operator, Result};

use super::elementwise::broadcast_dims;
use crate::constant::Constant;
use crate::import::{Importer, TensorValue};
use crate::site::Site;
use crate::view::View;

/// Pad.
pub(super) fn pad<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let rank = dims.len();
    let amounts = match site.ints("pads")? {
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
    for (at, &axis) in axes.iter().enumerate() {
        let amount = |at: usize| {
            let amount = amounts.get(at).copied().unwrap_or(0);
            usize::try_from(amount)
                .map_err(|_| site.unsupported("negative pads, which cut, are not supported"))
        };
        if let Some(pads) = pads.get_mut(axis) {
            *pads = [amount(at)?, amount(at.saturating_add(axes.len()))?];
        }
    }
    let fill = match importer.optional_constant(site, 2)? {
        Some(constant) => constant.scalar().unwrap_or(0.0),
        None => site.float("value", 0.0)?,
    };
    let mode = site.text("mode", "constant")?;
    if pads.iter().all(|pads| *pads == [0, 0]) {
        return importer.bind_view(site, value.view.clone(), value.dtype);
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
