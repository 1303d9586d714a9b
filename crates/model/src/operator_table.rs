//! The operators, one a row: all that is plain data about them is derived from here.

use std::ops::RangeInclusive;

use crate::Operator;

/// Hands the rows to a macro. A row is the variant of [`Operator`](crate::Operator), TensorFlow Lite's
/// name, the code of `BuiltinOperator`, the highest version whose every attribute is understood, how
/// many operands and how many results there are, and what reads the attributes; `plain` has none.
/// Higher versions of an operator mostly mean further element types, which are checked by themselves.
macro_rules! for_each_operator {
    ($use:ident) => {
        $use! {
            // variant                 name                           code highest inputs results read by
            Add                        "ADD"                          0      6  2..=2    1    add;
            AveragePool2d              "AVERAGE_POOL_2D"              1      3  1..=1    1    average_pool_2d;
            Concatenation              "CONCATENATION"                2      7  1..=MANY 1    concatenation;
            Conv2d                     "CONV_2D"                      3      8  2..=3    1    conv_2d;
            DepthwiseConv2d            "DEPTHWISE_CONV_2D"            4      7  2..=3    1    depthwise_conv_2d;
            DepthToSpace               "DEPTH_TO_SPACE"               5      2  1..=1    1    depth_to_space;
            Dequantize                 "DEQUANTIZE"                   6      9  1..=1    1    plain;
            Floor                      "FLOOR"                        8      1  1..=1    1    plain;
            FullyConnected             "FULLY_CONNECTED"              9      13 2..=3    1    fully_connected;
            L2Normalization            "L2_NORMALIZATION"             11     2  1..=1    1    l2_normalization;
            L2Pool2d                   "L2_POOL_2D"                   12     1  1..=1    1    l2_pool_2d;
            LocalResponseNormalization "LOCAL_RESPONSE_NORMALIZATION" 13     1  1..=1    1    local_response_normalization;
            Logistic                   "LOGISTIC"                     14     3  1..=1    1    plain;
            MaxPool2d                  "MAX_POOL_2D"                  17     3  1..=1    1    max_pool_2d;
            Mul                        "MUL"                          18     8  2..=2    1    mul;
            Relu                       "RELU"                         19     3  1..=1    1    plain;
            ReluN1To1                  "RELU_N1_TO_1"                 20     1  1..=1    1    plain;
            Relu6                      "RELU6"                        21     3  1..=1    1    plain;
            Reshape                    "RESHAPE"                      22     1  1..=2    1    reshape;
            ResizeBilinear             "RESIZE_BILINEAR"              23     4  2..=2    1    resize_bilinear;
            Softmax                    "SOFTMAX"                      25     4  1..=1    1    softmax;
            SpaceToDepth               "SPACE_TO_DEPTH"               26     2  1..=1    1    space_to_depth;
            Tanh                       "TANH"                         28     3  1..=1    1    plain;
            Pad                        "PAD"                          34     6  2..=2    1    plain;
            Gather                     "GATHER"                       36     8  2..=2    1    gather;
            BatchToSpaceNd             "BATCH_TO_SPACE_ND"            37     4  3..=3    1    plain;
            SpaceToBatchNd             "SPACE_TO_BATCH_ND"            38     4  3..=3    1    plain;
            Transpose                  "TRANSPOSE"                    39     9  2..=2    1    plain;
            Mean                       "MEAN"                         40     3  2..=2    1    mean;
            Sub                        "SUB"                          41     5  2..=2    1    sub;
            Div                        "DIV"                          42     2  2..=2    1    div;
            Squeeze                    "SQUEEZE"                      43     2  1..=1    1    squeeze;
            StridedSlice               "STRIDED_SLICE"                45     8  4..=4    1    strided_slice;
            Exp                        "EXP"                          47     2  1..=1    1    plain;
            TopkV2                     "TOPK_V2"                      48     3  2..=2    2    plain;
            Split                      "SPLIT"                        49     5  2..=2    MANY split;
            LogSoftmax                 "LOG_SOFTMAX"                  50     2  1..=1    1    plain;
            Cast                       "CAST"                         53     9  1..=1    1    plain;
            Prelu                      "PRELU"                        54     1  2..=2    1    plain;
            Maximum                    "MAXIMUM"                      55     4  2..=2    1    plain;
            ArgMax                     "ARG_MAX"                      56     3  2..=2    1    plain;
            Minimum                    "MINIMUM"                      57     4  2..=2    1    plain;
            Less                       "LESS"                         58     3  2..=2    1    plain;
            Neg                        "NEG"                          59     1  1..=1    1    plain;
            PadV2                      "PADV2"                        60     6  3..=3    1    plain;
            Greater                    "GREATER"                      61     2  2..=2    1    plain;
            GreaterEqual               "GREATER_EQUAL"                62     3  2..=2    1    plain;
            LessEqual                  "LESS_EQUAL"                   63     2  2..=2    1    plain;
            Select                     "SELECT"                       64     4  3..=3    1    plain;
            Slice                      "SLICE"                        65     8  3..=3    1    plain;
            Sin                        "SIN"                          66     2  1..=1    1    plain;
            TransposeConv              "TRANSPOSE_CONV"               67     5  3..=4    1    transpose_conv;
            Tile                       "TILE"                         69     3  2..=2    1    plain;
            ExpandDims                 "EXPAND_DIMS"                  70     1  2..=2    1    plain;
            Equal                      "EQUAL"                        71     5  2..=2    1    plain;
            NotEqual                   "NOT_EQUAL"                    72     4  2..=2    1    plain;
            Log                        "LOG"                          73     2  1..=1    1    plain;
            Sum                        "SUM"                          74     2  2..=2    1    sum;
            Sqrt                       "SQRT"                         75     2  1..=1    1    plain;
            Rsqrt                      "RSQRT"                        76     3  1..=1    1    plain;
            Shape                      "SHAPE"                        77     1  1..=1    1    plain;
            Pow                        "POW"                          78     1  2..=2    1    plain;
            ArgMin                     "ARG_MIN"                      79     3  2..=2    1    plain;
            ReduceProd                 "REDUCE_PROD"                  81     2  2..=2    1    reduce_prod;
            ReduceMax                  "REDUCE_MAX"                   82     3  2..=2    1    reduce_max;
            Pack                       "PACK"                         83     5  1..=MANY 1    pack;
            LogicalOr                  "LOGICAL_OR"                   84     1  2..=2    1    plain;
            OneHot                     "ONE_HOT"                      85     1  4..=4    1    one_hot;
            LogicalAnd                 "LOGICAL_AND"                  86     1  2..=2    1    plain;
            LogicalNot                 "LOGICAL_NOT"                  87     1  1..=1    1    plain;
            Unpack                     "UNPACK"                       88     6  1..=1    MANY unpack;
            ReduceMin                  "REDUCE_MIN"                   89     3  2..=2    1    reduce_min;
            FloorDiv                   "FLOOR_DIV"                    90     3  2..=2    1    plain;
            ReduceAny                  "REDUCE_ANY"                   91     1  2..=2    1    reduce_any;
            Square                     "SQUARE"                       92     1  1..=1    1    plain;
            ZerosLike                  "ZEROS_LIKE"                   93     1  1..=1    1    plain;
            Fill                       "FILL"                         94     5  2..=2    1    plain;
            FloorMod                   "FLOOR_MOD"                    95     2  2..=2    1    plain;
            Range                      "RANGE"                        96     2  3..=3    1    plain;
            ResizeNearestNeighbor      "RESIZE_NEAREST_NEIGHBOR"      97     4  2..=2    1    resize_nearest_neighbor;
            LeakyRelu                  "LEAKY_RELU"                   98     2  1..=1    1    leaky_relu;
            SquaredDifference          "SQUARED_DIFFERENCE"           99     2  2..=2    1    plain;
            MirrorPad                  "MIRROR_PAD"                   100    3  2..=2    1    mirror_pad;
            Abs                        "ABS"                          101    5  1..=1    1    plain;
            SplitV                     "SPLIT_V"                      102    3  3..=3    MANY split_v;
            Ceil                       "CEIL"                         104    1  1..=1    1    plain;
            ReverseV2                  "REVERSE_V2"                   105    4  2..=2    1    plain;
            GatherNd                   "GATHER_ND"                    107    6  2..=2    1    plain;
            Cos                        "COS"                          108    2  1..=1    1    plain;
            Rank                       "RANK"                         110    1  1..=1    1    plain;
            Elu                        "ELU"                          111    1  1..=1    1    plain;
            Quantize                   "QUANTIZE"                     114    6  1..=1    1    plain;
            Round                      "ROUND"                        116    1  1..=1    1    plain;
            HardSwish                  "HARD_SWISH"                   117    1  1..=1    1    plain;
            SelectV2                   "SELECT_V2"                    123    2  3..=3    1    plain;
            Densify                    "DENSIFY"                      124    1  1..=1    1    plain;
            BatchMatmul                "BATCH_MATMUL"                 126    4  2..=2    1    batch_matmul;
            Cumsum                     "CUMSUM"                       128    1  2..=2    1    cumsum;
            BroadcastTo                "BROADCAST_TO"                 130    4  2..=2    1    plain;
            ReduceAll                  "REDUCE_ALL"                   140    1  2..=2    1    reduce_all;
            Gelu                       "GELU"                         150    3  1..=1    1    gelu;
            Relu0To1                   "RELU_0_TO_1"                  152    1  1..=1    1    plain;
            Atan2                      "ATAN2"                        156    1  2..=2    1    plain;
            Sign                       "SIGN"                         158    2  1..=1    1    plain;
            Convolution2dTransposeBias "Convolution2DTransposeBias"   CUSTOM 1  3..=3    1    transpose_conv_bias;
            DetectionPostProcess       "TFLite_Detection_PostProcess" CUSTOM 1  3..=3    4    detection_post_process;
        }
    };
}
pub(crate) use for_each_operator;

/// The code that all custom operators share; their names tell them apart.
const CUSTOM: u8 = 32;
/// Any number.
const MANY: u8 = u8::MAX;

/// What a row says.
struct Row {
    name: &'static str,
    code: u8,
    version: u8,
    inputs: [u8; 2],
    outputs: u8,
}

macro_rules! define {
    ($($variant:ident $name:literal $code:tt $version:literal $least:tt..=$most:tt $outputs:tt $read:ident;)*) => {
        /// An operator without its attributes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum OperatorKind {
            $(#[doc = $name] $variant,)*
        }

        static ROWS: [Row; OperatorKind::ALL.len()] = [
            $(Row {
                name: $name,
                code: $code,
                version: $version,
                inputs: [$least, $most],
                outputs: $outputs,
            },)*
        ];

        impl OperatorKind {
            /// All, by their codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        impl Operator {
            /// Which operator it is.
            pub const fn kind(&self) -> OperatorKind {
                match self {
                    $(Self::$variant { .. } => OperatorKind::$variant,)*
                }
            }
        }
    };
}
for_each_operator!(define);

impl Operator {
    /// TensorFlow Lite's name, as in messages and profiles; for a custom operator the one in its file.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }
}

impl OperatorKind {
    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// TensorFlow Lite's name; for a custom operator the one in its file.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The code of `BuiltinOperator`; custom operators share one.
    pub(crate) fn code(self) -> i32 {
        self.row().code.into()
    }

    /// The highest version whose every attribute is understood.
    pub fn highest_version(self) -> i32 {
        self.row().version.into()
    }

    /// How many operands it may have.
    pub fn inputs(self) -> RangeInclusive<usize> {
        let [least, most] = self.row().inputs;
        usize::from(least)..=if most == MANY { usize::MAX } else { most.into() }
    }

    /// How many results it has; `None` where an attribute says so.
    pub fn outputs(self) -> Option<usize> {
        let outputs = self.row().outputs;
        (outputs != MANY).then_some(outputs.into())
    }

    /// The operator of a code, or of the name `custom` where the code is that of custom operators;
    /// `None` for one that is missing here.
    pub(crate) fn of(code: i32, custom: &str) -> Option<Self> {
        let is_custom = code == i32::from(CUSTOM);
        let is_row = |row: &Row| i32::from(row.code) == code && (!is_custom || row.name == custom);
        ROWS.iter().position(is_row).and_then(|at| Self::ALL.get(at).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tflite::builtin;

    #[test]
    fn rows_have_the_codes_of_their_names_and_are_found_by_them() {
        for &kind in OperatorKind::ALL {
            let (code, name) = (kind.code(), kind.name());
            let is_custom = code == i32::from(CUSTOM);
            assert_eq!(builtin::name(code), Some(if is_custom { "CUSTOM" } else { name }));
            assert_eq!(OperatorKind::of(code, name), Some(kind));
            assert!(kind.highest_version() >= 1 && kind.inputs().start() <= kind.inputs().end());
        }
        assert_eq!(OperatorKind::of(i32::from(CUSTOM), "MaxUnpooling2D"), None);
        assert_eq!(OperatorKind::of(7, "ADD"), None);
    }

    #[test]
    fn operators_know_their_rows() {
        let operator = Operator::Softmax { beta: 1.0 };
        assert_eq!((operator.kind(), operator.name()), (OperatorKind::Softmax, "SOFTMAX"));
        assert_eq!(Operator::Pad.kind().inputs(), 2..=2);
        assert_eq!(OperatorKind::Concatenation.inputs(), 1..=usize::MAX);
        assert_eq!(
            (OperatorKind::TopkV2.outputs(), OperatorKind::Split.outputs()),
            (Some(2), None)
        );
    }
}
