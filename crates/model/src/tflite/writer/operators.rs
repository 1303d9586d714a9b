//! From [`Operator`] to an operator code and its options table: the inverse of
//! `tflite/operators.rs`.
#![deny(clippy::arithmetic_side_effects)]

use super::super::schema::options;
use super::versions::Types;
use super::{custom, index};
use crate::flatbuffer_writer::Table;
use crate::{Activation, Error, Model, Node, Operator, Padding, Result, TensorId};

/// An operator as the file stores it.
pub(super) struct Encoded<'a> {
    pub code: i32,
    pub version: i32,
    /// The kind of the options and the options.
    pub options: Option<(u8, Table<'a>)>,
    /// The name and the options of a custom operator.
    pub custom: Option<(&'static str, Vec<u8>)>,
}

/// Encodes one operator.
pub(super) fn encode<'a>(model: &'a Model, node: &'a Node) -> Result<Encoded<'a>> {
    let version = Types { model, node }.version();
    let name = node.operator.name();
    let code = node.operator.kind().code();
    let custom = custom::options(&node.operator)?.map(|options| (name, options));
    Ok(Encoded { code, version, options: options(model, node)?, custom })
}

/// The kind of the options and the options; `None` for an operator without.
fn options<'a>(model: &'a Model, node: &'a Node) -> Result<Option<(u8, Table<'a>)>> {
    let fused = |activation: &Activation| Table::default().scalar(0, activation_code(*activation));
    let flag = |value: bool| Table::default().flag(0, value);
    let type_of = |id: Option<TensorId>| id.map_or(0, |id| model.tensor(id).dtype.tensor_type());
    let input_type = || type_of(node.inputs.first().copied().flatten());
    let output_type = || type_of(node.outputs.first().copied());
    Ok(Some(match &node.operator {
        Operator::Conv2d { stride, dilation, padding, activation } => (
            options::CONV_2D,
            window(stride, *padding)?
                .scalar(3, activation_code(*activation))
                .scalar(4, index(dilation[1])?)
                .scalar(5, index(dilation[0])?),
        ),
        Operator::DepthwiseConv2d { stride, dilation, padding, depth_multiplier, activation } => (
            options::DEPTHWISE_CONV_2D,
            window(stride, *padding)?
                .scalar(3, index(*depth_multiplier)?)
                .scalar(4, activation_code(*activation))
                .scalar(5, index(dilation[1])?)
                .scalar(6, index(dilation[0])?),
        ),
        Operator::TransposeConv { stride, padding, activation } => (
            options::TRANSPOSE_CONV,
            window(stride, *padding)?.scalar(3, activation_code(*activation)),
        ),
        Operator::FullyConnected { activation, keep_num_dims } => {
            (options::FULLY_CONNECTED, fused(activation).flag(2, *keep_num_dims))
        }
        // Field 1: scales that are powers of two, int16 only; the schema's default is true.
        Operator::Add { activation } => (options::ADD, fused(activation).flag(1, false)),
        Operator::Sub { activation } => (options::SUB, fused(activation).flag(1, false)),
        Operator::Mul { activation } => (options::MUL, fused(activation)),
        Operator::Div { activation } => (options::DIV, fused(activation)),
        Operator::L2Normalization { activation } => (options::L2_NORM, fused(activation)),
        Operator::AveragePool2d { filter, stride, padding, activation }
        | Operator::MaxPool2d { filter, stride, padding, activation }
        | Operator::L2Pool2d { filter, stride, padding, activation } => (
            options::POOL_2D,
            window(stride, *padding)?
                .scalar(3, index(filter[1])?)
                .scalar(4, index(filter[0])?)
                .scalar(5, activation_code(*activation)),
        ),
        Operator::Mean { keep_dims }
        | Operator::Sum { keep_dims }
        | Operator::ReduceMax { keep_dims }
        | Operator::ReduceMin { keep_dims }
        | Operator::ReduceProd { keep_dims }
        | Operator::ReduceAny { keep_dims }
        | Operator::ReduceAll { keep_dims } => (options::REDUCER, flag(*keep_dims)),
        Operator::Reshape { new_shape } => {
            (options::RESHAPE, Table::default().vector(0, integers(new_shape)?))
        }
        Operator::Squeeze { dims } => {
            (options::SQUEEZE, Table::default().vector(0, integers(dims)?))
        }
        Operator::Softmax { beta } => (options::SOFTMAX, Table::default().scalar(0, *beta)),
        Operator::Concatenation { axis, activation } => (
            options::CONCATENATION,
            Table::default().scalar(0, integer(*axis)?).scalar(1, activation_code(*activation)),
        ),
        Operator::Gelu { approximate } => (options::GELU, flag(*approximate)),
        Operator::LeakyRelu { alpha } => (options::LEAKY_RELU, Table::default().scalar(0, *alpha)),
        Operator::LocalResponseNormalization { radius, bias, alpha, beta } => (
            options::LOCAL_RESPONSE_NORMALIZATION,
            Table::default()
                .scalar(0, index(*radius)?)
                .scalar(1, *bias)
                .scalar(2, *alpha)
                .scalar(3, *beta),
        ),
        Operator::ResizeBilinear { align_corners, half_pixel_centers } => (
            options::RESIZE_BILINEAR,
            // Fields 0 and 1 are those of a size that is an input today.
            Table::default().flag(2, *align_corners).flag(3, *half_pixel_centers),
        ),
        Operator::ResizeNearestNeighbor { align_corners, half_pixel_centers } => {
            (options::RESIZE_NEAREST_NEIGHBOR, flag(*align_corners).flag(1, *half_pixel_centers))
        }
        Operator::MirrorPad { symmetric } => (options::MIRROR_PAD, flag(*symmetric)),
        Operator::Split { parts } => (options::SPLIT, Table::default().scalar(0, index(*parts)?)),
        Operator::SplitV { parts } => {
            (options::SPLIT_V, Table::default().scalar(0, index(*parts)?))
        }
        Operator::StridedSlice {
            begin_mask,
            end_mask,
            ellipsis_mask,
            new_axis_mask,
            shrink_axis_mask,
            offset,
        } => (
            options::STRIDED_SLICE,
            Table::default()
                .scalar(0, *begin_mask)
                .scalar(1, *end_mask)
                .scalar(2, *ellipsis_mask)
                .scalar(3, *new_axis_mask)
                .scalar(4, *shrink_axis_mask)
                .flag(5, *offset),
        ),
        Operator::Pack { axis } => (
            options::PACK,
            Table::default().scalar(0, index(node.inputs.len())?).scalar(1, integer(*axis)?),
        ),
        Operator::Unpack { axis, parts } => {
            (options::UNPACK, Table::default().scalar(0, index(*parts)?).scalar(1, integer(*axis)?))
        }
        Operator::Gather { axis, batch_dims } => (
            options::GATHER,
            Table::default().scalar(0, integer(*axis)?).scalar(1, integer(*batch_dims)?),
        ),
        Operator::Cast => {
            (options::CAST, Table::default().scalar(0, input_type()).scalar(1, output_type()))
        }
        Operator::Shape => (options::SHAPE, Table::default().scalar(0, output_type())),
        Operator::ArgMax => (options::ARG_MAX, Table::default().scalar(0, output_type())),
        Operator::ArgMin => (options::ARG_MIN, Table::default().scalar(0, output_type())),
        Operator::Cumsum { exclusive, reverse } => {
            (options::CUMSUM, flag(*exclusive).flag(1, *reverse))
        }
        Operator::BatchMatmul { adj_x, adj_y } => {
            (options::BATCH_MATMUL, flag(*adj_x).flag(1, *adj_y))
        }
        Operator::SpaceToDepth { block } => {
            (options::SPACE_TO_DEPTH, Table::default().scalar(0, index(*block)?))
        }
        Operator::DepthToSpace { block } => {
            (options::DEPTH_TO_SPACE, Table::default().scalar(0, index(*block)?))
        }
        Operator::OneHot { axis } => {
            (options::ONE_HOT, Table::default().scalar(0, integer(*axis)?))
        }
        Operator::Pad
        | Operator::PadV2
        | Operator::Logistic
        | Operator::Relu
        | Operator::Relu6
        | Operator::ReluN1To1
        | Operator::Relu0To1
        | Operator::HardSwish
        | Operator::Quantize
        | Operator::Dequantize
        | Operator::Maximum
        | Operator::Minimum
        | Operator::Pow
        | Operator::Atan2
        | Operator::SquaredDifference
        | Operator::FloorDiv
        | Operator::FloorMod
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual
        | Operator::LogicalAnd
        | Operator::LogicalOr
        | Operator::LogicalNot
        | Operator::Abs
        | Operator::Neg
        | Operator::Exp
        | Operator::Log
        | Operator::Sqrt
        | Operator::Rsqrt
        | Operator::Square
        | Operator::Sin
        | Operator::Cos
        | Operator::Floor
        | Operator::Ceil
        | Operator::Round
        | Operator::Sign
        | Operator::Tanh
        | Operator::Elu
        | Operator::Prelu
        | Operator::LogSoftmax
        | Operator::Transpose
        | Operator::Slice
        | Operator::GatherNd
        | Operator::ExpandDims
        | Operator::BroadcastTo
        | Operator::Tile
        | Operator::Rank
        | Operator::Fill
        | Operator::Range
        | Operator::ZerosLike
        | Operator::TopkV2
        | Operator::SpaceToBatchNd
        | Operator::BatchToSpaceNd
        | Operator::Select
        | Operator::SelectV2
        | Operator::ReverseV2
        | Operator::Densify
        | Operator::Convolution2dTransposeBias { .. }
        | Operator::DetectionPostProcess(_) => return Ok(None),
    }))
}

/// The fields that convolutions and pools have in common.
pub(super) fn window(stride: &[usize; 2], padding: Padding) -> Result<Table<'static>> {
    let padding = match padding {
        Padding::Same => 0u8,
        Padding::Valid => 1,
        Padding::Explicit { .. } => {
            return Err(Error::unsupported_operator(
                "explicit padding of an average pool or a transposed convolution cannot be written \
                 as a .tflite: the format pads SAME or VALID",
            ));
        }
    };
    Ok(Table::default()
        .scalar(0, padding)
        .scalar(1, index(stride[1])?)
        .scalar(2, index(stride[0])?))
}

pub(super) fn integer(value: i64) -> Result<i32> {
    i32::try_from(value).map_err(|_| Error::format(format!("{value} does not fit 32 bits")))
}

fn integers(values: &[i64]) -> Result<Vec<i32>> {
    values.iter().map(|&value| integer(value)).collect()
}

/// The enum `ActivationFunctionType`.
pub(super) fn activation_code(activation: Activation) -> u8 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::ReluN1To1 => 2,
        Activation::Relu6 => 3,
    }
}
