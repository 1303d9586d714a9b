//! The naive truth of every operator: loops as the definition has them, no care for speed.

pub mod conv2d;
pub mod depthwise_conv2d;
pub mod fully_connected;

/// Weights of a quantised convolution or matrix product, with the bias.
#[derive(Clone, Copy, Debug)]
pub struct QuantizedWeights<'a, W> {
    /// Elements; the order is the operator's.
    pub values: &'a [W],
    /// Zero point: 0 for int8 weights quantised per channel.
    pub zero_point: i32,
    /// One for each output channel, in the scale `input scale * weight scale`.
    pub bias: Option<&'a [i32]>,
}

/// Weights of a float convolution or matrix product, with the bias and the fused activation.
#[derive(Clone, Copy, Debug)]
pub struct FloatWeights<'a> {
    /// Elements; the order is the operator's.
    pub values: &'a [f32],
    /// One for each output channel.
    pub bias: Option<&'a [f32]>,
    /// Least and greatest output: infinities where no activation is fused.
    pub activation: [f32; 2],
}

impl FloatWeights<'_> {
    /// Adds the channel's bias to a sum of products and clamps. Sums are taken in f64, so that
    /// the truth depends on no order of summation.
    fn finish(&self, sum: f64, channel: usize) -> f32 {
        let biased = sum + self.bias.map_or(0.0, |bias| f64::from(bias[channel]));
        (biased as f32).clamp(self.activation[0], self.activation[1])
    }
}
