//! RESIZE_BILINEAR by TensorFlow Lite's built-in kernels: for 16-bit pictures, and for 8-bit ones that
//! XNNPACK declines.

use crate::requant::Quantized;

/// One, in the units of places.
const ONE: i32 = 1 << 10;

/// Where an output place lies in the input.
#[derive(Clone, Copy, Debug)]
struct Tap {
    places: [usize; 2],
    /// Distance from the first place, in `1 / ONE`.
    units: i32,
}

/// The same in floats.
#[derive(Clone, Copy, Debug)]
struct FloatTap {
    places: [usize; 2],
    share: f32,
}

/// RESIZE_BILINEAR of `[n, h, w, c]` to `[n, out_h, out_w, c]`; input and output share scale and zero
/// point.
#[derive(Clone, Debug)]
pub struct BuiltinResize {
    shape: [usize; 4],
    taps: Taps,
}

/// Of rows and columns.
#[derive(Clone, Debug)]
enum Taps {
    Integer([Vec<Tap>; 2]),
    Float([Vec<FloatTap>; 2]),
}

impl BuiltinResize {
    /// For signed elements: places in `1 / 1024` (`ResizeBilinearInteger` in
    /// `reference/resize_bilinear.h`). No side may be 0 or 2^20 and more.
    pub fn signed(
        shape: [usize; 4],
        size: [usize; 2],
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Self {
        let axis = |at: usize| {
            let (len, out) = (shape[at + 1] as i32, size[at] as i32);
            let ends = i32::from(align_corners && out > 1);
            let scale = (ONE * (len - ends) + (out - ends) / 2) / (out - ends);
            let tap = |i: i32| {
                let offset = if half_pixel_centers { scale / 2 - ONE / 2 } else { 0 };
                let place = i * scale + offset;
                let first = (place / ONE).max(0);
                let second = ((place + ONE - 1) / ONE).min(len - 1);
                // Neither is negative: `place` is above `-ONE`.
                Tap { places: [first, second].map(|p| p as usize), units: place - ONE * first }
            };
            (0..out).map(tap).collect()
        };
        Self { shape, taps: Taps::Integer([axis(0), axis(1)]) }
    }

    /// For uint8: in floats (`ResizeBilinearGenericSmallChannel` in `optimized/resize_bilinear.h`).
    pub fn unsigned(
        shape: [usize; 4],
        size: [usize; 2],
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Self {
        let axis = |at: usize| {
            let (len, out) = (shape[at + 1], size[at]);
            let ends = usize::from(align_corners && out > 1);
            let scale = (len - ends) as f32 / (out - ends) as f32;
            let tap = |i: usize| {
                let place = match half_pixel_centers {
                    true => (i as f32 + 0.5) * scale - 0.5,
                    false => i as f32 * scale,
                };
                let first = place.floor().max(0.0);
                let second = (place.ceil().max(0.0) as usize).min(len - 1);
                FloatTap { places: [first as usize, second], share: place - first }
            };
            (0..out).map(tap).collect()
        };
        Self { shape, taps: Taps::Float([axis(0), axis(1)]) }
    }

    /// Resizes pictures.
    pub fn run<T: Quantized>(&self, input: &[T], out: &mut [T]) {
        match &self.taps {
            Taps::Integer([rows, columns]) => {
                self.each(
                    input,
                    out,
                    rows,
                    columns,
                    |tap| tap.places,
                    |pixels, down, right| {
                        let [down, right] = [down, right].map(|tap| [ONE - tap.units, tap.units]);
                        let mut sum = 0i64;
                        for (pixels, down) in pixels.into_iter().zip(down) {
                            for (pixel, right) in pixels.into_iter().zip(right) {
                                sum += i64::from(pixel) * i64::from(down) * i64::from(right);
                            }
                        }
                        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                        ((sum + half) / (1 << 20)) as i32
                    },
                );
            }
            Taps::Float([rows, columns]) => {
                self.each(
                    input,
                    out,
                    rows,
                    columns,
                    |tap| tap.places,
                    |pixels, down, right| {
                        let [[a, b], [c, d]] = pixels.map(|row| row.map(|pixel| pixel as f32));
                        let (down, right) = (down.share, right.share);
                        let sum = a * ((1.0 - down) * (1.0 - right))
                            + b * ((1.0 - down) * right)
                            + c * (down * (1.0 - right))
                            + d * (down * right);
                        (sum + 0.5) as i32
                    },
                );
            }
        }
    }

    /// `mix(the four pixels, row, column)` of each output element.
    fn each<T: Quantized, P: Copy>(
        &self,
        input: &[T],
        out: &mut [T],
        rows: &[P],
        columns: &[P],
        places: impl Fn(P) -> [usize; 2],
        mix: impl Fn([[i32; 2]; 2], P, P) -> i32,
    ) {
        let [_, h, w, c] = self.shape;
        let mut pixels = out.chunks_exact_mut(c);
        for picture in input.chunks_exact(h * w * c) {
            for &row in rows {
                for (&column, out) in columns.iter().zip(&mut pixels) {
                    let at = places(row).map(|y| places(column).map(|x| (y * w + x) * c));
                    for (channel, out) in out.iter_mut().enumerate() {
                        let four = at.map(|row| row.map(|at| picture[at + channel].into()));
                        *out = T::saturated(mix(four, row, column));
                    }
                }
            }
        }
    }
}
