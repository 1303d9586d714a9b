//! Float weights that are packed in the memory of the model's file: the same numbers, in less memory.

mod graph;
mod peak;

use achado_engine::{Session, SessionOptions};
use achado_model::{Activation, Bytes, DataType, Model, Operator, Padding, TensorId, tflite};
use graph::{Graph, floats, set};
use half::f16;
use peak::{peak_of, turn};

const IN: usize = 192;
const MIDDLE: usize = 1001;
const OUT: usize = 7;

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 251) as f32 / 125.0 - 1.0).collect()
}

/// A pointwise CONV_2D and two FULLY_CONNECTED, of which the last has fewer columns than a panel.
/// `ties` puts a third in between that reads the weights of the first, too.
fn file(ties: bool) -> Vec<u8> {
    let mut graph = Graph::default();
    let picture = graph.input("picture", DataType::Float32, &[1, 1, 5, IN]);
    let filter = graph.floats("filter", &[MIDDLE, 1, 1, IN], &numbers(MIDDLE * IN));
    let activation = Activation::None;
    let (stride, dilation, padding) = ([1; 2], [1; 2], Padding::Valid);
    let convolution = Operator::Conv2d { stride, dilation, padding, activation };
    let features = graph.node(convolution, "features", DataType::Float32, &[picture, filter]);
    let fully = || Operator::FullyConnected { activation, keep_num_dims: true };
    let square = graph.floats("square", &[MIDDLE, MIDDLE], &numbers(MIDDLE * MIDDLE));
    let mut hidden = graph.node(fully(), "hidden", DataType::Float32, &[features, square]);
    if ties {
        hidden = graph.node(fully(), "again", DataType::Float32, &[hidden, square]);
    }
    let last = graph.floats("last", &[OUT, MIDDLE], &numbers(OUT * MIDDLE));
    let scores = graph.node(fully(), "scores", DataType::Float32, &[hidden, last]);
    graph.0.outputs.push(scores);
    for (id, channels) in [(features, MIDDLE), (hidden, MIDDLE), (scores, OUT)] {
        graph.0.tensors[id.0].shape = vec![1, 1, 5, channels];
    }
    if ties {
        graph.0.tensors[hidden.0 - 1].shape = vec![1, 1, 5, MIDDLE];
    }
    tflite::write(&graph.0).expect("a file")
}

fn run(model: Model) -> (Vec<f32>, usize) {
    let (session, taken) = peak_of(|| Session::new(model, &SessionOptions::default()));
    let mut session = session.expect("a session");
    set(&mut session, 0, &numbers(5 * IN));
    session.run().expect("a run");
    (floats(&session), taken)
}

#[test]
fn weights_of_a_file_that_nobody_else_has_are_packed_where_they_are() {
    let _turn = turn();
    let file = file(false);
    let len = file.len();
    let bytes = Bytes::from(file);
    let (copied, taken) = run(tflite::read(bytes.clone()).expect("a model"));
    assert!(taken > len, "{taken} bytes taken of a file of {len}");
    let (in_place, taken) = run(tflite::read(bytes).expect("a model"));
    assert!(taken < len / 4, "{taken} bytes taken of a file of {len}");
    assert_eq!(copied, in_place);
    assert!(copied.iter().any(|&score| score != 0.0));
}

#[test]
fn weights_that_two_operators_read_are_not_packed_twice() {
    let _turn = turn();
    let bytes = Bytes::from(file(true));
    let (copied, _) = run(tflite::read(bytes.clone()).expect("a model"));
    let (in_place, _) = run(tflite::read(bytes).expect("a model"));
    assert_eq!(copied, in_place);
}

#[test]
fn tensors_that_share_bytes_are_not_packed() {
    let _turn = turn();
    let read = |bytes| {
        let mut model: Model = tflite::read(bytes).expect("a model");
        // A second name for some of the weights, read by nobody but the last operator.
        let square = model.nodes[1].inputs[1].expect("weights");
        let last = model.nodes[2].inputs[1].expect("weights");
        share(&mut model, last, square);
        model
    };
    let bytes = Bytes::from(file(false));
    let (copied, _) = run(read(bytes.clone()));
    let (in_place, _) = run(read(bytes));
    assert_eq!(copied, in_place);
}

/// Gives `one` the first bytes of `other`.
fn share(model: &mut Model, one: TensorId, other: TensorId) {
    let len = model.tensor(one).size_bytes();
    model.tensors[one.0].data =
        model.tensor(other).data.as_ref().and_then(|data| data.slice(0..len));
}

/// Two FULLY_CONNECTED whose weights are float16 behind a DEQUANTIZE, or the same numbers as floats.
fn half_file(are_floats: bool) -> Vec<u8> {
    let mut graph = Graph::default();
    let mut rows = graph.input("rows", DataType::Float32, &[5, IN]);
    let activation = Activation::None;
    for (name, [from, to]) in [("first", [IN, MIDDLE]), ("second", [MIDDLE, MIDDLE])] {
        let halves: Vec<f16> =
            numbers(from * to).into_iter().map(|x| f16::from_f32(x / 8.0)).collect();
        let floats: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
        let weights = if are_floats {
            graph.floats(name, &[to, from], &floats)
        } else {
            let half = graph.tensor("half", DataType::Float16, &[to, from]);
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            graph.0.tensors[half.0].data = Some(Bytes::from(bytes));
            let wide = graph.node(Operator::Dequantize, name, DataType::Float32, &[half]);
            graph.0.tensors[wide.0].shape = vec![to, from];
            wide
        };
        let fully = Operator::FullyConnected { activation, keep_num_dims: false };
        rows = graph.node(fully, name, DataType::Float32, &[rows, weights]);
        graph.0.tensors[rows.0].shape = vec![5, to];
    }
    graph.0.outputs.push(rows);
    tflite::write(&graph.0).expect("a file")
}

#[test]
fn float16_weights_stay_in_the_file() {
    let _turn = turn();
    let read = |file| tflite::read(Bytes::from(file)).expect("a model");
    let (floats, _) = run(read(half_file(true)));
    let file = half_file(false);
    let len = file.len();
    let (halves, taken) = run(read(file));
    assert!(taken < len / 4, "{taken} bytes taken of a file of {len}");
    assert_eq!(floats, halves);
    // Nobody may write into bytes that somebody else has.
    let bytes = Bytes::from(half_file(false));
    let (copied, _) = run(tflite::read(bytes.clone()).expect("a model"));
    assert_eq!(floats, copied);
    drop(bytes);
}

#[test]
fn int8_weights_of_float_operators_take_two_bytes() {
    let _turn = turn();
    let mut graph = Graph::default();
    let rows = graph.input("rows", DataType::Float32, &[5, IN]);
    let weights = graph.tensor("weights", DataType::Int8, &[MIDDLE, IN]);
    let bytes: Vec<u8> = (0..MIDDLE * IN).map(|i| (i * 7919 % 251) as u8).collect();
    graph.0.tensors[weights.0].data = Some(Bytes::from(bytes));
    graph.quantise(weights, 0.01, 0);
    let fully = Operator::FullyConnected { activation: Activation::None, keep_num_dims: false };
    let scores = graph.node(fully, "scores", DataType::Float32, &[rows, weights]);
    graph.0.tensors[scores.0].shape = vec![5, MIDDLE];
    graph.0.outputs.push(scores);
    let file = tflite::write(&graph.0).expect("a file");
    let len = file.len();
    let (_, taken) = run(tflite::read(Bytes::from(file)).expect("a model"));
    assert!(taken < len * 5 / 2, "{taken} bytes taken of a file of {len}");
}
