//! Two operands of different shapes, element by element.

use core::ops::Range;

use crate::loops::{Loops, MAX_RANK};

/// How a run of neighbouring output elements reads an operand pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Both operands are read element by element.
    Both,
    /// The second operand is one element for the whole run.
    SecondScalar,
    /// The first operand is one element for the whole run.
    FirstScalar,
}

/// The loops of an element-wise operator with two operands, in NumPy's broadcasting rules: shapes
/// are aligned at their last dimensions, and a dimension of 1 is repeated.
///
/// Neighbouring dimensions that behave alike are merged, so that `[n, h, w, c]` with `[c]` is two
/// loops, and equal shapes are one.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// The loops around a row.
    rows: Loops<2>,
    row: Row,
    row_len: usize,
    /// The first row and how many there are of it on.
    first: usize,
    count: usize,
    /// Elements of a row of both operands before the first.
    skipped: usize,
}

impl Broadcast {
    /// For operands of these shapes; `None` where they do not fit, or have more than [`MAX_RANK`]
    /// dimensions.
    pub fn new(first: &[usize], second: &[usize]) -> Option<Broadcast> {
        let rank = first.len().max(second.len());
        if rank > MAX_RANK {
            return None;
        }
        let mut rows = Loops::new();
        let mut strides = [1, 1];
        for axis in 0..rank {
            let a = axis_from_end(first, axis);
            let b = axis_from_end(second, axis);
            if a != b && a != 1 && b != 1 {
                return None;
            }
            let moved = [if a == 1 { 0 } else { strides[0] }, if b == 1 { 0 } else { strides[1] }];
            rows.surround(if a == 1 { b } else { a }, moved)?;
            strides = [strides[0] * a, strides[1] * b];
        }
        let row = rows.take_innermost();
        Some(Broadcast {
            count: rows.count(),
            first: 0,
            skipped: 0,
            rows,
            row: match row.strides {
                [0, 0] | [1, 1] => Row::Both,
                [_, 0] => Row::SecondScalar,
                _ => Row::FirstScalar,
            },
            row_len: row.len,
        })
    }

    /// How every row reads its operands.
    pub fn row(&self) -> Row {
        self.row
    }

    /// How far each operand moves from one element of a row to the next: 1, or 0 where it is one
    /// element for the whole row.
    pub fn row_steps(&self) -> [usize; 2] {
        match self.row {
            Row::Both => [1, 1],
            Row::SecondScalar => [1, 0],
            Row::FirstScalar => [0, 1],
        }
    }

    /// Output elements in a row.
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// Output elements.
    pub fn out_len(&self) -> usize {
        self.count * self.row_len
    }

    /// Output elements of an item of [`Self::part`].
    pub fn item_len(&self) -> usize {
        if self.count == 1 { 1 } else { self.row_len }
    }

    /// The loops of the output's items `items` alone, which are rows, or elements where there is one
    /// row: `out` holds just these, operands are whole.
    #[must_use]
    pub fn part(&self, items: Range<usize>) -> Broadcast {
        if self.count == 1 {
            return Broadcast {
                row_len: items.len(),
                skipped: self.skipped + items.start,
                ..*self
            };
        }
        Broadcast { first: self.first + items.start, count: items.len(), ..*self }
    }

    /// Calls `body(first, second, out)` with the offsets of each row, in the output's order.
    #[inline]
    pub fn for_each_row(&self, mut body: impl FnMut(usize, usize, usize)) {
        self.rows_to(&mut body);
    }

    // One for all operators, which call their rows through a pointer.
    #[inline(never)]
    fn rows_to(&self, body: &mut dyn FnMut(usize, usize, usize)) {
        let mut at = 0;
        let [first_step, second_step] = self.row_steps();
        self.rows.for_each_of(self.first..self.first + self.count, |[first, second]| {
            body(first + first_step * self.skipped, second + second_step * self.skipped, at);
            at += self.row_len;
        });
    }

    /// `out = f(first, second)` for every output element, in one simple loop, which the compiler
    /// turns into vectors where `f` allows it.
    #[inline]
    pub fn apply<A: Copy, B: Copy, O>(
        &self,
        first: &[A],
        second: &[B],
        out: &mut [O],
        f: impl Fn(A, B) -> O,
    ) {
        self.apply_rows(first, second, out, &|first, second, out| {
            for (out, (&x, &y)) in out.iter_mut().zip(first.iter().zip(second)) {
                *out = f(x, y);
            }
        });
    }

    /// `run(first, second, out)` on slices of one length that make up the output: whole rows, or
    /// [`BLOCK`] elements where an operand is one element for the row, which is repeated for `run`.
    #[inline(never)]
    fn apply_rows<A: Copy, B: Copy, O>(
        &self,
        first: &[A],
        second: &[B],
        out: &mut [O],
        run: Run<'_, A, B, O>,
    ) {
        let (Some(&x), Some(&y)) = (first.first(), second.first()) else { return };
        let (mut first_block, mut second_block) = ([x; BLOCK], [y; BLOCK]);
        let len = self.row_len;
        self.for_each_row(|a, b, o| {
            let out = &mut out[o..o + len];
            if self.row == Row::Both {
                return run(&first[a..a + len], &second[b..b + len], out);
            }
            match self.row {
                Row::FirstScalar => first_block[..len.min(BLOCK)].fill(first[a]),
                _ => second_block[..len.min(BLOCK)].fill(second[b]),
            }
            for (at, out) in (0..).step_by(BLOCK).zip(out.chunks_mut(BLOCK)) {
                let len = out.len();
                match self.row {
                    Row::FirstScalar => run(&first_block[..len], &second[b + at..][..len], out),
                    _ => run(&first[a + at..][..len], &second_block[..len], out),
                }
            }
        });
    }
}

/// An operator on slices of one length.
type Run<'a, A, B, O> = &'a dyn Fn(&[A], &[B], &mut [O]);

/// Elements of a step of a row of which an operand is one element.
const BLOCK: usize = 64;

/// The length of the dimension `axis` steps from the last; 1 beyond the rank.
fn axis_from_end(shape: &[usize], axis: usize) -> usize {
    shape.len().checked_sub(axis + 1).map_or(1, |at| shape[at])
}
