//! SLICE and STRIDED_SLICE: which elements they take.

use achado_model::{Operator, Result};

use crate::NodeRef;

/// Elements `begin + i * step` of each dimension of `shape`, `size` of them.
pub struct Slice {
    /// The first element of each dimension.
    pub begin: Vec<usize>,
    /// How many elements.
    pub size: Vec<usize>,
}

/// SLICE `[input, begin, size]`.
pub fn slice(node: &NodeRef) -> Result<Slice> {
    let shape = &node.input(0)?.shape;
    let (begins, sizes) = (node.constant_integers(1)?, node.constant_integers(2)?);
    if begins.len() != shape.len() || sizes.len() != shape.len() {
        return Err(node.malformed(format!(
            "begin {begins:?} and size {sizes:?} do not fit a tensor of shape {shape:?}"
        )));
    }
    let (mut begin, mut size) = (Vec::new(), Vec::new());
    for ((&len, &first), &count) in shape.iter().zip(&begins).zip(&sizes) {
        let first = usize::try_from(first).ok().filter(|&first| first <= len);
        let count = match (first, count) {
            (Some(first), -1) => Some(len - first),
            (Some(first), count) => {
                usize::try_from(count).ok().filter(|&count| count <= len - first)
            }
            _ => None,
        };
        let (Some(first), Some(count)) = (first, count) else {
            return Err(node.malformed(format!(
                "begin {begins:?} and size {sizes:?} leave a tensor of shape {shape:?}"
            )));
        };
        begin.push(first);
        size.push(count);
    }
    Ok(Slice { begin, size })
}

/// STRIDED_SLICE with its masks resolved.
pub struct StridedSlice {
    /// The input's shape with the new dimensions in it.
    pub input: Vec<usize>,
    /// The first element of each dimension of `input`.
    pub begin: Vec<usize>,
    /// From one element to the next.
    pub step: Vec<isize>,
    /// How many elements.
    pub size: Vec<usize>,
    /// The result's shape: `size` without the dimensions that go away.
    pub shape: Vec<usize>,
}

/// What an entry of begin, end and strides says about a dimension.
enum Entry {
    /// All of it: under an ellipsis, or beyond the entries.
    All,
    /// A new dimension of size 1.
    New,
    /// Entry `i` of begin, end and strides.
    At(usize),
}

/// The rules are those of `strided_slice.cc` and `strided_slice_logic.h`.
pub fn strided_slice(node: &NodeRef) -> Result<StridedSlice> {
    let &Operator::StridedSlice {
        begin_mask,
        end_mask,
        ellipsis_mask,
        new_axis_mask,
        shrink_axis_mask,
        offset,
    } = &node.node.operator
    else {
        return Err(node.malformed("not a STRIDED_SLICE"));
    };
    let shape = &node.input(0)?.shape;
    let [begins, ends, steps] = [1, 2, 3].map(|i| node.constant_integers(i));
    let (begins, ends, steps) = (begins?, ends?, steps?);
    let count = begins.len();
    if ends.len() != count || steps.len() != count || count > 2 * achado_model::limits::MAX_RANK {
        return Err(node.malformed(format!(
            "begin {begins:?}, end {ends:?} and strides {steps:?} differ in length"
        )));
    }
    let has = |mask: u32, i: usize| mask >> i & 1 == 1;
    let mut entries = Vec::new();
    let added = (0..count).filter(|&i| has(new_axis_mask, i) && !has(ellipsis_mask, i)).count();
    let mut seen_ellipsis = false;
    for i in 0..count {
        if has(ellipsis_mask, i) && !seen_ellipsis {
            seen_ellipsis = true;
            // As many dimensions as the other entries leave.
            let spelt = (count - 1).saturating_sub(added);
            entries.extend((0..shape.len().saturating_sub(spelt)).map(|_| Entry::All));
        } else if has(new_axis_mask, i) {
            entries.push(Entry::New);
        } else {
            entries.push(Entry::At(i));
        }
    }
    while entries.len() < shape.len() + added {
        entries.push(Entry::All);
    }
    if entries.len() != shape.len() + added {
        let what = format!("{count} entries for a tensor of shape {shape:?}");
        return Err(node.malformed(what));
    }
    let mut result = StridedSlice {
        input: Vec::new(),
        begin: Vec::new(),
        step: Vec::new(),
        size: Vec::new(),
        shape: Vec::new(),
    };
    let mut dims = shape.iter();
    for entry in entries {
        let (len, begin, step, size, stays) = match entry {
            Entry::New => (1, 0, 1, 1, true),
            Entry::All => {
                let len = dims.next().copied().unwrap_or(1);
                (len, 0, 1, len, true)
            }
            Entry::At(i) => {
                let len = dims.next().copied().unwrap_or(1);
                let bounds = Bounds {
                    begin: (!has(begin_mask, i)).then_some(begins[i]),
                    end: (!has(end_mask, i)).then_some(ends[i]),
                    step: steps[i],
                    offset,
                };
                let shrinks = has(shrink_axis_mask, i);
                let taken = bounds.resolve(len, shrinks);
                let (begin, size) = taken.ok_or_else(|| {
                    node.malformed(format!(
                        "begin {begins:?}, end {ends:?} and strides {steps:?} leave a tensor of \
                         shape {shape:?}"
                    ))
                })?;
                let step = isize::try_from(steps[i]).unwrap_or(1);
                (len, begin, if size <= 1 { 1 } else { step }, size, !shrinks)
            }
        };
        result.input.push(len);
        result.begin.push(begin);
        result.step.push(step);
        result.size.push(size);
        if stays {
            result.shape.push(size);
        }
    }
    Ok(result)
}

/// What one dimension is cut to.
struct Bounds {
    begin: Option<i64>,
    end: Option<i64>,
    step: i64,
    offset: bool,
}

impl Bounds {
    /// The first element and how many; `None` where a single element lies outside.
    fn resolve(&self, len: usize, shrinks: bool) -> Option<(usize, usize)> {
        let size = i64::try_from(len).ok()?;
        let forward = self.step > 0;
        let (low, high) = if forward { (0, size) } else { (-1, size - 1) };
        let first = if forward { 0 } else { size - 1 };
        let begin = self
            .begin
            .map_or(first, |begin| if begin < 0 { begin.saturating_add(size) } else { begin });
        let begin = begin.clamp(low, high.max(low));
        if shrinks {
            let begin = usize::try_from(begin).ok().filter(|&begin| begin < len)?;
            return Some((begin, 1));
        }
        let end = match self.end {
            None => {
                if forward {
                    high
                } else {
                    low
                }
            }
            Some(end) => {
                let end = if self.offset { end.saturating_add(begin) } else { end };
                if end < 0 { end.saturating_add(size) } else { end }
            }
        };
        let end = end.clamp(low, high.max(low));
        let span = if forward { end - begin } else { begin - end };
        let step = usize::try_from(self.step.unsigned_abs()).ok().filter(|&step| step > 0)?;
        let count = usize::try_from(span).unwrap_or(0).div_ceil(step);
        Some((if count == 0 { 0 } else { usize::try_from(begin).ok()? }, count))
    }
}
