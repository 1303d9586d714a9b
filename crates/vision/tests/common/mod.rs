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
    let found = shared_quiet(path);
    if found.is_none() {
        println!("skipped: no shared {path}");
    }
    found
}

/// The same, for one of several names.
pub fn shared_quiet(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ACHADO_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    Some(root.join(path)).filter(|path| path.exists())
}

/// A linear congruential generator, seeded by its value.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// 0..=255.
    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    /// 0..`n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
