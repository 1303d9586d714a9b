//! Two operands of different shapes, element by element.

/// Greatest rank of a tensor that the index-moving and element-wise kernels take.
pub const MAX_RANK: usize = 8;

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
    /// The loops around a row, innermost first.
    outer: [Loop; MAX_RANK],
    depth: usize,
    row: Row,
    row_len: usize,
}

/// One loop: its length, and how far each operand moves in a step.
#[derive(Clone, Copy, Debug, Default)]
struct Loop {
    len: usize,
    first: usize,
    second: usize,
}

impl Broadcast {
    /// For operands of these shapes; `None` where they do not fit, or have more than [`MAX_RANK`]
    /// dimensions.
    pub fn new(first: &[usize], second: &[usize]) -> Option<Broadcast> {
        let rank = first.len().max(second.len());
        if rank > MAX_RANK {
            return None;
        }
        let mut loops = [Loop { len: 1, first: 1, second: 1 }; MAX_RANK];
        let (mut depth, mut strides) = (0, [1, 1]);
        for axis in 0..rank {
            let a = axis_from_end(first, axis);
            let b = axis_from_end(second, axis);
            if a != b && a != 1 && b != 1 {
                return None;
            }
            if a == 1 && b == 1 {
                continue;
            }
            let next = Loop {
                len: if a == 1 { b } else { a },
                first: if a == 1 { 0 } else { strides[0] },
                second: if b == 1 { 0 } else { strides[1] },
            };
            strides = [strides[0] * a, strides[1] * b];
            match loops[..depth].last_mut() {
                Some(last) if (last.first, last.second).same_sides(next) => last.len *= next.len,
                _ => {
                    loops[depth] = next;
                    depth += 1;
                }
            }
        }
        let row = loops[0];
        let mut outer = [Loop::default(); MAX_RANK];
        outer[..MAX_RANK - 1].copy_from_slice(&loops[1..]);
        Some(Broadcast {
            outer,
            depth: depth.saturating_sub(1),
            row: match (row.first, row.second) {
                (_, 0) => Row::SecondScalar,
                (0, _) => Row::FirstScalar,
                _ => Row::Both,
            },
            row_len: row.len,
        })
    }

    /// How every row reads its operands.
    pub fn row(&self) -> Row {
        self.row
    }

    /// Output elements in a row.
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// Output elements.
    pub fn out_len(&self) -> usize {
        self.outer[..self.depth].iter().map(|l| l.len).product::<usize>() * self.row_len
    }

    /// Calls `body(first, second, out)` with the offsets of each row, in the output's order.
    #[inline]
    pub fn for_each_row(&self, mut body: impl FnMut(usize, usize, usize)) {
        let outer = &self.outer[..self.depth];
        let rows: usize = outer.iter().map(|l| l.len).product();
        let mut counters = [0; MAX_RANK];
        let (mut first, mut second) = (0, 0);
        for row in 0..rows {
            body(first, second, row * self.row_len);
            for (counter, l) in counters.iter_mut().zip(outer) {
                *counter += 1;
                first += l.first;
                second += l.second;
                if *counter < l.len {
                    break;
                }
                *counter = 0;
                first -= l.first * l.len;
                second -= l.second * l.len;
            }
        }
    }

    /// `out = f(first, second)` for every output element, one simple loop a row, which the
    /// compiler turns into vectors where `f` allows it.
    #[inline]
    pub fn apply<A: Copy, B: Copy, O>(
        &self,
        first: &[A],
        second: &[B],
        out: &mut [O],
        f: impl Fn(A, B) -> O,
    ) {
        let len = self.row_len;
        match self.row {
            Row::Both => self.for_each_row(|a, b, o| {
                let operands = first[a..a + len].iter().zip(&second[b..b + len]);
                for (out, (&x, &y)) in out[o..o + len].iter_mut().zip(operands) {
                    *out = f(x, y);
                }
            }),
            Row::SecondScalar => self.for_each_row(|a, b, o| {
                let y = second[b];
                for (out, &x) in out[o..o + len].iter_mut().zip(&first[a..a + len]) {
                    *out = f(x, y);
                }
            }),
            Row::FirstScalar => self.for_each_row(|a, b, o| {
                let x = first[a];
                for (out, &y) in out[o..o + len].iter_mut().zip(&second[b..b + len]) {
                    *out = f(x, y);
                }
            }),
        }
    }
}

/// Whether two loops move the same operands.
trait SameSides {
    fn same_sides(self, other: Loop) -> bool;
}

impl SameSides for (usize, usize) {
    fn same_sides(self, other: Loop) -> bool {
        (self.0 == 0) == (other.first == 0) && (self.1 == 0) == (other.second == 0)
    }
}

/// The length of the dimension `axis` steps from the last; 1 beyond the rank.
fn axis_from_end(shape: &[usize], axis: usize) -> usize {
    shape.len().checked_sub(axis + 1).map_or(1, |at| shape[at])
}
