//! What ONNX files do not say: how pixels are prepared, what classes are called.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::metadata::fit_labels;
use achado_model::{
    Bytes, Error, LabelFile, Labels, Metadata, Model, Node, Normalization, Operator, Result,
    Tensor, TensorId, TensorMetadata, Trainer,
};

/// The order of a pixel's channels in the model's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first.
    Bgr,
}

/// How pixels of 0..=255 become the model's input: `(x - mean) / std`, for each channel in the order
/// of `channels`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// One for all channels, or one each.
    pub mean: Vec<f32>,
    /// One for all channels, or one each; never 0.
    pub std: Vec<f32>,
    /// Which channel the model expects first.
    pub channels: Channels,
}

/// What a file says about its classes and its pictures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The names of classes that its last operators held, by output.
    tails: Vec<(usize, Vec<String>)>,
    /// Those of `metadata_props`.
    file: LabelFile,
    /// The property that they come from.
    property: &'static str,
}

/// Properties that hold names, the most telling first.
const PROPERTIES: [&str; 6] =
    ["names", "id2label", "class_names", "classes", "labels", "label_names"];

impl Said {
    /// Takes together what the last operators and the properties hold. Properties of other kinds
    /// under these names are none.
    pub fn new(tails: Vec<(usize, Vec<String>)>, properties: &[(&str, &str)]) -> Self {
        let value = |wanted: &str| {
            properties.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value)
        };
        let mut said = Self { tails, ..Self::default() };
        let read = |key| LabelFile::read(value(key)?.as_bytes()).ok().map(|file| (key, file));
        if let Some((key, file)) = PROPERTIES.into_iter().find_map(read) {
            (said.property, said.file) = (key, file);
            // A line of names with commas between.
            let is_literal =
                value(key).is_some_and(|text| text.trim_start().starts_with(['{', '[']));
            if let ([line], false) = (&said.file.names[..], is_literal) {
                let parts: Vec<String> =
                    line.split(',').map(|name| name.trim().to_owned()).collect();
                said.file.names = parts;
            }
            if value("task") == Some("classify") && key == "names" {
                said.file.trainer = Some(Trainer::Ultralytics);
            }
        }
        said
    }
}

/// Adds what the caller and the file say to the model.
pub(crate) fn describe(
    model: &mut Model,
    options: &crate::ImportOptions,
    said: Said,
) -> Result<()> {
    let mut inputs = vec![TensorMetadata::default(); model.inputs.len()];
    let mut outputs = vec![TensorMetadata::default(); model.outputs.len()];
    let trainer = said.file.trainer;
    if let Some(input) = inputs.first_mut() {
        input.normalization = match (&options.preprocessing, trainer) {
            (Some(preprocessing), _) => Some(normalization(model, preprocessing)?),
            (None, Some(Trainer::Ultralytics)) => {
                Some(Normalization { mean: vec![0.0], std: vec![255.0] })
            }
            (None, None) => None,
        };
        if options.preprocessing.as_ref().is_some_and(|given| given.channels == Channels::Bgr) {
            swap_channels(model)?;
        }
    }
    let list = |file_name: &str, names: &[String]| Labels {
        file_name: file_name.to_owned(),
        locale: String::new(),
        // A label file has a name a line.
        names: names.iter().map(|name| name.replace(['\n', '\r'], " ")).collect(),
    };
    let shape = |at: usize| model.outputs.get(at).map(|&id| &model.tensor(id).shape[..]);
    if let Some(names) = &options.labels {
        let scores = shape(0).map_or(0, |shape| shape.iter().product());
        // Two names are for one score of a sigmoid.
        let fitted =
            fit_labels(names, scores).or_else(|| fit_labels(names, 2).filter(|_| scores == 1));
        let names = fitted.ok_or_else(|| {
            Error::invalid_option(format!(
                "labels: {} names for an output of {scores} scores",
                names.len()
            ))
            .with("option", "labels")
            .with("found", names.len())
            .with("needed", scores)
        })?;
        if let Some(output) = outputs.first_mut() {
            output.labels = vec![Labels { names: names.into_owned(), ..list("labels.txt", &[]) }];
        }
    } else if !said.tails.is_empty() {
        for (at, names) in &said.tails {
            if let Some(output) = outputs.get_mut(*at) {
                output.labels = vec![list(&format!("labels{at}.txt"), names)];
            }
        }
    } else if !said.file.names.is_empty() {
        let names = &said.file.names;
        let fits = |at: &usize| {
            shape(*at).is_some_and(|shape| {
                let scores: usize = shape.iter().skip(1).product();
                shape.len() > 1 && shape.contains(&scores) && fit_labels(names, scores).is_some()
            })
        };
        // One that fits, or else one that is a row: a classifier says that it does not fit.
        let is_row = |at: &usize| shape(*at).is_some_and(|shape| matches!(shape, [_, _]));
        let place = (0..outputs.len()).find(fits).or_else(|| (0..outputs.len()).find(is_row));
        if let Some(output) = place.and_then(|at| outputs.get_mut(at)) {
            output.labels = vec![list(&format!("{}.txt", said.property), names)];
        }
    }
    let metadata = Metadata { inputs, outputs, trainer, ..Metadata::default() };
    let says_nothing = Metadata {
        inputs: vec![TensorMetadata::default(); metadata.inputs.len()],
        outputs: vec![TensorMetadata::default(); metadata.outputs.len()],
        ..Metadata::default()
    };
    if metadata == says_nothing {
        return Ok(());
    }
    model.metadata = Some(metadata);
    model.validate()
}

/// Mean and deviation in the order of a file's channels, which is RGB.
fn normalization(model: &Model, preprocessing: &Preprocessing) -> Result<Normalization> {
    let channels =
        model.inputs.first().and_then(|&id| model.tensor(id).shape.last().copied()).unwrap_or(0);
    let Preprocessing { mean, std, channels: order } = preprocessing;
    for (name, values) in [("mean", mean), ("std", std)] {
        if values.len() != 1 && values.len() != channels {
            return Err(Error::invalid_option(format!(
                "{name}: {} numbers for {channels} channels",
                values.len()
            ))
            .with("option", name));
        }
    }
    let is_bad = |std: &&f32| !std.is_finite() || **std == 0.0;
    if let Some(bad) = std.iter().find(is_bad).or(mean.iter().find(|mean| !mean.is_finite())) {
        return Err(Error::invalid_option(format!("mean and std: {bad} cannot be used")));
    }
    let turn = |values: &[f32]| -> Vec<f32> {
        match order {
            Channels::Rgb => values.to_vec(),
            Channels::Bgr => values.iter().rev().copied().collect(),
        }
    };
    Ok(Normalization { mean: turn(mean), std: turn(std) })
}

/// Lets a model that expects BGR take RGB: TFLite metadata cannot say BGR. Convolutions that read
/// the input get their weights turned; for other readers the input itself is turned.
fn swap_channels(model: &mut Model) -> Result<()> {
    let Some(&input) = model.inputs.first() else { return Ok(()) };
    let [_, _, _, 3] = model.tensor(input).shape[..] else {
        return Err(Error::invalid_option(format!(
            "preprocess: BGR needs a picture of 3 channels, {} is {:?}",
            model.tensor_label(input),
            model.tensor(input).shape
        )));
    };
    let reads = |node: &Node| node.inputs.contains(&Some(input));
    let turns = |node: &Node| {
        let weights = node.inputs.get(1).copied().flatten().map(|id| model.tensor(id));
        matches!(node.operator, Operator::Conv2d { .. })
            && node.inputs.first() == Some(&Some(input))
            && weights
                .is_some_and(|weights| weights.is_constant() && weights.shape.last() == Some(&3))
    };
    let readers: Vec<usize> =
        (0..model.nodes.len()).filter(|&at| reads(&model.nodes[at])).collect();
    if readers.iter().all(|&at| turns(&model.nodes[at])) {
        let weights: Vec<TensorId> =
            readers.iter().filter_map(|&at| model.nodes[at].inputs[1]).collect();
        let is_shared = |id: &TensorId| {
            let uses = model.nodes.iter().flat_map(|node| &node.inputs);
            uses.filter(|input| **input == Some(*id)).count() > 1
        };
        if !weights.iter().any(is_shared) {
            for id in weights {
                let Tensor { dtype, data, .. } = &mut model.tensors[id.0];
                if let Some(bytes) = data {
                    let pixel = dtype.size_bytes().saturating_mul(3);
                    let turned: Vec<u8> = bytes
                        .chunks_exact(pixel)
                        .flat_map(|pixel| pixel.chunks_exact(dtype.size_bytes()).rev().flatten())
                        .copied()
                        .collect();
                    *bytes = Bytes::from(turned);
                }
            }
            return Ok(());
        }
    }
    let turned = TensorId(model.tensors.len());
    let source = model.tensor(input).clone();
    model.tensors.push(Tensor { name: format!("{}/bgr", source.name), ..source });
    let axis = TensorId(model.tensors.len());
    model.tensors.push(Tensor {
        name: "channels".to_owned(),
        dtype: achado_model::DataType::Int32,
        shape: vec![1],
        dynamic: Vec::new(),
        quantization: None,
        data: Some(Bytes::from(3i32.to_le_bytes().to_vec())),
    });
    for node in &mut model.nodes {
        for operand in node.inputs.iter_mut().filter(|operand| **operand == Some(input)) {
            *operand = Some(turned);
        }
    }
    let inputs = vec![Some(input), Some(axis)];
    let node = Node { operator: Operator::ReverseV2, inputs, outputs: vec![turned] };
    model.nodes.insert(0, node);
    Ok(())
}
