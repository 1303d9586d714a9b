//! MAX_POOL_2D over `[n, h, w, c]`. Arithmetic: see
//! [`reference::max_pool_2d`](crate::reference::max_pool_2d).

use core::ops::Range;

use crate::average_pool_2d::for_each_pixel;
use crate::requant::Quantized;
use crate::shape::Window;
use crate::unary::clamp;

/// Quantised max pooling of `channels`, clamped to `bounds`: the output rows `rows` of
/// `[n * out_h]` into `out`, which holds just these. Input and output share scale and zero point.
pub fn max_pool_2d_quantized<T: Quantized + Ord>(
    window: &Window,
    channels: usize,
    bounds: [i32; 2],
    input: &[T],
    rows: Range<usize>,
    out: &mut [T],
) {
    let [min, max] = bounds.map(T::from_i32);
    for_each_pixel(window, rows, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        out.fill(min);
        taps.for_each(|tap| {
            for (most, &x) in out.iter_mut().zip(&input[tap * channels..][..channels]) {
                *most = x.max(*most);
            }
        });
        for out in out {
            *out = (*out).min(max);
        }
    });
}

/// Float max pooling of `channels`, clamped to `activation`: the output rows `rows` of
/// `[n * out_h]` into `out`, which holds just these.
#[inline(never)]
pub fn max_pool_2d_f32(
    window: &Window,
    channels: usize,
    activation: [f32; 2],
    input: &[f32],
    rows: Range<usize>,
    out: &mut [f32],
) {
    for_each_pixel(window, rows, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        out.fill(f32::NEG_INFINITY);
        taps.for_each(|tap| {
            for (most, &x) in out.iter_mut().zip(&input[tap * channels..][..channels]) {
                *most = if x > *most { x } else { *most };
            }
        });
        for out in out {
            *out = clamp(*out, activation);
        }
    });
}
