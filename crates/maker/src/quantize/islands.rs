//! Operators left in float until the quantized network agrees with the float one often enough.

use achado_engine::SessionOptions;
use achado_model::{Model, Result, TensorId};

use super::calibrate::Calibration;
use super::compare::Comparison;
use super::role::Role;
use super::{Int8Options, Quantized, excluded_operators, roles, to_int8_without, weights};

/// What [`with_islands`] found.
#[derive(Clone, Debug)]
pub struct Islands {
    /// The model with the fewest operators in float that was found to agree, or the best one.
    pub quantized: Quantized,
    /// How it compares.
    pub comparison: Comparison,
    /// Names of the results of operators that were left in float to get there, the most harmful first.
    pub islands: Vec<String>,
    /// Whether the drop that was asked for holds.
    pub holds: bool,
}

/// Leaves operators in float, the most harmful first, until at most `max_drop` (0 to 1) of the inputs
/// that were `held_back` from calibration get another class than the float model gives.
///
/// # Errors
/// Those of [`super::to_int8`] and [`Quantized::compare`].
pub fn with_islands(
    float: &Model,
    calibration: &Calibration,
    held_back: &[Vec<Vec<u8>>],
    options: &Int8Options,
    max_drop: f64,
    session: &SessionOptions,
) -> Result<Islands> {
    let fixed = excluded_operators(float, &options.exclude)?;
    let order = most_harmful(float, calibration, options, &fixed);
    let name = |&node: &usize| float.tensor(float.nodes[node].outputs[0]).name.clone();
    let attempt = |count: usize| -> Result<Islands> {
        let mut excluded = fixed.clone();
        for &node in &order[..count] {
            excluded[node] = true;
        }
        let quantized = to_int8_without(float, calibration, options, &excluded)?;
        let comparison = quantized.compare(held_back, session)?;
        let holds = 1.0 - comparison.top1_agreement <= max_drop + 1e-9;
        let islands = order[..count].iter().map(name).collect();
        Ok(Islands { quantized, comparison, islands, holds })
    };
    let mut best = attempt(0)?;
    if best.holds {
        return Ok(best);
    }
    // At least one operator stays in integers.
    let most = order.len().saturating_sub(1);
    let (mut failed, mut count) = (0, 1);
    while count <= most {
        let tried = attempt(count)?;
        if tried.holds {
            best = tried;
            break;
        }
        if tried.comparison.top1_agreement > best.comparison.top1_agreement {
            best = tried;
        }
        failed = count;
        if count == most {
            break;
        }
        count = (count * 2).min(most);
    }
    if !best.holds {
        return Ok(best);
    }
    // The fewest, between what failed and what held.
    let mut held = best.islands.len();
    while held - failed > 1 {
        let middle = failed + (held - failed) / 2;
        let tried = attempt(middle)?;
        if tried.holds {
            best = tried;
            held = middle;
        } else {
            failed = middle;
        }
    }
    Ok(best)
}

/// Operators on integers by the noise that quantization brings into what they read, compute with and
/// write, against the signal there: the worst first.
fn most_harmful(
    float: &Model,
    calibration: &Calibration,
    options: &Int8Options,
    fixed: &[bool],
) -> Vec<usize> {
    let roles = roles(float, fixed);
    let Ok(parameters) = super::parameters::parameters(
        float,
        &roles,
        calibration,
        options.ranges,
        &options.known_ranges,
    ) else {
        return Vec::new();
    };
    let rounding = |id: TensorId| {
        let observed = calibration.observed(id)?;
        let (scale, _) = parameters[id.0].as_ref()?.as_per_tensor()?;
        let squares = observed.mean_squares();
        let signal = squares.iter().sum::<f64>() / squares.len() as f64;
        Some(f64::from(scale) * f64::from(scale) / 12.0 / signal.max(f64::MIN_POSITIVE))
    };
    let mut scored: Vec<(f64, usize)> = Vec::new();
    for (index, (node, &role)) in float.nodes.iter().zip(&roles).enumerate() {
        if role == Role::Float {
            continue;
        }
        let operands = role.data_operands(&node.operator, node.inputs.len());
        let read = operands.iter().filter_map(|&operand| node.inputs[operand]);
        let tensors = read.chain(node.outputs.iter().copied());
        let noise: f64 = tensors.filter_map(rounding).sum();
        let of_weights = match role {
            Role::Weighted(weighted) => node.inputs[weighted.weights]
                .and_then(|id| {
                    let tensor = float.tensor(id);
                    let values = tensor.constant_floats()?;
                    let one_scale = weighted.is_dense && !options.per_channel_dense;
                    let axis = (!one_scale).then_some(weighted.axis);
                    let scales = weights::scales(&values, &tensor.shape, axis);
                    let noise: f64 =
                        scales.iter().map(|&scale| f64::from(scale * scale) / 12.0).sum::<f64>()
                            / scales.len() as f64;
                    let signal: f64 =
                        values.iter().map(|&value| f64::from(value * value)).sum::<f64>()
                            / values.len().max(1) as f64;
                    Some(noise / signal.max(f64::MIN_POSITIVE))
                })
                .unwrap_or(0.0),
            _ => 0.0,
        };
        scored.push((noise + of_weights, index));
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, index)| index).collect()
}
