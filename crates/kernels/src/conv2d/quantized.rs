//! CONV_2D of 8-bit tensors.

use core::ops::Range;

use super::{block_rows, is_pointwise, window_origin};
use crate::aligned::LINE_BYTES;
use crate::gemm::TILE_ROWS;
use crate::gemm::bytes::ByteDot;
use crate::gemm::quantized::{Operands, PackedWeights, Segments};
use crate::reference::QuantizedWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::requant::Requantize;
use crate::simd::{Element, Simd};

/// How the elements of a window become a row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// One pixel, read in place.
    Pointwise,
    /// Tap by tap, each padded to an even number of channels.
    Taps,
    /// Few channels (the first layer): rows of the window are copied byte by byte into one run.
    Gathered,
}

/// Below this, a tap is too short to be packed by vectors.
const MIN_TAP_CHANNELS: usize = 8;

/// A packed CONV_2D of int8 or uint8 tensors.
#[derive(Clone)]
pub struct Conv2dQuantized {
    shape: Conv2dShape,
    rows: Rows,
    input_zero_point: i32,
    groups: Vec<PackedWeights>,
    block_rows: usize,
}

impl Conv2dQuantized {
    /// Packs weights `[out_c, kernel_h, kernel_w, in_c / groups]` for inputs of `T`. `byte_dot` is
    /// what [`ByteDot::probe`] found on the machine that will run it.
    pub fn new<T: Element, W: Element>(
        shape: Conv2dShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
        byte_dot: Option<ByteDot>,
    ) -> Self {
        let (window, group_in) = (&shape.window, shape.in_c / shape.groups);
        let taps = window.kernel_h * window.kernel_w;
        let (rows, segments) = if is_pointwise(&shape) {
            (Rows::Pointwise, Segments { count: 1, len: group_in })
        } else if group_in >= MIN_TAP_CHANNELS {
            (Rows::Taps, Segments { count: taps, len: group_in })
        } else {
            (Rows::Gathered, Segments { count: 1, len: taps * group_in })
        };
        let group_out = shape.out_c / shape.groups;
        let groups: Vec<_> = (0..shape.groups)
            .map(|group| {
                let columns = group * group_out..(group + 1) * group_out;
                let scale: Vec<f32> = columns.clone().map(|c| requant.scale_of(c)).collect();
                let k = taps * group_in;
                let operands = Operands {
                    columns: group_out,
                    weights: QuantizedWeights {
                        values: &weights.values[columns.start * k..columns.end * k],
                        bias: weights.bias.map(|bias| &bias[columns]),
                        ..*weights
                    },
                    input_zero_point,
                };
                let requant = Requantize { scale: &scale, ..*requant };
                PackedWeights::new::<T, W>(byte_dot, segments, &operands, &requant)
            })
            .collect();
        let tile_bytes = groups.iter().map(PackedWeights::tile_bytes).max().unwrap_or(0);
        let block_rows = block_rows(tile_bytes / TILE_ROWS, window.out_pixels());
        Self { shape, rows, input_zero_point, groups, block_rows }
    }

    /// The geometry.
    pub fn shape(&self) -> &Conv2dShape {
        &self.shape
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        self.groups.first().map_or("", PackedWeights::kernel)
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.groups.iter().map(PackedWeights::size_bytes).sum()
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        let tile_bytes = self.groups.iter().map(PackedWeights::tile_bytes).max().unwrap_or(0);
        self.block_rows / TILE_ROWS * tile_bytes + self.gather_bytes()
    }

    /// Four gathered rows, or one row of zero points; whole lines, so that what follows is aligned.
    fn gather_bytes(&self) -> usize {
        let window = &self.shape.window;
        let group_in = self.shape.in_c / self.shape.groups;
        let bytes = match self.rows {
            Rows::Pointwise => 0,
            Rows::Taps => group_in,
            Rows::Gathered => {
                TILE_ROWS * (window.kernel_h * window.kernel_w * group_in + GATHER_SLACK)
            }
        };
        bytes.next_multiple_of(LINE_BYTES)
    }

    /// Computes the output pixels `pixels` of `[n * out_h * out_w]` into `out`, which holds just
    /// these. `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd, T: Element>(
        &self,
        input: &[T],
        pixels: Range<usize>,
        out: &mut [T],
        scratch: &mut [u8],
    ) {
        let Conv2dShape { window, in_c, out_c, groups } = self.shape;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * in_c);
        assert_eq!(out.len(), pixels.len() * out_c);
        let (gathered, packed) = scratch.split_at_mut(self.gather_bytes());
        let gathered: &mut [T] = bytemuck::cast_slice_mut(gathered);
        if self.rows == Rows::Taps {
            gathered.fill(T::from_i32(self.input_zero_point));
        }
        let group_out = out_c / groups;
        for (group, weights) in self.groups.iter().enumerate() {
            let channels = in_c / groups * group..in_c / groups * (group + 1);
            let mut first = pixels.start;
            while first < pixels.end {
                let rows = self.block_rows.min(pixels.end - first);
                for tile in 0..rows.div_ceil(TILE_ROWS) {
                    // A tile that ends early repeats its last pixel.
                    let at: [usize; TILE_ROWS] =
                        core::array::from_fn(|r| first + (tile * TILE_ROWS + r).min(rows - 1));
                    let to = &mut packed[tile * weights.tile_bytes()..][..weights.tile_bytes()];
                    self.pack_tile::<S, T>(input, at, channels.clone(), gathered, weights, to);
                    weights.finish_tile::<S>(to);
                }
                let start = (first - pixels.start) * out_c + group * group_out;
                weights.multiply::<S, T>(packed, rows, &mut out[start..], out_c);
                first += rows;
            }
        }
    }

    /// Packs the windows of four output pixels, `channels` of each tap.
    #[inline(always)]
    fn pack_tile<S: Simd, T: Element>(
        &self,
        input: &[T],
        pixels: [usize; TILE_ROWS],
        channels: Range<usize>,
        gathered: &mut [T],
        weights: &PackedWeights,
        to: &mut [u8],
    ) {
        let Conv2dShape { window, in_c, .. } = self.shape;
        let origins = pixels.map(|pixel| window_origin(&self.shape, pixel));
        match self.rows {
            Rows::Pointwise => {
                let rows = origins.map(|[n, y, x]| {
                    let pixel = (n * window.in_h + y) * window.in_w + x;
                    input[pixel * in_c..][channels.clone()].as_ptr()
                });
                // SAFETY: each row was sliced to the channels.
                unsafe { weights.pack_segment::<S, T>(rows, 0, to) };
            }
            Rows::Taps => {
                let padding = &gathered[..channels.len()];
                for ky in 0..window.kernel_h {
                    for kx in 0..window.kernel_w {
                        let rows = origins.map(|[n, y, x]| {
                            let row = (y + ky * window.dilation[0]).wrapping_sub(window.pad_top);
                            let column =
                                (x + kx * window.dilation[1]).wrapping_sub(window.pad_left);
                            if row < window.in_h && column < window.in_w {
                                let pixel = (n * window.in_h + row) * window.in_w + column;
                                input[pixel * in_c..][channels.clone()].as_ptr()
                            } else {
                                padding.as_ptr()
                            }
                        });
                        let tap = ky * window.kernel_w + kx;
                        // SAFETY: each row was sliced to the channels.
                        unsafe { weights.pack_segment::<S, T>(rows, tap, to) };
                    }
                }
            }
            Rows::Gathered => {
                let len = window.kernel_h * window.kernel_w * channels.len();
                let stride = len + GATHER_SLACK;
                for (r, origin) in origins.into_iter().enumerate() {
                    let row = &mut gathered[r * stride..][..stride];
                    self.gather_row(input, origin, channels.clone(), row);
                }
                let rows = [0, 1, 2, 3].map(|r| gathered[r * stride..][..len].as_ptr());
                // SAFETY: each row was sliced to `len`.
                unsafe { weights.pack_segment::<S, T>(rows, 0, to) };
            }
        }
    }

    /// Copies one window into `to`, zero points where it leaves the picture.
    #[inline(always)]
    fn gather_row<T: Element>(
        &self,
        input: &[T],
        [n, y, x]: [usize; 3],
        channels: Range<usize>,
        to: &mut [T],
    ) {
        let Conv2dShape { window, in_c, .. } = self.shape;
        let zero = T::from_i32(self.input_zero_point);
        let run = window.kernel_w * in_c;
        let left = x.wrapping_sub(window.pad_left);
        // All channels of taps that lie side by side are one run of bytes.
        let contiguous = window.dilation[1] == 1
            && channels.len() == in_c
            && left < window.in_w
            && left + window.kernel_w <= window.in_w;
        for ky in 0..window.kernel_h {
            let row = (y + ky * window.dilation[0]).wrapping_sub(window.pad_top);
            let to = &mut to[ky * window.kernel_w * channels.len()..];
            if row >= window.in_h {
                to[..window.kernel_w * channels.len()].fill(zero);
                continue;
            }
            let line = (n * window.in_h + row) * window.in_w;
            if contiguous {
                copy_run(&input[(line + left) * in_c..], run, to);
                continue;
            }
            for kx in 0..window.kernel_w {
                let column = (x + kx * window.dilation[1]).wrapping_sub(window.pad_left);
                let to = &mut to[kx * channels.len()..][..channels.len()];
                if column < window.in_w {
                    to.copy_from_slice(&input[(line + column) * in_c..][channels.clone()]);
                } else {
                    to.fill(zero);
                }
            }
        }
    }
}

/// A gathered row may be overwritten this far past its end.
const GATHER_SLACK: usize = 16;

/// Copies `len` elements in steps of 16, which may write up to 15 beyond them: a call of memcpy
/// costs more than the 9 bytes of a window's row.
#[inline(always)]
fn copy_run<T: Element>(from: &[T], len: usize, to: &mut [T]) {
    let steps = len.div_ceil(GATHER_SLACK);
    match (from.get(..steps * GATHER_SLACK), to.get_mut(..steps * GATHER_SLACK)) {
        (Some(from), Some(to)) => {
            let (from, to) = (from.as_chunks::<GATHER_SLACK>().0, to.as_chunks_mut().0);
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        _ => to[..len].copy_from_slice(&from[..len]),
    }
}
