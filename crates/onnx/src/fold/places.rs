//! Which elements the operators take that pick and put by lists of indices.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::Result;

use crate::constant::{elements, strides};
use crate::site::Site;

fn size_of(dims: &[usize], axis: usize) -> usize {
    dims.get(axis).copied().unwrap_or(1)
}

/// For each index of GatherElements or ScatterElements the place of its element among those of a
/// tensor of `dims`.
pub(crate) fn along_axis(
    site: &Site<'_>,
    dims: &[usize],
    axis: usize,
    index_dims: &[usize],
    indices: &[i64],
) -> Result<Vec<usize>> {
    let fits = index_dims.len() == dims.len()
        && (0..dims.len()).all(|at| at == axis || size_of(index_dims, at) <= size_of(dims, at));
    if !fits {
        return Err(site.malformed(format!("indices of shape {index_dims:?} for {dims:?}")));
    }
    let (own, walk) = (strides(dims), strides(index_dims));
    let place = |(at, &index): (usize, &i64)| -> Result<usize> {
        let mut place = 0usize;
        for axis_at in 0..dims.len() {
            let coordinate = if axis_at == axis {
                site.axis(index, size_of(dims, axis))?
            } else {
                let steps = at.checked_div(size_of(&walk, axis_at).max(1)).unwrap_or(0);
                steps.checked_rem(size_of(index_dims, axis_at).max(1)).unwrap_or(0)
            };
            place = place.saturating_add(coordinate.saturating_mul(size_of(&own, axis_at)));
        }
        Ok(place)
    };
    indices.iter().enumerate().map(place).collect()
}

/// Tuples of indices into a tensor: which of its rows each names, and how large rows are.
#[derive(Debug)]
pub(crate) struct Rows {
    pub rows: Vec<usize>,
    /// How many rows there are.
    pub count: usize,
    /// The dimensions of one row.
    pub inner: Vec<usize>,
    /// The dimensions of the list of rows.
    pub outer: Vec<usize>,
}

/// The rows that GatherND or ScatterND name: the last dimension of the indices holds tuples.
pub(crate) fn rows(
    site: &Site<'_>,
    dims: &[usize],
    batch_dims: usize,
    index_dims: &[usize],
    indices: &[i64],
) -> Result<Rows> {
    let unfit = || site.malformed(format!("indices of shape {index_dims:?} for {dims:?}"));
    let (&width, outer) = index_dims.split_last().ok_or_else(unfit)?;
    let named = batch_dims.checked_add(width).filter(|&named| named <= dims.len());
    let named = named.ok_or_else(unfit)?;
    if batch_dims > outer.len() || dims.get(..batch_dims) != outer.get(..batch_dims) {
        return Err(unfit());
    }
    let picked = dims.get(batch_dims..named).ok_or_else(unfit)?;
    let each: usize = picked.iter().product();
    let tuples: usize = outer.iter().product();
    let batches: usize = dims.iter().take(batch_dims).product();
    let per_batch = tuples.checked_div(batches).unwrap_or(0).max(1);
    let own = strides(picked);
    let mut rows = Vec::with_capacity(tuples);
    for at in 0..tuples {
        let batch = at.checked_div(per_batch).unwrap_or(0);
        let mut row = batch.saturating_mul(each);
        for (entry, (&size, &stride)) in picked.iter().zip(&own).enumerate() {
            let index = indices.get(at.saturating_mul(width).saturating_add(entry));
            let index = site.axis(index.copied().ok_or_else(unfit)?, size)?;
            row = row.saturating_add(index.saturating_mul(stride));
        }
        rows.push(row);
    }
    Ok(Rows {
        rows,
        count: batches.saturating_mul(each),
        inner: dims.get(named..).unwrap_or_default().to_vec(),
        outer: outer.to_vec(),
    })
}

impl Rows {
    /// The places of the rows' elements.
    pub fn places(&self) -> Result<Vec<usize>> {
        let size: usize = self.inner.iter().product();
        elements(&[self.rows.len(), size])?;
        let row = |&row: &usize| {
            let first = row.saturating_mul(size);
            first..first.saturating_add(size)
        };
        Ok(self.rows.iter().flat_map(row).collect())
    }

    /// The dimensions of what is gathered.
    pub fn dims(&self) -> Vec<usize> {
        [&self.outer[..], &self.inner[..]].concat()
    }
}

/// What becomes of an element that is scattered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Replace,
    Add,
    Multiply,
    Least,
    Greatest,
}

impl Reduction {
    pub fn read(site: &Site<'_>) -> Result<Self> {
        Ok(match site.text("reduction", "none")? {
            "none" => Self::Replace,
            "add" => Self::Add,
            "mul" => Self::Multiply,
            "min" => Self::Least,
            "max" => Self::Greatest,
            other => return Err(site.unsupported_attribute("reduction", other)),
        })
    }
}

/// For each of `count` elements the updates that go there, in their order; of those that replace,
/// the last one.
pub(crate) fn updates(places: &[usize], count: usize, reduction: Reduction) -> Vec<Vec<usize>> {
    let mut updates = vec![Vec::new(); count];
    for (update, &place) in places.iter().enumerate() {
        if let Some(list) = updates.get_mut(place) {
            if reduction == Reduction::Replace {
                list.clear();
            }
            list.push(update);
        }
    }
    updates
}

/// Whether row `row`, column `column` of a matrix is kept by Trilu.
pub(crate) fn is_kept(row: usize, column: usize, k: i64, upper: bool) -> bool {
    let signed = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    let distance = signed(column).saturating_sub(signed(row));
    if upper { distance >= k } else { distance <= k }
}
