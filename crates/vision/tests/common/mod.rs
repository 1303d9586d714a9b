//! What several test files need.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::PathBuf;

use achado_model::{DataType, Quantization, Tensor};

/// A tensor without data.
pub fn tensor(dtype: DataType, shape: &[usize], quantization: Option<(f32, i32)>) -> Tensor {
    Tensor {
        name: "input".into(),
        dtype,
        shape: shape.to_vec(),
        dynamic: Vec::new(),
        quantization: quantization
            .map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point)),
        data: None,
    }
}

/// A path in the shared test data, which may be absent: `ACHADO_SHARED`, or `../shared` beside the
/// repository.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ACHADO_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = root.join(path);
    let found = path.exists();
    if !found {
        println!("skipped: no {}", path.display());
    }
    found.then_some(path)
}
