//! L2_POOL_2D over `[n, h, w, c]`: the root of the mean of squares; padding is left out of the mean
//! (`reference/pooling.h`).

use super::for_each_pooled;
use crate::shape::Window;
use crate::unary::clamp;

/// Float pooling of `channels`, clamped to `activation`.
pub fn l2_pool_2d_f32(
    window: &Window,
    channels: usize,
    activation: [f32; 2],
    input: &[f32],
    out: &mut [f32],
) {
    for_each_pooled(window, channels, |at, taps| {
        let (mut sum, mut count) = (0.0, 0.0);
        for tap in taps {
            sum += f64::from(input[tap]).powi(2);
            count += 1.0;
        }
        out[at] = clamp((sum / count).sqrt() as f32, activation);
    });
}
