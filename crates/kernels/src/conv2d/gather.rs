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
    let step = STEP_BYTES / size_of::<T>();
    let run = window.kernel_w * channels.len();
    let left = x.wrapping_sub(window.pad_left);
    // All channels of taps that lie side by side are one run.
    let contiguous = window.dilation[1] == 1
        && channels.len() == in_c
        && left < window.in_w
        && left + window.kernel_w <= window.in_w;
    let (whole, to_len) = (run.next_multiple_of(step), to.len());
    for ky in 0..window.kernel_h {
        let row = (y + ky * window.dilation[0]).wrapping_sub(window.pad_top);
        let to = &mut to[ky * run..];
        if row >= window.in_h {
            to[..run].fill(zero);
            continue;
        }
        let line = (n * window.in_h + row) * window.in_w;
        if contiguous {
            let at = (line + left) * in_c;
            if at + whole <= input.len() && ky * run + whole <= to_len {
                copy_steps(&input[at..at + whole], &mut to[..whole]);
            } else {
                to[..run].copy_from_slice(&input[at..at + run]);
            }
            continue;
        }
        for kx in 0..window.kernel_w {
            let column = (x + kx * window.dilation[1]).wrapping_sub(window.pad_left);
            let to = &mut to[kx * channels.len()..][..channels.len()];
            if column < window.in_w {
                to.copy_from_slice(&input[(line + column) * in_c..][channels.clone()]);
            } else {
                to.fill(zero);
            }
        }
    }
}

/// Copies in steps of 16 bytes, of which both slices are a multiple.
#[inline(always)]
fn copy_steps<T: Pod>(from: &[T], to: &mut [T]) {
    let from: &[u8] = bytemuck::cast_slice(from);
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    let (from, to) = (from.as_chunks::<STEP_BYTES>().0, to.as_chunks_mut::<STEP_BYTES>().0);
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
