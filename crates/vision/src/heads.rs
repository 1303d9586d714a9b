//! Which outputs are scores, and how their bytes become them.

use std::sync::Arc;

use achado_model::metadata::{TensorMetadata, fit_labels};
use achado_model::{DataType, Error, Metadata, Result, Tensor};

use crate::ends::OutputEnd;
use crate::labels::Names;
use crate::metadata::{HeadInfo, tensor_name};
use crate::options::{ClassifierOptions, ScoreActivation, invalid};

/// One output of scores.
#[derive(Debug)]
pub(crate) struct Head {
    /// Which output of the model.
    pub output: usize,
    pub name: Arc<str>,
    pub classes: usize,
    pub scores: Reals,
    pub names: Names,
    /// By class; `None` for no restriction.
    pub allowed: Option<Vec<bool>>,
    pub threshold: Option<f32>,
    /// What the graph ends in.
    pub own_activation: ScoreActivation,
    /// What is applied here.
    pub activation: ScoreActivation,
    /// The output is one sigmoid score `p`, and the two classes have `1 - p` and `p`.
    pub is_binary: bool,
}

impl Head {
    /// What is said about it.
    pub fn info(&self) -> HeadInfo {
        HeadInfo {
            head_index: self.output,
            head_name: self.name.to_string(),
            classes: self.classes,
            labels: self.names.category.len(),
            activation: self.own_activation,
        }
    }
}

/// How a tensor's bytes become real numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reals {
    Float32,
    UInt8 { scale: f32, zero_point: i32 },
    Int8 { scale: f32, zero_point: i32 },
    Int16 { scale: f32, zero_point: i32 },
}

impl Reals {
    /// # Errors
    /// `UNSUPPORTED_TYPE`, which calls the numbers `what`.
    pub fn of(index: usize, tensor: &Tensor, what: &str) -> Result<Self> {
        let quantization = || {
            tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()).ok_or_else(|| {
                Error::unsupported_type(format!(
                    "output {index} {:?} is {} without one scale and zero point for the whole \
                     tensor",
                    tensor.name, tensor.dtype
                ))
                .with("tensor", tensor.name.as_str())
            })
        };
        match tensor.dtype {
            DataType::Float32 => Ok(Self::Float32),
            DataType::UInt8 => {
                quantization().map(|(scale, zero_point)| Self::UInt8 { scale, zero_point })
            }
            DataType::Int8 => {
                quantization().map(|(scale, zero_point)| Self::Int8 { scale, zero_point })
            }
            DataType::Int16 => {
                quantization().map(|(scale, zero_point)| Self::Int16 { scale, zero_point })
            }
            other => Err(Error::unsupported_type(format!(
                "output {index} {:?} is {other}; {what} are float32, uint8, int8 or int16",
                tensor.name
            ))
            .with("tensor", tensor.name.as_str())),
        }
    }

    /// Appends the numbers to `out`, by TFLite's DEQUANTIZE: `scale * (q - zero_point)`.
    pub fn read(self, bytes: &[u8], out: &mut Vec<f32>) {
        let real = |q: i32, scale: f32, zero_point: i32| scale * (q - zero_point) as f32;
        match self {
            Self::Float32 => {
                out.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            Self::UInt8 { scale, zero_point } => {
                out.extend(bytes.iter().map(|&byte| real(byte.into(), scale, zero_point)));
            }
            Self::Int8 { scale, zero_point } => {
                let byte = |&byte: &u8| real(byte.cast_signed().into(), scale, zero_point);
                out.extend(bytes.iter().map(byte));
            }
            Self::Int16 { scale, zero_point } => {
                let word = |&word| real(i16::from_le_bytes(word).into(), scale, zero_point);
                out.extend(bytes.as_chunks().0.iter().map(word));
            }
        }
    }
}

/// The heads of a model: the outputs that the caller names, or else those that can be scores. Where
/// some of these have labels or a threshold, those without are something else, such as features.
///
/// # Errors
/// As [`Postprocessor::new`](crate::Postprocessor::new).
pub(crate) fn heads(
    outputs: &[Tensor],
    ends: &[OutputEnd],
    metadata: Option<&Metadata>,
    options: &ClassifierOptions,
) -> Result<Vec<Head>> {
    if outputs.is_empty() {
        return Err(Error::unsupported_type("the model has no output"));
    }
    let described = |index: usize| metadata.and_then(|metadata| metadata.outputs.get(index));
    let chosen = if options.heads.is_empty() {
        guess(outputs, described, options)?
    } else {
        named(outputs, described, &options.heads)?
    };
    if let (Some(_), [_, _, ..]) = (&options.labels, &chosen[..]) {
        let heads = chosen.len();
        return Err(invalid(
            "labels",
            &format!(
                "one list is for one head; the model has {heads}, so name one of them as heads, \
                 or let their names come from its metadata"
            ),
        ));
    }
    let mut heads = Vec::with_capacity(chosen.len());
    for output in chosen {
        let (tensor, described) = (&outputs[output], described(output));
        let own_activation = ends.get(output).map_or(ScoreActivation::None, |end| end.activation);
        let scores = classes(output, tensor)?;
        if scores == 1 {
            refuse_softmax(tensor, own_activation, options.activation)?;
        }
        let listed = described.and_then(|described| described.labels.first());
        let listed = options.labels.as_deref().or(listed.map(|list| &list.names[..]));
        let is_binary = match listed {
            Some(names) if scores == 1 => {
                is_binary(output, tensor, names, own_activation.or(options.activation))?
            }
            _ => false,
        };
        let classes = if is_binary { 2 } else { scores };
        let names = match (&options.labels, described) {
            (Some(labels), _) => Names::from_caller(labels, classes)?,
            (None, Some(described)) => {
                let locale = options.display_names_locale.as_deref();
                Names::from_metadata(described, classes, locale)?
            }
            (None, None) => Names::default(),
        };
        heads.push(Head {
            output,
            name: Arc::from(tensor_name(tensor, described)),
            classes,
            scores: Reals::of(output, tensor, "scores")?,
            allowed: None,
            threshold: options
                .score_threshold
                .or(described.and_then(|described| described.score_threshold)),
            names,
            own_activation,
            activation: match own_activation {
                ScoreActivation::None => options.activation,
                _ => ScoreActivation::None,
            },
            is_binary,
        });
    }
    let asked = options.activation;
    if asked != ScoreActivation::None && heads.iter().all(|head| head.activation != asked) {
        let own = heads[0].own_activation.name();
        return Err(invalid(
            "activation",
            &format!("the model ends in a {own} already; leave the option out"),
        ));
    }
    if !options.category_allowlist.is_empty() {
        restrict(&mut heads, "categoryAllowlist", &options.category_allowlist, true)?;
    }
    if !options.category_denylist.is_empty() {
        restrict(&mut heads, "categoryDenylist", &options.category_denylist, false)?;
    }
    Ok(heads)
}

/// Whether two names are there for the one score of an output, which is then one of a sigmoid.
fn is_binary(
    output: usize,
    tensor: &Tensor,
    names: &[String],
    activation: ScoreActivation,
) -> Result<bool> {
    let two = fit_labels(names, 2);
    if two.is_none_or(|two| two.iter().any(|name| name.trim().is_empty())) {
        return Ok(false);
    }
    if activation == ScoreActivation::Sigmoid || fit_labels(names, 1).is_some() {
        return Ok(activation == ScoreActivation::Sigmoid);
    }
    Err(invalid(
        "labels",
        &format!(
            "2 names are for one score of a sigmoid, and output {output} {:?} ends in none; if its \
             score is a logit, give activation: \"sigmoid\"",
            tensor.name
        ),
    ))
}

/// Refuses what would be 1 for every picture.
fn refuse_softmax(tensor: &Tensor, own: ScoreActivation, asked: ScoreActivation) -> Result<()> {
    let name = &tensor.name;
    if own == ScoreActivation::Softmax {
        return Err(Error::unsupported_type(format!(
            "output {name:?} is a softmax over one class, which is 1 for every picture: a model \
             with one score ends in a sigmoid"
        ))
        .with("tensor", name.as_str()));
    }
    if own == ScoreActivation::None && asked == ScoreActivation::Softmax {
        return Err(invalid(
            "activation",
            &format!(
                "a softmax over the one class of output {name:?} is 1 for every picture; for a \
                 logit give \"sigmoid\""
            ),
        ));
    }
    Ok(())
}

fn named<'a>(
    outputs: &[Tensor],
    described: impl Fn(usize) -> Option<&'a TensorMetadata>,
    names: &[String],
) -> Result<Vec<usize>> {
    let name = |index: usize| {
        described(index)
            .filter(|described| !described.name.is_empty())
            .map_or(outputs[index].name.as_str(), |described| described.name.as_str())
    };
    let find = |wanted: &String| {
        let matches = |index: &usize| name(*index) == wanted || outputs[*index].name == *wanted;
        (0..outputs.len()).find(matches).ok_or_else(|| {
            let known: Vec<_> =
                (0..outputs.len()).map(|index| format!("{:?}", name(index))).collect();
            let known = known.join(", ");
            invalid("heads", &format!("the model has no output {wanted:?}; it has {known}"))
        })
    };
    let named = names.iter().map(find).collect::<Result<Vec<_>>>()?;
    // In the order of the outputs, each once.
    Ok((0..outputs.len()).filter(|index| named.contains(index)).collect())
}

fn guess<'a>(
    outputs: &[Tensor],
    described: impl Fn(usize) -> Option<&'a TensorMetadata>,
    options: &ClassifierOptions,
) -> Result<Vec<usize>> {
    let mut fitting = Vec::new();
    let mut why = None;
    for (index, tensor) in outputs.iter().enumerate() {
        match classes(index, tensor).and_then(|_| Reals::of(index, tensor, "scores")) {
            Ok(_) => fitting.push(index),
            Err(error) => why = why.or(Some(error)),
        }
    }
    if let (Some(labels), [_, _, ..]) = (&options.labels, &fitting[..]) {
        let classes = |index: usize| classes(index, &outputs[index]).unwrap_or_default();
        let only = |fits: &dyn Fn(usize) -> bool| {
            let mut found = fitting.iter().copied().filter(|&index| fits(classes(index)));
            found.next().filter(|_| found.next().is_none())
        };
        let exact = only(&|classes| classes == labels.len());
        if let Some(index) = exact.or_else(|| only(&|n| fit_labels(labels, n).is_some())) {
            return Ok(vec![index]);
        }
    }
    let is_described = |&&index: &&usize| {
        described(index)
            .is_some_and(|output| !output.labels.is_empty() || output.score_threshold.is_some())
    };
    let described: Vec<_> = fitting.iter().filter(is_described).copied().collect();
    match (fitting.is_empty(), why) {
        (true, Some(error)) => Err(error),
        _ if described.is_empty() => Ok(fitting),
        _ => Ok(described),
    }
}

/// The number of classes of an output `[1, n]`, `[1, 1, 1, n]`, or, of ONNX models, `[1, n, 1, 1]`.
fn classes(index: usize, tensor: &Tensor) -> Result<usize> {
    match tensor.shape[..] {
        [1, classes] | [1, 1, 1, classes] | [1, classes, 1, 1] if classes > 0 => Ok(classes),
        _ => Err(Error::unsupported_type(format!(
            "output {index} {:?} has shape {:?}; a classifier's outputs are [1, classes], \
             [1, 1, 1, classes] or [1, classes, 1, 1]",
            tensor.name, tensor.shape
        ))
        .with("tensor", tensor.name.as_str())),
    }
}

/// Sets which classes of each head pass. A name may stand for several classes (ImageNet has two
/// cranes) and in several heads, but must stand for one.
fn restrict(heads: &mut [Head], option: &str, list: &[String], allow: bool) -> Result<()> {
    if heads.iter().all(|head| head.names.category.is_empty()) {
        return Err(invalid(option, "needs category names, and the model has none; give labels"));
    }
    let known = |name: &&String| {
        heads.iter().any(|head| head.names.category.iter().any(|known| **known == ***name))
    };
    let unknown: Vec<_> =
        list.iter().filter(|name| !known(name)).map(|n| format!("{n:?}")).collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Err(invalid(option, &format!("the model has no category {unknown}"))
            .with("unknown", unknown));
    }
    for head in heads {
        let listed = |name: &Arc<str>| list.iter().any(|listed| **listed == **name);
        let names = &head.names.category;
        let allowed = |class| names.get(class).is_some_and(listed) == allow;
        head.allowed = Some((0..head.classes).map(allowed).collect());
    }
    Ok(())
}
