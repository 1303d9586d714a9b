//! TRANSPOSE and REVERSE_V2.

use super::{Operand, moved};

/// Dimension `i` of the output is dimension `order[i]` of the input.
pub fn transpose<T: Copy>(order: &[usize], input: Operand<T>, out: &mut [T]) {
    let shape: Vec<usize> = order.iter().map(|&axis| input.shape[axis]).collect();
    moved(&shape, input, out, |at| {
        let mut from = vec![0; at.len()];
        for (&axis, &index) in order.iter().zip(at) {
            from[axis] = index;
        }
        Some(from)
    });
}

/// The dimensions for which `reversed` is true are read from their ends.
pub fn reverse<T: Copy>(reversed: &[bool], input: Operand<T>, out: &mut [T]) {
    moved(input.shape, input, out, |at| {
        let axes = at.iter().zip(input.shape).zip(reversed);
        Some(axes.map(|((&i, len), &r)| if r { len - 1 - i } else { i }).collect())
    });
}
