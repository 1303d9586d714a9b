//! Folding of operators that move, repeat or make elements.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Bytes, DataType, Result};

use super::Folding;
use super::shapes::{self, SliceOperands};
use crate::constant::{Constant, Places, elements, strides};

/// Folds a node.
pub(super) fn fold(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    match folding.site.node.operator {
        "ConstantOfShape" => constant_of_shape(folding),
        "Range" => range(folding),
        "Transpose" => {
            let operand = folding.operand(0)?;
            let order = shapes::permutation(folding.site, operand.shape.len())?;
            operand.transpose(&order, folding.budget)
        }
        "Concat" => concat(folding),
        "Slice" => slice(folding),
        "Gather" => gather(folding),
        "Expand" => expand(folding),
        _ => tile(folding),
    }
}

fn constant_of_shape(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let shape = folding.sizes(0)?;
    let count = elements(&shape)?;
    folding.charge(count)?;
    let value = match folding.site.tensor("value")? {
        Some(proto) => Constant::read(proto, &Bytes::from(Vec::new()), folding.budget),
        None => Ok(Constant::from_floats(vec![1], &[0.0])),
    };
    // Elements of an attribute are few: small writers store them as lists, others as raw bytes.
    let value = match (value, folding.site.tensor("value")?.and_then(|proto| proto.raw)) {
        (Ok(value), _) => value,
        (Err(error), None) => return Err(error),
        (Err(error), Some(raw)) => {
            let dtype = match folding.site.tensor("value")?.map(|proto| proto.data_type) {
                Some(1) => DataType::Float32,
                Some(6) => DataType::Int32,
                Some(7) => DataType::Int64,
                Some(9) => DataType::Bool,
                Some(10) => DataType::Float16,
                _ => return Err(error),
            };
            if raw.bytes.len() != dtype.size_bytes() {
                return Err(error);
            }
            Constant::new(dtype, vec![1], raw.bytes.to_vec())
        }
    };
    value.pick(shape, std::iter::repeat_n(0, count), folding.budget)
}

fn range(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operands = [folding.operand(0)?, folding.operand(1)?, folding.operand(2)?];
    let error = || folding.site.malformed("a range without end");
    if operands.iter().all(|operand| !operand.is_real()) {
        let one = |at: usize| match folding.integers(at)?[..] {
            [value] => Ok(value),
            _ => Err(error()),
        };
        let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
        let distance = if step > 0 { limit.checked_sub(start) } else { start.checked_sub(limit) };
        let distance = u64::try_from(distance.ok_or_else(error)?).unwrap_or(0);
        if step == 0 {
            return Err(error());
        }
        let count = usize::try_from(distance.div_ceil(step.unsigned_abs())).map_err(|_| error())?;
        elements(&[count])?;
        folding.charge(count)?;
        let values: Vec<i64> = std::iter::successors(Some(start), |value| value.checked_add(step))
            .take(count)
            .collect();
        let wide = Constant::from_integers(vec![count], &values);
        return Ok(match operands[0].dtype {
            DataType::Int32 => {
                let narrow =
                    values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(4));
                Constant::new(DataType::Int32, vec![count], narrow.collect())
            }
            _ => wide,
        });
    }
    let one = |constant: &Constant| constant.scalar().ok_or_else(error);
    let (start, limit, step) = (one(operands[0])?, one(operands[1])?, one(operands[2])?);
    let count = ((limit - start) / step).ceil();
    if !(count.is_finite() && count < i32::MAX as f32) {
        return Err(error());
    }
    let count = count.max(0.0) as usize;
    folding.charge(count)?;
    let values: Vec<f32> = (0..count).map(|at| start + at as f32 * step).collect();
    Ok(Constant::from_floats(vec![count], &values))
}

fn concat(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let first = folding.operand(0)?;
    let rank = first.shape.len();
    let axis = folding.site.axis(folding.site.int("axis", 1)?, rank)?;
    let outer: usize = first.shape.iter().take(axis).product();
    let mut shape = first.shape.clone();
    let mut total = 0usize;
    let mut parts = Vec::with_capacity(folding.count());
    for at in 0..folding.count() {
        let operand = folding.operand(at)?;
        let fits = operand.shape.len() == rank
            && operand.dtype == first.dtype
            && operand.scaling.is_none()
            && (0..rank).all(|at| at == axis || operand.shape.get(at) == first.shape.get(at));
        if !fits {
            return Err(folding.site.malformed(format!(
                "{} {:?} does not join {} {:?}",
                operand.dtype, operand.shape, first.dtype, first.shape
            )));
        }
        total = total.saturating_add(operand.shape.get(axis).copied().unwrap_or(0));
        parts.push(operand);
    }
    if let Some(size) = shape.get_mut(axis) {
        *size = total;
    }
    let count = elements(&shape)?;
    folding.charge(count)?;
    let mut data = Vec::with_capacity(count.saturating_mul(first.dtype.size_bytes()));
    for row in 0..outer {
        for part in &parts {
            let each = part.data.len().checked_div(outer).unwrap_or(0);
            let start = row.saturating_mul(each);
            let bytes = part.data.get(start..start.saturating_add(each)).unwrap_or_default();
            data.extend_from_slice(bytes);
        }
    }
    Ok(Constant::new(first.dtype, shape, data))
}

fn slice(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let named = |name: &'static str, at: usize| match folding.site.ints(name)? {
        Some(values) => Ok(Some(values.to_vec())),
        None => folding.optional_integers(at),
    };
    let operands = SliceOperands {
        starts: named("starts", 1)?,
        ends: named("ends", 2)?,
        axes: named("axes", 3)?,
        steps: folding.optional_integers(4)?,
    };
    let ranges = shapes::slice(folding.site, &operand.shape, &operands)?;
    let shape: Vec<usize> = ranges.iter().map(|range| range.count).collect();
    let own = strides(&operand.shape);
    let places = Places::new(&shape, vec![0; shape.len()]);
    // Walked by index: a step may be negative.
    let mut index = vec![0usize; shape.len()];
    let place = |index: &[usize]| -> usize {
        let steps = index.iter().zip(&ranges).zip(&own);
        let at = steps.map(|((&index, range), &stride)| {
            let moved = i64::try_from(index).unwrap_or(0).saturating_mul(range.step);
            let at = i64::try_from(range.start).unwrap_or(0).saturating_add(moved);
            usize::try_from(at).unwrap_or(0).saturating_mul(stride)
        });
        at.sum()
    };
    let walk = places.map(|_| {
        let at = place(&index);
        for (index, &dim) in index.iter_mut().zip(&shape).rev() {
            *index = index.saturating_add(1);
            if *index < dim {
                break;
            }
            *index = 0;
        }
        at
    });
    let walk: Vec<usize> = {
        folding.budget.take(elements(&shape)?, 8)?;
        folding.budget.work(elements(&shape)?)?;
        walk.collect()
    };
    operand.pick(shape.clone(), walk.into_iter(), folding.budget)
}

fn gather(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let indices = folding.operand(1)?;
    let axis = folding.site.axis(folding.site.int("axis", 0)?, operand.shape.len())?;
    let size = operand.shape.get(axis).copied().unwrap_or(0);
    let chosen: Result<Vec<usize>> =
        (folding.integers(1)?.iter()).map(|&index| folding.site.axis(index, size)).collect();
    let chosen = chosen.map_err(|_| folding.site.malformed(format!("an index beyond {size}")))?;
    let outer: usize = operand.shape.iter().take(axis).product();
    let inner: usize = operand.shape.iter().skip(axis.saturating_add(1)).product();
    let mut shape: Vec<usize> = operand.shape.iter().take(axis).copied().collect();
    shape.extend(&indices.shape);
    shape.extend(operand.shape.iter().skip(axis.saturating_add(1)));
    elements(&shape)?;
    let chosen = &chosen;
    let places = (0..outer).flat_map(|row| {
        chosen.iter().flat_map(move |&index| {
            let first = row.saturating_mul(size).saturating_add(index).saturating_mul(inner);
            first..first.saturating_add(inner)
        })
    });
    operand.pick(shape, places, folding.budget)
}

fn expand(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let wanted = folding.sizes(1)?;
    let rank = operand.shape.len().max(wanted.len());
    let wide = |dims: &[usize]| {
        let mut wide = vec![1; rank.saturating_sub(dims.len())];
        wide.extend(dims);
        wide
    };
    let (own, wanted) = (wide(&operand.shape), wide(&wanted));
    let mut shape = Vec::with_capacity(rank);
    for (&own, &wanted) in own.iter().zip(&wanted) {
        shape.push(match (own, wanted) {
            (own, 1) => own,
            (1, wanted) => wanted,
            (own, wanted) if own == wanted => own,
            _ => return Err(folding.site.malformed(format!("{own} does not expand to {wanted}"))),
        });
    }
    let steps = repeated(&own, &shape);
    elements(&shape)?;
    operand.pick(shape.clone(), Places::new(&shape, steps), folding.budget)
}

/// Strides of a tensor of `own` dimensions, 0 where it is repeated to `shape`.
pub(super) fn repeated(own: &[usize], shape: &[usize]) -> Vec<usize> {
    let strides = strides(own);
    let steps = own.iter().zip(shape).zip(strides);
    steps.map(|((own, size), stride)| if own == size { stride } else { 0 }).collect()
}

fn tile(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let repeats = folding.sizes(1)?;
    if repeats.len() != operand.shape.len() {
        return Err(folding.site.malformed(format!("repeats {repeats:?} of {:?}", operand.shape)));
    }
    // Each dimension is walked as `[repeat, own]`.
    let mut walk = Vec::new();
    let mut steps = Vec::new();
    let mut shape = Vec::new();
    for ((&own, &repeat), stride) in operand.shape.iter().zip(&repeats).zip(strides(&operand.shape))
    {
        walk.extend([repeat, own]);
        steps.extend([0, stride]);
        shape.push(own.saturating_mul(repeat));
    }
    elements(&shape)?;
    operand.pick(shape, Places::new(&walk, steps), folding.budget)
}
