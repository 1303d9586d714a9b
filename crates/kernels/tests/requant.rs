//! Rounding, by values worked out by hand; the vector forms against the scalar one.

mod common;

use achado_kernels::requant::builtin::{
    Average, BuiltinRescale, FixedMultiplier, average, high_mul_i16, round_shift, softmax_element,
};
use achado_kernels::requant::{
    AddRequantize, Affine, MulRequantize, Quantized, ReduceRequantize, Requantize, Rescale,
    requantise, round_clamped,
};
use achado_kernels::requant_vector::{MOST_PLAIN, VectorRequantize};
use achado_kernels::simd::Simd;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn ties_go_to_even() {
    let of = |accumulator| requantise(accumulator, 0.5, 10, -128, 127);
    assert_eq!([-5, -3, -1, 0, 1, 3, 5].map(of), [8, 8, 10, 10, 10, 12, 12]);
}

#[test]
fn requantise_saturates_at_the_ends_of_its_types() {
    assert_eq!(requantise(i32::MAX, 1.0, 127, -128, 127), 127);
    assert_eq!(requantise(i32::MIN, 1.0, -128, -128, 127), -128);
    assert_eq!(requantise(i32::MAX, 1e30, 127, -128, 127), 127);
    assert_eq!(requantise(i32::MIN, 1e30, 127, -128, 127), -128);
    assert_eq!(requantise(1, 1e-30, 255, 0, 255), 255);
    assert_eq!(requantise(-1000, 1.0, 3, 5, 9), 5, "a fused activation's bound");
}

#[test]
fn accumulators_round_to_float_first() {
    // 2^24 + 1 has no f32: it becomes 2^24, half of which is 2^23.
    assert_eq!(requantise((1 << 24) + 1, 0.5, 0, i32::MIN, i32::MAX), 1 << 23);
}

#[test]
fn scales_are_for_the_tensor_or_the_channel() {
    let of = |scale: &[f32]| {
        let requant = Requantize { scale, fixed: None, zero_point: 1, min: 0, max: 255 };
        [requant.apply(100, 0), requant.apply(100, 1)]
    };
    assert_eq!(of(&[0.25]), [26, 26]);
    assert_eq!(of(&[0.25, 0.5]), [26, 51]);
}

#[test]
fn the_vector_form_equals_requantise() {
    for accumulator in (-70_000..70_000).chain([i32::MIN, i32::MAX]) {
        for (scale, zero_point, [min, max]) in
            [(0.5, -128, [-128, 127]), (0.01, 255, [0, 255]), (0.003_7, 3, [3, 90])]
        {
            assert_eq!(
                round_clamped(accumulator as f32 * scale, zero_point, [min, max]),
                requantise(accumulator, scale, zero_point, min, max),
                "{accumulator} by {scale}"
            );
        }
    }
}

/// Bytes of 16 accumulators by each of the two vector forms, the short one where it is allowed.
fn by_vectors<S: Simd>(
    accumulators: &[i32; 16],
    scale: f32,
    requant: &Requantize,
) -> [[u8; 16]; 2] {
    let is_signed = requant.min < 0;
    let vector = VectorRequantize::<S>::of_sign(requant, is_signed);
    // SAFETY: 16 accumulators are four vectors, 16 bytes one.
    unsafe {
        let load = |i: usize| S::load(accumulators.as_ptr().add(i * 4));
        let sums = core::array::from_fn(load);
        let scale = S::f32x4_splat(scale);
        let mut bytes = [[0; 16]; 2];
        let long = sums.map(|sum| vector.apply(sum, scale));
        S::store(bytes[0].as_mut_ptr(), vector.narrow(long));
        let short = sums.map(|sum| vector.apply_plain(sum, scale));
        S::store(bytes[1].as_mut_ptr(), vector.narrow_plain(short));
        bytes
    }
}

#[test]
fn vectors_equal_requantise_the_long_way_and_the_short_one() {
    fn body<S: Simd>() {
        for (zero_point, [min, max]) in [(-128, [-128, 127]), (5, [-128, 127]), (255, [0, 255])] {
            for scale in [0.5f32, 0.013, 1.0 / 1024.0, 30.0] {
                let requant = Requantize { scale: &[], fixed: None, zero_point, min, max };
                // The largest products that the short way takes, ties, and what lies between.
                let most = (MOST_PLAIN / scale) as i32 - 1;
                let step = (most / 500).max(1) as usize;
                for first in (-most..most - 16).step_by(step).chain([-8, most - 16]) {
                    let accumulators: [i32; 16] = core::array::from_fn(|i| first + i as i32);
                    let expected =
                        accumulators.map(|a| requantise(a, scale, zero_point, min, max) as u8);
                    let found = by_vectors::<S>(&accumulators, scale, &requant);
                    assert_eq!([expected; 2], found, "{} {first} by {scale}", S::NAME);
                }
            }
        }
    }
    each_level!(body);
}

#[test]
fn affine_rounds_before_the_zero_point_and_tables_after() {
    let odd = Affine { scale: 1.0, zero_point: 3 };
    assert_eq!([0.5, 1.5, -0.5].map(|x| odd.quantise::<i8>(x)), [3, 5, 3]);
    assert_eq!([0.5, 1.5, -0.5].map(|x| odd.table_entry::<i8>(x)), [4, 4, 2]);
    assert_eq!(odd.quantise::<u8>(f32::INFINITY), 255);
    assert_eq!(odd.quantise::<i8>(f32::NEG_INFINITY), -128);
    assert_eq!(odd.quantise::<u8>(f32::NAN), 3);
    assert_eq!(Affine { scale: 0.25, zero_point: -3 }.dequantise(5), 2.0);
}

#[test]
fn activation_bounds_differ_by_runtime() {
    // 6 / 0.8 = 7.5: ties to even after the zero point, or away from zero before it.
    let affine = Affine { scale: 0.8, zero_point: 1 };
    assert_eq!(affine.activation_bounds::<i8>([0.0, 6.0]), [1, 8]);
    assert_eq!(affine.builtin_activation_bounds::<i8>([0.0, 6.0]), [1, 9]);
    let all = [f32::NEG_INFINITY, f32::INFINITY];
    assert_eq!(affine.activation_bounds::<u8>(all), [0, 255]);
    assert_eq!(affine.builtin_activation_bounds::<i8>(all), [-128, 127]);
}

#[test]
fn rescale_keeps_the_ratio_in_256ths() {
    let rescale = |from: f32, to: f32| {
        let affine = |scale, zero_point| Affine { scale, zero_point };
        Rescale::new(affine(from, 2), affine(to, -1))
    };
    // 0.7 is 179 / 256; 10 * 179 = 1790, plus 128, is 7 times 256 and a rest.
    assert_eq!(rescale(0.7, 1.0).unwrap().apply::<i8>(12), 6);
    // A half is rounded upwards on both sides of zero.
    assert_eq!([3, 1].map(|x| rescale(0.5, 1.0).unwrap().apply::<i8>(x)), [0, -1]);
    assert_eq!(rescale(100.0, 1.0).unwrap().apply::<i8>(127), 127);
    assert!(rescale(129.0, 1.0).is_none());
    assert!(rescale(1.0, 300.0).is_none());
}

#[test]
fn add_has_multipliers_of_21_bits() {
    let affine = |scale, zero_point| Affine { scale, zero_point };
    let add = AddRequantize::new(affine(0.5, 0), affine(0.25, 4), affine(1.0, 10), false);
    let AddRequantize::Shift { first, second, bias, shift, zero_point } = add else {
        panic!("{add:?}")
    };
    assert_eq!((first, second, shift, zero_point), (1 << 20, 1 << 19, 21, 10));
    assert_eq!(bias, (1 << 20) - 4 * (1 << 19));
    // 3 * 0.5 + (10 - 4) * 0.25 = 3; a tie, 2.5, goes up; so does -2.5.
    assert_eq!([(3, 10), (2, 10), (-2, -2)].map(|(a, b)| add.apply(a, b)), [13, 13, 8]);
    let sub = AddRequantize::new(affine(0.5, 0), affine(0.25, 4), affine(1.0, 10), true);
    assert_eq!(sub.apply(4, 8), 11);
    let far = AddRequantize::new(affine(1.0, 0), affine(1.0, 0), affine(0.003_906_25, 0), false);
    assert!(matches!(far, AddRequantize::Builtin { .. }), "a ratio of 256");
    assert_eq!(far.apply(1, -3), -512);
}

#[test]
fn mul_turns_to_fixed_point_for_far_scales() {
    let affine = |scale| Affine { scale, zero_point: 0 };
    let near = MulRequantize::new(affine(0.5), affine(0.5), affine(1.0));
    assert!(matches!(near, MulRequantize::Float(0.25)));
    assert_eq!([2, 6, -2].map(|x| near.apply(x, 1, [-128, 127])), [1, 3, 1]);
    let far = MulRequantize::new(affine(16.0), affine(16.0), affine(1.0));
    assert!(matches!(far, MulRequantize::Builtin(_)));
    assert_eq!(far.apply(-1, 200, [-128, 127]), -56);
}

#[test]
fn reductions_fold_the_zero_point_in() {
    let affine = |scale, zero_point| Affine { scale, zero_point };
    // The mean of 4 elements less 3, doubled, plus 5: sums 10, 13 and 14 give 4, 5.5 and 6.
    let mean = ReduceRequantize::mean(affine(1.0, 3), affine(0.5, 5), 4);
    assert_eq!([10, 13, 14].map(|sum| mean.apply::<i8>(sum)), [4, 6, 6]);
    let sum = ReduceRequantize::sum(affine(1.0, 3), affine(2.0, 5), 4);
    assert_eq!([12, 14, 1000, -1000].map(|s| sum.apply::<u8>(s)), [5, 6, 255, 0]);
}

#[test]
fn fixed_multipliers_are_normalised() {
    let of = |multiplier| {
        let FixedMultiplier { fraction, shift } = FixedMultiplier::new(multiplier);
        (fraction, shift)
    };
    assert_eq!(of(0.5), (1 << 30, 0));
    assert_eq!(of(1.0), (1 << 30, 1));
    assert_eq!(of(0.75), (3 << 29, 0));
    assert_eq!(of(0.0), (0, 0));
    assert_eq!(of(1e-300), (0, 0));
    assert_eq!(of(-0.5), (-(1 << 30), 0));
    // All ones: rounds up to the next power of two.
    assert_eq!(of(1.0 - f64::EPSILON / 2.0), (1 << 30, 1));
}

#[test]
fn fixed_multiplication_rounds_twice() {
    let quarter = FixedMultiplier::new(0.25);
    // 0.25 is a half shifted by one: 5 is 2.5, so 3, then 1.5, so 2; half upwards the same.
    assert_eq!([4, 5, 6, -5, -6].map(|x| quarter.apply(x)), [1, 2, 2, -1, -2]);
    assert_eq!([4, 5, 6, -5, -6].map(|x| quarter.apply_half_up(x)), [1, 2, 2, -1, -1]);
    assert_eq!(FixedMultiplier::new(8.0).apply(-3), -24);
    assert_eq!(round_shift(-6, 2), -2, "away from zero");
    assert_eq!(round_shift(6, 2), 2);
    assert_eq!(round_shift(7, 0), 7);
    assert_eq!(round_shift(i32::MIN, 31), -1);
    assert_eq!(high_mul_i16(i16::MIN, i16::MIN), i16::MAX);
    assert_eq!(high_mul_i16(16384, 3), 2, "1.5, away from zero");
}

#[test]
fn averages_round_away_from_zero() {
    assert_eq!([5, 6, 7, -6, -5, 0].map(|sum| average(sum, 4)), [1, 2, 2, -2, -1, 0]);
    assert_eq!(average(3, 0), 0);
    for count in [1, 2, 3, 4, 7, 9, 49, 64, 100, 1000, 32_768, 40_000] {
        let fast = Average::of(count);
        let count = count as i32;
        let ends = (-600..600).flat_map(|i| [i, 255 * count - i, -128 * count + i]);
        for sum in
            ends.chain((0..255).flat_map(|q| (-2..2).map(move |d| q * count + count / 2 + d)))
        {
            assert_eq!(fast.apply(sum), average(sum, count), "{sum} / {count}");
        }
    }
}

#[test]
fn builtin_activations_clamp_after_rescaling() {
    let affine = |scale, zero_point| Affine { scale, zero_point };
    let relu6 = BuiltinRescale::relu::<i8>(affine(0.1, -100), affine(0.1, -100), [0.0, 6.0]);
    assert_eq!(
        [-128, -100, -70, -40, 127].map(|x| relu6.apply::<i8>(x)),
        [-100, -100, -70, -40, -40]
    );
    let across = BuiltinRescale::quantize::<i8>(affine(0.1, 128), affine(0.1, 0));
    assert_eq!([0, 128, 255].map(|x| across.apply::<i8>(x)), [-128, 0, 127]);
}

#[test]
fn probabilities_round_away_from_zero() {
    assert_eq!(softmax_element::<u8>(255.9, 0), 255);
    assert_eq!(softmax_element::<u8>(0.5, 0), 1);
    assert_eq!(softmax_element::<i8>(0.5, -128), -127);
    // Just below one half: the sum 0.5 + x rounds to 1 in the form for uint8.
    assert_eq!(softmax_element::<u8>(0.499_999_97, 0), 1);
    assert_eq!(softmax_element::<i8>(0.499_999_97, -128), -128);
}

#[test]
fn elements_saturate() {
    assert_eq!([-129, -128, 127, 128].map(i8::saturated), [-128, -128, 127, 127]);
    assert_eq!([-1, 0, 255, 256].map(u8::saturated), [0, 0, 255, 255]);
}
