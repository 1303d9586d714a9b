//! Weights into panels: blocks of four columns are transposed in registers.
//!
//! It runs once for each weight, most of it before a browser has optimised it, so it makes do with
//! few instructions and keeps its loops in small functions: whole vectors, no element by itself.
//!
//! V8 compiles a function anew when it has run through so many bytes of machine code, and each return
//! counts all of it: a large function that is called some hundred times costs a start 4 to 12 ms in the
//! background and never pays. With `PackedBytes::new`, `PackedWords::new` and the loops of depthwise
//! weights and of first layers in functions of their own the first label of MobileNet V1 int8 came after
//! 77 ms, not 86, of EfficientNet-Lite0 after 100, not 110, of V2 after 90 and 87 (medians of 17
//! interleaved starts, AMD EPYC of family 25, Chromium 156).

use super::PANEL;
use super::bytes::QUAD_HALF;
use super::quantized::Segments;
use super::tile::transpose;
use super::words::PAIR_B;
use crate::simd::Simd;

/// Elements of k that are packed together: a vector of bytes.
pub(super) const RUN: usize = 16;

/// Columns of a block: half a panel.
pub(super) const BLOCK: usize = PANEL / 2;

/// The first `len` elements from `at` on, `filler` behind them.
#[inline(always)]
fn head<const N: usize>(from: &[i8], at: usize, len: usize, filler: i8) -> [i8; N] {
    let mut head = [filler; N];
    head[..len].copy_from_slice(&from[at..at + len]);
    head
}

/// Packs four columns into quads, one every `stride` bytes, and gives the sums of their weights. They
/// become signed by `flip`, which is zero by then.
#[inline(never)]
pub(super) fn pack_quads<S: Simd>(
    columns: [&[i8]; BLOCK],
    segments: &Segments,
    flip: i8,
    to: &mut [i8],
    stride: usize,
) -> [i32; BLOCK] {
    let top = S::i8x16_splat(i8::MIN);
    let flips = S::i8x16_splat(flip);
    let mut sums = S::i32x4_splat(0);
    let mut packed = 0;
    let mut quads = to.chunks_mut(stride);
    for segment in 0..segments.count {
        let first = segment * segments.len;
        for at in (0..segments.len).step_by(RUN) {
            let len = (segments.len - at).min(RUN);
            let bytes = columns.map(|column| {
                let at = first + at;
                // SAFETY: 16 elements of the slice, or of the array.
                let v = unsafe {
                    match column[at..].first_chunk::<RUN>() {
                        Some(run) if len == RUN => S::load(run),
                        _ => S::load(&head::<RUN>(column, at, len, flip)),
                    }
                };
                S::xor(v, flips)
            });
            for (v, quad) in transpose::<S>(bytes).into_iter().take(len.div_ceil(4)).zip(&mut quads)
            {
                sums = S::i32x4_add(sums, S::i32x4_sum_quads_u8x16(S::xor(v, top)));
                // SAFETY: 16 bytes.
                unsafe { S::store(quad[..QUAD_HALF].as_mut_ptr(), v) };
                packed += 1;
            }
        }
    }
    // Each was summed with the top bit flipped, which makes it 128 more.
    lanes::<S>(S::i32x4_sub(sums, S::i32x4_splat(128 * 4 * packed)))
}

/// Packs four columns into their half of a panel of pairs of words, less the zero point, and gives
/// the sums of their weights. Those become signed by `flip`, as the zero point is.
#[inline(never)]
pub(super) fn pack_pairs<S: Simd>(
    columns: [&[i8]; BLOCK],
    segments: &Segments,
    flip: i8,
    zero_point: i8,
    panel: &mut [i16],
) -> [i32; BLOCK] {
    const STEP: usize = 8;
    let (flips, zero) = (S::i8x16_splat(flip), S::i16x8_splat(zero_point.into()));
    let ones = S::i16x8_splat(1);
    let mut sums = S::i32x4_splat(0);
    let mut pairs = panel.chunks_mut(PAIR_B);
    for segment in 0..segments.count {
        let first = segment * segments.len;
        for at in (0..segments.len).step_by(STEP) {
            let len = (segments.len - at).min(STEP);
            let words = columns.map(|column| {
                let at = first + at;
                // SAFETY: 8 elements of the slice, or of the array.
                let v = unsafe {
                    match column[at..].first_chunk::<STEP>() {
                        Some(run) if len == STEP => S::load64_zero(run),
                        _ => S::load64_zero(&head::<STEP>(column, at, len, zero_point ^ flip)),
                    }
                };
                S::i16x8_sub(S::i16x8_extend_low_i8x16(S::xor(v, flips)), zero)
            });
            for (v, pair) in transpose::<S>(words).into_iter().take(len.div_ceil(2)).zip(&mut pairs)
            {
                sums = S::i32x4_add(sums, S::i32x4_dot_i16x8(v, ones));
                // SAFETY: the first half of the pair's 16 words, or all that is left of the last.
                unsafe { S::store(pair[..PAIR_B / 2].as_mut_ptr(), v) };
            }
        }
    }
    lanes::<S>(sums)
}

/// Packs four columns of equal length into their half of a panel of floats.
#[inline(never)]
pub(super) fn pack_floats<S: Simd>(columns: [&[f32]; BLOCK], panel: &mut [f32]) {
    const ROWS: usize = 4;
    let len = columns[0].len();
    for (at, rows) in (0..len).step_by(ROWS).zip(panel.chunks_mut(ROWS * PANEL)) {
        if len - at < ROWS {
            for (i, row) in rows.chunks_mut(PANEL).enumerate() {
                for (place, column) in row.iter_mut().zip(columns) {
                    *place = column[at + i];
                }
            }
            continue;
        }
        let block = columns.map(|column| {
            // SAFETY: four elements.
            unsafe { S::load(column[at..][..ROWS].as_ptr()) }
        });
        for (i, v) in transpose::<S>(block).into_iter().enumerate() {
            // SAFETY: the first half of the row's eight, or all that is left of the last.
            unsafe { S::store(rows[i * PANEL..][..BLOCK].as_mut_ptr(), v) };
        }
    }
}

/// The four lanes of sums.
fn lanes<S: Simd>(v: S::V) -> [i32; 4] {
    let mut lanes = [0i32; 4];
    // SAFETY: 16 bytes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes
}
