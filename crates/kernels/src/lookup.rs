//! Unary operators on 16-bit tensors by interpolation in a table of 513 entries (`LUTPopulate` and
//! `LUTLookup` in TensorFlow Lite's `common.h`), or of 256.

use crate::requant::{Affine, Quantized};

/// Steps of the table.
const STEPS: usize = 512;

/// The entries of a table from an input's range to an output's, in the arithmetic of a float type.
macro_rules! entries {
    ($float:ty, $input:expr, $output:expr, $f:expr) => {{
        let ([input_min, input_max], [out_min, out_max], f) = ($input, $output, $f);
        let (least, most) = (i16::MIN as $float, i16::MAX as $float);
        let step = (input_max - input_min) / STEPS as $float;
        let unit = 65536.0 / (out_max - out_min);
        let entry = |i: usize| {
            let x = input_min + i as $float * step;
            let value = (f(x) * unit).round();
            let next = f(input_min + (i + 1) as $float * step);
            let interpolated = ((next * unit + value) / 2.0).round();
            let middle = (f(x + step / 2.0) * unit).round();
            let bias = ((interpolated - middle) / 2.0).round();
            (value - bias).clamp(least, most) as i16
        };
        let last = (f(input_max) * unit).round().clamp(least, most) as i16;
        (0..STEPS).map(entry).chain([last]).collect()
    }};
}

/// A function from 16-bit elements to 16-bit elements.
#[derive(Clone, Debug)]
pub struct Lookup {
    entries: Vec<i16>,
}

impl Lookup {
    /// The table of `f` between tensors of these scales. Half of the interpolation's error in the
    /// middle of a step is taken off its entry.
    pub fn new(input: Affine, output: Affine, f: impl Fn(f32) -> f32) -> Lookup {
        let real =
            |affine: Affine, element: i32| affine.scale * (element - affine.zero_point) as f32;
        let ends = |affine| [i16::MIN, i16::MAX].map(|element| real(affine, i32::from(element)));
        Lookup { entries: entries!(f32, ends(input), ends(output), f) }
    }

    /// The same in f64, between ranges of real numbers.
    pub fn of_range(input: [f64; 2], output: [f64; 2], f: impl Fn(f64) -> f64) -> Lookup {
        Lookup { entries: entries!(f64, input, output, f) }
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

/// LOGISTIC and TANH of 16-bit elements with a scale of 2^-15 and zero points of 0: a table of the
/// logistic function of `i / 24`, with 16 bits after the point, and interpolation
/// (`integer_ops/logistic.h`, `integer_ops/tanh.h`).
#[derive(Clone, Debug)]
pub struct Sigmoid {
    entries: Vec<u16>,
    /// Brings the input to units of `1 / (3 * 2^12)`.
    multiplier: i32,
    shift: u32,
}

impl Sigmoid {
    /// For inputs of this scale; `None` where it is so large that the kernel's multiplier overflows.
    pub fn new(input_scale: f32) -> Option<Self> {
        let logistic = |i: f64| 65536.0 / (1.0 + libm::exp(-i / 24.0));
        // Half of the interpolation's error in the middle of a step is added.
        let entry = |i: i32| {
            let i = f64::from(i);
            let (low, high) = (logistic(i), logistic(i + 1.0));
            (low + (logistic(i + 0.5) - (low + high) / 2.0) / 2.0).round().min(65535.0) as u16
        };
        let mut multiplier = f64::from(input_scale) * 4096.0 * 3.0;
        let mut shift = 0;
        while multiplier <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        // Products with 16-bit elements have 31 bits.
        (multiplier <= 65535.0).then(|| Self {
            entries: (0..256).map(entry).collect(),
            multiplier: multiplier as i32,
            shift,
        })
    }

    /// The logistic function of an element.
    pub fn logistic(&self, element: i16) -> i16 {
        let input = self.rescaled(element);
        let value = self.interpolated::<9>(input).unwrap_or(0x7fff << 10);
        let value = if input < 0 { (1 << 25) - value + (1 << 9) - 1 } else { value + (1 << 9) };
        (value >> 10) as i16
    }

    /// The hyperbolic tangent of an element: `2 * logistic(2 * x) - 1`.
    pub fn tanh(&self, element: i16) -> i16 {
        let input = self.rescaled(element);
        let value = self.interpolated::<8>(input).unwrap_or(0xffff << 8);
        let value = value - (1 << 23);
        let value = if input < 0 { (1 << 7) - value - 1 } else { value + (1 << 7) };
        (value >> 8) as i16
    }

    fn rescaled(&self, element: i16) -> i32 {
        let round = if self.shift > 0 { 1i32 << (self.shift - 1) } else { 0 };
        i32::from(element).wrapping_mul(self.multiplier).wrapping_add(round) >> self.shift
    }

    /// The entries of a number with this many bits between two of them; `None` behind the last.
    fn interpolated<const BITS: u32>(&self, input: i32) -> Option<i32> {
        let place = input.unsigned_abs();
        let index = (place >> BITS) as usize;
        let &[low, high] = self.entries.get(index..index + 2).filter(|_| index < 255)? else {
            return None;
        };
        let between = (place & ((1 << BITS) - 1)) as i32;
        Some((i32::from(low) << BITS) + between * (i32::from(high) - i32::from(low)))
    }
}
