//! The lowest version of each operator that has what a node uses, by the rules of TensorFlow Lite's
//! `op_version.cc`.
#![deny(clippy::arithmetic_side_effects)]

use crate::DataType::{Bool, Float16, Float32, Int8, Int16, Int32, Int64, UInt8};
use crate::{DataType, Model, Node, Operator, Tensor};

/// What versions depend on.
pub(super) struct Types<'a> {
    pub model: &'a Model,
    pub node: &'a Node,
}

impl<'a> Types<'a> {
    pub fn version(&self) -> i32 {
        let first = self.input(0);
        match &self.node.operator {
            Operator::Conv2d { .. } => self.conv_2d(),
            Operator::DepthwiseConv2d { dilation, .. } => self.depthwise_conv_2d(*dilation),
            Operator::FullyConnected { keep_num_dims, .. } => self.fully_connected(*keep_num_dims),
            Operator::TransposeConv { activation, .. } => match self.input(1) {
                _ if *activation != crate::Activation::None => 4,
                _ if self.input(3).is_some() => 3,
                Some(Int8) => 2,
                _ => 1,
            },
            Operator::Add { .. } => {
                if first == Some(Int64) {
                    4
                } else {
                    self.plain()
                }
            }
            Operator::Sub { .. } => match first {
                Some(Int16) => 5,
                Some(Int64) => 4,
                _ if self.broadcasts_beyond(4) => 3,
                _ => self.plain(),
            },
            Operator::Mul { .. } => match first {
                Some(Int64) => 5,
                Some(Int16) => 4,
                _ => self.plain(),
            },
            Operator::Div { .. } => match self.broadcasts_beyond(4) {
                true => 2,
                false => 1,
            },
            Operator::Maximum | Operator::Minimum => match first {
                Some(Int16) => 4,
                _ if self.broadcasts_beyond(4) => 3,
                _ => self.plain(),
            },
            Operator::Abs => match first {
                Some(Int32) => 5,
                _ => self.quantised(),
            },
            Operator::FloorDiv => match first {
                Some(Int8 | Int16) => 3,
                Some(Float32) => 2,
                _ => 1,
            },
            Operator::Equal => {
                if first == Some(Int16) {
                    4
                } else {
                    self.int8()
                }
            }
            Operator::Relu => self.quantised(),
            Operator::Pad | Operator::PadV2 => {
                if self.rank(0) > 4 {
                    4
                } else {
                    self.plain()
                }
            }
            Operator::Transpose => match first {
                _ if self.rank(0) > 5 => 6,
                Some(Int16) => 5,
                _ if self.rank(0) > 4 => 4,
                Some(Bool) => 3,
                _ => self.int8(),
            },
            Operator::Slice => match first {
                _ if self.rank(0) > 4 => 5,
                Some(Int16) => 4,
                _ => self.int8(),
            },
            Operator::StridedSlice { ellipsis_mask, new_axis_mask, offset, .. } => match first {
                _ if *offset => 8,
                _ if *ellipsis_mask != 0 || *new_axis_mask != 0 => 6,
                _ if self.rank(0) > 4 => 4,
                Some(Bool) => 3,
                _ => self.int8(),
            },
            Operator::ResizeBilinear { half_pixel_centers, .. } => match first {
                Some(Int16) => 4,
                _ if *half_pixel_centers => 3,
                _ => self.int8(),
            },
            Operator::ResizeNearestNeighbor { align_corners, half_pixel_centers } => match first {
                Some(Int16) => 4,
                _ if *half_pixel_centers || *align_corners => 3,
                _ => self.int8(),
            },
            Operator::Gather { batch_dims, .. } => match first {
                _ if *batch_dims != 0 => 5,
                Some(Int16) => 4,
                Some(Bool) => 3,
                _ => self.int8(),
            },
            Operator::GatherNd => match first {
                Some(Bool) => 5,
                Some(Int16) => 3,
                _ => 1,
            },
            Operator::Split { .. } => match self.input(1) {
                Some(Int16) => 4,
                Some(Int32) => 3,
                Some(Int8) => 2,
                _ => 1,
            },
            Operator::Unpack { .. } => match first {
                Some(Int16) => 4,
                Some(Bool) => 3,
                Some(Int8 | UInt8) => 2,
                _ => 1,
            },
            Operator::Pack { .. } => self.plain(),
            Operator::Fill => match self.input(1) {
                Some(Float16) => 4,
                Some(Int8 | Int16) => 3,
                Some(Bool) => 2,
                _ => 1,
            },
            Operator::ReverseV2 | Operator::Tile => match first {
                Some(Int8) => 3,
                Some(Bool) => 2,
                _ => 1,
            },
            Operator::Select => match first {
                _ if self.rank(0) == 5 || self.rank(1) == 5 => 3,
                _ => self.int8(),
            },
            Operator::SpaceToBatchNd | Operator::BatchToSpaceNd => match first {
                Some(Int16) => 4,
                _ if self.rank(0) != 4 => 3,
                _ => self.int8(),
            },
            Operator::LeakyRelu { .. } => match first == Some(Int16) {
                true => 2,
                false => 1,
            },
            Operator::Quantize => match self.output() == Some(Int16) {
                true => 2,
                false => 1,
            },
            Operator::Dequantize => match first {
                Some(Int16 | Float16) => 3,
                Some(Int8) if self.per_channel(0) => 5,
                _ => self.int8(),
            },
            Operator::AveragePool2d { .. }
            | Operator::MaxPool2d { .. }
            | Operator::Mean { .. }
            | Operator::Sum { .. }
            | Operator::ReduceMax { .. }
            | Operator::ReduceMin { .. }
            | Operator::Softmax { .. }
            | Operator::Logistic
            | Operator::Tanh
            | Operator::Relu6
            | Operator::Rsqrt
            | Operator::MirrorPad { .. }
            | Operator::Concatenation { .. }
            | Operator::BatchMatmul { .. }
            | Operator::Less
            | Operator::GreaterEqual => self.plain(),
            Operator::L2Normalization { .. }
            | Operator::ArgMax
            | Operator::ArgMin
            | Operator::NotEqual
            | Operator::Greater
            | Operator::LessEqual
            | Operator::LogSoftmax
            | Operator::TopkV2
            | Operator::SpaceToDepth { .. } => self.int8(),
            Operator::DepthToSpace { .. }
            | Operator::Floor
            | Operator::L2Pool2d { .. }
            | Operator::LocalResponseNormalization { .. }
            | Operator::ReluN1To1
            | Operator::Reshape { .. }
            | Operator::Squeeze { .. }
            | Operator::Exp
            | Operator::Cast
            | Operator::Prelu
            | Operator::Neg
            | Operator::Sin
            | Operator::ExpandDims
            | Operator::Log
            | Operator::Sqrt
            | Operator::Shape
            | Operator::Pow
            | Operator::ReduceProd { .. }
            | Operator::LogicalOr
            | Operator::OneHot { .. }
            | Operator::LogicalAnd
            | Operator::LogicalNot
            | Operator::ReduceAny { .. }
            | Operator::Square
            | Operator::ZerosLike
            | Operator::FloorMod
            | Operator::Range
            | Operator::SquaredDifference
            | Operator::SplitV { .. }
            | Operator::Ceil
            | Operator::Cos
            | Operator::Rank
            | Operator::Elu
            | Operator::Round
            | Operator::HardSwish
            | Operator::SelectV2
            | Operator::Densify
            | Operator::Cumsum { .. }
            | Operator::BroadcastTo
            | Operator::ReduceAll { .. }
            | Operator::Gelu { .. }
            | Operator::Relu0To1
            | Operator::Atan2
            | Operator::Sign
            | Operator::Convolution2dTransposeBias { .. }
            | Operator::DetectionPostProcess(_) => 1,
        }
    }

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

    /// Operands of different shapes and more than `rank` dimensions.
    fn broadcasts_beyond(&self, rank: usize) -> bool {
        let shape = |at: usize| self.tensor(at).map(|tensor| &tensor.shape);
        shape(0) != shape(1) && self.rank(0).max(self.rank(1)) > rank
    }

    /// Version 2 came with int8.
    fn int8(&self) -> i32 {
        if self.input(0) == Some(Int8) { 2 } else { 1 }
    }

    /// The rule that most operators have: int8, then int16.
    fn plain(&self) -> i32 {
        if self.input(0) == Some(Int16) { 3 } else { self.int8() }
    }

    /// The same where uint8 came with int8.
    fn quantised(&self) -> i32 {
        if self.input(0) == Some(UInt8) { 2 } else { self.plain() }
    }

    /// Float activations with int8 weights.
    fn is_hybrid(&self) -> bool {
        self.input(0) == Some(Float32) && self.input(1) == Some(Int8)
    }

    fn conv_2d(&self) -> i32 {
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

    fn depthwise_conv_2d(&self, dilation: [usize; 2]) -> i32 {
        match self.input(0) {
            Some(Int16) => 5,
            Some(Int8) => 3,
            _ if self.is_hybrid() && self.per_channel(1) => 6,
            _ if self.is_hybrid() => 4,
            _ if dilation != [1, 1] => 2,
            _ => 1,
        }
    }

    fn fully_connected(&self, keep_num_dims: bool) -> i32 {
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
