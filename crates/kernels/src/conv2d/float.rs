//! CONV_2D of float32 tensors.

use core::ops::Range;

use super::gather::{STEP_BYTES, gather_windows};
use super::inside::{inside, stretch, window_start};
use super::{block_rows, is_pointwise};
use crate::gemm::float::{PackedWeights, Runs};
use crate::reference::FloatWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::simd::Simd;

/// How the elements of a window become a row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// One pixel, read in place.
    Pointwise,
    /// The rows of a window inside the picture are runs, read in place; others are gathered.
    InPlace,
    /// All are gathered.
    Gathered,
}

/// Output pixels of a row whose windows are inside, from which on reading in place pays: shorter
/// rows leave too many pixels without a tile.
const MIN_IN_PLACE: usize = 16;

/// A packed CONV_2D of float32 tensors.
#[derive(Clone)]
pub struct Conv2dFloat {
    shape: Conv2dShape,
    rows: Rows,
    groups: Vec<PackedWeights>,
    block_rows: usize,
}

impl Conv2dFloat {
    /// Packs weights `[out_c, kernel_h, kernel_w, in_c / groups]`.
    pub fn new(shape: Conv2dShape, weights: &FloatWeights) -> Self {
        let k = row_len(&shape);
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
        Self::with_groups(shape, groups)
    }

    /// The same of weights that are packed, for one group.
    pub fn with_packed(shape: Conv2dShape, weights: PackedWeights) -> Self {
        assert!(shape.groups == 1 && weights.k() == row_len(&shape));
        Self::with_groups(shape, vec![weights])
    }

    fn with_groups(shape: Conv2dShape, groups: Vec<PackedWeights>) -> Self {
        let window = &shape.window;
        let block_rows = block_rows(row_len(&shape) * size_of::<f32>(), window.out_pixels());
        let rows = if is_pointwise(&shape) {
            Rows::Pointwise
        } else if shape.groups == 1
            && window.dilation[1] == 1
            && inside(window).len() >= MIN_IN_PLACE
        {
            Rows::InPlace
        } else {
            Rows::Gathered
        };
        Self { shape, rows, groups, block_rows }
    }

    /// The geometry.
    pub fn shape(&self) -> &Conv2dShape {
        &self.shape
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self.rows {
            Rows::Pointwise => "gemm f32",
            Rows::InPlace => "gemm f32 in place",
            Rows::Gathered => "im2col + gemm f32",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.groups.iter().map(PackedWeights::size_bytes).sum()
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        let gathered = match self.rows {
            Rows::Pointwise => 0,
            _ => self.block_rows * self.gathered_stride(),
        };
        (self.groups[0].scratch_len() + gathered) * size_of::<f32>()
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
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let (wide, im2col) = scratch.split_at_mut(self.groups[0].scratch_len());
        let (group_in, group_out) = (in_c / groups, out_c / groups);
        for (group, weights) in self.groups.iter().enumerate() {
            let channels = group_in * group..group_in * (group + 1);
            let mut first = pixels.start;
            while first < pixels.end {
                let mut rows = self.block_rows.min(pixels.end - first);
                let out = &mut out[(first - pixels.start) * out_c + group * group_out..];
                if self.rows == Rows::Pointwise {
                    let input = &input[first * in_c + channels.start..];
                    let runs = Runs::one(group_in);
                    weights.multiply::<S>(input, in_c, runs, rows, out, out_c, wide);
                    first += rows;
                    continue;
                }
                if self.rows == Rows::InPlace {
                    let (from, is_inside) = stretch(&window, first);
                    rows = rows.min(from.len());
                    if is_inside {
                        let runs = Runs {
                            count: window.kernel_h,
                            len: window.kernel_w * in_c,
                            stride: window.dilation[0] * window.in_w * in_c,
                        };
                        let input = &input[window_start(&self.shape, first)..];
                        let a_stride = window.stride[1] * in_c;
                        weights.multiply::<S>(input, a_stride, runs, rows, out, out_c, wide);
                        first += rows;
                        continue;
                    }
                }
                let stride = self.gathered_stride();
                let pixels = first..first + rows;
                gather_windows(&self.shape, input, pixels, channels.clone(), 0.0, stride, im2col);
                let runs = Runs::one(weights.k());
                weights.multiply::<S>(im2col, stride, runs, rows, out, out_c, wide);
                first += rows;
            }
        }
    }
}

/// Elements of a window that make a row of a group's matrix.
fn row_len(shape: &Conv2dShape) -> usize {
    shape.window.kernel_h * shape.window.kernel_w * (shape.in_c / shape.groups)
}
