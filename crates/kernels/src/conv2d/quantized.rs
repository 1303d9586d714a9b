//! CONV_2D of 8-bit tensors.

use core::ops::Range;

use super::gather::{STEP_BYTES, gather_windows};
use super::{Origins, block_rows, is_pointwise};
use crate::aligned::LINE_BYTES;
use crate::gemm::TILE_ROWS;
use crate::gemm::bytes::ByteDot;
use crate::gemm::quantized::{Operands, PackedWeights, Segments};
use crate::reference::QuantizedWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::requant::Requantize;
use crate::requant::builtin::FixedScale;
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

/// Rows of the matrix, packed for the weights of a group.
pub(super) struct Block<'a> {
    pub weights: &'a PackedWeights,
    pub packed: &'a [u8],
    pub rows: usize,
    /// The place of the result: its first row and column.
    pub row: usize,
    pub column: usize,
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
                let fixed = requant.fixed.map(|fixed| FixedScale {
                    multipliers: match fixed.multipliers {
                        one @ [_] => one,
                        each => &each[group * group_out..(group + 1) * group_out],
                    },
                    ties: fixed.ties.from(group * group_out),
                });
                let requant = Requantize { scale: &scale, fixed, ..*requant };
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

    /// Gathered rows, or one row of zero points; whole lines, so that what follows is aligned.
    fn gather_bytes(&self) -> usize {
        let group_in = self.shape.in_c / self.shape.groups;
        let bytes = match self.rows {
            Rows::Pointwise => 0,
            Rows::Taps => group_in + SLACK,
            Rows::Gathered => GATHERED_TILES * TILE_ROWS * self.gathered_stride(),
        };
        bytes.next_multiple_of(LINE_BYTES)
    }

    /// Elements from one gathered row to the next.
    fn gathered_stride(&self) -> usize {
        let window = &self.shape.window;
        window.kernel_h * window.kernel_w * (self.shape.in_c / self.shape.groups) + SLACK
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
        let out_c = self.shape.out_c;
        assert_eq!(out.len(), pixels.len() * out_c);
        let zero = T::from_i32(self.input_zero_point);
        self.blocks::<S, T>(input, zero, pixels, scratch, &mut |block| {
            let out = &mut out[block.row * out_c + block.column..];
            block.weights.multiply::<S, T>(block.packed, block.rows, out, out_c);
        });
    }

    /// Packs the rows of `pixels` block by block, and lets `multiply` do the rest: nothing of this
    /// depends on what the results are, and so there is one for all.
    pub(super) fn blocks<S: Simd, T: Element>(
        &self,
        input: &[T],
        zero: T,
        pixels: Range<usize>,
        scratch: &mut [u8],
        multiply: &mut dyn FnMut(Block),
    ) {
        let Conv2dShape { window, in_c, out_c, groups } = self.shape;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * in_c);
        let (gathered, packed) = scratch.split_at_mut(self.gather_bytes());
        let gathered: &mut [T] = bytemuck::cast_slice_mut(gathered);
        if self.rows == Rows::Taps {
            gathered.fill(zero);
        }
        let (group_in, group_out) = (in_c / groups, out_c / groups);
        for (group, weights) in self.groups.iter().enumerate() {
            let channels = group_in * group..group_in * (group + 1);
            let mut first = pixels.start;
            while first < pixels.end {
                let rows = self.block_rows.min(pixels.end - first);
                let block = first..first + rows;
                let to = &mut packed[..rows.div_ceil(TILE_ROWS) * weights.tile_bytes()];
                match self.rows {
                    Rows::Pointwise => {
                        self.pack_pointwise::<S, T>(input, block, channels.clone(), weights, to);
                    }
                    Rows::Taps => {
                        let padding: &[T] = gathered;
                        self.pack_taps::<S, T>(
                            input,
                            block,
                            channels.clone(),
                            padding,
                            weights,
                            to,
                        );
                    }
                    Rows::Gathered => {
                        self.pack_gathered::<S, T>(
                            input,
                            block,
                            channels.clone(),
                            (zero, &mut *gathered),
                            weights,
                            to,
                        );
                    }
                }
                let (row, column) = (first - pixels.start, group * group_out);
                multiply(Block { weights, packed, rows, row, column });
                first += rows;
            }
        }
    }

    /// Packs `channels` of the pixels of a block. A tile that ends early repeats its last pixel.
    // Not inlined, as its like below: one function less for V8 to allocate registers in.
    #[inline(never)]
    fn pack_pointwise<S: Simd, T: Element>(
        &self,
        input: &[T],
        block: Range<usize>,
        channels: Range<usize>,
        weights: &PackedWeights,
        to: &mut [u8],
    ) {
        let in_c = self.shape.in_c;
        // All rows of the block lie within these.
        let pixels = &input[block.start * in_c..block.end * in_c][channels.start..];
        let slack = input.len() - block.end * in_c + in_c - channels.end;
        let last = block.len() - 1;
        let tiles = to.chunks_exact_mut(weights.tile_bytes()).zip((0..).step_by(TILE_ROWS));
        for (to, first) in tiles {
            let rows = core::array::from_fn(|r| {
                pixels.as_ptr().wrapping_add((first + r).min(last) * in_c)
            });
            let behind = last.saturating_sub(first + TILE_ROWS - 1) * in_c;
            // SAFETY: each row is the channels of a pixel of the block, and ends no later than those of
            // the last of these.
            unsafe { weights.pack_segment::<S, T>(rows, slack + behind, 0, to) };
            weights.finish_tile::<S>(to);
        }
    }

    /// Packs the windows of the pixels of a block tap by tap; `padding` is a row of zero points.
    #[inline(never)]
    fn pack_taps<S: Simd, T: Element>(
        &self,
        input: &[T],
        block: Range<usize>,
        channels: Range<usize>,
        padding: &[T],
        weights: &PackedWeights,
        to: &mut [u8],
    ) {
        let Conv2dShape { window, in_c, .. } = self.shape;
        let mut origins = Origins::from(&self.shape, block.start);
        let mut left = block.len();
        for to in to.chunks_exact_mut(weights.tile_bytes()) {
            let origins = next_tile(&mut origins, &mut left);
            for ky in 0..window.kernel_h {
                for kx in 0..window.kernel_w {
                    let mut slack = SLACK;
                    let rows = origins.map(|[n, y, x]| {
                        let row = (y + ky * window.dilation[0]).wrapping_sub(window.pad_top);
                        let column = (x + kx * window.dilation[1]).wrapping_sub(window.pad_left);
                        if row < window.in_h && column < window.in_w {
                            let pixel = (n * window.in_h + row) * window.in_w + column;
                            let row = &input[pixel * in_c..][channels.clone()];
                            slack = slack.min(input.len() - pixel * in_c - channels.end);
                            row.as_ptr()
                        } else {
                            padding[..channels.len() + SLACK].as_ptr()
                        }
                    });
                    let tap = ky * window.kernel_w + kx;
                    // SAFETY: each row was sliced to the channels, the least slack was kept.
                    unsafe { weights.pack_segment::<S, T>(rows, slack, tap, to) };
                }
            }
            weights.finish_tile::<S>(to);
        }
    }

    /// Packs the windows of the pixels of a block, gathered in `gathered` first.
    ///
    /// Some tiles are gathered before any is packed: a load that covers two stores waits until
    /// both have left the store buffer.
    #[inline(never)]
    fn pack_gathered<S: Simd, T: Element>(
        &self,
        input: &[T],
        block: Range<usize>,
        channels: Range<usize>,
        (zero, gathered): (T, &mut [T]),
        weights: &PackedWeights,
        to: &mut [u8],
    ) {
        let stride = self.gathered_stride();
        let mut first = block.start;
        for to in to.chunks_mut(GATHERED_TILES * weights.tile_bytes()) {
            let pixels = first..(first + GATHERED_TILES * TILE_ROWS).min(block.end);
            first = pixels.end;
            gather_windows(&self.shape, input, pixels, channels.clone(), zero, stride, gathered);
            for (tile, to) in to.chunks_exact_mut(weights.tile_bytes()).enumerate() {
                // Rows behind the last are those of another tile, or zeros.
                let rows = core::array::from_fn(|r| {
                    gathered[(tile * TILE_ROWS + r) * stride..][..stride].as_ptr()
                });
                // SAFETY: each row was sliced to its elements and the slack.
                unsafe { weights.pack_tile::<S, T>(rows, SLACK, to) };
            }
        }
    }
}

/// The origins of a tile's windows, of which `left` are left: the last is repeated.
#[inline(always)]
fn next_tile(origins: &mut Origins, left: &mut usize) -> [[usize; 3]; TILE_ROWS] {
    let mut last = origins.step();
    *left -= 1;
    core::array::from_fn(|r| {
        if r > 0 && *left > 0 {
            last = origins.step();
            *left -= 1;
        }
        last
    })
}

/// Elements that may be read, or written, behind a row.
const SLACK: usize = STEP_BYTES;

/// Tiles that are gathered at a time: their rows stay in the first-level cache.
const GATHERED_TILES: usize = 16;
