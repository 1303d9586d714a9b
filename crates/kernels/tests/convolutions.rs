//! Convolutions: every level equals the reference, on random shapes of every class.

mod common;

use std::sync::Arc;

use achado_kernels::conv2d::{Conv2dFloat, Conv2dQuantized};
use achado_kernels::depthwise_conv2d::{DepthwiseFloat, DepthwiseQuantized};
use achado_kernels::fully_connected::{FullyConnectedFloat, FullyConnectedQuantized};
use achado_kernels::gemm::bytes::ByteDot;
use achado_kernels::gemm::float::{PackedWeights, pack_halves_in_place, pack_in_place};
use achado_kernels::reference::conv2d::{Conv2dShape, conv2d_f32, conv2d_quantized};
use achado_kernels::reference::depthwise_conv2d::{
    DepthwiseShape, depthwise_conv2d_f32, depthwise_conv2d_quantized,
};
use achado_kernels::reference::fully_connected::{fully_connected_f32, fully_connected_quantized};
use achado_kernels::reference::{FloatWeights, QuantizedWeights};
use achado_kernels::shared::Shared;
use achado_kernels::simd::{Element, Simd};
use common::{Random, scratch};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Sums of up to a thousand products in another order, of values below 1.
const FLOAT_TOLERANCE: f32 = 1e-4;

/// Random convolutions of one level and one pair of types.
const ROUNDS: u64 = 500;

#[track_caller]
fn assert_near(expected: &[f32], found: &[f32], context: &dyn core::fmt::Debug) {
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        assert!((e - f).abs() <= FLOAT_TOLERANCE, "{i}: {e} is not {f} in {context:?}");
    }
}

/// The kernels that this level can run on this machine: by words, and by bytes.
fn byte_dots<S: Simd>() -> Vec<Option<ByteDot>> {
    let mut dots = vec![None];
    dots.extend(ByteDot::probe::<S>().map(Some));
    // A machine with unsigned dot products has the saturating pair sums of x86, too.
    if dots.contains(&Some(ByteDot::Unsigned)) {
        dots.push(Some(ByteDot::PairSum));
    }
    dots
}

#[test]
fn byte_dots_are_found_out() {
    use achado_kernels::simd::Portable;
    assert_eq!(ByteDot::probe::<Portable>(), Some(ByteDot::Unsigned));
    assert_eq!(ByteDot::probe::<Portable<true>>(), Some(ByteDot::Signed));
    fn body<S: Simd>() {
        println!("{}: {:?}", S::NAME, ByteDot::probe::<S>());
    }
    each_level!(body);
}

/// Where a kernel splits its output for threads: any place gives the same.
fn split(random: &mut Random, pixels: usize) -> [core::ops::Range<usize>; 2] {
    let middle = random.between(0, pixels);
    [0..middle, middle..pixels]
}

fn conv2d<S: Simd, T: Element, W: Element>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let shape = random.conv2d_shape();
        let Conv2dShape { window, in_c, out_c, groups } = shape;
        let k = window.kernel_h * window.kernel_w * in_c / groups;
        let input = random.elements::<T>(window.batch * window.in_h * window.in_w * in_c);
        let values = random.weights::<W>(out_c * k);
        let bias: Vec<i32> = (0..out_c).map(|_| (random.float() * 3000.0) as i32).collect();
        let weights = QuantizedWeights {
            values: &values,
            zero_point: if W::MIN == 0 { random.zero_point::<W>() } else { 0 },
            bias: (seed % 3 > 0).then_some(&bias),
        };
        let (zero_point, requant) = (random.zero_point::<T>(), random.requant::<T>(out_c, k));
        let mut expected = vec![T::default(); window.out_pixels() * out_c];
        conv2d_quantized(&shape, &input, zero_point, &weights, &requant.get(), &mut expected);

        for byte_dot in byte_dots::<S>() {
            let requant = requant.get();
            let fast =
                Conv2dQuantized::new::<T, W>(shape, zero_point, &weights, &requant, byte_dot);
            let mut scratch = scratch(fast.scratch_bytes());
            let mut found = vec![T::default(); expected.len()];
            for pixels in split(&mut random, window.out_pixels()) {
                let out = &mut found[pixels.start * out_c..pixels.end * out_c];
                fast.run::<S, T>(&input, pixels, out, &mut scratch);
            }
            assert_eq!(expected, found, "{} {byte_dot:?} seed {seed}: {shape:?}", S::NAME);
        }
    }
}

#[test]
fn conv2d_of_int8_equals_the_reference() {
    fn body<S: Simd>() {
        conv2d::<S, i8, i8>();
    }
    each_level!(body);
}

#[test]
fn conv2d_of_uint8_equals_the_reference() {
    fn body<S: Simd>() {
        conv2d::<S, u8, u8>();
    }
    each_level!(body);
}

#[test]
fn conv2d_of_float_is_near_the_reference() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let shape = random.conv2d_shape();
            let Conv2dShape { window, in_c, out_c, groups } = shape;
            let k = window.kernel_h * window.kernel_w * in_c / groups;
            let input = random.floats(window.batch * window.in_h * window.in_w * in_c);
            let (values, bias) = (random.floats(out_c * k), random.floats(out_c));
            let activation =
                random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, 6.0], [-1.0, 1.0]]);
            let weights = FloatWeights { values: &values, bias: Some(&bias), activation };
            let mut expected = vec![0.0; window.out_pixels() * out_c];
            conv2d_f32(&shape, &input, &weights, &mut expected);

            let fast = Conv2dFloat::new(shape, &weights);
            let mut scratch = scratch(fast.scratch_bytes());
            let mut found = vec![0.0; expected.len()];
            for pixels in split(&mut random, window.out_pixels()) {
                let out = &mut found[pixels.start * out_c..pixels.end * out_c];
                fast.run::<S>(&input, pixels, out, &mut scratch);
            }
            assert_near(&expected, &found, &(S::NAME, seed, shape));

            if groups == 1 {
                let packed = Conv2dFloat::with_packed(shape, packed_in_place(out_c, k, &weights));
                let mut again = vec![0.0; expected.len()];
                packed.run::<S>(&input, 0..window.out_pixels(), &mut again, &mut scratch);
                assert_near(&expected, &again, &(S::NAME, seed, shape));
            }
        }
    }
    each_level!(body);
}

/// The weights in the memory in which they come, between others.
fn packed_in_place(columns: usize, k: usize, weights: &FloatWeights) -> PackedWeights {
    let [min, max] = weights.activation;
    let mut file = vec![7.0f32; 3];
    file.extend(weights.values);
    file.push(7.0);
    pack_in_place(k, &mut file[3..3 + columns * k]);
    let bytes: Vec<u8> = file.iter().flat_map(|x| x.to_le_bytes()).collect();
    let end = bytes.len() - 4;
    let weights_in_file = Shared::new(Arc::new(bytes), 12..end).expect("floats");
    PackedWeights::in_place(columns, k, weights_in_file, weights.bias, (min, max))
}

fn depthwise_shape(random: &mut Random) -> DepthwiseShape {
    let squares = [1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9].map(|side| [side, side]);
    let others = [[3, 1], [1, 7], [9, 4], [11, 2]];
    let kernel = random.pick(&[&squares[..], &others].concat());
    let in_c = random.pick(&[1, 3, 4, 7, 8, 9, 16, 19, 40]);
    DepthwiseShape { window: random.window(kernel), in_c, multiplier: 1 }
}

fn depthwise<S: Simd, T: Element, W: Element>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let shape = depthwise_shape(&mut random);
        let DepthwiseShape { window, in_c, .. } = shape;
        let k = window.kernel_h * window.kernel_w;
        let input = random.elements::<T>(window.batch * window.in_h * window.in_w * in_c);
        let values = random.weights::<W>(in_c * k);
        let bias: Vec<i32> = (0..in_c).map(|_| (random.float() * 3000.0) as i32).collect();
        let weights = QuantizedWeights {
            values: &values,
            zero_point: if W::MIN == 0 { random.zero_point::<W>() } else { 0 },
            bias: (seed % 3 > 0).then_some(&bias),
        };
        let (zero_point, requant) = (random.zero_point::<T>(), random.requant::<T>(in_c, k));
        let mut expected = vec![T::default(); window.out_pixels() * in_c];
        depthwise_conv2d_quantized(
            &shape,
            &input,
            zero_point,
            &weights,
            &requant.get(),
            &mut expected,
        );

        for byte_dot in byte_dots::<S>() {
            let requant = requant.get();
            let fast =
                DepthwiseQuantized::new::<T, W>(shape, zero_point, &weights, &requant, byte_dot);
            let mut scratch = scratch(fast.scratch_bytes());
            let mut found = vec![T::default(); expected.len()];
            let row_len = window.out_w * in_c;
            for rows in split(&mut random, window.batch * window.out_h) {
                let out = &mut found[rows.start * row_len..rows.end * row_len];
                fast.run::<S, T>(&input, rows, out, &mut scratch);
            }
            let kernel = fast.kernel();
            assert_eq!(expected, found, "{} {kernel} {seed}: {shape:?} {requant:?}", S::NAME);
        }
    }
}

#[test]
fn depthwise_of_int8_equals_the_reference() {
    fn body<S: Simd>() {
        depthwise::<S, i8, i8>();
    }
    each_level!(body);
}

#[test]
fn depthwise_of_uint8_equals_the_reference() {
    fn body<S: Simd>() {
        depthwise::<S, u8, u8>();
    }
    each_level!(body);
}

#[test]
fn depthwise_of_float_is_near_the_reference() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let shape = depthwise_shape(&mut random);
            let DepthwiseShape { window, in_c, .. } = shape;
            let k = window.kernel_h * window.kernel_w;
            let input = random.floats(window.batch * window.in_h * window.in_w * in_c);
            let (values, bias) = (random.floats(in_c * k), random.floats(in_c));
            let activation = random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, 6.0]]);
            let weights = FloatWeights { values: &values, bias: Some(&bias), activation };
            let mut expected = vec![0.0; window.out_pixels() * in_c];
            depthwise_conv2d_f32(&shape, &input, &weights, &mut expected);

            let fast = DepthwiseFloat::new(shape, &weights);
            let mut scratch = scratch(fast.scratch_bytes());
            let mut found = vec![0.0; expected.len()];
            let row_len = window.out_w * in_c;
            for rows in split(&mut random, window.batch * window.out_h) {
                let out = &mut found[rows.start * row_len..rows.end * row_len];
                fast.run::<S>(&input, rows, out, &mut scratch);
            }
            assert_near(&expected, &found, &(S::NAME, seed, shape));
        }
    }
    each_level!(body);
}

fn fully_connected<S: Simd, T: Element, W: Element>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (batch, in_c, out_c) =
            (random.between(1, 6), random.between(1, 70), random.between(1, 40));
        let input = random.elements::<T>(batch * in_c);
        let values = random.weights::<W>(in_c * out_c);
        let bias: Vec<i32> = (0..out_c).map(|_| (random.float() * 3000.0) as i32).collect();
        let weights = QuantizedWeights {
            values: &values,
            zero_point: if W::MIN == 0 { random.zero_point::<W>() } else { 0 },
            bias: (seed % 3 > 0).then_some(&bias),
        };
        let (zero_point, requant) = (random.zero_point::<T>(), random.requant::<T>(out_c, in_c));
        let mut expected = vec![T::default(); batch * out_c];
        let sizes = [in_c, out_c];
        fully_connected_quantized(
            sizes,
            &input,
            zero_point,
            &weights,
            &requant.get(),
            &mut expected,
        );

        for byte_dot in byte_dots::<S>() {
            let requant = requant.get();
            let fast = FullyConnectedQuantized::new::<T, W>(
                sizes, zero_point, &weights, &requant, byte_dot,
            );
            let mut scratch = scratch(fast.scratch_bytes());
            let mut found = vec![T::default(); expected.len()];
            for rows in split(&mut random, batch) {
                let out = &mut found[rows.start * out_c..rows.end * out_c];
                fast.run::<S, T>(&input, rows, out, &mut scratch);
            }
            assert_eq!(
                expected,
                found,
                "{} {byte_dot:?} seed {seed}: {batch} x {sizes:?}",
                S::NAME
            );
        }
    }
}

#[test]
fn fully_connected_of_8_bits_equals_the_reference() {
    fn body<S: Simd>() {
        fully_connected::<S, i8, i8>();
        fully_connected::<S, u8, u8>();
    }
    each_level!(body);
}

#[test]
fn fully_connected_of_float_is_near_the_reference() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let (batch, in_c, out_c) =
                (random.between(1, 6), random.between(1, 70), random.between(1, 40));
            let (input, values) = (random.floats(batch * in_c), random.floats(in_c * out_c));
            let bias = random.floats(out_c);
            let activation = random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, 6.0]]);
            let weights = FloatWeights { values: &values, bias: Some(&bias), activation };
            let mut expected = vec![0.0; batch * out_c];
            fully_connected_f32([in_c, out_c], &input, &weights, &mut expected);

            let fast = FullyConnectedFloat::new([in_c, out_c], &weights);
            let mut space = scratch(fast.scratch_bytes());
            let mut found = vec![0.0; expected.len()];
            for rows in split(&mut random, batch) {
                let out = &mut found[rows.start * out_c..rows.end * out_c];
                fast.run::<S>(&input, rows, out, &mut space);
            }
            assert_near(&expected, &found, &(S::NAME, seed, batch, in_c, out_c));

            let packed = packed_in_place(out_c, in_c, &weights);
            let packed = FullyConnectedFloat::with_packed([in_c, out_c], packed);
            found.fill(0.0);
            packed.run::<S>(&input, 0..batch, &mut found, &mut space);
            assert_near(&expected, &found, &(S::NAME, seed, batch, in_c, out_c));
        }
    }
    each_level!(body);
}

/// A float16 by its definition.
fn wide(half: u16) -> f32 {
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f32::from(half & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if half >> 15 == 1 { -size } else { size }
}

/// Weights of float16 give what the same give as float32, to the bit.
#[test]
fn halves_are_floats() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS / 4 {
            let mut random = Random::new(seed);
            let shape = random.conv2d_shape();
            let Conv2dShape { window, in_c, out_c, groups: 1 } = shape else { continue };
            let k = window.kernel_h * window.kernel_w * in_c;
            let input = random.floats(window.batch * window.in_h * window.in_w * in_c);
            // Any exponent but the last, also of numbers below the least normal one.
            let mut halves: Vec<u16> = (0..out_c * k)
                .map(|_| (random.between(0, 16 << 10) | random.between(0, 1) << 15) as u16)
                .collect();
            let values: Vec<f32> = halves.iter().map(|&half| wide(half)).collect();
            let bias = random.floats(out_c);
            let activation = [f32::NEG_INFINITY, f32::INFINITY];
            let weights = FloatWeights { values: &values, bias: Some(&bias), activation };
            let len = window.out_pixels() * out_c;
            let (mut expected, mut found) = (vec![0.0; len], vec![0.0; len]);
            let float = Conv2dFloat::new(shape, &weights);
            let mut space = scratch(float.scratch_bytes());
            float.run::<S>(&input, 0..window.out_pixels(), &mut expected, &mut space);

            assert!(pack_halves_in_place(k, &mut halves));
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            let bytes_len = bytes.len();
            let shared = Shared::new(Arc::new(bytes), 0..bytes_len).expect("aligned");
            let range = (activation[0], activation[1]);
            let packed = PackedWeights::halves(out_c, k, shared, Some(&bias), range);
            let half = Conv2dFloat::with_packed(shape, packed);
            let mut space = scratch(half.scratch_bytes());
            half.run::<S>(&input, 0..window.out_pixels(), &mut found, &mut space);
            assert_eq!(expected, found, "{} seed {seed}: {shape:?}", S::NAME);
        }
        assert!(!pack_halves_in_place(1, &mut [0x3c00, 0x7c00, 0, 0, 0, 0, 0, 0]));
    }
    each_level!(body);
}
