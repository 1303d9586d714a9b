//! BROADCAST_TO and TILE.

use super::{Operand, moved};

/// Repeats the dimensions of 1, and those that the input lacks in front, to `shape`.
pub fn broadcast_to<T: Copy>(shape: &[usize], input: Operand<T>, out: &mut [T]) {
    moved(shape, input, out, |at| {
        let at = &at[at.len() - input.shape.len()..];
        Some(at.iter().zip(input.shape).map(|(&i, &len)| if len == 1 { 0 } else { i }).collect())
    });
}

/// Repeats dimension `i` as a whole `multiples[i]` times.
pub fn tile<T: Copy>(multiples: &[usize], input: Operand<T>, out: &mut [T]) {
    let shape: Vec<usize> = input.shape.iter().zip(multiples).map(|(len, n)| len * n).collect();
    moved(&shape, input, out, |at| {
        Some(at.iter().zip(input.shape).map(|(i, len)| i % len).collect())
    });
}
