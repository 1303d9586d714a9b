//! Small random graphs: what the engine gives for the whole, with all its passes, is what it gives
//! node by node, where there is nothing to join.
#![no_main]

use achado_engine::{Session, SessionOptions};
use achado_model::{
    Activation, Bytes, DataType, Model, Node, Operator, Padding, Quantization, Result, Tensor,
    TensorId,
};
use libfuzzer_sys::fuzz_target;

/// Elements of a tensor, at most.
const MAX_ELEMENTS: usize = 2048;
/// Nodes of a graph, at most.
const MAX_GRAPH: usize = 24;
/// Difference of floats, of the largest; graphs whose numbers grow beyond `MAX_FLOAT` say nothing.
const TOLERANCE: f32 = 2e-3;
const MAX_FLOAT: f32 = 1e4;

/// What the bytes of a case decide, one after another; zeros at the end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Numbers of a seed, between -1 and 1 in steps of 1/64.
    fn numbers(&mut self, count: usize) -> Vec<f32> {
        let mut state = u32::from(self.byte()).wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 24) as f32 - 128.0) / 128.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.numbers(count).into_iter().map(|x| (x * 127.0) as i8 as u8).collect()
    }

    fn activation(&mut self) -> Activation {
        let all = [Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1];
        all[self.below(4)]
    }

    fn padding(&mut self) -> Padding {
        if self.flag() { Padding::Same } else { Padding::Valid }
    }

    /// 1 or 2, twice.
    fn steps(&mut self) -> [usize; 2] {
        [1 + self.below(2), 1 + self.below(2)]
    }
}

/// A tensor of the graph with what it holds when each node runs alone.
#[derive(Clone)]
struct Value {
    tensor: Tensor,
    bytes: Vec<u8>,
    /// Floats were added or multiplied on the way: passes may round otherwise.
    is_rounded: bool,
}

impl Value {
    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn is_float(&self) -> bool {
        self.tensor.dtype == DataType::Float32
    }

    fn floats(&self) -> Vec<f32> {
        floats(&self.bytes)
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn tensor(name: String, dtype: DataType, shape: &[usize], data: Option<Vec<u8>>) -> Tensor {
    let (shape, data) = (shape.to_vec(), data.map(Bytes::from));
    Tensor { name, dtype, shape, dynamic: Vec::new(), quantization: None, data }
}

fn constant_floats(shape: &[usize], values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor("floats".to_owned(), DataType::Float32, shape, Some(data))
}

fn constant_integers(shape: &[usize], values: &[i32]) -> Tensor {
    let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor("integers".to_owned(), DataType::Int32, shape, Some(data))
}

/// An operand of a new node.
enum Operand {
    /// A value of the graph.
    Of(usize),
    Constant(Tensor),
}

/// A graph under construction.
struct Case {
    model: Model,
    values: Vec<Value>,
    /// The tensor of each value.
    ids: Vec<TensorId>,
}

impl Case {
    fn add_input(&mut self, choices: &mut Choices<'_>, tensor: Tensor) {
        let count = tensor.elements();
        let bytes = match tensor.dtype {
            DataType::Float32 => {
                choices.numbers(count).into_iter().flat_map(|x| (2.0 * x).to_le_bytes()).collect()
            }
            _ => choices.bytes(count),
        };
        let id = TensorId(self.model.tensors.len());
        self.model.inputs.push(id);
        self.model.tensors.push(tensor.clone());
        self.ids.push(id);
        self.values.push(Value { tensor, bytes, is_rounded: false });
    }

    /// Runs a node alone; where it can, it becomes a part of the graph.
    fn push(
        &mut self,
        operator: Operator,
        operands: Vec<Operand>,
        like: DataType,
        quantization: Option<Quantization>,
    ) -> Option<usize> {
        if self.model.nodes.len() >= MAX_GRAPH {
            return None;
        }
        let mut alone = Model::default();
        let mut inputs = Vec::new();
        let mut filled = Vec::new();
        for operand in &operands {
            let id = TensorId(alone.tensors.len());
            match operand {
                Operand::Of(value) => {
                    let value = self.values.get(*value)?;
                    let known = filled.iter().find(|(_, bytes): &&(TensorId, &[u8])| {
                        std::ptr::eq(*bytes, &*value.bytes)
                    });
                    if let Some((known, _)) = known {
                        inputs.push(Some(*known));
                        continue;
                    }
                    alone.tensors.push(value.tensor.clone());
                    alone.inputs.push(id);
                    filled.push((id, &*value.bytes));
                }
                Operand::Constant(constant) => alone.tensors.push(constant.clone()),
            }
            inputs.push(Some(id));
        }
        let mut output = tensor(format!("t{}", self.values.len()), like, &[], None);
        output.quantization = quantization;
        let id = TensorId(alone.tensors.len());
        alone.tensors.push(output);
        alone.outputs.push(id);
        alone.nodes.push(Node { operator: operator.clone(), inputs, outputs: vec![id] });
        // A file that leaves shapes open is rounded otherwise: TensorFlow Lite takes other kernels.
        let session = open(alone.clone()).ok()?;
        alone.tensors[id.0].shape = session.outputs().first()?.shape.clone();
        let tensor = alone.tensors[id.0].clone();
        if tensor.elements() > MAX_ELEMENTS || tensor.elements() == 0 {
            return None;
        }
        let mut session = open(alone).ok()?;
        for (at, (_, bytes)) in filled.iter().enumerate() {
            session.input_bytes_mut(at).expect("an input").copy_from_slice(bytes);
        }
        session.run().expect("a run");
        let bytes = session.output_bytes(0).expect("an output").to_vec();
        let moves = matches!(
            operator,
            Operator::Dequantize
                | Operator::Reshape { .. }
                | Operator::Transpose
                | Operator::Pad
                | Operator::Concatenation { .. }
        );
        let was_rounded = operands.iter().any(|operand| match operand {
            Operand::Of(value) => self.values[*value].is_rounded,
            Operand::Constant(_) => false,
        });
        let is_rounded = was_rounded || (tensor.dtype == DataType::Float32 && !moves);
        let inputs = operands.into_iter().map(|operand| match operand {
            Operand::Of(value) => Some(self.ids[value]),
            Operand::Constant(constant) => {
                self.model.tensors.push(constant);
                Some(TensorId(self.model.tensors.len() - 1))
            }
        });
        let inputs = inputs.collect();
        let id = TensorId(self.model.tensors.len());
        self.model.tensors.push(tensor.clone());
        self.model.nodes.push(Node { operator, inputs, outputs: vec![id] });
        self.ids.push(id);
        self.values.push(Value { tensor, bytes, is_rounded });
        Some(self.values.len() - 1)
    }

    /// A node of floats.
    fn float(&mut self, operator: Operator, operands: Vec<Operand>) -> Option<usize> {
        self.push(operator, operands, DataType::Float32, None)
    }
}

fn open(model: Model) -> Result<Session> {
    model.validate()?;
    Session::new(model, &SessionOptions { max_memory_bytes: 1 << 24, ..SessionOptions::default() })
}

/// A quantization of one of a few scales.
fn quantization(choices: &mut Choices<'_>) -> Quantization {
    let scale = [0.05, 0.1, 0.003_921_569, 0.25][choices.below(4)];
    Quantization::per_tensor(scale, choices.below(256) as i32 - 128)
}

/// Weights of 8 bits with a bias for an input of `scale`.
fn int8_weights(
    choices: &mut Choices<'_>,
    shape: &[usize],
    axis: usize,
    scale: f32,
    with_bias: bool,
) -> Vec<Operand> {
    let count = shape[axis];
    let scales: Vec<f32> = choices.numbers(count).iter().map(|x| 0.01 + 0.01 * x.abs()).collect();
    let data = choices.bytes(shape.iter().product());
    let mut weights = tensor("weights".to_owned(), DataType::Int8, shape, Some(data));
    let zero_point = vec![0; count];
    weights.quantization =
        Some(Quantization { scale: scales.clone(), zero_point: zero_point.clone(), axis });
    let mut operands = vec![Operand::Constant(weights)];
    if with_bias {
        let values: Vec<i32> = choices.numbers(count).iter().map(|x| (x * 500.0) as i32).collect();
        let mut bias = constant_integers(&[count], &values);
        let scale = scales.iter().map(|weight| weight * scale).collect();
        bias.quantization = Some(Quantization { scale, zero_point, axis: 0 });
        operands.push(Operand::Constant(bias));
    }
    operands
}

/// Weights of floats, with a bias or without.
fn float_weights(choices: &mut Choices<'_>, shape: &[usize], axis: usize) -> Vec<Operand> {
    let weights = choices.numbers(shape.iter().product());
    let mut operands = vec![Operand::Constant(constant_floats(shape, &weights))];
    if choices.flag() {
        let bias = choices.numbers(shape[axis]);
        operands.push(Operand::Constant(constant_floats(&[shape[axis]], &bias)));
    }
    operands
}

/// A product with weights: a convolution, by channels or whole, or a dense layer.
fn product(case: &mut Case, choices: &mut Choices<'_>, at: usize) -> Option<usize> {
    let value = case.values[at].clone();
    let (stride, dilation, padding) = (choices.steps(), choices.steps(), choices.padding());
    let activation = choices.activation();
    let window = [1 + choices.below(3), 1 + choices.below(3)];
    let outputs = 1 + choices.below(9);
    let &[.., channels] = value.shape() else { return None };
    let (operator, shape, axis) = match (choices.below(3), value.shape().len()) {
        (0, 4) => (
            Operator::Conv2d { stride, dilation, padding, activation },
            vec![outputs, window[0], window[1], channels],
            0,
        ),
        (1, 4) => {
            let depth_multiplier = 1 + choices.below(2);
            let operator = Operator::DepthwiseConv2d {
                stride,
                dilation,
                padding,
                depth_multiplier,
                activation,
            };
            (operator, vec![1, window[0], window[1], channels * depth_multiplier], 3)
        }
        _ => (
            Operator::FullyConnected { activation, keep_num_dims: choices.flag() },
            vec![outputs, channels],
            0,
        ),
    };
    let mut operands = vec![Operand::Of(at)];
    if value.is_float() {
        operands.extend(float_weights(choices, &shape, axis));
        return case.float(operator, operands);
    }
    let (scale, _) = value.tensor.quantization.as_ref()?.as_per_tensor()?;
    let with_bias = choices.flag();
    operands.extend(int8_weights(choices, &shape, axis, scale, with_bias));
    let quantization = quantization(choices);
    case.push(operator, operands, value.tensor.dtype, Some(quantization))
}

/// An operator with two operands, the second another value, a constant for each channel or one number.
fn binary(case: &mut Case, choices: &mut Choices<'_>, at: usize) -> Option<usize> {
    let value = case.values[at].clone();
    let activation = choices.activation();
    let operator = match choices.below(if value.is_float() { 7 } else { 3 }) {
        0 => Operator::Add { activation },
        1 => Operator::Mul { activation },
        2 => Operator::Sub { activation },
        3 => Operator::Maximum,
        4 => Operator::Minimum,
        5 => Operator::SquaredDifference,
        _ => Operator::Div { activation },
    };
    let other = choices.below(case.values.len());
    let second = match choices.below(3) {
        0 if case.values[other].tensor.dtype == value.tensor.dtype => Operand::Of(other),
        1 if value.is_float() => {
            let channels = value.shape().last().copied().unwrap_or(1);
            Operand::Constant(constant_floats(&[channels], &choices.numbers(channels)))
        }
        _ if value.is_float() => Operand::Constant(constant_floats(&[], &choices.numbers(1))),
        _ => Operand::Of(at),
    };
    let operands =
        if choices.flag() { vec![Operand::Of(at), second] } else { vec![second, Operand::Of(at)] };
    if value.is_float() {
        return case.float(operator, operands);
    }
    let quantization = quantization(choices);
    case.push(operator, operands, value.tensor.dtype, Some(quantization))
}

/// A function of each element, or of each row.
fn unary(case: &mut Case, choices: &mut Choices<'_>, at: usize) -> Option<usize> {
    let value = case.values[at].clone();
    let fixed = |scale: f32, zero_point: i32| Some(Quantization::per_tensor(scale, zero_point));
    let same = value.tensor.quantization.clone();
    let (operator, quantization) = match choices.below(if value.is_float() { 13 } else { 6 }) {
        0 => (Operator::Relu, same),
        1 => (Operator::Relu6, same),
        2 => (Operator::Logistic, fixed(1.0 / 256.0, -128)),
        3 => (Operator::Tanh, fixed(1.0 / 128.0, 0)),
        4 => (Operator::HardSwish, Some(quantization(choices))),
        5 => (Operator::Softmax { beta: 1.0 }, fixed(1.0 / 256.0, -128)),
        6 => (Operator::Gelu { approximate: choices.flag() }, None),
        7 => (Operator::Abs, None),
        8 => (Operator::Exp, None),
        9 => (Operator::Rsqrt, None),
        10 => (Operator::Square, None),
        11 => (Operator::Elu, None),
        _ => (Operator::LeakyRelu { alpha: 0.25 }, None),
    };
    let dtype = value.tensor.dtype;
    let quantization = if value.is_float() { None } else { quantization };
    case.push(operator, vec![Operand::Of(at)], dtype, quantization)
}

/// An operator that moves, joins or averages.
fn movement(case: &mut Case, choices: &mut Choices<'_>, at: usize) -> Option<usize> {
    let value = case.values[at].clone();
    let (dtype, same) = (value.tensor.dtype, value.tensor.quantization.clone());
    let rank = value.shape().len();
    let (filter, stride, padding, activation) = (
        [1 + choices.below(3), 1 + choices.below(3)],
        choices.steps(),
        choices.padding(),
        choices.activation(),
    );
    let mut operands = vec![Operand::Of(at)];
    let operator = match choices.below(8) {
        0 => {
            let mut sides = vec![0; rank * 2];
            if rank == 4 {
                for side in &mut sides[2..6] {
                    *side = choices.below(3) as i32;
                }
            }
            operands.push(Operand::Constant(constant_integers(&[rank, 2], &sides)));
            Operator::Pad
        }
        1 => Operator::MaxPool2d { filter, stride, padding, activation },
        2 => Operator::AveragePool2d { filter, stride, padding, activation },
        3 => {
            let axes: &[i32] = if rank == 4 && choices.flag() { &[1, 2] } else { &[-1] };
            operands.push(Operand::Constant(constant_integers(&[axes.len()], axes)));
            Operator::Mean { keep_dims: choices.flag() }
        }
        4 => Operator::Reshape { new_shape: vec![1, -1] },
        5 => {
            let mut order: Vec<i32> = (0..rank as i32).collect();
            if rank > 1 {
                order.swap(choices.below(rank), choices.below(rank));
            }
            operands.push(Operand::Constant(constant_integers(&[rank], &order)));
            Operator::Transpose
        }
        6 => {
            let others: Vec<usize> = (0..case.values.len())
                .filter(|&other| {
                    let other = &case.values[other].tensor;
                    other.dtype == dtype && other.quantization == same
                })
                .collect();
            operands.push(Operand::Of(others[choices.below(others.len())]));
            Operator::Concatenation { axis: -1, activation: Activation::None }
        }
        _ => {
            let size = [1 + choices.below(8) as i32, 1 + choices.below(8) as i32];
            operands.push(Operand::Constant(constant_integers(&[2], &size)));
            Operator::ResizeBilinear { align_corners: false, half_pixel_centers: choices.flag() }
        }
    };
    case.push(operator, operands, dtype, same)
}

/// Chains that passes know: each is joined if nothing else reads what is in between.
fn spelled_out(case: &mut Case, choices: &mut Choices<'_>, at: usize) -> Option<usize> {
    let value = case.values[at].clone();
    let none = Activation::None;
    let number = |x: f32| Operand::Constant(constant_floats(&[], &[x]));
    if !value.is_float() {
        // To floats and back, also with another scale.
        let real = case.float(Operator::Dequantize, vec![Operand::Of(at)])?;
        let quantization =
            if choices.flag() { quantization(choices) } else { value.tensor.quantization? };
        return case.push(
            Operator::Quantize,
            vec![Operand::Of(real)],
            value.tensor.dtype,
            Some(quantization),
        );
    }
    match choices.below(4) {
        0 => {
            let gate = case.float(Operator::Logistic, vec![Operand::Of(at)])?;
            case.float(
                Operator::Mul { activation: choices.activation() },
                vec![Operand::Of(at), Operand::Of(gate)],
            )
        }
        1 => {
            let shifted =
                case.float(Operator::Add { activation: none }, vec![Operand::Of(at), number(3.0)])?;
            let clamped = case.float(Operator::Relu6, vec![Operand::Of(shifted)])?;
            let times = case.float(
                Operator::Mul { activation: none },
                vec![Operand::Of(at), Operand::Of(clamped)],
            )?;
            case.float(
                Operator::Mul { activation: none },
                vec![Operand::Of(times), number(1.0 / 6.0)],
            )
        }
        2 => {
            let quantization = quantization(choices);
            let small = case.push(
                Operator::Quantize,
                vec![Operand::Of(at)],
                DataType::Int8,
                Some(quantization),
            )?;
            case.float(Operator::Dequantize, vec![Operand::Of(small)])
        }
        _ => {
            let axes = |rank: usize| {
                let axes: &[i32] = if rank == 4 { &[3] } else { &[-1] };
                Operand::Constant(constant_integers(&[axes.len()], axes))
            };
            let (rank, keep_dims) = (value.shape().len(), true);
            let mean =
                case.float(Operator::Mean { keep_dims }, vec![Operand::Of(at), axes(rank)])?;
            let squares =
                case.float(Operator::SquaredDifference, vec![Operand::Of(at), Operand::Of(mean)])?;
            let variance =
                case.float(Operator::Mean { keep_dims }, vec![Operand::Of(squares), axes(rank)])?;
            let more = case.float(
                Operator::Add { activation: none },
                vec![Operand::Of(variance), number(0.01)],
            )?;
            let factor = case.float(Operator::Rsqrt, vec![Operand::Of(more)])?;
            let less = case.float(
                Operator::Sub { activation: none },
                vec![Operand::Of(at), Operand::Of(mean)],
            )?;
            let normal = case.float(
                Operator::Mul { activation: none },
                vec![Operand::Of(less), Operand::Of(factor)],
            )?;
            let channels = value.shape().last().copied().unwrap_or(1);
            let scale = Operand::Constant(constant_floats(&[channels], &choices.numbers(channels)));
            case.float(
                Operator::Mul { activation: choices.activation() },
                vec![Operand::Of(normal), scale],
            )
        }
    }
}

/// Whether the graph as a whole gives what its nodes give alone.
fn compare(session: &Session, at: usize, value: &Value) {
    let found = session.output_bytes(at).expect("an output");
    if !value.is_float() {
        // A float that was rounded otherwise may fall on the other side of a half.
        assert!(value.is_rounded || found == value.bytes, "{}", value.tensor.name);
        return;
    }
    let expected = value.floats();
    let largest = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    if expected.iter().any(|x| !x.is_finite()) || largest > MAX_FLOAT {
        return;
    }
    for (index, (a, b)) in floats(found).into_iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= TOLERANCE * largest,
            "{} [{index}]: {a}, alone {b}",
            value.tensor.name
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut case = Case { model: Model::default(), values: Vec::new(), ids: Vec::new() };
    let dtype = [DataType::Float32, DataType::Int8][choices.below(2)];
    let shape =
        [1 + choices.below(2), 1 + choices.below(7), 1 + choices.below(7), 1 + choices.below(9)];
    let mut input = tensor("input".to_owned(), dtype, &shape, None);
    if dtype == DataType::Int8 {
        input.quantization = Some(quantization(&mut choices));
    }
    case.add_input(&mut choices, input);
    while !choices.0.is_empty() && case.model.nodes.len() < MAX_GRAPH {
        // Mostly the last value, so that chains come about.
        let last = case.values.len() - 1;
        let at = if choices.below(4) == 0 { choices.below(last + 1) } else { last };
        if case.values[at].tensor.elements() > MAX_ELEMENTS {
            continue;
        }
        match choices.below(6) {
            0 | 1 => product(&mut case, &mut choices, at),
            2 => binary(&mut case, &mut choices, at),
            3 => unary(&mut case, &mut choices, at),
            4 => movement(&mut case, &mut choices, at),
            _ => spelled_out(&mut case, &mut choices, at),
        };
    }
    if case.model.nodes.is_empty() {
        return;
    }
    let mut outputs = vec![case.values.len() - 1];
    if choices.flag() {
        let further = choices.below(case.values.len());
        if further != 0 && !outputs.contains(&further) {
            outputs.push(further);
        }
    }
    // Nodes that nothing reads stay: passes must not trip over them.
    case.model.outputs = outputs.iter().map(|&value| case.ids[value]).collect();
    let mut session = open(case.model.clone()).expect("nodes that run alone run together");
    let input = &case.values[0].bytes;
    session.input_bytes_mut(0).expect("an input").copy_from_slice(input);
    session.run().expect("a run");
    for (at, &value) in outputs.iter().enumerate() {
        compare(&session, at, &case.values[value]);
    }
});
