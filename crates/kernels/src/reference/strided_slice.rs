//! SLICE and STRIDED_SLICE, once their masks and negative indexes are worked out.

use super::{Operand, moved};

/// Element `i` of a dimension of `size` is element `begin + i * step` of the input's.
pub fn strided_slice<T: Copy>(
    begin: &[usize],
    step: &[isize],
    size: &[usize],
    input: Operand<T>,
    out: &mut [T],
) {
    moved(size, input, out, |at| {
        let axes = at.iter().zip(begin).zip(step);
        axes.map(|((&i, begin), step)| begin.checked_add_signed(i as isize * step)).collect()
    });
}
