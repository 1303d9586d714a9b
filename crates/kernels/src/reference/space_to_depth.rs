//! SPACE_TO_DEPTH and DEPTH_TO_SPACE of `[n, h, w, c]`.

use super::{Operand, moved};

/// Pixel `(y, x)` gives its channels to pixel `(y / block, x / block)`, at
/// `(y % block * block + x % block) * c`.
pub fn space_to_depth<T: Copy>(block: usize, input: Operand<T>, out: &mut [T]) {
    let [n, h, w, c] = input.shape else { return };
    moved(&[*n, h / block, w / block, c * block * block], input, out, |at| {
        let place = at[3] / c;
        Some(vec![at[0], at[1] * block + place / block, at[2] * block + place % block, at[3] % c])
    });
}

/// The reverse of [`space_to_depth`].
pub fn depth_to_space<T: Copy>(block: usize, input: Operand<T>, out: &mut [T]) {
    let [n, h, w, c] = input.shape else { return };
    let depth = c / (block * block);
    moved(&[*n, h * block, w * block, depth], input, out, |at| {
        let place = at[1] % block * block + at[2] % block;
        Some(vec![at[0], at[1] / block, at[2] / block, place * depth + at[3]])
    });
}
