//! PAD and PADV2. On 8-bit tensors PAD's value is the zero point.

use super::{Operand, indexes};

/// Puts `[before, after]` elements of `value` around each dimension.
pub fn pad<T: Copy>(padding: &[[usize; 2]], value: T, input: Operand<T>, out: &mut [T]) {
    let shape: Vec<usize> = input
        .shape
        .iter()
        .zip(padding)
        .map(|(len, [before, after])| before + len + after)
        .collect();
    for (offset, out) in out.iter_mut().enumerate() {
        let mut from = Some(0);
        for ((index, [before, _]), &len) in
            indexes(&shape, offset).into_iter().zip(padding).zip(input.shape)
        {
            let inside = index.checked_sub(*before).filter(|&index| index < len);
            from = from.zip(inside).map(|(from, index)| from * len + index);
        }
        *out = from.map_or(value, |from| input.values[from]);
    }
}
