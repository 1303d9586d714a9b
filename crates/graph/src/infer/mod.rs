//! The shapes of an operator's results, from the shapes and constants of its operands.

mod layout;
mod slice;
mod window;

use achado_model::{DetectionPostProcess, Operator, Result};

use crate::NodeRef;

pub use layout::{blocks, dims, gather_axes, paddings, permutation, reduced, split_sizes};
pub use slice::{Slice, StridedSlice, slice, strided_slice};
pub use window::{WindowAttributes, fully_connected_sizes, transpose_conv, window};

/// One shape for each result.
pub fn shapes(node: &NodeRef) -> Result<Vec<Vec<usize>>> {
    let shape = match &node.node.operator {
        Operator::Conv2d { .. } => window::conv2d(node)?,
        Operator::DepthwiseConv2d { .. } => window::depthwise_conv2d(node)?,
        Operator::FullyConnected { keep_num_dims, .. } => {
            window::fully_connected(node, *keep_num_dims)?
        }
        Operator::AveragePool2d { .. } | Operator::MaxPool2d { .. } | Operator::L2Pool2d { .. } => {
            window::pool(node)?
        }
        Operator::TransposeConv { .. } | Operator::Convolution2dTransposeBias { .. } => {
            let shape = transpose_conv(node)?;
            vec![shape.batch, shape.out_size[0], shape.out_size[1], shape.out_c]
        }
        Operator::ResizeBilinear { .. } | Operator::ResizeNearestNeighbor { .. } => {
            window::resize(node)?
        }
        Operator::BatchMatmul { adj_x, adj_y } => batch_matmul(node, *adj_x, *adj_y)?,
        Operator::Add { .. }
        | Operator::Mul { .. }
        | Operator::Sub { .. }
        | Operator::Div { .. }
        | Operator::Maximum
        | Operator::Minimum
        | Operator::Pow
        | Operator::Atan2
        | Operator::SquaredDifference
        | Operator::FloorDiv
        | Operator::FloorMod
        | Operator::Prelu
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual
        | Operator::LogicalAnd
        | Operator::LogicalOr => broadcast(node, &[0, 1])?,
        Operator::SelectV2 => broadcast(node, &[0, 1, 2])?,
        // A condition of one dimension selects rows.
        Operator::Select => node.input(1)?.shape.clone(),
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
        | Operator::Sign
        | Operator::LogicalNot
        | Operator::Softmax { .. }
        | Operator::LogSoftmax
        | Operator::L2Normalization { .. }
        | Operator::LocalResponseNormalization { .. }
        | Operator::Quantize
        | Operator::Dequantize
        | Operator::Cast
        | Operator::ZerosLike
        | Operator::Densify
        | Operator::Cumsum { .. }
        | Operator::ReverseV2 => node.input(0)?.shape.clone(),
        Operator::Mean { keep_dims }
        | Operator::Sum { keep_dims }
        | Operator::ReduceMax { keep_dims }
        | Operator::ReduceMin { keep_dims }
        | Operator::ReduceProd { keep_dims }
        | Operator::ReduceAny { keep_dims }
        | Operator::ReduceAll { keep_dims } => layout::reduction(node, *keep_dims)?,
        Operator::ArgMax | Operator::ArgMin => layout::arg_extreme(node)?,
        Operator::TopkV2 => {
            let shape = layout::top_k(node)?;
            return Ok(vec![shape.clone(), shape]);
        }
        Operator::Reshape { new_shape } => layout::reshape(node, new_shape)?,
        Operator::Squeeze { dims } => layout::squeeze(node, dims)?,
        Operator::ExpandDims => layout::expand_dims(node)?,
        Operator::Pad | Operator::PadV2 | Operator::MirrorPad { .. } => layout::pad(node)?,
        Operator::Transpose => {
            let shape = &node.input(0)?.shape;
            permutation(node)?.into_iter().map(|axis| shape[axis]).collect()
        }
        Operator::Concatenation { axis, .. } => layout::concatenation(node, *axis)?,
        Operator::Pack { axis } => layout::pack(node, *axis)?,
        Operator::Unpack { axis, parts } => {
            return Ok(vec![layout::unpack(node, *axis)?; *parts]);
        }
        Operator::Split { .. } | Operator::SplitV { .. } => return layout::split(node),
        Operator::Slice => slice(node)?.size,
        Operator::StridedSlice { .. } => strided_slice(node)?.shape,
        Operator::Gather { axis, batch_dims } => layout::gather(node, *axis, *batch_dims)?,
        Operator::GatherNd => layout::gather_nd(node)?,
        Operator::BroadcastTo => layout::broadcast_to(node)?,
        Operator::Tile => layout::tile(node)?,
        Operator::Shape => vec![node.input(0)?.shape.len()],
        Operator::Rank => Vec::new(),
        Operator::Fill => layout::dims(node, 0)?,
        Operator::Range => vec![layout::range(node)?],
        Operator::SpaceToBatchNd => layout::space_to_batch(node)?,
        Operator::BatchToSpaceNd => layout::batch_to_space(node)?,
        Operator::SpaceToDepth { block } => layout::space_to_depth(node, *block)?,
        Operator::DepthToSpace { block } => layout::depth_to_space(node, *block)?,
        Operator::OneHot { axis } => layout::one_hot(node, *axis)?,
        Operator::DetectionPostProcess(attributes) => return detections(node, attributes),
    };
    Ok(vec![shape])
}

/// The shape of operands together, in NumPy's rules.
fn broadcast(node: &NodeRef, operands: &[usize]) -> Result<Vec<usize>> {
    let mut shape: Vec<usize> = Vec::new();
    for &operand in operands {
        let other = &node.input(operand)?.shape;
        while shape.len() < other.len() {
            shape.insert(0, 1);
        }
        let missing = shape.len() - other.len();
        for (axis, &len) in other.iter().enumerate() {
            let dim = &mut shape[missing + axis];
            match (*dim, len) {
                (a, b) if a == b => {}
                (1, _) => *dim = len,
                (_, 1) => {}
                _ => {
                    let (first, second) = (&node.input(operands[0])?.shape, other);
                    return Err(node.malformed(format!(
                        "shapes {first:?} and {second:?} do not fit each other"
                    )));
                }
            }
        }
    }
    Ok(shape)
}

fn batch_matmul(node: &NodeRef, adj_x: bool, adj_y: bool) -> Result<Vec<usize>> {
    let (a, b) = (&node.input(0)?.shape, &node.input(1)?.shape);
    let wrong = || node.malformed(format!("matrices {a:?} and {b:?} do not fit each other"));
    let split = |shape: &[usize], swapped: bool| -> Result<(Vec<usize>, usize, usize)> {
        let [batch @ .., rows, columns] = shape else { return Err(wrong()) };
        let (rows, columns) = if swapped { (*columns, *rows) } else { (*rows, *columns) };
        Ok((batch.to_vec(), rows, columns))
    };
    let (a_batch, rows, depth) = split(a, adj_x)?;
    let (b_batch, b_depth, columns) = split(b, adj_y)?;
    if depth != b_depth {
        return Err(wrong());
    }
    let rank = a_batch.len().max(b_batch.len());
    let dim = |shape: &[usize], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(i) => shape[i],
        None => 1,
    };
    let mut shape = Vec::with_capacity(rank + 2);
    for i in 0..rank {
        shape.push(match (dim(&a_batch, i), dim(&b_batch, i)) {
            (a, b) if a == b => a,
            (1, b) => b,
            (a, 1) => a,
            _ => return Err(wrong()),
        });
    }
    shape.extend([rows, columns]);
    Ok(shape)
}

fn detections(node: &NodeRef, attributes: &DetectionPostProcess) -> Result<Vec<Vec<usize>>> {
    let kept = attributes.max_classes_per_detection.min(attributes.num_classes);
    let count = attributes
        .max_detections
        .checked_mul(attributes.max_classes_per_detection)
        .ok_or_else(|| node.malformed("max_detections is too large"))?;
    let (boxes, scores, anchors) =
        (&node.input(0)?.shape, &node.input(1)?.shape, &node.input(2)?.shape);
    let fits = match (&boxes[..], &scores[..], &anchors[..]) {
        (&[1, n, coordinates], &[1, m, classes], &[anchors, 4]) => {
            let background = classes.checked_sub(attributes.num_classes);
            n == m && n == anchors && coordinates >= 4 && matches!(background, Some(0 | 1))
        }
        _ => false,
    };
    if !fits || kept == 0 {
        return Err(node.malformed(format!(
            "boxes {boxes:?}, scores {scores:?} and anchors {anchors:?} do not fit each other and \
             {} classes",
            attributes.num_classes
        )));
    }
    Ok(vec![vec![1, count, 4], vec![1, count], vec![1, count], vec![1]])
}
