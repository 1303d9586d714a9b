//! Which output pixels' windows are inside the picture, and where these begin.

use core::ops::Range;

use crate::reference::conv2d::Conv2dShape;
use crate::shape::Window;

/// The output pixels from `pixel` on to the end of its row that are alike in that their windows
/// are inside the picture, or not; and whether they are. For windows without dilation along rows.
pub(super) fn stretch(window: &Window, pixel: usize) -> (Range<usize>, bool) {
    let (row, x) = (pixel / window.out_w, pixel % window.out_w);
    let top = (row % window.out_h * window.stride[0]).wrapping_sub(window.pad_top);
    let bottom = top.wrapping_add((window.kernel_h - 1) * window.dilation[0]);
    let inside = inside(window);
    let is_inside = top < window.in_h && bottom < window.in_h && inside.contains(&x);
    let end = if is_inside {
        inside.end
    } else if top < window.in_h && bottom < window.in_h && x < inside.start {
        inside.start
    } else {
        window.out_w
    };
    (pixel..pixel - x + end, is_inside)
}

/// Where the window of an output pixel starts in the input, inside of which it is.
pub(super) fn window_start(shape: &Conv2dShape, pixel: usize) -> usize {
    let Conv2dShape { window, in_c, .. } = shape;
    let (row, x) = (pixel / window.out_w, pixel % window.out_w);
    let (n, y) = (row / window.out_h, row % window.out_h);
    let top = n * window.in_h + y * window.stride[0] - window.pad_top;
    (top * window.in_w + x * window.stride[1] - window.pad_left) * in_c
}

/// The columns of output pixels whose windows do not leave the picture to the left or right.
pub(super) fn inside(window: &Window) -> Range<usize> {
    let start = window.pad_left.div_ceil(window.stride[1]);
    let end = match (window.in_w + window.pad_left).checked_sub(window.kernel_w) {
        Some(last) => (last / window.stride[1] + 1).min(window.out_w),
        None => 0,
    };
    start..end.max(start)
}
