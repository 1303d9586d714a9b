//! Element-wise kernels equal their references, on random shapes, scales and extremes.

mod common;

use achado_kernels::broadcast::Broadcast;
use achado_kernels::mul::MulQuantized;
use achado_kernels::reference::{self, Operand, broadcast_shape};
use achado_kernels::requant::{AddRequantize, Affine, MulRequantize, Quantized};
use achado_kernels::simd::Element;
use achado_kernels::unary::{Unary, unary_f32};
use achado_kernels::{add, dequantize, mul, quantize, table};
use common::Random;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Random cases of a kernel and type.
const ROUNDS: u64 = 300;

/// Two shapes that broadcast: any dimension of either may be 1 or, in front, missing.
fn shapes(random: &mut Random) -> [Vec<usize>; 2] {
    let rank = random.between(0, 6);
    let full: Vec<usize> = (0..rank).map(|_| random.pick(&[1, 2, 3, 5, 17])).collect();
    let mut shape = || -> Vec<usize> {
        let missing = random.pick(&[0, 0, rank / 2, rank]);
        let thinned = random.between(0, 1) == 1;
        full[missing..]
            .iter()
            .map(|&len| if thinned && random.between(0, 1) == 1 { 1 } else { len })
            .collect()
    };
    [shape(), shape()]
}

fn affine<T: Quantized>(random: &mut Random, spread: f32) -> Affine {
    let scale = 0.05 * (random.float() * spread).exp();
    Affine { scale, zero_point: random.zero_point::<T>() }
}

fn bounds<T: Quantized>(random: &mut Random) -> [i32; 2] {
    let [a, b] = [0, 0].map(|_| random.between(0, 255) as i32 + T::MIN);
    random.pick(&[[T::MIN, T::MAX], [T::MIN, T::MAX], [a.min(b), a.max(b)]])
}

fn binary<T: Element>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let [a, b] = shapes(&mut random);
        let broadcast = Broadcast::new(&a, &b).unwrap();
        let len = broadcast_shape(&a, &b).iter().product();
        assert_eq!(broadcast.out_len(), len, "{a:?} {b:?}");
        let x = random.elements::<T>(a.iter().product());
        let y = random.elements::<T>(b.iter().product());
        // Every fourth round is beyond what XNNPACK takes.
        let spread = if seed % 4 == 0 { 5.0 } else { 1.5 };
        let [p, q, o] = [0, 0, 0].map(|_| affine::<T>(&mut random, spread));
        let bounds = bounds::<T>(&mut random);
        let (first, second) =
            (Operand { shape: &a, values: &x }, Operand { shape: &b, values: &y });
        let (mut expected, mut found) = (vec![T::default(); len], vec![T::default(); len]);

        let requant = AddRequantize::new(p, q, o, seed % 2 == 1);
        reference::add::add_quantized(&requant, bounds, first, second, &mut expected);
        add::add_quantized(&broadcast, &requant, bounds, &x, &y, &mut found);
        assert_eq!(expected, found, "ADD, seed {seed}: {a:?} {b:?} {requant:?}");

        let params = MulQuantized {
            requant: MulRequantize::new(p, q, o),
            zero_points: [p, q, o].map(|affine| affine.zero_point),
            bounds,
        };
        reference::mul::mul_quantized(&params, first, second, &mut expected);
        mul::mul_quantized(&broadcast, &params, &x, &y, &mut found);
        assert_eq!(expected, found, "MUL, seed {seed}: {a:?} {b:?} {params:?}");
    }
}

#[test]
fn int8_operators_of_two_operands_equal_the_reference() {
    binary::<i8>();
}

#[test]
fn uint8_operators_of_two_operands_equal_the_reference() {
    binary::<u8>();
}

#[test]
fn float_operators_of_two_operands_equal_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let [a, b] = shapes(&mut random);
        let broadcast = Broadcast::new(&a, &b).unwrap();
        let (x, y) = (random.floats(a.iter().product()), random.floats(b.iter().product()));
        let (first, second) =
            (Operand { shape: &a, values: &x }, Operand { shape: &b, values: &y });
        let activation =
            random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, 0.5], [-0.25, 0.25]]);
        let len = broadcast.out_len();
        let (mut expected, mut found) = (vec![0.0; len], vec![0.0; len]);
        reference::add::add_f32(activation, first, second, &mut expected);
        add::add_f32(&broadcast, activation, &x, &y, &mut found);
        assert_eq!(expected, found, "ADD, seed {seed}: {a:?} {b:?}");
        reference::mul::mul_f32(activation, first, second, &mut expected);
        mul::mul_f32(&broadcast, activation, &x, &y, &mut found);
        assert_eq!(expected, found, "MUL, seed {seed}: {a:?} {b:?}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    assert!(Broadcast::new(&[2, 3], &[2]).is_none());
    assert!(Broadcast::new(&[4, 1], &[3, 2]).is_none());
    assert!(Broadcast::new(&[1; 9], &[1]).is_none());
    assert_eq!(Broadcast::new(&[], &[]).unwrap().out_len(), 1);
    assert_eq!(Broadcast::new(&[0, 3], &[3]).unwrap().out_len(), 0);
}

fn conversions<T: Quantized>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let affine = affine::<T>(&mut random, 3.0);
        let len = random.between(0, 70);
        // Ties, values far outside, and infinities.
        let input: Vec<f32> = (0..len)
            .map(|_| match random.between(0, 3) {
                0 => (random.between(0, 600) as f32 - 300.5) * affine.scale,
                1 => random.pick(&[f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 0.0, -0.0]),
                _ => random.float() * 200.0 * affine.scale,
            })
            .collect();
        let (mut expected, mut found) = (vec![T::default(); len], vec![T::default(); len]);
        reference::quantize::quantize_f32(affine, &input, &mut expected);
        quantize::quantize_f32(affine, &input, &mut found);
        assert_eq!(expected, found, "QUANTIZE, seed {seed}: {affine:?} {input:?}");

        let (mut real, mut again) = (vec![0.0; len], vec![0.0; len]);
        reference::dequantize::dequantize(affine, &found, &mut real);
        dequantize::dequantize(affine, &found, &mut again);
        assert_eq!(real, again, "DEQUANTIZE, seed {seed}: {affine:?}");
    }
}

#[test]
fn conversions_equal_the_reference() {
    conversions::<i8>();
    conversions::<u8>();
}

#[test]
fn tables_hold_every_element() {
    let table = table::from_fn::<i8, u8>(|x| u8::from_i32(x + 128));
    let input: Vec<u8> = (0..=255).collect();
    let mut out = vec![0; 256];
    table::apply(&table, &input, &mut out);
    assert_eq!(out[0], 128, "the bits of 0");
    assert_eq!(out[128], 0, "the bits of -128");
    assert_eq!(out[255], 127, "the bits of -1");
}

/// Relative, or absolute below 1: what TensorFlow Lite's own float kernels differ by.
const UNARY_TOLERANCE: f64 = 1e-6;

#[test]
fn float_operators_of_one_operand_equal_the_reference() {
    let operators = [
        Unary::Abs,
        Unary::Ceil,
        Unary::Cos,
        Unary::Elu,
        Unary::Exp,
        Unary::Floor,
        Unary::Gelu { approximate: false },
        Unary::Gelu { approximate: true },
        Unary::HardSwish,
        Unary::LeakyRelu { alpha: 0.3 },
        Unary::Log,
        Unary::Logistic,
        Unary::Neg,
        Unary::Relu,
        Unary::Relu6,
        Unary::Relu0To1,
        Unary::ReluN1To1,
        Unary::Round,
        Unary::Rsqrt,
        Unary::Sign,
        Unary::Sin,
        Unary::Sqrt,
        Unary::Square,
        Unary::Tanh,
    ];
    let mut random = Random::new(7);
    // Small, middle and large magnitudes of both signs; a length that fills no vector.
    let input: Vec<f32> = (0..5003)
        .map(|i| random.float() * [1e-4, 0.3, 1.0, 10.0, 90.0][i % 5])
        .chain([0.0, 88.7, -88.7, 3.0, -3.0, 0.5, 1.5, 2.5])
        .collect();
    let (mut expected, mut found) = (vec![0.0; input.len()], vec![0.0; input.len()]);
    for operator in operators {
        reference::unary::unary_f32(operator, &input, &mut expected);
        unary_f32(operator, &input, &mut found);
        for ((&e, &f), x) in expected.iter().zip(&found).zip(&input) {
            let error = (f64::from(e) - f64::from(f)).abs();
            let allowed = UNARY_TOLERANCE * f64::from(e.abs()).max(1.0);
            let same = e == f || (e.is_nan() && f.is_nan());
            assert!(same || error <= allowed, "{operator:?}({x}) is {e}, found {f}");
        }
    }
}

#[test]
fn float_operators_keep_infinities_and_nan() {
    let input = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let of = |operator| {
        let mut out = [0.0; 3];
        unary_f32(operator, &input, &mut out);
        out
    };
    assert_eq!(of(Unary::Exp)[..2], [f32::INFINITY, 0.0]);
    assert_eq!(of(Unary::Logistic)[0], 1.0);
    assert!(of(Unary::Logistic)[1] < f32::MIN_POSITIVE);
    assert_eq!(of(Unary::Tanh)[..2], [1.0, -1.0]);
    assert_eq!(of(Unary::Relu6)[..2], [6.0, 0.0]);
    assert_eq!(of(Unary::Elu)[..2], [f32::INFINITY, -1.0]);
    for operator in [Unary::Exp, Unary::Logistic, Unary::Tanh, Unary::Relu6, Unary::HardSwish] {
        assert!(of(operator)[2].is_nan(), "{operator:?}");
    }
}
