//! RESIZE_BILINEAR and the coordinates of RESIZE_NEAREST_NEIGHBOR. Arithmetic: see
//! [`reference::resize_bilinear`](crate::reference::resize_bilinear).

use crate::requant::Quantized;

/// Bits of the weights with which 8-bit pixels are mixed.
const WEIGHT_BITS: u32 = 11;

/// The two input places that an output place lies between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbours {
    /// The places: the same one at the edge.
    pub places: [usize; 2],
    /// The share of the second, in `0.0..1.0`.
    pub share: f32,
}

impl Neighbours {
    /// Of output place `i` of `out`, among `len` input places (XNNPACK's `indirection.c`).
    pub fn of(i: usize, len: usize, out: usize, align_corners: bool, half_pixel: bool) -> Self {
        let ends = usize::from(align_corners && out != 1);
        let scale = (len - ends) as f32 / (out - ends) as f32;
        let offset = if half_pixel && !align_corners { 0.5 * scale - 0.5 } else { 0.0 };
        let at = (i as f32 * scale + offset).max(0.0).min((len - 1) as f32);
        let first = at as usize;
        Self { places: [first, (first + 1).min(len - 1)], share: at - first as f32 }
    }

    /// The second share for 8-bit pixels, in 1/2048: rounded to nearest, ties to even.
    pub fn fixed_share(self) -> i32 {
        (self.share * (1 << WEIGHT_BITS) as f32).round_ties_even() as i32
    }
}

/// A pixel between four, 8 bits: in 22-bit fixed point, rounded half upwards (XNNPACK's
/// `s8-ibilinear`). `shares` are the second row's and the second column's in 1/2048.
#[inline]
pub fn mix([[a, b], [c, d]]: [[i32; 2]; 2], [down, right]: [i32; 2]) -> i32 {
    let top = (a << WEIGHT_BITS) + (b - a) * right;
    let bottom = (c << WEIGHT_BITS) + (d - c) * right;
    let sum = (top << WEIGHT_BITS) + (bottom - top) * down;
    (sum + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)
}

/// The input place of output place `i` in RESIZE_NEAREST_NEIGHBOR
/// (`reference/resize_nearest_neighbor.h`).
pub fn nearest(i: usize, len: usize, out: usize, align_corners: bool, half_pixel: bool) -> usize {
    let ends = usize::from(align_corners && out > 1);
    let scale = (len - ends) as f32 / (out - ends) as f32;
    let at = (i as f32 + if half_pixel { 0.5 } else { 0.0 }) * scale;
    let at = if align_corners { at.round() } else { at.floor() };
    (at as usize).min(len - 1)
}

/// RESIZE_BILINEAR of `[n, h, w, c]` to `[n, out_h, out_w, c]`.
#[derive(Clone, Debug)]
pub struct ResizeBilinear {
    shape: [usize; 4],
    rows: Vec<Neighbours>,
    columns: Vec<Neighbours>,
}

impl ResizeBilinear {
    /// For pictures of this shape; no side may be 0.
    pub fn new(
        shape: [usize; 4],
        [out_h, out_w]: [usize; 2],
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Self {
        let axis = |len: usize, out: usize| {
            (0..out)
                .map(|i| Neighbours::of(i, len, out, align_corners, half_pixel_centers))
                .collect()
        };
        Self { shape, rows: axis(shape[1], out_h), columns: axis(shape[2], out_w) }
    }

    /// Float pictures.
    pub fn run_f32(&self, input: &[f32], out: &mut [f32]) {
        self.run(input, out, |pixels, down, right, out| {
            let (down, right) = (down.share, right.share);
            let [top, bottom] = pixels;
            let mixed = top[0].iter().zip(top[1]).zip(bottom[0].iter().zip(bottom[1]));
            for (out, ((a, b), (c, d))) in out.iter_mut().zip(mixed) {
                let top = a + (b - a) * right;
                let bottom = c + (d - c) * right;
                *out = top + (bottom - top) * down;
            }
        });
    }

    /// 8-bit pictures; input and output share scale and zero point.
    pub fn run_quantized<T: Quantized>(&self, input: &[T], out: &mut [T]) {
        self.run(input, out, |pixels, down, right, out| {
            let shares = [down.fixed_share(), right.fixed_share()];
            let [top, bottom] = pixels;
            let mixed = top[0].iter().zip(top[1]).zip(bottom[0].iter().zip(bottom[1]));
            for (out, ((&a, &b), (&c, &d))) in out.iter_mut().zip(mixed) {
                let pixels = [[a.into(), b.into()], [c.into(), d.into()]];
                *out = T::from_i32(mix(pixels, shares));
            }
        });
    }

    /// Calls `pixel(the four input pixels, row, column, output pixel)` for each output pixel.
    #[inline]
    fn run<T>(
        &self,
        input: &[T],
        out: &mut [T],
        pixel: impl Fn([[&[T]; 2]; 2], Neighbours, Neighbours, &mut [T]),
    ) {
        let [_, h, w, c] = self.shape;
        let pictures = input.chunks_exact(h * w * c);
        let outs = out.chunks_exact_mut(self.rows.len() * self.columns.len() * c);
        for (input, out) in pictures.zip(outs) {
            let mut pixels = out.chunks_exact_mut(c);
            for &row in &self.rows {
                let lines = row.places.map(|y| &input[y * w * c..(y + 1) * w * c]);
                for (&column, out) in self.columns.iter().zip(&mut pixels) {
                    let pixels = lines.map(|line| column.places.map(|x| &line[x * c..(x + 1) * c]));
                    pixel(pixels, row, column, out);
                }
            }
        }
    }
}
