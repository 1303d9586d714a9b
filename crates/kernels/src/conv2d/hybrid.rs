//! CONV_2D of float32 by int8 weights: the activations are quantised while the model runs, on grids
//! that [`requant::dynamic`](crate::requant::dynamic) describes.
//!
//! It is the quantised convolution up to its sums: one code packs the rows of both. The weights take
//! two bytes each, half of what they take as floats.

use core::ops::Range;

use super::quantized::Conv2dQuantized;
use crate::gemm::quantized::PackedWeights;
use crate::gemm::sums::RowFinish;
use crate::reference::QuantizedWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::requant::Requantize;
use crate::simd::Simd;

/// A packed CONV_2D of float32 by int8 weights without zero point.
#[derive(Clone)]
pub struct Conv2dHybrid {
    sums: Conv2dQuantized,
    scale: Vec<f32>,
    bias: Vec<f32>,
    activation: [f32; 2],
    /// Whether each pixel has a grid of its own, not each picture.
    by_pixel: bool,
}

/// The grids of an input: one for each picture, or for each pixel.
#[derive(Clone, Copy, Debug)]
pub struct Grids<'a> {
    /// The elements, plus 128, that stand for 0.
    pub zero_points: &'a [u8],
    /// Distances of neighbouring elements.
    pub steps: &'a [f32],
}

impl Conv2dHybrid {
    /// The most products whose sum has 32 bits.
    pub const MOST_PRODUCTS: usize = i32::MAX as usize / (255 * 128);

    /// Packs weights `[out_c, kernel_h, kernel_w, in_c / groups]`. `scale` and `bias` have one element
    /// for each output channel. Pixels have grids of their own only where output pixels are input
    /// pixels.
    ///
    /// # Panics
    /// For windows of more than [`Self::MOST_PRODUCTS`].
    pub fn new(
        shape: Conv2dShape,
        values: &[i8],
        (scale, bias): (Vec<f32>, Vec<f32>),
        activation: [f32; 2],
        by_pixel: bool,
    ) -> Self {
        let Conv2dShape { window, in_c, out_c, groups } = shape;
        assert_eq!([scale.len(), bias.len()], [out_c; 2]);
        assert!(window.kernel_h * window.kernel_w * in_c / groups <= Self::MOST_PRODUCTS);
        assert!(!by_pixel || window.out_pixels() == window.batch * window.in_h * window.in_w);
        // Nothing is requantised. Rows with zero point 1: see `RowFinish`. By words: the sums are
        // those of a product whose biases are not known yet.
        let (min, max) = (u8::MIN.into(), u8::MAX.into());
        let requant = Requantize { scale: &[1.0], fixed: None, zero_point: 0, min, max };
        let weights = QuantizedWeights { values, zero_point: 0, bias: None };
        let sums = Conv2dQuantized::new::<u8, i8>(shape, 1, &weights, &requant, None);
        Self { sums, scale, bias, activation, by_pixel }
    }

    /// The geometry.
    pub fn shape(&self) -> &Conv2dShape {
        self.sums.shape()
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.sums.size_bytes() + size_of_val(&self.bias[..]) + size_of_val(&self.scale[..])
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
        grids: &Grids,
        pixels: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Conv2dShape { window, out_c, .. } = *self.shape();
        assert_eq!(out.len(), pixels.len() * out_c);
        // A picture at a time: of each the padding is another.
        let step = if self.by_pixel { pixels.len() } else { window.out_h * window.out_w };
        let (mut first, mut out) = (pixels.start, out);
        while first < pixels.end {
            let end = if self.by_pixel { pixels.end } else { (first / step + 1) * step };
            let part = first..end.min(pixels.end);
            let grids_of =
                if self.by_pixel { part.clone() } else { first / step..first / step + 1 };
            let grids = Grids {
                zero_points: &grids.zero_points[grids_of.clone()],
                steps: &grids.steps[grids_of],
            };
            let (now, later) = out.split_at_mut(part.len() * out_c);
            first = part.end;
            self.part::<S>(input, &grids, part, now, scratch);
            out = later;
        }
    }

    /// Pixels of which each has a grid, or all have one.
    fn part<S: Simd>(
        &self,
        input: &[u8],
        grids: &Grids,
        pixels: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Conv2dShape { out_c, groups, .. } = *self.shape();
        let padding = grids.zero_points[0];
        self.sums.blocks::<S, u8>(input, padding, pixels, scratch, &mut |block| {
            // Always, since it was packed so.
            let PackedWeights::Words(words) = block.weights else { return };
            let columns = block.column..block.column + out_c / groups;
            let rows = if self.by_pixel { block.row..block.row + block.rows } else { 0..1 };
            let finish = RowFinish {
                zero_points: &grids.zero_points[rows.clone()],
                steps: &grids.steps[rows],
                scale: &self.scale[columns.clone()],
                bias: &self.bias[columns],
                activation: self.activation,
            };
            let out = &mut out[block.row * out_c + block.column..];
            words.multiply_rows::<S>(block.packed, block.rows, &finish, out, out_c);
        });
    }
}
