//! Operators that read each dimension by a list of indexes: RESIZE_NEAREST_NEIGHBOR, MIRROR_PAD,
//! REVERSE_V2, GATHER with constant indices.

/// Output element `(i, j, ...)` is input element `(first[i], second[j], ...)`.
#[derive(Clone, Debug)]
pub struct IndexedCopy {
    /// For each dimension the input offsets of its indexes, outermost first.
    offsets: Vec<Vec<usize>>,
    /// Neighbouring elements that are read as they lie.
    run: usize,
}

impl IndexedCopy {
    /// For each dimension of `shape` the input indexes that the output has. `None` where an index
    /// leaves its dimension or the lengths differ.
    pub fn new(shape: &[usize], indexes: &[Vec<usize>]) -> Option<Self> {
        if shape.len() != indexes.len() {
            return None;
        }
        let (mut offsets, mut run, mut stride) = (Vec::new(), 1, 1);
        for (&len, list) in shape.iter().zip(indexes).rev() {
            if list.iter().any(|&index| index >= len) {
                return None;
            }
            let untouched = list.len() == len && list.iter().enumerate().all(|(i, &x)| i == x);
            if untouched && offsets.is_empty() {
                run *= len;
            } else {
                offsets.push(list.iter().map(|index| index * stride).collect());
            }
            stride *= len;
        }
        offsets.reverse();
        Some(Self { offsets, run })
    }

    /// RESIZE_NEAREST_NEIGHBOR of `[n, h, w, c]` to `[n, out_h, out_w, c]`.
    pub fn resize_nearest_neighbor(
        [n, h, w, c]: [usize; 4],
        [out_h, out_w]: [usize; 2],
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Option<Self> {
        let axis = |len: usize, out: usize| {
            (0..out)
                .map(|i| crate::resize::nearest(i, len, out, align_corners, half_pixel_centers))
                .collect()
        };
        let all = |len: usize| (0..len).collect();
        Self::new(&[n, h, w, c], &[all(n), axis(h, out_h), axis(w, out_w), all(c)])
    }

    /// MIRROR_PAD: `[before, after]` elements of each dimension are those next to the edge,
    /// mirrored; the edge itself is repeated where `symmetric`. `None` where a dimension is too
    /// short for that.
    pub fn mirror_pad(shape: &[usize], padding: &[[usize; 2]], symmetric: bool) -> Option<Self> {
        if shape.len() != padding.len() {
            return None;
        }
        let skipped = usize::from(!symmetric);
        let mut indexes = Vec::with_capacity(shape.len());
        for (&len, &[before, after]) in shape.iter().zip(padding) {
            if before.max(after) + skipped > len {
                return None;
            }
            let left = (0..before).rev().map(|i| i + skipped);
            let right = (0..after).map(|i| len - 1 - i - skipped);
            indexes.push(left.chain(0..len).chain(right).collect());
        }
        Self::new(shape, &indexes)
    }

    /// REVERSE_V2: the dimensions for which `reversed` is true are read from their ends.
    pub fn reverse(shape: &[usize], reversed: &[bool]) -> Option<Self> {
        let indexes: Vec<Vec<usize>> = shape
            .iter()
            .zip(reversed)
            .map(
                |(&len, &reversed)| {
                    if reversed { (0..len).rev().collect() } else { (0..len).collect() }
                },
            )
            .collect();
        Self::new(shape, &indexes)
    }

    /// Output elements.
    pub fn out_len(&self) -> usize {
        self.offsets.iter().map(Vec::len).product::<usize>() * self.run
    }

    /// Copies elements from `input` to their places in `out`.
    pub fn apply<T: Copy>(&self, input: &[T], out: &mut [T]) {
        self.copy(0, 0, input, out);
    }

    /// The part of `out` that lies in one place of the first `depth` dimensions.
    fn copy<T: Copy>(&self, depth: usize, from: usize, input: &[T], out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let Some(offsets) = self.offsets.get(depth) else {
            return out.copy_from_slice(&input[from..from + self.run]);
        };
        if depth + 1 == self.offsets.len() && self.run == 1 {
            for (out, offset) in out.iter_mut().zip(offsets) {
                *out = input[from + offset];
            }
            return;
        }
        let part = out.len() / offsets.len();
        for (out, offset) in out.chunks_exact_mut(part).zip(offsets) {
            self.copy(depth + 1, from + offset, input, out);
        }
    }
}
