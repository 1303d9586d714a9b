//! What ONNX files do not say: how pixels are prepared, what classes are called.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{
    Bytes, Error, Labels, Metadata, Model, Node, Normalization, Operator, Result, Tensor, TensorId,
    TensorMetadata,
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

/// Adds what the caller says to the model.
pub(crate) fn describe(model: &mut Model, options: &crate::ImportOptions) -> Result<()> {
    if options.preprocessing.is_none() && options.labels.is_none() {
        return Ok(());
    }
    let mut inputs = vec![TensorMetadata::default(); model.inputs.len()];
    let mut outputs = vec![TensorMetadata::default(); model.outputs.len()];
    if let (Some(preprocessing), Some(input)) = (&options.preprocessing, inputs.first_mut()) {
        input.normalization = Some(normalization(model, preprocessing)?);
        if preprocessing.channels == Channels::Bgr {
            swap_channels(model)?;
        }
    }
    if let (Some(names), Some(output)) = (&options.labels, outputs.first_mut()) {
        let scores = model.outputs.first().map_or(0, |&id| model.tensor(id).elements());
        if scores != names.len() {
            return Err(Error::invalid_option(format!(
                "labels: {} names for an output of {scores} scores",
                names.len()
            ))
            .with("option", "labels")
            .with("found", names.len())
            .with("needed", scores));
        }
        output.labels = vec![Labels {
            file_name: "labels.txt".to_owned(),
            locale: String::new(),
            names: names.clone(),
        }];
    }
    model.metadata = Some(Metadata { inputs, outputs, ..Metadata::default() });
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
