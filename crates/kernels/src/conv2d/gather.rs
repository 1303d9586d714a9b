//! Copies the windows of output pixels into rows of a matrix (im2col).

use core::ops::Range;

use bytemuck::Pod;

use crate::reference::conv2d::Conv2dShape;

/// Bytes that a copy moves at a time: a call of memcpy costs more than the 9 or 36 bytes of a
/// window's row in a first layer.
pub(super) const STEP_BYTES: usize = 16;

/// Copies `channels` of each tap of the window at `origin` to the start of `to`, `zero` where it
/// leaves the picture. What lies up to 16 bytes behind the window may be overwritten.
#[inline(always)]
pub(super) fn gather_window<T: Pod>(
    shape: &Conv2dShape,
    input: &[T],
    [n, y, x]: [usize; 3],
    channels: Range<usize>,
    zero: T,
    to: &mut [T],
) {
    let Conv2dShape { window, in_c, .. } = *shape;
    let [dilation_y, dilation_x] = window.dilation;
    let (top, left) = (y.wrapping_sub(window.pad_top), x.wrapping_sub(window.pad_left));
    let run = window.kernel_w * channels.len();
    // All channels of taps that lie side by side are one run of bytes.
    let is_inside = dilation_x == 1
        && channels.len() == in_c
        && left < window.in_w
        && left + window.kernel_w <= window.in_w
        && top < window.in_h
        && top + (window.kernel_h - 1) * dilation_y < window.in_h;
    if is_inside {
        let first = ((n * window.in_h + top) * window.in_w + left) * in_c;
        let rows =
            Runs { count: window.kernel_h, len: run, stride: dilation_y * window.in_w * in_c };
        if copy_runs(&input[first..], rows, to) {
            return;
        }
    }
    for ky in 0..window.kernel_h {
        let row = top.wrapping_add(ky * dilation_y);
        let to = &mut to[ky * run..][..run];
        if row >= window.in_h {
            to.fill(zero);
            continue;
        }
        let line = (n * window.in_h + row) * window.in_w;
        for (kx, to) in to.chunks_exact_mut(channels.len()).enumerate() {
            let column = left.wrapping_add(kx * dilation_x);
            if column < window.in_w {
                to.copy_from_slice(&input[(line + column) * in_c..][channels.clone()]);
            } else {
                to.fill(zero);
            }
        }
    }
}

/// The rows of a window inside the picture: `count` runs of `len` elements, `stride` apart.
#[derive(Clone, Copy)]
struct Runs {
    count: usize,
    len: usize,
    stride: usize,
}

/// Copies runs to one another's ends in steps of 16 bytes, each run over what the one before wrote
/// too much; `false`, and nothing copied, where that would read or write too far.
#[inline(always)]
fn copy_runs<T: Pod>(from: &[T], runs: Runs, to: &mut [T]) -> bool {
    let size = size_of::<T>();
    let (len, stride) = (runs.len * size, runs.stride * size);
    let from: &[u8] = bytemuck::cast_slice(from);
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    let (steps, last) = (len.div_ceil(STEP_BYTES), runs.count - 1);
    let fits = |stride: usize, len: usize| last * stride + steps * STEP_BYTES <= len;
    if !fits(stride, from.len()) || !fits(len, to.len()) {
        return false;
    }
    for run in 0..runs.count {
        for step in 0..steps {
            let (from_at, to_at) =
                (run * stride + step * STEP_BYTES, run * len + step * STEP_BYTES);
            // SAFETY: the last step of the last run lies within both, as was checked; byte arrays
            // need no alignment.
            unsafe {
                let bytes = from.as_ptr().add(from_at).cast::<[u8; STEP_BYTES]>().read();
                to.as_mut_ptr().add(to_at).cast::<[u8; STEP_BYTES]>().write(bytes);
            }
        }
    }
    true
}
