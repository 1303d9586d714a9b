//! DEPTHWISE_CONV_2D of 8-bit tensors, by words or by bytes: whichever this machine is faster at.

use core::ops::Range;

use super::bytes::DepthwiseBytes;
use super::words::DepthwiseWords;
use crate::gemm::bytes::ByteDot;
use crate::reference::QuantizedWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::Requantize;
use crate::simd::{Element, Simd};

/// A packed DEPTHWISE_CONV_2D of int8 or uint8 tensors with a multiplier of 1.
#[derive(Clone)]
pub enum DepthwiseQuantized {
    /// As i16 pairs: any machine, any window.
    Words(DepthwiseWords),
    /// As bytes: machines with an exact relaxed dot product.
    Bytes(DepthwiseBytes),
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
        let bytes = byte_dot.and_then(|dot| {
            DepthwiseBytes::new::<T, W>(shape, input_zero_point, weights, requant, dot)
        });
        match bytes {
            Some(bytes) => Self::Bytes(bytes),
            None => Self::Words(DepthwiseWords::new(shape, input_zero_point, weights, requant)),
        }
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        match self {
            Self::Words(words) => words.shape(),
            Self::Bytes(bytes) => bytes.shape(),
        }
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self {
            Self::Words(words) => words.kernel(),
            Self::Bytes(_) => "depthwise rows i8 dot",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Words(words) => words.size_bytes(),
            Self::Bytes(bytes) => bytes.size_bytes(),
        }
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        match self {
            Self::Words(words) => words.scratch_bytes(),
            Self::Bytes(bytes) => bytes.scratch_bytes(),
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
            Self::Words(words) => words.run::<S, T>(input, rows, out, scratch),
            Self::Bytes(bytes) => {
                let (input, out) = (bytemuck::cast_slice(input), bytemuck::cast_slice_mut(out));
                bytes.run::<S>(input, rows, out, scratch);
            }
        }
    }
}
