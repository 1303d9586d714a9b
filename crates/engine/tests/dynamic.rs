//! Dynamic quantisation as importers write it, in operators on floats: products are integer
//! kernels where the graph proves that they may be, and give the same numbers where it does not.

mod graph;

use achado_engine::Session;
use achado_model::{Activation, DataType, Operator, Padding, TensorId};
use graph::{Graph, floats, set};

const FLOAT: DataType = DataType::Float32;
const ADD: Operator = Operator::Add { activation: Activation::None };
const SUB: Operator = Operator::Sub { activation: Activation::None };
const MUL: Operator = Operator::Mul { activation: Activation::None };
const DIV: Operator = Operator::Div { activation: Activation::None };

/// What differs from what importers write.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Odd {
    #[default]
    Nothing,
    /// `MAXIMUM(low, _)`, where NaN would come through.
    Order,
    /// A zero point up to 300.
    Limit,
    /// A divisor that may be negative.
    Divisor,
    /// The zero point of something else above.
    High,
    /// A weight that is no whole number.
    Fraction,
    /// Weights in a range of more than 256.
    Range,
    /// A convolution that adds a bias itself.
    Bias,
}

struct Built {
    graph: Graph,
    whole: TensorId,
    output: TensorId,
}

/// The whole numbers of `x`, with their scale.
fn quantise(graph: &mut Graph, x: TensorId, odd: Odd) -> [TensorId; 2] {
    let rank = graph.0.tensors[x.0].shape.len();
    let axes: Vec<i32> = (0..rank as i32).collect();
    let axes = graph.integers("axes", &[rank], &axes);
    let zero = graph.floats("zero", &[1], &[0.0]);
    let limit = graph.floats("limit", &[1], &[255.0]);
    let more = graph.floats("more", &[1], &[300.0]);
    let least = graph.floats("least", &[1], &[f32::MIN_POSITIVE]);
    let mut apply = |operator, inputs: &[TensorId]| graph.node(operator, "step", FLOAT, inputs);
    let min = apply(Operator::ReduceMin { keep_dims: true }, &[x, axes]);
    let min = apply(Operator::Minimum, &[min, zero]);
    let max = apply(Operator::ReduceMax { keep_dims: true }, &[x, axes]);
    let max = apply(Operator::Maximum, &[max, zero]);
    let range = apply(SUB, &[max, min]);
    let scale = apply(DIV, &[range, limit]);
    let scale = apply(Operator::Maximum, &[scale, least]);
    let divisor = if odd == Odd::Divisor { apply(ADD, &[scale, zero]) } else { scale };
    let below = apply(SUB, &[zero, min]);
    let below = apply(DIV, &[below, divisor]);
    let zero_point = apply(Operator::Round, &[below]);
    let greatest = if odd == Odd::Limit { more } else { limit };
    let zero_point = apply(Operator::Minimum, &[zero_point, greatest]);
    let low = apply(SUB, &[zero, zero_point]);
    let above = if odd == Odd::High { apply(ADD, &[zero_point, zero]) } else { zero_point };
    let high = apply(SUB, &[limit, above]);
    let whole = apply(DIV, &[x, scale]);
    let whole = apply(Operator::Round, &[whole]);
    let pair = if odd == Odd::Order { [low, whole] } else { [whole, low] };
    let whole = apply(Operator::Maximum, &pair);
    [apply(Operator::Minimum, &[whole, high]), scale]
}

fn convolution(activation: Activation) -> Operator {
    let padding = Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 };
    Operator::Conv2d { stride: [1, 2], dilation: [1, 1], padding, activation }
}

/// Weights of both signs.
fn weights(count: usize, odd: Odd) -> Vec<f32> {
    let mut weights: Vec<f32> =
        (0..count).map(|i| ((i * 37 + i / 7 * 11) % 256) as f32 - 128.0).collect();
    match odd {
        Odd::Fraction => weights[3] = 0.5,
        Odd::Range => (weights[3], weights[4]) = (-255.0, 255.0),
        _ => {}
    }
    weights
}

/// A picture `[2, 5, 6, 3]` by weights `[5, 2, 3, 3]`, scaled, shifted and clamped.
fn convolved(odd: Odd) -> Built {
    let mut graph = Graph::default();
    let x = graph.input("x", FLOAT, &[2, 5, 6, 3]);
    let [whole, scale] = quantise(&mut graph, x, odd);
    let weights = graph.floats("weights", &[5, 2, 3, 3], &weights(90, odd));
    let bias = if odd == Odd::Bias { 3.0 } else { 0.0 };
    let no_bias = graph.floats("no bias", &[5], &[bias; 5]);
    let operator = convolution(Activation::None);
    let sums = graph.node(operator, "sums", FLOAT, &[whole, weights, no_bias]);
    // Computed after the sums could be, and before they are needed.
    let scales = graph.floats("scales", &[5], &[0.5, 0.25, 1.5, -0.01, 3.0]);
    let factors = graph.node(MUL, "factors", FLOAT, &[scale, scales]);
    let scaled = graph.node(MUL, "scaled", FLOAT, &[sums, factors]);
    let bias = graph.floats("bias", &[5], &[0.125, -7.0, 0.0, 100.0, 1.0]);
    let add = Operator::Add { activation: Activation::Relu };
    let output = graph.node(add, "output", FLOAT, &[scaled, bias]);
    Built { graph, whole, output }
}

/// Rows `[3, 4, 10]` by weights `[9, 10]` in another shape, times one scale.
fn multiplied(odd: Odd) -> Built {
    let mut graph = Graph::default();
    let x = graph.input("x", FLOAT, &[3, 4, 10]);
    let [whole, scale] = quantise(&mut graph, x, odd);
    let shape = graph.integers("shape", &[2], &[12, 10]);
    let rows =
        graph.node(Operator::Reshape { new_shape: Vec::new() }, "rows", FLOAT, &[whole, shape]);
    let weights = graph.floats("weights", &[9, 10], &weights(90, odd));
    let operator = Operator::FullyConnected { activation: Activation::None, keep_num_dims: false };
    let sums = graph.node(operator, "sums", FLOAT, &[rows, weights]);
    let output = graph.node(MUL, "output", FLOAT, &[scale, sums]);
    Built { graph, whole, output }
}

fn input(count: usize, shift: f32) -> Vec<f32> {
    (0..count).map(|i| ((i * i + 13 * i) % 101) as f32 * 0.031 - shift).collect()
}

/// Operators that are left beside those on one element, and the products' kernels.
fn profile(session: &mut Session) -> (Vec<&'static str>, Vec<&'static str>) {
    let profile = session.profile(1, &|| 0.0).expect("a profile");
    let is_product = |operator: &str| matches!(operator, "CONV_2D" | "FULLY_CONNECTED");
    let kernels = profile.iter().filter(|o| is_product(o.operator)).map(|o| o.kernel).collect();
    (profile.iter().map(|operator| operator.operator).collect(), kernels)
}

fn run(session: &mut Session, values: &[f32]) -> Vec<f32> {
    set(session, 0, values);
    session.run().expect("a run");
    floats(session)
}

#[test]
fn products_are_integer_kernels_and_equal_those_of_floats() {
    for (build, count) in [(convolved as fn(Odd) -> Built, 180), (multiplied, 120)] {
        let Built { graph, output, .. } = build(Odd::Nothing);
        let mut integers = graph.session(output, None).expect("a session");
        let Built { graph, output, .. } = build(Odd::Order);
        let mut float = graph.session(output, None).expect("a session");
        let (operators, kernels) = profile(&mut integers);
        assert_eq!(kernels, ["gemm i16"]);
        assert_eq!(operators.iter().filter(|&&name| name == "QUANTIZE").count(), 1);
        // That of the zero point.
        assert_eq!(operators.iter().filter(|&&name| name == "ROUND").count(), 1);
        assert!(!operators.contains(&"ADD") && !operators.contains(&"RESHAPE"));
        assert!(profile(&mut float).1[0].ends_with("f32"));
        // Zero points 0, in between, and 255; nothing but zeros.
        for shift in [0.0, 1.1, 5.0] {
            let values = input(count, shift);
            assert_eq!(run(&mut integers, &values), run(&mut float, &values), "{shift}");
        }
        let zeros = vec![0.0; count];
        assert_eq!(run(&mut integers, &zeros), run(&mut float, &zeros));
    }
}

#[test]
fn what_the_graph_does_not_prove_is_left_to_floats() {
    let odd = [Odd::Limit, Odd::Divisor, Odd::High, Odd::Fraction, Odd::Range, Odd::Bias];
    for odd in odd {
        let Built { graph, output, .. } = convolved(odd);
        let mut session = graph.session(output, None).expect("a session");
        let (operators, kernels) = profile(&mut session);
        assert_eq!(kernels, ["im2col + gemm f32"], "{odd:?}");
        assert!(!operators.contains(&"QUANTIZE"), "{odd:?}");
        if !matches!(odd, Odd::Fraction | Odd::Range | Odd::Bias) {
            let Built { graph, output, .. } = convolved(Odd::Nothing);
            let mut integers = graph.session(output, None).expect("a session");
            let values = input(180, 1.1);
            assert_eq!(run(&mut session, &values), run(&mut integers, &values), "{odd:?}");
        }
    }
}

#[test]
fn numbers_that_are_not_finite_give_what_floats_give() {
    let [mut integers, mut float] = [Odd::Nothing, Odd::Divisor].map(|odd| {
        let Built { graph, output, .. } = convolved(odd);
        graph.session(output, None).expect("a session")
    });
    for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
        let mut values = input(180, 1.1);
        values[77] = strange;
        let pairs = run(&mut integers, &values).into_iter().zip(run(&mut float, &values));
        for (a, b) in pairs {
            assert!(a == b || (a.is_nan() && b.is_nan()), "{strange}: {a} is not {b}");
        }
    }
}

#[test]
fn whole_numbers_that_others_read_are_there_for_them() {
    let Built { mut graph, whole, output } = convolved(Odd::Nothing);
    let negated = graph.node(Operator::Neg, "negated", FLOAT, &[whole]);
    graph.0.outputs.extend([negated, whole]);
    let mut session = graph.session(output, None).expect("a session");
    assert_eq!(profile(&mut session).1, ["gemm i16"]);
    let values = input(180, 1.1);
    run(&mut session, &values);
    let read = |at: usize| -> Vec<f32> {
        let bytes = session.output_bytes(at).expect("an output");
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let opposite: Vec<f32> = read(1).iter().map(|x| -x).collect();
    assert_eq!(read(0), opposite);
    assert_eq!(read(1).iter().copied().fold(f32::NEG_INFINITY, f32::max), 165.0);
}

#[test]
fn several_products_share_what_is_quantised() {
    let Built { mut graph, whole, output } = convolved(Odd::Nothing);
    let weights = graph.floats("more weights", &[7, 1, 1, 3], &weights(21, Odd::Nothing));
    let operator = convolution(Activation::Relu6);
    let more = graph.node(operator, "more", FLOAT, &[whole, weights]);
    graph.0.outputs.push(more);
    let mut session = graph.session(output, None).expect("a session");
    let (operators, kernels) = profile(&mut session);
    assert_eq!(kernels, ["gemm i16"; 2]);
    assert_eq!(operators.iter().filter(|&&name| name == "QUANTIZE").count(), 1);
    let sums = run(&mut session, &input(180, 1.1));
    assert!(sums.iter().all(|sum| (0.0..=6.0).contains(sum)));
}
