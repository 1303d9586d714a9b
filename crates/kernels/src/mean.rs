//! MEAN and SUM. Arithmetic: see [`reference::mean`](crate::reference::mean).

use crate::reduce::Reduction;
use crate::requant::{Quantized, ReduceRequantize};

/// Quantised mean or sum, as `requant` has it.
pub fn mean_quantized<T: Quantized, O: Quantized>(
    reduction: &Reduction,
    requant: &ReduceRequantize,
    input: &[T],
    out: &mut [O],
) {
    let add = |sum: i32, x: T| sum + x.into();
    reduction.fold(input, 0i32, add, |sums, first| {
        for (out, &sum) in out[first..].iter_mut().zip(sums) {
            *out = requant.apply(sum);
        }
    });
}

/// Float mean.
pub fn mean_f32(reduction: &Reduction, input: &[f32], out: &mut [f32]) {
    scaled_sum_f32(reduction, 1.0 / reduction.count() as f32, input, out);
}

/// Float sum.
pub fn sum_f32(reduction: &Reduction, input: &[f32], out: &mut [f32]) {
    scaled_sum_f32(reduction, 1.0, input, out);
}

fn scaled_sum_f32(reduction: &Reduction, factor: f32, input: &[f32], out: &mut [f32]) {
    reduction.fold(
        input,
        0.0,
        |sum: f32, x: f32| sum + x,
        |sums, first| {
            for (out, &sum) in out[first..].iter_mut().zip(sums) {
                *out = sum * factor;
            }
        },
    );
}
