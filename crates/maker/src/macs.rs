//! Multiplications with an addition, counted from shapes.

use achado_model::{Model, Node, Operator};

/// The multiplications of one operator over one run; 0 for what has no weights or products of matrices.
pub fn macs(model: &Model, node: &Node) -> u64 {
    let shape = |at: usize| {
        let id = node.inputs.get(at).copied().flatten()?;
        Some(&model.tensor(id).shape[..])
    };
    let count = |shape: &[usize]| shape.iter().map(|&size| size as u64).product::<u64>();
    let Some(&output) = node.outputs.first() else { return 0 };
    let results = count(&model.tensor(output).shape);
    let last = |shape: &[usize]| shape.last().map_or(0, |&size| size as u64);
    let products = match &node.operator {
        // `[out, kh, kw, in]` and `[out, in]`.
        Operator::Conv2d { .. } | Operator::FullyConnected { .. } => {
            shape(1).map(|weights| results * count(weights.get(1..).unwrap_or_default()))
        }
        Operator::DepthwiseConv2d { .. } => {
            shape(1).map(|weights| results * count(weights.get(1..3).unwrap_or_default()))
        }
        // Each input pixel meets all taps of all outputs.
        Operator::TransposeConv { .. } => shape(1)
            .zip(shape(2))
            .map(|(weights, input)| count(input) * count(weights.get(..3).unwrap_or_default())),
        Operator::Convolution2dTransposeBias { .. } => shape(1)
            .zip(shape(0))
            .map(|(weights, input)| count(input) * count(weights.get(..3).unwrap_or_default())),
        Operator::BatchMatmul { adj_x, .. } => shape(0).map(|a| {
            let inner =
                if *adj_x { a.iter().rev().nth(1).map_or(0, |&size| size as u64) } else { last(a) };
            results * inner
        }),
        _ => None,
    };
    products.unwrap_or(0)
}

/// The multiplications of a whole run.
pub fn total_macs(model: &Model) -> u64 {
    model.nodes.iter().map(|node| macs(model, node)).sum()
}
