//! Affine quantisation: `real = scale * (quantised - zero_point)`.

/// Affine quantisation per tensor (one scale) or per channel (one scale for each index of `axis`).
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// One scale, or one for each channel; finite and above zero.
    pub scale: Vec<f32>,
    /// As many as `scale`.
    pub zero_point: Vec<i32>,
    /// The dimension that the channels run along; 0 where there is one scale.
    pub axis: usize,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scale: vec![scale], zero_point: vec![zero_point], axis: 0 }
    }

    /// The scale and zero point of the whole tensor, or `None` where they differ by channel.
    pub fn as_per_tensor(&self) -> Option<(f32, i32)> {
        match (&self.scale[..], &self.zero_point[..]) {
            (&[scale], &[zero_point]) => Some((scale, zero_point)),
            _ => None,
        }
    }
}
