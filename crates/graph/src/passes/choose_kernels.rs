//! Which operators TensorFlow Lite leaves to its built-in kernels.
//!
//! Its XNNPACK delegate takes operators when a file is loaded, before any shape is computed: by the
//! shapes, types and attributes that the file states (`xnnpack_delegate.cc`). What it declines the
//! built-in kernels compute, which round otherwise. So a file that leaves out the shapes of inner
//! tensors gives other numbers than the same file with them. Only operators whose two kernels differ
//! by more than the order of a float sum are looked at.

use achado_model::{DataType, Operator, Result, Tensor};

use crate::{Changed, Graph, Limits, Node, TfliteKernel};

/// Says of each node which kernel gives its numbers. The shapes must still be those of the file.
///
/// # Errors
/// None.
pub fn choose_kernels(graph: &mut Graph, _: &Limits) -> Result<Changed> {
    let mut changed = false;
    for at in 0..graph.nodes.len() {
        if is_declined(graph, &graph.nodes[at]) {
            graph.nodes[at].kernel = TfliteKernel::Builtin;
            changed = true;
        }
    }
    Ok(changed)
}

fn is_declined(graph: &Graph, node: &Node) -> bool {
    let operand = |at: usize| {
        let id = node.inputs.get(at).copied().flatten();
        id.map(|id| graph.tensor(id))
    };
    let result = node.outputs.first().map(|&id| graph.tensor(id));
    let pictures = |input: usize| [operand(input), result].into_iter().all(is_picture);
    match node.operator {
        Operator::Conv2d { .. } | Operator::DepthwiseConv2d { .. } => {
            !pictures(0) || !operand(2).is_some_and(is_bias)
        }
        Operator::TransposeConv { .. } => {
            !pictures(2) || !is_constant(operand(0)) || !operand(3).is_none_or(is_bias)
        }
        Operator::ResizeBilinear { .. } => !pictures(0) || !is_constant(operand(1)),
        // XNNPACK's int8 products have no zero point on the right side.
        Operator::FullyConnected { .. } | Operator::BatchMatmul { .. } => {
            let [first, second] = [operand(0), operand(1)];
            let is_quantised = first.is_some_and(|tensor| tensor.dtype == DataType::Int8);
            is_quantised && second.is_some_and(has_zero_point)
                || matches!(node.operator, Operator::BatchMatmul { .. })
                    && ![first, second].into_iter().all(is_matrix)
        }
        _ => false,
    }
}

/// Whether the file says that it has four dimensions.
fn is_picture(tensor: Option<&Tensor>) -> bool {
    tensor.is_some_and(|tensor| tensor.shape.len() == 4 && !tensor.shape.contains(&0))
}

fn is_matrix(tensor: Option<&Tensor>) -> bool {
    tensor.is_some_and(|tensor| tensor.shape.len() >= 2)
}

fn is_constant(tensor: Option<&Tensor>) -> bool {
    tensor.is_some_and(Tensor::is_constant)
}

/// Whether it is a vector and, where it is integers, has scales: normal numbers along its dimension.
fn is_bias(tensor: &Tensor) -> bool {
    let has_scales = || {
        let quantization = tensor.quantization.as_ref();
        quantization.is_some_and(|quantization| quantization.scale.iter().all(|s| s.is_normal()))
    };
    tensor.shape.len() == 1 && (tensor.dtype != DataType::Int32 || has_scales())
}

fn has_zero_point(tensor: &Tensor) -> bool {
    let zero_point = tensor.quantization.as_ref().and_then(|q| q.zero_point.first().copied());
    tensor.dtype == DataType::Int8 && zero_point.is_some_and(|zero_point| zero_point != 0)
}
