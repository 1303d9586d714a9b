//! SOFTMAX over the last dimension. Arithmetic: see
//! [`reference::softmax`](crate::reference::softmax).

use crate::requant::builtin::{softmax_element, softmax_exp};
use crate::requant::{Affine, Quantized};
use crate::unary::exp;

/// What a quantised softmax looks up.
#[derive(Clone, Debug)]
pub struct SoftmaxTable {
    /// `exp(-scale * beta * distance)` for distances from the row's greatest element.
    exps: [f32; 256],
    output: Affine,
}

impl SoftmaxTable {
    /// For elements of this scale; `beta` multiplies the real inputs.
    pub fn new(input_scale: f32, beta: f32, output: Affine) -> SoftmaxTable {
        let exps = core::array::from_fn(|distance| softmax_exp(input_scale, beta, distance as i32));
        SoftmaxTable { exps, output }
    }
}

/// Quantised softmax of rows of `depth` elements.
pub fn softmax_quantized<I: Quantized + Ord, O: Quantized>(
    table: &SoftmaxTable,
    depth: usize,
    input: &[I],
    out: &mut [O],
) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let Some(&most) = row.iter().max() else { continue };
        let most: i32 = most.into();
        let exp_of = |x: I| {
            let x: i32 = x.into();
            table.exps[(most - x) as usize & 255]
        };
        // One after another: the order of a float sum is part of the result.
        let sum: f32 = row.iter().map(|&x| exp_of(x)).sum();
        let factor = 1.0 / (sum * table.output.scale);
        for (out, &x) in out.iter_mut().zip(row) {
            *out = softmax_element(exp_of(x) * factor, table.output.zero_point);
        }
    }
}

/// Float softmax of rows of `depth` elements; `beta` multiplies the inputs.
pub fn softmax_f32(beta: f32, depth: usize, input: &[f32], out: &mut [f32]) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let most = row.iter().fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most });
        for (out, &x) in out.iter_mut().zip(row) {
            *out = exp((x - most) * beta);
        }
        let mut sums = [0.0; 8];
        let mut chunks = out.chunks_exact(8);
        for chunk in &mut chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x;
            }
        }
        let rest: f32 = chunks.remainder().iter().sum();
        let factor = 1.0 / (sums.iter().sum::<f32>() + rest);
        for out in out {
            *out *= factor;
        }
    }
}
