//! The part of the TensorFlow Lite schema (version 3, revision 3c) that is read: the numbers of
//! fields, types and unions. A field's number is its place in the schema's table.

/// The file identifier, at byte 4.
pub(crate) const IDENTIFIER: &[u8; 4] = b"TFL3";
/// The only schema version in use since 2017.
pub(crate) const VERSION: u32 = 3;
/// The name of the metadata entry that holds TFLite Model Metadata.
pub(crate) const METADATA_NAME: &str = "TFLITE_METADATA";
/// The name of the metadata entry that holds a [`crate::SourceOrder`].
pub(crate) const SOURCE_ORDER_NAME: &str = "ACHADO_SOURCE_ORDER";

pub(crate) mod model {
    pub const VERSION: u16 = 0;
    pub const OPERATOR_CODES: u16 = 1;
    pub const SUBGRAPHS: u16 = 2;
    pub const DESCRIPTION: u16 = 3;
    pub const BUFFERS: u16 = 4;
    pub const METADATA: u16 = 6;
    pub const SIGNATURE_DEFS: u16 = 7;
}

pub(crate) mod operator_code {
    pub const DEPRECATED_BUILTIN_CODE: u16 = 0;
    pub const CUSTOM_CODE: u16 = 1;
    pub const VERSION: u16 = 2;
    pub const BUILTIN_CODE: u16 = 3;
}

pub(crate) mod subgraph {
    pub const TENSORS: u16 = 0;
    pub const INPUTS: u16 = 1;
    pub const OUTPUTS: u16 = 2;
    pub const OPERATORS: u16 = 3;
    pub const NAME: u16 = 4;
}

pub(crate) mod tensor {
    pub const SHAPE: u16 = 0;
    pub const TYPE: u16 = 1;
    pub const BUFFER: u16 = 2;
    pub const NAME: u16 = 3;
    pub const QUANTIZATION: u16 = 4;
    pub const IS_VARIABLE: u16 = 5;
    pub const SPARSITY: u16 = 6;
    pub const SHAPE_SIGNATURE: u16 = 7;
    pub const EXTERNAL_BUFFER: u16 = 10;
}

/// `SparsityParameters`.
pub(crate) mod sparsity {
    pub const TRAVERSAL_ORDER: u16 = 0;
    pub const BLOCK_MAP: u16 = 1;
    pub const DIM_METADATA: u16 = 2;
}

/// `DimensionMetadata`.
pub(crate) mod dimension {
    pub const FORMAT: u16 = 0;
    pub const DENSE_SIZE: u16 = 1;
    pub const ARRAY_SEGMENTS_TYPE: u16 = 2;
    pub const ARRAY_SEGMENTS: u16 = 3;
    pub const ARRAY_INDICES_TYPE: u16 = 4;
    pub const ARRAY_INDICES: u16 = 5;
}

pub(crate) mod quantization {
    pub const SCALE: u16 = 2;
    pub const ZERO_POINT: u16 = 3;
    pub const DETAILS_TYPE: u16 = 4;
    pub const QUANTIZED_DIMENSION: u16 = 6;
}

pub(crate) mod operator {
    pub const OPCODE_INDEX: u16 = 0;
    pub const INPUTS: u16 = 1;
    pub const OUTPUTS: u16 = 2;
    pub const BUILTIN_OPTIONS_TYPE: u16 = 3;
    pub const BUILTIN_OPTIONS: u16 = 4;
    pub const CUSTOM_OPTIONS: u16 = 5;
    pub const LARGE_CUSTOM_OPTIONS_OFFSET: u16 = 9;
    pub const LARGE_CUSTOM_OPTIONS_SIZE: u16 = 10;
}

pub(crate) mod buffer {
    pub const DATA: u16 = 0;
    pub const OFFSET: u16 = 1;
    pub const SIZE: u16 = 2;
}

pub(crate) mod metadata {
    pub const NAME: u16 = 0;
    pub const BUFFER: u16 = 1;
}

pub(crate) mod signature_def {
    pub const INPUTS: u16 = 0;
    pub const OUTPUTS: u16 = 1;
    pub const SIGNATURE_KEY: u16 = 2;
    pub const SUBGRAPH_INDEX: u16 = 4;
}

pub(crate) mod tensor_map {
    pub const NAME: u16 = 0;
    pub const TENSOR_INDEX: u16 = 1;
}

/// The union `BuiltinOptions`.
pub(crate) mod options {
    pub const NONE: u8 = 0;
    pub const CONV_2D: u8 = 1;
    pub const DEPTHWISE_CONV_2D: u8 = 2;
    pub const POOL_2D: u8 = 5;
    pub const FULLY_CONNECTED: u8 = 8;
    pub const SOFTMAX: u8 = 9;
    pub const CONCATENATION: u8 = 10;
    pub const ADD: u8 = 11;
    pub const L2_NORM: u8 = 12;
    pub const LOCAL_RESPONSE_NORMALIZATION: u8 = 13;
    pub const RESIZE_BILINEAR: u8 = 15;
    pub const RESHAPE: u8 = 17;
    pub const SPACE_TO_DEPTH: u8 = 19;
    pub const MUL: u8 = 21;
    pub const GATHER: u8 = 23;
    pub const REDUCER: u8 = 27;
    pub const SUB: u8 = 28;
    pub const DIV: u8 = 29;
    pub const SQUEEZE: u8 = 30;
    pub const STRIDED_SLICE: u8 = 32;
    pub const SPLIT: u8 = 35;
    pub const CAST: u8 = 37;
    pub const ARG_MAX: u8 = 40;
    pub const TRANSPOSE_CONV: u8 = 49;
    pub const SHAPE: u8 = 55;
    pub const ARG_MIN: u8 = 57;
    pub const PACK: u8 = 59;
    pub const ONE_HOT: u8 = 61;
    pub const UNPACK: u8 = 64;
    pub const RESIZE_NEAREST_NEIGHBOR: u8 = 74;
    pub const LEAKY_RELU: u8 = 75;
    pub const MIRROR_PAD: u8 = 77;
    pub const SPLIT_V: u8 = 79;
    pub const DEPTH_TO_SPACE: u8 = 94;
    pub const BATCH_MATMUL: u8 = 101;
    pub const CUMSUM: u8 = 102;
    pub const GELU: u8 = 116;
}

/// The enum `TensorType` in its order; those that achado lacks by name only.
pub(crate) const TENSOR_TYPES: [&str; 23] = [
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8_e4m3fn",
    "float8_e5m2",
];
