//! CONV_2D as a matrix product over tiles of pixels.
//!
//! A 1x1 convolution reads its rows where they lie. Any other gathers the pixels of a tile
//! (im2col of a block that fits the second-level cache, never of the whole picture).

mod float;
mod quantized;

pub use float::Conv2dFloat;
pub use quantized::Conv2dQuantized;

use crate::gemm::TILE_ROWS;
use crate::reference::conv2d::Conv2dShape;

/// The packed rows of a block stay below this, so that they survive in the second-level cache
/// (256 KiB and more on all machines of the last ten years) while each panel passes over them.
const BLOCK_BYTES: usize = 128 * 1024;

/// Rows of a block: as many tiles as fit [`BLOCK_BYTES`], and no more than the pixels there are.
fn block_rows(row_bytes: usize, pixels: usize) -> usize {
    let rows = (BLOCK_BYTES / row_bytes.max(1)).max(TILE_ROWS);
    (rows / TILE_ROWS * TILE_ROWS).min(pixels.next_multiple_of(TILE_ROWS))
}

/// Where the window of output pixel `pixel` starts: picture, top row, left column (in the
/// coordinates of the padded picture).
fn window_origin(shape: &Conv2dShape, pixel: usize) -> [usize; 3] {
    let window = &shape.window;
    let (row, x) = (pixel / window.out_w, pixel % window.out_w);
    let (n, y) = (row / window.out_h, row % window.out_h);
    [n, y * window.stride[0], x * window.stride[1]]
}

/// Whether each output pixel reads just one input pixel, and never the padding.
fn is_pointwise(shape: &Conv2dShape) -> bool {
    let window = &shape.window;
    window.kernel_h == 1
        && window.kernel_w == 1
        && window.pad_top == 0
        && window.pad_left == 0
        && (window.out_h - 1) * window.stride[0] < window.in_h
        && (window.out_w - 1) * window.stride[1] < window.in_w
}
