//! DEPTHWISE_CONV_2D of 8-bit tensors: along rows, or tap by tap where no row kernel is made for the
//! window.

use core::ops::Range;

use super::rows::DepthwiseRows;
use super::taps::DepthwiseTaps;
use crate::gemm::bytes::ByteDot;
use crate::reference::QuantizedWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::Requantize;
use crate::simd::{Element, Simd};

/// A packed DEPTHWISE_CONV_2D of int8 or uint8 tensors with a multiplier of 1.
#[derive(Clone)]
pub enum DepthwiseQuantized {
    /// Windows of 3x3 and 5x5.
    Rows(DepthwiseRows),
    /// Any window.
    Taps(DepthwiseTaps),
}

impl DepthwiseQuantized {
    /// Packs weights `[1, kernel_h, kernel_w, channels]` for inputs of `T`. `byte_dot` is what
    /// [`ByteDot::probe`] found on the machine that will run it.
    ///
    /// # Panics
    /// Where [`fits`](super::fits) says no.
    pub fn new<T: Element, W: Element>(
        shape: DepthwiseShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
        byte_dot: Option<ByteDot>,
    ) -> Self {
        let rows = DepthwiseRows::new::<T, W>(shape, input_zero_point, weights, requant, byte_dot);
        match rows {
            Some(rows) => Self::Rows(rows),
            None => Self::Taps(DepthwiseTaps::new(shape, input_zero_point, weights, requant)),
        }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        match self {
            Self::Rows(rows) => rows.shape(),
            Self::Taps(taps) => taps.shape(),
        }
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self {
            Self::Rows(rows) => rows.kernel(),
            Self::Taps(_) => "depthwise taps i16",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.size_bytes(),
            Self::Taps(taps) => taps.size_bytes(),
        }
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.scratch_bytes(),
            Self::Taps(taps) => taps.scratch_bytes(),
        }
    }

    /// Computes the output rows `rows` of `[n * out_h]` into `out`, which holds just these.
    /// `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd, T: Element>(
        &self,
        input: &[T],
        rows: Range<usize>,
        out: &mut [T],
        scratch: &mut [u8],
    ) {
        match self {
            Self::Taps(taps) => taps.run::<S, T>(input, rows, out, scratch),
            Self::Rows(kernel) => {
                let (input, out) = (bytemuck::cast_slice(input), bytemuck::cast_slice_mut(out));
                kernel.run::<S>(input, rows, out, scratch);
            }
        }
    }
}
