//! Geometry that reference and fast kernels share. Pairs are `[vertical, horizontal]`.

/// A 2-D window moving over pictures `[batch, in_h, in_w, channels]`.
///
/// Output pixel `(y, x)` reads input rows `y * stride[0] + ky * dilation[0] - pad_top` and columns
/// `x * stride[1] + kx * dilation[1] - pad_left`; places outside the picture count as real zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Pictures.
    pub batch: usize,
    /// Input height.
    pub in_h: usize,
    /// Input width.
    pub in_w: usize,
    /// Output height.
    pub out_h: usize,
    /// Output width.
    pub out_w: usize,
    /// Window height.
    pub kernel_h: usize,
    /// Window width.
    pub kernel_w: usize,
    /// Steps.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Rows of zeros above.
    pub pad_top: usize,
    /// Columns of zeros to the left.
    pub pad_left: usize,
}

impl Window {
    /// Input rows that output row `y` reads, tap by tap: `None` where the tap is in the padding.
    pub fn input_row(&self, y: usize, ky: usize) -> Option<usize> {
        (y * self.stride[0] + ky * self.dilation[0])
            .checked_sub(self.pad_top)
            .filter(|&row| row < self.in_h)
    }

    /// Input columns that output column `x` reads, tap by tap: `None` in the padding.
    pub fn input_column(&self, x: usize, kx: usize) -> Option<usize> {
        (x * self.stride[1] + kx * self.dilation[1])
            .checked_sub(self.pad_left)
            .filter(|&column| column < self.in_w)
    }

    /// Output pixels over all pictures.
    pub fn out_pixels(&self) -> usize {
        self.batch * self.out_h * self.out_w
    }
}
