//! Float models made smaller without training: channels cut, or weights set to zero, and what reads
//! them refitted by least squares on what pictures show.
//!
//! [`Pruner`] runs the model over pictures and collects second moments of activations;
//! [`Pruner::cut_channels`] makes a dense smaller network of them, [`Pruner::zero_weights`] one that a
//! compressor makes small.

mod channels;
mod groups;
mod moments;
mod refit;
mod surgery;
mod weights;

use achado_engine::{Session, SessionOptions};
use achado_model::{DataType, Error, Model, Node, Operator, Result, TensorId};

use crate::macs::total_macs;
use crate::quantize::excluded_operators;
use groups::Group;
use moments::{Collector, Watch};

pub use weights::Choice;

/// What pictures are collected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Whole channels are cut: fewer multiplications on every device.
    Channels,
    /// Single weights become zero: a smaller download.
    Weights,
}

/// A model that has been made smaller.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// The model.
    pub model: Model,
    /// What became of each layer, in order.
    pub layers: Vec<PrunedLayer>,
    /// The share of multiplications (channels) or of weights (zeros) that is gone.
    pub reached: f64,
}

/// One layer of a pruned model.
#[derive(Clone, Debug, PartialEq)]
pub struct PrunedLayer {
    /// The name of the tensor that its operator writes.
    pub name: String,
    /// Channels, or weights, before.
    pub before: usize,
    /// Channels, or weights that are not zero, after.
    pub after: usize,
    /// Mean square error of what reads it, after the refit, as a share of its variance: what is lost
    /// here, by the pictures.
    pub error: f64,
}

/// Collects what pictures show of a float model, one after the other.
#[derive(Debug)]
pub struct Pruner {
    model: Model,
    method: Method,
    groups: Vec<Group>,
    layers: Vec<weights::Layer>,
    collector: Collector,
    session: SessionOptions,
    /// Inputs of the first pictures, to which layers are fitted.
    samples: Vec<Vec<u8>>,
}

/// Inputs that are kept, and their bytes: layers are fitted to these pictures, several times over.
const MOST_KEPT: (usize, usize) = (64, 64 << 20);

/// Pictures that are needed: of one alone, nothing is known of how channels go together.
const LEAST_PICTURES: usize = 2;

impl Pruner {
    /// For a float model; see [`crate::quantize::float_model`]. `exclude` names tensors that operators
    /// write, or operators such as `FULLY_CONNECTED`, that are left as they are.
    ///
    /// # Errors
    /// `INVALID_OPTION` for an unknown name, or where there is nothing to prune; those of
    /// [`Session::new`].
    pub fn new(
        model: Model,
        method: Method,
        exclude: &[String],
        session: &SessionOptions,
    ) -> Result<Self> {
        let excluded = excluded_operators(&model, exclude)?;
        let (mut groups, mut layers) = (Vec::new(), Vec::new());
        let watches: Vec<Watch> = match method {
            Method::Channels => {
                groups = groups::find(&model, &excluded);
                groups.iter().flat_map(Group::watches).collect()
            }
            Method::Weights => {
                layers = weights::find(&model, &excluded);
                layers.iter().map(weights::Layer::watch).collect()
            }
        };
        if watches.is_empty() {
            return Err(Error::invalid_option(match method {
                Method::Channels => {
                    "there are no channels that can be cut: none lie between two convolutions or dense \
                     layers, with nothing between them that mixes channels or joins branches"
                }
                Method::Weights => "there are no convolutions or dense layers with weights to zero",
            })
            .with("option", "method"));
        }
        let collector = Collector::new(&model, watches, session)?;
        let (samples, session) = (Vec::new(), session.clone());
        Ok(Self { model, method, groups, layers, collector, session, samples })
    }

    /// The model as it was given.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How many pictures were run.
    pub fn pictures(&self) -> usize {
        self.collector.pictures()
    }

    /// Runs one picture: the elements of each input, little-endian.
    ///
    /// # Errors
    /// `INVALID_INPUT` where it does not fit, or makes an activation that is no finite number.
    pub fn add(&mut self, inputs: &[&[u8]]) -> Result<()> {
        self.collector.add(inputs)?;
        let (kept, new) = (self.samples.iter().map(Vec::len).sum::<usize>(), inputs[0].len());
        let (most, most_bytes) = MOST_KEPT;
        if self.samples.len() < most && kept + new <= most_bytes {
            self.samples.push(inputs[0].to_vec());
        }
        Ok(())
    }

    fn check(&self, method: Method, target: f64) -> Result<()> {
        if self.method != method {
            return Err(Error::invalid_option("the pictures were collected for the other method"));
        }
        if !(target > 0.0 && target < 1.0) {
            return Err(Error::invalid_option(format!(
                "target: must be a share above 0 and below 1, such as 0.25, is {target}"
            ))
            .with("option", "target"));
        }
        let pictures = self.pictures();
        if pictures < LEAST_PICTURES {
            return Err(Error::not_enough_data(format!(
                "pruning needs some 100 pictures of the kind that the model will see, and two at the \
                 least; there {} {pictures}",
                if pictures == 1 { "is" } else { "are" }
            ))
            .with("found", pictures));
        }
        Ok(())
    }

    /// Cuts channels until a share of the multiplications is gone, those first whose loss costs least
    /// by what is left of the error after refitting what reads them.
    ///
    /// # Errors
    /// `INVALID_OPTION` where `target` is no share, or more than can be cut: `best` of its details is the
    /// most; `NOT_ENOUGH_DATA` with fewer than two pictures.
    pub fn cut_channels(&self, target: f64) -> Result<Pruned> {
        self.check(Method::Channels, target)?;
        let refit = (&self.samples[..], &self.session);
        channels::cut(&self.model, &self.groups, &self.collector, target, refit)
    }

    /// Sets a share of the weights to zero, those whose loss costs least, and refits the rest of their
    /// rows.
    ///
    /// # Errors
    /// As [`Self::cut_channels`].
    pub fn zero_weights(&self, target: f64, choice: Choice) -> Result<Pruned> {
        self.check(Method::Weights, target)?;
        let refit = (&self.samples[..], &self.session);
        weights::zero(&self.model, &self.layers, &self.collector, target, choice, refit)
    }
}

/// The share of multiplications that is gone.
fn saved(before: &Model, after: &Model) -> f64 {
    1.0 - total_macs(after) as f64 / total_macs(before).max(1) as f64
}

/// The error for a target beyond what there is.
fn out_of_reach(target: f64, best: f64, of: &str) -> Error {
    // Rounded down, so that it can be asked for.
    let most = (best * 1000.0).floor() / 1000.0;
    Error::invalid_option(format!(
        "target: {target} of the {of} cannot be pruned; the most that was found is {most}"
    ))
    .with("option", "target")
    .with("best", most)
}

/// The share of inputs of which both models have the same greatest element in their first output.
///
/// # Errors
/// `INVALID_INPUT` for inputs that do not fit; those of [`Session::new`].
pub fn agreement(
    a: &Model,
    b: &Model,
    samples: &[Vec<u8>],
    options: &SessionOptions,
) -> Result<f64> {
    let classes = |model: &Model| -> Result<Vec<usize>> {
        let mut session = Session::new(model.clone(), options)?;
        samples.iter().map(|sample| best_class(&mut session, sample)).collect()
    };
    let (a, b) = (classes(a)?, classes(b)?);
    let equal = a.iter().zip(&b).filter(|(a, b)| a == b).count();
    Ok(equal as f64 / samples.len().max(1) as f64)
}

/// The place of the greatest element of the first output, the first of equal ones.
fn best_class(session: &mut Session, sample: &[u8]) -> Result<usize> {
    let into = session.input_bytes_mut(0)?;
    if into.len() != sample.len() {
        return Err(Error::invalid_input(format!(
            "a picture has {} bytes, the model's input {}",
            sample.len(),
            into.len()
        )));
    }
    into.copy_from_slice(sample);
    session.run()?;
    let mut best = (0, f32::NEG_INFINITY);
    for (index, bytes) in session.output_bytes(0)?.as_chunks().0.iter().enumerate() {
        let value = f32::from_le_bytes(*bytes);
        if value > best.1 {
            best = (index, value);
        }
    }
    Ok(best.0)
}

/// The operands of a convolution or dense layer of floats whose weights the file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Product {
    input: TensorId,
    weights: TensorId,
    bias: Option<TensorId>,
}

/// What a CONV_2D without groups, or a FULLY_CONNECTED, multiplies.
fn product(model: &Model, node: &Node) -> Option<Product> {
    if !matches!(node.operator, Operator::Conv2d { .. } | Operator::FullyConnected { .. }) {
        return None;
    }
    let operand = |at: usize| node.inputs.get(at).copied().flatten();
    let (input, weights, bias) = (operand(0)?, operand(1)?, operand(2));
    let is_float = |id: TensorId| model.tensor(id).dtype == DataType::Float32;
    let is_constant = |id: TensorId| is_float(id) && model.tensor(id).is_constant();
    let whole = model.tensor(weights).shape.last() == model.tensor(input).shape.last();
    let fits = is_float(input)
        && is_constant(weights)
        && bias.is_none_or(is_constant)
        && !model.tensor(input).is_constant()
        && whole;
    fits.then_some(Product { input, weights, bias })
}

/// Whether a constant is read once, and so can be changed.
fn is_own(model: &Model, id: TensorId) -> bool {
    let reads = model.nodes.iter().flat_map(|node| &node.inputs).flatten();
    reads.filter(|&&read| read == id).count() == 1 && !model.outputs.contains(&id)
}
