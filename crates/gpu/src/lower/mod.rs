//! From the operators of a model to dispatches: one file a family.

mod arithmetic;
mod convolution;
mod matrix;
mod movement;
mod reduction;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use achado_graph::{Graph, Kind as NodeKind, Node, Pattern};
use achado_model::{
    Bytes, DataType, Error, ErrorCode, Model, Operator, Result, Tensor, TensorId, prune, tflite,
};

use crate::places::{Buffer, Lifetime, plan};
use crate::recording::{ALIGNMENT, Dispatch, Pipeline, Recording, Transfer};

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest range of a storage buffer that can be bound.
    pub binding_bytes: usize,
    /// The largest buffer.
    pub buffer_bytes: usize,
}

impl Default for Limits {
    /// Those that every adapter has.
    fn default() -> Self {
        Self { binding_bytes: 128 << 20, buffer_bytes: 256 << 20 }
    }
}

/// Work-groups in one dimension, at most.
const MAX_GROUPS: u32 = 65535;

/// As the CPU's sessions have it.
const MAX_MODEL_BYTES: usize = 1 << 30;

/// What the CPU may be left, in bytes that are read back.
const MAX_TAIL_BYTES: usize = 16 << 20;

/// Records a model, prepared as for every backend.
///
/// # Errors
/// Those of [`achado_graph::prepare`]; `UNSUPPORTED_OPERATOR` and `UNSUPPORTED_TYPE`, which name the
/// operator that is missing here; `OUT_OF_MEMORY` where a buffer would be larger than the limits.
pub fn record(model: Model, limits: Limits) -> Result<Recording> {
    let graph_limits =
        achado_graph::Limits { max_memory_bytes: MAX_MODEL_BYTES, input_shapes: &BTreeMap::new() };
    let graph = &achado_graph::prepare(model, &graph_limits, &Constants)?;
    let mut tail = vec![false; graph.nodes.len()];
    // Each round that fails moves an operator to the CPU, with all that depends on it.
    loop {
        let mut builder = Builder::new(graph, &tail);
        match builder.run() {
            Ok(()) => return builder.finish(limits),
            Err((index, error)) => {
                move_to_tail(graph, &mut tail, index);
                if !may_be_tail(graph, &tail) {
                    return Err(error);
                }
            }
        }
    }
}

/// Moves an operator and its readers to the tail.
fn move_to_tail(graph: &Graph, tail: &mut [bool], index: usize) {
    let mut moved = vec![false; graph.tensors.len()];
    for (at, node) in graph.nodes.iter().enumerate().skip(index) {
        let reads = node.inputs.iter().flatten().any(|id| moved[id.0]);
        if at == index || reads {
            tail[at] = true;
            node.outputs.iter().for_each(|id| moved[id.0] = true);
        }
    }
}

/// Whether the tail has no products, and little to read.
fn may_be_tail(graph: &Graph, tail: &[bool]) -> bool {
    let heavy = |node: &Node| {
        matches!(
            node.operator,
            Operator::Conv2d { .. }
                | Operator::DepthwiseConv2d { .. }
                | Operator::FullyConnected { .. }
                | Operator::BatchMatmul { .. }
                | Operator::TransposeConv { .. }
                | Operator::Convolution2dTransposeBias { .. }
        )
    };
    let mut nodes = graph.nodes.iter().zip(tail).filter(|(_, tail)| **tail);
    // What several operators were joined into has no form in a file.
    if nodes.clone().any(|(node, _)| heavy(node) || node.kind != NodeKind::Operator) {
        return false;
    }
    let bytes: usize = nodes
        .try_fold(0usize, |sum, (node, _)| {
            let read = node.inputs.iter().flatten().map(|&id| graph.tensor(id));
            read.filter(|tensor| !tensor.is_constant())
                .try_fold(sum, |sum, tensor| sum.checked_add(tensor.size_bytes()))
        })
        .unwrap_or(usize::MAX);
    bytes <= MAX_TAIL_BYTES && !tail.iter().all(|&tail| tail)
}

/// A tensor as four dimensions: `[n, h, w, c]`, leading ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
}

impl Shape {
    fn of(shape: &[usize]) -> Self {
        match *shape {
            [] => Self { n: 1, h: 1, w: 1, c: 1 },
            [c] => Self { n: 1, h: 1, w: 1, c },
            [n, c] => Self { n, h: 1, w: 1, c },
            [n, w, c] => Self { n, h: 1, w, c },
            [ref n @ .., h, w, c] => Self { n: n.iter().product(), h, w, c },
        }
    }

    /// Groups of four channels.
    fn quads(self) -> usize {
        self.c.div_ceil(4)
    }

    fn pixels(self) -> usize {
        self.n * self.h * self.w
    }

    /// Groups of four elements, padded ones included.
    fn total(self) -> usize {
        self.pixels() * self.quads()
    }
}

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `vec4<f32>`.
    Float,
    /// Four signed bytes in a `u32`; `offset` more in the model.
    Bytes {
        /// 128 for uint8, 0 for int8.
        offset: i32,
    },
}

impl Kind {
    fn of(tensor: &Tensor) -> Option<Self> {
        match tensor.dtype {
            DataType::Float32 => Some(Self::Float),
            DataType::Int8 => Some(Self::Bytes { offset: 0 }),
            DataType::UInt8 => Some(Self::Bytes { offset: 128 }),
            DataType::Float16
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Bool => None,
        }
    }

    /// The same of a tensor that goes between GPU and caller.
    fn of_end(tensor: &Tensor) -> Result<Self> {
        Self::of(tensor).ok_or_else(|| {
            let (name, dtype) = (&tensor.name, tensor.dtype);
            let message = format!("tensor {name:?} of {dtype} is not supported on WebGPU");
            Error::unsupported_type(message)
        })
    }

    fn quad_bytes(self) -> usize {
        match self {
            Self::Float => 16,
            Self::Bytes { .. } => 4,
        }
    }

    fn is_float(self) -> bool {
        self == Self::Float
    }
}

/// What a binding reads or writes.
#[derive(Clone, Debug)]
enum Bind {
    Arena(Buffer),
    Weights(Range<usize>),
}

struct Call {
    pipeline: usize,
    groups: [u32; 3],
    params: Range<usize>,
    binds: Vec<Bind>,
    operator: &'static str,
    name: String,
}

/// A node with its number.
#[derive(Clone, Copy)]
struct At<'a> {
    graph: &'a Graph,
    index: usize,
    node: &'a Node,
}

impl<'a> At<'a> {
    fn label(&self) -> String {
        let name = self.node.outputs.first().map_or("", |&id| &self.graph.tensor(id).name);
        format!("operator {} {} {name:?}", self.node.index, self.node.operator.name())
    }

    fn error(&self, code: ErrorCode, what: &str) -> Error {
        Error::new(code, format!("{}: {what} on WebGPU", self.label()))
            .with("operator", self.node.operator.name())
            .with("index", self.node.index)
    }

    fn unsupported(&self, what: &str) -> Error {
        self.error(ErrorCode::UnsupportedOperator, what)
    }

    fn input_id(&self, at: usize) -> Result<TensorId> {
        let id = self.node.inputs.get(at).copied().flatten();
        id.ok_or_else(|| self.unsupported("an operand is missing"))
    }

    fn input(&self, at: usize) -> Result<&'a Tensor> {
        Ok(self.graph.tensor(self.input_id(at)?))
    }

    fn optional(&self, at: usize) -> Option<&'a Tensor> {
        self.node.inputs.get(at).copied().flatten().map(|id| self.graph.tensor(id))
    }

    fn output_id(&self) -> TensorId {
        self.node.outputs[0]
    }

    fn output(&self) -> &'a Tensor {
        self.graph.tensor(self.output_id())
    }

    fn kind(&self, tensor: &Tensor) -> Result<Kind> {
        Kind::of(tensor).ok_or_else(|| {
            let what = format!("tensor {:?} of {} is not supported", tensor.name, tensor.dtype);
            self.error(ErrorCode::UnsupportedType, &what)
        })
    }

    /// Scale and zero point, the latter of signed bytes.
    fn affine(&self, tensor: &Tensor) -> Result<(f32, i32)> {
        let found = tensor.quantization.as_ref().and_then(|q| q.as_per_tensor());
        let Kind::Bytes { offset } = self.kind(tensor)? else {
            return Err(self.unsupported("mixed types are not supported"));
        };
        let (scale, zero_point) =
            found.ok_or_else(|| self.unsupported("a tensor without one scale is not supported"))?;
        let zero_point = zero_point - offset;
        if !(-128..=127).contains(&zero_point) || !scale.is_normal() {
            return Err(self.unsupported("this zero point or scale is not supported"));
        }
        Ok((scale, zero_point))
    }

    fn integers(&self, at: usize) -> Result<Vec<i64>> {
        let integers = self.input(at)?.constant_integers();
        integers.ok_or_else(|| self.unsupported("an operand that is not constant is not supported"))
    }
}

/// Words of a uniform.
#[derive(Default)]
struct Params(Vec<u32>);

impl Params {
    fn u(mut self, values: &[usize]) -> Self {
        self.0.extend(values.iter().map(|&value| value as u32));
        self
    }

    fn i(mut self, values: &[i32]) -> Self {
        self.0.extend(values.iter().map(|&value| value as u32));
        self
    }

    fn f(mut self, values: &[f32]) -> Self {
        self.0.extend(values.iter().map(|value| value.to_bits()));
        self
    }
}

/// Infinity where a shader clamps: WGSL may assume that there is none.
const UNBOUNDED: f32 = f32::MAX;

fn bounds(activation: achado_model::Activation) -> [f32; 2] {
    let (low, high) = activation.range();
    [low.max(-UNBOUNDED), high.min(UNBOUNDED)]
}

struct Builder<'a> {
    graph: &'a Graph,
    tail: &'a [bool],
    shaders: HashMap<String, usize>,
    texts: Vec<String>,
    pipelines: Vec<Pipeline>,
    calls: Vec<Call>,
    weights: Vec<u8>,
    params: Vec<u8>,
    /// By tensor of the model: where it is.
    places: Vec<Option<Buffer>>,
    sizes: Vec<usize>,
    inputs: Vec<(Buffer, usize)>,
    /// How many operators read a tensor, and whether it is a result.
    readers: Vec<usize>,
    /// Operators that another one has done.
    done: Vec<bool>,
    current: (&'static str, String),
    needs_packed_dot: bool,
    macs: u64,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, tail: &'a [bool]) -> Self {
        let mut readers = vec![0; graph.tensors.len()];
        let operands = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
        for id in operands.chain(&graph.outputs) {
            readers[id.0] += 1;
        }
        Self {
            graph,
            tail,
            shaders: HashMap::new(),
            texts: Vec::new(),
            pipelines: Vec::new(),
            calls: Vec::new(),
            weights: Vec::new(),
            params: Vec::new(),
            places: vec![None; graph.tensors.len()],
            sizes: Vec::new(),
            inputs: Vec::new(),
            readers,
            done: vec![false; graph.nodes.len()],
            current: ("", String::new()),
            needs_packed_dot: false,
            macs: 0,
        }
    }

    fn run(&mut self) -> std::result::Result<(), (usize, Error)> {
        let graph = self.graph;
        for &id in &graph.inputs {
            self.upload(id).map_err(|error| (0, error))?;
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            if self.tail[index] || self.done[index] {
                continue;
            }
            let at = At { graph, index, node };
            self.current = (node.operator.name(), graph.tensor(at.output_id()).name.clone());
            self.lower(&at).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    fn lower(&mut self, at: &At<'a>) -> Result<()> {
        let tensors = at.node.inputs.iter().flatten().chain(&at.node.outputs);
        if tensors.clone().any(|&id| at.graph.tensor(id).elements() == 0) {
            return Err(at.unsupported("a tensor without elements is not supported"));
        }
        match &at.node.kind {
            NodeKind::Operator => {}
            NodeKind::Folded => return Ok(()),
            NodeKind::IntegerProduct(_) => {
                return Err(at.unsupported("a product of integers among floats is not supported"));
            }
            NodeKind::Pattern(Pattern::Silu) => return arithmetic::silu(self, at),
            NodeKind::Pattern(Pattern::Normalization(parts)) => {
                return reduction::normalization(self, at, parts);
            }
        }
        match &at.node.operator {
            Operator::Conv2d { .. }
            | Operator::DepthwiseConv2d { .. }
            | Operator::FullyConnected { .. } => convolution::lower(self, at),
            Operator::AveragePool2d { .. } | Operator::MaxPool2d { .. } => window::pool(self, at),
            Operator::ResizeBilinear { .. } | Operator::ResizeNearestNeighbor { .. } => {
                window::resize(self, at)
            }
            Operator::BatchMatmul { .. } => matrix::batch_matmul(self, at),
            Operator::Mean { .. } => reduction::mean(self, at),
            Operator::Softmax { beta } => reduction::softmax(self, at, *beta),
            Operator::Add { .. }
            | Operator::Sub { .. }
            | Operator::Mul { .. }
            | Operator::Div { .. }
            | Operator::Maximum
            | Operator::Minimum
            | Operator::SquaredDifference => arithmetic::binary(self, at),
            Operator::Relu
            | Operator::Relu6
            | Operator::ReluN1To1
            | Operator::Relu0To1
            | Operator::HardSwish
            | Operator::Logistic
            | Operator::Tanh
            | Operator::Gelu { .. }
            | Operator::Elu
            | Operator::LeakyRelu { .. }
            | Operator::Abs
            | Operator::Neg
            | Operator::Exp
            | Operator::Sqrt
            | Operator::Rsqrt
            | Operator::Square
            | Operator::Quantize => arithmetic::unary(self, at),
            Operator::Reshape { .. } | Operator::Squeeze { .. } | Operator::ExpandDims => {
                movement::reshape(self, at)
            }
            Operator::Concatenation { .. } => movement::concatenation(self, at),
            Operator::Pad | Operator::PadV2 => movement::pad(self, at),
            Operator::Transpose => movement::transpose(self, at),
            Operator::Slice | Operator::StridedSlice { .. } | Operator::Split { .. } => {
                movement::slice(self, at)
            }
            _ => Err(at.unsupported("this operator is not supported")),
        }
    }

    /// Room in the arena.
    fn buffer(&mut self, bytes: usize) -> Buffer {
        self.sizes.push(bytes.max(4));
        Buffer(self.sizes.len() - 1)
    }

    /// Room for the result of a node.
    fn result(&mut self, at: &At<'a>) -> Result<Buffer> {
        self.room(at, at.output_id())
    }

    fn room(&mut self, at: &At<'a>, id: TensorId) -> Result<Buffer> {
        let tensor = at.graph.tensor(id);
        let bytes = Shape::of(&tensor.shape).total() * at.kind(tensor)?.quad_bytes();
        let buffer = self.buffer(bytes);
        self.places[id.0] = Some(buffer);
        Ok(buffer)
    }

    /// Where operand `i` is: computed, or a constant in the weights.
    fn operand(&mut self, at: &At<'a>, i: usize) -> Result<Bind> {
        let id = at.input_id(i)?;
        if let Some(buffer) = self.places[id.0] {
            return Ok(Bind::Arena(buffer));
        }
        let tensor = at.input(i)?;
        let (Some(data), kind) = (&tensor.data, at.kind(tensor)?) else {
            return Err(at.unsupported("an operand that nobody computes is not supported"));
        };
        let (shape, size) = (Shape::of(&tensor.shape), tensor.dtype.size_bytes());
        let mut padded = Vec::with_capacity(shape.total() * kind.quad_bytes());
        for row in data.chunks_exact(shape.c.max(1) * size) {
            padded.extend_from_slice(row);
            padded.resize(padded.len().next_multiple_of(kind.quad_bytes()), 0);
        }
        if kind == (Kind::Bytes { offset: 128 }) {
            padded.iter_mut().for_each(|byte| *byte ^= 0x80);
        }
        Ok(Bind::Weights(self.constant(&padded)))
    }

    /// The arena's place of operand `i`.
    fn computed(&mut self, at: &At<'a>, i: usize) -> Result<Buffer> {
        match self.operand(at, i)? {
            Bind::Arena(buffer) => Ok(buffer),
            Bind::Weights(_) => Err(at.unsupported("a constant operand is not supported")),
        }
    }

    /// Bytes among the weights, with a quad of zeros behind them.
    fn constant(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.weights.len().next_multiple_of(ALIGNMENT);
        self.weights.resize(start, 0);
        self.weights.extend_from_slice(bytes);
        self.weights.resize(self.weights.len().next_multiple_of(16), 0);
        start..self.weights.len()
    }

    fn words(&mut self, words: &[u32]) -> Range<usize> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.constant(&bytes)
    }

    /// A dispatch of `text`: parameters come first among its bindings.
    fn call(
        &mut self,
        at: &At<'a>,
        text: String,
        groups: [usize; 3],
        params: Params,
        binds: Vec<Bind>,
    ) -> Result<()> {
        let most = groups.iter().copied().max().unwrap_or(0);
        if most > MAX_GROUPS as usize {
            let what = format!("{most} work-groups in one dimension are not supported");
            return Err(at.unsupported(&what));
        }
        self.push(text, groups, params, binds);
        Ok(())
    }

    fn push(&mut self, text: String, groups: [usize; 3], params: Params, binds: Vec<Bind>) {
        let texts = &mut self.texts;
        let shader = *self.shaders.entry(text).or_insert_with_key(|text| {
            texts.push(text.clone());
            texts.len() - 1
        });
        let kinds = binds.iter().map(|bind| match bind {
            Bind::Arena(_) => 'a',
            Bind::Weights(_) => 'w',
        });
        let pipeline = Pipeline { shader, layout: std::iter::once('p').chain(kinds).collect() };
        let known = self.pipelines.iter().position(|known| *known == pipeline);
        let pipeline = known.unwrap_or_else(|| {
            self.pipelines.push(pipeline);
            self.pipelines.len() - 1
        });
        let start = self.params.len().next_multiple_of(ALIGNMENT);
        self.params.resize(start, 0);
        self.params.extend(params.0.iter().flat_map(|word| word.to_le_bytes()));
        self.params.resize(self.params.len().next_multiple_of(16), 0);
        let (operator, name) = self.current.clone();
        let groups = groups.map(|count| count as u32);
        let params = start..self.params.len();
        self.calls.push(Call { pipeline, groups, params, binds, operator, name });
    }

    /// Threads, 64 a work-group, over two dimensions where one is too short.
    fn threads(total: usize) -> [usize; 3] {
        // Shaders step by 65472 = 1023 * 64 threads.
        let groups = total.div_ceil(64);
        if groups <= 1023 { [groups, 1, 1] } else { [1023, groups.div_ceil(1023), 1] }
    }

    /// Room for an input as its caller writes it, brought into channels padded to 4.
    fn upload(&mut self, id: TensorId) -> Result<()> {
        let tensor = self.graph.tensor(id);
        let kind = Kind::of_end(tensor)?;
        let raw = self.buffer(tensor.size_bytes().next_multiple_of(4));
        self.inputs.push((raw, tensor.size_bytes()));
        self.current = ("upload", tensor.name.clone());
        let shape = Shape::of(&tensor.shape);
        let is_same = shape.c.is_multiple_of(4) && kind != (Kind::Bytes { offset: 128 });
        if is_same {
            self.places[id.0] = Some(raw);
            return Ok(());
        }
        let bytes = shape.total() * kind.quad_bytes();
        let packed = self.buffer(bytes);
        self.places[id.0] = Some(packed);
        let rows = [shape.c, shape.c, shape.c, shape.quads() * 4];
        self.repack(kind, tensor.elements(), rows, raw, packed, true);
        Ok(())
    }

    /// Copies `elements` from rows of one length and distance to rows of another.
    fn repack(
        &mut self,
        kind: Kind,
        elements: usize,
        rows: [usize; 4],
        from: Buffer,
        to: Buffer,
        flips: bool,
    ) {
        let Kind::Bytes { offset } = kind else {
            return self.push_repack(elements, rows, from, to, false, 0);
        };
        self.push_repack(elements, rows, from, to, true, if flips { offset as usize } else { 0 });
    }

    fn push_repack(
        &mut self,
        elements: usize,
        rows: [usize; 4],
        from: Buffer,
        to: Buffer,
        is_int: bool,
        flip: usize,
    ) {
        let [from_row, from_step, to_row, to_step] = rows;
        let total = (elements.div_ceil(to_row.max(1)) * to_step).div_ceil(4);
        let text = crate::template::Template::new(include_str!("../wgsl/repack.wgsl"));
        let text = text.flag("INT", is_int).finish();
        let params =
            Params::default().u(&[elements, from_row, from_step, to_row, to_step, total, flip, 0]);
        self.push(text, Self::threads(total), params, vec![Bind::Arena(from), Bind::Arena(to)]);
    }

    /// Where a result is as its caller reads it.
    fn download(&mut self, id: TensorId) -> Result<(Buffer, usize)> {
        let tensor = self.graph.tensor(id);
        let kind = Kind::of_end(tensor)?;
        let Some(buffer) = self.places[id.0] else {
            let message =
                format!("result {:?} is constant, which is not supported on WebGPU", tensor.name);
            return Err(Error::unsupported_type(message));
        };
        let shape = Shape::of(&tensor.shape);
        let bytes = tensor.size_bytes();
        let is_same = shape.c.is_multiple_of(4) || shape.pixels() == 1;
        if is_same && kind != (Kind::Bytes { offset: 128 }) {
            return Ok((buffer, bytes));
        }
        self.current = ("download", tensor.name.clone());
        let raw = self.buffer(bytes.next_multiple_of(16));
        let step = shape.quads() * 4;
        let row = tensor.elements().next_multiple_of(4);
        self.repack(kind, tensor.elements(), [shape.c, step, row, row], buffer, raw, true);
        Ok((raw, bytes))
    }

    fn finish(mut self, limits: Limits) -> Result<Recording> {
        let graph = self.graph;
        let has_tail = self.tail.contains(&true);
        let mut results: Vec<TensorId> = Vec::new();
        if has_tail {
            let tail = graph.nodes.iter().zip(self.tail).filter(|(_, tail)| **tail);
            let read = tail.flat_map(|(node, _)| node.inputs.iter().flatten());
            for &id in read.chain(&graph.outputs) {
                if self.places[id.0].is_some() && !results.contains(&id) {
                    results.push(id);
                }
            }
        } else {
            for &id in &graph.outputs {
                if !results.contains(&id) {
                    results.push(id);
                }
            }
        }
        let mut outputs = Vec::new();
        for &id in &results {
            outputs.push(self.download(id)?);
        }
        let tail = if has_tail { Some(tail_file(graph, self.tail, &results)?) } else { None };
        let result_places = if has_tail {
            Vec::new()
        } else {
            let place = |id| results.iter().position(|result| result == id).unwrap_or(0);
            graph.outputs.iter().map(place).collect()
        };

        let last = self.calls.len();
        let mut lifetimes: Vec<Lifetime> =
            self.sizes.iter().map(|&bytes| Lifetime { bytes, first: last, last: 0 }).collect();
        for (index, call) in self.calls.iter().enumerate() {
            for bind in &call.binds {
                if let Bind::Arena(buffer) = bind {
                    let lifetime = &mut lifetimes[buffer.0];
                    lifetime.first = lifetime.first.min(index);
                    lifetime.last = lifetime.last.max(index);
                }
            }
        }
        // Inputs keep their place: they are written before the first dispatch.
        self.inputs.iter().for_each(|(buffer, _)| lifetimes[buffer.0].first = 0);
        outputs.iter().for_each(|(buffer, _)| lifetimes[buffer.0].last = last);
        let (offsets, arena_bytes) = plan(&lifetimes);
        let range = |buffer: &Buffer| offsets[buffer.0]..offsets[buffer.0] + self.sizes[buffer.0];
        let transfer = |(buffer, bytes): &(Buffer, usize)| Transfer {
            offset: offsets[buffer.0],
            bytes: *bytes,
        };
        let mut largest = 0;
        let dispatches: Vec<Dispatch> = self
            .calls
            .iter()
            .map(|call| {
                let bound = call.binds.iter().map(|bind| match bind {
                    Bind::Arena(buffer) => range(buffer),
                    Bind::Weights(range) => range.clone(),
                });
                let bindings: Vec<_> = std::iter::once(call.params.clone()).chain(bound).collect();
                largest =
                    largest.max(bindings.iter().map(ExactSizeIterator::len).max().unwrap_or(0));
                Dispatch {
                    pipeline: call.pipeline,
                    groups: call.groups,
                    bindings,
                    operator: call.operator,
                    name: call.name.clone(),
                }
            })
            .collect();
        let needed = [
            (largest, limits.binding_bytes),
            (arena_bytes, limits.buffer_bytes),
            (self.weights.len(), limits.buffer_bytes),
        ];
        if let Some((needed, limit)) = needed.into_iter().find(|(needed, limit)| needed > limit) {
            let message = format!(
                "the model needs a buffer of {needed} bytes on WebGPU, this device has {limit}"
            );
            return Err(Error::new(ErrorCode::OutOfMemory, message)
                .with("needed", needed)
                .with("limit", limit));
        }
        Ok(Recording {
            inputs: self.inputs.iter().map(transfer).collect(),
            outputs: outputs.iter().map(transfer).collect(),
            shaders: self.texts,
            pipelines: self.pipelines,
            dispatches,
            weights: self.weights,
            params: self.params,
            arena_bytes: arena_bytes.next_multiple_of(16),
            largest_binding_bytes: largest,
            needs_packed_dot: self.needs_packed_dot,
            tail,
            result_places,
            macs: self.macs,
        })
    }
}

/// The nodes of the tail as a file of its own that takes `inputs`.
fn tail_file(graph: &Graph, tail: &[bool], inputs: &[TensorId]) -> Result<Vec<u8>> {
    let nodes = graph.nodes.iter().zip(tail).filter(|(_, tail)| **tail);
    let part = Model {
        tensors: graph.tensors.clone(),
        nodes: nodes.map(|(node, _)| model_node(node)).collect(),
        inputs: inputs.to_vec(),
        outputs: graph.outputs.clone(),
        ..Model::default()
    };
    tflite::write(&prune(part))
}

fn model_node(node: &Node) -> achado_model::Node {
    let Node { operator, inputs, outputs, .. } = node.clone();
    achado_model::Node { operator, inputs, outputs }
}

/// Computes what constants need before a GPU has them: other shapes of the same elements.
struct Constants;

impl achado_graph::Evaluate for Constants {
    fn evaluate(&self, graph: Graph, _: &achado_graph::Limits) -> Result<Vec<Bytes>> {
        let node = &graph.nodes[0];
        let at = At { graph: &graph, index: 0, node };
        match node.operator {
            Operator::Reshape { .. } | Operator::Squeeze { .. } | Operator::ExpandDims => {
                Ok(at.input(0)?.data.clone().into_iter().collect())
            }
            Operator::Dequantize if at.input(0)?.dtype == DataType::Float16 => {
                let floats = convolution::floats(&at, at.input(0)?)?;
                let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
                Ok(vec![Bytes::from(bytes)])
            }
            _ => Err(at.unsupported("of constants it is not supported")),
        }
    }
}
