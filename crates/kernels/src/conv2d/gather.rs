//! Copies the windows of output pixels into rows of a matrix (im2col).

use core::ops::Range;

use bytemuck::Pod;

use super::Origins;
use super::inside::{stretch, window_start};
use crate::reference::conv2d::Conv2dShape;

/// Bytes that a copy moves at a time: a call of memcpy costs more than the 9 or 36 bytes of a
/// window's row in a first layer.
pub(super) const STEP_BYTES: usize = 16;

/// Copies the windows of the output pixels `pixels` to `to`, each `stride` elements after the one
/// before: `channels` of each tap, `zero` where it leaves the picture. What lies up to 16 bytes behind
/// a window may be overwritten.
///
/// Windows that lie side by side inside the picture are copied in one loop. One by one, each with
/// checks of its own, the first layer of MobileNet V2, 8 bits, took 0.22 ms in place of 0.14 (`cargo
/// xtask bench --only relaxed --models-only --model FILE`, Chromium 156, AMD EPYC of family 26).
#[inline(always)]
pub(super) fn gather_windows<T: Pod>(
    shape: &Conv2dShape,
    input: &[T],
    pixels: Range<usize>,
    channels: Range<usize>,
    zero: T,
    stride: usize,
    mut to: &mut [T],
) {
    let Conv2dShape { window, in_c, .. } = *shape;
    // All channels of taps that lie side by side are one run of bytes.
    let has_runs = window.dilation[1] == 1 && channels.len() == in_c;
    let mut first = pixels.start;
    while first < pixels.end {
        let (stretch, is_inside) = stretch(&window, first);
        let count = stretch.end.min(pixels.end) - first;
        let mut copied = 0;
        if is_inside && has_runs {
            let windows = Windows {
                count,
                step: window.stride[1] * in_c,
                runs: window.kernel_h,
                len: window.kernel_w * in_c,
                stride: window.dilation[0] * window.in_w * in_c,
            };
            copied = copy_windows(&input[window_start(shape, first)..], windows, to, stride);
        }
        let mut origins = Origins::from(shape, first + copied);
        for to in to.chunks_exact_mut(stride).take(count).skip(copied) {
            gather_window(shape, input, origins.step(), channels.clone(), zero, to);
        }
        (first, to) = (first + count, &mut to[count * stride..]);
    }
}

/// Copies `channels` of each tap of the window at `origin` to the start of `to`.
fn gather_window<T: Pod>(
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

/// Windows side by side inside the picture, in elements.
#[derive(Clone, Copy)]
struct Windows {
    count: usize,
    /// From one to the next.
    step: usize,
    /// The rows of one: so many runs of `len`, `stride` apart.
    runs: usize,
    len: usize,
    stride: usize,
}

impl Windows {
    /// In bytes, of elements of so many.
    fn bytes(self, size: usize) -> Self {
        let Self { count, step, runs, len, stride } = self;
        Self { count, step: step * size, runs, len: len * size, stride: stride * size }
    }
}

/// Copies the runs of windows to one another's ends, each window `to_stride` elements after the one
/// before, in steps of 16 bytes: each run goes over what the one before wrote too much. Returns how
/// many windows it copied: those that this does not take too far.
#[inline(always)]
fn copy_windows<T: Pod>(from: &[T], windows: Windows, to: &mut [T], to_stride: usize) -> usize {
    let size = size_of::<T>();
    let windows = windows.bytes(size);
    let from: &[u8] = bytemuck::cast_slice(from);
    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
    let to_stride = to_stride * size;
    let steps = windows.len.div_ceil(STEP_BYTES);
    let last = windows.runs - 1;
    let [read, written] = [windows.stride, windows.len].map(|run| last * run + steps * STEP_BYTES);
    let room = from.len().checked_sub(read).map_or(0, |room| room / windows.step + 1);
    let count = windows.count.min(room).min(to.len() / to_stride);
    if written > to_stride {
        return 0;
    }
    let windows = Windows { count, ..windows };
    // SAFETY: `count` windows lie within both, with what the last steps read and write too much.
    unsafe {
        let (from, to) = (from.as_ptr(), to.as_mut_ptr());
        // The first layers of most networks, of bytes and of floats: loops that are written out.
        match (windows.runs, steps) {
            (3, 1) => copy_steps(from, Windows { runs: 3, ..windows }, 1, to, to_stride),
            (3, 3) => copy_steps(from, Windows { runs: 3, ..windows }, 3, to, to_stride),
            _ => copy_steps(from, windows, steps, to, to_stride),
        }
    }
    count
}

/// Copies windows in `steps` steps a run. All counts in bytes.
///
/// # Safety
/// `from` is readable and `to` writable for all steps of all windows.
#[inline(always)]
unsafe fn copy_steps(
    mut from: *const u8,
    windows: Windows,
    steps: usize,
    mut to: *mut u8,
    to_stride: usize,
) {
    for _ in 0..windows.count {
        for run in 0..windows.runs {
            for step in 0..steps {
                let at = step * STEP_BYTES;
                // SAFETY: the caller's; byte arrays need no alignment.
                unsafe {
                    let bytes = from.add(run * windows.stride + at).cast::<[u8; STEP_BYTES]>();
                    to.add(run * windows.len + at).cast::<[u8; STEP_BYTES]>().write(bytes.read());
                }
            }
        }
        (from, to) = (from.wrapping_add(windows.step), to.wrapping_add(to_stride));
    }
}
