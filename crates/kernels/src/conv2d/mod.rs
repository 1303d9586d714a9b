//! CONV_2D as a matrix product over tiles of pixels.
//!
//! A 1x1 convolution reads its rows where they lie. Any other gathers the pixels of a tile
//! (im2col of a block that fits the second-level cache, never of the whole picture).

mod dynamic;
mod float;
mod gather;
mod hybrid;
mod inside;
mod quantized;

pub use dynamic::{Conv2dDynamic, Dynamic};
pub use float::Conv2dFloat;
pub use hybrid::{Conv2dHybrid, Grids};
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

/// Whether output pixels are input pixels, one for one, and so lie where they are needed.
fn is_pointwise(shape: &Conv2dShape) -> bool {
    let window = &shape.window;
    window.kernel_h == 1
        && window.kernel_w == 1
        && window.pad_top == 0
        && window.pad_left == 0
        && window.stride == [1, 1]
        && window.out_h == window.in_h
        && window.out_w == window.in_w
}

/// Where the windows of consecutive output pixels start: picture, top row, left column (in the
/// coordinates of the padded picture). Dividing for each pixel costs more than its packing.
#[derive(Clone)]
struct Origins {
    next: [usize; 3],
    stride: [usize; 2],
    /// The padded picture's rows and columns that windows start in, each times its stride.
    end: [usize; 2],
}

impl Origins {
    /// From output pixel `pixel` on.
    fn from(shape: &Conv2dShape, pixel: usize) -> Self {
        let window = &shape.window;
        let (row, x) = (pixel / window.out_w, pixel % window.out_w);
        let (n, y) = (row / window.out_h, row % window.out_h);
        let [stride_y, stride_x] = window.stride;
        Self {
            next: [n, y * stride_y, x * stride_x],
            stride: window.stride,
            end: [window.out_h * stride_y, window.out_w * stride_x],
        }
    }

    /// The next window's origin.
    #[inline(always)]
    fn step(&mut self) -> [usize; 3] {
        let origin = self.next;
        let [n, y, x] = &mut self.next;
        *x += self.stride[1];
        if *x == self.end[1] {
            *x = 0;
            *y += self.stride[0];
            if *y == self.end[0] {
                *y = 0;
                *n += 1;
            }
        }
        origin
    }
}
