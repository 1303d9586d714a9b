//! How TensorFlow Lite's built-in kernels round: gemmlowp's fixed point, for the most part.

use super::{Affine, Quantized};

/// A real multiplier as a 31-bit fraction in `0.5..1` and a power of two
/// (`quantization_util.cc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedMultiplier {
    /// The fraction times 2^31.
    pub fraction: i32,
    /// The power of two: positive to the left.
    pub shift: i32,
}

impl FixedMultiplier {
    /// The nearest fixed-point number to a multiplier; ties away from zero. Multipliers below
    /// 2^-32 become 0; those of 2^31 and above saturate.
    pub fn new(multiplier: f64) -> FixedMultiplier {
        let bits = multiplier.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as i32;
        if exponent == 0 {
            return FixedMultiplier { fraction: 0, shift: 0 };
        }
        // The same digits with the exponent of 0.5..1.
        let digits = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
        let mut shift = exponent - 1022;
        let mut fraction = (digits * f64::from(1u32 << 31)).round() as i64;
        if fraction.abs() == 1 << 31 {
            fraction /= 2;
            shift += 1;
        }
        if shift < -31 {
            return FixedMultiplier { fraction: 0, shift: 0 };
        }
        FixedMultiplier { fraction: fraction as i32, shift: shift.min(31) }
    }

    /// For sums of products: `first scale * second scale` in f32, over the output's in f64
    /// (`GetQuantizedConvolutionMultipler` in `kernel_util.cc`).
    pub fn of_products(first: Affine, second: Affine, output: Affine) -> FixedMultiplier {
        Self::new(f64::from(first.scale * second.scale) / f64::from(output.scale))
    }

    /// `x` times the multiplier, rounded twice: to the high half of the doubled product (half a
    /// unit away from zero), then to the right shift (ties away from zero). `common.cc`,
    /// `MultiplyByQuantizedMultiplier` in its default, double-rounding form.
    #[inline]
    pub fn apply(self, x: i32) -> i32 {
        let left = self.shift.max(0) as u32;
        let right = (-self.shift).max(0) as u32;
        round_shift(high_mul(x.wrapping_shl(left), self.fraction), right)
    }

    /// `x` times the multiplier, with both roundings half upwards: as the vector instructions do
    /// (`vqrdmulh`, `vrshl`), which some built-in kernels use for their blocks of 16 elements.
    #[inline]
    pub fn apply_half_up(self, x: i32) -> i32 {
        let left = self.shift.max(0) as u32;
        let right = (-self.shift).max(0) as u32;
        let product = i64::from(x.wrapping_shl(left)) * i64::from(self.fraction);
        let high = ((product + (1 << 30)) >> 31).min(i64::from(i32::MAX));
        ((high + (1i64 << right >> 1)) >> right) as i32
    }

    /// [`apply`](Self::apply) as it comes out in DIV, which shifts by more than 31 bits where the
    /// dividend is small. Gemmlowp defines no such shift; processors take it modulo 32, so that
    /// TensorFlow Lite's quotients near 0 are large numbers there, and so they are here.
    #[inline]
    pub fn apply_any_shift(self, x: i32) -> i32 {
        if self.shift >= -31 {
            return self.apply(x);
        }
        let high = high_mul(x, self.fraction);
        (high >> (-self.shift & 31)).saturating_add(i32::from(high >= 0))
    }

    /// [`apply`](Self::apply) for 48-bit numbers, with the fraction in 15 bits, rounded half up
    /// (`MultiplyByQuantizedMultiplier` of `int64_t` in `common.cc`).
    #[inline]
    pub fn apply_wide(self, x: i64) -> i32 {
        let fraction =
            if self.fraction < 0x7fff_0000 { (self.fraction + (1 << 15)) >> 16 } else { 0x7fff };
        let right = (15 - self.shift).clamp(1, 62);
        let product = x.wrapping_mul(fraction.into()).wrapping_add(1 << (right - 1));
        (product >> right) as i32
    }

    /// `1 / x` for a whole number above 0, in gemmlowp's fixed point (`GetReciprocal` in
    /// `common.h`): the fraction of `x / 2^n` in `1..2`, inverted by three Newton steps. 0, which
    /// has no inverse, gives what the same digits give there.
    pub fn reciprocal(x: i32) -> FixedMultiplier {
        let headroom = x.leading_zeros();
        let digits = x.unsigned_abs().checked_shl(headroom).unwrap_or(0);
        let fraction = inverse_of_one_plus(digits.wrapping_sub(1 << 31) as i32);
        FixedMultiplier { fraction, shift: headroom as i32 - 31 }
    }

    /// `1 / sqrt(x)` for a count of squares, by five Newton steps in fixed point
    /// (`GetInvSqrtQuantizedMultiplierExp` in `common.h`). 0 counts as 1.
    pub fn inverse_sqrt(x: i32) -> FixedMultiplier {
        if x <= 1 {
            return FixedMultiplier { fraction: i32::MAX, shift: 0 };
        }
        let (mut x, mut right) = (x, 11);
        while x >= 1 << 29 {
            x /= 4;
            right += 1;
        }
        // As far to the left as leaves two bits, in pairs.
        let pairs = (x.leading_zeros() as i32 - 1) / 2 - 1;
        right -= pairs;
        x <<= 2 * pairs;
        // Three bits before the point; products have more, and are shifted back.
        let narrow = |x: i32, bits: u32| {
            (i64::from(x) << bits).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
        };
        let half_input = round_shift(x >> 1, 1);
        let three_halves = (1 << 28) + (1 << 27);
        let mut root = 1 << 28;
        for _ in 0..5 {
            let cube = narrow(high_mul(high_mul(root, root), root), 6);
            let next = high_mul(three_halves, root).wrapping_sub(high_mul(half_input, cube));
            root = narrow(next, 3);
        }
        // Times half the square root of 2.
        let mut fraction = high_mul(root, 1_518_500_250);
        if right < 0 {
            fraction = fraction.wrapping_shl(right.unsigned_abs());
            right = 0;
        }
        FixedMultiplier { fraction, shift: -right }
    }

    /// The fraction in 16 bits, rounded half up (`DownScaleInt32ToInt16Multiplier`).
    pub fn fraction_i16(self) -> i16 {
        ((i64::from(self.fraction) + (1 << 15)) >> 16).min(i64::from(i16::MAX)) as i16
    }
}

/// Scales of sums of products, as the built-in convolutions have them.
#[derive(Clone, Copy, Debug)]
pub struct FixedScale<'a> {
    /// One for all output channels, or one each.
    pub multipliers: &'a [FixedMultiplier],
    /// Where halves go.
    pub ties: Ties,
}

/// Where the second rounding of a built-in convolution takes halves: up in the channels before one,
/// as [`FixedMultiplier::apply_half_up`], and in the others away from zero, as
/// [`FixedMultiplier::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ties {
    up_before: usize,
}

impl Ties {
    /// gemmlowp's own functions.
    pub const AWAY_FROM_ZERO: Self = Self { up_before: 0 };
    /// ruy's matrix products.
    pub const UP: Self = Self { up_before: usize::MAX };

    /// Loops over vectors of 8 channels, and over single ones for what is left
    /// (`Quantize` in `optimized_ops.h`).
    pub const fn of_vectors(channels: usize) -> Self {
        Self { up_before: channels / 8 * 8 }
    }

    /// The same for channels counted from `first`.
    #[must_use]
    pub const fn from(self, first: usize) -> Self {
        Self { up_before: self.up_before.saturating_sub(first) }
    }

    /// Whether halves of `channel` go up.
    #[inline]
    pub fn go_up(self, channel: usize) -> bool {
        channel < self.up_before
    }
}

impl FixedScale<'_> {
    /// The multiplier of an output channel.
    #[inline]
    pub fn multiplier(&self, channel: usize) -> FixedMultiplier {
        let Self { multipliers, .. } = self;
        if multipliers.len() == 1 { multipliers[0] } else { multipliers[channel] }
    }

    /// A scaled accumulator of an output channel.
    #[inline]
    pub fn apply(&self, accumulator: i32, channel: usize) -> i32 {
        let multiplier = self.multiplier(channel);
        match self.ties.go_up(channel) {
            false => multiplier.apply(accumulator),
            true => multiplier.apply_half_up(accumulator),
        }
    }

    /// Whether the vector kernels take these scales: below one half, and not below 2^-22. Others
    /// do not occur in networks.
    pub fn fits_vectors(&self) -> bool {
        let range = -MOST_SHIFT..=-1;
        self.multipliers.iter().all(|multiplier| range.contains(&multiplier.shift))
    }
}

/// Bits by which [`FixedScale::fits_vectors`] lets sums be shifted to the right.
pub const MOST_SHIFT: i32 = 21;

/// `round(a * b / 2^31)`, half a unit away from zero, saturated.
#[inline]
fn high_mul(a: i32, b: i32) -> i32 {
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1 << 31)).min(i64::from(i32::MAX)) as i32
}

/// `1 / (1 + x)` for `x` in `0..1`, both in units of 2^-31
/// (`one_over_one_plus_x_for_x_in_0_1` in gemmlowp's `fixedpoint.h`).
fn inverse_of_one_plus(x: i32) -> i32 {
    /// 48/17 and -32/17 in units of 2^-29: the line that is nearest to the inverse.
    const LINE: [i32; 2] = [1_515_870_810, -1_010_580_540];
    let saturating_shl = |x: i32, bits: u32| {
        (i64::from(x) << bits).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    };
    let sum = i64::from(x) + i64::from(i32::MAX);
    let half_denominator = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut inverse = LINE[0].wrapping_add(high_mul(half_denominator, LINE[1]));
    for _ in 0..3 {
        let rest = (1i32 << 29).wrapping_sub(high_mul(half_denominator, inverse));
        inverse = inverse.wrapping_add(saturating_shl(high_mul(inverse, rest), 2));
    }
    saturating_shl(inverse, 1)
}

/// `round(x / 2^bits)`, ties away from zero.
#[inline]
pub fn round_shift(x: i32, bits: u32) -> i32 {
    let mask = (1i64 << bits) - 1;
    let remainder = i64::from(x) & mask;
    let threshold = (mask >> 1) + i64::from(x < 0);
    (i64::from(x) >> bits) as i32 + i32::from(remainder > threshold)
}

/// `round(a * b / 2^15)`, half a unit away from zero, saturated: [`high_mul`] of 16 bits.
#[inline]
pub fn high_mul_i16(a: i16, b: i16) -> i16 {
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)).min(i32::from(i16::MAX)) as i16
}

impl Affine {
    /// `round(x / scale) + zero_point`, ties away from zero, saturated: QUANTIZE in the built-in
    /// kernel (`AffineQuantize`). Not a number becomes the zero point.
    pub fn quantise_builtin<T: Quantized>(self, x: f32) -> T {
        T::saturated(((x / self.scale).round() as i32).saturating_add(self.zero_point))
    }

    /// `round(x * (1.0 / scale)) + zero_point`, ties away from zero, saturated: the entry of a table
    /// in the built-in kernels (`LUTPopulate` in `common.h`): EXP, LOG, GELU.
    pub fn builtin_table_entry<T: Quantized>(self, x: f32) -> T {
        let rounded = (x * (1.0 / self.scale)).round() + self.zero_point as f32;
        T::saturated(rounded as i32)
    }

    /// The elements at which a fused activation clamps, in the built-in kernels
    /// (`kernel_util.cc`): `round(bound / scale) + zero_point`, ties away from zero, within the
    /// type. Infinite bounds are the type's.
    pub fn builtin_activation_bounds<T: Quantized>(self, [low, high]: [f32; 2]) -> [i32; 2] {
        let element =
            |bound: f32| ((bound / self.scale).round() as i32).saturating_add(self.zero_point);
        [element(low).max(T::MIN), element(high).min(T::MAX)]
    }
}

/// The mean of `count` elements from their sum, in AVERAGE_POOL_2D: nearest, ties away from zero.
///
/// The zero points of input and output are equal, so raw elements are averaged
/// (`optimized/integer_ops/pooling.h`, and for uint8 `optimized_ops.h`). The mean of none is 0.
#[inline]
pub fn average(sum: i32, count: i32) -> i32 {
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    (sum + half).checked_div(count).unwrap_or(0)
}

/// [`average`] for many sums, without dividing.
#[derive(Clone, Copy, Debug)]
pub struct Average {
    count: i32,
    inverse: f32,
}

impl Average {
    /// Elements up to which f32 holds the sums of 8-bit elements exactly.
    const MOST: usize = 1 << 15;

    /// Of this many 8-bit elements.
    pub fn of(count: usize) -> Average {
        let count = count.max(1);
        let inverse = if count <= Self::MOST { 1.0 / count as f32 } else { 0.0 };
        Average { count: i32::try_from(count).unwrap_or(i32::MAX), inverse }
    }

    /// Of this many 16-bit elements.
    pub fn wide(count: usize) -> Average {
        Average { inverse: 0.0, ..Average::of(count) }
    }

    /// The mean of elements with this sum.
    #[inline]
    pub fn apply(self, sum: i32) -> i32 {
        if self.inverse == 0.0 {
            return average(sum, self.count);
        }
        let rounded = sum.abs() + self.count / 2;
        // The quotient is at most one off, as `rounded` is exact and two roundings follow.
        let quotient = (rounded as f32 * self.inverse) as i32;
        let rest = rounded - quotient * self.count;
        let quotient = quotient + i32::from(rest >= self.count) - i32::from(rest < 0);
        if sum < 0 { -quotient } else { quotient }
    }
}

/// From one scale and type to another: QUANTIZE between 8-bit tensors in the built-in kernel
/// (`Requantize` in `optimized_ops.h`; the same for all elements, though it rounds ties of the last
/// few of a tensor another way), and RELU, RELU6, RELU_N1_TO_1 (`ReluX` in `reference_ops.h`).
#[derive(Clone, Copy, Debug)]
pub struct BuiltinRescale {
    /// The ratio of the scales.
    pub multiplier: FixedMultiplier,
    /// The input's zero point.
    pub from_zero: i32,
    /// The output's zero point.
    pub to_zero: i32,
    /// Least and greatest output.
    pub bounds: [i32; 2],
    /// Whether to round as [`FixedMultiplier::apply_half_up`].
    half_up: bool,
}

impl BuiltinRescale {
    /// For QUANTIZE, into elements of `T`. The ratio of the scales is taken in f64.
    pub fn quantize<T: Quantized>(from: Affine, to: Affine) -> BuiltinRescale {
        let ratio = f64::from(from.scale) / f64::from(to.scale);
        Self { half_up: true, ..Self::new(from, to, ratio, [T::MIN, T::MAX]) }
    }

    /// For QUANTIZE from or to elements that are wider than 8 bits.
    pub fn quantize_wide<T: Quantized>(from: Affine, to: Affine) -> BuiltinRescale {
        Self { half_up: false, ..Self::quantize::<T>(from, to) }
    }

    /// For an activation that clamps, with elements of `T` on both sides. The ratio of the scales
    /// is taken in f32.
    pub fn relu<T: Quantized>(from: Affine, to: Affine, bounds: [f32; 2]) -> BuiltinRescale {
        let ratio = f64::from(from.scale / to.scale);
        Self::new(from, to, ratio, to.builtin_activation_bounds::<T>(bounds))
    }

    fn new(from: Affine, to: Affine, ratio: f64, bounds: [i32; 2]) -> BuiltinRescale {
        BuiltinRescale {
            multiplier: FixedMultiplier::new(ratio),
            from_zero: from.zero_point,
            to_zero: to.zero_point,
            bounds,
            half_up: false,
        }
    }

    /// The rescaled element.
    #[inline]
    pub fn apply<T: Quantized>(&self, element: i32) -> T {
        let x = element.wrapping_sub(self.from_zero);
        let scaled =
            if self.half_up { self.multiplier.apply_half_up(x) } else { self.multiplier.apply(x) };
        let scaled = scaled.saturating_add(self.to_zero);
        // Not `clamp`: a zero point outside the type may put the bounds out of order.
        T::saturated(scaled.max(self.bounds[0]).min(self.bounds[1]))
    }
}

/// The power of e that the built-in SOFTMAX keeps for an element `distance` below the greatest of
/// its row (`optimized_ops.h`, `PopulateSoftmaxLookupTable`): f32, correctly rounded.
pub fn softmax_exp(input_scale: f32, beta: f32, distance: i32) -> f32 {
    let exponent = -input_scale * beta * distance as f32;
    libm::exp(f64::from(exponent)) as f32
}

/// From a probability over the output's scale to the element: ties away from zero
/// (`optimized_ops.h`, `QuantizeSoftmaxOutput`).
#[inline]
pub fn softmax_element<T: Quantized>(scaled: f32, zero_point: i32) -> T {
    // The two ways differ just below one half. For uint8 the zero point is 0.
    let rounded = if T::MIN == 0 { scaled + 0.5 } else { scaled.round() };
    T::saturated((rounded as i32).saturating_add(zero_point))
}

/// REDUCE_PROD of quantised elements (`QuantizedReduceProd` in `optimized/reduce.h`): so that no
/// product overflows, each is brought back by `input scale / output scale^(1 / count)`.
#[derive(Clone, Copy, Debug)]
pub struct ProductRequantize {
    multiplier: FixedMultiplier,
    zero_points: [i32; 2],
}

impl ProductRequantize {
    /// For products of `count` elements.
    pub fn new(input: Affine, output: Affine, count: usize) -> ProductRequantize {
        let root = libm::pow(f64::from(output.scale), 1.0 / count as f64);
        ProductRequantize {
            multiplier: FixedMultiplier::new(f64::from(input.scale) / root),
            zero_points: [input.zero_point, output.zero_point],
        }
    }

    /// The product of the elements before, `None` if there are none, times an element.
    #[inline]
    pub fn step<T: Quantized>(&self, product: Option<i32>, element: T) -> Option<i32> {
        let element: i32 = element.into();
        let element = element - self.zero_points[0];
        Some(match product {
            None => element,
            Some(product) => self.multiplier.apply_wide(i64::from(product) * i64::from(element)),
        })
    }

    /// The output's element. The product of nothing is 1.
    #[inline]
    pub fn finish<T: Quantized>(&self, product: Option<i32>) -> T {
        let value = self.multiplier.apply_wide(product.unwrap_or(1).into());
        T::saturated(value.saturating_add(self.zero_points[1]))
    }
}

/// `round(sum * ratio)`, ties away from zero: FULLY_CONNECTED of 16-bit activations
/// (`integer_ops/fully_connected.h`).
#[inline]
pub fn scaled_wide(sum: i64, ratio: f64) -> i32 {
    (sum as f64 * ratio).round() as i32
}

/// MEAN and SUM of 16-bit elements (`QuantizedMeanOrSum` in `reference/reduce.h`).
#[derive(Clone, Copy, Debug)]
pub struct WideMean {
    multiplier: FixedMultiplier,
    /// What the elements' zero points add up to.
    zeros: i64,
    zero_point: i32,
    is_mean: bool,
}

impl WideMean {
    /// For `count` elements. A mean's share of them goes into the multiplier, which keeps all its
    /// digits by as large a shift as there is room for.
    pub fn new(input: Affine, output: Affine, count: usize, is_mean: bool) -> WideMean {
        let ratio = f64::from(input.scale) / f64::from(output.scale);
        let mut multiplier = FixedMultiplier::new(ratio);
        let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
        if is_mean {
            let shift = (count.ilog2() as i32).min(32).min(31 + multiplier.shift);
            multiplier.fraction = ((i64::from(multiplier.fraction) << shift) / count) as i32;
            multiplier.shift -= shift;
        }
        let zeros = i64::from(input.zero_point) * count;
        WideMean { multiplier, zeros, zero_point: output.zero_point, is_mean }
    }

    /// From the sum of the elements.
    #[inline]
    pub fn apply<T: Quantized>(&self, sum: i64) -> T {
        let sum = sum - self.zeros;
        // Means have 32-bit sums there, sums 64-bit ones.
        let value = match self.is_mean {
            true => self.multiplier.apply(sum as i32),
            false => self.multiplier.apply_wide(sum),
        };
        T::saturated(value.saturating_add(self.zero_point))
    }
}
