//! The two passes of resampling: sums of bytes times 22-bit coefficients, rounded to bytes.

use super::resample::Axis;

/// Fraction bits of coefficients: with 8 bits a byte, sums stay below 2^31.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn clip8(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Lines of bytes that stand one after the other, or in a ring.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub bytes: &'a [u8],
    /// Bytes from line to line.
    pub stride: usize,
    /// The part of each that is meant.
    pub start: usize,
    pub length: usize,
    /// The line that counts as 0.
    pub first: usize,
    /// Lines before the first follows the last.
    pub count: usize,
}

impl<'a> Lines<'a> {
    pub fn line(&self, i: usize) -> &'a [u8] {
        // A division here would cost as much as the sums.
        let line = self.first + i;
        let line = if line < self.count { line } else { line - self.count };
        &self.bytes[line * self.stride + self.start..][..self.length]
    }
}

/// Resamples one row of pixels of so many bytes along x. `row` begins with source pixel `origin`.
pub(super) fn along_row(channels: usize, row: &[u8], origin: usize, axis: &Axis, out: &mut [u8]) {
    match channels {
        1 => along_row_of::<1>(row, origin, axis, out),
        3 => along_row_of::<3>(row, origin, axis, out),
        _ => along_row_of::<4>(row, origin, axis, out),
    }
}

// Not inlined, as its like: browsers compile hot functions anew, the small ones soon.
#[inline(never)]
fn along_row_of<const C: usize>(row: &[u8], origin: usize, axis: &Axis, out: &mut [u8]) {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if C == 4
        && let Some(windows) = axis.windows()
    {
        return windows.along_row(row.as_chunks().0, origin, out.as_chunks_mut().0);
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

/// The weighted sum of lines, column by column. Sums stay in registers for a block of columns while
/// the lines pass by.
#[inline(never)]
pub(super) fn across_rows(lines: Lines<'_>, taps: &[i32], out: &mut [u8]) {
    // As many as registers hold.
    const BLOCK: usize = 32;
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut sums = [HALF; BLOCK];
        for (i, &tap) in taps.iter().enumerate() {
            let bytes = &lines.line(i)[block * BLOCK..][..BLOCK];
            for (sum, &byte) in sums.iter_mut().zip(bytes) {
                *sum += i32::from(byte) * tap;
            }
        }
        *out = sums.map(clip8);
    }
    let start = blocks.len() * BLOCK;
    for (column, out) in rest.iter_mut().enumerate() {
        let products =
            taps.iter().enumerate().map(|(i, tap)| i32::from(lines.line(i)[start + column]) * tap);
        *out = clip8(HALF + products.sum::<i32>());
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use simd128::Windows;

/// Compilers leave the loop over pixels of four bytes scalar, so WebAssembly has it by hand. The
/// intrinsics are safe functions.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128 {
    use core::arch::wasm32::{
        i8x16_shuffle, i16x8_narrow_i32x4, i32x4_add, i32x4_dot_i16x8, i32x4_shl, i32x4_shr,
        i32x4_splat, u8x16_narrow_i16x8, u16x8_extend_high_u8x16, u16x8_extend_low_u8x16,
        u32x4_extract_lane, u64x2, u64x2_extract_lane, v128,
    };

    use super::{HALF, PRECISION_BITS};

    /// Coefficients have 23 bits. Cut in two they fit 16-bit lanes, and one dot product serves two
    /// pixels; the halves are put together after the sum, so nothing is lost.
    const LOW_BITS: u32 = 11;

    /// Four coefficients as pairs of words: the high halves of two and two, then the low ones.
    #[derive(Clone, Copy, Debug)]
    struct SplitFour([i32; 4]);

    impl SplitFour {
        fn new(&[a, b, c, d]: &[i32; 4]) -> Self {
            let pair = |first: i32, second: i32| (first & 0xffff) | second << 16;
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

    /// The spans of an axis as windows of one size, a multiple of four pixels: where the number of
    /// steps changes from output to output, processors guess it wrong half of the time. 1280x720 to
    /// 224x224 with all that comes after: 2.36 -> 1.72 ms, 640x480: 1.31 -> 0.98.
    #[derive(Debug, Default)]
    pub(crate) struct Windows {
        fours: usize,
        starts: Vec<usize>,
        /// Of each window its `fours` coefficients, 0 beyond the span.
        taps: Vec<SplitFour>,
    }

    impl Windows {
        /// Whether there is room for the windows in the source pixels of `bounds`, which holds all
        /// spans, none with more than `max_count` pixels.
        pub fn plan<'a>(
            &mut self,
            spans: impl Iterator<Item = (usize, &'a [i32])>,
            max_count: usize,
            (first, end): (usize, usize),
        ) -> bool {
            self.starts.clear();
            self.taps.clear();
            self.fours = max_count.div_ceil(4);
            let size = self.fours * 4;
            if end - first < size {
                return false;
            }
            let mut window = vec![0; size];
            for (span, taps) in spans {
                let start = span.min(end - size);
                self.starts.push(start);
                window.fill(0);
                window[span - start..][..taps.len()].copy_from_slice(taps);
                self.taps.extend(window.as_chunks().0.iter().map(SplitFour::new));
            }
            true
        }

        /// As [`super::along_row`].
        pub(super) fn along_row(&self, row: &[[u8; 4]], origin: usize, out: &mut [[u8; 4]]) {
            let size = self.fours * 4;
            let sum = |start: usize, taps: &[SplitFour]| {
                sum(row[start - origin..][..size].as_chunks().0, taps)
            };
            let (starts, rest_starts) = self.starts.as_chunks::<4>();
            let (fours, rest) = out.as_chunks_mut::<4>();
            let mut windows = self.taps.chunks_exact(self.fours);
            for (&[a, b, c, d], out) in starts.iter().zip(fours) {
                let (Some(a_taps), Some(b_taps), Some(c_taps), Some(d_taps)) =
                    (windows.next(), windows.next(), windows.next(), windows.next())
                else {
                    break;
                };
                let ab = i16x8_narrow_i32x4(sum(a, a_taps), sum(b, b_taps));
                let cd = i16x8_narrow_i32x4(sum(c, c_taps), sum(d, d_taps));
                let bytes = u8x16_narrow_i16x8(ab, cd);
                let (low, high) = out.as_flattened_mut().split_at_mut(8);
                low.copy_from_slice(&u64x2_extract_lane::<0>(bytes).to_le_bytes());
                high.copy_from_slice(&u64x2_extract_lane::<1>(bytes).to_le_bytes());
            }
            for ((&start, taps), out) in rest_starts.iter().zip(windows).zip(rest) {
                let words = sum(start, taps);
                let words = i16x8_narrow_i32x4(words, words);
                *out = u32x4_extract_lane::<0>(u8x16_narrow_i16x8(words, words)).to_le_bytes();
            }
        }
    }

    /// The four channels of an output, as words that a narrowing makes bytes as `clip8` does.
    // Two rows at once in `across_rows` by dot products, as here two pixels: 0.45 -> 0.44 ms of a
    // picture of 256x256, and no better than blocks of 32 columns of plain code.
    fn sum(pixels: &[[[u8; 4]; 4]], taps: &[SplitFour]) -> v128 {
        let zero = i32x4_splat(0);
        let (mut high, mut low) = (zero, zero);
        for (four, SplitFour([high_a, high_b, low_a, low_b])) in pixels.iter().zip(taps) {
            let four = load(four);
            // The channels of two pixels side by side: r0 r1 g0 g1 b0 b1 a0 a1.
            let pairs =
                i8x16_shuffle::<0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15>(four, four);
            let (a, b) = (u16x8_extend_low_u8x16(pairs), u16x8_extend_high_u8x16(pairs));
            high = i32x4_add(high, i32x4_dot_i16x8(a, i32x4_splat(*high_a)));
            low = i32x4_add(low, i32x4_dot_i16x8(a, i32x4_splat(*low_a)));
            high = i32x4_add(high, i32x4_dot_i16x8(b, i32x4_splat(*high_b)));
            low = i32x4_add(low, i32x4_dot_i16x8(b, i32x4_splat(*low_b)));
        }
        let sum = i32x4_add(i32x4_add(i32x4_shl(high, LOW_BITS), low), i32x4_splat(HALF));
        i32x4_shr(sum, PRECISION_BITS)
    }

    fn load(pixels: &[[u8; 4]; 4]) -> v128 {
        let [a, b, c, d] = pixels.map(|pixel| u64::from(u32::from_le_bytes(pixel)));
        u64x2(a | b << 32, c | d << 32)
    }
}
