//! SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND over the two middle dimensions of `[n, h, w, c]`.

use super::{Operand, moved};

/// Pixel `(y, x)` of the padded picture `i` of `n` is pixel `(y / block, x / block)` of batch
/// `(y % block * block + x % block) * n + i`. Padding keeps what `out` holds.
pub fn space_to_batch_nd<T: Copy>(
    block: [usize; 2],
    padding: [[usize; 2]; 2],
    input: Operand<T>,
    out: &mut [T],
) {
    let &[n, h, w, c] = input.shape else { return };
    let cells = |axis: usize, len: usize| (len + padding[axis][0] + padding[axis][1]) / block[axis];
    let shape = [n * block[0] * block[1], cells(0, h), cells(1, w), c];
    moved(&shape, input, out, |at| {
        let phase = at[0] / n;
        let y = (at[1] * block[0] + phase / block[1]).checked_sub(padding[0][0])?;
        let x = (at[2] * block[1] + phase % block[1]).checked_sub(padding[1][0])?;
        (y < h && x < w).then(|| vec![at[0] % n, y, x, at[3]])
    });
}

/// The reverse of [`space_to_batch_nd`] into `out_shape`, where `crops` take the padding's place.
pub fn batch_to_space_nd<T: Copy>(
    out_shape: [usize; 4],
    block: [usize; 2],
    crops: [[usize; 2]; 2],
    input: Operand<T>,
    out: &mut [T],
) {
    moved(&out_shape, input, out, |at| {
        let (y, x) = (at[1] + crops[0][0], at[2] + crops[1][0]);
        let phase = y % block[0] * block[1] + x % block[1];
        Some(vec![phase * out_shape[0] + at[0], y / block[0], x / block[1], at[3]])
    });
}
