//! Unary operators on 16-bit tensors by interpolation in a table of 513 entries (`LUTPopulate` and
//! `LUTLookup` in TensorFlow Lite's `common.h`).

use crate::requant::{Affine, Quantized};

/// Steps of the table.
const STEPS: usize = 512;

/// A function from 16-bit elements to 16-bit elements.
#[derive(Clone, Debug)]
pub struct Lookup {
    entries: Vec<i16>,
}

impl Lookup {
    /// The table of `f` between tensors of these scales. Half of the interpolation's error in the
    /// middle of a step is taken off its entry.
    pub fn new(input: Affine, output: Affine, f: impl Fn(f32) -> f32) -> Lookup {
        let (least, most) = (i16::MIN as f32, i16::MAX as f32);
        let real =
            |affine: Affine, element: i32| affine.scale * (element - affine.zero_point) as f32;
        let (input_min, input_max) = (real(input, i16::MIN.into()), real(input, i16::MAX.into()));
        let (out_min, out_max) = (real(output, i16::MIN.into()), real(output, i16::MAX.into()));
        let step = (input_max - input_min) / STEPS as f32;
        let unit = 65536.0 / (out_max - out_min);
        let entry = |i: usize| {
            let x = input_min + i as f32 * step;
            let value = (f(x) * unit).round();
            let next = f(input_min + (i + 1) as f32 * step);
            let interpolated = ((next * unit + value) / 2.0).round();
            let middle = (f(x + step / 2.0) * unit).round();
            let bias = ((interpolated - middle) / 2.0).round();
            (value - bias).clamp(least, most) as i16
        };
        let last = (f(input_max) * unit).round().clamp(least, most) as i16;
        Lookup { entries: (0..STEPS).map(entry).chain([last]).collect() }
    }

    /// The result of an element.
    #[inline]
    pub fn apply(&self, element: i16) -> i16 {
        let index = (256 + (i32::from(element) >> 7)) as usize & (STEPS - 1);
        let base = i32::from(self.entries[index]);
        let slope = i32::from(self.entries[index + 1]) - base;
        // The slope of TensorFlow Lite has 16 bits.
        let slope = i32::from(slope as i16);
        i16::from_i32(base + ((slope * (i32::from(element) & 127) + 64) >> 7))
    }
}
