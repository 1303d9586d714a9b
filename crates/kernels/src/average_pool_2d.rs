//! AVERAGE_POOL_2D over `[n, h, w, c]`. Arithmetic: see
//! [`reference::average_pool_2d`](crate::reference::average_pool_2d).

use crate::reduce::TILE;
use crate::requant::Quantized;
use crate::requant::builtin::Average;
use crate::shape::Window;
use crate::unary::clamp;

/// Quantised average pooling of `channels`, clamped to `bounds`. Input and output share scale and
/// zero point.
pub fn average_pool_2d_quantized<T: Quantized>(
    window: &Window,
    channels: usize,
    [min, max]: [i32; 2],
    input: &[T],
    out: &mut [T],
) {
    for_each_pixel(window, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        let average =
            if T::MAX > 255 { Average::wide(taps.count()) } else { Average::of(taps.count()) };
        for first in (0..channels).step_by(TILE) {
            let len = TILE.min(channels - first);
            let mut sums = [0i32; TILE];
            taps.for_each(|tap| {
                let input = &input[tap * channels + first..][..len];
                for (sum, &x) in sums.iter_mut().zip(input) {
                    *sum += x.into();
                }
            });
            for (out, &sum) in out[first..].iter_mut().zip(&sums[..len]) {
                *out = T::from_i32(average.apply(sum).max(min).min(max));
            }
        }
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
    for_each_pixel(window, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        out.fill(0.0);
        taps.for_each(|tap| {
            for (sum, &x) in out.iter_mut().zip(&input[tap * channels..][..channels]) {
                *sum += x;
            }
        });
        let share = 1.0 / taps.count() as f32;
        for out in out {
            *out = clamp(*out * share, activation);
        }
    });
}

/// The input pixels that an output pixel takes together: those of its window that lie inside the
/// picture.
pub(crate) struct Taps {
    first: usize,
    rows: usize,
    row_stride: usize,
    columns: usize,
}

impl Taps {
    /// Pixels; 0 where the window lies wholly in the padding.
    pub(crate) fn count(&self) -> usize {
        self.rows * self.columns
    }

    /// Calls `body` with the index of each pixel.
    #[inline]
    pub(crate) fn for_each(&self, mut body: impl FnMut(usize)) {
        for row in 0..self.rows {
            for column in 0..self.columns {
                body(self.first + row * self.row_stride + column);
            }
        }
    }
}

/// Calls `body(output pixel, its taps)` for every output pixel. Pooling windows have no dilation.
pub(crate) fn for_each_pixel(window: &Window, mut body: impl FnMut(usize, Taps)) {
    let mut pixel = 0;
    for n in 0..window.batch {
        for y in 0..window.out_h {
            let rows = inside(y * window.stride[0], window.pad_top, window.kernel_h, window.in_h);
            for x in 0..window.out_w {
                let columns =
                    inside(x * window.stride[1], window.pad_left, window.kernel_w, window.in_w);
                let taps = Taps {
                    first: (n * window.in_h + rows.start) * window.in_w + columns.start,
                    rows: rows.len(),
                    row_stride: window.in_w,
                    columns: columns.len(),
                };
                body(pixel, taps);
                pixel += 1;
            }
        }
    }
}

/// The places of a window at `start - pad` that lie inside `0..len`.
fn inside(start: usize, pad: usize, kernel: usize, len: usize) -> core::ops::Range<usize> {
    let first = start.saturating_sub(pad).min(len);
    let end = (start + kernel).saturating_sub(pad).min(len);
    first..end.max(first)
}
