//! Operators that are joined: fewer steps, the same numbers. A model that also gives the results in
//! between is not joined, and says what the numbers are.

mod graph;

use achado_engine::Session;
use achado_model::{Activation, Bytes, DataType, Operator, Padding, Tensor, TensorId};
use graph::{Graph, floats, set};

fn convolution(padding: Padding) -> Operator {
    let activation = Activation::None;
    Operator::Conv2d { stride: [2, 2], dilation: [1, 1], padding, activation }
}

/// Some numbers between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    (0..count).map(|_| next() as f32).collect()
}

/// Steps of the session.
fn operators(session: &mut Session) -> Vec<&'static str> {
    let profile = session.profile(1, &|| 0.0).expect("a profile");
    profile.iter().map(|operator| operator.operator).collect()
}

/// Runs the graph as it is and with `between` as further outputs; both give the same first output.
#[track_caller]
fn check(
    build: &dyn Fn() -> (Graph, TensorId, Vec<TensorId>),
    steps: &[&str],
    fill: &dyn Fn(&mut Session),
    tolerance: f32,
) {
    let (graph, output, _) = build();
    let mut joined = graph.session(output, None).expect("a session");
    let (mut graph, output, between) = build();
    graph.0.outputs.push(output);
    graph.0.outputs.extend(&between);
    graph.0.validate().expect("valid");
    let mut apart = Session::new(graph.0, &Default::default()).expect("a session");
    assert_eq!(operators(&mut joined), steps);
    assert_eq!(operators(&mut apart).len(), between.len() + 1);
    for session in [&mut joined, &mut apart] {
        fill(session);
        session.run().expect("a run");
    }
    if tolerance == 0.0 {
        assert_eq!(joined.output_bytes(0), apart.output_bytes(0));
        return;
    }
    for (a, b) in floats(&joined).into_iter().zip(floats(&apart)) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }
}

#[test]
fn pad_multiply_add_and_clamp_become_one_convolution() {
    let build = || {
        let mut graph = Graph::default();
        let input = graph.input("picture", DataType::Float32, &[1, 5, 7, 3]);
        let paddings = graph.integers("paddings", &[4, 2], &[0, 0, 0, 1, 2, 1, 0, 0]);
        let padded = graph.node(Operator::Pad, "padded", DataType::Float32, &[input, paddings]);
        let weights = graph.floats("weights", &[4, 3, 3, 3], &numbers(108, 1));
        let convolved =
            graph.node(convolution(Padding::Valid), "sums", DataType::Float32, &[padded, weights]);
        let factors = graph.floats("factors", &[1, 1, 1, 4], &[0.5, -2.0, 1.5, 3.0]);
        let multiply = Operator::Mul { activation: Activation::None };
        let scaled = graph.node(multiply, "scaled", DataType::Float32, &[factors, convolved]);
        let offsets = graph.floats("offsets", &[4], &[0.25, 1.0, -3.0, 0.0]);
        let add = Operator::Add { activation: Activation::None };
        let shifted = graph.node(add, "shifted", DataType::Float32, &[scaled, offsets]);
        let subtrahend = graph.floats("one", &[], &[0.125]);
        let subtract = Operator::Sub { activation: Activation::None };
        let less = graph.node(subtract, "less", DataType::Float32, &[shifted, subtrahend]);
        let clamped = graph.node(Operator::Relu6, "clamped", DataType::Float32, &[less]);
        (graph, clamped, vec![padded, convolved, scaled, shifted, less])
    };
    check(&build, &["CONV_2D"], &|session| set(session, 0, &numbers(105, 2)), 1e-5);
}

#[test]
fn depthwise_weights_are_scaled_along_their_last_dimension() {
    let build = || {
        let mut graph = Graph::default();
        let input = graph.input("picture", DataType::Float32, &[1, 4, 4, 3]);
        let weights = graph.floats("weights", &[1, 3, 3, 3], &numbers(27, 3));
        let bias = graph.floats("bias", &[3], &numbers(3, 4));
        let depthwise = Operator::DepthwiseConv2d {
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Same,
            depth_multiplier: 1,
            activation: Activation::None,
        };
        let inputs = [input, weights, bias];
        let convolved = graph.node(depthwise, "sums", DataType::Float32, &inputs);
        let factors = graph.floats("factors", &[3], &[0.5, -2.0, 1.5]);
        let multiply = Operator::Mul { activation: Activation::Relu };
        let scaled = graph.node(multiply, "scaled", DataType::Float32, &[convolved, factors]);
        (graph, scaled, vec![convolved])
    };
    let fill = |session: &mut Session| set(session, 0, &numbers(48, 5));
    check(&build, &["DEPTHWISE_CONV_2D"], &fill, 1e-5);
}

/// A constant of int8.
fn bytes(graph: &mut Graph, name: &str, shape: &[usize], values: &[f32]) -> TensorId {
    let id = graph.tensor(name, DataType::Int8, shape);
    let bytes: Vec<u8> = values.iter().map(|value| (value * 127.0) as i8 as u8).collect();
    graph.0.tensors[id.0] =
        Tensor { data: Some(Bytes::from(bytes)), ..graph.0.tensors[id.0].clone() };
    id
}

#[test]
fn quantised_padding_and_activation_stay_the_same_to_the_bit() {
    let build = || {
        let mut graph = Graph::default();
        let input = graph.input("picture", DataType::Int8, &[1, 6, 6, 4]);
        graph.quantise(input, 0.02, 7);
        let paddings = graph.integers("paddings", &[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
        let padded = graph.node(Operator::Pad, "padded", DataType::Int8, &[input, paddings]);
        graph.quantise(padded, 0.02, 7);
        let weights = bytes(&mut graph, "weights", &[5, 3, 3, 4], &numbers(180, 6));
        graph.quantise(weights, 0.01, 0);
        let inputs = [padded, weights];
        let convolved = graph.node(convolution(Padding::Valid), "sums", DataType::Int8, &inputs);
        graph.quantise(convolved, 0.05, -3);
        let clamped = graph.node(Operator::Relu, "clamped", DataType::Int8, &[convolved]);
        graph.quantise(clamped, 0.05, -3);
        (graph, clamped, vec![padded, convolved])
    };
    let fill = |session: &mut Session| {
        let values = numbers(144, 7);
        let input = session.input_bytes_mut(0).expect("an input");
        for (byte, value) in input.iter_mut().zip(values) {
            *byte = (value * 127.0) as i8 as u8;
        }
    };
    check(&build, &["CONV_2D"], &fill, 0.0);
}

#[test]
fn quantising_what_was_dequantised_is_nothing() {
    let build = || {
        let mut graph = Graph::default();
        let input = graph.input("picture", DataType::Int8, &[1, 64]);
        graph.quantise(input, 0.02, 7);
        let real = graph.node(Operator::Dequantize, "real", DataType::Float32, &[input]);
        let again = graph.node(Operator::Quantize, "again", DataType::Int8, &[real]);
        graph.quantise(again, 0.02, 7);
        let swished = graph.node(Operator::HardSwish, "swished", DataType::Int8, &[again]);
        graph.quantise(swished, 0.03, -1);
        (graph, swished, vec![real, again])
    };
    let fill = |session: &mut Session| {
        let input = session.input_bytes_mut(0).expect("an input");
        for (byte, value) in input.iter_mut().zip((0..=255).step_by(4)) {
            *byte = value;
        }
    };
    check(&build, &["HARD_SWISH"], &fill, 0.0);
}

#[test]
fn what_others_read_too_stays() {
    let mut graph = Graph::default();
    let input = graph.input("picture", DataType::Float32, &[1, 4, 4, 1]);
    let weights = graph.floats("weights", &[1, 1, 1, 1], &[2.0]);
    let inputs = [input, weights];
    let sums = graph.node(convolution(Padding::Same), "sums", DataType::Float32, &inputs);
    let clamped = graph.node(Operator::Relu, "clamped", DataType::Float32, &[sums]);
    let add = Operator::Add { activation: Activation::None };
    let both = graph.node(add, "both", DataType::Float32, &[sums, clamped]);
    let mut session = graph.session(both, None).expect("a session");
    assert_eq!(operators(&mut session), ["CONV_2D", "RELU", "ADD"]);
    set(&mut session, 0, &[-1.0; 16]);
    session.run().expect("a run");
    assert_eq!(floats(&session), [-2.0; 4]);
}

/// `x` of `[2, 3, 8]`, its mean over the last dimension and the mean's axis.
fn with_mean(graph: &mut Graph) -> [TensorId; 3] {
    let input = graph.input("x", DataType::Float32, &[2, 3, 8]);
    let axis = graph.integers("axis", &[1], &[-1]);
    let mean = Operator::Mean { keep_dims: true };
    let mean = graph.node(mean, "mean", DataType::Float32, &[input, axis]);
    [input, mean, axis]
}

const NONE: Activation = Activation::None;

/// Runs a graph that should be one step, and compares with rows normalised in f64.
#[track_caller]
fn check_normalization(graph: Graph, output: TensorId, is_centered: bool, affine: [&[f32]; 2]) {
    let mut session = graph.session(output, None).expect("a session");
    assert_eq!(operators(&mut session).len(), 1);
    let values = numbers(48, 5);
    set(&mut session, 0, &values);
    session.run().expect("a run");
    let found = floats(&session);
    for (row, found) in values.chunks(8).zip(found.chunks(8)) {
        let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let mean = if is_centered { row.iter().sum::<f64>() / 8.0 } else { 0.0 };
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 8.0;
        for (i, (x, &found)) in row.iter().zip(found).enumerate() {
            let [gamma, beta] = affine.map(|list| f64::from(list[i % list.len()]));
            let expected = (x - mean) / (variance + 1e-3).sqrt() * gamma + beta;
            assert!((f64::from(found) - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }
}

#[test]
fn layer_normalisation_as_keras_spells_it_is_one_step() {
    let (gammas, betas) = (numbers(8, 1), numbers(8, 2));
    let mut graph = Graph::default();
    let [input, mean, axis] = with_mean(&mut graph);
    let float = DataType::Float32;
    let squares = graph.node(Operator::SquaredDifference, "squares", float, &[input, mean]);
    let of = Operator::Mean { keep_dims: true };
    let variance = graph.node(of, "variance", float, &[squares, axis]);
    let epsilon = graph.floats("epsilon", &[], &[1e-3]);
    let add = Operator::Add { activation: NONE };
    let multiply = Operator::Mul { activation: NONE };
    let variance = graph.node(add.clone(), "more", float, &[variance, epsilon]);
    let inverse = graph.node(Operator::Rsqrt, "inverse", float, &[variance]);
    let gamma = graph.floats("gamma", &[8], &gammas);
    let factor = graph.node(multiply.clone(), "factor", float, &[inverse, gamma]);
    let scaled = graph.node(multiply.clone(), "scaled", float, &[input, factor]);
    let shift = graph.node(multiply, "shift", float, &[mean, factor]);
    let beta = graph.floats("beta", &[8], &betas);
    let subtract = Operator::Sub { activation: NONE };
    let rest = graph.node(subtract, "rest", float, &[beta, shift]);
    let output = graph.node(add, "result", float, &[scaled, rest]);
    check_normalization(graph, output, true, [&gammas, &betas]);
}

#[test]
fn layer_normalisation_by_root_and_quotient_is_one_step() {
    let gammas = numbers(8, 1);
    let mut graph = Graph::default();
    let [input, mean, axis] = with_mean(&mut graph);
    let float = DataType::Float32;
    let subtract = Operator::Sub { activation: NONE };
    let centered = graph.node(subtract, "centered", float, &[input, mean]);
    let squares = graph.node(Operator::Square, "squares", float, &[centered]);
    let of = Operator::Mean { keep_dims: true };
    let variance = graph.node(of, "variance", float, &[squares, axis]);
    let epsilon = graph.floats("epsilon", &[1], &[1e-3]);
    let add = Operator::Add { activation: NONE };
    let variance = graph.node(add, "more", float, &[epsilon, variance]);
    let deviation = graph.node(Operator::Sqrt, "deviation", float, &[variance]);
    let divide = Operator::Div { activation: NONE };
    let standard = graph.node(divide, "standard", float, &[centered, deviation]);
    let gamma = graph.floats("gamma", &[1, 1, 8], &gammas);
    let multiply = Operator::Mul { activation: NONE };
    let output = graph.node(multiply, "result", float, &[gamma, standard]);
    check_normalization(graph, output, true, [&gammas, &[0.0]]);
}

#[test]
fn rms_normalisation_is_one_step() {
    let gammas = numbers(8, 1);
    let mut graph = Graph::default();
    let float = DataType::Float32;
    let input = graph.input("x", float, &[2, 3, 8]);
    let axis = graph.integers("axis", &[1], &[2]);
    let multiply = Operator::Mul { activation: NONE };
    let squares = graph.node(multiply.clone(), "squares", float, &[input, input]);
    let of = Operator::Mean { keep_dims: true };
    let mean = graph.node(of, "mean", float, &[squares, axis]);
    let epsilon = graph.floats("epsilon", &[], &[1e-3]);
    let mean = graph.node(Operator::Add { activation: NONE }, "more", float, &[mean, epsilon]);
    let inverse = graph.node(Operator::Rsqrt, "inverse", float, &[mean]);
    let standard = graph.node(multiply.clone(), "standard", float, &[inverse, input]);
    let gamma = graph.floats("gamma", &[8], &gammas);
    let output = graph.node(multiply, "result", float, &[standard, gamma]);
    check_normalization(graph, output, false, [&gammas, &[0.0]]);
}

#[test]
fn what_is_nearly_a_normalisation_is_left_as_it_is() {
    let mut graph = Graph::default();
    let [input, mean, axis] = with_mean(&mut graph);
    let float = DataType::Float32;
    let squares = graph.node(Operator::SquaredDifference, "squares", float, &[input, mean]);
    let of = Operator::Mean { keep_dims: true };
    let variance = graph.node(of, "variance", float, &[squares, axis]);
    let inverse = graph.node(Operator::Rsqrt, "inverse", float, &[variance]);
    let multiply = Operator::Mul { activation: NONE };
    // The mean is not taken off.
    let output = graph.node(multiply, "result", float, &[input, inverse]);
    let mut session = graph.session(output, None).expect("a session");
    assert_eq!(operators(&mut session).len(), 5);
}

#[test]
fn silu_is_one_step() {
    for is_first in [true, false] {
        let mut graph = Graph::default();
        let input = graph.input("x", DataType::Float32, &[1, 4, 5]);
        let part = graph.node(Operator::Logistic, "part", DataType::Float32, &[input]);
        let operands = if is_first { [input, part] } else { [part, input] };
        let multiply = Operator::Mul { activation: NONE };
        let output = graph.node(multiply, "result", DataType::Float32, &operands);
        let mut session = graph.session(output, None).expect("a session");
        assert_eq!(operators(&mut session), ["MUL"]);
        let values = numbers(20, 3);
        set(&mut session, 0, &values);
        session.run().expect("a run");
        for (x, found) in values.iter().zip(floats(&session)) {
            let expected = x / (1.0 + (-x).exp());
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}

/// The same tensor, quantized as a whole.
fn quantized(graph: &mut Graph, id: TensorId, (scale, zero_point): (f32, i32)) -> TensorId {
    graph.quantise(id, scale, zero_point);
    id
}

/// PAD of `paddings` before a convolution by `weights`, with the scales of the input and of what is
/// padded; the steps that are left.
fn padded_steps(
    dtype: DataType,
    paddings: &[i32],
    scales: [(f32, i32); 2],
    padding: Padding,
    is_weights_operand: bool,
) -> Vec<&'static str> {
    let mut graph = Graph::default();
    let input = graph.input("picture", dtype, &[1, 3, 3, 2]);
    let paddings = graph.integers("paddings", &[4, 2], paddings);
    let padded = graph.node(Operator::Pad, "padded", dtype, &[input, paddings]);
    let is_float = dtype == DataType::Float32;
    let weights = if is_float {
        graph.floats("weights", &[2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0])
    } else {
        let weights = bytes(&mut graph, "weights", &[2, 1, 1, 2], &[0.1, 0.2, 0.3, 0.4]);
        quantized(&mut graph, input, scales[0]);
        quantized(&mut graph, padded, scales[1]);
        quantized(&mut graph, weights, (0.01, 0))
    };
    let operator = match is_weights_operand {
        // What reads the result of PAD is no convolution.
        true => Operator::Add { activation: NONE },
        false => convolution(padding),
    };
    let inputs = if is_weights_operand { [padded, padded] } else { [padded, weights] };
    let sums = graph.node(operator, "sums", dtype, &inputs);
    if !is_float {
        quantized(&mut graph, sums, (0.05, -3));
    }
    operators(&mut graph.session(sums, None).expect("a session"))
}

#[test]
fn each_condition_of_a_pad_alone_keeps_it() {
    let (float, byte) = (DataType::Float32, DataType::Int8);
    let around = [0, 0, 1, 1, 1, 1, 0, 0];
    let same = [(0.02, 7); 2];
    let steps = |dtype, paddings: &[i32], scales, padding, other| {
        padded_steps(dtype, paddings, scales, padding, other).len()
    };
    assert_eq!(steps(float, &around, same, Padding::Valid, false), 1);
    assert_eq!(steps(byte, &around, same, Padding::Valid, false), 1);
    // Batches or channels are padded.
    assert_eq!(steps(float, &[1, 0, 1, 1, 1, 1, 0, 0], same, Padding::Valid, false), 2);
    // The convolution's own padding depends on the size of its picture.
    assert_eq!(steps(float, &around, same, Padding::Same, false), 2);
    // It is read by something else, twice.
    assert_eq!(steps(float, &around, same, Padding::Valid, true), 2);
}

/// A convolution of floats by int8 weights behind a PAD, with float weights or these.
fn hybrid_steps(is_hybrid: bool) -> usize {
    let mut graph = Graph::default();
    let float = DataType::Float32;
    let input = graph.input("picture", float, &[1, 3, 3, 2]);
    let paddings = graph.integers("paddings", &[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
    let padded = graph.node(Operator::Pad, "padded", float, &[input, paddings]);
    let weights = if is_hybrid {
        let weights = bytes(&mut graph, "weights", &[2, 1, 1, 2], &[0.1, 0.2, 0.3, 0.4]);
        quantized(&mut graph, weights, (0.01, 0))
    } else {
        graph.floats("weights", &[2, 1, 1, 2], &[0.1, 0.2, 0.3, 0.4])
    };
    let sums = graph.node(convolution(Padding::Valid), "sums", float, &[padded, weights]);
    let mut session = graph.session(sums, None).expect("a session");
    operators(&mut session).iter().filter(|name| **name == "PAD").count()
}

#[test]
fn a_pad_stays_before_weights_of_8_bits_that_meet_floats_and_only_there() {
    assert_eq!((hybrid_steps(true), hybrid_steps(false)), (1, 0));
}

/// The steps of DEQUANTIZE + QUANTIZE between these types and scales, before `then`; with the result
/// of QUANTIZE or the number in between as a result of the model, too.
fn round_trip(
    types: [DataType; 2],
    scales: [(f32, i32); 2],
    is_result: bool,
    reads: usize,
) -> Vec<&'static str> {
    let mut graph = Graph::default();
    let input = graph.input("picture", types[0], &[1, 8]);
    quantized(&mut graph, input, scales[0]);
    let real = graph.node(Operator::Dequantize, "real", DataType::Float32, &[input]);
    let again = graph.node(Operator::Quantize, "again", types[1], &[real]);
    quantized(&mut graph, again, scales[1]);
    let negated = graph.node(Operator::Relu, "clamped", types[1], &[again]);
    quantized(&mut graph, negated, scales[1]);
    if is_result {
        graph.0.outputs.push(again);
    }
    for _ in 1..reads {
        let other = graph.node(Operator::Abs, "other", DataType::Float32, &[real]);
        graph.0.outputs.push(other);
    }
    operators(&mut graph.session(negated, None).expect("a session"))
}

#[test]
fn each_condition_of_a_round_trip_alone_keeps_it() {
    let (signed, unsigned) = (DataType::Int8, DataType::UInt8);
    let same = [(0.02, 7); 2];
    assert_eq!(round_trip([signed; 2], same, false, 1), ["RELU"]);
    // Another type, scale or zero point is other bytes.
    assert_eq!(round_trip([signed, unsigned], same, false, 1).len(), 3);
    assert_eq!(round_trip([signed; 2], [(0.02, 7), (0.03, 7)], false, 1).len(), 3);
    assert_eq!(round_trip([signed; 2], [(0.02, 7), (0.02, 8)], false, 1).len(), 3);
    // The caller wants the bytes, or another operator the numbers.
    assert_eq!(round_trip([signed; 2], same, true, 1).len(), 3);
    assert_eq!(round_trip([signed; 2], same, false, 2).len(), 4);
}

#[test]
fn what_reads_the_number_but_is_no_quantize_keeps_the_dequantize() {
    let mut graph = Graph::default();
    let input = graph.input("picture", DataType::Int8, &[1, 8]);
    graph.quantise(input, 0.02, 7);
    let real = graph.node(Operator::Dequantize, "real", DataType::Float32, &[input]);
    // CAST to int8 rounds otherwise; it has neither scale nor zero point.
    let cast = graph.node(Operator::Cast, "cast", DataType::Int8, &[real]);
    graph.quantise(cast, 0.02, 7);
    let clamped = graph.node(Operator::Relu, "clamped", DataType::Int8, &[cast]);
    graph.quantise(clamped, 0.02, 7);
    let mut session = graph.session(clamped, None).expect("a session");
    assert_eq!(operators(&mut session), ["DEQUANTIZE", "CAST", "RELU"]);
}
