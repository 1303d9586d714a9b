//! The input rows of a window, read in place but for the columns at the edges.
//!
//! Output pixels of a row are computed in groups of four, all channels of a group before the next.
//! Most groups find their columns in the input. Those at the edges have a padded copy of theirs,
//! made once for each input row, with the same distance from pixel to pixel; a line of zeros
//! stands in for rows above and below the picture.

use core::ops::Range;

use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::shape::Window;

/// Output pixels of a group.
pub(super) const GROUP: usize = 4;

/// The first pixels of the groups of an output row. The last group reaches back over pixels that
/// the one before it computes, too, where the row is no multiple of a group.
pub(super) fn groups(window: &Window) -> impl Iterator<Item = usize> {
    let last = window.out_w.saturating_sub(GROUP);
    (0..window.out_w).step_by(GROUP).map(move |x| x.min(last))
}

/// Input columns that a group sees.
fn columns(window: &Window) -> usize {
    (GROUP - 1) * window.stride[1] + window.kernel_w
}

/// The groups whose columns are not all in the picture.
#[derive(Clone)]
pub(super) struct Edges {
    /// Their first pixels, ascending.
    groups: Vec<usize>,
}

impl Edges {
    /// Of the rows of `window`.
    pub fn new(window: &Window) -> Self {
        let inside = window.pad_left..=window.pad_left + window.in_w;
        let is_outside = |&x: &usize| {
            let first = x * window.stride[1];
            !(inside.contains(&first) && inside.contains(&(first + columns(window))))
        };
        Self { groups: groups(window).filter(is_outside).collect() }
    }

    /// Elements of scratch for [`Self::lines`].
    pub fn len(&self, shape: &DepthwiseShape) -> usize {
        let window = &shape.window;
        (self.groups.len() * window.kernel_h + 1) * columns(window) * shape.in_c
    }

    /// Lines of `input`, with [`Self::len`] elements of scratch for the edges.
    pub fn lines<'a, const K: usize>(
        &'a self,
        shape: &'a DepthwiseShape,
        input: &'a [f32],
        scratch: &'a mut [f32],
    ) -> Lines<'a, K> {
        assert_eq!(shape.window.kernel_h, K);
        let window = &shape.window;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * shape.in_c);
        let (zeros, copies) = scratch[..self.len(shape)].split_at_mut(columns(window) * shape.in_c);
        zeros.fill(0.0);
        Lines { edges: &self.groups, shape, input, zeros, copies, at: [0, 0], next: None }
    }
}

/// The `K` input rows that a row of windows sees.
pub(super) struct Lines<'a, const K: usize> {
    edges: &'a [usize],
    shape: &'a DepthwiseShape,
    input: &'a [f32],
    /// A group's columns of padding.
    zeros: &'a [f32],
    /// `[edges][K][columns][channels]`: row `r` of the padded picture is in line `r % K`.
    copies: &'a mut [f32],
    /// The picture and output row.
    at: [usize; 2],
    /// The picture that the copies are of, and the row of the padded picture to be copied next.
    next: Option<[usize; 2]>,
}

impl<const K: usize> Lines<'_, K> {
    /// Makes the lines those of output row `[n, y]`.
    pub fn go_to(&mut self, [n, y]: [usize; 2]) {
        for row in new_rows(&self.shape.window, [n, y], &mut self.next) {
            self.copy(n, row);
        }
        self.at = [n, y];
    }

    /// Copies the columns at the edges of a row of the padded picture.
    fn copy(&mut self, n: usize, padded_row: usize) {
        let (window, channels) = (&self.shape.window, self.shape.in_c);
        let Some(row) = unpadded_row(window, padded_row) else { return };
        let row = &self.input[(n * window.in_h + row) * window.in_w * channels..];
        let line_len = self.zeros.len();
        for (edge, &x) in self.edges.iter().enumerate() {
            let line = &mut self.copies[(edge * K + padded_row % K) * line_len..][..line_len];
            let first = x * window.stride[1];
            // Columns of the line: of padding, of the picture, of padding.
            let start = window.pad_left.saturating_sub(first).min(columns(window));
            let end = (window.pad_left + window.in_w).saturating_sub(first).min(columns(window));
            let end = end.max(start);
            let from = (first + start).saturating_sub(window.pad_left) * channels;
            let (left, line) = line.split_at_mut(start * channels);
            let (line, right) = line.split_at_mut((end - start) * channels);
            left.fill(0.0);
            line.copy_from_slice(&row[from..from + line.len()]);
            right.fill(0.0);
        }
    }

    /// The lines of the group of output pixels from `x` on, one of [`groups`]: each points at the
    /// group's columns, all channels of one after the other.
    #[inline(always)]
    pub fn of(&self, x: usize) -> [*const f32; K] {
        let (window, channels) = (&self.shape.window, self.shape.in_c);
        let [n, y] = self.at;
        let edge = self.edges.iter().position(|&edge| edge == x);
        core::array::from_fn(|ky| {
            let padded_row = y * window.stride[0] + ky;
            let line = match (unpadded_row(window, padded_row), edge) {
                (None, _) => self.zeros,
                (Some(_), Some(edge)) => {
                    &self.copies[(edge * K + padded_row % K) * self.zeros.len()..]
                }
                (Some(row), None) => {
                    let column = x * window.stride[1] - window.pad_left;
                    &self.input[((n * window.in_h + row) * window.in_w + column) * channels..]
                }
            };
            line[..self.zeros.len()].as_ptr()
        })
    }
}

/// The row of the picture that row `row` of the padded picture is.
fn unpadded_row(window: &Window, row: usize) -> Option<usize> {
    row.checked_sub(window.pad_top).filter(|&row| row < window.in_h)
}

/// The rows of the padded picture that output row `[n, y]` is the first to need. `next` is the
/// picture and the row that come next, from one output row to the following.
fn new_rows(window: &Window, [n, y]: [usize; 2], next: &mut Option<[usize; 2]>) -> Range<usize> {
    let first = y * window.stride[0];
    let end = first + window.kernel_h;
    let from = match *next {
        Some([picture, row]) if picture == n && row >= first => row,
        _ => first,
    };
    *next = Some([n, end]);
    from..end
}
