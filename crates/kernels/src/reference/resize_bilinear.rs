//! RESIZE_BILINEAR of `[n, h, w, c]`.
//!
//! XNNPACK's: output place `i` lies at `i * scale + offset` of the input, with
//! `scale = (in - 1) / (out - 1)` where corners are aligned and `in / out` elsewhere, and
//! `offset = scale / 2 - 1 / 2` for half-pixel centres, else 0; see [`Neighbours::of`]. 8-bit
//! pixels are mixed by weights of 11 bits, see [`mix`].

use super::Operand;
use crate::requant::Quantized;
use crate::resize::{Neighbours, mix};

/// Float pictures into `[n, out_h, out_w, c]`.
pub fn resize_bilinear_f32(
    out_size: [usize; 2],
    align_corners: bool,
    half_pixel_centers: bool,
    input: Operand<f32>,
    out: &mut [f32],
) {
    for_each(out_size, align_corners, half_pixel_centers, input, out, |pixels, down, right| {
        let [[a, b], [c, d]] = pixels.map(|row| row.map(f64::from));
        let (down, right) = (f64::from(down.share), f64::from(right.share));
        let (top, bottom) = (a + (b - a) * right, c + (d - c) * right);
        (top + (bottom - top) * down) as f32
    });
}

/// 8-bit pictures into `[n, out_h, out_w, c]`; input and output share scale and zero point.
pub fn resize_bilinear_quantized<T: Quantized>(
    out_size: [usize; 2],
    align_corners: bool,
    half_pixel_centers: bool,
    input: Operand<T>,
    out: &mut [T],
) {
    for_each(out_size, align_corners, half_pixel_centers, input, out, |pixels, down, right| {
        let pixels = pixels.map(|row| row.map(Into::into));
        T::from_i32(mix(pixels, [down, right].map(Neighbours::fixed_share)))
    });
}

fn for_each<T: Copy>(
    [out_h, out_w]: [usize; 2],
    align_corners: bool,
    half_pixel: bool,
    input: Operand<T>,
    out: &mut [T],
    mix: impl Fn([[T; 2]; 2], Neighbours, Neighbours) -> T,
) {
    let &[n, h, w, c] = input.shape else { return };
    for (offset, out) in out.iter_mut().enumerate() {
        let at = super::indexes(&[n, out_h, out_w, c], offset);
        let row = Neighbours::of(at[1], h, out_h, align_corners, half_pixel);
        let column = Neighbours::of(at[2], w, out_w, align_corners, half_pixel);
        let pixels = row
            .places
            .map(|y| column.places.map(|x| input.values[((at[0] * h + y) * w + x) * c + at[3]]));
        *out = mix(pixels, row, column);
    }
}
