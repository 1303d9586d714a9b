//! PAD and PADV2: a border of one value around a tensor.

use crate::loops::{Loops, MAX_RANK};

/// Where the elements of the input lie in the output.
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    /// The loops around a run: offsets in input and output.
    runs: Loops<2>,
    run_len: usize,
    /// Output offset of the first input element.
    origin: usize,
}

impl Pad {
    /// For an input of this shape with `[before, after]` added to each dimension. `None` where the
    /// lengths differ, there are more than [`MAX_RANK`] dimensions, or sizes overflow.
    pub fn new(shape: &[usize], padding: &[[usize; 2]]) -> Option<Pad> {
        if shape.len() > MAX_RANK || shape.len() != padding.len() {
            return None;
        }
        let mut runs = Loops::new();
        let (mut in_stride, mut out_stride, mut origin) = (1usize, 1usize, 0);
        for (&len, &[before, after]) in shape.iter().zip(padding).rev() {
            runs.surround(len, [in_stride, out_stride])?;
            origin += before.checked_mul(out_stride)?;
            in_stride = in_stride.checked_mul(len)?;
            out_stride = out_stride.checked_mul(before.checked_add(len)?.checked_add(after)?)?;
        }
        let is_run = runs.innermost().is_some_and(|l| l.strides == [1, 1]);
        let run_len = if is_run { runs.take_innermost().len } else { 1 };
        Some(Pad { runs, run_len, origin })
    }

    /// Fills `out` with the input and `value` around it.
    pub fn apply<T: Copy>(&self, value: T, input: &[T], out: &mut [T]) {
        out.fill(value);
        self.runs.for_each(|[from, to]| {
            let to = self.origin + to;
            out[to..to + self.run_len].copy_from_slice(&input[from..from + self.run_len]);
        });
    }
}
