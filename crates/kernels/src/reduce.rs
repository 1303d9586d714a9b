//! The loops of an operator that takes some dimensions together: MEAN, SUM, REDUCE_MAX.

use crate::loops::{Loops, MAX_RANK};

/// Neighbouring outputs that a kernel keeps in accumulators at a time.
pub const TILE: usize = 64;

/// Which elements each output takes together.
#[derive(Clone, Copy, Debug)]
pub struct Reduction {
    /// The loops over outputs, around a run of `kept_len` neighbours: offsets in input, output.
    kept: Loops<2>,
    /// Neighbouring outputs whose inputs are neighbours too; 1 where the last dimension is reduced.
    kept_len: usize,
    /// The loops over the inputs of an output, around a run of `reduced_len` neighbours.
    reduced: Loops<1>,
    /// Neighbouring inputs of one output; 1 where the last dimension is kept.
    reduced_len: usize,
}

impl Reduction {
    /// Reduces the dimensions of `shape` for which `reduced` is true. `None` where there are more
    /// than [`MAX_RANK`] or the two differ in length.
    pub fn new(shape: &[usize], is_reduced: &[bool]) -> Option<Reduction> {
        if shape.len() > MAX_RANK || shape.len() != is_reduced.len() {
            return None;
        }
        let (mut kept, mut reduced) = (Loops::new(), Loops::new());
        let (mut in_stride, mut out_stride) = (1, 1);
        for (&len, &is_reduced) in shape.iter().zip(is_reduced).rev() {
            if is_reduced {
                reduced.surround(len, [in_stride])?;
            } else {
                kept.surround(len, [in_stride, out_stride])?;
                out_stride *= len;
            }
            in_stride *= len;
        }
        let kept_run = kept.innermost().is_some_and(|l| l.strides == [1, 1]);
        let reduced_run = reduced.innermost().is_some_and(|l| l.strides == [1]);
        Some(Reduction {
            kept_len: if kept_run { kept.take_innermost().len } else { 1 },
            reduced_len: if reduced_run { reduced.take_innermost().len } else { 1 },
            kept,
            reduced,
        })
    }

    /// Inputs of each output.
    pub fn count(&self) -> usize {
        self.reduced.count() * self.reduced_len
    }

    /// Outputs.
    pub fn out_len(&self) -> usize {
        self.kept.count() * self.kept_len
    }

    /// For each tile of at most [`TILE`] neighbouring outputs, folds their inputs into
    /// accumulators that begin as `start`, and hands them to `finish(tile, first output)`.
    #[inline]
    pub fn fold<T: Copy, A: Copy>(
        &self,
        input: &[T],
        start: A,
        add: impl Fn(A, T) -> A,
        mut finish: impl FnMut(&[A], usize),
    ) {
        let run = |tile: &mut [A], run: &[T]| match tile {
            [only] => *only = run.iter().fold(*only, |sum, &x| add(sum, x)),
            _ => {
                for (sum, &x) in tile.iter_mut().zip(run) {
                    *sum = add(*sum, x);
                }
            }
        };
        self.fold_runs(input, start, &run, &mut finish);
    }

    /// [`Self::fold`] by runs of inputs: as many as the tile has outputs, or all of one output. One
    /// for all operators on the same types.
    #[inline(never)]
    fn fold_runs<T, A: Copy>(
        &self,
        input: &[T],
        start: A,
        run: &dyn Fn(&mut [A], &[T]),
        finish: &mut dyn FnMut(&[A], usize),
    ) {
        self.kept.for_each(|[from, to]| {
            for first in (0..self.kept_len).step_by(TILE) {
                let mut tile = [start; TILE];
                let tile = &mut tile[..TILE.min(self.kept_len - first)];
                // Where the last dimension is reduced the tile has one output.
                let len = tile.len().max(self.reduced_len);
                self.reduced.for_each(|[offset]| {
                    run(tile, &input[from + first + offset..][..len]);
                });
                finish(tile, to + first);
            }
        });
    }
}

/// Elements side by side in [`extreme_f32`]: enough vectors to hide the time that one comparison
/// waits for the one before.
const LANES: usize = 16;

/// The greatest or least of all elements, infinite where there is none; NaN is neither. A loop that
/// the compiler turns into vectors, which a fold of one accumulator is not.
#[inline(never)]
pub fn extreme_f32(input: &[f32], is_max: bool) -> f32 {
    // The least is the greatest with all signs changed.
    let sign = if is_max { 0 } else { 1 << 31 };
    let flip = |x: f32| f32::from_bits(x.to_bits() ^ sign);
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = input.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = greater(*lane, flip(x));
        }
    }
    let greatest = lanes.into_iter().fold(f32::NEG_INFINITY, greater);
    flip(rest.iter().fold(greatest, |most, &x| greater(most, flip(x))))
}
