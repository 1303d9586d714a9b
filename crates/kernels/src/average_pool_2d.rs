//! AVERAGE_POOL_2D over `[n, h, w, c]`. Arithmetic: see
//! [`reference::average_pool_2d`](crate::reference::average_pool_2d).

use core::ops::Range;

use crate::reduce::TILE;
use crate::requant::Quantized;
use crate::requant::builtin::Average;
use crate::shape::Window;
use crate::simd::{Element, Simd};
use crate::unary::clamp;

/// Quantised average pooling of `channels`, clamped to `bounds`: the output rows `rows` of
/// `[n * out_h]` into `out`, which holds just these. Input and output share scale and zero point.
pub fn average_pool_2d_quantized<T: Quantized>(
    window: &Window,
    channels: usize,
    [min, max]: [i32; 2],
    input: &[T],
    rows: Range<usize>,
    out: &mut [T],
) {
    for_each_pixel(window, rows, |pixel, taps| {
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

/// [`average_pool_2d_quantized`] of 8-bit elements, [`STEP`] channels at a time in registers.
pub fn average_pool_2d_bytes<S: Simd, T: Element>(
    window: &Window,
    channels: usize,
    [min, max]: [i32; 2],
    input: &[T],
    rows: Range<usize>,
    out: &mut [T],
) {
    if channels < STEP || window.kernel_h * window.kernel_w > MOST_TAPS {
        return average_pool_2d_quantized(window, channels, [min, max], input, rows, out);
    }
    for_each_pixel(window, rows, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        let average = Average::of(taps.count());
        for first in steps(channels, STEP) {
            let mut sums = [S::i32x4_splat(0); STEP / 8];
            taps.for_each(|tap| {
                let from = input[tap * channels + first..][..STEP].as_ptr();
                for (i, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the slice has them.
                    *sum = S::i16x8_add(*sum, unsafe { T::load_extend::<S>(from.add(8 * i)) });
                }
            });
            let mut words = [[0i16; 8]; STEP / 8];
            for (words, sum) in words.iter_mut().zip(sums) {
                // SAFETY: eight words.
                unsafe { S::store(words, sum) };
            }
            for (out, &sum) in out[first..][..STEP].iter_mut().zip(words.as_flattened()) {
                *out = T::from_i32(average.apply(sum.into()).max(min).min(max));
            }
        }
    });
}

/// Channels of a step.
const STEP: usize = 32;

/// Taps whose sums of bytes are words.
const MOST_TAPS: usize = 128;

/// The first channels of steps of `len`: the last one reaches back over channels that the one before
/// it has, too, where they are no multiple of it.
pub(crate) fn steps(channels: usize, len: usize) -> impl Iterator<Item = usize> {
    (0..channels).step_by(len).map(move |first| first.min(channels - len))
}

/// Float average pooling of `channels`, clamped to `activation`: the output rows `rows` of
/// `[n * out_h]` into `out`, which holds just these.
#[inline(never)]
pub fn average_pool_2d_f32(
    window: &Window,
    channels: usize,
    activation: [f32; 2],
    input: &[f32],
    rows: Range<usize>,
    out: &mut [f32],
) {
    for_each_pixel(window, rows, |pixel, taps| {
        let out = &mut out[pixel * channels..][..channels];
        let share = 1.0 / taps.count() as f32;
        for first in (0..channels).step_by(FLOATS) {
            let len = FLOATS.min(channels - first);
            let mut sums = [0f32; FLOATS];
            let out = &mut out[first..first + len];
            if len == FLOATS {
                taps.for_each(|tap| {
                    let input = &input[tap * channels + first..][..FLOATS];
                    for (sum, &x) in sums.iter_mut().zip(input) {
                        *sum += x;
                    }
                });
            } else {
                taps.for_each(|tap| {
                    for (sum, &x) in sums.iter_mut().zip(&input[tap * channels + first..][..len]) {
                        *sum += x;
                    }
                });
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = clamp(sum * share, activation);
            }
        }
    });
}

/// Floats of a step of channels, which stay in registers.
const FLOATS: usize = 16;

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

/// Calls `body(output pixel, its taps)` for every output pixel of `rows` of `[n * out_h]`, counted from
/// the first of these. Pooling windows have no dilation.
pub(crate) fn for_each_pixel(
    window: &Window,
    rows: Range<usize>,
    mut body: impl FnMut(usize, Taps),
) {
    let mut pixel = 0;
    for row in rows {
        let (n, y) = (row / window.out_h, row % window.out_h);
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

/// The places of a window at `start - pad` that lie inside `0..len`.
fn inside(start: usize, pad: usize, kernel: usize, len: usize) -> core::ops::Range<usize> {
    let first = start.saturating_sub(pad).min(len);
    let end = (start + kernel).saturating_sub(pad).min(len);
    first..end.max(first)
}
