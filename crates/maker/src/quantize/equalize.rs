//! Cross-layer equalization: channels of one tensor brought to like ranges, without changing what the
//! network computes.

use achado_model::{Activation, Bytes, Model, Node, Operator, Result, TensorId};

use super::calibrate::Calibration;
use super::role::{Role, Weighted};
use super::weights;

/// The most that a channel is widened.
const MOST: f64 = 64.0;
/// What is left free below the bound of an activation: pictures differ from the calibration's.
const HEADROOM: f64 = 0.8;

/// Widens channels of tensors between two products, whose ranges are small beside the tensor's: the
/// first product's weights and biases times a factor, the second's weights divided by it. int8 keeps
/// more of such channels then. The factor balances the noise of the second product's activations, which
/// falls, with that of its weights, which rises. Calibration and model change alike.
///
/// Source: Nagel et al. 2019, "Data-free quantization through weight equalization", with ranges that were
/// observed in place of those of weights. RELU6 bounds the factor.
pub(crate) fn equalize(
    model: &mut Model,
    calibration: &mut Calibration,
    roles: &[Role],
) -> Result<usize> {
    let mut changed = 0;
    for first in 0..model.nodes.len() {
        let Some((second, tensor)) = pair(model, roles, first) else { continue };
        let (Role::Weighted(before), Role::Weighted(after)) = (roles[first], roles[second]) else {
            continue;
        };
        let Some(factors) = factors(model, calibration, first, second, tensor, after) else {
            continue;
        };
        let node = model.nodes[first].clone();
        let channel =
            weights::channel_of(&weights_of(model, &node, before).shape.clone(), before.axis);
        scale(model, node.inputs[before.weights], &|index| factors[channel(index)]);
        scale(model, node.inputs.get(before.bias).copied().flatten(), &|index| factors[index]);
        let node = model.nodes[second].clone();
        let channels = factors.len();
        match node.operator {
            // `[1, kh, kw, channels]` and `[out, kh, kw, channels]`: the last dimension is the input's.
            Operator::DepthwiseConv2d { .. } | Operator::Conv2d { .. } => {
                scale(model, node.inputs[after.weights], &|index| 1.0 / factors[index % channels]);
            }
            _ => continue,
        }
        calibration.scale(tensor, &factors);
        changed += 1;
    }
    Ok(changed)
}

fn weights_of<'a>(model: &'a Model, node: &Node, weighted: Weighted) -> &'a achado_model::Tensor {
    model.tensor(node.inputs[weighted.weights].expect("roles were checked"))
}

/// The product that alone reads what product `first` writes, and that tensor.
fn pair(model: &Model, roles: &[Role], first: usize) -> Option<(usize, TensorId)> {
    let node = &model.nodes[first];
    let Role::Weighted(before) = roles[first] else { return None };
    let activation = match node.operator {
        Operator::Conv2d { activation, .. } | Operator::DepthwiseConv2d { activation, .. } => {
            activation
        }
        _ => return None,
    };
    // max(-1, min(x, 1)) bounds both ends: nothing is won there.
    if activation == Activation::ReluN1To1 {
        return None;
    }
    let &[tensor] = &node.outputs[..] else { return None };
    if model.outputs.contains(&tensor) {
        return None;
    }
    let mut readers =
        (model.nodes.iter().enumerate()).filter(|(_, node)| node.inputs.contains(&Some(tensor)));
    let (second, reader) = readers.next()?;
    let Role::Weighted(after) = roles[second] else { return None };
    let alone = readers.next().is_none() && reader.inputs[after.input] == Some(tensor);
    let channels = model.tensor(tensor).shape.last().copied()?;
    let fits = match reader.operator {
        Operator::DepthwiseConv2d { depth_multiplier, .. } => depth_multiplier == 1,
        Operator::Conv2d { .. } => weights_of(model, reader, after).shape.last() == Some(&channels),
        _ => false,
    };
    let is_own = |node: &Node, operand: usize| {
        let id = node.inputs.get(operand).copied().flatten();
        id.is_none_or(|id| {
            let all = model.nodes.iter().flat_map(|node| &node.inputs);
            all.flatten().filter(|&&read| read == id).count() == 1 && !model.outputs.contains(&id)
        })
    };
    let own =
        is_own(node, before.weights) && is_own(node, before.bias) && is_own(reader, after.weights);
    (alone && fits && own).then_some((second, tensor))
}

/// The factor of each channel, 1 or more; `None` where all are 1.
fn factors(
    model: &Model,
    calibration: &Calibration,
    first: usize,
    second: usize,
    tensor: TensorId,
    after: Weighted,
) -> Option<Vec<f64>> {
    let observed = calibration.observed(tensor)?;
    let bounds = observed.channel_bounds();
    let whole = bounds.iter().copied().fold(0.0, f64::max);
    let clamp = match model.nodes[first].operator {
        Operator::Conv2d { activation, .. } | Operator::DepthwiseConv2d { activation, .. } => {
            f64::from(activation.range().1)
        }
        _ => f64::INFINITY,
    };
    let reader = &model.nodes[second];
    let values = weights_of(model, reader, after).constant_floats()?;
    let shape = &weights_of(model, reader, after).shape;
    let channels = bounds.len();
    let is_depthwise = matches!(reader.operator, Operator::DepthwiseConv2d { .. });
    let scales = weights::scales(&values, shape, Some(after.axis));
    let weight_noise: f64 = scales.iter().map(|&scale| f64::from(scale * scale)).sum();
    let squares = observed.mean_squares();
    let mut weight_squares = vec![0.0; channels];
    for (index, &value) in values.iter().enumerate() {
        weight_squares[index % channels] += f64::from(value * value);
    }
    let taps = (values.len() / channels / scales.len().max(1)).max(1) as f64;
    let step = whole / 255.0;
    let factors: Vec<f64> = (0..channels)
        .map(|channel| {
            let bound = bounds[channel];
            if bound <= 0.0 {
                return 1.0;
            }
            let room = (whole / bound).min(if clamp.is_finite() {
                // Where the bound was met, the factor would move it.
                if bound >= clamp * HEADROOM { 1.0 } else { clamp * HEADROOM / bound }
            } else {
                f64::INFINITY
            });
            // Each channel of a depthwise product has a scale of its own, which takes any factor.
            let balanced = if is_depthwise {
                MOST
            } else {
                let activations = step * step * weight_squares[channel];
                let of_weights = weight_noise * taps * squares[channel];
                (activations / of_weights.max(f64::MIN_POSITIVE)).sqrt().sqrt()
            };
            // A power of two changes no float's digits.
            balanced.min(room).clamp(1.0, MOST).log2().floor().exp2()
        })
        .collect();
    factors.iter().any(|&factor| factor > 1.0).then_some(factors)
}

/// Multiplies the elements of a constant.
fn scale(model: &mut Model, id: Option<TensorId>, factor: &dyn Fn(usize) -> f64) {
    let Some(id) = id else { return };
    let Some(values) = model.tensor(id).constant_floats() else { return };
    let bytes: Vec<u8> = (values.iter().enumerate())
        .flat_map(|(index, &value)| ((f64::from(value) * factor(index)) as f32).to_le_bytes())
        .collect();
    model.tensors[id.0].data = Some(Bytes::from(bytes));
}
