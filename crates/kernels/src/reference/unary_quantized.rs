//! Unary operators on one 8-bit element.
//!
//! LOGISTIC, TANH, ELU (and LEAKY_RELU) are delegated to XNNPACK, which fills a table of 256
//! entries from its `reference/unary-elementwise.cc`: the input dequantised to f32, the function,
//! and [`Affine::table_entry`]. RELU and its kin are
//! [`BuiltinRescale::relu`](crate::requant::builtin::BuiltinRescale::relu), QUANTIZE is
//! [`Rescale`](crate::requant::Rescale) within a type and
//! [`BuiltinRescale::quantize`](crate::requant::builtin::BuiltinRescale::quantize) across.

use crate::requant::builtin::{FixedMultiplier, high_mul_i16, round_shift};
use crate::requant::{Affine, Quantized};

/// LOGISTIC: `e^x / (1 + e^x)` in f64, rounded to f32.
pub fn logistic<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    let x = input.dequantise(element).clamp(-100.0, 100.0);
    let power = libm::exp(f64::from(x));
    output.table_entry((power / (1.0 + power)) as f32)
}

/// TANH.
pub fn tanh<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    output.table_entry(libm::tanhf(input.dequantise(element)))
}

/// ELU.
pub fn elu<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    let x = input.dequantise(element);
    output.table_entry(if x < 0.0 { libm::expm1f(x) } else { x })
}

/// EXP or GELU by the built-in kernel: `f` in f32 through [`Affine::builtin_table_entry`].
pub fn by_lookup<T: Quantized>(
    f: impl Fn(f32) -> f32,
    element: i32,
    input: Affine,
    output: Affine,
) -> T {
    output.builtin_table_entry(f(input.scale * (element - input.zero_point) as f32))
}

/// EXP, as tables have it.
pub fn exp(x: f32) -> f32 {
    libm::expf(x)
}

/// The natural logarithm, as tables have it.
pub fn ln(x: f32) -> f32 {
    libm::logf(x)
}

/// LOG by the built-in kernel (`elementwise.cc`): elements that are not positive give the least
/// output.
pub fn log<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    let least = (T::MIN - output.zero_point) as f32 * output.scale;
    let log = |x: f32| if x <= 0.0 { least } else { ln(x) };
    by_lookup(log, element, input, output)
}

/// GELU (`reference/gelu.h`).
pub fn gelu(x: f32) -> f32 {
    0.5 * x * libm::erfcf(x * -core::f32::consts::FRAC_1_SQRT_2)
}

/// GELU's approximation by tanh (`reference/gelu.h`).
pub fn gelu_by_tanh(x: f32) -> f32 {
    const SQRT_2_BY_PI: f32 = 0.797_884_6;
    0.5 * x * (1.0 + libm::tanhf(SQRT_2_BY_PI * (x + 0.044_715 * x * x * x)))
}

/// NEG by the built-in kernel (`neg.cc`): of the element, whatever the scales are; the least one
/// stays.
pub fn neg<T: Quantized>(element: i32) -> T {
    T::from_i32(-element)
}

/// ABS by the built-in kernel (`elementwise.cc`).
pub fn abs<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    let size = (element - input.zero_point).abs();
    let scaled = if input.scale == output.scale {
        size
    } else {
        FixedMultiplier::new(f64::from(input.scale / output.scale)).apply(size)
    };
    T::saturated(scaled.saturating_add(output.zero_point))
}

/// SQRT by the built-in kernel (`elementwise.cc`): truncated. Negative numbers, which it refuses,
/// count as 0.
pub fn sqrt<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    let root = (input.scale * (element - input.zero_point) as f32).max(0.0).sqrt();
    T::saturated(((root / output.scale) as i32).saturating_add(output.zero_point))
}

/// RSQRT by the built-in kernel (`elementwise.cc`): 0 gives the greatest output. Negative numbers,
/// which it refuses, count as 0.
pub fn rsqrt<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    /// Bits that the root gets to keep.
    const SHIFT: i32 = 20;
    let x = element - input.zero_point;
    if x <= 0 {
        return T::from_i32(T::MAX);
    }
    let root = FixedMultiplier::inverse_sqrt(x);
    let root = FixedMultiplier { shift: root.shift + SHIFT, ..root }.apply(1);
    let scale = FixedMultiplier::new(1.0 / f64::from(input.scale.sqrt() * output.scale));
    let scaled = FixedMultiplier { shift: scale.shift - SHIFT, ..scale }.apply(root);
    T::saturated(scaled.saturating_add(output.zero_point))
}

/// An input of CONCATENATION on the output's scale, as the built-in kernel of uint8
/// (`ConcatenationWithScaling` in `reference/concatenation.h`) has it:
/// `round(element * ratio + bias) + zero_point`, ties away from zero, where
/// `ratio = input scale * (1 / output scale)` and `bias = -input zero * ratio`.
pub fn concatenated<T: Quantized>(element: i32, input: Affine, output: Affine) -> T {
    let ratio = input.scale * (1.0 / output.scale);
    let bias = -(input.zero_point as f32) * ratio;
    let value = (element as f32 * ratio + bias).round() as i32;
    T::saturated(value.saturating_add(output.zero_point))
}

/// LEAKY_RELU.
#[derive(Clone, Copy, Debug)]
pub enum LeakyRelu {
    /// XNNPACK's `qs8-vlrelu`: multipliers in 1/256 for elements above the zero point and for
    /// the others, as in [`Rescale`](crate::requant::Rescale).
    Short {
        /// Above the zero point, and elsewhere.
        multipliers: [i32; 2],
        /// Zero points of input and output.
        zero_points: [i32; 2],
    },
    /// The built-in kernel (`reference/leaky_relu.h`), where a multiplier does not fit.
    Builtin {
        /// For elements not below the zero point, and for the others.
        multipliers: [FixedMultiplier; 2],
        /// Zero points of input and output.
        zero_points: [i32; 2],
    },
}

impl LeakyRelu {
    /// With slope `alpha` below zero.
    pub fn new(alpha: f32, input: Affine, output: Affine) -> LeakyRelu {
        let zero_points = [input.zero_point, output.zero_point];
        let ratio = input.scale / output.scale;
        let below = ratio * alpha;
        let fits = (1.0 / 256.0..=128.0).contains(&ratio)
            && (-127.996_09..=128.0).contains(&below)
            && below.abs() >= 1.0 / 256.0
            && alpha.is_normal();
        if fits {
            let multiplier = |ratio: f32| (256.0 * ratio).round_ties_even() as i32;
            LeakyRelu::Short { multipliers: [multiplier(ratio), multiplier(below)], zero_points }
        } else {
            Self::builtin(alpha, input, output)
        }
    }

    /// The same by the built-in kernel.
    pub fn builtin(alpha: f32, input: Affine, output: Affine) -> LeakyRelu {
        let multiplier = |ratio: f32| FixedMultiplier::new(f64::from(ratio));
        let above = multiplier(input.scale / output.scale);
        let below = multiplier(input.scale * alpha / output.scale);
        let zero_points = [input.zero_point, output.zero_point];
        LeakyRelu::Builtin { multipliers: [above, below], zero_points }
    }

    /// Of one element.
    pub fn apply<T: Quantized>(&self, element: i32) -> T {
        T::saturated(match *self {
            LeakyRelu::Short { multipliers: [above, below], zero_points: [from, to] } => {
                let x = element - from;
                ((x * if x > 0 { above } else { below } + 128) >> 8) + to
            }
            LeakyRelu::Builtin { multipliers: [above, below], zero_points: [from, to] } => {
                let x = element - from;
                if x >= 0 { above.apply(x) + to } else { below.apply(x) + to }
            }
        })
    }
}

/// HARD_SWISH as the built-in kernel has it (`reference/hard_swish.h`), in 16-bit fixed point:
/// XNNPACK takes it in float only.
///
/// The input, shifted left by 7 bits, is multiplied twice: onto the output's scale, and onto the
/// scale where 32768 is 3.0, which saturates, and moved to `0..1` gives the factor of the first.
#[derive(Clone, Copy, Debug)]
pub struct HardSwish {
    zero_points: [i32; 2],
    output: FixedMultiplier,
    reluish: FixedMultiplier,
}

impl HardSwish {
    /// For tensors of these scales.
    pub fn new(input: Affine, output: Affine) -> HardSwish {
        let fine = (1.0 / 128.0) * input.scale;
        HardSwish {
            zero_points: [input.zero_point, output.zero_point],
            output: FixedMultiplier::new(f64::from(fine / output.scale)),
            reluish: FixedMultiplier::new(f64::from(fine / (3.0 / 32768.0))),
        }
    }

    /// Of one element.
    pub fn apply<T: Quantized>(&self, element: i32) -> T {
        let saturated = |x: i32| x.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        let fine = ((element - self.zero_points[0]) * 128) as i16;
        let on_output = high_mul_i16(fine, self.output.fraction_i16());

        let shift = self.reluish.shift;
        let mut factor = fine;
        if shift > 0 {
            factor = saturated(i32::from(factor) << (shift - 1).min(15));
        }
        factor = high_mul_i16(factor, self.reluish.fraction_i16());
        if shift > 0 {
            factor = saturated(i32::from(factor) << 1);
        } else {
            factor = round_shift(i32::from(factor), (-shift) as u32) as i16;
        }
        // From -1..1 to 0..1.
        let factor = (i32::from(factor) + (1 << 15)) >> 1;
        // Truncated towards zero, which cancels the bias of the roundings above.
        let product = factor * i32::from(on_output) / (1 << 15);
        let value = round_shift(product, (-self.output.shift).max(0) as u32);
        T::saturated(value + self.zero_points[1])
    }
}
