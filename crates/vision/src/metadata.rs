//! What a loaded model says about itself.

use achado_model::{DataType, Metadata, Quantization, Tensor};

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
    /// What comes out.
    pub outputs: Vec<TensorInfo>,
    /// How many classes of the first output have a name, by the caller or by the file.
    pub labels: usize,
    /// The languages of display names in the file, as BCP 47, in its order, each once.
    pub locales: Vec<String>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// The name in the metadata, or else the tensor's.
    pub name: String,
    /// The element type.
    pub dtype: DataType,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
    /// How integers stand for real numbers, if they do.
    pub quantization: Option<Quantization>,
}

impl ModelMetadata {
    /// Puts together a model's tensors and what its file says. `description` is the graph's own,
    /// used where the metadata has none.
    pub(crate) fn new(
        inputs: &[Tensor],
        outputs: &[Tensor],
        metadata: Option<&Metadata>,
        description: &str,
        labels: usize,
    ) -> Self {
        let empty = Metadata::default();
        let described = metadata.unwrap_or(&empty);
        let mut locales = Vec::<String>::new();
        for list in described.outputs.iter().flat_map(|output| &output.labels) {
            if !list.locale.is_empty() && !locales.contains(&list.locale) {
                locales.push(list.locale.clone());
            }
        }
        let info = |(index, tensor): (usize, &Tensor), names: &[_]| TensorInfo {
            name: tensor_name(tensor, names.get(index)).to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            quantization: tensor.quantization.clone(),
        };
        let either = |own: &str, other: &str| (if own.is_empty() { other } else { own }).to_owned();
        Self {
            name: described.name.clone(),
            description: either(&described.description, description),
            version: described.version.clone(),
            author: described.author.clone(),
            license: described.license.clone(),
            inputs: inputs.iter().enumerate().map(|t| info(t, &described.inputs)).collect(),
            outputs: outputs.iter().enumerate().map(|t| info(t, &described.outputs)).collect(),
            labels,
            locales,
        }
    }
}

/// The name in the metadata, or else the tensor's.
pub(crate) fn tensor_name<'a>(
    tensor: &'a Tensor,
    described: Option<&'a achado_model::metadata::TensorMetadata>,
) -> &'a str {
    match described {
        Some(described) if !described.name.is_empty() => &described.name,
        _ => &tensor.name,
    }
}
