//! The builtin operators of the schema: codes of those read here, names of all.
//!
//! The order is that of the schema's enum `BuiltinOperator`; a code is an index.

const NAMES: [&str; 210] = [
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EMBEDDING_LOOKUP",
    "FLOOR",
    "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP",
    "L2_NORMALIZATION",
    "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOGISTIC",
    "LSH_PROJECTION",
    "LSTM",
    "MAX_POOL_2D",
    "MUL",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RNN",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SVDF",
    "TANH",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "CALL",
    "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE",
    "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "GATHER",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TRANSPOSE",
    "MEAN",
    "SUB",
    "DIV",
    "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "STRIDED_SLICE",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "EXP",
    "TOPK_V2",
    "SPLIT",
    "LOG_SOFTMAX",
    "DELEGATE",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "CAST",
    "PRELU",
    "MAXIMUM",
    "ARG_MAX",
    "MINIMUM",
    "LESS",
    "NEG",
    "PADV2",
    "GREATER",
    "GREATER_EQUAL",
    "LESS_EQUAL",
    "SELECT",
    "SLICE",
    "SIN",
    "TRANSPOSE_CONV",
    "SPARSE_TO_DENSE",
    "TILE",
    "EXPAND_DIMS",
    "EQUAL",
    "NOT_EQUAL",
    "LOG",
    "SUM",
    "SQRT",
    "RSQRT",
    "SHAPE",
    "POW",
    "ARG_MIN",
    "FAKE_QUANT",
    "REDUCE_PROD",
    "REDUCE_MAX",
    "PACK",
    "LOGICAL_OR",
    "ONE_HOT",
    "LOGICAL_AND",
    "LOGICAL_NOT",
    "UNPACK",
    "REDUCE_MIN",
    "FLOOR_DIV",
    "REDUCE_ANY",
    "SQUARE",
    "ZEROS_LIKE",
    "FILL",
    "FLOOR_MOD",
    "RANGE",
    "RESIZE_NEAREST_NEIGHBOR",
    "LEAKY_RELU",
    "SQUARED_DIFFERENCE",
    "MIRROR_PAD",
    "ABS",
    "SPLIT_V",
    "UNIQUE",
    "CEIL",
    "REVERSE_V2",
    "ADD_N",
    "GATHER_ND",
    "COS",
    "WHERE",
    "RANK",
    "ELU",
    "REVERSE_SEQUENCE",
    "MATRIX_DIAG",
    "QUANTIZE",
    "MATRIX_SET_DIAG",
    "ROUND",
    "HARD_SWISH",
    "IF",
    "WHILE",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "SCATTER_ND",
    "SELECT_V2",
    "DENSIFY",
    "SEGMENT_SUM",
    "BATCH_MATMUL",
    "PLACEHOLDER_FOR_GREATER_OP_CODES",
    "CUMSUM",
    "CALL_ONCE",
    "BROADCAST_TO",
    "RFFT2D",
    "CONV_3D",
    "IMAG",
    "REAL",
    "COMPLEX_ABS",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE",
    "REDUCE_ALL",
    "CONV_3D_TRANSPOSE",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE",
    "RANDOM_UNIFORM",
    "MULTINOMIAL",
    "GELU",
    "DYNAMIC_UPDATE_SLICE",
    "RELU_0_TO_1",
    "UNSORTED_SEGMENT_PROD",
    "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_SUM",
    "ATAN2",
    "UNSORTED_SEGMENT_MIN",
    "SIGN",
    "BITCAST",
    "BITWISE_XOR",
    "RIGHT_SHIFT",
    "STABLEHLO_LOGISTIC",
    "STABLEHLO_ADD",
    "STABLEHLO_DIVIDE",
    "STABLEHLO_MULTIPLY",
    "STABLEHLO_MAXIMUM",
    "STABLEHLO_RESHAPE",
    "STABLEHLO_CLAMP",
    "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_SLICE",
    "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE",
    "STABLEHLO_ABS",
    "STABLEHLO_AND",
    "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR",
    "STABLEHLO_LOG",
    "STABLEHLO_MINIMUM",
    "STABLEHLO_NEGATE",
    "STABLEHLO_OR",
    "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER",
    "STABLEHLO_RSQRT",
    "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT",
    "STABLEHLO_TANH",
    "STABLEHLO_SCATTER",
    "STABLEHLO_COMPARE",
    "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE",
    "STABLEHLO_DYNAMIC_UPDATE_SLICE",
    "STABLEHLO_PAD",
    "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_REDUCE_WINDOW",
    "STABLEHLO_SORT",
    "STABLEHLO_WHILE",
    "STABLEHLO_GATHER",
    "STABLEHLO_TRANSPOSE",
    "DILATE",
    "STABLEHLO_RNG_BIT_GENERATOR",
    "REDUCE_WINDOW",
    "STABLEHLO_COMPOSITE",
    "STABLEHLO_SHIFT_LEFT",
    "STABLEHLO_CBRT",
    "STABLEHLO_CASE",
];

/// The name of a builtin operator, as in messages; `None` for a code newer than this table.
pub(crate) fn name(code: i32) -> Option<&'static str> {
    usize::try_from(code).ok().and_then(|code| NAMES.get(code).copied())
}

/// Whether an operator runs another subgraph.
pub(crate) fn is_control_flow(code: i32) -> bool {
    matches!(code, CALL | IF | WHILE | CALL_ONCE | STABLEHLO_WHILE | STABLEHLO_CASE)
}

/// The code of a builtin operator's name.
pub(crate) fn code(name: &str) -> Option<i32> {
    let at = NAMES.iter().position(|&known| known == name)?;
    i32::try_from(at).ok()
}

/// What the old field of an operator code holds where the code does not fit it.
pub(crate) const BEYOND_OLD_FIELD: i8 = 127;

pub(crate) const ADD: i32 = 0;
pub(crate) const AVERAGE_POOL_2D: i32 = 1;
pub(crate) const CONCATENATION: i32 = 2;
pub(crate) const CONV_2D: i32 = 3;
pub(crate) const DEPTHWISE_CONV_2D: i32 = 4;
pub(crate) const DEPTH_TO_SPACE: i32 = 5;
pub(crate) const DEQUANTIZE: i32 = 6;
pub(crate) const FLOOR: i32 = 8;
pub(crate) const FULLY_CONNECTED: i32 = 9;
pub(crate) const L2_NORMALIZATION: i32 = 11;
pub(crate) const L2_POOL_2D: i32 = 12;
pub(crate) const LOCAL_RESPONSE_NORMALIZATION: i32 = 13;
pub(crate) const LOGISTIC: i32 = 14;
pub(crate) const MAX_POOL_2D: i32 = 17;
pub(crate) const MUL: i32 = 18;
pub(crate) const RELU: i32 = 19;
pub(crate) const RELU_N1_TO_1: i32 = 20;
pub(crate) const RELU6: i32 = 21;
pub(crate) const RESHAPE: i32 = 22;
pub(crate) const RESIZE_BILINEAR: i32 = 23;
pub(crate) const SOFTMAX: i32 = 25;
pub(crate) const SPACE_TO_DEPTH: i32 = 26;
pub(crate) const TANH: i32 = 28;
pub(crate) const CALL: i32 = 31;
pub(crate) const CUSTOM: i32 = 32;
pub(crate) const PAD: i32 = 34;
pub(crate) const GATHER: i32 = 36;
pub(crate) const BATCH_TO_SPACE_ND: i32 = 37;
pub(crate) const SPACE_TO_BATCH_ND: i32 = 38;
pub(crate) const TRANSPOSE: i32 = 39;
pub(crate) const MEAN: i32 = 40;
pub(crate) const SUB: i32 = 41;
pub(crate) const DIV: i32 = 42;
pub(crate) const SQUEEZE: i32 = 43;
pub(crate) const STRIDED_SLICE: i32 = 45;
pub(crate) const EXP: i32 = 47;
pub(crate) const TOPK_V2: i32 = 48;
pub(crate) const SPLIT: i32 = 49;
pub(crate) const LOG_SOFTMAX: i32 = 50;
pub(crate) const CAST: i32 = 53;
pub(crate) const PRELU: i32 = 54;
pub(crate) const MAXIMUM: i32 = 55;
pub(crate) const ARG_MAX: i32 = 56;
pub(crate) const MINIMUM: i32 = 57;
pub(crate) const LESS: i32 = 58;
pub(crate) const NEG: i32 = 59;
pub(crate) const PADV2: i32 = 60;
pub(crate) const GREATER: i32 = 61;
pub(crate) const GREATER_EQUAL: i32 = 62;
pub(crate) const LESS_EQUAL: i32 = 63;
pub(crate) const SELECT: i32 = 64;
pub(crate) const SLICE: i32 = 65;
pub(crate) const SIN: i32 = 66;
pub(crate) const TRANSPOSE_CONV: i32 = 67;
pub(crate) const TILE: i32 = 69;
pub(crate) const EXPAND_DIMS: i32 = 70;
pub(crate) const EQUAL: i32 = 71;
pub(crate) const NOT_EQUAL: i32 = 72;
pub(crate) const LOG: i32 = 73;
pub(crate) const SUM: i32 = 74;
pub(crate) const SQRT: i32 = 75;
pub(crate) const RSQRT: i32 = 76;
pub(crate) const SHAPE: i32 = 77;
pub(crate) const POW: i32 = 78;
pub(crate) const ARG_MIN: i32 = 79;
pub(crate) const REDUCE_PROD: i32 = 81;
pub(crate) const REDUCE_MAX: i32 = 82;
pub(crate) const PACK: i32 = 83;
pub(crate) const LOGICAL_OR: i32 = 84;
pub(crate) const ONE_HOT: i32 = 85;
pub(crate) const LOGICAL_AND: i32 = 86;
pub(crate) const LOGICAL_NOT: i32 = 87;
pub(crate) const UNPACK: i32 = 88;
pub(crate) const REDUCE_MIN: i32 = 89;
pub(crate) const FLOOR_DIV: i32 = 90;
pub(crate) const REDUCE_ANY: i32 = 91;
pub(crate) const SQUARE: i32 = 92;
pub(crate) const ZEROS_LIKE: i32 = 93;
pub(crate) const FILL: i32 = 94;
pub(crate) const FLOOR_MOD: i32 = 95;
pub(crate) const RANGE: i32 = 96;
pub(crate) const RESIZE_NEAREST_NEIGHBOR: i32 = 97;
pub(crate) const LEAKY_RELU: i32 = 98;
pub(crate) const SQUARED_DIFFERENCE: i32 = 99;
pub(crate) const MIRROR_PAD: i32 = 100;
pub(crate) const ABS: i32 = 101;
pub(crate) const SPLIT_V: i32 = 102;
pub(crate) const CEIL: i32 = 104;
pub(crate) const REVERSE_V2: i32 = 105;
pub(crate) const GATHER_ND: i32 = 107;
pub(crate) const COS: i32 = 108;
pub(crate) const RANK: i32 = 110;
pub(crate) const ELU: i32 = 111;
pub(crate) const QUANTIZE: i32 = 114;
pub(crate) const ROUND: i32 = 116;
pub(crate) const HARD_SWISH: i32 = 117;
pub(crate) const IF: i32 = 118;
pub(crate) const WHILE: i32 = 119;
pub(crate) const SELECT_V2: i32 = 123;
pub(crate) const DENSIFY: i32 = 124;
pub(crate) const BATCH_MATMUL: i32 = 126;
pub(crate) const CUMSUM: i32 = 128;
pub(crate) const CALL_ONCE: i32 = 129;
pub(crate) const BROADCAST_TO: i32 = 130;
pub(crate) const REDUCE_ALL: i32 = 140;
pub(crate) const GELU: i32 = 150;
pub(crate) const RELU_0_TO_1: i32 = 152;
pub(crate) const ATAN2: i32 = 156;
pub(crate) const SIGN: i32 = 158;
pub(crate) const STABLEHLO_WHILE: i32 = 200;
pub(crate) const STABLEHLO_CASE: i32 = 209;
