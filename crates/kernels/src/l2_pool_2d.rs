//! L2_POOL_2D over `[n, h, w, c]`. Arithmetic: see
//! [`reference::l2_pool_2d`](crate::reference::l2_pool_2d).

use crate::average_pool_2d::for_each_pixel;
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
    for_each_pixel(window, 0..window.batch * window.out_h, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        out.fill(0.0);
        taps.for_each(|tap| {
            for (sum, &x) in out.iter_mut().zip(&input[tap * channels..][..channels]) {
                *sum += x * x;
            }
        });
        let share = 1.0 / taps.count() as f32;
        for out in out {
            *out = clamp((*out * share).sqrt(), activation);
        }
    });
}
