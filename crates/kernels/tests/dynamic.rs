//! What dynamic quantisation is made of: every level equals the reference.

mod common;

use achado_kernels::conv2d::{Conv2dDynamic, Conv2dHybrid, Dynamic, Grids};
use achado_kernels::dynamic_quantize::dynamic_quantize;
use achado_kernels::reduce::extreme_f32;
use achado_kernels::reference::conv2d::{Conv2dShape, conv2d_dynamic, conv2d_f32};
use achado_kernels::reference::dynamic_quantize as reference;
use achado_kernels::reference::{FloatWeights, QuantizedWeights};
use achado_kernels::requant::dynamic::Grid;
use achado_kernels::shape::Window;
use achado_kernels::simd::Simd;
use common::{Random, scratch};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ROUNDS: u64 = 500;

#[track_caller]
fn check<S: Simd>(shape: Conv2dShape, seed: u64, random: &mut Random) {
    let Conv2dShape { window, in_c, out_c, groups } = shape;
    let k = window.kernel_h * window.kernel_w * in_c / groups;
    let input = random.elements::<u8>(window.batch * window.in_h * window.in_w * in_c);
    let values = random.weights::<u8>(out_c * k);
    let weights =
        QuantizedWeights { values: &values, zero_point: random.zero_point::<u8>(), bias: None };
    let zero_point = random.zero_point::<u8>() as u8;
    let count = random.pick(&[1, out_c]);
    let factors = random.floats(count);
    let bias = random.floats(out_c);
    let activation =
        random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, f32::INFINITY], [-100.0, 1000.0]]);
    let mut expected = vec![0.0; window.out_pixels() * out_c];
    let parts = (&factors[..], &bias[..]);
    conv2d_dynamic(&shape, &input, zero_point, &weights, parts, activation, &mut expected);

    let fast = Conv2dDynamic::new(shape, &weights, bias.clone(), activation);
    assert_eq!(fast.kernel(), "gemm i16");
    let mut scratch = scratch(fast.scratch_bytes());
    let mut found = vec![f32::NAN; expected.len()];
    let middle = random.between(0, window.out_pixels());
    for pixels in [0..middle, middle..window.out_pixels()] {
        let out = &mut found[pixels.start * out_c..pixels.end * out_c];
        let dynamic = Dynamic { zero_point, factors: &factors };
        fast.run::<S>(&input, &dynamic, pixels, out, &mut scratch);
    }
    assert_eq!(expected, found, "{} seed {seed}: {shape:?}", S::NAME);
}

#[test]
fn conv2d_of_dynamic_uint8_equals_the_reference() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let shape = random.conv2d_shape();
            check::<S>(shape, seed, &mut random);
        }
    }
    each_level!(body);
}

#[test]
fn rows_of_a_matrix_equal_the_reference() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let window = Window {
                batch: 1,
                in_h: 1,
                in_w: random.between(1, 11),
                out_h: 1,
                out_w: 0,
                kernel_h: 1,
                kernel_w: 1,
                stride: [1, 1],
                dilation: [1, 1],
                pad_top: 0,
                pad_left: 0,
            };
            let window = Window { out_w: window.in_w, ..window };
            let (in_c, out_c) = (random.between(1, 70), random.between(1, 30));
            check::<S>(Conv2dShape { window, in_c, out_c, groups: 1 }, seed, &mut random);
        }
    }
    each_level!(body);
}

#[test]
fn dynamic_quantize_equals_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let scale = random.pick(&[1.0, 0.5, 1e-3, 0.017, f32::MIN_POSITIVE, f32::INFINITY]);
        let zero_point = random.zero_point::<u8>() as f32;
        let len = random.between(0, 70);
        let mut input = random.floats(len);
        for x in &mut input {
            // Whole steps, steps and a half, far beyond both ends.
            let steps = random.between(0, 700) as f32 - 350.0;
            *x = random.pick(&[*x, steps * scale, (steps + 0.5) * scale, *x * 1e30]);
        }
        input.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN]);
        // Relaxed comparisons lose NaN.
        input.retain(|x| cfg!(not(target_arch = "wasm32")) || !(x / scale).is_nan());
        let mut expected = vec![0; input.len()];
        reference::dynamic_quantize(scale, zero_point, &input, &mut expected);
        let mut found = vec![0; input.len()];
        dynamic_quantize(scale, zero_point, &input, &mut found);
        assert_eq!(expected, found, "seed {seed}: {scale} {zero_point} {input:?}");
    }
}

#[test]
fn extremes_are_those_of_all_elements() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let len = random.between(0, 70);
        let input = random.floats(len);
        let max = input.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let min = input.iter().fold(f32::INFINITY, |a, &b| a.min(b));
        assert_eq!([extreme_f32(&input, true), extreme_f32(&input, false)], [max, min]);
    }
}

/// The hybrid convolution is the float one of the snapped input by the dequantised weights.
#[test]
fn conv2d_of_floats_by_int8_is_near_the_reference() {
    fn body<S: Simd>() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let shape = random.conv2d_shape();
            let Conv2dShape { window, in_c, out_c, groups } = shape;
            let k = window.kernel_h * window.kernel_w * in_c / groups;
            let grid = random.pick(&[Grid::Xnnpack, Grid::Affine, Grid::Symmetric]);
            let is_product = [window.kernel_h, window.kernel_w] == [1, 1]
                && window.stride == [1, 1]
                && [window.out_h, window.out_w] == [window.in_h, window.in_w];
            let by_pixel = is_product && random.between(0, 1) == 1;
            let len = if by_pixel { in_c } else { window.in_h * window.in_w * in_c };
            let mut input = random.floats(window.batch * window.in_h * window.in_w * in_c);
            // Pictures and pixels of different sizes; some are zero.
            for part in input.chunks_exact_mut(len) {
                let size = random.pick(&[0.0, 1.0, 30.0]);
                part.iter_mut().for_each(|x| *x *= size);
            }
            let values = random.weights::<i8>(out_c * k);
            let scale: Vec<f32> = (0..out_c).map(|_| 0.01 + random.float().abs()).collect();
            let bias = random.floats(out_c);
            let activation = random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, 6.0]]);

            let mut snapped = vec![0.0; input.len()];
            let count = input.len() / len;
            let (mut bytes, mut zero_points, mut steps) =
                (vec![0; input.len()], vec![0; count], vec![0.0; count]);
            for part in 0..count {
                let range = part * len..(part + 1) * len;
                grid.snap(&input[range.clone()], &mut snapped[range.clone()]);
                (zero_points[part], steps[part]) =
                    grid.quantise(&input[range.clone()], &mut bytes[range]);
            }
            for (i, (&byte, &x)) in bytes.iter().zip(&snapped).enumerate() {
                let whole = i32::from(byte) - i32::from(zero_points[i / len]);
                assert_eq!(whole as f32 * steps[i / len], x, "seed {seed}");
            }
            let widened: Vec<f32> =
                (0..values.len()).map(|i| f32::from(values[i]) * scale[i / k]).collect();
            let weights = FloatWeights { values: &widened, bias: Some(&bias), activation };
            let mut expected = vec![0.0; window.out_pixels() * out_c];
            conv2d_f32(&shape, &snapped, &weights, &mut expected);

            let parts = (scale, bias.clone());
            let fast = Conv2dHybrid::new(shape, &values, parts, activation, by_pixel);
            let grids = Grids { zero_points: &zero_points, steps: &steps };
            let mut scratch = scratch(fast.scratch_bytes());
            let mut found = vec![f32::NAN; expected.len()];
            let middle = random.between(0, window.out_pixels());
            for pixels in [0..middle, middle..window.out_pixels()] {
                let out = &mut found[pixels.start * out_c..pixels.end * out_c];
                fast.run::<S>(&bytes, &grids, pixels, out, &mut scratch);
            }
            // What products of numbers without signs add up to: of that some bits are lost.
            let absolute = |values: &[f32]| values.iter().map(|x| x.abs()).collect::<Vec<_>>();
            let (widened, bias) = (absolute(&widened), absolute(&bias));
            let activation = [f32::NEG_INFINITY, f32::INFINITY];
            let weights = FloatWeights { values: &widened, bias: Some(&bias), activation };
            let mut sizes = vec![0.0; expected.len()];
            conv2d_f32(&shape, &absolute(&snapped), &weights, &mut sizes);
            for ((e, f), size) in expected.iter().zip(&found).zip(sizes) {
                assert!((e - f).abs() <= 1e-6 * size, "{f} is not {e}: seed {seed}: {shape:?}");
            }
        }
    }
    each_level!(body);
}
