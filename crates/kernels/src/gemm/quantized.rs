//! 8-bit matrix product, by words or by bytes: whichever wins on this machine for these weights.

use super::TILE_ROWS;
use super::bytes::{ByteDot, PackedBytes};
use super::words::PackedWords;
use crate::reference::QuantizedWeights;
use crate::requant::Requantize;
use crate::simd::{Element, Simd};

/// How rows of k are cut: `count` pieces of `len` elements (the taps of a window), each gathered
/// from a place of its own.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    /// Pieces.
    pub count: usize,
    /// Elements of a piece.
    pub len: usize,
}

/// What a product is made of, besides its rows.
pub struct Operands<'a, W> {
    /// Output channels.
    pub columns: usize,
    /// `[columns][k]`, at least `columns` biases.
    pub weights: QuantizedWeights<'a, W>,
    /// The input's zero point.
    pub input_zero_point: i32,
}

/// Packed weights, biases and scales.
#[derive(Clone)]
pub enum PackedWeights {
    /// As i16 pairs: any machine.
    Words(PackedWords),
    /// As bytes: machines whose relaxed dot product is known.
    Bytes(PackedBytes),
}

impl PackedWeights {
    /// Packs weights for inputs of `T`. `byte_dot` is what [`ByteDot::probe`] found on the machine
    /// that will multiply.
    pub fn new<T: Element, W: Element>(
        byte_dot: Option<ByteDot>,
        segments: Segments,
        operands: &Operands<W>,
        requant: &Requantize,
    ) -> Self {
        // By words: the built-in kernels' rounding is theirs alone.
        let byte_dot = byte_dot.filter(|_| requant.fixed.is_none());
        let bytes =
            byte_dot.and_then(|dot| PackedBytes::new::<T, W>(dot, segments, operands, requant));
        match bytes {
            Some(bytes) => Self::Bytes(bytes),
            None => Self::Words(PackedWords::new::<T, W>(segments, operands, requant)),
        }
    }

    /// Bytes of a packed tile of 4 rows.
    pub fn tile_bytes(&self) -> usize {
        match self {
            Self::Words(words) => words.tile_bytes(),
            Self::Bytes(bytes) => bytes.tile_bytes(),
        }
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Words(words) => words.size_bytes(),
            Self::Bytes(bytes) => bytes.size_bytes(),
        }
    }

    /// The name of the kernel, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self {
            Self::Words(_) => "gemm i16",
            Self::Bytes(bytes) => bytes.kernel(),
        }
    }

    /// Packs segment `segment` of four rows into its place in `tile`.
    ///
    /// # Safety
    /// Each row is readable for the segment's elements, and `slack` beyond: loads of whole vectors
    /// are cheaper than those of a tail.
    #[inline(always)]
    pub unsafe fn pack_segment<S: Simd, T: Element>(
        &self,
        rows: [*const T; TILE_ROWS],
        slack: usize,
        segment: usize,
        tile: &mut [u8],
    ) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Words(words) => words.pack_segment::<S, T>(rows, slack, segment, tile),
                Self::Bytes(bytes) => bytes.pack_segment::<S, T>(rows, slack, segment, tile),
            }
        }
    }

    /// Packs four rows of one segment into a tile.
    ///
    /// # Safety
    /// Each row is readable for the segment's elements, and `slack` beyond.
    pub unsafe fn pack_tile<S: Simd, T: Element>(
        &self,
        rows: [*const T; TILE_ROWS],
        slack: usize,
        tile: &mut [u8],
    ) {
        match self {
            Self::Words(words) => apart(|| {
                // SAFETY: the caller's.
                unsafe { words.pack_segment::<S, T>(rows, slack, 0, tile) };
            }),
            Self::Bytes(bytes) => apart(|| {
                // SAFETY: the caller's.
                unsafe { bytes.pack_segment::<S, T>(rows, slack, 0, tile) };
                bytes.finish_tile::<S>(tile);
            }),
        }
    }

    /// Finishes a tile whose segments are packed.
    #[inline(always)]
    pub fn finish_tile<S: Simd>(&self, tile: &mut [u8]) {
        if let Self::Bytes(bytes) = self {
            bytes.finish_tile::<S>(tile);
        }
    }

    /// `rows` packed rows times the weights, into `out[row * stride + column]`.
    pub fn multiply<S: Simd, T: Element>(
        &self,
        packed: &[u8],
        rows: usize,
        out: &mut [T],
        stride: usize,
    ) {
        match self {
            Self::Words(words) => words.multiply::<S, T>(packed, rows, out, stride),
            Self::Bytes(bytes) => bytes.multiply::<S, T>(packed, rows, out, stride),
        }
    }
}

/// Does something in a function of its own: see `packing` for what large functions cost a start.
#[inline(never)]
fn apart(work: impl FnOnce()) {
    work();
}
