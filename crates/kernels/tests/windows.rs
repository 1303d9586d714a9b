//! Kernels that take elements together or move them equal their references, on random shapes.

mod common;

use achado_kernels::pad::Pad;
use achado_kernels::reduce::Reduction;
use achado_kernels::reference::transpose_conv::TransposeConvShape;
use achado_kernels::reference::{self, FloatWeights, Operand, QuantizedWeights};
use achado_kernels::requant::{Affine, Quantized, ReduceRequantize};
use achado_kernels::shape::Window;
use achado_kernels::simd::{Element, Native};
use achado_kernels::softmax::SoftmaxTable;
use achado_kernels::{
    average_pool_2d, concatenation, l2_pool_2d, max_pool_2d, mean, softmax, table, transpose_conv,
};
use common::Random;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Random cases of a kernel and type.
const ROUNDS: u64 = 300;
/// Sums of up to a few hundred values below 1, in another order.
const FLOAT_TOLERANCE: f32 = 1e-5;

#[track_caller]
fn assert_near(expected: &[f32], found: &[f32], context: &dyn core::fmt::Debug) {
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        assert!((e - f).abs() <= FLOAT_TOLERANCE, "{i}: {e} is not {f} in {context:?}");
    }
}

/// A pooling window: some pixel of each window lies in the picture.
fn pooling_window(random: &mut Random) -> Window {
    let kernel = random.pick(&[[1, 1], [2, 2], [3, 3], [2, 5], [7, 7]]);
    let mut window = random.window(kernel);
    window.dilation = [1, 1];
    window.pad_top = window.pad_top.min(kernel[0] / 2);
    window.pad_left = window.pad_left.min(kernel[1] / 2);
    let outputs = |len: usize, pad: usize, stride: usize| (len + pad - 1) / stride + 1;
    window.out_h = outputs(window.in_h, window.pad_top, window.stride[0]);
    window.out_w = outputs(window.in_w, window.pad_left, window.stride[1]);
    window
}

/// Output rows in two parts.
fn in_parts<T>(
    window: &Window,
    channels: usize,
    out: &mut [T],
    run: impl Fn(core::ops::Range<usize>, &mut [T]),
) {
    let rows = window.batch * window.out_h;
    let (first, second) = out.split_at_mut(rows / 3 * window.out_w * channels);
    run(0..rows / 3, first);
    run(rows / 3..rows, second);
}

fn pooling<T: Element + Ord>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (window, channels) =
            (pooling_window(&mut random), random.pick(&[1, 3, 16, 32, 44, 65, 130]));
        let input = random.elements::<T>(window.batch * window.in_h * window.in_w * channels);
        let len = window.out_pixels() * channels;
        let (mut expected, mut found) = (vec![T::default(); len], vec![T::default(); len]);
        let bounds = random.pick(&[[T::MIN, T::MAX], [T::MIN + 100, T::MIN + 150]]);

        use average_pool_2d::average_pool_2d_quantized as average;
        use reference::average_pool_2d::average_pool_2d_quantized as expected_average;
        expected_average(&window, channels, bounds, &input, &mut expected);
        in_parts(&window, channels, &mut found, |rows, found| {
            average::<T>(&window, channels, bounds, &input, rows, found);
        });
        assert_eq!(expected, found, "AVERAGE_POOL_2D, seed {seed}: {window:?} {channels}");

        in_parts(&window, channels, &mut found, |rows, found| {
            average_pool_2d::average_pool_2d_bytes::<Native, T>(
                &window, channels, bounds, &input, rows, found,
            );
        });
        assert_eq!(expected, found, "AVERAGE_POOL_2D, seed {seed}: {window:?} {channels}");

        use reference::max_pool_2d::max_pool_2d_quantized as expected_max;
        expected_max(&window, channels, bounds, &input, &mut expected);
        in_parts(&window, channels, &mut found, |rows, found| {
            max_pool_2d::max_pool_2d_quantized(&window, channels, bounds, &input, rows, found);
        });
        assert_eq!(expected, found, "MAX_POOL_2D, seed {seed}: {window:?} {channels}");
    }
}

#[test]
fn pooling_of_int8_equals_the_reference() {
    pooling::<i8>();
}

#[test]
fn pooling_of_uint8_equals_the_reference() {
    pooling::<u8>();
}

#[test]
fn pooling_of_floats_equals_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (window, channels) = (pooling_window(&mut random), random.pick(&[1, 3, 4, 16, 23, 65]));
        let input = random.floats(window.batch * window.in_h * window.in_w * channels);
        let len = window.out_pixels() * channels;
        let (mut expected, mut found) = (vec![0.0; len], vec![0.0; len]);
        let activation = random.pick(&[[f32::NEG_INFINITY, f32::INFINITY], [0.0, 0.5]]);

        use average_pool_2d::average_pool_2d_f32 as average;
        use reference::average_pool_2d::average_pool_2d_f32 as expected_average;
        expected_average(&window, channels, activation, &input, &mut expected);
        in_parts(&window, channels, &mut found, |rows, found| {
            average(&window, channels, activation, &input, rows, found);
        });
        assert_near(&expected, &found, &(seed, window));

        reference::l2_pool_2d::l2_pool_2d_f32(&window, channels, activation, &input, &mut expected);
        l2_pool_2d::l2_pool_2d_f32(&window, channels, activation, &input, &mut found);
        assert_near(&expected, &found, &(seed, window));

        reference::max_pool_2d::max_pool_2d_f32(
            &window,
            channels,
            activation,
            &input,
            &mut expected,
        );
        in_parts(&window, channels, &mut found, |rows, found| {
            max_pool_2d::max_pool_2d_f32(&window, channels, activation, &input, rows, found);
        });
        assert_eq!(expected, found, "MAX_POOL_2D, seed {seed}: {window:?} {channels}");
    }
}

/// A shape and which of its dimensions to reduce.
fn reduction(random: &mut Random) -> (Vec<usize>, Vec<bool>) {
    let rank = random.between(0, 6);
    let shape = (0..rank).map(|_| random.pick(&[1, 2, 3, 4, 70])).collect::<Vec<_>>();
    let shape = if shape.iter().product::<usize>() > 50_000 { vec![3, 70, 2] } else { shape };
    let reduced = shape.iter().map(|_| random.between(0, 1) == 1).collect();
    (shape, reduced)
}

fn reductions<T: Quantized>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (shape, reduced) = reduction(&mut random);
        let plan = Reduction::new(&shape, &reduced).unwrap();
        let values = random.elements::<T>(shape.iter().product());
        let input = Operand { shape: &shape, values: &values };
        let [from, to] =
            [0.03, 0.02].map(|scale| Affine { scale, zero_point: random.zero_point::<T>() });
        let requant = ReduceRequantize::mean(from, to, plan.count());
        let mut expected = vec![T::default(); plan.out_len()];
        let mut found = expected.clone();
        reference::mean::mean_quantized(&reduced, &requant, input, &mut expected);
        mean::mean_quantized(&plan, &requant, &values, &mut found);
        assert_eq!(expected, found, "seed {seed}: {shape:?} {reduced:?}");
    }
}

#[test]
fn reductions_equal_the_reference() {
    reductions::<i8>();
    reductions::<u8>();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (shape, reduced) = reduction(&mut random);
        let plan = Reduction::new(&shape, &reduced).unwrap();
        let values = random.floats(shape.iter().product());
        let mut expected = vec![0.0; plan.out_len()];
        let mut found = expected.clone();
        reference::mean::mean_f32(
            &reduced,
            Operand { shape: &shape, values: &values },
            &mut expected,
        );
        mean::mean_f32(&plan, &values, &mut found);
        assert_near(&expected, &found, &(seed, &shape, &reduced));
    }
}

#[test]
fn pad_equals_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let rank = random.between(0, 5);
        let shape: Vec<usize> = (0..rank).map(|_| random.between(1, 5)).collect();
        let padding: Vec<[usize; 2]> =
            (0..rank).map(|_| [random.pick(&[0, 0, 1, 3]), random.pick(&[0, 0, 2])]).collect();
        let values = random.elements::<i8>(shape.iter().product());
        let len = shape.iter().zip(&padding).map(|(len, [a, b])| len + a + b).product();
        let (mut expected, mut found) = (vec![0; len], vec![0; len]);
        reference::pad::pad(
            &padding,
            -7,
            Operand { shape: &shape, values: &values },
            &mut expected,
        );
        Pad::new(&shape, &padding).unwrap().apply(-7, &values, &mut found);
        assert_eq!(expected, found, "seed {seed}: {shape:?} {padding:?}");
    }
    assert!(Pad::new(&[2, 2], &[[0, 0]]).is_none());
    assert!(Pad::new(&[2, 2], &[[usize::MAX, 1], [0, 0]]).is_none());
}

#[test]
fn concatenation_equals_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let rank = random.between(1, 4);
        let mut shape: Vec<usize> = (0..rank).map(|_| random.between(1, 4)).collect();
        let axis = random.between(0, rank - 1);
        let shapes: Vec<Vec<usize>> = (0..random.between(1, 5))
            .map(|_| {
                shape[axis] = random.between(1, 20);
                shape.clone()
            })
            .collect();
        let inputs: Vec<Vec<u8>> =
            shapes.iter().map(|shape| random.elements(shape.iter().product())).collect();
        let len = inputs.iter().map(Vec::len).sum();
        let (mut expected, mut found) = (vec![0; len], vec![0; len]);
        let operands: Vec<Operand<u8>> =
            shapes.iter().zip(&inputs).map(|(shape, values)| Operand { shape, values }).collect();
        reference::concatenation::concatenation(axis, &operands, &mut expected);
        let rows = shape[..axis].iter().product();
        let table = table::from_fn::<u8, u8>(|x| x as u8);
        let mut offset = 0;
        for (i, input) in inputs.iter().enumerate() {
            if i % 2 == 0 {
                concatenation::concatenate_part(rows, offset, input, &mut found);
            } else {
                concatenation::concatenate_part_mapped(rows, offset, &table, input, &mut found);
            }
            offset += input.len() / rows;
        }
        assert_eq!(expected, found, "seed {seed}: {shapes:?} along {axis}");
    }
}

fn softmax_of<T: Quantized + Ord>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (depth, rows) = (random.between(1, 90), random.between(1, 3));
        let input = random.elements::<T>(depth * rows);
        let (scale, beta) = (random.pick(&[0.001, 0.1, 3.0]), random.pick(&[1.0, 0.3]));
        let output = Affine { scale: 1.0 / 256.0, zero_point: T::MIN };
        let mut expected = vec![T::default(); input.len()];
        let mut found = expected.clone();
        reference::softmax::softmax_quantized(scale, beta, output, depth, &input, &mut expected);
        let table = SoftmaxTable::new(scale, beta, output);
        softmax::softmax_quantized(&table, depth, &input, &mut found);
        assert_eq!(expected, found, "seed {seed}: depth {depth} scale {scale} beta {beta}");
    }
}

#[test]
fn softmax_equals_the_reference() {
    softmax_of::<i8>();
    softmax_of::<u8>();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (depth, rows) = (random.between(1, 90), random.between(1, 3));
        let factor = random.pick(&[1.0, 30.0, 1000.0]);
        let input: Vec<f32> = random.floats(depth * rows).iter().map(|x| x * factor).collect();
        let (mut expected, mut found) = (vec![0.0; input.len()], vec![0.0; input.len()]);
        reference::softmax::softmax_f32(0.7, depth, &input, &mut expected);
        softmax::softmax_f32(0.7, depth, &input, &mut found);
        assert_near(&expected, &found, &(seed, depth, factor));
    }
}

/// A transposed convolution of some class.
fn transposed(random: &mut Random) -> TransposeConvShape {
    let kernel = [random.between(1, 4), random.between(1, 4)];
    let stride = [random.between(1, 3), random.between(1, 3)];
    let in_size = [random.between(1, 4), random.between(1, 4)];
    let pad = [random.between(0, kernel[0] - 1), random.between(0, kernel[1] - 1)];
    TransposeConvShape {
        batch: random.between(1, 2),
        in_size,
        out_size: [0, 1].map(|i| {
            let whole = (in_size[i] - 1) * stride[i] + kernel[i];
            (whole + random.between(0, 1)).saturating_sub(pad[i]).max(1)
        }),
        kernel,
        stride,
        pad,
        in_c: random.pick(&[1, 3, 8, 19]),
        out_c: random.between(1, 3),
    }
}

fn transpose_conv_of<T: Quantized>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let shape = transposed(&mut random);
        let inputs = shape.batch * shape.in_size[0] * shape.in_size[1] * shape.in_c;
        let outputs = shape.batch * shape.out_size[0] * shape.out_size[1] * shape.out_c;
        let input = random.elements::<T>(inputs);
        let values = random.elements::<T>(shape.out_c * shape.weights_step());
        let zero_point = random.zero_point::<T>();
        let weights =
            QuantizedWeights { values: &values, zero_point: random.zero_point::<T>(), bias: None };
        let requant = random.requant::<T>(shape.out_c, shape.weights_step());
        let mut expected = vec![T::default(); outputs];
        let mut found = expected.clone();
        reference::transpose_conv::transpose_conv_quantized(
            &shape,
            &input,
            zero_point,
            &weights,
            &requant.get(),
            &mut expected,
        );
        transpose_conv::transpose_conv_quantized(
            &shape,
            &input,
            zero_point,
            &weights,
            &requant.get(),
            &mut found,
        );
        assert_eq!(expected, found, "seed {seed}: {shape:?}");

        let (input, values) = (random.floats(inputs), random.floats(values.len()));
        let bias = random.floats(shape.out_c);
        let weights =
            FloatWeights { values: &values, bias: Some(&bias), activation: [-1.0, f32::INFINITY] };
        let (mut expected, mut found) = (vec![0.0; outputs], vec![0.0; outputs]);
        reference::transpose_conv::transpose_conv_f32(&shape, &input, &weights, &mut expected);
        transpose_conv::transpose_conv_f32(&shape, &input, &weights, &mut found);
        assert_near(&expected, &found, &(seed, shape));
    }
}

#[test]
fn transpose_conv_equals_the_reference() {
    transpose_conv_of::<i8>();
    transpose_conv_of::<u8>();
}

fn squared_differences<T: Element>() {
    use achado_kernels::broadcast::Broadcast;
    use achado_kernels::reference::binary_quantized::SquaredDifference as Expected;
    use achado_kernels::requant::Affine;
    use achado_kernels::squared_difference::SquaredDifference;
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let shapes = random.pick(&[
            ([2, 5, 130], [2, 5, 130]),
            ([2, 5, 130], [2, 5, 1]),
            ([1, 3, 1], [4, 1, 70]),
        ]);
        let broadcast = Broadcast::new(&shapes.0, &shapes.1).unwrap();
        let first = random.elements::<T>(shapes.0.iter().product());
        let second = random.elements::<T>(shapes.1.iter().product());
        let [a, b, c] = [0, 0, 0].map(|_| {
            let scale = 0.05 * (random.float() * 3.0).exp();
            Affine { scale, zero_point: random.zero_point::<T>() }
        });
        let len = broadcast.out_len();
        let (mut expected, mut found) = (vec![T::default(); len], vec![T::default(); len]);
        let params = Expected::new(a, b, c);
        broadcast.apply(&first, &second, &mut expected, |x, y| params.apply(x, y));
        let params = SquaredDifference::new::<T>(a, b, c);
        // In two parts, as threads take them.
        let items = len / broadcast.item_len();
        let (low, high) = found.split_at_mut(items / 3 * broadcast.item_len());
        params.run(&broadcast.part(0..items / 3), &first, &second, low);
        params.run(&broadcast.part(items / 3..items), &first, &second, high);
        assert_eq!(expected, found, "seed {seed}: {shapes:?} {a:?} {b:?} {c:?}");
    }
}

#[test]
fn squared_differences_equal_the_reference() {
    squared_differences::<i8>();
    squared_differences::<u8>();
}
