//! Element types of tensors.

use std::fmt;

/// The element type of a tensor, by TensorFlow Lite's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary16; constants only, widened when the model is compiled.
    Float16,
    /// Signed 8-bit, quantised.
    Int8,
    /// Unsigned 8-bit, quantised.
    UInt8,
    /// Signed 16-bit, quantised.
    Int16,
    /// Signed 32-bit: shapes, axes, quantised biases.
    Int32,
    /// Signed 64-bit: indices, biases of int16 models.
    Int64,
    /// One byte, 0 or 1.
    Bool,
}

impl DataType {
    /// The size of one element in bytes.
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 | Self::Bool => 1,
            Self::Float16 | Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    /// The number in the enum `TensorType` of the `.tflite` schema.
    pub const fn tensor_type(self) -> u8 {
        match self {
            Self::Float32 => 0,
            Self::Float16 => 1,
            Self::Int32 => 2,
            Self::UInt8 => 3,
            Self::Int64 => 4,
            Self::Bool => 6,
            Self::Int16 => 7,
            Self::Int8 => 9,
        }
    }

    /// The name in lower case, as in messages and in JavaScript: `float32`, `int8`, ...
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
