//! Networks that nobody tuned for run on fast kernels alone: no operator takes the naive loop.

mod graph;

use achado_model::{Activation, DataType, Operator, Padding, TensorId};
use graph::{Graph, floats, set};

/// Small numbers of both signs.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect()
}

const NONE: Activation = Activation::None;

fn convolution(stride: usize) -> Operator {
    let (stride, dilation) = ([stride; 2], [1, 1]);
    Operator::Conv2d { stride, dilation, padding: Padding::Same, activation: NONE }
}

/// The kernels of a graph's steps, none of which is naive, and its result.
#[track_caller]
fn kernels(graph: Graph, output: TensorId, input: &[f32]) -> (Vec<&'static str>, Vec<f32>) {
    let mut session = graph.session(output, None).expect("a session");
    set(&mut session, 0, input);
    session.run().expect("a run");
    let found = floats(&session);
    let profile = session.profile(1, &|| 0.0).expect("a profile");
    let kernels: Vec<_> = profile.iter().map(|step| step.kernel).collect();
    assert!(!kernels.contains(&"reference"), "{kernels:?}");
    (kernels, found)
}

#[test]
fn a_group_for_each_channel_is_a_depthwise_convolution() {
    // ConvNeXt's 7x7, and two output channels for each.
    for (size, multiplier, stride) in [(7, 1, 1), (9, 1, 2), (3, 2, 1)] {
        let (channels, side) = (6, 9);
        let mut graph = Graph::default();
        let input = graph.input("x", DataType::Float32, &[1, side, side, channels]);
        let out_c = channels * multiplier;
        let values = numbers(out_c * size * size);
        let weights = graph.floats("weights", &[out_c, size, size, 1], &values);
        let output = graph.node(convolution(stride), "y", DataType::Float32, &[input, weights]);
        let picture = numbers(side * side * channels);
        let (kernels, found) = kernels(graph, output, &picture);
        assert!(kernels.iter().any(|kernel| kernel.starts_with("depthwise")), "{kernels:?}");
        let out = side.div_ceil(stride);
        let pad = ((out - 1) * stride + size - side) / 2;
        for (at, &found) in found.iter().enumerate() {
            let (pixel, c) = (at / out_c, at % out_c);
            let mut sum = 0.0;
            for (tap, weight) in values[c * size * size..][..size * size].iter().enumerate() {
                let y = (pixel / out * stride + tap / size).wrapping_sub(pad);
                let x = (pixel % out * stride + tap % size).wrapping_sub(pad);
                if y < side && x < side {
                    let x = picture[(y * side + x) * channels + c / multiplier];
                    sum += f64::from(x) * f64::from(*weight);
                }
            }
            assert!((f64::from(found) - sum).abs() < 1e-4, "{found} is not {sum}");
        }
    }
}

#[test]
fn attention_is_two_packed_products() {
    let mut graph = Graph::default();
    let float = DataType::Float32;
    let query = graph.input("query", float, &[2, 7, 4]);
    let keys = graph.floats("keys", &[2, 9, 4], &numbers(72));
    let product = Operator::BatchMatmul { adj_x: false, adj_y: true };
    let scores = graph.node(product, "scores", float, &[query, keys]);
    let shares = graph.node(Operator::Softmax { beta: 1.0 }, "shares", float, &[scores]);
    let columns = graph.node(Operator::Square, "squares", float, &[scores]);
    let product = Operator::BatchMatmul { adj_x: true, adj_y: false };
    let output = graph.node(product, "result", float, &[shares, columns]);
    let queries = numbers(56);
    let (kernels, found) = kernels(graph, output, &queries);
    assert_eq!(kernels.iter().filter(|kernel| **kernel == "matmul f32").count(), 2);
    let keys = numbers(72);
    for matrix in 0..2 {
        let scores: Vec<Vec<f64>> = (0..7)
            .map(|row| {
                let (queries, keys) = (&queries, &keys);
                let of = |column: usize| {
                    (0..4).map(move |k| {
                        let (q, k) = ((matrix * 7 + row) * 4 + k, (matrix * 9 + column) * 4 + k);
                        f64::from(queries[q]) * f64::from(keys[k])
                    })
                };
                (0..9).map(|column| of(column).sum()).collect()
            })
            .collect();
        for i in 0..9 {
            for j in 0..9 {
                let expected: f64 = scores
                    .iter()
                    .map(|row| {
                        let sum: f64 = row.iter().map(|score| score.exp()).sum();
                        row[i].exp() / sum * row[j] * row[j]
                    })
                    .sum();
                let found = f64::from(found[(matrix * 9 + i) * 9 + j]);
                assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
            }
        }
    }
}
