//! Float models as int8, float16 or with 8-bit weights, by TensorFlow Lite's quantization specification.
//!
//! [`Calibrator`] runs a float model over pictures and collects the ranges of its activations;
//! [`to_int8`] rewrites the model from them; [`to_float16`] and [`to_weights8`] need no pictures.

mod calibrate;
mod compact;
mod compare;
mod equalize;
mod float_model;
mod int8;
mod islands;
mod parameters;
mod range;
mod role;
mod weights;

use achado_engine::SessionOptions;
use achado_model::{DataType, Error, Model, Node, Result, TensorId, prune};

pub(crate) use calibrate::Watched;
pub use calibrate::{Calibration, Calibrator};
pub use compact::{Weights8, to_float16, to_weights8};
pub use compare::{Comparison, LayerError, convert_input};
pub use float_model::float_model;
pub use int8::IoType;
pub use islands::{Islands, with_islands};
pub use range::{Observed, Range, RangeMethod};

use role::{Role, role};

/// How [`to_int8`] quantizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Options {
    /// The type of inputs and outputs.
    pub io_type: IoType,
    /// How ranges of activations are chosen.
    pub ranges: RangeMethod,
    /// Add to each bias what rounding the weights takes from the mean.
    pub bias_correction: bool,
    /// Widen channels of small range first where that changes nothing of what is computed.
    pub equalization: bool,
    /// One scale for each output of FULLY_CONNECTED rather than one for all.
    pub per_channel_dense: bool,
    /// What stays in float: names of results, or of operators in capitals (`SOFTMAX`).
    pub exclude: Vec<String>,
    /// Ranges that are known, such as an input's from its normalization, by tensor of the float model.
    pub known_ranges: Vec<(TensorId, Range)>,
}

impl Default for Int8Options {
    fn default() -> Self {
        Self {
            io_type: IoType::default(),
            ranges: RangeMethod::Percentile(1e-5),
            bias_correction: true,
            equalization: true,
            per_channel_dense: false,
            exclude: Vec::new(),
            known_ranges: Vec::new(),
        }
    }
}

/// A quantized model with its way back to the float one.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The int8 model, in which tensors have the float model's numbers. Some have lost their readers.
    model: Model,
    /// The float model with channels widened as in `model`, which computes the same.
    reference: Model,
    /// Names of the results of operators that compute floats still, in order.
    pub float_operators: Vec<String>,
}

impl Quantized {
    /// The model without what nothing reads.
    pub fn into_model(self) -> Model {
        prune(self.model)
    }

    /// Compares with the float model over samples of its inputs, `[sample][input]`, little-endian
    /// floats.
    ///
    /// # Errors
    /// `INVALID_INPUT` without samples, or with one that does not fit; those of
    /// [`achado_engine::Session::new`].
    pub fn compare(
        &self,
        samples: &[Vec<Vec<u8>>],
        options: &SessionOptions,
    ) -> Result<Comparison> {
        compare::compare(&self.reference, &self.model, samples, options)
    }
}

/// Rewrites a float model for int8.
///
/// # Errors
/// `INVALID_OPTION` where `exclude` names nothing of the model, or nothing is left to quantize;
/// `INVALID_INPUT` where the calibration is of another model.
pub fn to_int8(
    float: &Model,
    calibration: &Calibration,
    options: &Int8Options,
) -> Result<Quantized> {
    let excluded = excluded_operators(float, &options.exclude)?;
    to_int8_without(float, calibration, options, &excluded)
}

/// [`to_int8`] with the operators that stay in float, by their places.
fn to_int8_without(
    float: &Model,
    calibration: &Calibration,
    options: &Int8Options,
    excluded: &[bool],
) -> Result<Quantized> {
    let roles = roles(float, excluded);
    if roles.iter().all(|role| *role == Role::Float) {
        return Err(Error::invalid_option(
            "there is no operator left that int8 can compute: exclude fewer, or choose float16",
        ));
    }
    let (mut equal, mut observed);
    let (float, calibration) = if options.equalization {
        (equal, observed) = (float.clone(), calibration.clone());
        equalize::equalize(&mut equal, &mut observed, &roles)?;
        (&equal, &observed)
    } else {
        (float, calibration)
    };
    let parameters =
        parameters::parameters(float, &roles, calibration, options.ranges, &options.known_ranges)?;
    let plan = int8::Plan {
        roles: &roles,
        parameters: &parameters,
        calibration,
        io_type: options.io_type,
        bias_correction: options.bias_correction,
        per_channel_dense: options.per_channel_dense,
    };
    let model = int8::rewrite(float, &plan)?;
    let stays = |(node, role): (&Node, &Role)| {
        let result = float.tensor(node.outputs.first().copied()?);
        (*role == Role::Float && result.dtype == DataType::Float32).then(|| result.name.clone())
    };
    let float_operators = float.nodes.iter().zip(&roles).filter_map(stays).collect();
    Ok(Quantized { model, reference: float.clone(), float_operators })
}

/// The role of each operator: [`Role::Float`] where it is excluded, or its tensors do not allow integers.
fn roles(model: &Model, excluded: &[bool]) -> Vec<Role> {
    let of = |(node, &excluded): (&Node, &bool)| {
        let role = role(&node.operator);
        if excluded || !fits(model, node, role) { Role::Float } else { role }
    };
    model.nodes.iter().zip(excluded).map(of).collect()
}

/// Whether the operands that would be quantized are floats, and weights constants.
fn fits(model: &Model, node: &Node, role: Role) -> bool {
    let is_float = |id: TensorId| model.tensor(id).dtype == DataType::Float32;
    let operand = |place: usize| node.inputs.get(place).copied().flatten();
    let data = role.data_operands(&node.operator, node.inputs.len());
    let operands_fit = data.iter().all(|&place| operand(place).is_some_and(is_float));
    let results_fit = node.outputs.iter().all(|&id| is_float(id));
    let weights_fit = match role {
        Role::Weighted(weighted) => {
            let is_constant = |id| is_float(id) && model.tensor(id).is_constant();
            operand(weighted.weights).is_some_and(is_constant)
                && operand(weighted.bias).is_none_or(is_constant)
                && !operand(weighted.input).is_some_and(|id| model.tensor(id).is_constant())
        }
        _ => true,
    };
    !data.is_empty() && operands_fit && results_fit && weights_fit
}

/// The operators that `names` mean.
pub(crate) fn excluded_operators(model: &Model, names: &[String]) -> Result<Vec<bool>> {
    let mut excluded = vec![false; model.nodes.len()];
    for name in names {
        let mut found = false;
        for (node, excluded) in model.nodes.iter().zip(&mut excluded) {
            let is_result = node.outputs.iter().any(|&id| model.tensor(id).name == *name);
            if is_result || node.operator.name() == name {
                *excluded = true;
                found = true;
            }
        }
        if !found {
            let near = nearest(model, name);
            return Err(Error::invalid_option(format!(
                "exclude: no operator is called {name:?} or writes a tensor of that name; did you mean \
                 {near:?}?"
            ))
            .with("option", "exclude"));
        }
    }
    Ok(excluded)
}

/// The name of a result or operator that shares most with `name`.
fn nearest(model: &Model, name: &str) -> String {
    let shared = |other: &str| {
        let from_start =
            other.chars().zip(name.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        let (a, b) = (other.chars().rev(), name.chars().rev());
        from_start + a.zip(b).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    let results = model.nodes.iter().flat_map(|node| &node.outputs);
    let results = results.map(|&id| model.tensor(id).name.as_str());
    let operators = model.nodes.iter().map(|node| node.operator.name());
    results.chain(operators).max_by_key(|other| shared(other)).unwrap_or_default().to_owned()
}
