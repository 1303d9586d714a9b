//! Operators that divide a row by something that all its elements give: L2_NORMALIZATION,
//! LOG_SOFTMAX, LOCAL_RESPONSE_NORMALIZATION. Rows are the last dimension, of `depth` elements.
//!
//! None is delegated to XNNPACK; 8-bit arithmetic is the built-in kernels', and is exact, so that
//! the definition is the kernel.

use crate::math::powers;
use crate::reduce::extreme_f32;
use crate::requant::builtin::{FixedMultiplier, softmax_exp};
use crate::requant::{Affine, Quantized};
use crate::simd::Native;

/// L2_NORMALIZATION divides by no less.
const L2_EPSILON: f32 = 1e-6;

/// Each row over its length.
pub fn l2_normalization_f32(depth: usize, input: &[f32], out: &mut [f32]) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let squares: f32 = row.iter().map(|x| x * x).sum();
        let length = squares.sqrt().max(L2_EPSILON);
        for (out, x) in out.iter_mut().zip(row) {
            *out = x / length;
        }
    }
}

/// The same on 8-bit elements, onto scale 1/128 about the middle of the type
/// (`integer_ops/l2normalization.h`, and for uint8 `optimized_ops.h`).
pub fn l2_normalization_quantized<T: Quantized>(
    zero_point: i32,
    depth: usize,
    input: &[T],
    out: &mut [T],
) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let difference = |x: T| -> i32 { x.into() - zero_point };
        let squares = row.iter().map(|&x| difference(x) * difference(x)).sum();
        let FixedMultiplier { fraction, shift } = FixedMultiplier::inverse_sqrt(squares);
        for (out, &x) in out.iter_mut().zip(row) {
            let x = difference(x);
            *out = T::saturated(if T::MIN == 0 {
                128 + FixedMultiplier { fraction, shift }.apply(128 * x)
            } else {
                FixedMultiplier { fraction, shift: shift + 7 }.apply(x)
            });
        }
    }
}

/// `x - greatest - ln(sum(exp(x - greatest)))` of each row.
pub fn log_softmax_f32(depth: usize, input: &[f32], out: &mut [f32]) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let most = extreme_f32(row, true);
        let log = libm::logf(powers::<Native>([1.0, most], row, out));
        for (out, x) in out.iter_mut().zip(row) {
            *out = x - most - log;
        }
    }
}

/// The same on 8-bit elements (`LogSoftmax` in `optimized_ops.h`): powers from SOFTMAX's table, the
/// rest in f32, ties to even.
pub fn log_softmax_quantized<T: Quantized>(
    input_scale: f32,
    output: Affine,
    depth: usize,
    input: &[T],
    out: &mut [T],
) {
    let exps: [f32; 256] = core::array::from_fn(|i| softmax_exp(input_scale, 1.0, i as i32));
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let most = row.iter().map(|&x| x.into()).max().unwrap_or(0);
        let value = |x: T| -> i32 { x.into() };
        let sum: f32 = row.iter().map(|&x| exps[(most - value(x)) as usize & 255]).sum();
        let factor = input_scale / output.scale;
        let subtracted = (input_scale * most as f32 + libm::logf(sum)) / output.scale;
        for (out, &x) in out.iter_mut().zip(row) {
            let log = (factor * value(x) as f32 - subtracted).round_ties_even() as i32;
            *out = T::saturated(log.saturating_add(output.zero_point));
        }
    }
}

/// What LOCAL_RESPONSE_NORMALIZATION has as attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponse {
    /// Channels on each side that count.
    pub radius: usize,
    /// Added to the sum.
    pub bias: f32,
    /// Multiplies the squares.
    pub alpha: f32,
    /// Power of the sum.
    pub beta: f32,
}

/// `x / (bias + alpha * sum of squares of the neighbouring channels)^beta`.
pub fn local_response_normalization_f32(
    params: &LocalResponse,
    depth: usize,
    input: &[f32],
    out: &mut [f32],
) {
    let LocalResponse { radius, bias, alpha, beta } = *params;
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        for (channel, out) in out.iter_mut().enumerate() {
            let end = channel.saturating_add(radius).saturating_add(1).min(depth);
            let near = &row[channel.saturating_sub(radius)..end];
            let squares: f32 = near.iter().map(|x| x * x).sum();
            *out = row[channel] * libm::powf(bias + alpha * squares, -beta);
        }
    }
}
