//! Operators without attributes: their codes and the highest versions that are understood.

use super::super::builtin;
use crate::Operator;

/// An operator, its code and its highest version.
pub(crate) struct Plain {
    pub code: i32,
    pub version: i32,
    pub operator: Operator,
}

const fn plain(code: i32, version: i32, operator: Operator) -> Plain {
    Plain { code, version, operator }
}

static PLAIN: [Plain; 64] = [
    plain(builtin::PAD, 6, Operator::Pad),
    plain(builtin::LOGISTIC, 3, Operator::Logistic),
    plain(builtin::RELU, 3, Operator::Relu),
    plain(builtin::RELU6, 3, Operator::Relu6),
    plain(builtin::HARD_SWISH, 1, Operator::HardSwish),
    plain(builtin::QUANTIZE, 6, Operator::Quantize),
    plain(builtin::DEQUANTIZE, 9, Operator::Dequantize),
    plain(builtin::MAXIMUM, 4, Operator::Maximum),
    plain(builtin::MINIMUM, 4, Operator::Minimum),
    plain(builtin::POW, 1, Operator::Pow),
    plain(builtin::ATAN2, 1, Operator::Atan2),
    plain(builtin::SQUARED_DIFFERENCE, 2, Operator::SquaredDifference),
    plain(builtin::FLOOR_DIV, 3, Operator::FloorDiv),
    plain(builtin::FLOOR_MOD, 2, Operator::FloorMod),
    plain(builtin::EQUAL, 5, Operator::Equal),
    plain(builtin::NOT_EQUAL, 4, Operator::NotEqual),
    plain(builtin::LESS, 3, Operator::Less),
    plain(builtin::LESS_EQUAL, 2, Operator::LessEqual),
    plain(builtin::GREATER, 2, Operator::Greater),
    plain(builtin::GREATER_EQUAL, 3, Operator::GreaterEqual),
    plain(builtin::LOGICAL_AND, 1, Operator::LogicalAnd),
    plain(builtin::LOGICAL_OR, 1, Operator::LogicalOr),
    plain(builtin::LOGICAL_NOT, 1, Operator::LogicalNot),
    plain(builtin::ABS, 5, Operator::Abs),
    plain(builtin::NEG, 1, Operator::Neg),
    plain(builtin::EXP, 2, Operator::Exp),
    plain(builtin::LOG, 2, Operator::Log),
    plain(builtin::SQRT, 2, Operator::Sqrt),
    plain(builtin::RSQRT, 3, Operator::Rsqrt),
    plain(builtin::SQUARE, 1, Operator::Square),
    plain(builtin::SIN, 2, Operator::Sin),
    plain(builtin::COS, 2, Operator::Cos),
    plain(builtin::FLOOR, 1, Operator::Floor),
    plain(builtin::CEIL, 1, Operator::Ceil),
    plain(builtin::ROUND, 1, Operator::Round),
    plain(builtin::SIGN, 2, Operator::Sign),
    plain(builtin::TANH, 3, Operator::Tanh),
    plain(builtin::ELU, 1, Operator::Elu),
    plain(builtin::PRELU, 1, Operator::Prelu),
    plain(builtin::RELU_N1_TO_1, 1, Operator::ReluN1To1),
    plain(builtin::RELU_0_TO_1, 1, Operator::Relu0To1),
    plain(builtin::LOG_SOFTMAX, 2, Operator::LogSoftmax),
    plain(builtin::TRANSPOSE, 9, Operator::Transpose),
    plain(builtin::PADV2, 6, Operator::PadV2),
    plain(builtin::SLICE, 8, Operator::Slice),
    plain(builtin::GATHER_ND, 6, Operator::GatherNd),
    plain(builtin::EXPAND_DIMS, 1, Operator::ExpandDims),
    plain(builtin::BROADCAST_TO, 4, Operator::BroadcastTo),
    plain(builtin::TILE, 3, Operator::Tile),
    // The types in the options are those of the tensors.
    plain(builtin::CAST, 9, Operator::Cast),
    plain(builtin::SHAPE, 1, Operator::Shape),
    plain(builtin::RANK, 1, Operator::Rank),
    plain(builtin::FILL, 5, Operator::Fill),
    plain(builtin::RANGE, 2, Operator::Range),
    plain(builtin::ZEROS_LIKE, 1, Operator::ZerosLike),
    plain(builtin::ARG_MAX, 3, Operator::ArgMax),
    plain(builtin::ARG_MIN, 3, Operator::ArgMin),
    plain(builtin::TOPK_V2, 3, Operator::TopkV2),
    plain(builtin::SPACE_TO_BATCH_ND, 4, Operator::SpaceToBatchNd),
    plain(builtin::BATCH_TO_SPACE_ND, 4, Operator::BatchToSpaceNd),
    plain(builtin::SELECT, 4, Operator::Select),
    plain(builtin::SELECT_V2, 2, Operator::SelectV2),
    plain(builtin::REVERSE_V2, 4, Operator::ReverseV2),
    plain(builtin::DENSIFY, 1, Operator::Densify),
];

/// The operator of a code.
pub(crate) fn by_code(code: i32) -> Option<&'static Plain> {
    PLAIN.iter().find(|plain| plain.code == code)
}
