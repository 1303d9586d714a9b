//! Shapes of operators that reduce, move and gather elements.

use achado_model::{DataType, Operator, Result};

use crate::NodeRef;

/// Operand `i` as dimensions: a constant of integers that are not negative.
pub fn dims(node: &NodeRef, i: usize) -> Result<Vec<usize>> {
    let values = node.constant_integers(i)?;
    values
        .iter()
        .map(|&dim| usize::try_from(dim))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| node.malformed(format!("operand {i} is {values:?}, must not be negative")))
}

fn too_large(node: &NodeRef) -> achado_model::Error {
    node.malformed("the result is too large")
}

/// Which dimensions of operand 0 the constant operand 1 names.
pub fn reduced(node: &NodeRef) -> Result<Vec<bool>> {
    let rank = node.input(0)?.shape.len();
    let mut is_reduced = vec![false; rank];
    for axis in node.constant_integers(1)? {
        is_reduced[node.axis(axis, rank)?] = true;
    }
    Ok(is_reduced)
}

/// MEAN, SUM, REDUCE_MAX, ...
pub(super) fn reduction(node: &NodeRef, keep_dims: bool) -> Result<Vec<usize>> {
    let is_reduced = reduced(node)?;
    let mut shape = Vec::with_capacity(is_reduced.len());
    for (&dim, &is_reduced) in node.input(0)?.shape.iter().zip(&is_reduced) {
        match (is_reduced, keep_dims) {
            (false, _) => shape.push(dim),
            (true, true) => shape.push(1),
            (true, false) => {}
        }
    }
    Ok(shape)
}

/// ARG_MAX and ARG_MIN.
pub(super) fn arg_extreme(node: &NodeRef) -> Result<Vec<usize>> {
    let mut shape = node.input(0)?.shape.clone();
    let axis = node.constant_axis(1, shape.len())?;
    shape.remove(axis);
    Ok(shape)
}

/// TOPK_V2.
pub(super) fn top_k(node: &NodeRef) -> Result<Vec<usize>> {
    let mut shape = node.input(0)?.shape.clone();
    let k = usize::try_from(node.constant_integer(1)?).ok();
    match (shape.last_mut(), k) {
        (Some(last), Some(k)) if k <= *last => *last = k,
        _ => {
            let what =
                format!("k is {:?} of a tensor of shape {shape:?}", node.constant_integer(1)?);
            return Err(node.malformed(what));
        }
    }
    Ok(shape)
}

/// RESHAPE.
pub(super) fn reshape(node: &NodeRef, new_shape: &[i64]) -> Result<Vec<usize>> {
    let elements = node.input(0)?.elements();
    let target = match node.optional_input(1) {
        Some(_) => node.constant_integers(1)?,
        None => new_shape.to_vec(),
    };
    // Old converters wrote the shape of a scalar as [0].
    let target = if target == [0] && elements == 1 { Vec::new() } else { target };
    let wrong = || node.malformed(format!("cannot reshape {elements} elements to {target:?}"));
    let mut known = 1usize;
    let mut free = None;
    let mut shape = Vec::with_capacity(target.len());
    for (i, &dim) in target.iter().enumerate() {
        if dim == -1 && free.is_none() {
            free = Some(i);
            shape.push(1);
            continue;
        }
        let dim = usize::try_from(dim).map_err(|_| wrong())?;
        known = known.checked_mul(dim).ok_or_else(wrong)?;
        shape.push(dim);
    }
    if let Some(i) = free {
        shape[i] = elements.checked_div(known).ok_or_else(wrong)?;
        known = known.checked_mul(shape[i]).ok_or_else(wrong)?;
    }
    if known == elements { Ok(shape) } else { Err(wrong()) }
}

/// SQUEEZE: without the dimensions `dims`, or without all of size 1.
pub(super) fn squeeze(node: &NodeRef, dims: &[i64]) -> Result<Vec<usize>> {
    let shape = &node.input(0)?.shape;
    let mut keep: Vec<bool> = shape.iter().map(|&dim| !dims.is_empty() || dim != 1).collect();
    for &dim in dims {
        let axis = node.axis(dim, shape.len())?;
        if shape[axis] != 1 {
            return Err(node.malformed(format!("dimension {axis} of {shape:?} is not 1")));
        }
        keep[axis] = false;
    }
    Ok(shape.iter().zip(keep).filter(|(_, keep)| *keep).map(|(&dim, _)| dim).collect())
}

/// EXPAND_DIMS.
pub(super) fn expand_dims(node: &NodeRef) -> Result<Vec<usize>> {
    let mut shape = node.input(0)?.shape.clone();
    let axis = node.constant_axis(1, shape.len() + 1)?;
    shape.insert(axis, 1);
    Ok(shape)
}

/// PAD, PADV2 and MIRROR_PAD.
pub(super) fn pad(node: &NodeRef) -> Result<Vec<usize>> {
    let padding = paddings(node)?;
    let padded = node.input(0)?.shape.iter().zip(&padding);
    let shape: Option<_> = padded
        .map(|(&dim, [before, after])| dim.checked_add(*before)?.checked_add(*after))
        .collect();
    shape.ok_or_else(|| too_large(node))
}

/// `[before, after]` of each dimension of operand 0, from the constant operand 1.
pub fn paddings(node: &NodeRef) -> Result<Vec<[usize; 2]>> {
    let rank = node.input(0)?.shape.len();
    let sizes = dims(node, 1)?;
    if sizes.len() != 2 * rank {
        return Err(node.malformed(format!("paddings should have shape [{rank}, 2]")));
    }
    Ok(sizes.as_chunks::<2>().0.to_vec())
}

/// Which dimension of operand 0 each dimension of TRANSPOSE's result is.
pub fn permutation(node: &NodeRef) -> Result<Vec<usize>> {
    let rank = node.input(0)?.shape.len();
    let axes = node.constant_integers(1)?;
    let order: Vec<usize> =
        axes.iter().map(|&axis| node.axis(axis, rank)).collect::<Result<_>>()?;
    if order.len() != rank || !(0..rank).all(|axis| order.contains(&axis)) {
        return Err(node.malformed(format!("{axes:?} does not permute {rank} dimensions")));
    }
    Ok(order)
}

/// CONCATENATION.
pub(super) fn concatenation(node: &NodeRef, axis: i64) -> Result<Vec<usize>> {
    let first = node.input(0)?;
    let axis = node.axis(axis, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for i in 0..node.node.inputs.len() {
        let input = node.input(i)?;
        let alike = input.shape.len() == shape.len()
            && (0..shape.len()).all(|d| d == axis || input.shape[d] == shape[d]);
        if !alike || input.dtype != first.dtype {
            let what = format!("operand {i} is {} {:?}", input.dtype, input.shape);
            return Err(node.malformed(format!("{what}, beside {} {shape:?}", first.dtype)));
        }
        shape[axis] = shape[axis].checked_add(input.shape[axis]).ok_or_else(|| too_large(node))?;
    }
    Ok(shape)
}

/// PACK.
pub(super) fn pack(node: &NodeRef, axis: i64) -> Result<Vec<usize>> {
    let mut shape = node.input(0)?.shape.clone();
    let count = node.node.inputs.len();
    for i in 1..count {
        let other = &node.input(i)?.shape;
        if *other != shape {
            return Err(node.malformed(format!("operand {i} has shape {other:?}, not {shape:?}")));
        }
    }
    let axis = node.axis(axis, shape.len() + 1)?;
    shape.insert(axis, count);
    Ok(shape)
}

/// UNPACK.
pub(super) fn unpack(node: &NodeRef, axis: i64) -> Result<Vec<usize>> {
    let mut shape = node.input(0)?.shape.clone();
    let axis = node.axis(axis, shape.len())?;
    let found = shape.remove(axis);
    if found != node.node.outputs.len() {
        let count = node.node.outputs.len();
        return Err(node.malformed(format!("{count} results for a dimension of {found}")));
    }
    Ok(shape)
}

/// The operand of SPLIT or SPLIT_V that is split, the dimension, and the size of each part.
pub fn split_sizes(node: &NodeRef) -> Result<(usize, usize, Vec<usize>)> {
    let count = node.node.outputs.len();
    if let Operator::Split { .. } = node.node.operator {
        let shape = &node.input(1)?.shape;
        let axis = node.constant_axis(0, shape.len())?;
        if !shape[axis].is_multiple_of(count) {
            let what = format!("a dimension of {} does not split into {count} parts", shape[axis]);
            return Err(node.malformed(what));
        }
        return Ok((1, axis, vec![shape[axis] / count; count]));
    }
    let shape = &node.input(0)?.shape;
    let axis = node.constant_axis(2, shape.len())?;
    let sizes = node.constant_integers(1)?;
    let wrong =
        || node.malformed(format!("sizes {sizes:?} do not split a dimension of {}", shape[axis]));
    let known = sizes.iter().filter(|&&size| size != -1);
    let mut known = known.map(|&size| usize::try_from(size).ok());
    let known = known.try_fold(0usize, |sum, size| sum.checked_add(size?)).ok_or_else(wrong)?;
    let rest = shape[axis].checked_sub(known).ok_or_else(wrong)?;
    let open = sizes.iter().filter(|&&size| size == -1).count();
    if sizes.len() != count || open > 1 || (open == 0 && rest != 0) {
        return Err(wrong());
    }
    Ok((0, axis, sizes.iter().map(|&size| usize::try_from(size).unwrap_or(rest)).collect()))
}

/// SPLIT and SPLIT_V.
pub(super) fn split(node: &NodeRef) -> Result<Vec<Vec<usize>>> {
    let (operand, axis, sizes) = split_sizes(node)?;
    let shape = &node.input(operand)?.shape;
    let part = |size: usize| {
        let mut part = shape.clone();
        part[axis] = size;
        part
    };
    Ok(sizes.into_iter().map(part).collect())
}

/// GATHER.
pub(super) fn gather(node: &NodeRef, axis: i64, batch_dims: i64) -> Result<Vec<usize>> {
    let (shape, indices) = (&node.input(0)?.shape, &node.input(1)?.shape);
    let (axis, batch) = gather_axes(node, axis, batch_dims)?;
    Ok([&shape[..axis], &indices[batch..], &shape[axis + 1..]].concat())
}

/// The dimension that GATHER indexes, and how many leading dimensions are batches.
pub fn gather_axes(node: &NodeRef, axis: i64, batch_dims: i64) -> Result<(usize, usize)> {
    let (shape, indices) = (&node.input(0)?.shape, &node.input(1)?.shape);
    let axis = node.axis(axis, shape.len())?;
    let batch = match batch_dims {
        0 => 0,
        1.. => usize::try_from(batch_dims).unwrap_or(usize::MAX),
        _ => node.axis(batch_dims, indices.len())?,
    };
    if batch > axis || shape.get(..batch) != indices.get(..batch) {
        return Err(node.malformed(format!(
            "{batch} batch dimensions of a tensor of shape {shape:?} and indices {indices:?}"
        )));
    }
    Ok((axis, batch))
}

/// GATHER_ND.
pub(super) fn gather_nd(node: &NodeRef) -> Result<Vec<usize>> {
    let (shape, indices) = (&node.input(0)?.shape, &node.input(1)?.shape);
    let wrong =
        || node.malformed(format!("indices {indices:?} do not fit a tensor of shape {shape:?}"));
    let (depth, rows) = indices.split_last().ok_or_else(wrong)?;
    Ok([rows, shape.get(*depth..).ok_or_else(wrong)?].concat())
}

/// BROADCAST_TO.
pub(super) fn broadcast_to(node: &NodeRef) -> Result<Vec<usize>> {
    let (shape, target) = (&node.input(0)?.shape, dims(node, 1)?);
    let fits = target.len() >= shape.len()
        && shape.iter().rev().zip(target.iter().rev()).all(|(&a, &b)| a == b || a == 1);
    if fits {
        return Ok(target);
    }
    Err(node.malformed(format!("a tensor of shape {shape:?} cannot be broadcast to {target:?}")))
}

/// TILE.
pub(super) fn tile(node: &NodeRef) -> Result<Vec<usize>> {
    let (shape, multiples) = (&node.input(0)?.shape, dims(node, 1)?);
    if multiples.len() != shape.len() {
        return Err(node.malformed(format!("multiples {multiples:?} for shape {shape:?}")));
    }
    let tiled: Option<_> =
        shape.iter().zip(&multiples).map(|(&dim, &times)| dim.checked_mul(times)).collect();
    tiled.ok_or_else(|| too_large(node))
}

/// RANGE: how many elements.
pub(super) fn range(node: &NodeRef) -> Result<usize> {
    let wrong = || node.malformed("a range that has no end");
    if node.input(0)?.dtype == DataType::Float32 {
        let of = |i: usize| -> Result<f32> {
            let values = node.input(i)?.constant_floats();
            values
                .and_then(|values| values.first().copied())
                .ok_or_else(|| node.unsupported(format!("operand {i} must be a constant")))
        };
        let [start, limit, delta] = [of(0)?, of(1)?, of(2)?];
        let count = ((limit - start) / delta).ceil();
        // Counts beyond 2^24 would be rounded.
        let is_count = delta != 0.0 && count.is_finite() && count <= 16_777_216.0;
        return if is_count { Ok(count.max(0.0) as usize) } else { Err(wrong()) };
    }
    let [start, limit, delta] =
        [node.constant_integer(0)?, node.constant_integer(1)?, node.constant_integer(2)?];
    let span = if delta > 0 { limit.checked_sub(start) } else { start.checked_sub(limit) };
    let (span, step) = (span.ok_or_else(wrong)?.max(0).unsigned_abs(), delta.unsigned_abs());
    if step == 0 {
        return Err(wrong());
    }
    usize::try_from(span.div_ceil(step)).map_err(|_| wrong())
}

/// A picture, the sides of its blocks, and what is added or cut before and after each side.
type Blocks = ([usize; 4], [usize; 2], [[usize; 2]; 2]);

/// `[n, h, w, c]` and the blocks and borders `[[before, after]; 2]` of SPACE_TO_BATCH_ND or
/// BATCH_TO_SPACE_ND. Three dimensions `[n, w, c]` are pictures of one row.
pub fn blocks(node: &NodeRef) -> Result<Blocks> {
    let (shape, block, borders) = (&node.input(0)?.shape, dims(node, 1)?, dims(node, 2)?);
    match (&shape[..], &block[..], &borders[..]) {
        (&[n, h, w, c], &[y, x], &[top, bottom, left, right]) if y > 0 && x > 0 => {
            Ok(([n, h, w, c], [y, x], [[top, bottom], [left, right]]))
        }
        (&[n, w, c], &[x], &[left, right]) if x > 0 => {
            Ok(([n, 1, w, c], [1, x], [[0, 0], [left, right]]))
        }
        _ => Err(node.unsupported(format!(
            "a tensor of shape {shape:?} in blocks {block:?} with borders {borders:?}"
        ))),
    }
}

fn block_result(node: &NodeRef, [n, h, w, c]: [usize; 4]) -> Result<Vec<usize>> {
    Ok(if node.input(0)?.shape.len() == 3 { vec![n, w, c] } else { vec![n, h, w, c] })
}

/// SPACE_TO_BATCH_ND.
pub(super) fn space_to_batch(node: &NodeRef) -> Result<Vec<usize>> {
    let ([n, h, w, c], block, borders) = blocks(node)?;
    let side = |len: usize, block: usize, [before, after]: [usize; 2]| {
        let padded = len.checked_add(before)?.checked_add(after)?;
        padded.is_multiple_of(block).then_some(padded / block)
    };
    let wrong = || node.malformed(format!("blocks {block:?} do not divide the padded picture"));
    let h = side(h, block[0], borders[0]).ok_or_else(wrong)?;
    let w = side(w, block[1], borders[1]).ok_or_else(wrong)?;
    let n = block[0].checked_mul(block[1]).and_then(|places| n.checked_mul(places));
    block_result(node, [n.ok_or_else(wrong)?, h, w, c])
}

/// BATCH_TO_SPACE_ND.
pub(super) fn batch_to_space(node: &NodeRef) -> Result<Vec<usize>> {
    let ([n, h, w, c], block, borders) = blocks(node)?;
    let side = |len: usize, block: usize, [before, after]: [usize; 2]| {
        len.checked_mul(block)?.checked_sub(before)?.checked_sub(after)
    };
    let wrong = || {
        node.malformed(format!("{n} pictures of {h} x {w} in blocks {block:?}, cut by {borders:?}"))
    };
    let places = block[0].checked_mul(block[1]).ok_or_else(wrong)?;
    let h = side(h, block[0], borders[0]).ok_or_else(wrong)?;
    let w = side(w, block[1], borders[1]).ok_or_else(wrong)?;
    if !n.is_multiple_of(places) {
        return Err(wrong());
    }
    block_result(node, [n / places, h, w, c])
}

/// SPACE_TO_DEPTH.
pub(super) fn space_to_depth(node: &NodeRef, block: usize) -> Result<Vec<usize>> {
    let [n, h, w, c] = node.picture(node.input(0)?)?;
    if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(node.malformed(format!("blocks of {block} do not divide {h} x {w} pixels")));
    }
    let c = block.checked_mul(block).and_then(|places| c.checked_mul(places));
    Ok(vec![n, h / block, w / block, c.ok_or_else(|| too_large(node))?])
}

/// DEPTH_TO_SPACE.
pub(super) fn depth_to_space(node: &NodeRef, block: usize) -> Result<Vec<usize>> {
    let [n, h, w, c] = node.picture(node.input(0)?)?;
    let places = block.checked_mul(block).filter(|&places| places > 0 && c.is_multiple_of(places));
    let places = places
        .ok_or_else(|| node.malformed(format!("blocks of {block} do not divide {c} channels")))?;
    let side = |len: usize| len.checked_mul(block).ok_or_else(|| too_large(node));
    Ok(vec![n, side(h)?, side(w)?, c / places])
}

/// ONE_HOT.
pub(super) fn one_hot(node: &NodeRef, axis: i64) -> Result<Vec<usize>> {
    let mut shape = node.input(0)?.shape.clone();
    let axis = if axis == -1 { shape.len() } else { node.axis(axis, shape.len() + 1)? };
    let depth = node.constant_integer(1)?;
    let depth = usize::try_from(depth)
        .map_err(|_| node.malformed(format!("depth is {depth}, must be 0 or more")))?;
    shape.insert(axis, depth);
    Ok(shape)
}
