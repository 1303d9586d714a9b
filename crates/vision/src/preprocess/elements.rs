//! From lines of resampled pixels to the tensor's elements. Each function is a loop of its own that
//! is not inlined: browsers compile hot functions anew, the small ones soon.

use super::Channels;
use super::shift::Shift;
use super::table::Floats;

/// Colours that a loop takes at a time, at most: whole pixels, and whole blocks of [`Floats`].
pub(super) const BLOCK: usize = 192;

/// The tensor's colours of a line of pixels of so many bytes, in `out` unless they are these already.
pub(super) fn colours<'a>(
    channels: Channels,
    pixel_bytes: usize,
    pixels: &'a [u8],
    out: &'a mut Vec<u8>,
) -> &'a [u8] {
    let order = match (channels, pixel_bytes) {
        (Channels::Gray, _) | (Channels::Rgb, 3) => return pixels,
        (Channels::Bgr, _) => [2, 1, 0],
        _ => [0, 1, 2],
    };
    out.resize(pixels.len() / pixel_bytes * 3, 0);
    let out_pixels = out.as_chunks_mut().0;
    match pixel_bytes {
        1 => pick::<1>(order, pixels.as_chunks().0, out_pixels),
        3 => pick::<3>(order, pixels.as_chunks().0, out_pixels),
        _ => pick::<4>(order, pixels.as_chunks().0, out_pixels),
    }
    out
}

/// Three bytes of each pixel; the last, where there are fewer.
#[inline(never)]
fn pick<const C: usize>(order: [usize; 3], pixels: &[[u8; C]], out: &mut [[u8; 3]]) {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    let (pixels, out) = if C == 4 { simd128::pick(order, pixels, out) } else { (pixels, out) };
    let order = order.map(|channel| channel.min(C - 1));
    for (pixel, out) in pixels.iter().zip(out) {
        *out = order.map(|channel| pixel[channel]);
    }
}

/// With a number added. Looked up one by one, the bytes of 224x224 pixels took 38 us in place of 7
/// (sampling profile of what `cargo xtask build --names` makes, Chromium 156, AMD EPYC of family 26).
#[inline(never)]
pub(super) fn shifted(shift: &Shift, line: &[u8], out: &mut [u8]) {
    for (&byte, out) in line.iter().zip(out) {
        *out = shift.element(byte);
    }
}

/// By one table a channel.
#[inline(never)]
pub(super) fn looked_up(tables: &[[u8; 256]], line: &[u8], out: &mut [u8]) {
    let [first, second, third] = [0, 1, 2].map(|c| &tables[c % tables.len()]);
    let (pixels, rest) = line.as_chunks::<3>();
    let (out_pixels, out_rest) = out.as_chunks_mut::<3>();
    for (&[a, b, c], out) in pixels.iter().zip(out_pixels) {
        *out = [first[usize::from(a)], second[usize::from(b)], third[usize::from(c)]];
    }
    // Of grey lines, whose table is the same for all.
    for (&byte, out) in rest.iter().zip(out_rest) {
        *out = first[usize::from(byte)];
    }
}

/// Normalised, little-endian.
#[inline(never)]
pub(super) fn floats(Floats { mean, std }: &Floats, line: &[u8], out: &mut [u8]) {
    let normalise = |i: usize, byte: u8| ((f32::from(byte) - mean[i]) / std[i]).to_le_bytes();
    let (blocks, rest) = line.as_chunks::<12>();
    let (out_blocks, out_rest) = out.as_chunks_mut().0.as_chunks_mut::<12>();
    for (block, out) in blocks.iter().zip(out_blocks) {
        for (i, (&byte, out)) in block.iter().zip(out).enumerate() {
            *out = normalise(i, byte);
        }
    }
    for (i, (&byte, out)) in rest.iter().zip(out_rest).enumerate() {
        *out = normalise(i, byte);
    }
}

/// Compilers pick single bytes, so WebAssembly has it by hand. The intrinsics are safe functions.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128 {
    use core::arch::wasm32::{u8x16_swizzle, u32x4_extract_lane, u64x2, u64x2_extract_lane, v128};

    /// Does it by four pixels of four bytes, and gives the rest back.
    pub(super) fn pick<'a, const C: usize>(
        order: [usize; 3],
        pixels: &'a [[u8; C]],
        out: &'a mut [[u8; 3]],
    ) -> (&'a [[u8; C]], &'a mut [[u8; 3]]) {
        let lanes = load(&std::array::from_fn(|i| (4 * (i / 3) + order[i % 3]) as u8));
        let (fours, rest) = pixels.as_chunks::<4>();
        let (out_fours, out_rest) = out.as_chunks_mut::<4>();
        for (four, out) in fours.iter().zip(out_fours) {
            let Some(four) = four.as_flattened().first_chunk() else { break };
            let picked = u8x16_swizzle(load(four), lanes);
            let (eight, four) = out.as_flattened_mut().split_at_mut(8);
            eight.copy_from_slice(&u64x2_extract_lane::<0>(picked).to_le_bytes());
            four.copy_from_slice(&u32x4_extract_lane::<2>(picked).to_le_bytes());
        }
        (rest, out_rest)
    }

    fn load(bytes: &[u8; 16]) -> v128 {
        let [low, high] =
            [0, 8].map(|start| u64::from_le_bytes(std::array::from_fn(|i| bytes[start + i])));
        u64x2(low, high)
    }
}
