//! CONV_2D of uint8 whose scale and zero point are computed while the model runs, into float32.
//!
//! It is the quantised convolution up to its sums: one code packs the rows of both.

use core::ops::Range;

use super::quantized::Conv2dQuantized;
use crate::gemm::quantized::PackedWeights;
use crate::gemm::sums::Finish;
use crate::reference::QuantizedWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::requant::Requantize;
use crate::simd::Simd;

/// A packed CONV_2D of dynamically quantised uint8.
#[derive(Clone)]
pub struct Conv2dDynamic {
    sums: Conv2dQuantized,
    bias: Vec<f32>,
    activation: [f32; 2],
}

/// What is known of the input when the model runs.
#[derive(Clone, Copy, Debug)]
pub struct Dynamic<'a> {
    /// The zero point, 0 to 255.
    pub zero_point: u8,
    /// The scale of the sums: one for each output channel, or one for all.
    pub factors: &'a [f32],
}

impl Conv2dDynamic {
    /// Packs weights `[out_c, kernel_h, kernel_w, in_c / groups]`, which have no bias. `bias` has
    /// one element for each output channel and is added to `factor * sum`.
    pub fn new(
        shape: Conv2dShape,
        weights: &QuantizedWeights<u8>,
        bias: Vec<f32>,
        activation: [f32; 2],
    ) -> Self {
        assert_eq!(bias.len(), shape.out_c);
        // Nothing is requantised. Rows with zero point 1: see `Finish`. By words: the sums are
        // those of a product whose biases are not known yet.
        let (min, max) = (u8::MIN.into(), u8::MAX.into());
        let requant = Requantize { scale: &[1.0], fixed: None, zero_point: 0, min, max };
        let weights = QuantizedWeights { bias: None, ..*weights };
        let sums = Conv2dQuantized::new::<u8, u8>(shape, 1, &weights, &requant, None);
        Self { sums, bias, activation }
    }

    /// The geometry.
    pub fn shape(&self) -> &Conv2dShape {
        self.sums.shape()
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        self.sums.kernel()
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.sums.size_bytes() + size_of_val(&self.bias[..])
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        self.sums.scratch_bytes()
    }

    /// Computes the output pixels `pixels` of `[n * out_h * out_w]` into `out`, which holds just
    /// these. `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[u8],
        dynamic: &Dynamic,
        pixels: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Conv2dShape { out_c, groups, .. } = *self.shape();
        assert_eq!(out.len(), pixels.len() * out_c);
        let &Dynamic { zero_point, factors } = dynamic;
        self.sums.blocks::<S, u8>(input, zero_point, pixels, scratch, &mut |block| {
            // Always, since it was packed so.
            let PackedWeights::Words(words) = block.weights else { return };
            let columns = block.column..block.column + out_c / groups;
            let finish = Finish {
                zero_point: zero_point.into(),
                factors: if factors.len() == 1 { factors } else { &factors[columns.clone()] },
                bias: &self.bias[columns],
                activation: self.activation,
            };
            let out = &mut out[block.row * out_c + block.column..];
            words.multiply_f32::<S>(block.packed, block.rows, &finish, out, out_c);
        });
    }
}
