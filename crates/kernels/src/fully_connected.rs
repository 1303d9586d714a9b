//! FULLY_CONNECTED: `[batch, in]` by weights `[out, in]`.

use core::ops::Range;

use crate::gemm::TILE_ROWS;
use crate::gemm::bytes::ByteDot;
use crate::gemm::float;
use crate::gemm::quantized::{Operands, PackedWeights, Segments};
use crate::reference::{FloatWeights, QuantizedWeights};
use crate::requant::Requantize;
use crate::simd::{Element, Simd};

/// A packed FULLY_CONNECTED of int8 or uint8 tensors.
#[derive(Clone)]
pub struct FullyConnectedQuantized {
    in_c: usize,
    out_c: usize,
    weights: PackedWeights,
}

impl FullyConnectedQuantized {
    /// Packs weights `[out, in]` for inputs of `T`. `byte_dot` is what [`ByteDot::probe`] found on
    /// the machine that will run it.
    pub fn new<T: Element, W: Element>(
        [in_c, out_c]: [usize; 2],
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
        byte_dot: Option<ByteDot>,
    ) -> Self {
        let segments = Segments { count: 1, len: in_c };
        let operands = Operands { columns: out_c, weights: *weights, input_zero_point };
        let weights = PackedWeights::new::<T, W>(byte_dot, segments, &operands, requant);
        Self { in_c, out_c, weights }
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        self.weights.kernel()
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: one packed tile.
    pub fn scratch_bytes(&self) -> usize {
        self.weights.tile_bytes()
    }

    /// Computes rows `rows` of the batch into `out`, which holds just these. `scratch` is at
    /// least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd, T: Element>(
        &self,
        input: &[T],
        rows: Range<usize>,
        out: &mut [T],
        scratch: &mut [u8],
    ) {
        let packed = &mut scratch[..self.weights.tile_bytes()];
        let mut first = rows.start;
        for out in out.chunks_mut(TILE_ROWS * self.out_c) {
            let tile = (rows.end - first).min(TILE_ROWS);
            let at = core::array::from_fn(|r| {
                input[(first + r.min(tile - 1)) * self.in_c..][..self.in_c].as_ptr()
            });
            // SAFETY: each row was sliced to `in_c`.
            unsafe { self.weights.pack_segment::<S, T>(at, 0, 0, packed) };
            self.weights.finish_tile::<S>(packed);
            self.weights.multiply::<S, T>(packed, tile, out, self.out_c);
            first += tile;
        }
    }
}

/// A packed FULLY_CONNECTED of float32 tensors.
#[derive(Clone)]
pub struct FullyConnectedFloat {
    in_c: usize,
    out_c: usize,
    weights: float::PackedWeights,
}

impl FullyConnectedFloat {
    /// Packs weights `[out, in]`.
    pub fn new([in_c, out_c]: [usize; 2], weights: &FloatWeights) -> Self {
        let range = (weights.activation[0], weights.activation[1]);
        let FloatWeights { values, bias, .. } = *weights;
        let weights = float::PackedWeights::new(out_c, in_c, values, bias, range);
        Self { in_c, out_c, weights }
    }

    /// The same of weights that are packed.
    pub fn with_packed([in_c, out_c]: [usize; 2], weights: float::PackedWeights) -> Self {
        assert_eq!(weights.k(), in_c);
        Self { in_c, out_c, weights }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs.
    pub fn scratch_bytes(&self) -> usize {
        self.weights.scratch_len() * size_of::<f32>()
    }

    /// Computes rows `rows` of the batch into `out`, which holds just these. `scratch` is at least
    /// [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[f32],
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut [u8],
    ) {
        let input = &input[rows.start * self.in_c..];
        let (runs, scratch) = (float::Runs::one(self.in_c), bytemuck::cast_slice_mut(scratch));
        self.weights.multiply::<S>(input, self.in_c, runs, rows.len(), out, self.out_c, scratch);
    }
}
