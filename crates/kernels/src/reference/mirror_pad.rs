//! MIRROR_PAD.

use super::{Operand, moved};

/// Puts `[before, after]` mirrored elements around each dimension; the edge itself is repeated
/// where `symmetric`.
pub fn mirror_pad<T: Copy>(
    padding: &[[usize; 2]],
    symmetric: bool,
    input: Operand<T>,
    out: &mut [T],
) {
    let sides = input.shape.iter().zip(padding);
    let shape: Vec<usize> = sides.map(|(len, [before, after])| before + len + after).collect();
    let skipped = usize::from(!symmetric);
    moved(&shape, input, out, |at| {
        let axes = at.iter().zip(padding).zip(input.shape);
        Some(
            axes.map(|((&i, [before, _]), len)| match i.checked_sub(*before) {
                None => before - 1 - i + skipped,
                Some(i) if i < *len => i,
                Some(i) => 2 * len - 1 - i - skipped,
            })
            .collect(),
        )
    });
}
