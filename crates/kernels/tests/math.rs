//! Functions in lanes against f64, over all exponents of float32.

mod common;

use achado_kernels::math::{self, Function};
use achado_kernels::reference::unary::unary_f32;
use achado_kernels::simd::Simd;
use achado_kernels::unary::Unary;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// From one tried float to the next, in bits: all signs and exponents, other digits each time.
const STEP: usize = 8209;

/// The distance from a float to the next larger one.
fn unit(x: f32) -> f64 {
    let x = x.abs().min(f32::MAX);
    f64::from(f32::from_bits(x.to_bits() + 1).min(f32::MAX)) - f64::from(x).min(f64::from(f32::MAX))
}

/// The largest error in units in the last place among results that are off by more than `slack`.
fn check<S: Simd, F: Function>(f: F, operator: Unary, most: f64, slack: fn(f32) -> f64) {
    let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
    let bits = (0..=u32::MAX).step_by(STEP).map(f32::from_bits);
    let near = (-2000..2000).map(|i| i as f32 / 61.0);
    let inputs: Vec<f32> = special.into_iter().chain(bits).chain(near).collect();
    let (mut found, mut expected) = (vec![0.0; inputs.len()], vec![0.0; inputs.len()]);
    math::map::<S, F>(f, &inputs, &mut found);
    unary_f32(operator, &inputs, &mut expected);
    let mut worst = (0.0, 0.0);
    for ((&x, &found), &expected) in inputs.iter().zip(&found).zip(&expected) {
        if expected.is_nan() || x.is_nan() || expected.is_infinite() || x.is_infinite() {
            let is_right = found == expected || (found.is_nan() && expected.is_nan());
            assert!(is_right, "{operator:?}({x}) is {found}, not {expected}");
            continue;
        }
        assert!(found.is_finite(), "{operator:?}({x}) is {found}, not {expected}");
        let error = (f64::from(found) - f64::from(expected)).abs();
        let units = error / unit(expected).max(f64::from(f32::from_bits(1)));
        if units > worst.0 && error > slack(x) {
            worst = (units, x);
        }
    }
    let (units, at) = worst;
    println!("{} {operator:?}: {units:.2} units at {at}", S::NAME);
    assert!(units <= most, "{} {operator:?}({at}) is off by {units} units", S::NAME);
}

fn functions<S: Simd>() {
    let none = |_: f32| 0.0;
    check::<S, _>(math::Exp, Unary::Exp, 2.0, none);
    // As XNNPACK's: 0 where the result would be denormal.
    check::<S, _>(math::Logistic, Unary::Logistic, 2.0, |_| f64::from(f32::MIN_POSITIVE));
    check::<S, _>(math::Tanh, Unary::Tanh, 2.0, none);
    check::<S, _>(math::Elu, Unary::Elu, 2.0, none);
    // What TensorFlow Lite's sum of 1 and a value near -1 may be off by, times half of x.
    let cancelled = |x: f32| f64::from(x.abs()) * f64::from(f32::EPSILON) / 4.0;
    check::<S, _>(math::Gelu, Unary::Gelu { approximate: false }, 4.0, cancelled);
    check::<S, _>(math::GeluByTanh, Unary::Gelu { approximate: true }, 4.0, cancelled);
}

#[test]
fn functions_are_near_f64_everywhere() {
    each_level!(functions);
}

/// Each element by itself, wherever it stands.
fn rests<S: Simd>() {
    let inputs: Vec<f32> = (0..23).map(|i| i as f32 / 3.0 - 4.0).collect();
    let mut whole = [0.0; 23];
    math::map::<S, _>(math::Silu, &inputs, &mut whole);
    for (i, x) in inputs.iter().enumerate() {
        let mut one = [0.0];
        math::map::<S, _>(math::Silu, &[*x], &mut one);
        assert_eq!(one[0].to_bits(), whole[i].to_bits());
    }
}

#[test]
fn an_element_is_the_same_wherever_it_stands() {
    each_level!(rests);
}
