//! What each operator needs of its tensors when it runs on 8-bit integers.

use achado_model::Operator;

/// How an operator takes part in a quantized network. Operand numbers are TensorFlow Lite's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A product with constant weights: scales by output channel, an int32 bias.
    Weighted(Weighted),
    /// The result has a range of its own; operands are the first `operands` ones.
    Free { operands: usize },
    /// Results take scale and zero point of operand `operand`: the bytes move or are compared.
    SameAsInput { operand: usize },
    /// All operands and the result share one scale and zero point.
    AllSame,
    /// The specification fixes scale and zero point of the result.
    Fixed(FixedOutput),
    /// It stays in float32.
    Float,
}

/// Where a product has its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weighted {
    /// The operand that is an activation.
    pub input: usize,
    /// The operand of the weights.
    pub weights: usize,
    /// The operand of the bias, which may be left out.
    pub bias: usize,
    /// The dimension of the weights that runs along output channels.
    pub axis: usize,
    /// FULLY_CONNECTED: one scale for all weights unless asked otherwise, since old runtimes know
    /// no other.
    pub is_dense: bool,
}

/// Scale and zero point of a result in int8, from TensorFlow Lite's quantization specification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FixedOutput {
    pub scale: f32,
    pub zero_point: i32,
}

impl Eq for FixedOutput {}

const PROBABILITY: Role = Role::Fixed(FixedOutput { scale: 1.0 / 256.0, zero_point: -128 });
const SIGNED_UNIT: Role = Role::Fixed(FixedOutput { scale: 1.0 / 128.0, zero_point: 0 });
const LOG_PROBABILITY: Role = Role::Fixed(FixedOutput { scale: 16.0 / 256.0, zero_point: 127 });

/// The role of an operator. An operator that is missing here does not compile.
pub(crate) fn role(operator: &Operator) -> Role {
    use Operator as O;
    let weighted =
        |input, weights, bias, axis| Weighted { input, weights, bias, axis, is_dense: false };
    match operator {
        O::Conv2d { .. } => Role::Weighted(weighted(0, 1, 2, 0)),
        O::DepthwiseConv2d { .. } => Role::Weighted(weighted(0, 1, 2, 3)),
        O::FullyConnected { .. } => {
            Role::Weighted(Weighted { is_dense: true, ..weighted(0, 1, 2, 0) })
        }
        O::TransposeConv { .. } => Role::Weighted(weighted(2, 1, 3, 0)),
        O::Add { .. }
        | O::Sub { .. }
        | O::Mul { .. }
        | O::SquaredDifference
        | O::BatchMatmul { .. }
        | O::Prelu => Role::Free { operands: 2 },
        O::Mean { .. }
        | O::Sum { .. }
        | O::Relu
        | O::Relu6
        | O::ReluN1To1
        | O::LeakyRelu { .. }
        | O::HardSwish
        | O::Gelu { .. }
        | O::Elu
        | O::Rsqrt => Role::Free { operands: 1 },
        O::AveragePool2d { .. }
        | O::MaxPool2d { .. }
        | O::Pad
        | O::MirrorPad { .. }
        | O::Reshape { .. }
        | O::Squeeze { .. }
        | O::ExpandDims
        | O::Transpose
        | O::ResizeBilinear { .. }
        | O::ResizeNearestNeighbor { .. }
        | O::SplitV { .. }
        | O::Slice
        | O::StridedSlice { .. }
        | O::Unpack { .. }
        | O::Gather { .. }
        | O::GatherNd
        | O::BroadcastTo
        | O::Tile
        | O::ReduceMax { .. }
        | O::ReduceMin { .. }
        | O::SpaceToBatchNd
        | O::BatchToSpaceNd
        | O::SpaceToDepth { .. }
        | O::DepthToSpace { .. }
        | O::ReverseV2 => Role::SameAsInput { operand: 0 },
        O::Split { .. } => Role::SameAsInput { operand: 1 },
        O::Concatenation { .. } | O::Pack { .. } | O::Maximum | O::Minimum | O::PadV2 => {
            Role::AllSame
        }
        O::Softmax { .. } | O::Logistic => PROBABILITY,
        O::Tanh | O::L2Normalization { .. } => SIGNED_UNIT,
        O::LogSoftmax => LOG_PROBABILITY,
        O::Quantize
        | O::Dequantize
        | O::Densify
        | O::Div { .. }
        | O::Pow
        | O::FloorDiv
        | O::FloorMod
        | O::Equal
        | O::NotEqual
        | O::Less
        | O::LessEqual
        | O::Greater
        | O::GreaterEqual
        | O::LogicalAnd
        | O::LogicalOr
        | O::LogicalNot
        | O::Abs
        | O::Neg
        | O::Exp
        | O::Log
        | O::Sqrt
        | O::Square
        | O::L2Pool2d { .. }
        | O::Atan2
        | O::Sin
        | O::Cos
        | O::Floor
        | O::Ceil
        | O::Round
        | O::Sign
        | O::Relu0To1
        | O::LocalResponseNormalization { .. }
        | O::Convolution2dTransposeBias { .. }
        | O::Cast
        | O::Shape
        | O::Rank
        | O::Fill
        | O::Range
        | O::ZerosLike
        | O::ArgMax
        | O::ArgMin
        | O::TopkV2
        | O::ReduceProd { .. }
        | O::ReduceAny { .. }
        | O::ReduceAll { .. }
        | O::Cumsum { .. }
        | O::Select
        | O::SelectV2
        | O::OneHot { .. }
        | O::DetectionPostProcess(_) => Role::Float,
    }
}

impl Role {
    /// The operands that are activations or constants of floats, of `count` in all.
    pub fn data_operands(self, operator: &Operator, count: usize) -> Vec<usize> {
        match self {
            Self::Weighted(weighted) => vec![weighted.input],
            Self::Free { operands } => (0..operands.min(count)).collect(),
            Self::SameAsInput { operand } => vec![operand],
            // The second operand of PADV2 is the paddings.
            Self::AllSame if matches!(operator, Operator::PadV2) => vec![0, 2],
            Self::AllSame => (0..count).collect(),
            Self::Fixed(_) => vec![0],
            Self::Float => Vec::new(),
        }
    }
}
