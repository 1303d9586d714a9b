//! Folding of operators that pick and put elements by lists of indices.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Bytes, Result};

use super::places::{Reduction, along_axis, is_kept, rows, updates};
use super::{Folding, shapes};
use crate::constant::{Constant, Places, elements, strides};

/// Folds a node.
pub(super) fn fold(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    match folding.site.node.operator {
        "Trilu" => trilu(folding),
        "NonZero" => non_zero(folding),
        "GatherElements" => {
            let (x, indices) = (folding.operand(0)?, folding.operand(1)?);
            let axis = folding.site.axis(folding.site.int("axis", 0)?, x.shape.len())?;
            let values = folding.integers(1)?;
            folding.charge(values.len())?;
            let places = along_axis(folding.site, &x.shape, axis, &indices.shape, &values)?;
            x.pick(indices.shape.clone(), places.into_iter(), folding.budget)
        }
        "GatherND" => {
            let (x, indices) = (folding.operand(0)?, folding.operand(1)?);
            let batch = folding.site.size(folding.site.int("batch_dims", 0)?, "batch_dims")?;
            let values = folding.integers(1)?;
            folding.charge(values.len())?;
            let rows = rows(folding.site, &x.shape, batch, &indices.shape, &values)?;
            folding.charge(elements(&rows.dims())?)?;
            x.pick(rows.dims(), rows.places()?.into_iter(), folding.budget)
        }
        _ => scatter(folding),
    }
}

fn trilu(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let x = folding.operand(0)?;
    let k = match folding.optional_integers(1)?.as_deref() {
        None => 0,
        Some(&[k]) => k,
        Some(_) => return Err(folding.site.malformed("several diagonals")),
    };
    let upper = folding.site.flag("upper", true)?;
    let Some((_, &[height, width])) = x.shape.split_last_chunk() else {
        return Err(folding.site.malformed(format!("shape {:?} is no matrix", x.shape)));
    };
    folding.charge(x.len())?;
    let size = x.dtype.size_bytes();
    let mut data = x.data.to_vec();
    for (at, element) in data.chunks_mut(size).enumerate() {
        let row = at.checked_div(width).and_then(|at| at.checked_rem(height)).unwrap_or(0);
        let column = at.checked_rem(width).unwrap_or(0);
        if !is_kept(row, column, k, upper) {
            element.fill(0);
        }
    }
    Ok(Constant { data: Bytes::from(data), ..x.clone() })
}

/// The coordinates of elements other than 0, dimension by dimension.
fn non_zero(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let x = folding.operand(0)?;
    folding.charge(x.len().saturating_mul(x.shape.len().max(1)))?;
    let values = x.floats();
    let found: Vec<usize> =
        (values.iter().enumerate()).filter(|(_, value)| **value != 0.0).map(|(at, _)| at).collect();
    let mut coordinates = Vec::with_capacity(found.len().saturating_mul(x.shape.len()));
    for (&size, stride) in x.shape.iter().zip(strides(&x.shape)) {
        coordinates.extend(found.iter().map(|place| {
            let steps = place.checked_div(stride).unwrap_or(0);
            i64::try_from(steps.checked_rem(size).unwrap_or(0)).unwrap_or(0)
        }));
    }
    Ok(Constant::from_integers(vec![x.shape.len(), found.len()], &coordinates))
}

/// ScatterElements, Scatter and ScatterND.
fn scatter(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let (x, indices, updated) = (folding.operand(0)?, folding.operand(1)?, folding.operand(2)?);
    let site = folding.site;
    let reduction = Reduction::read(site)?;
    let values = folding.integers(1)?;
    folding.charge(x.len().saturating_add(updated.len()))?;
    let places = if site.node.operator == "ScatterND" {
        rows(site, &x.shape, 0, &indices.shape, &values)?.places()?
    } else {
        let axis = site.axis(site.int("axis", 0)?, x.shape.len())?;
        along_axis(site, &x.shape, axis, &indices.shape, &values)?
    };
    // Half precision and quantised weights as floats.
    let (x, updated) = match x.is_real() {
        true => (x.to_real(), updated.to_real()),
        false => (x.clone(), updated.clone()),
    };
    if places.len() != updated.len() || x.dtype != updated.dtype {
        return Err(site.malformed(format!(
            "{} updates of {} for {} places of {}",
            updated.len(),
            updated.dtype,
            places.len(),
            x.dtype
        )));
    }
    if reduction == Reduction::Replace {
        let size = x.dtype.size_bytes();
        let mut data = x.data.to_vec();
        for (&place, update) in places.iter().zip(updated.data.chunks(size)) {
            let start = place.saturating_mul(size);
            if let Some(element) = data.get_mut(start..start.saturating_add(size)) {
                element.copy_from_slice(update);
            }
        }
        return Ok(Constant { data: Bytes::from(data), ..x });
    }
    if !x.is_real() {
        return Err(site.unsupported(format!("a reduction of {} constants", x.dtype)));
    }
    let lists = updates(&places, x.len(), reduction);
    let news = updated.floats();
    let reduce = |sum: f32, update: &usize| {
        let new = news.get(*update).copied().unwrap_or(0.0);
        match reduction {
            Reduction::Multiply => sum * new,
            Reduction::Least => sum.min(new),
            Reduction::Greatest => sum.max(new),
            Reduction::Add | Reduction::Replace => sum + new,
        }
    };
    let sums: Vec<f32> =
        (x.floats().iter().zip(&lists)).map(|(&own, list)| list.iter().fold(own, reduce)).collect();
    Ok(Constant::from_floats(x.shape.clone(), &sums))
}

/// Split, into several results.
pub(super) fn split(folding: &mut Folding<'_, '_>) -> Result<Vec<Constant>> {
    let x = folding.operand(0)?;
    let site = folding.site;
    let axis = site.axis(site.int("axis", 0)?, x.shape.len())?;
    let whole = x.shape.get(axis).copied().unwrap_or(1);
    let named = match site.ints("split")? {
        Some(sizes) => Some(sizes.to_vec()),
        None => folding.optional_integers(1)?,
    };
    let sizes = shapes::split(site, whole, named.as_deref())?;
    folding.charge(x.len())?;
    let own = strides(&x.shape);
    let mut start = 0usize;
    let mut parts = Vec::with_capacity(sizes.len());
    for size in sizes {
        let mut shape = x.shape.clone();
        if let Some(dim) = shape.get_mut(axis) {
            *dim = size;
        }
        let first = start.saturating_mul(own.get(axis).copied().unwrap_or(1));
        let places = Places::new(&shape, own.clone()).map(|place| place.saturating_add(first));
        parts.push(x.pick(shape.clone(), places, folding.budget)?);
        start = start.saturating_add(size);
    }
    Ok(parts)
}
