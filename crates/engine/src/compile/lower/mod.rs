//! Each operator to steps with packed weights: one file a family.

mod binary;
mod conversion;
mod convolution;
mod detection;
mod dynamic;
mod elementwise;
mod hybrid;
mod indices;
mod int16;
mod matrix;
mod movement;
mod operands;
mod reduction;
mod rows;
mod weights;
mod window;

use achado_graph::{Graph, Kind, Limits, NodeRef};
use achado_kernels::aligned::AlignedVec;
use achado_kernels::gemm::bytes::ByteDot;
use achado_kernels::normalization::LocalResponse;
use achado_kernels::simd::Native;
use achado_model::{Operator, Result, Tensor, TensorId};

use super::lowered::{Lowered, LoweredStep};
use super::weight_store::WeightStore;
use crate::step::{MAX_OPERANDS, Operands, Simple, Step};

/// Collects the steps of the operators.
pub(crate) struct Builder<'a> {
    graph: &'a Graph,
    /// Weights that are packed already.
    weights: &'a WeightStore,
    lowered: Lowered,
    /// What this machine's relaxed dot products compute.
    byte_dot: Option<ByteDot>,
    /// Whole numbers that products read, each with the uint8 that stand for them.
    quantised: Vec<[TensorId; 2]>,
}

impl Builder<'_> {
    /// A step that reads `inputs` and writes `outputs`.
    pub fn push(
        &mut self,
        node: &NodeRef,
        step: impl Step + 'static,
        inputs: &[TensorId],
        outputs: &[TensorId],
    ) {
        self.push_boxed(node, Box::new(step), inputs, outputs);
    }

    /// A step without weights that reads `inputs` and writes result 0.
    pub fn push_simple(
        &mut self,
        node: &NodeRef,
        kernel: &'static str,
        inputs: &[TensorId],
        run: impl Fn(&mut Operands) + Send + Sync + 'static,
    ) -> Result<()> {
        self.push_result(node, Box::new(Simple { kernel, run }), inputs)
    }

    /// The same for all types of steps, of which there are more than a hundred: each had a copy of
    /// its own.
    #[inline(never)]
    fn push_boxed(
        &mut self,
        node: &NodeRef,
        step: Box<dyn Step>,
        inputs: &[TensorId],
        outputs: &[TensorId],
    ) {
        assert!(inputs.len() <= MAX_OPERANDS && outputs.len() <= MAX_OPERANDS);
        for &input in inputs {
            self.keep_constant(input);
        }
        self.lowered.steps.push(LoweredStep {
            step,
            operator: node.node.operator.name(),
            result: node.node.outputs.first().copied(),
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
        });
    }

    #[inline(never)]
    fn push_result(
        &mut self,
        node: &NodeRef,
        step: Box<dyn Step>,
        inputs: &[TensorId],
    ) -> Result<()> {
        let output = node.output_id(0)?;
        self.push_boxed(node, step, inputs, &[output]);
        Ok(())
    }

    /// Memory between two steps that is no tensor of the model.
    pub fn temporary(&mut self, bytes: usize) -> TensorId {
        let id = TensorId(self.lowered.tensors());
        self.lowered.sizes_bytes.push(bytes);
        self.lowered.constant_of.push(None);
        self.lowered.view_of.push(id);
        id
    }

    /// Lets `output` share the memory of `input`: same bytes, another shape.
    pub fn view(&mut self, output: TensorId, input: TensorId) {
        self.keep_constant(input);
        self.lowered.view_of[output.0] = self.lowered.resolve(input);
    }

    /// Copies a constant into the plan, unless it is there.
    fn keep_constant(&mut self, id: TensorId) {
        let id = self.lowered.resolve(id);
        let Some(tensor) = self.graph.tensors.get(id.0) else { return };
        if let (Some(data), None) = (&tensor.data, self.lowered.constant_of[id.0]) {
            let mut constant = AlignedVec::zeroed(data.len());
            constant.copy_from_slice(data);
            self.lowered.constant_of[id.0] = Some(self.lowered.constants.len());
            self.lowered.constants.push(constant);
        }
    }
}

/// Lowers all nodes of a graph in which all shapes are known.
pub(crate) fn lower(graph: &Graph, weights: &WeightStore, limits: &Limits) -> Result<Lowered> {
    let tensors = graph.tensors.len();
    let mut builder = Builder {
        graph,
        weights,
        lowered: Lowered {
            steps: Vec::with_capacity(graph.nodes.len()),
            constants: Vec::new(),
            constant_of: vec![None; tensors],
            view_of: (0..tensors).map(TensorId).collect(),
            sizes_bytes: graph.tensors.iter().map(Tensor::size_bytes).collect(),
        },
        byte_dot: ByteDot::probe::<Native>(),
        quantised: Vec::new(),
    };
    let mut weight_bytes = 0usize;
    for node in &graph.nodes {
        if node.outputs.iter().all(|&id| graph.tensor(id).elements() == 0) {
            continue;
        }
        let first = builder.lowered.steps.len();
        let node = NodeRef { graph, node };
        check_operands(&node)?;
        match &node.node.kind {
            Kind::Folded => {}
            Kind::Operator => lower_node(&mut builder, &node)?,
            Kind::IntegerProduct(product) => dynamic::product(&mut builder, &node, product)?,
            Kind::Pattern(pattern) => rows::pattern(&mut builder, &node, pattern)?,
        }
        for step in &builder.lowered.steps[first..] {
            weight_bytes = weight_bytes.saturating_add(step.step.size_bytes());
        }
        if weight_bytes > limits.max_memory_bytes {
            return Err(limits.out_of_memory(weight_bytes));
        }
    }
    for &output in &graph.outputs {
        builder.keep_constant(output);
    }
    Ok(builder.lowered)
}

/// Refuses results that come of operands without elements, but where parts are put together.
/// Shapes and axes are constants of integers and may be empty.
fn check_operands(node: &NodeRef) -> Result<()> {
    let joins = matches!(
        node.node.operator,
        Operator::Concatenation { .. } | Operator::Pad | Operator::PadV2
    );
    for &id in node.node.inputs.iter().flatten() {
        let tensor = node.graph.tensor(id);
        if tensor.elements() == 0 && !joins && tensor.constant_integers().is_none() {
            let label = node.graph.tensor_label(id);
            return Err(node.unsupported(format!("{label} has no elements")));
        }
    }
    Ok(())
}

/// Each family's functions stand alone, `inline(never)`: browsers compile a function when it is first
/// called, and as one they were 88 KB of WebAssembly, of which a model needs little.
fn lower_node(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    match &node.node.operator {
        Operator::Conv2d { .. } | Operator::DepthwiseConv2d { .. } => {
            convolution::convolution(builder, node)
        }
        Operator::FullyConnected { .. } => convolution::fully_connected(builder, node),
        Operator::TransposeConv { .. } | Operator::Convolution2dTransposeBias { .. } => {
            matrix::transpose_conv(builder, node)
        }
        Operator::BatchMatmul { adj_x, adj_y } => {
            matrix::batch_matmul(builder, node, [*adj_x, *adj_y])
        }
        Operator::Add { .. } => elementwise::add(builder, node),
        Operator::Mul { .. } => elementwise::mul(builder, node),
        Operator::Sub { .. }
        | Operator::Div { .. }
        | Operator::Maximum
        | Operator::Minimum
        | Operator::Pow
        | Operator::Atan2
        | Operator::SquaredDifference
        | Operator::FloorDiv
        | Operator::FloorMod
        | Operator::Prelu => binary::binary(builder, node),
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual => binary::comparison(builder, node),
        Operator::LogicalAnd => binary::logical(builder, node, true),
        Operator::LogicalOr => binary::logical(builder, node, false),
        Operator::LogicalNot => binary::not(builder, node),
        Operator::Select | Operator::SelectV2 => binary::select(builder, node),
        Operator::Logistic
        | Operator::Relu
        | Operator::Relu6
        | Operator::ReluN1To1
        | Operator::Relu0To1
        | Operator::HardSwish
        | Operator::Tanh
        | Operator::Elu
        | Operator::Gelu { .. }
        | Operator::LeakyRelu { .. }
        | Operator::Abs
        | Operator::Neg
        | Operator::Exp
        | Operator::Log
        | Operator::Sqrt
        | Operator::Rsqrt
        | Operator::Square
        | Operator::Sin
        | Operator::Cos
        | Operator::Floor
        | Operator::Ceil
        | Operator::Round
        | Operator::Sign => elementwise::unary(builder, node),
        Operator::Quantize => conversion::quantize(builder, node),
        Operator::Dequantize => conversion::dequantise(builder, node),
        Operator::Cast => conversion::convert(builder, node),
        Operator::AveragePool2d { .. } | Operator::MaxPool2d { .. } => window::pool(builder, node),
        Operator::L2Pool2d { .. } => window::l2_pool(builder, node),
        Operator::ResizeBilinear { .. } => window::resize_bilinear(builder, node),
        Operator::ResizeNearestNeighbor { .. } => window::resize_nearest_neighbor(builder, node),
        Operator::Mean { .. } => reduction::mean(builder, node, true),
        Operator::Sum { .. } => reduction::mean(builder, node, false),
        Operator::ReduceMax { .. } => reduction::extreme(builder, node, true),
        Operator::ReduceMin { .. } => reduction::extreme(builder, node, false),
        Operator::ReduceProd { .. } => reduction::product(builder, node),
        Operator::ReduceAny { .. } => reduction::truth(builder, node, false),
        Operator::ReduceAll { .. } => reduction::truth(builder, node, true),
        Operator::Cumsum { .. } => reduction::cumulative(builder, node),
        Operator::Softmax { beta } => rows::softmax(builder, node, *beta),
        Operator::LogSoftmax => rows::log_softmax(builder, node),
        Operator::L2Normalization { activation } => {
            rows::l2_normalization(builder, node, *activation)
        }
        &Operator::LocalResponseNormalization { radius, bias, alpha, beta } => {
            let params = LocalResponse { radius, bias, alpha, beta };
            rows::local_response_normalization(builder, node, params)
        }
        Operator::Reshape { .. }
        | Operator::Squeeze { .. }
        | Operator::ExpandDims
        | Operator::Densify => movement::view(builder, node),
        Operator::Pad | Operator::PadV2 => movement::pad(builder, node),
        Operator::MirrorPad { symmetric } => movement::mirror_pad(builder, node, *symmetric),
        Operator::Transpose => movement::transpose(builder, node),
        Operator::Slice => movement::slice(builder, node),
        Operator::StridedSlice { .. } => movement::strided_slice(builder, node),
        Operator::Split { .. } | Operator::SplitV { .. } => movement::split(builder, node),
        Operator::Unpack { axis, .. } => movement::unpack(builder, node, *axis),
        Operator::Concatenation { .. } | Operator::Pack { .. } => {
            movement::concatenation(builder, node)
        }
        Operator::BroadcastTo => movement::broadcast_to(builder, node),
        Operator::Tile => movement::tile(builder, node),
        Operator::ReverseV2 => movement::reverse(builder, node),
        Operator::SpaceToDepth { block } => movement::space_to_depth(builder, node, *block),
        Operator::DepthToSpace { block } => movement::depth_to_space(builder, node, *block),
        Operator::SpaceToBatchNd | Operator::BatchToSpaceNd => {
            movement::blocks_of_batches(builder, node)
        }
        Operator::Fill | Operator::ZerosLike => movement::fill(builder, node),
        Operator::ArgMax => indices::arg(builder, node, false),
        Operator::ArgMin => indices::arg(builder, node, true),
        Operator::TopkV2 => indices::top(builder, node),
        Operator::Gather { axis, batch_dims } => indices::take(builder, node, *axis, *batch_dims),
        Operator::GatherNd => indices::take_nd(builder, node),
        Operator::OneHot { axis } => indices::hot(builder, node, *axis),
        Operator::Range => indices::range(builder, node),
        Operator::DetectionPostProcess(attributes) => {
            detection::post_process(builder, node, attributes)
        }
        Operator::Shape | Operator::Rank => Err(node.malformed("it is a constant")),
    }
}

/// Calls `$body` with the element type of an 8-bit [`DataType`] bound to `$T`.
macro_rules! with_quantized {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        match $dtype {
            DataType::Int8 => {
                type $T = i8;
                $body
            }
            DataType::UInt8 => {
                type $T = u8;
                $body
            }
            _ => $other,
        }
    };
}
pub(crate) use with_quantized;

/// Calls `$body` with an unsigned type of as many bytes as an element has bound to `$T`: for
/// operators that move bits.
macro_rules! with_bits {
    ($size:expr, $T:ident => $body:expr) => {
        match $size {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}
pub(crate) use with_bits;
