//! Operators that only move elements, by strides: TRANSPOSE, SLICE, STRIDED_SLICE, SPLIT, UNPACK,
//! BROADCAST_TO, TILE, SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND.
//!
//! Which element goes where is defined by the file of the operator's name in
//! [`reference`](crate::reference). Elements may be of any type; engines move their bits.

use crate::loops::{Loop, Loops, MAX_RANK};

/// Elements of a side of the square that a transposition moves at a time, so that both sides stay
/// in the first-level cache.
const SQUARE: usize = 16;

/// A copy along nested loops.
#[derive(Clone, Copy, Debug)]
pub struct StridedCopy {
    outer: Loops<2>,
    /// The loop along which the input is contiguous, where that is not the innermost one.
    across: Option<Loop<2>>,
    row: Loop<2>,
    origin: [usize; 2],
}

impl StridedCopy {
    /// From dimensions `(length, [input stride, output stride])`, innermost first. `None` where
    /// they need more than [`MAX_RANK`] loops.
    pub fn new(
        dims: impl IntoIterator<Item = (usize, [usize; 2])>,
        origin: [usize; 2],
    ) -> Option<Self> {
        let mut outer = Loops::new();
        for (len, strides) in dims {
            outer.surround(len, strides)?;
        }
        let row = outer.take_innermost();
        let across = match row.strides {
            [0 | 1, _] => None,
            _ => outer.take(|l| l.strides[0] == 1),
        };
        Some(Self { outer, across, row, origin })
    }

    /// Into a contiguous output, from dimensions `(length, input stride)`, innermost first.
    fn gather(dims: &[(usize, usize)], origin: usize) -> Option<Self> {
        let mut out_stride = 1;
        let dims = dims.iter().map(|&(len, in_stride)| {
            let stride = out_stride;
            out_stride *= len;
            (len, [in_stride, stride])
        });
        Self::new(dims, [origin, 0])
    }

    /// TRANSPOSE: dimension `i` of the output is dimension `order[i]` of the input. `None` where
    /// `order` is no permutation, or there are too many dimensions.
    pub fn transpose(shape: &[usize], order: &[usize]) -> Option<Self> {
        let strides = strides(shape)?;
        let is_permutation =
            order.len() == shape.len() && (0..shape.len()).all(|i| order.contains(&i));
        let dims: Vec<_> = is_permutation
            .then(|| order.iter().rev().map(|&axis| (shape[axis], strides[axis])).collect())?;
        Self::gather(&dims, 0)
    }

    /// STRIDED_SLICE and SLICE: output element `i` of a dimension is input element
    /// `begin + i * step`. `None` where that leaves the input.
    pub fn slice(shape: &[usize], begin: &[usize], step: &[isize], size: &[usize]) -> Option<Self> {
        if [begin.len(), step.len(), size.len()] != [shape.len(); 3] {
            return None;
        }
        let strides = strides(shape)?;
        let mut origin = 0;
        let mut dims = Vec::with_capacity(shape.len());
        for axis in (0..shape.len()).rev() {
            if let Some(steps) = size[axis].checked_sub(1) {
                let last = isize::try_from(steps).ok()?.checked_mul(step[axis])?;
                let last = begin[axis].checked_add_signed(last)?;
                if begin[axis].max(last) >= shape[axis] {
                    return None;
                }
            }
            origin += begin[axis] * strides[axis];
            dims.push((size[axis], strides[axis].wrapping_mul(step[axis] as usize)));
        }
        // An empty slice may begin at the end of the input.
        Self::gather(&dims, if size.contains(&0) { 0 } else { origin })
    }

    /// BROADCAST_TO: dimensions of 1, and those that the input lacks in front, are repeated.
    pub fn broadcast_to(shape: &[usize], out_shape: &[usize]) -> Option<Self> {
        let missing = out_shape.len().checked_sub(shape.len())?;
        let strides = strides(shape)?;
        let dims: Option<Vec<_>> = out_shape
            .iter()
            .enumerate()
            .rev()
            .map(|(axis, &len)| match axis.checked_sub(missing) {
                Some(axis) if shape[axis] == len => Some((len, strides[axis])),
                Some(axis) if shape[axis] != 1 => None,
                _ => Some((len, 0)),
            })
            .collect();
        Self::gather(&dims?, 0)
    }

    /// TILE: dimension `i` is repeated `multiples[i]` times.
    pub fn tile(shape: &[usize], multiples: &[usize]) -> Option<Self> {
        let strides = (shape.len() == multiples.len()).then(|| strides(shape))??;
        let dims: Vec<_> = (0..shape.len())
            .rev()
            .flat_map(|axis| [(shape[axis], strides[axis]), (multiples[axis], 0)])
            .collect();
        Self::gather(&dims, 0)
    }

    /// SPACE_TO_DEPTH of `[n, h, w, c]`: squares of `block` pixels become the channels of one.
    /// `None` where `block` does not divide height and width.
    pub fn space_to_depth([n, h, w, c]: [usize; 4], block: usize) -> Option<Self> {
        if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
            return None;
        }
        Self::gather(
            &[
                (block * c, 1),
                (block, w * c),
                (w / block, block * c),
                (h / block, block * w * c),
                (n, h * w * c),
            ],
            0,
        )
    }

    /// DEPTH_TO_SPACE of `[n, h, w, c]`: the channels of a pixel become squares of `block` pixels.
    /// `None` where the square of `block` does not divide the channels.
    pub fn depth_to_space([n, h, w, c]: [usize; 4], block: usize) -> Option<Self> {
        if block == 0 || !c.is_multiple_of(block * block) {
            return None;
        }
        let row = c / block;
        Self::gather(&[(row, 1), (w, c), (block, row), (h, w * c), (n, h * w * c)], 0)
    }

    /// Copies elements from `input` to their places in `out`.
    pub fn apply<T: Copy>(&self, input: &[T], out: &mut [T]) {
        let Loop { len, strides: [in_step, out_step] } = self.row;
        let [in_origin, out_origin] = self.origin;
        if len == 0 {
            return;
        }
        self.outer.for_each(|[from, to]| {
            let (from, to) = (in_origin.wrapping_add(from), out_origin.wrapping_add(to));
            if let Some(across) = &self.across {
                return transpose(across, &self.row, input, from, out, to);
            }
            match (in_step, out_step) {
                (1, 1) => out[to..to + len].copy_from_slice(&input[from..from + len]),
                (0, 1) => out[to..to + len].fill(input[from]),
                _ => {
                    for i in 0..len {
                        out[to + i * out_step] = input[from.wrapping_add(i.wrapping_mul(in_step))];
                    }
                }
            }
        });
    }
}

/// Copies the plane of two loops, square by square.
fn transpose<T: Copy>(
    across: &Loop<2>,
    row: &Loop<2>,
    input: &[T],
    from: usize,
    out: &mut [T],
    to: usize,
) {
    for first in (0..across.len).step_by(SQUARE) {
        let end = across.len.min(first + SQUARE);
        for left in (0..row.len).step_by(SQUARE) {
            let right = row.len.min(left + SQUARE);
            for i in first..end {
                let (from, to) = (from.wrapping_add(i), to + i * across.strides[1]);
                for j in left..right {
                    out[to + j * row.strides[1]] =
                        input[from.wrapping_add(j.wrapping_mul(row.strides[0]))];
                }
            }
        }
    }
}

/// How far neighbours of each dimension lie apart; `None` beyond [`MAX_RANK`] dimensions.
fn strides(shape: &[usize]) -> Option<Vec<usize>> {
    if shape.len() > MAX_RANK {
        return None;
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    Some(strides)
}

/// SPACE_TO_BATCH_ND or BATCH_TO_SPACE_ND over two dimensions of `[n, h, w, c]`: one copy for each
/// place in a block.
#[derive(Clone, Debug)]
pub struct BatchCopy {
    copies: Vec<StridedCopy>,
}

impl BatchCopy {
    /// SPACE_TO_BATCH_ND: the picture, padded by `padding` (`[before, after]` of rows and of
    /// columns), gives its pixel `(y, x)` to batch `(y % block) * block + x % block`, one after
    /// another over all pictures. `None` where blocks do not divide the padded sides.
    pub fn space_to_batch(
        shape: [usize; 4],
        block: [usize; 2],
        padding: [[usize; 2]; 2],
    ) -> Option<Self> {
        let [n, h, w, c] = shape;
        let sides = [h + padding[0][0] + padding[0][1], w + padding[1][0] + padding[1][1]];
        Self::new([n, h, w, c], sides, block, [padding[0][0], padding[1][0]], true)
    }

    /// BATCH_TO_SPACE_ND into `[n, h, w, c]`: the reverse, of which `crops` (`[before, after]` of
    /// rows and of columns) are left out.
    pub fn batch_to_space(
        out_shape: [usize; 4],
        block: [usize; 2],
        crops: [[usize; 2]; 2],
    ) -> Option<Self> {
        let [_, h, w, _] = out_shape;
        let sides = [h + crops[0][0] + crops[0][1], w + crops[1][0] + crops[1][1]];
        Self::new(out_shape, sides, block, [crops[0][0], crops[1][0]], false)
    }

    /// `shape` is that of the picture side, whose first pixel lies at `before` in the padded
    /// picture of `sides`.
    fn new(
        [n, h, w, c]: [usize; 4],
        sides: [usize; 2],
        block: [usize; 2],
        before: [usize; 2],
        to_batch: bool,
    ) -> Option<Self> {
        if (0..2).any(|i| block[i] == 0 || !sides[i].is_multiple_of(block[i])) {
            return None;
        }
        let cells = [sides[0] / block[0], sides[1] / block[1]];
        let mut copies = Vec::with_capacity(block[0] * block[1]);
        for phase in 0..block[0] * block[1] {
            let at = [phase / block[1], phase % block[1]];
            // The cells whose pixel of this phase lies in the picture.
            let span = |axis: usize, len: usize| {
                let first = before[axis].saturating_sub(at[axis]).div_ceil(block[axis]);
                let end = (before[axis] + len).saturating_sub(at[axis]).div_ceil(block[axis]);
                let pixel = (first * block[axis] + at[axis]).wrapping_sub(before[axis]);
                (first, end.saturating_sub(first), pixel)
            };
            let (cell_y, rows, y) = span(0, h);
            let (cell_x, columns, x) = span(1, w);
            if rows == 0 || columns == 0 {
                continue;
            }
            let picture = [1, block[1] * c, block[0] * w * c, h * w * c];
            let batch = [1, c, cells[1] * c, cells[0] * cells[1] * c];
            let origin = [(y * w + x) * c, phase * n * batch[3] + (cell_y * cells[1] + cell_x) * c];
            let lens = [c, columns, rows, n];
            let pairs = |a: usize, b: usize| if to_batch { [a, b] } else { [b, a] };
            let dims = (0..4).map(|i| (lens[i], pairs(picture[i], batch[i])));
            copies.push(StridedCopy::new(dims, pairs(origin[0], origin[1]))?);
        }
        Some(Self { copies })
    }

    /// Copies; what padding adds is left as it is in `out`, so fill it before.
    pub fn apply<T: Copy>(&self, input: &[T], out: &mut [T]) {
        for copy in &self.copies {
            copy.apply(input, out);
        }
    }
}
