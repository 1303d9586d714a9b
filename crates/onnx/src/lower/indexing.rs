//! Operators that pick and put elements by lists of indices.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Operator, Result};

use super::calculator::Calculator;
use crate::constant::{Constant, data_type, elements, strides};
use crate::fold::places::{Reduction, along_axis, is_kept, rows, updates};
use crate::import::{Importer, TensorValue};
use crate::site::Site;

/// Integers of a type as a constant.
fn integers(dtype: DataType, shape: Vec<usize>, values: &[usize]) -> Constant {
    let values = values.iter().map(|&value| i64::try_from(value).unwrap_or(i64::MAX));
    match dtype {
        DataType::Int64 => Constant::from_integers(shape, &values.collect::<Vec<_>>()),
        _ => {
            let narrow = values.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
            let data = narrow.flat_map(i32::to_le_bytes).collect();
            Constant::new(DataType::Int32, shape, data)
        }
    }
}

/// Computed indices with those below zero counted from the end.
fn from_start(
    c: &mut Calculator<'_, '_>,
    indices: &TensorValue,
    sizes: &Constant,
) -> Result<TensorValue> {
    let sizes = c.constant(sizes)?;
    let raised = c.add(indices, &sizes)?;
    let is_below = c.test_with(Operator::Less, indices, 0.0)?;
    c.select(&is_below, &raised, indices)
}

/// GatherElements.
pub(super) fn gather_elements<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let known = importer.constant_of(site, 1);
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let axis = site.axis(site.int("axis", 0)?, dims.len())?;
    let result = match known {
        Some(indices) => {
            let values = indices.integers().unwrap_or_default();
            c.importer.builder.budget.work(values.len())?;
            let places = along_axis(site, &dims, axis, &indices.shape, &values)?;
            c.pick_flat(&x, &places, &indices.shape)?
        }
        None => {
            let indices = c.input(1)?;
            let index_dims = indices.view.dims();
            let size = dims.get(axis).copied().unwrap_or(1);
            let count = elements(&index_dims)?;
            c.importer.builder.budget.take(count, 32)?;
            // Where each index's row begins.
            let starts = along_axis(site, &dims, axis, &index_dims, &vec![0; count])?;
            let indices = from_start(&mut c, &indices, &integers(indices.dtype, vec![], &[size]))?;
            let stride = strides(&dims).get(axis).copied().unwrap_or(1);
            let stride = c.constant(&integers(indices.dtype, vec![], &[stride]))?;
            let places = c.mul(&indices, &stride)?;
            let starts = c.constant(&integers(indices.dtype, index_dims, &starts))?;
            let places = c.add(&places, &starts)?;
            let flat = c.reshape(&x, &[dims.iter().product()])?;
            c.look_up(&flat, &places)?
        }
    };
    c.give(0, result);
    Ok(())
}

/// GatherND.
pub(super) fn gather_nd<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let known = importer.constant_of(site, 1);
    let batch_dims = site.size(site.int("batch_dims", 0)?, "batch_dims")?;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let result = match known {
        Some(indices) => {
            let values = indices.integers().unwrap_or_default();
            c.importer.builder.budget.work(values.len())?;
            let rows = rows(site, &dims, batch_dims, &indices.shape, &values)?;
            let flat = c.reshape(&x, &[rows.count, rows.inner.iter().product()])?;
            let picked = c.pick(&flat, 0, &rows.rows)?;
            c.reshape(&picked, &rows.dims())?
        }
        None => {
            let indices = c.input(1)?;
            let index_dims = indices.view.dims();
            let width = index_dims.last().copied().unwrap_or(0);
            let named = batch_dims.saturating_add(width);
            let Some(sizes) = dims.get(batch_dims..named).filter(|_| batch_dims == 0) else {
                return Err(site.unsupported("computed indices behind batch dimensions"));
            };
            let sizes = integers(indices.dtype, vec![width], sizes);
            let indices = from_start(&mut c, &indices, &sizes)?;
            // Row numbers: the product of each tuple with the strides.
            let steps = strides(dims.get(..named).unwrap_or_default());
            let steps = c.constant(&integers(indices.dtype, vec![width], &steps))?;
            let places = c.mul(&indices, &steps)?;
            let last = index_dims.len().saturating_sub(1);
            let places = c.reduce(Operator::Sum { keep_dims: true }, &places, &[last])?;
            let outer = index_dims.get(..last).unwrap_or_default().to_vec();
            let places = c.reshape(&places, &outer)?;
            let count: usize = dims.iter().take(named).product();
            let mut flat = vec![count];
            flat.extend(dims.iter().skip(named));
            let flat = c.reshape(&x, &flat)?;
            c.look_up_rows(&flat, &places, 0)?
        }
    };
    c.give(0, result);
    Ok(())
}

/// ScatterElements, Scatter and ScatterND by constant indices.
pub(super) fn scatter<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let indices = importer.constant_input(site, 1)?;
    let reduction = Reduction::read(site)?;
    let mut c = Calculator::new(importer, site)?;
    let (x, updated) = (c.input(0)?, c.input(2)?);
    let dims = x.view.dims();
    let values = indices.integers().unwrap_or_default();
    c.importer.builder.budget.work(values.len())?;
    let places = if site.node.operator == "ScatterND" {
        rows(site, &dims, 0, &indices.shape, &values)?.places()?
    } else {
        let axis = site.axis(site.int("axis", 0)?, dims.len())?;
        along_axis(site, &dims, axis, &indices.shape, &values)?
    };
    let count = elements(&dims)?;
    let found: usize = updated.view.dims().iter().product();
    if found != places.len() || updated.dtype != x.dtype {
        return Err(site.malformed(format!("{found} updates for {} indices", places.len())));
    }
    c.importer.builder.budget.take(count.saturating_add(places.len()), 64)?;
    let lists = updates(&places, count, reduction);
    let flat = c.reshape(&x, &[count])?;
    let updated = c.reshape(&updated, &[found])?;
    let result = if reduction == Reduction::Replace {
        let both = c.join(&[flat, updated], 0)?;
        let place = |(at, list): (usize, &Vec<usize>)| match list.last() {
            Some(update) => count.saturating_add(*update),
            None => at,
        };
        let places: Vec<usize> = lists.iter().enumerate().map(place).collect();
        c.pick(&both, 0, &places)?
    } else {
        let (operator, neutral) = match reduction {
            Reduction::Add => (super::activation::ADD, 0.0),
            Reduction::Multiply => (super::activation::MUL, 1.0),
            Reduction::Least => (Operator::Minimum, f32::INFINITY),
            _ => (Operator::Maximum, f32::NEG_INFINITY),
        };
        if !(x.is_real() || neutral.is_finite()) {
            return Err(site.unsupported(format!("this reduction of {}", x.dtype)));
        }
        let neutral = c.number(neutral, x.dtype)?;
        let neutral = c.reshape(&neutral, &[1])?;
        let padded = c.join(&[updated, neutral], 0)?;
        let most = lists.iter().map(Vec::len).max().unwrap_or(0);
        let mut sum = flat;
        for at in 0..most {
            let places: Vec<usize> =
                lists.iter().map(|list| list.get(at).copied().unwrap_or(found)).collect();
            let term = c.pick(&padded, 0, &places)?;
            sum = c.pair(operator.clone(), &sum, &term)?;
        }
        sum
    };
    let result = c.reshape(&result, &dims)?;
    c.give(0, result);
    Ok(())
}

/// OneHot.
pub(super) fn one_hot<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let depth = importer.constant_input(site, 1)?.scalar();
    let depth = depth.filter(|depth| (1.0..=16_777_216.0).contains(depth));
    let Some(depth) = depth else { return Err(site.malformed("a depth that is no size")) };
    // A size, as was just checked.
    let depth = depth as usize;
    let mut c = Calculator::new(importer, site)?;
    let (indices, values) = (c.input(0)?, c.input(2)?);
    let indices = c.cast(&indices, DataType::Int64)?;
    let rank = indices.view.rank();
    let axis = site.axis(site.int("axis", -1)?, rank.saturating_add(1))?;
    let indices = from_start(&mut c, &indices, &integers(DataType::Int64, vec![], &[depth]))?;
    let mut dims = indices.view.dims();
    dims.insert(axis, 1);
    let indices = c.reshape(&indices, &dims)?;
    let mut places = vec![1; rank.saturating_sub(axis).saturating_add(1)];
    if let Some(first) = places.first_mut() {
        *first = depth;
    }
    let all: Vec<usize> = (0..depth).collect();
    let all = c.constant(&integers(DataType::Int64, places, &all))?;
    let hit = c.test(Operator::Equal, &indices, &all)?;
    let (off, on) = (c.part(&values, 0, 0, 1, 1)?, c.part(&values, 0, 1, 1, 1)?);
    let result = c.select(&hit, &on, &off)?;
    c.give(0, result);
    Ok(())
}

/// Trilu.
pub(super) fn trilu<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let k = match importer.optional_integers(site, 1)?.as_deref() {
        None => 0,
        Some(&[k]) => k,
        Some(other) => return Err(site.malformed(format!("{} diagonals", other.len()))),
    };
    let upper = site.flag("upper", true)?;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let Some((_, &[height, width])) = dims.split_last_chunk() else {
        return Err(site.malformed(format!("shape {dims:?} is no matrix")));
    };
    let count = elements(&[height, width])?;
    c.importer.builder.budget.take(count, 1)?;
    let keeps = (0..height)
        .flat_map(|row| (0..width).map(move |column| u8::from(is_kept(row, column, k, upper))));
    let mask = Constant::new(DataType::Bool, vec![height, width], keeps.collect());
    let (mask, zero) = (c.constant(&mask)?, c.number(0.0, x.dtype)?);
    let result = c.select(&mask, &x, &zero)?;
    c.give(0, result);
    Ok(())
}

/// EyeLike: known, as all shapes are.
pub(super) fn eye_like<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let eye = eye(site, &value.view.dims(), value.dtype)?;
    importer.bind(site.output_name(0)?, Importer::known(eye));
    Ok(())
}

/// Ones on a diagonal of a matrix of `dims`.
pub(crate) fn eye(site: &Site<'_>, dims: &[usize], dtype: DataType) -> Result<Constant> {
    let &[height, width] = dims else {
        return Err(site.malformed(format!("shape {dims:?} is no matrix")));
    };
    let dtype = match site.int("dtype", 0)? {
        0 => dtype,
        code => data_type(site, "dtype", code)?,
    };
    let k = site.int("k", 0)?;
    let one: Vec<u8> = match dtype {
        DataType::Float32 => 1f32.to_le_bytes().to_vec(),
        other => 1u64.to_le_bytes().iter().copied().take(other.size_bytes()).collect(),
    };
    let count = elements(&[height, width])?;
    let mut data = Vec::with_capacity(count.saturating_mul(one.len()));
    for row in 0..height {
        for column in 0..width {
            let is_one = is_kept(row, column, k, true) && is_kept(row, column, k, false);
            data.extend(one.iter().map(|byte| if is_one { *byte } else { 0 }));
        }
    }
    Ok(Constant::new(dtype, vec![height, width], data))
}

/// Compress by a constant condition.
pub(super) fn compress<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let condition = importer.constant_input(site, 1)?.floats();
    let mut c = Calculator::new(importer, site)?;
    let mut x = c.input(0)?;
    let axis = match site.has("axis") {
        true => site.axis(site.int("axis", 0)?, x.view.rank())?,
        false => {
            let count = x.view.dims().iter().product();
            x = c.reshape(&x, &[count])?;
            0
        }
    };
    let size = x.view.dims().get(axis).copied().unwrap_or(1);
    let kept: Vec<usize> = (condition.iter().enumerate())
        .filter(|(at, keeps)| **keeps != 0.0 && *at < size)
        .map(|(at, _)| at)
        .collect();
    if kept.is_empty() {
        return Err(site.unsupported("a condition that keeps nothing"));
    }
    let result = c.pick(&x, axis, &kept)?;
    c.give(0, result);
    Ok(())
}

/// ReverseSequence by constant lengths.
pub(super) fn reverse_sequence<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let Some(lengths) = importer.optional_integers(site, 1)? else {
        return Err(site.malformed("the lengths are missing"));
    };
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let batch = site.axis(site.int("batch_axis", 1)?, dims.len())?;
    let time = site.axis(site.int("time_axis", 0)?, dims.len())?;
    let own = strides(&dims);
    let at_axis = |all: &[usize], axis: usize| all.get(axis).copied().unwrap_or(1).max(1);
    let coordinate = |place: usize, axis: usize| {
        let steps = place.checked_div(at_axis(&own, axis)).unwrap_or(0);
        steps.checked_rem(at_axis(&dims, axis)).unwrap_or(0)
    };
    let count = elements(&dims)?;
    c.importer.builder.budget.take(count, 8)?;
    let mut places = Vec::with_capacity(count);
    for place in 0..count {
        let length = lengths.get(coordinate(place, batch)).copied().unwrap_or(0);
        let length = site.size(length, "a length")?.min(at_axis(&dims, time));
        let at = coordinate(place, time);
        let taken = if at < length { length.saturating_sub(at).saturating_sub(1) } else { at };
        let stride = at_axis(&own, time);
        let first = place.saturating_sub(at.saturating_mul(stride));
        places.push(first.saturating_add(taken.saturating_mul(stride)));
    }
    let result = c.pick_flat(&x, &places, &dims)?;
    c.give(0, result);
    Ok(())
}

/// CenterCropPad.
pub(super) fn center_crop_pad<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let Some(sizes) = importer.optional_integers(site, 1)? else {
        return Err(site.malformed("the shape is missing"));
    };
    let mut c = Calculator::new(importer, site)?;
    let mut x = c.input(0)?;
    let rank = x.view.rank();
    let axes = match site.ints("axes")? {
        Some(axes) => site.axes(axes, rank)?,
        None => (0..rank).collect(),
    };
    if sizes.len() != axes.len() {
        return Err(site.malformed(format!("{} sizes for {} axes", sizes.len(), axes.len())));
    }
    let mut pads = vec![[0; 2]; rank];
    for (&axis, &wanted) in axes.iter().zip(&sizes) {
        let wanted = site.size(wanted, "a size")?;
        let size = x.view.dims().get(axis).copied().unwrap_or(1);
        if wanted < size {
            let start = size.saturating_sub(wanted) / 2;
            x = c.part(&x, axis, start, 1, wanted)?;
        } else if let Some(pads) = pads.get_mut(axis) {
            let missing = wanted.saturating_sub(size);
            *pads = [missing / 2, missing.saturating_sub(missing / 2)];
        }
    }
    let result = c.pad(&x, &pads, 0.0)?;
    c.give(0, result);
    Ok(())
}

/// Col2Im: each pixel is the sum of the elements of the columns that lie on it.
pub(super) fn columns_to_image<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let sizes = |at: usize| -> Result<Vec<usize>> {
        let values = importer.optional_integers(site, at)?.unwrap_or_default();
        values.iter().map(|&value| site.size(value, "a size")).collect()
    };
    let (image, block) = (sizes(1)?, sizes(2)?);
    let rank = image.len();
    let list = |name: &'static str, default: i64, count: usize| -> Result<Vec<usize>> {
        let values = site.ints(name)?.map_or_else(|| vec![default; count], <[i64]>::to_vec);
        if values.len() != count {
            return Err(site.malformed(format!("attribute {name:?} has {} numbers", values.len())));
        }
        values.iter().map(|&value| site.size(value, name)).collect()
    };
    let (dilations, steps) = (list("dilations", 1, rank)?, list("strides", 1, rank)?);
    let pads = list("pads", 0, rank.saturating_mul(2))?;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let &[n, rows, columns] = &x.view.dims()[..] else {
        return Err(site.malformed(format!("columns of shape {:?}", x.view.dims())));
    };
    let (area, pixels) = (elements(&block)?.max(1), elements(&image)?);
    if block.len() != rank || !rows.is_multiple_of(area) || steps.contains(&0) {
        return Err(site.malformed(format!("{rows} rows for blocks of {block:?}")));
    }
    let channels = rows.checked_div(area).unwrap_or(0);
    // How many blocks there are along each dimension.
    let mut counts = Vec::with_capacity(rank);
    for at in 0..rank {
        let get = |all: &[usize], at: usize| all.get(at).copied().unwrap_or(0);
        let span = get(&block, at).saturating_sub(1).saturating_mul(get(&dilations, at));
        let padded = get(&image, at)
            .saturating_add(get(&pads, at))
            .saturating_add(get(&pads, at.saturating_add(rank)));
        let room = padded.checked_sub(span.saturating_add(1));
        let room = room.ok_or_else(|| site.malformed("a block larger than the image"))?;
        counts.push(room.checked_div(get(&steps, at)).unwrap_or(0).saturating_add(1));
    }
    if elements(&counts)? != columns {
        return Err(site.malformed(format!("{columns} columns for {counts:?} blocks")));
    }
    let each = elements(&[area, columns])?;
    c.importer.builder.budget.take(each.saturating_add(pixels), 32)?;
    c.importer.builder.budget.work(each.saturating_mul(rank.max(1)))?;
    let mut lists = vec![Vec::new(); pixels];
    let coordinate = |place: usize, dims: &[usize], axis: usize| {
        let stride = strides(dims).get(axis).copied().unwrap_or(1).max(1);
        let steps = place.checked_div(stride).unwrap_or(0);
        steps.checked_rem(dims.get(axis).copied().unwrap_or(1).max(1)).unwrap_or(0)
    };
    for source in 0..each {
        let (tap, column) =
            (source.checked_div(columns).unwrap_or(0), source.checked_rem(columns).unwrap_or(0));
        let mut place = Some(0usize);
        for axis in 0..rank {
            let get = |all: &[usize]| all.get(axis).copied().unwrap_or(0);
            let inside = coordinate(tap, &block, axis).saturating_mul(get(&dilations));
            let start = coordinate(column, &counts, axis).saturating_mul(get(&steps));
            let at = inside.saturating_add(start).checked_sub(get(&pads));
            let at = at.filter(|&at| at < get(&image));
            let stride = strides(&image).get(axis).copied().unwrap_or(1);
            place = place.zip(at).map(|(sum, at)| sum.saturating_add(at.saturating_mul(stride)));
        }
        if let Some(list) = place.and_then(|place| lists.get_mut(place)) {
            list.push(source);
        }
    }
    let flat = c.reshape(&x, &[n, channels, each])?;
    let flat = c.pad(&flat, &[[0, 0], [0, 0], [0, 1]], 0.0)?;
    let most = lists.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut sum: Option<TensorValue> = None;
    for at in 0..most {
        let places: Vec<usize> =
            lists.iter().map(|list| list.get(at).copied().unwrap_or(each)).collect();
        let term = c.pick(&flat, 2, &places)?;
        sum = Some(match sum {
            None => term,
            Some(sum) => c.add(&sum, &term)?,
        });
    }
    let Some(sum) = sum else { return Err(site.malformed("no pixels")) };
    let result = c.reshape(&sum, &[&[n, channels], &image[..]].concat())?;
    c.give(0, result);
    Ok(())
}

/// MaxUnpool by constant indices, to the size that its pool had.
pub(super) fn max_unpool<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let Some(indices) = importer.optional_integers(site, 1)? else {
        return Err(site.malformed("the indices are missing"));
    };
    if site.input_name(2).is_some() {
        return Err(site.unsupported("an output shape of its own"));
    }
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let mut dims = x.view.dims();
    let rank = dims.len().saturating_sub(2);
    let list = |name: &'static str, at: usize, default: i64| -> Result<usize> {
        let value = site.ints(name)?.and_then(|all| all.get(at).copied()).unwrap_or(default);
        site.size(value, name)
    };
    for at in 0..rank {
        let (kernel, step) = (list("kernel_shape", at, 1)?, list("strides", at, 1)?);
        let cut = list("pads", at, 0)?.saturating_add(list("pads", at.saturating_add(rank), 0)?);
        if let Some(size) = dims.get_mut(at.saturating_add(2)) {
            *size = size
                .saturating_sub(1)
                .saturating_mul(step)
                .saturating_add(kernel)
                .saturating_sub(cut);
        }
    }
    let (count, given) = (elements(&dims)?, elements(&x.view.dims())?);
    c.importer.builder.budget.take(count, 8)?;
    let mut places = vec![given; count];
    for (at, &index) in indices.iter().enumerate().take(given) {
        let index = site.axis(index, count)?;
        if let Some(place) = places.get_mut(index) {
            *place = at;
        }
    }
    let flat = c.reshape(&x, &[given])?;
    let padded = c.pad(&flat, &[[0, 1]], 0.0)?;
    let result = c.pick_flat(&padded, &places, &dims)?;
    c.give(0, result);
    Ok(())
}
