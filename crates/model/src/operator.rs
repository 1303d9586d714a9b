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
    /// `[input]`: the root of the mean of squares; the padding does not count.
    L2Pool2d {
        /// The window.
        filter: [usize; 2],
        /// Steps of the window.
        stride: [usize; 2],
        /// Edge handling.
        padding: Padding,
        /// Applied to the root.
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
    /// `[a, b]`, broadcast: `a - b`.
    Sub {
        /// Applied to the difference.
        activation: Activation,
    },
    /// `[a, b]`, broadcast: `a / b`.
    Div {
        /// Applied to the quotient.
        activation: Activation,
    },
    /// `[a, b]`, broadcast.
    Maximum,
    /// `[a, b]`, broadcast.
    Minimum,
    /// `[a, b]`, broadcast: `a` to the power of `b`.
    Pow,
    /// `[y, x]`: the angle of the point `(x, y)`.
    Atan2,
    /// `[a, b]`, broadcast: `(a - b)^2`.
    SquaredDifference,
    /// `[a, b]`, broadcast: `a / b` rounded down.
    FloorDiv,
    /// `[a, b]`, broadcast: what FLOOR_DIV leaves, with the sign of `b`.
    FloorMod,
    /// `[a, b]`, broadcast, to bool.
    Equal,
    /// `[a, b]`, broadcast, to bool.
    NotEqual,
    /// `[a, b]`, broadcast, to bool: `a < b`.
    Less,
    /// `[a, b]`, broadcast, to bool: `a <= b`.
    LessEqual,
    /// `[a, b]`, broadcast, to bool: `a > b`.
    Greater,
    /// `[a, b]`, broadcast, to bool: `a >= b`.
    GreaterEqual,
    /// `[a, b]` of bool, broadcast.
    LogicalAnd,
    /// `[a, b]` of bool, broadcast.
    LogicalOr,
    /// `[input]` of bool.
    LogicalNot,
    /// `[input]`: `|x|`.
    Abs,
    /// `[input]`: `-x`.
    Neg,
    /// `[input]`: `e^x`.
    Exp,
    /// `[input]`: natural logarithm.
    Log,
    /// `[input]`.
    Sqrt,
    /// `[input]`: `1 / sqrt(x)`.
    Rsqrt,
    /// `[input]`: `x^2`.
    Square,
    /// `[input]`, in radians.
    Sin,
    /// `[input]`, in radians.
    Cos,
    /// `[input]`: the greatest integer that is not above `x`.
    Floor,
    /// `[input]`: the least integer that is not below `x`.
    Ceil,
    /// `[input]`: the nearest integer, ties to even.
    Round,
    /// `[input]`: -1, 0 or 1.
    Sign,
    /// `[input]`: hyperbolic tangent.
    Tanh,
    /// `[input]`: `x` where positive, else `e^x - 1`.
    Elu,
    /// `[input]`: `x * P(X <= x)` of the standard normal distribution.
    Gelu {
        /// By tanh.
        approximate: bool,
    },
    /// `[input]`: `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `[input, alpha]`, broadcast: `x` where positive, else `alpha * x`.
    Prelu,
    /// `[input]`: `min(max(x, -1), 1)`.
    ReluN1To1,
    /// `[input]`: `min(max(x, 0), 1)`.
    Relu0To1,
    /// `[input]`, over the last dimension: the logarithm of SOFTMAX.
    LogSoftmax,
    /// `[input]`, over the last dimension: divided by the square root of the sum of squares.
    L2Normalization {
        /// Applied to the result.
        activation: Activation,
    },
    /// `[input]`: `x / (bias + alpha * sum of squares)^beta`, the sum over `radius` channels to
    /// each side.
    LocalResponseNormalization {
        /// Neighbouring channels on each side.
        radius: usize,
        /// Added to the sum.
        bias: f32,
        /// Multiplies the sum.
        alpha: f32,
        /// The exponent.
        beta: f32,
    },
    /// `[input, permutation]`: dimension `i` of the result is dimension `permutation[i]`.
    Transpose,
    /// `[output shape, weights, input, bias?]`; weights are `[out, kh, kw, in]`.
    TransposeConv {
        /// Distance between the places of input pixels in the result; 1 or more.
        stride: [usize; 2],
        /// Which border of the result is cut off.
        padding: Padding,
        /// Applied to the sum.
        activation: Activation,
    },
    /// MediaPipe's `[input, weights, bias]`: TRANSPOSE_CONV whose output is `stride` times the
    /// input.
    Convolution2dTransposeBias {
        /// Distance between the places of input pixels in the result; 1 or more.
        stride: [usize; 2],
        /// Which border of the result is cut off.
        padding: Padding,
    },
    /// `[input, size]`; `size` is `[height, width]`.
    ResizeBilinear {
        /// Corner pixels keep their centres.
        align_corners: bool,
        /// Pixels have their centres at `0.5, 1.5, ...`.
        half_pixel_centers: bool,
    },
    /// `[input, size]`; `size` is `[height, width]`.
    ResizeNearestNeighbor {
        /// Corner pixels keep their centres.
        align_corners: bool,
        /// Pixels have their centres at `0.5, 1.5, ...`.
        half_pixel_centers: bool,
    },
    /// `[input, paddings, value]`; `paddings` is `[rank, 2]`.
    PadV2,
    /// `[input, paddings]`: the border mirrors the inside.
    MirrorPad {
        /// The edge itself is repeated, too.
        symmetric: bool,
    },
    /// `[axis, input]`: equal parts.
    Split {
        /// How many parts.
        parts: usize,
    },
    /// `[input, sizes, axis]`; one size may be -1.
    SplitV {
        /// How many parts.
        parts: usize,
    },
    /// `[input, begin, size]`; a size of -1 reaches to the end.
    Slice,
    /// `[input, begin, end, strides]`. In the masks, bit `i` stands for entry `i` of these.
    StridedSlice {
        /// `begin[i]` is the first element.
        begin_mask: u32,
        /// `end[i]` is the last element.
        end_mask: u32,
        /// As many dimensions as are left.
        ellipsis_mask: u32,
        /// A new dimension of size 1.
        new_axis_mask: u32,
        /// One element, whose dimension goes away.
        shrink_axis_mask: u32,
        /// `end` counts from `begin`.
        offset: bool,
    },
    /// `[a, b, ...]` of equal shapes, side by side along a new dimension.
    Pack {
        /// The new dimension; negative counts from the end of the result.
        axis: i64,
    },
    /// `[input]`: one result for each index of a dimension, which goes away.
    Unpack {
        /// The dimension; negative counts from the end.
        axis: i64,
        /// How many results.
        parts: usize,
    },
    /// `[input, indices]`: entries of a dimension.
    Gather {
        /// The dimension; negative counts from the end.
        axis: i64,
        /// Leading dimensions that input and indices share.
        batch_dims: i64,
    },
    /// `[input, indices]`: the last dimension of `indices` indexes the first ones of `input`.
    GatherNd,
    /// `[input, axis]`: a new dimension of size 1.
    ExpandDims,
    /// `[input, shape]`.
    BroadcastTo,
    /// `[input, multiples]`: repeated along each dimension.
    Tile,
    /// `[input]` to another element type.
    Cast,
    /// `[input]`: its shape as int32 or int64.
    Shape,
    /// `[input]`: its number of dimensions.
    Rank,
    /// `[shape, value]`.
    Fill,
    /// `[start, limit, delta]`.
    Range,
    /// `[input]`.
    ZerosLike,
    /// `[input, axis]`: the index of the first greatest element.
    ArgMax,
    /// `[input, axis]`: the index of the first least element.
    ArgMin,
    /// `[input, k]`: the `k` greatest elements of the last dimension and their indices.
    TopkV2,
    /// `[input, axes]`.
    ReduceMax {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, axes]`.
    ReduceMin {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, axes]`: the product.
    ReduceProd {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, axes]` of bool.
    ReduceAny {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, axes]` of bool.
    ReduceAll {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, axes]`.
    Sum {
        /// Keep reduced dimensions as 1.
        keep_dims: bool,
    },
    /// `[input, axis]`: sums of the elements up to each one.
    Cumsum {
        /// The element itself does not count.
        exclusive: bool,
        /// From the end.
        reverse: bool,
    },
    /// `[a, b]`: matrix products over the last two dimensions, the others broadcast.
    BatchMatmul {
        /// `a` is transposed.
        adj_x: bool,
        /// `b` is transposed.
        adj_y: bool,
    },
    /// `[input, block, paddings]`.
    SpaceToBatchNd,
    /// `[input, block, crops]`.
    BatchToSpaceNd,
    /// `[input]`: blocks of pixels become channels.
    SpaceToDepth {
        /// The side of a block.
        block: usize,
    },
    /// `[input]`: channels become blocks of pixels.
    DepthToSpace {
        /// The side of a block.
        block: usize,
    },
    /// `[condition, a, b]` of one shape, or a condition of one dimension that selects rows.
    Select,
    /// `[condition, a, b]`, broadcast.
    SelectV2,
    /// `[indices, depth, on, off]`.
    OneHot {
        /// The new dimension; -1 is the last.
        axis: i64,
    },
    /// `[input, axes]`: back to front.
    ReverseV2,
    /// `[input]`: a sparse constant as a dense tensor. Readers store constants densely.
    Densify,
    /// `[boxes, scores, anchors]`: the custom operator TFLite_Detection_PostProcess. Results are
    /// `[boxes, classes, scores, count]`.
    DetectionPostProcess(DetectionPostProcess),
}

/// The attributes of TFLite_Detection_PostProcess.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionPostProcess {
    /// Boxes in the result.
    pub max_detections: usize,
    /// Classes of a box, where classes do not compete box by box.
    pub max_classes_per_detection: usize,
    /// Boxes of a class, where each class has its own suppression.
    pub detections_per_class: usize,
    /// Suppress boxes class by class rather than over all classes.
    pub use_regular_nms: bool,
    /// Least score of a box.
    pub nms_score_threshold: f32,
    /// Greatest overlap of two boxes: intersection over union.
    pub nms_iou_threshold: f32,
    /// Classes, without the background.
    pub num_classes: usize,
    /// Divisors of the coded boxes: `[y, x, height, width]`.
    pub scale: [f32; 4],
}
