//! MEAN and SUM over some dimensions.
//!
//! Quantised: XNNPACK's `reduce-nd.c`: raw elements are summed, and the sum goes through
//! [`ReduceRequantize`].

use super::{Operand, indexes};
use crate::requant::{Quantized, ReduceRequantize};

/// Quantised mean or sum, as `requant` has it, over the dimensions for which `reduced` is true.
pub fn mean_quantized<T: Quantized, O: Quantized>(
    reduced: &[bool],
    requant: &ReduceRequantize,
    input: Operand<T>,
    out: &mut [O],
) {
    let mut sums = vec![0i32; out.len()];
    for_each_element(input.shape, reduced, |from, to| sums[to] += input.values[from].into());
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = requant.apply(sum);
    }
}

/// Float mean over the dimensions for which `reduced` is true.
pub fn mean_f32(reduced: &[bool], input: Operand<f32>, out: &mut [f32]) {
    let count = input.values.len() as f64 / out.len() as f64;
    sums(reduced, input, out, count);
}

/// Float sum over the dimensions for which `reduced` is true.
pub fn sum_f32(reduced: &[bool], input: Operand<f32>, out: &mut [f32]) {
    sums(reduced, input, out, 1.0);
}

fn sums(reduced: &[bool], input: Operand<f32>, out: &mut [f32], divisor: f64) {
    let mut sums = vec![0.0; out.len()];
    for_each_element(input.shape, reduced, |from, to| {
        sums[to] += f64::from(input.values[from]);
    });
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = (sum / divisor) as f32;
    }
}

/// Calls `body(input offset, output offset)` for each input element.
fn for_each_element(shape: &[usize], reduced: &[bool], mut body: impl FnMut(usize, usize)) {
    for from in 0..shape.iter().product() {
        let mut to = 0;
        for ((index, &len), reduced) in indexes(shape, from).into_iter().zip(shape).zip(reduced) {
            if !reduced {
                to = to * len + index;
            }
        }
        body(from, to);
    }
}
