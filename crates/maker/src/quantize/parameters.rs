//! Scale and zero point of every activation, with those that must be equal made equal.

use achado_model::{Error, Model, Quantization, Result, TensorId};

use super::calibrate::Calibration;
use super::range::{INFINITE, Range, RangeMethod};
use super::role::{FixedOutput, Role};

/// Sets of tensors with one scale and zero point: a union-find structure.
struct Groups {
    parent: Vec<usize>,
    fixed: Vec<Option<FixedOutput>>,
    /// Whether an operator on integers has the tensor as an operand or result.
    used: Vec<bool>,
}

impl Groups {
    fn root(&mut self, id: TensorId) -> usize {
        let mut at = id.0;
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.root(a), self.root(b));
        let fixed = self.fixed[a].or(self.fixed[b]);
        self.parent[b] = a;
        self.fixed[a] = fixed;
    }

    fn fixed_of(&mut self, id: TensorId) -> Option<FixedOutput> {
        let root = self.root(id);
        self.fixed[root]
    }
}

/// Parameters by tensor: of each float tensor that an operator on integers reads or writes. `roles` has
/// [`Role::Float`] for what stays in float.
pub(crate) fn parameters(
    model: &Model,
    roles: &[Role],
    calibration: &Calibration,
    method: RangeMethod,
    known: &[(TensorId, Range)],
) -> Result<Vec<Option<Quantization>>> {
    let count = model.tensors.len();
    let mut groups =
        Groups { parent: (0..count).collect(), fixed: vec![None; count], used: vec![false; count] };
    for (node, &role) in model.nodes.iter().zip(roles) {
        if role == Role::Float {
            continue;
        }
        let operands = role.data_operands(&node.operator, node.inputs.len());
        let operands: Vec<TensorId> = operands
            .iter()
            .filter_map(|&operand| node.inputs.get(operand).copied().flatten())
            .collect();
        for id in operands.iter().chain(&node.outputs) {
            groups.used[id.0] = true;
        }
        match role {
            Role::Fixed(fixed) => groups.fixed[node.outputs[0].0] = Some(fixed),
            Role::SameAsInput { .. } => {
                for &output in &node.outputs {
                    groups.join(operands[0], output);
                }
            }
            Role::AllSame => {
                let first = groups.fixed_of(operands[0]);
                let alike = operands.iter().all(|&operand| groups.fixed_of(operand) == first);
                for &operand in &operands {
                    // Others are brought to the result's scale by a QUANTIZE.
                    if alike || groups.fixed_of(operand).is_none() {
                        groups.join(operand, node.outputs[0]);
                    }
                }
            }
            Role::Weighted(_) | Role::Free { .. } | Role::Float => {}
        }
    }

    let mut ranges: Vec<Option<Range>> = vec![None; count];
    for index in 0..count {
        let id = TensorId(index);
        if !groups.used[index] {
            continue;
        }
        let range = match known.iter().find(|(known, _)| *known == id) {
            Some((_, range)) => *range,
            None => range_of(model, id, calibration, method)?,
        };
        let root = groups.root(id);
        ranges[root] = Some(ranges[root].map_or(range, |other| other.union(range)));
    }
    let mut of = |index: usize| {
        let id = TensorId(index);
        if !groups.used[index] {
            return None;
        }
        let root = groups.root(id);
        Some(match groups.fixed[root] {
            Some(fixed) => Quantization::per_tensor(fixed.scale, fixed.zero_point),
            None => ranges[root].unwrap_or(Range::new(0.0, 0.0)).int8(),
        })
    };
    Ok((0..count).map(&mut of).collect())
}

fn range_of(
    model: &Model,
    id: TensorId,
    calibration: &Calibration,
    method: RangeMethod,
) -> Result<Range> {
    let tensor = model.tensor(id);
    if let Some(values) = tensor.constant_floats() {
        let whole = |range: Range, &value: &f32| range.union(Range::new(value, value));
        let finite = values.iter().filter(|value| value.abs() < INFINITE);
        return Ok(finite.fold(Range::new(0.0, 0.0), whole));
    }
    let observed = calibration.observed(id).ok_or_else(|| {
        Error::invalid_input(format!("tensor {:?} was not seen in calibration", tensor.name))
    })?;
    Ok(observed.range(method))
}
