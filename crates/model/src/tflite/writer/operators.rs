//! From [`Operator`] to an operator code, its version and its options table: the inverse of
//! `tflite/operators.rs`.
#![deny(clippy::arithmetic_side_effects)]

use super::super::{builtin, schema::options};
use super::index;
use crate::DataType::{Float16, Float32, Int8, Int16, Int64};
use crate::flatbuffer_writer::Table;
use crate::{Activation, DataType, Error, Model, Node, Operator, Padding, Result, Tensor};

/// An operator as the file stores it.
pub(super) struct Encoded<'a> {
    pub code: i32,
    /// The lowest version of the operator that has what the node uses.
    pub version: i32,
    /// The kind of the options and the options.
    pub options: Option<(u8, Table<'a>)>,
}

/// Encodes one operator. Versions follow TensorFlow Lite's `op_version.cc`: int8 is mostly version
/// 2, int16 version 3.
pub(super) fn encode<'a>(model: &'a Model, node: &'a Node) -> Result<Encoded<'a>> {
    let types = Types { model, node };
    let by_type = types.plain();
    let simple = |code, version| Encoded { code, version, options: None };
    let with = |code, version, kind, table| Encoded { code, version, options: Some((kind, table)) };
    Ok(match &node.operator {
        Operator::Conv2d { stride, dilation, padding, activation } => with(
            builtin::CONV_2D,
            types.conv_2d_version(),
            options::CONV_2D,
            window(stride, *padding)?
                .scalar(3, activation_code(*activation))
                .scalar(4, index(dilation[1])?)
                .scalar(5, index(dilation[0])?),
        ),
        Operator::DepthwiseConv2d { stride, dilation, padding, depth_multiplier, activation } => {
            with(
                builtin::DEPTHWISE_CONV_2D,
                types.depthwise_conv_2d_version(*dilation),
                options::DEPTHWISE_CONV_2D,
                window(stride, *padding)?
                    .scalar(3, index(*depth_multiplier)?)
                    .scalar(4, activation_code(*activation))
                    .scalar(5, index(dilation[1])?)
                    .scalar(6, index(dilation[0])?),
            )
        }
        Operator::FullyConnected { activation, keep_num_dims } => with(
            builtin::FULLY_CONNECTED,
            types.fully_connected_version(*keep_num_dims),
            options::FULLY_CONNECTED,
            Table::default().scalar(0, activation_code(*activation)).flag(2, *keep_num_dims),
        ),
        Operator::Add { activation } => with(
            builtin::ADD,
            if types.input(0) == Some(Int64) { 4 } else { by_type },
            options::ADD,
            // Field 1: scales that are powers of two, int16 only; the schema's default is true.
            Table::default().scalar(0, activation_code(*activation)).flag(1, false),
        ),
        Operator::Mul { activation } => with(
            builtin::MUL,
            match types.input(0) {
                Some(Int64) => 5,
                Some(Int16) => 4,
                _ => by_type,
            },
            options::MUL,
            Table::default().scalar(0, activation_code(*activation)),
        ),
        Operator::AveragePool2d { filter, stride, padding, activation }
        | Operator::MaxPool2d { filter, stride, padding, activation } => with(
            match node.operator {
                Operator::MaxPool2d { .. } => builtin::MAX_POOL_2D,
                _ => builtin::AVERAGE_POOL_2D,
            },
            by_type,
            options::POOL_2D,
            window(stride, *padding)?
                .scalar(3, index(filter[1])?)
                .scalar(4, index(filter[0])?)
                .scalar(5, activation_code(*activation)),
        ),
        Operator::Mean { keep_dims } => {
            with(builtin::MEAN, by_type, options::REDUCER, Table::default().flag(0, *keep_dims))
        }
        Operator::Pad => simple(builtin::PAD, if types.rank(0) > 4 { 4 } else { by_type }),
        Operator::Reshape { new_shape } => with(
            builtin::RESHAPE,
            1,
            options::RESHAPE,
            Table::default().vector(0, integers(new_shape)?),
        ),
        Operator::Squeeze { dims } => {
            with(builtin::SQUEEZE, 1, options::SQUEEZE, Table::default().vector(0, integers(dims)?))
        }
        Operator::Softmax { beta } => {
            with(builtin::SOFTMAX, by_type, options::SOFTMAX, Table::default().scalar(0, *beta))
        }
        Operator::Logistic => simple(builtin::LOGISTIC, by_type),
        Operator::Relu => simple(builtin::RELU, types.quantised()),
        Operator::Relu6 => simple(builtin::RELU6, by_type),
        Operator::HardSwish => simple(builtin::HARD_SWISH, 1),
        Operator::Quantize => {
            simple(builtin::QUANTIZE, if types.output() == Some(Int16) { 2 } else { 1 })
        }
        Operator::Dequantize => simple(
            builtin::DEQUANTIZE,
            match types.input(0) {
                Some(Int16 | Float16) => 3,
                Some(Int8) if types.per_channel(0) => 5,
                Some(Int8) => 2,
                _ => 1,
            },
        ),
        Operator::Concatenation { axis, activation } => with(
            builtin::CONCATENATION,
            by_type,
            options::CONCATENATION,
            Table::default().scalar(0, integer(*axis)?).scalar(1, activation_code(*activation)),
        ),
    })
}

/// What versions depend on.
struct Types<'a> {
    model: &'a Model,
    node: &'a Node,
}

impl<'a> Types<'a> {
    fn tensor(&self, at: usize) -> Option<&'a Tensor> {
        self.node.inputs.get(at).copied().flatten().map(|id| self.model.tensor(id))
    }

    fn input(&self, at: usize) -> Option<DataType> {
        self.tensor(at).map(|tensor| tensor.dtype)
    }

    fn output(&self) -> Option<DataType> {
        self.node.outputs.first().map(|&id| self.model.tensor(id).dtype)
    }

    fn rank(&self, at: usize) -> usize {
        self.tensor(at).map_or(0, |tensor| tensor.shape.len())
    }

    fn per_channel(&self, at: usize) -> bool {
        let quantization = self.tensor(at).and_then(|tensor| tensor.quantization.as_ref());
        quantization.is_some_and(|quantization| quantization.scale.len() > 1)
    }

    /// The rule that most operators have.
    fn plain(&self) -> i32 {
        match self.input(0) {
            Some(Int16) => 3,
            Some(Int8) => 2,
            _ => 1,
        }
    }

    /// The same where uint8 came with int8.
    fn quantised(&self) -> i32 {
        match self.input(0) {
            Some(DataType::UInt8) => 2,
            _ => self.plain(),
        }
    }

    /// Float activations with int8 weights.
    fn is_hybrid(&self) -> bool {
        self.input(0) == Some(Float32) && self.input(1) == Some(Int8)
    }

    fn conv_2d_version(&self) -> i32 {
        let channels = |at: usize| self.tensor(at).and_then(|tensor| tensor.shape.last());
        match self.input(0) {
            _ if channels(0) != channels(1) => 6,
            Some(Int16) => 4,
            Some(Int8) => 3,
            _ if self.is_hybrid() && self.per_channel(1) => 5,
            _ if self.is_hybrid() => 2,
            _ => 1,
        }
    }

    fn depthwise_conv_2d_version(&self, dilation: [usize; 2]) -> i32 {
        match self.input(0) {
            Some(Int16) => 5,
            Some(Int8) => 3,
            _ if self.is_hybrid() && self.per_channel(1) => 6,
            _ if self.is_hybrid() => 4,
            _ if dilation != [1, 1] => 2,
            _ => 1,
        }
    }

    fn fully_connected_version(&self, keep_num_dims: bool) -> i32 {
        match self.input(0) {
            _ if self.is_hybrid() && self.per_channel(1) => 12,
            Some(Int16) => 7,
            _ if self.tensor(2).is_none() => 6,
            _ if keep_num_dims => 5,
            Some(Int8) => 4,
            _ if self.is_hybrid() => 3,
            _ => 1,
        }
    }
}

/// The fields that convolutions and pools have in common.
fn window(stride: &[usize; 2], padding: Padding) -> Result<Table<'static>> {
    let padding = match padding {
        Padding::Same => 0u8,
        Padding::Valid => 1,
        Padding::Explicit { .. } => {
            return Err(Error::unsupported_operator(
                "a pool with explicit padding cannot be written as a .tflite: the format pads \
                 SAME or VALID",
            ));
        }
    };
    Ok(Table::default()
        .scalar(0, padding)
        .scalar(1, index(stride[1])?)
        .scalar(2, index(stride[0])?))
}

fn integer(value: i64) -> Result<i32> {
    i32::try_from(value).map_err(|_| Error::format(format!("{value} does not fit 32 bits")))
}

fn integers(values: &[i64]) -> Result<Vec<i32>> {
    values.iter().map(|&value| integer(value)).collect()
}

/// The enum `ActivationFunctionType`.
fn activation_code(activation: Activation) -> u8 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::ReluN1To1 => 2,
        Activation::Relu6 => 3,
    }
}
