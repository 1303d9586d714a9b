//! CONV_2D of float32 tensors.

use core::ops::Range;

use super::gather::{STEP_BYTES, gather_window};
use super::{Origins, block_rows, is_pointwise};
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
                    &weights.values[first * k..(first + group_out) * k],
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
        if self.pointwise { 0 } else { self.block_rows * self.gathered_stride() * size_of::<f32>() }
    }

    /// Elements from one gathered row to the next.
    fn gathered_stride(&self) -> usize {
        self.groups[0].k() + STEP_BYTES / size_of::<f32>()
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
                    let input = &input[first * in_c + channels.start..];
                    weights.multiply::<S>(input, in_c, rows, out, out_c);
                } else {
                    let stride = self.gathered_stride();
                    let mut origins = Origins::from(&self.shape, first);
                    for row in im2col.chunks_exact_mut(stride).take(rows) {
                        let origin = origins.step();
                        gather_window(&self.shape, input, origin, channels.clone(), 0.0, row);
                    }
                    weights.multiply::<S>(im2col, stride, rows, out, out_c);
                }
                first += rows;
            }
        }
    }
}
