//! The head as operators: normalize, dense layer, softmax.

use achado_model::{
    Activation, Bytes, DataType, Error, Labels, Metadata, Model, Node, Normalization, Operator,
    Quantization, Result, Tensor, TensorId, TensorMetadata, prune, tflite,
};
use achado_vision::{Preprocess, STORED_PREPROCESS};

use super::base::{Base, is_quantized, needs_reshape};
use crate::train::head_logits;

/// Before the names of the head's tensors, by which it is found again.
const PREFIX: &str = "maker/";

/// What the head computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadType {
    /// Floats, from the integers of a quantised network by DEQUANTIZE: nothing is lost.
    #[default]
    Float,
    /// The 8-bit integers of a quantised network. Each embedding is divided by the mean length of
    /// those that were trained on, not by its own: scores are less exact.
    Integer,
}

/// What goes into the file beside the network.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// `[classes, features]`.
    pub weights: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
    /// Names that identify the classes, by index.
    pub labels: Vec<String>,
    /// Names for people, by locale.
    pub display_names: Vec<(String, Vec<String>)>,
    /// What the head computes in.
    pub head: HeadType,
    /// How pictures were prepared, beyond what the network's file says.
    pub preprocess: Preprocess,
    /// Scores below it are not given.
    pub score_threshold: Option<f32>,
    /// The model's name.
    pub name: String,
    /// What it tells apart.
    pub description: String,
    /// The model's version.
    pub version: String,
    /// Who made it.
    pub author: String,
}

/// The bytes of a `.tflite` classifier: `base`, and the head behind it. `embeddings`, `[n, features]`,
/// are those that the head was trained on; an integer head takes the range of its logits from them.
///
/// # Errors
/// `INVALID_OPTION` for names and options that do not fit, `INVALID_INPUT` for a head that does not fit
/// the network or holds values that are no finite numbers.
pub fn export(base: &Base, options: &Export, embeddings: &[f32]) -> Result<Vec<u8>> {
    check(base, options)?;
    let mut model = base.model.clone();
    let embedding = model.outputs[0];
    let mut head = Head { model: &mut model, end: embedding };
    match options.head {
        HeadType::Float => head.float(options),
        HeadType::Integer => head.integer(options, embeddings)?,
    }
    let scores = head.end;
    model.outputs = vec![scores];
    model.metadata = Some(describe(base, &model, options)?);
    let bytes = tflite::write(&model)?;
    verify(base, &model, &bytes)?;
    Ok(bytes)
}

fn check(base: &Base, options: &Export) -> Result<()> {
    let (features, classes) = (base.features(), options.bias.len());
    if classes < 2 || features.checked_mul(classes) != Some(options.weights.len()) {
        return Err(Error::invalid_input(format!(
            "a head of {} weights and {classes} classes does not fit an embedding of {features}",
            options.weights.len()
        )));
    }
    if options.weights.iter().chain(&options.bias).any(|value| !value.is_finite()) {
        return Err(Error::invalid_input("the head holds a value that is no finite number"));
    }
    let names = |option: &'static str, names: &[String]| {
        if names.len() == classes {
            return Ok(());
        }
        let message = format!("{option}: {} names for {classes} classes", names.len());
        Err(Error::invalid_option(message).with("option", option))
    };
    names("labels", &options.labels)?;
    for (locale, list) in &options.display_names {
        names("displayNames", list)?;
        let is_tag = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if locale.is_empty() || !locale.chars().all(is_tag) {
            let message =
                format!("displayNames: {locale:?} is no language tag such as pt or pt-BR");
            return Err(Error::invalid_option(message).with("option", "displayNames"));
        }
    }
    let mut sorted: Vec<&String> = options.labels.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("labels: {:?} is the name of two classes", pair[0]);
        return Err(Error::invalid_option(message).with("option", "labels"));
    }
    options.preprocess.validate()
}

/// A model that grows at its end.
struct Head<'a> {
    model: &'a mut Model,
    end: TensorId,
}

impl Head<'_> {
    fn tensor(&mut self, name: &str, dtype: DataType, shape: Vec<usize>) -> TensorId {
        let mut dynamic = Vec::new();
        // A batch that the caller may choose stays so.
        if self.model.tensor(self.end).dynamic.first() == Some(&true) {
            dynamic = vec![false; shape.len()];
            dynamic[0] = true;
        }
        self.model.tensors.push(Tensor {
            name: format!("{PREFIX}{name}"),
            dtype,
            shape,
            dynamic,
            quantization: None,
            data: None,
        });
        TensorId(self.model.tensors.len() - 1)
    }

    fn constant(
        &mut self,
        name: &str,
        dtype: DataType,
        shape: Vec<usize>,
        data: Vec<u8>,
        quantization: Option<Quantization>,
    ) -> TensorId {
        let id = self.tensor(name, dtype, shape);
        let tensor = &mut self.model.tensors[id.0];
        tensor.data = Some(data.into());
        tensor.dynamic.clear();
        tensor.quantization = quantization;
        id
    }

    /// Appends an operator on the end and `constants`.
    fn then(&mut self, operator: Operator, constants: &[TensorId], result: TensorId) {
        let inputs = [&[self.end], constants].concat().into_iter().map(Some).collect();
        self.model.nodes.push(Node { operator, inputs, outputs: vec![result] });
        self.end = result;
    }

    fn float(&mut self, options: &Export) {
        let embedding = self.model.tensor(self.end).clone();
        let (features, classes) = (embedding.elements(), options.bias.len());
        let float = DataType::Float32;
        if is_quantized(&embedding) {
            let real = self.tensor("dequantized", float, embedding.shape.clone());
            self.then(Operator::Dequantize, &[], real);
        }
        if let Some(reshape) = needs_reshape(&embedding) {
            let flat = self.tensor("embedding", float, vec![1, features]);
            self.then(reshape, &[], flat);
        }
        let normalized = self.tensor("normalized", float, vec![1, features]);
        let activation = Activation::None;
        self.then(Operator::L2Normalization { activation }, &[], normalized);
        let weights =
            self.constant("weights", float, vec![classes, features], bytes(&options.weights), None);
        let bias = self.constant("bias", float, vec![classes], bytes(&options.bias), None);
        let logits = self.tensor("logits", float, vec![1, classes]);
        let dense = Operator::FullyConnected { activation, keep_num_dims: false };
        self.then(dense, &[weights, bias], logits);
        let scores = self.tensor("scores", float, vec![1, classes]);
        self.then(Operator::Softmax { beta: 1.0 }, &[], scores);
    }

    /// Weights per tensor: those per channel break old runtimes in dense layers.
    fn integer(&mut self, options: &Export, embeddings: &[f32]) -> Result<()> {
        let embedding = self.model.tensor(self.end).clone();
        let (features, classes) = (embedding.elements(), options.bias.len());
        let dtype = embedding.dtype;
        let given = embedding.quantization.as_ref().and_then(Quantization::as_per_tensor);
        let (Some((scale, _)), DataType::Int8 | DataType::UInt8) = (given, dtype) else {
            return Err(Error::invalid_option(format!(
                "quantization: an integer head needs a network whose embedding is int8 or uint8; \
                 this one's is {dtype}"
            ))
            .with("option", "quantization"));
        };
        if embeddings.is_empty() || !embeddings.len().is_multiple_of(features) {
            return Err(Error::invalid_input("an integer head needs the embeddings of pictures"));
        }
        let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let rows = embeddings.chunks_exact(features);
        let mean = (rows.clone().map(length).sum::<f64>() / rows.len() as f64).max(1e-6);

        let zero = if dtype == DataType::UInt8 { 128 } else { 0 };
        let stored = |value: i32| match dtype {
            DataType::UInt8 => (value + 128) as u8,
            _ => (value as i8).cast_unsigned(),
        };
        let divided: Vec<f64> = options.weights.iter().map(|&w| f64::from(w) / mean).collect();
        let most = divided.iter().fold(1e-12, |most: f64, w| most.max(w.abs()));
        let weight_scale = (most / 127.0) as f32;
        let quantized = |w: &f64| (w / f64::from(weight_scale)).round().clamp(-127.0, 127.0) as i32;
        let data = divided.iter().map(|w| stored(quantized(w))).collect();
        let per_tensor = |scale, zero_point| Some(Quantization::per_tensor(scale, zero_point));
        let shape = vec![classes, features];
        let weights = self.constant("weights", dtype, shape, data, per_tensor(weight_scale, zero));
        // As TensorFlow Lite checks it: the product in f32.
        let bias_scale = scale * weight_scale;
        let mut sums = Vec::with_capacity(4 * classes);
        for bias in &options.bias {
            let sum = (f64::from(*bias) / f64::from(bias_scale)).round();
            if sum.abs() > f64::from(i32::MAX) / 2.0 {
                return Err(Error::invalid_option(
                    "quantization: the intercepts of this head do not fit 32 bits; export it as floats",
                )
                .with("option", "quantization"));
            }
            sums.extend((sum as i32).to_le_bytes());
        }
        let shape = vec![classes];
        let bias = self.constant("bias", DataType::Int32, shape, sums, per_tensor(bias_scale, 0));

        // Unseen pictures go a little beyond what was trained on.
        let (mut low, mut high) = (0.0f64, 0.0f64);
        for row in rows {
            let stretch = length(row) / mean;
            for (logit, bias) in
                head_logits(&options.weights, &options.bias, row).iter().zip(&options.bias)
            {
                let logit = (logit - f64::from(*bias)) * stretch + f64::from(*bias);
                (low, high) = (low.min(logit), high.max(logit));
            }
        }
        let margin = 0.1 * (high - low).max(1e-3);
        (low, high) = (low - margin, high + margin);
        let logit_scale = ((high - low) / 255.0) as f32;
        let least = if dtype == DataType::UInt8 { 0 } else { -128 };
        let logit_zero = least + (-low / f64::from(logit_scale)).round() as i32;
        let logits = self.tensor("logits", dtype, vec![1, classes]);
        self.model.tensors[logits.0].quantization = per_tensor(logit_scale, logit_zero);
        let activation = Activation::None;
        let dense = Operator::FullyConnected { activation, keep_num_dims: false };
        self.then(dense, &[weights, bias], logits);
        let scores = self.tensor("scores", dtype, vec![1, classes]);
        self.model.tensors[scores.0].quantization = per_tensor(1.0 / 256.0, least);
        self.then(Operator::Softmax { beta: 1.0 }, &[], scores);
        Ok(())
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn describe(base: &Base, model: &Model, options: &Export) -> Result<Metadata> {
    let file = &base.metadata;
    let mut metadata = file.clone();
    metadata.name = options.name.clone();
    metadata.description = options.description.clone();
    metadata.version = options.version.clone();
    if !options.author.is_empty() {
        metadata.author = options.author.clone();
    }
    metadata.inputs.resize(model.inputs.len(), TensorMetadata::default());
    let preprocess = options.preprocess.or_stored(Some(file))?;
    if preprocess.mean.is_some() || preprocess.std.is_some() {
        let picture = metadata.inputs.iter().position(|input| input.normalization.is_some());
        let input = &mut metadata.inputs[picture.unwrap_or(0)];
        let known = input.normalization.take();
        let of = |given: &Option<Vec<f32>>, known: Option<Vec<f32>>, default| {
            given.clone().or(known).unwrap_or_else(|| vec![default])
        };
        let (mean, std) = known.map(|known| (known.mean, known.std)).unzip();
        let mean = of(&preprocess.mean, mean, 0.0);
        let std = of(&preprocess.std, std, 1.0);
        input.normalization = Some(Normalization { mean, std });
    }
    for (index, input) in metadata.inputs.iter_mut().enumerate() {
        if input.name.is_empty() && index == 0 {
            input.name = "image".to_owned();
        }
    }
    let list = |locale: &str, names: &[String]| Labels {
        file_name: match locale {
            "" => "labels.txt".to_owned(),
            locale => format!("labels_{locale}.txt"),
        },
        locale: locale.to_owned(),
        names: names.to_vec(),
    };
    let mut labels = vec![list("", &options.labels)];
    labels.extend(options.display_names.iter().map(|(locale, names)| list(locale, names)));
    metadata.outputs = vec![TensorMetadata {
        name: "probability".to_owned(),
        description: "The probability of each class.".to_owned(),
        score_threshold: options.score_threshold,
        labels,
        ..TensorMetadata::default()
    }];
    let stored = preprocess.to_stored();
    if !stored.is_empty() {
        metadata.custom.retain(|(name, _)| name != STORED_PREPROCESS);
        metadata.custom.push((STORED_PREPROCESS.to_owned(), stored));
    }
    Ok(metadata)
}

/// Opens what was written: it must be the model, and its network that of the base, byte for byte.
fn verify(base: &Base, model: &Model, bytes: &[u8]) -> Result<()> {
    let read = tflite::read(Bytes::from(bytes.to_vec()))?;
    let nodes = base.model.nodes.len();
    // Explicit padding is written as an operator of its own, which renumbers what is behind it.
    let same = read.nodes.len() != model.nodes.len()
        || (read.nodes[..nodes] == base.model.nodes[..]
            && read.tensors[..base.model.tensors.len()] == base.model.tensors[..]);
    if !same || read.metadata != model.metadata {
        return Err(Error::format("the exported file does not read as the model that was written"));
    }
    Ok(())
}

/// The head of an exported file alone, as a file: embedding in, scores out. For comparing it.
///
/// # Errors
/// Those of [`tflite::read`]; `MODEL_FORMAT` for a file without such a head.
pub fn head_only(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut model = tflite::read(Bytes::from(bytes))?;
    let tensors = &model.tensors;
    let is_own = |node: &Node| node.outputs.iter().all(|id| tensors[id.0].name.starts_with(PREFIX));
    let first = model.nodes.iter().rposition(|node| !is_own(node)).map_or(0, |last| last + 1);
    let embedding = model.nodes.get(first).and_then(|node| node.inputs.first().copied().flatten());
    let embedding = embedding
        .ok_or_else(|| Error::format("this file has no head of the Maker behind its network"))?;
    model.nodes.drain(..first);
    model.inputs = vec![embedding];
    model.signatures.clear();
    model.metadata = None;
    tflite::write(&prune(model))
}
