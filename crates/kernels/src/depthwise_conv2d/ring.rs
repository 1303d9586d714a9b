//! The input rows of a window, padded and sorted by blocks of channels.
//!
//! Row kernels read `[channels / B][columns][B]`: all columns of a block lie side by side, so that
//! taps are constant offsets from one pointer a row, and the padding is there as elements, so that
//! edges are no special case. Each input row is copied once, into the slot of the row that left
//! the window; measured, the copy costs 3-5 % of a 3x3 layer, where pixels at the edges that went
//! tap by tap cost 20-40 % of one with 14 or 7 columns.

use super::{PIXELS, new_rows, unpadded_row};
use crate::reference::depthwise_conv2d::DepthwiseShape;

/// The last rows of a picture, as many as the window is high. `B` channels are a block.
pub(super) struct Ring<'a, T, const B: usize> {
    shape: &'a DepthwiseShape,
    lines: &'a mut [T],
    zero: T,
    /// The picture that the lines are of, and the row, counted from the top of the padding, that
    /// is to be copied next.
    next: Option<[usize; 2]>,
}

/// Columns of a line: all that the windows of a row of pairs of output pixels cover.
fn columns(shape: &DepthwiseShape) -> usize {
    let window = &shape.window;
    (window.out_w.next_multiple_of(PIXELS) - 1) * window.stride[1] + window.kernel_w
}

/// Elements of a block of a line.
pub(super) fn block_len<const B: usize>(shape: &DepthwiseShape) -> usize {
    columns(shape) * B
}

/// Elements of all lines.
pub(super) fn ring_len<const B: usize>(shape: &DepthwiseShape) -> usize {
    shape.window.kernel_h * shape.in_c.div_ceil(B) * block_len::<B>(shape)
}

impl<'a, T: Copy, const B: usize> Ring<'a, T, B> {
    /// Lines in `scratch`, which holds [`ring_len`] elements; `zero` stands in the padding.
    pub fn new(shape: &'a DepthwiseShape, scratch: &'a mut [T], zero: T) -> Self {
        let lines = &mut scratch[..ring_len::<B>(shape)];
        lines.fill(zero);
        Self { shape, lines, zero, next: None }
    }

    /// The `K` lines of output row `y` of picture `n`, from top to bottom.
    #[inline(always)]
    pub fn rows<const K: usize>(&mut self, input: &[T], [n, y]: [usize; 2]) -> [&[T]; K] {
        for row in new_rows(&self.shape.window, [n, y], &mut self.next) {
            self.copy(input, n, row);
        }
        let first = y * self.shape.window.stride[0];
        let len = self.lines.len() / K;
        core::array::from_fn(|ky| &self.lines[(first + ky) % K * len..][..len])
    }

    /// Copies one input row into its line.
    fn copy(&mut self, input: &[T], n: usize, row: usize) {
        let (window, channels) = (&self.shape.window, self.shape.in_c);
        let len = self.lines.len() / window.kernel_h;
        let line = &mut self.lines[row % window.kernel_h * len..][..len];
        let Some(row) = unpadded_row(window, row) else {
            line.fill(self.zero);
            return;
        };
        let row = &input[(n * window.in_h + row) * window.in_w * channels..];
        let copied = window.in_w.min(columns(self.shape) - window.pad_left);
        let block = block_len::<B>(self.shape);
        let left = window.pad_left * B;
        for (i, line) in line.chunks_exact_mut(block).enumerate() {
            let first = i * B;
            let line = line[left..left + copied * B].chunks_exact_mut(B);
            let step = (channels - first).min(B);
            if step == B {
                for (to, pixel) in line.zip(row.chunks_exact(channels)) {
                    to.copy_from_slice(&pixel[first..first + B]);
                }
            } else {
                for (to, pixel) in line.zip(row.chunks_exact(channels)) {
                    to[..step].copy_from_slice(&pixel[first..]);
                }
            }
        }
        // Lines start out as padding, and rows are copied over the same columns each time.
    }
}
