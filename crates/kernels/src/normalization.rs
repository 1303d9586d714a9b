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

/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta` of each row: layer normalisation, or without
/// the mean RMS normalisation.
#[derive(Clone, Debug)]
pub struct RowNormalization {
    /// Whether the mean is taken off.
    pub is_centered: bool,
    /// Added to the variance.
    pub epsilon: f32,
    /// One for each element of a row.
    pub gamma: Vec<f32>,
    /// One for each element of a row.
    pub beta: Vec<f32>,
}

impl RowNormalization {
    /// Rows of as many elements as there are factors.
    #[inline(never)]
    pub fn run(&self, input: &[f32], out: &mut [f32]) {
        let depth = self.gamma.len();
        let share = 1.0 / depth as f32;
        for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
            let mean = if self.is_centered { sum_of(row, |x| x) * share } else { 0.0 };
            let variance = sum_of(row, |x| (x - mean) * (x - mean)) * share;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            let factors = self.gamma.iter().zip(&self.beta);
            for ((out, x), (gamma, beta)) in out.iter_mut().zip(row).zip(factors) {
                *out = (x - mean) * factor * gamma + beta;
            }
        }
    }
}

/// Sums side by side, so that they become vectors and none waits for the one before.
const SUMS: usize = 16;

#[inline(always)]
fn sum_of(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; SUMS];
    let (chunks, rest) = row.as_chunks::<SUMS>();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += f(x);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&x| f(x)).sum::<f32>()
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
#[inline(never)]
pub fn local_response_normalization_f32(
    params: &LocalResponse,
    depth: usize,
    input: &[f32],
    out: &mut [f32],
) {
    let beta = params.beta;
    // Powers that networks have, as roots: some 20 times as fast as the general one.
    let power: &dyn Fn(&mut [f32]) = match beta {
        // x^-0.75
        0.75 => &|sums| each(sums, |x| 1.0 / (x.sqrt() * x.sqrt().sqrt())),
        0.5 => &|sums| each(sums, |x| 1.0 / x.sqrt()),
        1.0 => &|sums| each(sums, |x| 1.0 / x),
        _ => &|sums| each(sums, |x| libm::powf(x, -beta)),
    };
    local_response(params, depth, input, out, power);
}

fn each(sums: &mut [f32], f: impl Fn(f32) -> f32) {
    for sum in sums {
        *sum = f(*sum);
    }
}

/// Channels of a step: their squares, with those of the neighbours, stay in the cache.
const CHANNELS: usize = 64;

/// Neighbours on each side that a step has room for.
const MOST_RADIUS: usize = 16;

fn local_response(
    params: &LocalResponse,
    depth: usize,
    input: &[f32],
    out: &mut [f32],
    power: &dyn Fn(&mut [f32]),
) {
    let LocalResponse { radius, bias, alpha, .. } = *params;
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        if radius > MOST_RADIUS {
            for (channel, out) in out.iter_mut().enumerate() {
                let end = channel.saturating_add(radius).saturating_add(1).min(depth);
                let near = &row[channel.saturating_sub(radius)..end];
                let squares: f32 = near.iter().map(|x| x * x).sum();
                let mut factor = [bias + alpha * squares];
                power(&mut factor);
                *out = row[channel] * factor[0];
            }
            continue;
        }
        for (first, out) in (0..depth).step_by(CHANNELS).zip(out.chunks_mut(CHANNELS)) {
            // Zeros stand for channels that are not there.
            let mut squares = [0f32; CHANNELS + 2 * MOST_RADIUS];
            let start = first.saturating_sub(radius);
            let near = &row[start..(first + out.len() + radius).min(depth)];
            let place = start + radius - first;
            for (square, x) in squares[place..].iter_mut().zip(near) {
                *square = x * x;
            }
            let mut sums = [0f32; CHANNELS];
            for shift in 0..=2 * radius {
                for (sum, square) in sums.iter_mut().zip(&squares[shift..][..CHANNELS]) {
                    *sum += square;
                }
            }
            let factors = &mut sums[..out.len()];
            each(factors, |sum| bias + alpha * sum);
            power(factors);
            for ((out, x), factor) in out.iter_mut().zip(&row[first..]).zip(factors) {
                *out = x * *factor;
            }
        }
    }
}
