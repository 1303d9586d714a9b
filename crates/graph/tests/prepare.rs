//! What every backend starts from: shapes, constants, joined operators.

use std::cell::RefCell;
use std::collections::BTreeMap;

use achado_graph::passes::{find_patterns, fuse, infer_shapes};
use achado_graph::{Evaluate, Graph, Kind, Limits, Pattern, Uses, prepare};
use achado_model::{
    Activation, Bytes, DataType, Error, ErrorCode, Model, Node, Operator, Padding, Quantization,
    Result, Tensor, TensorId,
};

static NO_SHAPES: BTreeMap<usize, Vec<usize>> = BTreeMap::new();

fn limits(input_shapes: &BTreeMap<usize, Vec<usize>>) -> Limits<'_> {
    Limits { max_memory_bytes: 1 << 20, input_shapes }
}

/// Gives ones, and notes which operators were asked for.
#[derive(Default)]
struct Ones(RefCell<Vec<usize>>);

impl Evaluate for Ones {
    fn evaluate(&self, graph: Graph, _: &Limits) -> Result<Vec<Bytes>> {
        let [node] = &graph.nodes[..] else {
            return Err(Error::new(ErrorCode::ModelFormat, "one node at a time"));
        };
        self.0.borrow_mut().push(node.index);
        let ones = |id: &TensorId| {
            let elements = graph.tensor(*id).elements();
            Bytes::from(1.0f32.to_le_bytes().repeat(elements))
        };
        Ok(graph.outputs.iter().map(ones).collect())
    }
}

#[derive(Default)]
struct Builder(Model);

impl Builder {
    fn tensor(&mut self, name: &str, shape: &[usize], data: Option<&[f32]>) -> TensorId {
        let bytes = |data: &[f32]| data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        self.0.tensors.push(Tensor {
            name: name.to_owned(),
            dtype: DataType::Float32,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: data.map(|data| Bytes::from(bytes(data))),
        });
        TensorId(self.0.tensors.len() - 1)
    }

    fn node(&mut self, operator: Operator, name: &str, inputs: &[TensorId]) -> TensorId {
        let output = self.tensor(name, &[], None);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.0.nodes.push(Node { operator, inputs, outputs: vec![output] });
        output
    }
}

const ADD: Operator = Operator::Add { activation: Activation::None };
const MUL: Operator = Operator::Mul { activation: Activation::None };

/// `relu(x * logistic(x) + (a + b))`, where `a + b` is constant.
fn model() -> Model {
    let mut builder = Builder::default();
    let x = builder.tensor("x", &[1, 3], None);
    builder.0.inputs.push(x);
    let a = builder.tensor("a", &[3], Some(&[1.0, 2.0, 3.0]));
    let b = builder.tensor("b", &[3], Some(&[4.0, 5.0, 6.0]));
    let gate = builder.node(Operator::Logistic, "gate", &[x]);
    let constant = builder.node(ADD, "constant", &[a, b]);
    let gated = builder.node(MUL, "gated", &[x, gate]);
    let sum = builder.node(ADD, "sum", &[gated, constant]);
    let result = builder.node(Operator::Relu, "result", &[sum]);
    builder.0.outputs.push(result);
    builder.0.validate().expect("a valid model");
    builder.0
}

#[test]
fn a_prepared_graph_has_shapes_constants_and_one_node_for_each_piece_of_work() {
    let ones = Ones::default();
    let graph = prepare(model(), &limits(&NO_SHAPES), &ones).expect("a graph");
    assert_eq!(*ones.0.borrow(), [1], "one constant is computed, named by its place in the file");
    let kinds: Vec<_> = graph.nodes.iter().map(|node| (node.index, node.kind.clone())).collect();
    assert_eq!(kinds, [(2, Kind::Pattern(Pattern::Silu)), (3, Kind::Operator)]);
    let sum = &graph.nodes[1];
    assert_eq!(sum.operator, Operator::Add { activation: Activation::Relu });
    assert_eq!(sum.outputs, graph.outputs);
    assert_eq!(graph.tensor(graph.outputs[0]).shape, [1, 3]);
    let constant = graph.tensor(sum.inputs[1].expect("an operand"));
    assert_eq!(constant.constant_floats().expect("a constant"), [1.0; 3]);
}

#[test]
fn passes_say_whether_they_changed_anything() {
    let mut graph = Graph::new(model());
    let limits = limits(&NO_SHAPES);
    let ones = Ones::default();
    for (pass, expected) in [(0, true), (0, false), (1, true), (1, false), (2, true), (2, false)] {
        let changed = match pass {
            0 => infer_shapes(&mut graph, &limits, &ones),
            1 => fuse(&mut graph, &limits),
            _ => find_patterns(&mut graph, &limits),
        };
        assert_eq!(changed.expect("a pass"), expected, "pass {pass}");
    }
}

#[test]
fn uses_count_what_is_not_folded_and_the_caller() {
    let mut graph = Graph::new(model());
    let [x, sum, result] = [TensorId(0), TensorId(6), TensorId(7)];
    let uses = Uses::new(&graph);
    assert_eq!((uses.count(x), uses.sole_consumer(x), uses.producer(x)), (2, None, None));
    assert_eq!((uses.sole_consumer(sum), uses.producer(sum)), (Some(4), Some(3)));
    assert_eq!((uses.count(result), uses.last_consumer(result)), (1, None));
    assert_eq!(graph.consumers(x).collect::<Vec<_>>(), [0, 2]);
    graph.remove(0);
    assert_eq!(Uses::new(&graph).sole_consumer(x), Some(2));
    assert_eq!(graph.consumers(x).collect::<Vec<_>>(), [2]);
    assert_eq!((graph.producer(sum), graph.producer(x)), (Some(3), None));
}

#[test]
fn a_graph_is_a_model_again_unless_a_node_has_no_operator() {
    let before = model();
    assert_eq!(Graph::new(before.clone()).into_model().expect("a model"), before);
    let limits = limits(&NO_SHAPES);
    let mut graph = Graph::new(before);
    infer_shapes(&mut graph, &limits, &Ones::default()).expect("shapes");
    fuse(&mut graph, &limits).expect("fused");
    let fused = graph.clone().into_model().expect("a model");
    assert_eq!(fused.nodes.len(), 3);
    fused.validate().expect("valid");
    find_patterns(&mut graph, &limits).expect("patterns");
    let error = graph.into_model().expect_err("SiLU is no operator");
    assert_eq!(error.code, ErrorCode::UnsupportedOperator);
}

#[test]
fn constants_beyond_the_limit_are_refused_before_they_are_computed() {
    let ones = Ones::default();
    let limits = Limits { max_memory_bytes: 11, input_shapes: &NO_SHAPES };
    let error = prepare(model(), &limits, &ones).expect_err("too large");
    assert_eq!(error.code, ErrorCode::OutOfMemory);
    assert!(ones.0.borrow().is_empty());
}

/// A convolution of pictures behind a PAD, without shapes that only its file has.
fn padded(dtype: DataType, scales: [f32; 2], is_weights: bool) -> Model {
    let mut builder = Builder::default();
    let input = builder.tensor("x", &[1, 4, 4, 1], None);
    let other = builder.tensor("y", &[1, 6, 6, 1], None);
    builder.0.inputs.extend([input, other]);
    let paddings = builder.tensor("paddings", &[4, 2], None);
    let amounts: Vec<u8> =
        [0i32, 0, 1, 1, 1, 1, 0, 0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor = &mut builder.0.tensors[paddings.0];
    (tensor.dtype, tensor.data) = (DataType::Int32, Some(Bytes::from(amounts)));
    let padded = builder.node(Operator::Pad, "padded", &[input, paddings]);
    let (stride, activation) = ([1, 1], Activation::None);
    let (dilation, padding) = ([1, 1], Padding::Valid);
    let convolution = Operator::Conv2d { stride, dilation, padding, activation };
    let operands = if is_weights { [other, padded] } else { [padded, other] };
    let result = builder.node(convolution, "result", &operands);
    builder.0.outputs.push(result);
    for (id, scale) in [(input, scales[0]), (other, 0.5), (padded, scales[1]), (result, 0.5)] {
        builder.0.tensors[id.0].dtype = dtype;
        let quantization = Quantization::per_tensor(scale, 0);
        builder.0.tensors[id.0].quantization = (dtype == DataType::Int8).then_some(quantization);
    }
    builder.0.validate().expect("a valid model");
    builder.0
}

#[test]
fn a_pad_is_joined_with_the_picture_of_a_convolution_alone_and_on_one_scale() {
    let is_joined = |model: Model| {
        let mut graph = Graph::new(model);
        let limits = limits(&NO_SHAPES);
        infer_shapes(&mut graph, &limits, &Ones::default()).expect("shapes");
        fuse(&mut graph, &limits).expect("fused")
    };
    let (float, byte) = (DataType::Float32, DataType::Int8);
    assert!(is_joined(padded(float, [0.0; 2], false)));
    assert!(is_joined(padded(byte, [0.5, 0.5], false)));
    assert!(!is_joined(padded(byte, [0.5, 0.25], false)), "other numbers");
    assert!(!is_joined(padded(float, [0.0; 2], true)), "the weights are padded");
}
