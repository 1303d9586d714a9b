//! The twin of `src/wgsl/requantize.wgsl`, over every rounding that WGSL allows.
//!
//! A conversion of i32 to f32 and a product of two f32 may go to either neighbor of the exact value.

/// An exact value as the two floats next to it: one, where it is a float itself.
fn neighbors(exact: f64) -> [f32; 2] {
    let nearest = exact as f32;
    let (nearest_exact, next) =
        (f64::from(nearest), |up: bool| if up { nearest.next_up() } else { nearest.next_down() });
    if nearest_exact == exact { [nearest; 2] } else { [nearest, next(exact > nearest_exact)] }
}

/// The results that the shader may have.
fn round_scaled(sum: i32, scale: f32) -> Vec<i32> {
    let mut results = Vec::new();
    for converted in neighbors(f64::from(sum)) {
        // 48 digits: exact in f64.
        for product in neighbors(f64::from(converted) * f64::from(scale)) {
            let product = product.clamp(-512.0, 512.0);
            let rounded = product.round_ties_even();
            let result = if (product - rounded).abs() < 0.5 - 1.0 / 2048.0 {
                rounded as i32
            } else {
                exactly(sum, scale.to_bits())
            };
            if !results.contains(&result) {
                results.push(result);
            }
        }
    }
    results
}

/// `round_scaled_exactly`, line by line.
fn exactly(sum: i32, scale: u32) -> i32 {
    if sum == 0 {
        return 0;
    }
    let mut digits = sum.unsigned_abs();
    let length = 32 - digits.leading_zeros();
    let exponent = length.max(24) - 24;
    digits = shift_ties_even(0, digits, exponent);
    let factor = (scale & 0x7f_ffff) | 0x80_0000;
    let lowest = (digits & 0xfff) * (factor & 0xfff);
    let middle = (digits & 0xfff) * (factor >> 12) + (digits >> 12) * (factor & 0xfff);
    let highest = (digits >> 12) * (factor >> 12);
    let part = lowest.wrapping_add(middle << 12);
    let low = part.wrapping_add(highest << 24);
    let carries = u32::from(part < lowest) + u32::from(low < part);
    let high = (highest >> 8) + (middle >> 20) + carries;
    let bits = if high != 0 { 64 - high.leading_zeros() } else { 32 - low.leading_zeros() };
    let dropped = bits.max(24) - 24;
    let mantissa = shift_ties_even(high, low, dropped);
    let right = 150 - (scale >> 23) as i32 - exponent as i32 - dropped as i32;
    let magnitude = match right {
        ..=0 => mantissa << -right,
        1..32 => shift_ties_even(0, mantissa, right as u32),
        _ => 0,
    };
    if sum < 0 { -(magnitude as i32) } else { magnitude as i32 }
}

fn shift_ties_even(high: u32, low: u32, bits: u32) -> u32 {
    if bits == 0 {
        return low;
    }
    let kept = low >> bits | high.checked_shl(32 - bits).unwrap_or(0);
    let rest = low & ((1 << bits) - 1);
    let half = 1 << (bits - 1);
    kept + u32::from(rest > half || (rest == half && kept & 1 == 1))
}

/// What the CPU computes.
fn expected(sum: i32, scale: f32) -> i32 {
    (sum as f32 * scale).round_ties_even() as i32
}

/// As 8-bit types see it: everything beyond is one value.
fn saturated(value: i32) -> i32 {
    value.clamp(-400, 400)
}

fn check(sum: i32, scale: f32) {
    let expected = saturated(expected(sum, scale));
    for found in round_scaled(sum, scale) {
        assert_eq!(saturated(found), expected, "{sum} * {scale:e}");
    }
}

#[test]
fn every_rounding_that_wgsl_allows_gives_the_bytes_of_the_cpu() {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    for _ in 0..40_000 {
        // Scales from 2^-20 to 2^0, any digits.
        let scale = f32::from_bits((107 + next() % 20) << 23 | next() & 0x7f_ffff);
        // A third of the sums lie next to a tie.
        let tie = f64::from(next() % 512) - 256.5;
        let near = (tie / f64::from(scale)) as i32;
        for sum in
            [next() as i32 >> (next() % 24), near, near.wrapping_add(1), near.wrapping_sub(1)]
        {
            check(sum, scale);
        }
    }
}

#[test]
fn ties_and_extremes_are_exact() {
    for exponent in 1..20 {
        // Powers of two: each odd sum is a tie somewhere.
        let scale = f32::from_bits((127 - exponent) << 23);
        for sum in -2050..2050 {
            check(sum, scale);
        }
    }
    for sum in [i32::MIN, i32::MIN + 1, i32::MAX, 1 << 24, (1 << 24) + 1, (1 << 25) + 3, 0, 1, -1] {
        for scale in [1e-30, 1e-9, 5.9e-8, 0.5, 1.0, 0.999_999_94, 3.9e-3, 255.9, 999.0] {
            check(sum, scale);
        }
    }
}

#[test]
fn the_integer_arithmetic_alone_is_exact() {
    let mut state = 9u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let sum = state as i32 >> (state % 13);
        let scale = f32::from_bits((103 + state % 20) << 23 | state >> 9);
        let product = sum as f32 * scale;
        if product.abs() < 1000.0 {
            assert_eq!(exactly(sum, scale.to_bits()), expected(sum, scale), "{sum} * {scale:e}");
        }
    }
}
