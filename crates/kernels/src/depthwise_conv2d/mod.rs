//! DEPTHWISE_CONV_2D with a multiplier of 1, row by row.
//!
//! Neighbouring output pixels are computed together, so that what several see is loaded once: integers
//! walk along a line of interleaved rows (`rows.rs`), floats along the rows themselves (`edges.rs` for
//! windows of 3x3 and 5x5 with strides of 1 and 2). Integers with windows of more than 9 rows go tap by
//! tap through pointers (`taps.rs`), a pixel of zero points standing in for the padding.

mod edges;
mod float;
mod quantized;
mod rows;
mod taps;
mod units;

pub use float::DepthwiseFloat;
pub use quantized::DepthwiseQuantized;

use core::ops::Range;

use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::shape::Window;

/// Windows up to this many taps have their pointers on the stack.
pub const MAX_TAPS: usize = 81;

/// Whether the kernel of integers takes this shape: a multiplier of 1, at most [`MAX_TAPS`] taps.
pub fn fits(shape: &DepthwiseShape) -> bool {
    shape.multiplier == 1 && shape.window.kernel_h * shape.window.kernel_w <= MAX_TAPS
}

/// Writes `$body` once for each literal, as the constant `$i`: so that conditions on it cost
/// nothing, and elements of arrays stay in registers.
macro_rules! unrolled {
    ($i:ident in $($n:literal)* $body:block) => {$(
        {
            const $i: usize = $n;
            // The conditions are for the other literals.
            #[allow(clippy::absurd_extreme_comparisons)]
            $body
        }
    )*};
}
use unrolled;

/// Windows that the row kernels are made for: `(size, stride)`.
fn row_kernel(window: &Window) -> Option<(usize, usize)> {
    let Window { kernel_h, kernel_w, stride, dilation, .. } = *window;
    let is_plain = kernel_h == kernel_w && stride[0] == stride[1] && dilation == [1, 1];
    (is_plain && matches!(kernel_h, 3 | 5) && matches!(stride[0], 1 | 2))
        .then_some((kernel_h, stride[0]))
}

/// The taps of a window, `dilation` apart, that lie in a picture of `len` rows or columns, where the
/// first tap is at `first` of the padded picture.
fn inside(first: usize, pad: usize, kernel: usize, dilation: usize, len: usize) -> Range<usize> {
    let start = pad.saturating_sub(first).div_ceil(dilation).min(kernel);
    let end = (pad + len).saturating_sub(first).div_ceil(dilation).min(kernel);
    start..end.max(start)
}

/// Picture and row of output row `row` of `[n * out_h]`.
fn picture_row(window: &Window, row: usize) -> [usize; 2] {
    [row / window.out_h, row % window.out_h]
}

/// Calls `pixel` for each output pixel of `rows` with the pointers of its taps, and its channels of
/// `out`. `padding` holds a pixel's channels.
#[inline(always)]
fn each_pixel<T>(
    shape: &DepthwiseShape,
    input: &[T],
    rows: Range<usize>,
    padding: &[T],
    out: &mut [T],
    pixel: impl Fn(&[*const T], &mut [T]),
) {
    let window = &shape.window;
    let mut taps = [padding.as_ptr(); MAX_TAPS];
    let taps = &mut taps[..window.kernel_h * window.kernel_w];
    for (row, out) in rows.zip(out.chunks_exact_mut(window.out_w * shape.in_c)) {
        let at = picture_row(window, row);
        for (x, out) in out.chunks_exact_mut(shape.in_c).enumerate() {
            tap_pointers(shape, input, at, x, padding, taps);
            pixel(taps, out);
        }
    }
}

/// Pointers to the input pixels of each tap of output pixel `x` of row `[n, y]`; `padding`, which
/// holds a pixel's channels, where a tap has none.
#[inline(always)]
fn tap_pointers<T>(
    shape: &DepthwiseShape,
    input: &[T],
    [n, y]: [usize; 2],
    x: usize,
    padding: &[T],
    taps: &mut [*const T],
) {
    let window = &shape.window;
    let channels = shape.in_c;
    for ky in 0..window.kernel_h {
        let taps = &mut taps[ky * window.kernel_w..][..window.kernel_w];
        let Some(row) = window.input_row(y, ky) else {
            taps.fill(padding.as_ptr());
            continue;
        };
        for (kx, tap) in taps.iter_mut().enumerate() {
            *tap = match window.input_column(x, kx) {
                Some(column) => {
                    let at = ((n * window.in_h + row) * window.in_w + column) * channels;
                    input[at..at + channels].as_ptr()
                }
                None => padding.as_ptr(),
            };
        }
    }
}
