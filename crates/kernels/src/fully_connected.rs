//! FULLY_CONNECTED: `[batch, in]` by weights `[out, in]`.

use core::ops::Range;

use crate::gemm::TILE_ROWS;
use crate::gemm::{float, quantized};
use crate::reference::{FloatWeights, QuantizedWeights};
use crate::requant::{Quantized, Requantize};
use crate::simd::{Element, Simd};

/// A packed FULLY_CONNECTED of int8 or uint8 tensors.
#[derive(Clone)]
pub struct FullyConnectedQuantized {
    in_c: usize,
    out_c: usize,
    weights: quantized::PackedWeights,
}

impl FullyConnectedQuantized {
    /// Packs weights `[out, in]`.
    pub fn new<W: Quantized>(
        [in_c, out_c]: [usize; 2],
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
    ) -> Self {
        let weight = |column: usize, k: usize| {
            let value: i32 = weights.values[column * in_c + k].into();
            (value - weights.zero_point) as i16
        };
        let weights = quantized::PackedWeights::new(
            out_c,
            in_c,
            weight,
            weights.bias,
            input_zero_point,
            requant,
        );
        Self { in_c, out_c, weights }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes()
    }

    /// Bytes of scratch that [`Self::run`] needs: one packed tile.
    pub fn scratch_bytes(&self) -> usize {
        self.weights.tile_len() * size_of::<i16>()
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
        let packed: &mut [i16] = bytemuck::cast_slice_mut(scratch);
        let packed = &mut packed[..self.weights.tile_len()];
        let mut first = rows.start;
        for out in out.chunks_mut(TILE_ROWS * self.out_c) {
            let tile = (rows.end - first).min(TILE_ROWS);
            let at = core::array::from_fn(|r| {
                input[(first + r.min(tile - 1)) * self.in_c..][..self.in_c].as_ptr()
            });
            // SAFETY: each row was sliced to `in_c`.
            unsafe { quantized::pack_rows::<S, T>(at, self.in_c, packed) };
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
        let weight = |column: usize, k: usize| weights.values[column * in_c + k];
        let weights = float::PackedWeights::new(out_c, in_c, weight, weights.bias, range);
        Self { in_c, out_c, weights }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes()
    }

    /// Computes rows `rows` of the batch into `out`, which holds just these.
    pub fn run<S: Simd>(&self, input: &[f32], rows: Range<usize>, out: &mut [f32]) {
        let place = |r: usize| (rows.start + r) * self.in_c;
        self.weights.multiply::<S>(input, rows.len(), place, out, self.out_c);
    }
}
