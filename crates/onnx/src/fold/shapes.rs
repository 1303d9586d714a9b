//! The arithmetic of shapes: what operators that only rename dimensions make of them.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::Result;

use crate::constant::elements;
use crate::site::Site;

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The attribute `perm` of a Transpose; reversed where it is absent.
pub(crate) fn permutation(site: &Site<'_>, rank: usize) -> Result<Vec<usize>> {
    let Some(order) = site.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let places = site.axes(order, rank)?;
    let mut seen = places.clone();
    seen.sort_unstable();
    if !seen.iter().copied().eq(0..rank) {
        return Err(site.malformed(format!("permutation {order:?} of {rank} dimensions")));
    }
    Ok(places)
}

/// What a Reshape makes of dimensions: 0 keeps one (but for `allowzero`), -1 takes the rest.
pub(crate) fn reshape(site: &Site<'_>, dims: &[usize], wanted: &[i64]) -> Result<Vec<usize>> {
    let total = elements(dims)?;
    let keeps = !site.flag("allowzero", false)?;
    let error = || site.malformed(format!("{dims:?} cannot become {wanted:?}"));
    let mut open = None;
    let mut result = Vec::with_capacity(wanted.len());
    for (at, &dim) in wanted.iter().enumerate() {
        result.push(match dim {
            0 if keeps => *dims.get(at).ok_or_else(error)?,
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            dim => usize::try_from(dim).map_err(|_| error())?,
        });
    }
    let known = elements(&result)?;
    if let Some(at) = open {
        let rest = total.checked_div(known).ok_or_else(error)?;
        *result.get_mut(at).ok_or_else(error)? = rest;
    }
    if elements(&result)? != total {
        return Err(error());
    }
    Ok(result)
}

/// What a Flatten makes of dimensions.
pub(crate) fn flatten(site: &Site<'_>, dims: &[usize]) -> Result<Vec<usize>> {
    let axis = site.int("axis", 1)?;
    // As many axes as boundaries.
    let axis = site.axis(axis, dims.len().saturating_add(usize::from(axis >= 0)))?;
    let rows: usize = dims.iter().take(axis).product();
    let columns: usize = dims.iter().skip(axis).product();
    Ok(vec![rows, columns])
}

/// The axes of a Squeeze or Unsqueeze: an attribute before opset 13, an operand since.
fn named_axes<'a>(site: &'a Site<'_>, operand: Option<&'a [i64]>) -> Result<Option<&'a [i64]>> {
    Ok(site.ints("axes")?.or(operand))
}

/// What a Squeeze makes of dimensions.
pub(crate) fn squeeze(
    site: &Site<'_>,
    dims: &[usize],
    operand: Option<&[i64]>,
) -> Result<Vec<usize>> {
    let axes = match named_axes(site, operand)? {
        Some(axes) => site.axes(axes, dims.len())?,
        None => (0..dims.len()).filter(|&at| dims.get(at) == Some(&1)).collect(),
    };
    if axes.iter().any(|&axis| dims.get(axis) != Some(&1)) {
        return Err(site.malformed(format!("dimensions {axes:?} of {dims:?} are not 1")));
    }
    Ok((dims.iter().enumerate())
        .filter(|(at, _)| !axes.contains(at))
        .map(|(_, &dim)| dim)
        .collect())
}

/// What an Unsqueeze makes of dimensions.
pub(crate) fn unsqueeze(
    site: &Site<'_>,
    dims: &[usize],
    operand: Option<&[i64]>,
) -> Result<Vec<usize>> {
    let Some(axes) = named_axes(site, operand)? else {
        return Err(site.malformed("the axes are missing"));
    };
    let rank = dims.len().saturating_add(axes.len());
    let axes = site.axes(axes, rank)?;
    let mut rest = dims.iter().copied();
    let result: Vec<usize> =
        (0..rank).map(|at| if axes.contains(&at) { 1 } else { rest.next().unwrap_or(1) }).collect();
    elements(&result)?;
    if rest.next().is_some() {
        return Err(site.malformed(format!("axes {axes:?} are named twice")));
    }
    Ok(result)
}

/// The number of the type that a Cast names; the first version had names for them.
pub(crate) fn cast_type(site: &Site<'_>) -> Result<i64> {
    if let Ok(code) = site.int("to", 0) {
        return Ok(code);
    }
    Ok(match site.text("to", "")? {
        "FLOAT" => 1,
        "UINT8" => 2,
        "INT8" => 3,
        "INT16" => 5,
        "INT32" => 6,
        "INT64" => 7,
        "BOOL" => 9,
        "FLOAT16" => 10,
        "DOUBLE" => 11,
        other => return Err(site.unsupported_attribute("to", other)),
    })
}

/// The sizes of the parts of a Split.
pub(crate) fn split(site: &Site<'_>, whole: usize, named: Option<&[i64]>) -> Result<Vec<usize>> {
    let parts = site.node.outputs.len();
    let sizes = match named {
        Some(sizes) => {
            sizes.iter().map(|&size| site.size(size, "a part")).collect::<Result<Vec<_>>>()?
        }
        None => {
            // The last one may be smaller.
            let size = whole.div_ceil(parts.max(1));
            let part = |at: usize| whole.saturating_sub(at.saturating_mul(size)).min(size);
            (0..parts).map(part).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |total, &size| total.checked_add(size));
    if total != Some(whole) || sizes.len() != parts {
        return Err(site.malformed(format!("parts of {sizes:?} of a dimension of {whole}")));
    }
    Ok(sizes)
}

/// The operands of a Slice.
#[derive(Debug, Default)]
pub(crate) struct SliceOperands {
    pub starts: Option<Vec<i64>>,
    pub ends: Option<Vec<i64>>,
    pub axes: Option<Vec<i64>>,
    pub steps: Option<Vec<i64>>,
}

/// The elements that a Slice takes of one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub start: usize,
    pub step: i64,
    pub count: usize,
}

/// What a Slice takes of each dimension.
pub(crate) fn slice(
    site: &Site<'_>,
    dims: &[usize],
    operands: &SliceOperands,
) -> Result<Vec<Range>> {
    let mut ranges: Vec<Range> =
        dims.iter().map(|&count| Range { start: 0, step: 1, count }).collect();
    let (Some(starts), Some(ends)) = (&operands.starts, &operands.ends) else {
        return Err(site.malformed("starts or ends are missing"));
    };
    let axes = match &operands.axes {
        Some(axes) => site.axes(axes, dims.len())?,
        None => (0..starts.len()).collect(),
    };
    let steps = operands.steps.clone().unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(site.malformed("starts, ends, axes and steps differ in number"));
    }
    for (((&axis, &start), &end), &step) in axes.iter().zip(starts).zip(ends).zip(&steps) {
        let (Some(&size), Some(range)) = (dims.get(axis), ranges.get_mut(axis)) else {
            return Err(site.malformed(format!("axis {axis} of {dims:?}")));
        };
        if step == 0 || step == i64::MIN {
            return Err(site.malformed(format!("a step of {step}")));
        }
        let size = signed(size);
        let place = |value: i64| if value < 0 { value.saturating_add(size) } else { value };
        let (low, high) = if step > 0 { (0, size) } else { (-1, size.saturating_sub(1)) };
        let start = place(start).clamp(low.max(0), high.max(0));
        let end = place(end).clamp(low, high);
        let distance = if step > 0 { end.saturating_sub(start) } else { start.saturating_sub(end) };
        let count = u64::try_from(distance).unwrap_or(0).div_ceil(step.unsigned_abs());
        *range = Range {
            start: usize::try_from(start).unwrap_or(0),
            step,
            count: usize::try_from(count).unwrap_or(0),
        };
    }
    Ok(ranges)
}

/// The dimensions that a Reduce takes: all where none is named, unless it says that none means
/// none, which is `None`.
pub(crate) fn reduced_axes(
    site: &Site<'_>,
    named: Option<&[i64]>,
    rank: usize,
) -> Result<Option<Vec<usize>>> {
    match named {
        Some(axes) if !axes.is_empty() => site.axes(axes, rank).map(Some),
        _ if site.flag("noop_with_empty_axes", false)? => Ok(None),
        _ => Ok(Some((0..rank).collect())),
    }
}
