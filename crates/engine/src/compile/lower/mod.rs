//! Each operator to steps with packed weights: one file a family.

mod convolution;
mod elementwise;
mod movement;
mod reduction;

use achado_kernels::aligned::AlignedVec;
use achado_kernels::gemm::bytes::ByteDot;
use achado_kernels::simd::Native;
use achado_model::{Model, Operator, Result, TensorId};

use super::arena::Layout;
use super::node::NodeRef;
use super::{Place, out_of_memory};
use crate::session::SessionOptions;
use crate::step::{MAX_OPERANDS, Operands, Simple, Step};

/// A step with its tensors, not yet placed.
pub(crate) struct LoweredStep {
    pub step: Box<dyn Step>,
    pub operator: &'static str,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
}

/// All steps of a model.
pub(crate) struct Lowered {
    pub steps: Vec<LoweredStep>,
    pub constants: Vec<AlignedVec<u8>>,
    /// By tensor: its place in `constants`.
    constant_of: Vec<Option<usize>>,
    /// By tensor: the tensor whose memory it is a view of; itself for most.
    view_of: Vec<TensorId>,
}

impl Lowered {
    /// The tensor whose memory `id` lives in.
    pub fn resolve(&self, id: TensorId) -> TensorId {
        self.view_of[id.0]
    }

    /// The place of a constant that steps read as a tensor.
    pub fn constant_of(&self, id: TensorId) -> Option<usize> {
        self.constant_of[self.resolve(id).0]
    }

    /// Where a tensor lives.
    pub fn place(&self, layout: &Layout, id: TensorId) -> Place {
        match self.constant_of(id) {
            Some(constant) => Place::Constant(constant),
            None => Place::Arena(layout.range(id)),
        }
    }
}

/// Collects the steps of the operators.
pub(crate) struct Builder<'a> {
    model: &'a Model,
    lowered: Lowered,
    /// What this machine's relaxed dot products compute.
    byte_dot: Option<ByteDot>,
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
        assert!(inputs.len() <= MAX_OPERANDS && outputs.len() <= MAX_OPERANDS);
        for &input in inputs {
            self.keep_constant(input);
        }
        self.lowered.steps.push(LoweredStep {
            step: Box::new(step),
            operator: node.node.operator.name(),
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
        });
    }

    /// A step without weights that reads `inputs` and writes result 0.
    pub fn push_simple(
        &mut self,
        node: &NodeRef,
        kernel: &'static str,
        inputs: &[TensorId],
        run: impl Fn(&mut Operands) + Send + Sync + 'static,
    ) -> Result<()> {
        let output = node.output_id(0)?;
        self.push(node, Simple { kernel, run }, inputs, &[output]);
        Ok(())
    }

    /// Lets `output` share the memory of `input`: same bytes, another shape.
    pub fn view(&mut self, output: TensorId, input: TensorId) {
        self.keep_constant(input);
        self.lowered.view_of[output.0] = self.lowered.resolve(input);
    }

    /// Copies a constant into the plan, unless it is there.
    fn keep_constant(&mut self, id: TensorId) {
        let id = self.lowered.resolve(id);
        if let (Some(data), None) = (&self.model.tensor(id).data, self.lowered.constant_of[id.0]) {
            let mut constant = AlignedVec::zeroed(data.len());
            constant.copy_from_slice(data);
            self.lowered.constant_of[id.0] = Some(self.lowered.constants.len());
            self.lowered.constants.push(constant);
        }
    }
}

/// Lowers all nodes.
pub(crate) fn lower(model: &Model, options: &SessionOptions) -> Result<Lowered> {
    let tensors = model.tensors.len();
    let mut builder = Builder {
        model,
        lowered: Lowered {
            steps: Vec::with_capacity(model.nodes.len()),
            constants: Vec::new(),
            constant_of: vec![None; tensors],
            view_of: (0..tensors).map(TensorId).collect(),
        },
        byte_dot: ByteDot::probe::<Native>(),
    };
    let mut weight_bytes = 0usize;
    for (index, node) in model.nodes.iter().enumerate() {
        let first = builder.lowered.steps.len();
        lower_node(&mut builder, &NodeRef { model, index, node })?;
        for step in &builder.lowered.steps[first..] {
            weight_bytes = weight_bytes.saturating_add(step.step.size_bytes());
        }
        if weight_bytes > options.max_memory_bytes {
            return Err(out_of_memory(weight_bytes, options));
        }
    }
    for &output in &model.outputs {
        builder.keep_constant(output);
    }
    Ok(builder.lowered)
}

fn lower_node(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    match &node.node.operator {
        Operator::Conv2d { .. } => convolution::conv2d(builder, node),
        Operator::DepthwiseConv2d { .. } => convolution::depthwise_conv2d(builder, node),
        Operator::FullyConnected { .. } => convolution::fully_connected(builder, node),
        Operator::Add { activation } => elementwise::add(builder, node, *activation),
        Operator::Mul { activation } => elementwise::mul(builder, node, *activation),
        Operator::AveragePool2d { .. } | Operator::MaxPool2d { .. } => {
            reduction::pool(builder, node)
        }
        Operator::Mean { keep_dims } => reduction::mean(builder, node, *keep_dims),
        Operator::Pad => movement::pad(builder, node),
        Operator::Reshape { .. } | Operator::Squeeze { .. } => movement::view(builder, node),
        Operator::Softmax { beta } => reduction::softmax(builder, node, *beta),
        Operator::Logistic | Operator::Relu | Operator::Relu6 | Operator::HardSwish => {
            elementwise::unary(builder, node)
        }
        Operator::Quantize => elementwise::quantize(builder, node),
        Operator::Dequantize => elementwise::dequantise(builder, node),
        Operator::Concatenation { axis, activation } => {
            movement::concatenation(builder, node, *axis, *activation)
        }
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
