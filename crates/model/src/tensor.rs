//! Tensors: name, type, shape, quantisation and, for constants, their bytes.

use crate::{Bytes, DataType, Quantization};

/// The place of a tensor in [`crate::Model::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// A tensor of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name in the file; may be empty or repeated.
    pub name: String,
    /// The element type.
    pub dtype: DataType,
    /// The dimensions, outermost first; empty for a scalar. Pictures are `[n, h, w, c]`.
    pub shape: Vec<usize>,
    /// The dimensions that a caller may choose: `true` where the file says -1. Empty if none.
    pub dynamic: Vec<bool>,
    /// Affine quantisation, where there is one.
    pub quantization: Option<Quantization>,
    /// The elements of a constant, little-endian, exactly as many as `shape` says.
    pub data: Option<Bytes>,
}

impl Tensor {
    /// The number of elements. Validation has checked that it fits `usize`.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The size of the elements in bytes. Validation has checked that it fits `usize`.
    pub fn size_bytes(&self) -> usize {
        self.elements() * self.dtype.size_bytes()
    }

    /// Whether the file gives the elements.
    pub fn is_constant(&self) -> bool {
        self.data.is_some()
    }

    /// The elements of an int32 or int64 constant as `i64`, or `None` for anything else.
    pub fn constant_integers(&self) -> Option<Vec<i64>> {
        let data = self.data.as_ref()?;
        match self.dtype {
            DataType::Int32 => {
                Some(data.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect())
            }
            DataType::Int64 => {
                Some(data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
            }
            _ => None,
        }
    }

    /// The elements of a float32 constant, or `None` for anything else.
    pub fn constant_floats(&self) -> Option<Vec<f32>> {
        let data = self.data.as_ref()?;
        (self.dtype == DataType::Float32)
            .then(|| data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}
