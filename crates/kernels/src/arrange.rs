//! Operators that find or gather elements by their values: ARG_MAX, ARG_MIN, TOPK_V2, GATHER,
//! GATHER_ND, CUMSUM. Layout: `[outer, axis, inner]`.

/// Indexes as tensors hold them.
pub trait Index: Copy {
    /// An index that fits.
    fn from_index(index: usize) -> Self;
    /// The index below `len`; negative ones have none.
    fn within(self, len: usize) -> Option<usize>;
}

macro_rules! index {
    ($type:ty) => {
        impl Index for $type {
            fn from_index(index: usize) -> $type {
                <$type>::try_from(index).unwrap_or(<$type>::MAX)
            }
            fn within(self, len: usize) -> Option<usize> {
                usize::try_from(self).ok().filter(|&index| index < len)
            }
        }
    };
}
index!(i32);
index!(i64);

/// ARG_MAX, or ARG_MIN where `least`: along the middle dimension the index of the first of the
/// greatest (least) elements.
pub fn arg_extreme<T: Copy + PartialOrd, I: Index>(
    [axis, inner]: [usize; 2],
    least: bool,
    input: &[T],
    out: &mut [I],
) {
    let parts = input.chunks_exact((axis * inner).max(1));
    for (part, out) in parts.zip(out.chunks_exact_mut(inner.max(1))) {
        for (column, out) in out.iter_mut().enumerate() {
            let mut best = 0;
            for i in 1..axis {
                let (x, y) = (part[i * inner + column], part[best * inner + column]);
                if if least { x < y } else { x > y } {
                    best = i;
                }
            }
            *out = I::from_index(best);
        }
    }
}

/// TOPK_V2: of each row of `depth` the `k` greatest elements in falling order, with their indexes;
/// of equal ones the first first.
pub fn top_k<T: Copy + PartialOrd, I: Index>(
    depth: usize,
    k: usize,
    input: &[T],
    values: &mut [T],
    indexes: &mut [I],
) {
    if k == 0 || depth == 0 {
        return;
    }
    let outs = values.chunks_exact_mut(k).zip(indexes.chunks_exact_mut(k));
    for (row, (values, indexes)) in input.chunks_exact(depth).zip(outs) {
        let mut found = 0;
        for (i, &x) in row.iter().enumerate() {
            // Insertion from the end: most elements are not among the greatest.
            let mut place = found;
            while place > 0 && x > values[place - 1] {
                place -= 1;
            }
            if place < k {
                found = (found + 1).min(k);
                values.copy_within(place..found - 1, place + 1);
                indexes.copy_within(place..found - 1, place + 1);
                values[place] = x;
                indexes[place] = I::from_index(i);
            }
        }
    }
}

/// GATHER: for each of `indexes` the part of `inner` elements at that place of the middle
/// dimension, over all outer places. `Err` gives the position of an index that is out of range.
pub fn gather<T: Copy, I: Index>(
    [axis, inner]: [usize; 2],
    indexes: &[I],
    input: &[T],
    out: &mut [T],
) -> Result<(), usize> {
    if inner == 0 || indexes.is_empty() {
        return Ok(());
    }
    let outs = out.chunks_exact_mut(indexes.len() * inner);
    for (input, out) in input.chunks_exact((axis * inner).max(1)).zip(outs) {
        for (at, (index, out)) in indexes.iter().zip(out.chunks_exact_mut(inner)).enumerate() {
            let from = index.within(axis).ok_or(at)? * inner;
            out.copy_from_slice(&input[from..from + inner]);
        }
    }
    Ok(())
}

/// GATHER_ND: each row of `indexes`, one index for each of the first dimensions of `shape`, names
/// a part of the input. `Err` gives the position of an index that is out of range.
pub fn gather_nd<T: Copy, I: Index>(
    shape: &[usize],
    depth: usize,
    indexes: &[I],
    input: &[T],
    out: &mut [T],
) -> Result<(), usize> {
    let part: usize = shape[depth..].iter().product();
    if part == 0 {
        return Ok(());
    }
    if depth == 0 {
        out.chunks_exact_mut(part).for_each(|out| out.copy_from_slice(input));
        return Ok(());
    }
    let rows = indexes.chunks_exact(depth).enumerate();
    for ((row, at), out) in rows.zip(out.chunks_exact_mut(part)) {
        let mut from = 0;
        for (axis, (index, &len)) in at.iter().zip(shape).enumerate() {
            from = from * len + index.within(len).ok_or(row * depth + axis)?;
        }
        out.copy_from_slice(&input[from * part..(from + 1) * part]);
    }
    Ok(())
}

/// CUMSUM along the middle dimension by `add`: each output is the sum of the inputs before it, and
/// of its own unless `exclusive`; from the end where `reverse`.
pub fn cumsum<T: Copy>(
    [axis, inner]: [usize; 2],
    [exclusive, reverse]: [bool; 2],
    zero: T,
    add: impl Fn(T, T) -> T,
    input: &[T],
    out: &mut [T],
) {
    let part = (axis * inner).max(1);
    for (input, out) in input.chunks_exact(part).zip(out.chunks_exact_mut(part)) {
        for column in 0..inner {
            let mut sum = zero;
            for i in 0..axis {
                let at = if reverse { axis - 1 - i } else { i } * inner + column;
                let next = add(sum, input[at]);
                out[at] = if exclusive { sum } else { next };
                sum = next;
            }
        }
    }
}

/// ONE_HOT into `[outer, depth, inner]`: `on` at the place along the middle dimension that the
/// index of its outer and inner place names, `off` elsewhere; indexes out of range name none.
pub fn one_hot<T: Copy, I: Index>(
    [depth, inner]: [usize; 2],
    [on, off]: [T; 2],
    indexes: &[I],
    out: &mut [T],
) {
    out.fill(off);
    if depth == 0 || inner == 0 {
        return;
    }
    let parts = out.chunks_exact_mut(depth * inner);
    for (indexes, out) in indexes.chunks_exact(inner).zip(parts) {
        for (column, index) in indexes.iter().enumerate() {
            if let Some(index) = index.within(depth) {
                out[index * inner + column] = on;
            }
        }
    }
}
