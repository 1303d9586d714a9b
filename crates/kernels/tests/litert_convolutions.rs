//! Convolutions give what TensorFlow Lite gives, on recorded cases.

#[path = "common/cases.rs"]
mod cases;

use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::reference::depthwise_conv2d::DepthwiseShape;
use achado_kernels::reference::{self, FloatWeights, QuantizedWeights};
use achado_kernels::requant::dynamic::Grid;
use achado_kernels::requant::{Quantized, Requantize};
use cases::{Case, assert_equal, parse};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn convolution<T: Quantized>(case: &Case) {
    let [input, weights, bias] = [0, 1, 2].map(|i| &case.inputs[i]);
    let (values, bias) = (weights.elements::<T>(), bias.ints());
    let affine = case.out().affine();
    let scale: Vec<f32> =
        weights.scales.iter().map(|w| input.scales[0] * w / affine.scale).collect();
    let [min, max] = affine.activation_bounds::<T>(case.activation());
    let requant =
        Requantize { scale: &scale, fixed: None, zero_point: affine.zero_point, min, max };
    let w = QuantizedWeights { values: &values, zero_point: weights.zero_point, bias: Some(&bias) };
    let mut out = vec![T::default(); case.out().bytes.len()];
    let (x, zero) = (input.elements::<T>(), input.zero_point);
    let kernel = || [weights.shape[1], weights.shape[2]];
    match case.operator {
        "conv_2d" => {
            let (in_c, out_c) = (input.shape[3], weights.shape[0]);
            let shape = Conv2dShape { window: case.window(kernel()), in_c, out_c, groups: 1 };
            reference::conv2d::conv2d_quantized(&shape, &x, zero, &w, &requant, &mut out);
        }
        "depthwise_conv_2d" => {
            let (in_c, multiplier) = (input.shape[3], case.key("multiplier").parse().unwrap());
            let shape = DepthwiseShape { window: case.window(kernel()), in_c, multiplier };
            reference::depthwise_conv2d::depthwise_conv2d_quantized(
                &shape, &x, zero, &w, &requant, &mut out,
            );
        }
        _ => {
            let sizes = [weights.shape[1], weights.shape[0]];
            reference::fully_connected::fully_connected_quantized(
                sizes, &x, zero, &w, &requant, &mut out,
            );
        }
    }
    assert_equal(case, "reference", &out);
}

#[test]
fn convolutions_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/convolutions.txt")) {
        each_type!(case, convolution);
    }
}

/// Integer sums up to 300,000 times a scale near 0.0003, in f32.
const DYNAMIC_TOLERANCE: f32 = 1e-4;

#[test]
fn dynamic_range_equals_tensorflow_lite() {
    for case in &parse(include_str!("litert/dynamic_range.txt")) {
        let [input, weights, bias] = [0, 1, 2].map(|i| &case.inputs[i]);
        let (bias, channels) = (bias.floats(), case.out().shape[case.out().shape.len() - 1]);
        let elements = weights.elements::<i8>();
        let is_depthwise = case.operator == "depthwise_conv_2d";
        let per_channel = elements.len() / channels;
        let values: Vec<f32> = (0..elements.len())
            .map(|i| {
                let channel = if is_depthwise { i % channels } else { i / per_channel };
                f32::from(elements[i]) * weights.scales[channel]
            })
            .collect();
        let activation = [f32::NEG_INFINITY, f32::INFINITY];
        let w = FloatWeights { values: &values, bias: Some(&bias), activation };
        let x = input.floats();
        let mut snapped = vec![0.0; x.len()];
        let part = x.len() / input.shape[0];
        for (x, out) in x.chunks_exact(part).zip(snapped.chunks_exact_mut(part)) {
            let grid = if is_depthwise { Grid::Affine } else { Grid::Xnnpack };
            grid.snap(x, out);
        }
        let mut out = vec![0.0; case.out().floats().len()];
        match case.operator {
            "conv_2d" => {
                let window = case.window([3, 3]);
                let shape = Conv2dShape { window, in_c: 16, out_c: 16, groups: 1 };
                reference::conv2d::conv2d_f32(&shape, &snapped, &w, &mut out);
            }
            "depthwise_conv_2d" => {
                let shape = DepthwiseShape { window: case.window([3, 3]), in_c: 16, multiplier: 1 };
                reference::depthwise_conv2d::depthwise_conv2d_f32(&shape, &snapped, &w, &mut out);
            }
            _ => reference::fully_connected::fully_connected_f32([16, 16], &snapped, &w, &mut out),
        }
        for (e, f) in case.out().floats().iter().zip(&out) {
            assert!((e - f).abs() < DYNAMIC_TOLERANCE, "{}: {f} is not {e}", case.name());
        }
    }
}
