//! AVERAGE_POOL_2D over `[n, h, w, c]`; padding is left out of the mean.
//!
//! Quantised: the built-in kernel (XNNPACK takes it in float only): raw elements are summed, since
//! input and output share scale and zero point, and divided by
//! [`average`](crate::requant::builtin::average). The activation clamps at
//! [`Affine::builtin_activation_bounds`](crate::requant::Affine::builtin_activation_bounds).

use super::for_each_pooled;
use crate::requant::Quantized;
use crate::requant::builtin::average;
use crate::shape::Window;
use crate::unary::clamp;

/// Quantised average pooling of `channels`, clamped to `bounds`.
pub fn average_pool_2d_quantized<T: Quantized>(
    window: &Window,
    channels: usize,
    [min, max]: [i32; 2],
    input: &[T],
    out: &mut [T],
) {
    for_each_pooled(window, channels, |at, taps| {
        let (mut sum, mut count) = (0, 0);
        for tap in taps {
            sum += input[tap].into();
            count += 1;
        }
        out[at] = T::from_i32(average(sum, count).clamp(min, max));
    });
}

/// Float average pooling of `channels`, clamped to `activation`.
pub fn average_pool_2d_f32(
    window: &Window,
    channels: usize,
    activation: [f32; 2],
    input: &[f32],
    out: &mut [f32],
) {
    for_each_pooled(window, channels, |at, taps| {
        let (mut sum, mut count) = (0.0, 0.0);
        for tap in taps {
            sum += f64::from(input[tap]);
            count += 1.0;
        }
        out[at] = clamp((sum / count) as f32, activation);
    });
}
