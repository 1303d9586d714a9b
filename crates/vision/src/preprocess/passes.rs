//! The two passes of resampling: sums of bytes times 22-bit coefficients, rounded to bytes.

use super::resample::Axis;

/// Fraction bits of coefficients: with 8 bits a byte, sums stay below 2^31.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn clip8(sum: i32) -> u8 {
    // Coefficients are never negative here, so only the upper end can be passed.
    (sum >> PRECISION_BITS).min(255) as u8
}

/// Resamples one row along x. `row` begins with source pixel `origin`.
// Not inlined, as its like: browsers compile hot functions anew, the small ones soon.
#[inline(never)]
pub(super) fn along_row<const C: usize>(row: &[u8], origin: usize, axis: &Axis, out: &mut [u8]) {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if C == 4 {
        return simd128::along_row(row.as_chunks().0, origin, axis, out.as_chunks_mut().0);
    }
    let pixels = row.as_chunks::<C>().0;
    for (&span, out) in axis.spans().iter().zip(out.as_chunks_mut::<C>().0) {
        let start = span.start - origin;
        let mut sums = [HALF; C];
        for (pixel, &tap) in pixels[start..start + span.count].iter().zip(axis.taps(span)) {
            for (sum, &byte) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(byte) * tap;
            }
        }
        *out = sums.map(clip8);
    }
}

/// The weighted sum of rows, column by column; `row(i)` has `taps[i]`. Sums stay in registers for
/// a block of columns while the rows pass by.
#[inline(never)]
pub(super) fn across_rows<'a>(row: impl Fn(usize) -> &'a [u8], taps: &[i32], out: &mut [u8]) {
    const BLOCK: usize = 16;
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut sums = [HALF; BLOCK];
        for (i, &tap) in taps.iter().enumerate() {
            let bytes = &row(i)[block * BLOCK..][..BLOCK];
            for (sum, &byte) in sums.iter_mut().zip(bytes) {
                *sum += i32::from(byte) * tap;
            }
        }
        *out = sums.map(clip8);
    }
    let start = blocks.len() * BLOCK;
    for (column, out) in rest.iter_mut().enumerate() {
        let products =
            taps.iter().enumerate().map(|(i, tap)| i32::from(row(i)[start + column]) * tap);
        *out = clip8(HALF + products.sum::<i32>());
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use simd128::SplitFour;

/// Compilers leave the loop over pixels of four bytes scalar, so WebAssembly has it by hand. The
/// intrinsics are safe functions.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128 {
    use core::arch::wasm32::{
        i8x16_shuffle, i32x4_add, i32x4_dot_i16x8, i32x4_shl, i32x4_shr, i32x4_splat, u32x4,
        u32x4_extract_lane, u32x4_min, v128,
    };

    use super::{Axis, HALF, PRECISION_BITS};

    /// Coefficients have 23 bits. Cut in two they fit 16-bit lanes, and one dot product serves two
    /// pixels; the halves are put together after the sum, so nothing is lost.
    const LOW_BITS: u32 = 11;

    /// Four coefficients as pairs of words: the high halves of two and two, then the low ones.
    #[derive(Clone, Copy, Debug)]
    pub struct SplitFour([i32; 4]);

    impl SplitFour {
        pub fn new(&[a, b, c, d]: &[i32; 4]) -> Self {
            let pair = |first: i32, second: i32| first | second << 16;
            let high = [a, b, c, d].map(|tap| tap >> LOW_BITS);
            let low = [a, b, c, d].map(|tap| tap & ((1 << LOW_BITS) - 1));
            Self([
                pair(high[0], high[1]),
                pair(high[2], high[3]),
                pair(low[0], low[1]),
                pair(low[2], low[3]),
            ])
        }
    }

    fn load(pixels: &[[u8; 4]; 4]) -> v128 {
        let [a, b, c, d] = pixels.map(u32::from_le_bytes);
        u32x4(a, b, c, d)
    }

    pub(super) fn along_row(pixels: &[[u8; 4]], origin: usize, axis: &Axis, out: &mut [[u8; 4]]) {
        let zero = i32x4_splat(0);
        for (&span, out) in axis.spans().iter().zip(out) {
            let mut pixels = &pixels[span.start - origin..];
            let (mut high, mut low) = (zero, zero);
            for SplitFour([high_a, high_b, low_a, low_b]) in axis.fours(span) {
                let four = if let Some((four, rest)) = pixels.split_first_chunk() {
                    pixels = rest;
                    load(four)
                } else {
                    let mut four = [[0; 4]; 4];
                    four[..pixels.len()].copy_from_slice(pixels);
                    load(&four)
                };
                // The channels of two pixels side by side, widened: r0 r1 g0 g1 b0 b1 a0 a1.
                let a = i8x16_shuffle::<0, 16, 4, 16, 1, 16, 5, 16, 2, 16, 6, 16, 3, 16, 7, 16>(
                    four, zero,
                );
                let b = i8x16_shuffle::<8, 16, 12, 16, 9, 16, 13, 16, 10, 16, 14, 16, 11, 16, 15, 16>(
                    four, zero,
                );
                high = i32x4_add(high, i32x4_dot_i16x8(a, i32x4_splat(*high_a)));
                low = i32x4_add(low, i32x4_dot_i16x8(a, i32x4_splat(*low_a)));
                high = i32x4_add(high, i32x4_dot_i16x8(b, i32x4_splat(*high_b)));
                low = i32x4_add(low, i32x4_dot_i16x8(b, i32x4_splat(*low_b)));
            }
            let sum = i32x4_add(i32x4_add(i32x4_shl(high, LOW_BITS), low), i32x4_splat(HALF));
            // As clip8.
            let bytes = u32x4_min(i32x4_shr(sum, PRECISION_BITS), i32x4_splat(255));
            let packed =
                i8x16_shuffle::<0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>(bytes, bytes);
            *out = u32x4_extract_lane::<0>(packed).to_le_bytes();
        }
    }
}
