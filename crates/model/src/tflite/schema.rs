//! The part of the TensorFlow Lite schema (version 3, revision 3c) that is read: the numbers of
//! fields, types and unions. A field's number is its place in the schema's table.

/// The file identifier, at byte 4.
pub(crate) const IDENTIFIER: &[u8; 4] = b"TFL3";
/// The only schema version in use since 2017.
pub(crate) const VERSION: u32 = 3;
/// The name of the metadata entry that holds TFLite Model Metadata.
pub(crate) const METADATA_NAME: &str = "TFLITE_METADATA";

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
    pub const RESHAPE: u8 = 17;
    pub const MUL: u8 = 21;
    pub const REDUCER: u8 = 27;
    pub const SQUEEZE: u8 = 30;
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
