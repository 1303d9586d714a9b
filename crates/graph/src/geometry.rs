//! Geometry and numbers of operators, as plain data. Pairs are `[vertical, horizontal]`.

/// Affine quantization of a whole tensor: `real = scale * (quantized - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Finite and above zero.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

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
    /// The rows of a matrix, each a pixel by itself.
    pub fn of_rows(rows: usize) -> Self {
        Self {
            batch: 1,
            in_h: 1,
            in_w: rows,
            out_h: 1,
            out_w: rows,
            kernel_h: 1,
            kernel_w: 1,
            stride: [1, 1],
            dilation: [1, 1],
            pad_top: 0,
            pad_left: 0,
        }
    }
}

/// The geometry of a transposed convolution: input pixel `(y, x)` adds its products to the output
/// pixels `(y * stride + ky - pad[0], x * stride + kx - pad[1])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransposeConv {
    /// Pictures.
    pub batch: usize,
    /// Input height and width.
    pub in_size: [usize; 2],
    /// Output height and width.
    pub out_size: [usize; 2],
    /// Window.
    pub kernel: [usize; 2],
    /// Output pixels from one input pixel to the next.
    pub stride: [usize; 2],
    /// Rows and columns cut off above and to the left.
    pub pad: [usize; 2],
    /// Input channels.
    pub in_c: usize,
    /// Output channels.
    pub out_c: usize,
}
