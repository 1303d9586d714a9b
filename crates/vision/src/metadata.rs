//! What a loaded model says about itself.

use achado_model::metadata::TensorMetadata;
use achado_model::{DataType, Metadata, Quantization, Tensor};

use crate::options::ScoreActivation;

/// A model's description, for people and for programs that check what they have loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelMetadata {
    /// The model's name; empty, like the four below, where the file has none.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Its version.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// Under what terms.
    pub license: String,
    /// What goes in.
    pub inputs: Vec<TensorInfo>,
    /// Which of the inputs takes pictures, if one does.
    pub picture_input: Option<usize>,
    /// What comes out.
    pub outputs: Vec<TensorInfo>,
    /// The outputs that are scores, for a classifier.
    pub heads: Vec<HeadInfo>,
    /// How many classes of the first head have a name, by the caller or by the file.
    pub labels: usize,
    /// The languages of display names in the file, as BCP 47, in its order, each once.
    pub locales: Vec<String>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// The name in the metadata, or else the tensor's; with ` #2` and so on behind it where another
    /// has it already.
    pub name: String,
    /// The element type.
    pub dtype: DataType,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The same, with `None` where the file leaves the dimension to the caller.
    pub shape_signature: Vec<Option<usize>>,
    /// How integers stand for real numbers, if they do.
    pub quantization: Option<Quantization>,
}

/// An output that is scores.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadInfo {
    /// Which output.
    pub head_index: usize,
    /// Its name in the metadata, or else the tensor's.
    pub head_name: String,
    /// How many classes it tells apart.
    pub classes: usize,
    /// How many of them have a name.
    pub labels: usize,
    /// What the model itself ends in; with `None` its scores are logits.
    pub activation: ScoreActivation,
}

impl TensorInfo {
    /// Takes the shape of another tensor with the same elements.
    pub(crate) fn reshape(&mut self, tensor: &Tensor) {
        self.shape = tensor.shape.clone();
        self.shape_signature = signature(tensor);
    }
}

/// The shape with `None` where the file leaves a dimension to the caller.
fn signature(tensor: &Tensor) -> Vec<Option<usize>> {
    let is_open = |axis: usize| tensor.dynamic.get(axis) == Some(&true);
    let shape = tensor.shape.iter().enumerate();
    shape.map(|(axis, &size)| (!is_open(axis)).then_some(size)).collect()
}

impl ModelMetadata {
    /// Puts together a model's tensors and what its file says. `description` is the graph's own,
    /// used where the metadata has none.
    pub(crate) fn new(
        inputs: &[Tensor],
        outputs: &[Tensor],
        metadata: Option<&Metadata>,
        description: &str,
    ) -> Self {
        let empty = Metadata::default();
        let described = metadata.unwrap_or(&empty);
        let mut locales = Vec::<String>::new();
        for list in described.outputs.iter().flat_map(|output| &output.labels) {
            if !list.locale.is_empty() && !locales.contains(&list.locale) {
                locales.push(list.locale.clone());
            }
        }
        let either = |own: &str, other: &str| (if own.is_empty() { other } else { own }).to_owned();
        Self {
            name: described.name.clone(),
            description: either(&described.description, description),
            version: described.version.clone(),
            author: described.author.clone(),
            license: described.license.clone(),
            inputs: infos(inputs, &described.inputs),
            picture_input: None,
            outputs: infos(outputs, &described.outputs),
            heads: Vec::new(),
            labels: 0,
            locales,
        }
    }
}

fn infos(tensors: &[Tensor], described: &[TensorMetadata]) -> Vec<TensorInfo> {
    let mut infos = Vec::<TensorInfo>::with_capacity(tensors.len());
    for (index, tensor) in tensors.iter().enumerate() {
        let name = tensor_name(tensor, described.get(index));
        let is_taken = |name: &str| infos.iter().any(|info| info.name == name);
        let mut unique = name.to_owned();
        let mut count = 1usize;
        while is_taken(&unique) {
            count += 1;
            unique = format!("{name} #{count}");
        }
        infos.push(TensorInfo {
            name: unique,
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            shape_signature: signature(tensor),
            quantization: tensor.quantization.clone(),
        });
    }
    infos
}

/// The name in the metadata, or else the tensor's.
pub(crate) fn tensor_name<'a>(
    tensor: &'a Tensor,
    described: Option<&'a TensorMetadata>,
) -> &'a str {
    match described {
        Some(described) if !described.name.is_empty() => &described.name,
        _ => &tensor.name,
    }
}
