//! CONV_2D of float32 tensors.

use core::ops::Range;

use super::{block_rows, is_pointwise, window_origin};
use crate::gemm::float::PackedWeights;
use crate::reference::FloatWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::simd::Simd;

/// A packed CONV_2D of float32 tensors.
#[derive(Clone)]
pub struct Conv2dFloat {
    shape: Conv2dShape,
    pointwise: bool,
    groups: Vec<PackedWeights>,
    block_rows: usize,
}

impl Conv2dFloat {
    /// Packs weights `[out_c, kernel_h, kernel_w, in_c / groups]`.
    pub fn new(shape: Conv2dShape, weights: &FloatWeights) -> Self {
        let (window, group_in) = (&shape.window, shape.in_c / shape.groups);
        let k = window.kernel_h * window.kernel_w * group_in;
        let group_out = shape.out_c / shape.groups;
        let groups = (0..shape.groups)
            .map(|group| {
                let first = group * group_out;
                PackedWeights::new(
                    group_out,
                    k,
                    |column, at| weights.values[(first + column) * k + at],
                    weights.bias.map(|bias| &bias[first..first + group_out]),
                    (weights.activation[0], weights.activation[1]),
                )
            })
            .collect();
        let block_rows = block_rows(k * size_of::<f32>(), window.out_pixels());
        Self { shape, pointwise: is_pointwise(&shape), groups, block_rows }
    }

    /// The geometry.
    pub fn shape(&self) -> &Conv2dShape {
        &self.shape
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        if self.pointwise { "gemm f32" } else { "im2col + gemm f32" }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.groups.iter().map(PackedWeights::size_bytes).sum()
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        if self.pointwise { 0 } else { self.block_rows * self.groups[0].k() * size_of::<f32>() }
    }

    /// Computes the output pixels `pixels` of `[n * out_h * out_w]` into `out`, which holds just
    /// these. `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[f32],
        pixels: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let Conv2dShape { window, in_c, out_c, groups } = self.shape;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * in_c);
        assert_eq!(out.len(), pixels.len() * out_c);
        let im2col: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let (group_in, group_out) = (in_c / groups, out_c / groups);
        for (group, weights) in self.groups.iter().enumerate() {
            let channels = group_in * group..group_in * (group + 1);
            let mut first = pixels.start;
            while first < pixels.end {
                let rows = self.block_rows.min(pixels.end - first);
                let out = &mut out[(first - pixels.start) * out_c + group * group_out..];
                if self.pointwise {
                    let place = |r: usize| {
                        let [n, y, x] = window_origin(&self.shape, first + r);
                        ((n * window.in_h + y) * window.in_w + x) * in_c + channels.start
                    };
                    weights.multiply::<S>(input, rows, place, out, out_c);
                } else {
                    let k = weights.k();
                    for (r, row) in im2col.chunks_exact_mut(k).take(rows).enumerate() {
                        self.gather_row(input, first + r, channels.clone(), row);
                    }
                    weights.multiply::<S>(im2col, rows, |r| r * k, out, out_c);
                }
                first += rows;
            }
        }
    }

    /// Copies the window of one output pixel, zeros where it leaves the picture.
    fn gather_row(&self, input: &[f32], pixel: usize, channels: Range<usize>, to: &mut [f32]) {
        let Conv2dShape { window, in_c, .. } = self.shape;
        let [n, y, x] = window_origin(&self.shape, pixel);
        let mut taps = to.chunks_exact_mut(channels.len());
        for ky in 0..window.kernel_h {
            let row = (y + ky * window.dilation[0]).wrapping_sub(window.pad_top);
            for kx in 0..window.kernel_w {
                let column = (x + kx * window.dilation[1]).wrapping_sub(window.pad_left);
                let Some(tap) = taps.next() else { return };
                if row < window.in_h && column < window.in_w {
                    let pixel = (n * window.in_h + row) * window.in_w + column;
                    tap.copy_from_slice(&input[pixel * in_c..][channels.clone()]);
                } else {
                    tap.fill(0.0);
                }
            }
        }
    }
}
