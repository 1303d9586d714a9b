//! Operators with their attributes, by TensorFlow Lite's names.

/// A function applied to an operator's result before it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// None.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// The real numbers that the result is clamped to.
    pub const fn range(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::ReluN1To1 => (-1.0, 1.0),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// How a window meets the edge of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// The output is `ceil(input / stride)`; an odd rest goes below and to the right.
    Same,
    /// No window leaves the picture.
    Valid,
    /// Zeros on each side, in pixels: a PAD folded into the operator, or ONNX's padding.
    Explicit {
        /// Rows above.
        top: usize,
        /// Rows below.
        bottom: usize,
        /// Columns to the left.
        left: usize,
        /// Columns to the right.
        right: usize,
    },
}

/// An operator and its attributes. Pairs are `[vertical, horizontal]`.
///
/// Shapes are TensorFlow Lite's: pictures `[n, h, w, c]`, CONV_2D weights `[out, kh, kw, in/groups]`,
/// DEPTHWISE_CONV_2D weights `[1, kh, kw, out]`, FULLY_CONNECTED weights `[out, in]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// `[input, weights, bias?]`.
    Conv2d {
        /// Steps of the window; 1 or more.
        stride: [usize; 2],
        /// Distance between taps; 1 or more.
        dilation: [usize; 2],
        /// Edge handling.
        padding: Padding,
        /// Applied to the sum.
        activation: Activation,
    },
    /// `[input, weights, bias?]`; `out = in * depth_multiplier`.
    DepthwiseConv2d {
        /// Steps of the window; 1 or more.
        stride: [usize; 2],
        /// Distance between taps; 1 or more.
        dilation: [usize; 2],
        /// Edge handling.
        padding: Padding,
        /// Outputs for each input channel; 1 or more.
        depth_multiplier: usize,
        /// Applied to the sum.
        activation: Activation,
    },
    /// `[input, weights, bias?]`.
    FullyConnected {
        /// Applied to the sum.
        activation: Activation,
        /// Keep the leading dimensions instead of flattening to `[batch, out]`.
        keep_num_dims: bool,
    },
    /// `[a, b]`, broadcast.
    Add {
        /// Applied to the sum.
        activation: Activation,
    },
    /// `[a, b]`, broadcast.
    Mul {
        /// Applied to the product.
        activation: Activation,
    },
    /// `[input]`; zeros of the padding do not count.
    AveragePool2d {
        /// The window.
        filter: [usize; 2],
        /// Steps of the window.
        stride: [usize; 2],
        /// Edge handling.
        padding: Padding,
        /// Applied to the mean.
        activation: Activation,
    },
    /// `[input]`.
    MaxPool2d {
        /// The window.
        filter: [usize; 2],
        /// Steps of the window.
        stride: [usize; 2],
        /// Edge handling.
        padding: Padding,
        /// Applied to the maximum.
        activation: Activation,
    },
    /// `[input, axes]`.
    Mean {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, paddings]`; `paddings` is `[rank, 2]`.
    Pad,
    /// `[input, shape?]`.
    Reshape {
        /// The shape where there is no second input; one -1 allowed.
        new_shape: Vec<i64>,
    },
    /// `[input]`.
    Squeeze {
        /// The dimensions to remove; all of size 1 where empty.
        dims: Vec<i64>,
    },
    /// `[input]`, over the last dimension.
    Softmax {
        /// Multiplies the logits.
        beta: f32,
    },
    /// `[input]`: `1 / (1 + exp(-x))`.
    Logistic,
    /// `[input]`: `max(x, 0)`.
    Relu,
    /// `[input]`: `min(max(x, 0), 6)`.
    Relu6,
    /// `[input]`: `x * relu6(x + 3) / 6`.
    HardSwish,
    /// `[input]`: real or quantised to quantised.
    Quantize,
    /// `[input]`: quantised or float16 to float32.
    Dequantize,
    /// `[a, b, ...]`.
    Concatenation {
        /// The dimension to join along; negative counts from the end.
        axis: i64,
        /// Applied to the result.
        activation: Activation,
    },
}

impl Operator {
    /// TensorFlow Lite's name, as in messages and profiles.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Conv2d { .. } => "CONV_2D",
            Self::DepthwiseConv2d { .. } => "DEPTHWISE_CONV_2D",
            Self::FullyConnected { .. } => "FULLY_CONNECTED",
            Self::Add { .. } => "ADD",
            Self::Mul { .. } => "MUL",
            Self::AveragePool2d { .. } => "AVERAGE_POOL_2D",
            Self::MaxPool2d { .. } => "MAX_POOL_2D",
            Self::Mean { .. } => "MEAN",
            Self::Pad => "PAD",
            Self::Reshape { .. } => "RESHAPE",
            Self::Squeeze { .. } => "SQUEEZE",
            Self::Softmax { .. } => "SOFTMAX",
            Self::Logistic => "LOGISTIC",
            Self::Relu => "RELU",
            Self::Relu6 => "RELU6",
            Self::HardSwish => "HARD_SWISH",
            Self::Quantize => "QUANTIZE",
            Self::Dequantize => "DEQUANTIZE",
            Self::Concatenation { .. } => "CONCATENATION",
        }
    }
}
