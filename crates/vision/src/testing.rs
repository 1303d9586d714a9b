//! What several test modules need.

use achado_model::{DataType, Quantization, Tensor};

/// A tensor without data, called `x`.
pub(crate) fn tensor(dtype: DataType, shape: &[usize], quantization: Option<(f32, i32)>) -> Tensor {
    Tensor {
        name: "x".into(),
        dtype,
        shape: shape.to_vec(),
        dynamic: Vec::new(),
        quantization: quantization
            .map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point)),
        data: None,
    }
}
