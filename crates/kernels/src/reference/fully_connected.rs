//! FULLY_CONNECTED: rows `[n, in_c]` by weights `[out_c, in_c]` into `[n, out_c]`.
//!
//! Quantised arithmetic as in XNNPACK's `qs8-qc8w-gemm`, `qs8-gemm` and `qu8-gemm`: a 32-bit sum
//! of `(input - zero point) * (weight - zero point)` and the bias, then
//! [`requantise`](crate::requant::requantise).

use super::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};

/// Quantised product. The number of rows is that of the slices.
pub fn fully_connected_quantized<I: Quantized, W: Quantized, O: Quantized>(
    [in_c, out_c]: [usize; 2],
    input: &[I],
    input_zero_point: i32,
    weights: &QuantizedWeights<W>,
    requant: &Requantize,
    out: &mut [O],
) {
    for (row, out_row) in input.chunks_exact(in_c).zip(out.chunks_exact_mut(out_c)) {
        for (channel, (out, w)) in
            out_row.iter_mut().zip(weights.values.chunks_exact(in_c)).enumerate()
        {
            let mut sum = weights.bias.map_or(0, |bias| bias[channel]);
            for (&x, &y) in row.iter().zip(w) {
                let (x, y): (i32, i32) = (x.into(), y.into());
                sum = sum.wrapping_add((x - input_zero_point) * (y - weights.zero_point));
            }
            *out = O::from_i32(requant.apply(sum, channel));
        }
    }
}

/// Float product. The number of rows is that of the slices.
pub fn fully_connected_f32(
    [in_c, out_c]: [usize; 2],
    input: &[f32],
    weights: &FloatWeights,
    out: &mut [f32],
) {
    for (row, out_row) in input.chunks_exact(in_c).zip(out.chunks_exact_mut(out_c)) {
        for (channel, (out, w)) in
            out_row.iter_mut().zip(weights.values.chunks_exact(in_c)).enumerate()
        {
            let sum = row.iter().zip(w).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            *out = weights.finish(sum, channel);
        }
    }
}
