//! SOFTMAX over the last dimension. Arithmetic: see
//! [`reference::softmax`](crate::reference::softmax).

use crate::lookup::Lookup;
use crate::math::powers;
use crate::reduce::extreme_f32;
use crate::requant::builtin::{FixedMultiplier, softmax_element, softmax_exp};
use crate::requant::{Affine, Quantized};
use crate::simd::Native;

/// What a quantised softmax looks up.
#[derive(Clone, Debug)]
pub struct SoftmaxTable {
    /// `exp(-scale * beta * distance)` for distances from the row's greatest element.
    exps: [f32; 256],
    output: Affine,
}

impl SoftmaxTable {
    /// For elements of this scale; `beta` multiplies the real inputs.
    pub fn new(input_scale: f32, beta: f32, output: Affine) -> SoftmaxTable {
        let exps = core::array::from_fn(|distance| softmax_exp(input_scale, beta, distance as i32));
        SoftmaxTable { exps, output }
    }
}

/// Quantised softmax of rows of `depth` elements.
pub fn softmax_quantized<I: Quantized + Ord, O: Quantized>(
    table: &SoftmaxTable,
    depth: usize,
    input: &[I],
    out: &mut [O],
) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let Some(&most) = row.iter().max() else { continue };
        let most: i32 = most.into();
        let exp_of = |x: I| {
            let x: i32 = x.into();
            table.exps[(most - x) as usize & 255]
        };
        // One after another: the order of a float sum is part of the result.
        let sum: f32 = row.iter().map(|&x| exp_of(x)).sum();
        let factor = 1.0 / (sum * table.output.scale);
        for (out, &x) in out.iter_mut().zip(row) {
            *out = softmax_element(exp_of(x) * factor, table.output.zero_point);
        }
    }
}

/// What a softmax of 16-bit elements looks up.
#[derive(Clone, Debug)]
pub struct WideSoftmax {
    /// `exp` of -10 to 0.
    exps: Lookup,
    /// `1 / (1 + x)` of 0 to 1.
    inverses: Lookup,
    /// Brings differences to units of `10 / 65535`.
    multiplier: FixedMultiplier,
}

impl WideSoftmax {
    /// For elements of this scale; `beta` multiplies the real inputs.
    pub fn new(input_scale: f32, beta: f32) -> Self {
        let unit = 2.0 / 65535.0;
        let output = [-32768.0 * unit, 32767.0 * unit];
        Self {
            exps: Lookup::of_range([-10.0, 0.0], output, libm::exp),
            inverses: Lookup::of_range([0.0, 1.0], output, |x| 1.0 / (1.0 + x)),
            multiplier: FixedMultiplier::new(f64::from(input_scale * beta) / (10.0 / 65535.0)),
        }
    }

    /// Softmax of rows of `depth` elements, into units of 2^-15 (`SoftmaxInt16` in
    /// `reference/softmax.h`).
    pub fn run(&self, depth: usize, input: &[i16], out: &mut [i16]) {
        let saturated = |x: i32| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
            let Some(&most) = row.iter().max() else { continue };
            let mut sum = 0i32;
            for (out, &x) in out.iter_mut().zip(row) {
                let difference = self.multiplier.apply(i32::from(x) - i32::from(most));
                *out = self.exps.apply(saturated(difference.saturating_add(32767)));
                sum = sum.wrapping_add(i32::from(*out));
            }
            // The sum as `(1 + x) * 2^n`: at least one element is 1.
            let headroom = sum.leading_zeros().clamp(1, 30);
            let fraction = ((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14;
            let inverse = self.inverses.apply(saturated(fraction as i32 - (1 << 15) - (1 << 16)));
            let shift = 31 - headroom;
            for out in out {
                let product = i64::from(*out) * i64::from(inverse) + (1 << (shift - 1));
                *out = (product >> shift).clamp(0, i16::MAX.into()) as i16;
            }
        }
    }
}

/// Float softmax of rows of `depth` elements; `beta` multiplies the inputs.
#[inline(never)]
pub fn softmax_f32(beta: f32, depth: usize, input: &[f32], out: &mut [f32]) {
    for (row, out) in input.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let most = extreme_f32(row, true);
        let factor = 1.0 / powers::<Native>([beta, most], row, out);
        for out in out {
            *out *= factor;
        }
    }
}
