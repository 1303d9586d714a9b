//! RESIZE_NEAREST_NEIGHBOR of `[n, h, w, c]`: the built-in kernel's coordinates, see
//! [`nearest`].

use super::{Operand, moved};
use crate::resize::nearest;

/// Into `[n, out_h, out_w, c]`.
pub fn resize_nearest_neighbor<T: Copy>(
    [out_h, out_w]: [usize; 2],
    align_corners: bool,
    half_pixel_centers: bool,
    input: Operand<T>,
    out: &mut [T],
) {
    let &[n, h, w, c] = input.shape else { return };
    let place = |i, len, out| nearest(i, len, out, align_corners, half_pixel_centers);
    moved(&[n, out_h, out_w, c], input, out, |at| {
        Some(vec![at[0], place(at[1], h, out_h), place(at[2], w, out_w), at[3]])
    });
}
