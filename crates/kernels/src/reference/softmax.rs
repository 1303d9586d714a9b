//! SOFTMAX over the last dimension.
//!
//! Quantised: the built-in kernel (XNNPACK takes it in float only), `optimized_ops.h`: for each
//! row `e = exp(-scale * beta * (greatest - element))` in f32, their sum in f32 and in the row's
//! order, and `e * (1.0 / (sum * output scale))`, rounded with ties away from zero.

use crate::requant::builtin::{softmax_element, softmax_exp};
use crate::requant::{Affine, Quantized};

/// Quantised softmax of rows of `depth` elements; `beta` multiplies the real inputs.
pub fn softmax_quantized<I: Quantized, O: Quantized>(
    input_scale: f32,
    beta: f32,
    output: Affine,
    depth: usize,
    input: &[I],
    out: &mut [O],
) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let row: Vec<i32> = row.iter().map(|&x| x.into()).collect();
        let most = row.iter().copied().max().unwrap_or(0);
        let exps: Vec<f32> = row.iter().map(|x| softmax_exp(input_scale, beta, most - x)).collect();
        let sum: f32 = exps.iter().sum();
        let factor = 1.0 / (sum * output.scale);
        for (out, exp) in out.iter_mut().zip(exps) {
            *out = softmax_element(exp * factor, output.zero_point);
        }
    }
}

/// Float softmax of rows of `depth` elements; `beta` multiplies the inputs.
pub fn softmax_f32(beta: f32, depth: usize, input: &[f32], out: &mut [f32]) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps: Vec<f64> = row.iter().map(|x| libm::exp(f64::from((x - most) * beta))).collect();
        let sum: f64 = exps.iter().sum();
        for (out, exp) in out.iter_mut().zip(exps) {
            *out = (exp / sum) as f32;
        }
    }
}
