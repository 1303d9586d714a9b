//! MAX_POOL_2D over `[n, h, w, c]`; padding counts for nothing.
//!
//! Quantised: input and output share scale and zero point, so elements are compared as they are,
//! and clamped at [`Affine::activation_bounds`](crate::requant::Affine::activation_bounds)
//! (XNNPACK's `s8-maxpool` and `u8-maxpool`).

use super::for_each_pooled;
use crate::requant::Quantized;
use crate::shape::Window;
use crate::unary::clamp;

/// Quantised max pooling of `channels`, clamped to `bounds`.
pub fn max_pool_2d_quantized<T: Quantized>(
    window: &Window,
    channels: usize,
    [min, max]: [i32; 2],
    input: &[T],
    out: &mut [T],
) {
    for_each_pooled(window, channels, |at, taps| {
        let most = taps.map(|tap| input[tap].into()).max().unwrap_or(T::MIN);
        out[at] = T::from_i32(most.clamp(min, max));
    });
}

/// Float max pooling of `channels`, clamped to `activation`.
pub fn max_pool_2d_f32(
    window: &Window,
    channels: usize,
    activation: [f32; 2],
    input: &[f32],
    out: &mut [f32],
) {
    for_each_pooled(window, channels, |at, taps| {
        let most = taps.map(|tap| input[tap]).fold(f32::NEG_INFINITY, f32::max);
        out[at] = clamp(most, activation);
    });
}
