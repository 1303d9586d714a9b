//! Sparse constants, written out densely.
//!
//! The levels of a sparse tensor are its dimensions in traversal order, then the dimensions of
//! blocks. A dense level has all indices; a sparse one lists them: entry `p` of the level above has
//! `indices[segments[p]..segments[p + 1]]`. (Schema: `SparsityParameters`.)
#![deny(clippy::arithmetic_side_effects)]

use super::schema::{dimension, sparsity};
use crate::Result;
use crate::flatbuffer::Table;
use crate::limits::{Budget, MAX_RANK};

/// One level.
enum Level {
    /// Of this size.
    Dense(usize),
    /// Listed indices.
    Sparse { segments: Vec<usize>, indices: Vec<usize> },
}

/// Why a tensor cannot be written out.
const DAMAGED: &str = "the lists of its non-zero elements contradict each other or its shape";

/// The elements of a tensor of `shape` in elements of `size` bytes, from its non-zero `values`;
/// `dense_bytes` are those of the result. `Ok(Err)` says what is wrong.
pub(super) fn densify(
    table: Table<'_>,
    shape: &[usize],
    size: usize,
    values: &[u8],
    dense_bytes: usize,
    budget: &mut Budget,
) -> Result<Result<Vec<u8>, &'static str>> {
    budget.take_bytes(dense_bytes)?;
    let order = list::<i32>(table, sparsity::TRAVERSAL_ORDER, budget)?;
    let blocked = list::<i32>(table, sparsity::BLOCK_MAP, budget)?;
    let tables = table.tables(sparsity::DIM_METADATA, "a sparse tensor's dimensions")?;
    let (Some(order), Some(blocked)) = (order, blocked) else { return Ok(Err(DAMAGED)) };
    if tables.len() != order.len() || order.len() > 2 * MAX_RANK {
        return Ok(Err(DAMAGED));
    }
    let mut levels = Vec::with_capacity(tables.len());
    for table in tables.iter() {
        match level(table?, budget)? {
            Some(level) => levels.push(level),
            None => return Ok(Err(DAMAGED)),
        }
    }
    let Some(places) = places(shape, &order, &blocked, &levels) else { return Ok(Err(DAMAGED)) };
    // A level has at most as many entries as the tensor has elements; more would be a damaged file
    // that makes reading long.
    let elements = dense_bytes.checked_div(size).unwrap_or(0);
    let visits = elements.saturating_add(1).saturating_mul(levels.len().saturating_add(1));
    let dense = vec![0; dense_bytes];
    let mut writer = Writer { levels: &levels, places: &places, size, values, dense, visits };
    let is_whole = writer.visit(0, 0, 0).is_some() && writer.values.is_empty();
    Ok(if is_whole { Ok(writer.dense) } else { Err(DAMAGED) })
}

/// A list of indices.
fn list<T: crate::flatbuffer::Scalar + TryInto<usize>>(
    table: Table<'_>,
    field: u16,
    budget: &mut Budget,
) -> Result<Option<Vec<usize>>> {
    let values = table.vector::<T>(field, "a list of a sparse tensor")?;
    budget.take(values.len(), size_of::<usize>())?;
    Ok(values.iter().map(|value| value.try_into().ok()).collect())
}

fn level(table: Table<'_>, budget: &mut Budget) -> Result<Option<Level>> {
    if table.scalar(dimension::FORMAT, 0u8)? == 0 {
        let size = usize::try_from(table.scalar(dimension::DENSE_SIZE, 0i32)?).ok();
        return Ok(size.map(Level::Dense));
    }
    let mut union = |kind: u16, field: u16| -> Result<Option<Vec<usize>>> {
        let Some(vector) = table.table(field, "a list of a sparse tensor")? else {
            return Ok(Some(Vec::new()));
        };
        match table.scalar(kind, 0u8)? {
            1 => list::<i32>(vector, 0, budget),
            2 => list::<u16>(vector, 0, budget),
            3 => list::<u8>(vector, 0, budget),
            _ => Ok(None),
        }
    };
    let indices = union(dimension::ARRAY_INDICES_TYPE, dimension::ARRAY_INDICES)?;
    let segments = union(dimension::ARRAY_SEGMENTS_TYPE, dimension::ARRAY_SEGMENTS)?;
    Ok(segments.zip(indices).map(|(segments, indices)| Level::Sparse { segments, indices }))
}

/// How far a step of each level's index moves in the dense tensor, and how many steps fit.
fn places(
    shape: &[usize],
    order: &[usize],
    blocked: &[usize],
    levels: &[Level],
) -> Option<Vec<[usize; 2]>> {
    let rank = shape.len();
    if order.len() != rank.checked_add(blocked.len())? {
        return None;
    }
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..order.len()) {
        return None;
    }
    let mut strides = vec![1usize; rank];
    for axis in (1..rank).rev() {
        let stride = strides.get(axis)?.checked_mul(*shape.get(axis)?)?;
        *strides.get_mut(axis.checked_sub(1)?)? = stride;
    }
    // The size of the block along each dimension; blocks are dense.
    let mut blocks = vec![1usize; rank];
    for (&dim, level) in order.iter().zip(levels) {
        if let Some(block) = dim.checked_sub(rank) {
            let &Level::Dense(size) = level else { return None };
            *blocks.get_mut(*blocked.get(block)?)? = size;
        }
    }
    order
        .iter()
        .map(|&dim| match dim.checked_sub(rank) {
            None => {
                let block = *blocks.get(dim)?;
                let size = shape.get(dim)?.checked_div(block)?;
                Some([strides.get(dim)?.checked_mul(block)?, size])
            }
            Some(block) => {
                let dim = *blocked.get(block)?;
                Some([*strides.get(dim)?, *blocks.get(dim)?])
            }
        })
        .collect()
}

struct Writer<'a> {
    levels: &'a [Level],
    places: &'a [[usize; 2]],
    size: usize,
    /// Those not yet written.
    values: &'a [u8],
    dense: Vec<u8>,
    /// Left.
    visits: usize,
}

impl Writer<'_> {
    /// Writes what stands below entry `entry` of the level above; `None` for lists that do not fit.
    /// The depth of the recursion is that of the levels, at most `2 * MAX_RANK`.
    fn visit(&mut self, depth: usize, entry: usize, at: usize) -> Option<()> {
        self.visits = self.visits.checked_sub(1)?;
        let (Some(level), Some(&[stride, size])) = (self.levels.get(depth), self.places.get(depth))
        else {
            let (value, rest) = self.values.split_at_checked(self.size)?;
            self.values = rest;
            let start = at.checked_mul(self.size)?;
            self.dense.get_mut(start..start.checked_add(self.size)?)?.copy_from_slice(value);
            return Some(());
        };
        let below = depth.checked_add(1)?;
        let place = |index: usize| at.checked_add(index.checked_mul(stride)?);
        match level {
            Level::Dense(dense) => {
                if *dense != size {
                    return None;
                }
                for index in 0..size {
                    let entry = entry.checked_mul(size)?.checked_add(index)?;
                    self.visit(below, entry, place(index)?)?;
                }
            }
            Level::Sparse { segments, indices } => {
                let range = *segments.get(entry)?..*segments.get(entry.checked_add(1)?)?;
                for entry in range {
                    let index = *indices.get(entry)?;
                    if index >= size {
                        return None;
                    }
                    self.visit(below, entry, place(index)?)?;
                }
            }
        }
        Some(())
    }
}
