//! TFLite Model Metadata: what the pixels mean, what the scores are called.

mod archive;
mod archive_writer;
mod labels;
mod literal;
mod reader;
mod schema;
mod tables;
mod writer;

pub(crate) use archive_writer::Files;
pub use labels::{LabelFile, fit_labels, is_background};
pub(crate) use reader::{read, read_beside};
pub(crate) use writer::write;

/// What a model says about itself, beyond its graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The model's name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Its version.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// Under what terms.
    pub license: String,
    /// One for each of the model's inputs, in order.
    pub inputs: Vec<TensorMetadata>,
    /// One for each of the model's outputs, in order.
    pub outputs: Vec<TensorMetadata>,
    /// What programs keep beside the schema's own fields, by name: texts only.
    pub custom: Vec<(String, String)>,
    /// The program that trained it, if the file shows that: it decides how pictures are fitted.
    pub trainer: Option<Trainer>,
}

impl Metadata {
    /// The custom text of a name, the first of several.
    pub fn custom(&self, name: &str) -> Option<&str> {
        self.custom.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

/// A program whose files say how pictures were prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainer {
    /// Ultralytics' classifiers (`task: classify`): pixels are 0..1, the short side is resized to the
    /// input's, the centre is cut out.
    Ultralytics,
}

/// What a model says about one input or output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorMetadata {
    /// The tensor's name for people.
    pub name: String,
    /// What it holds.
    pub description: String,
    /// How real pixel values become the tensor's: `(x - mean) / std`, one or one a channel.
    pub normalization: Option<Normalization>,
    /// How scores below a threshold are treated.
    pub score_threshold: Option<f32>,
    /// Label lists: one without a locale, others by locale.
    pub labels: Vec<Labels>,
}

/// `(x - mean) / std`, with `x` in 0..=255.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// One for all channels, or one each.
    pub mean: Vec<f32>,
    /// One for all channels, or one each; never 0.
    pub std: Vec<f32>,
}

/// A list of class names, one for each index.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The file in the zip at the end of the model.
    pub file_name: String,
    /// BCP 47, such as `pt`; empty for the names that identify categories.
    pub locale: String,
    /// The names, by index.
    pub names: Vec<String>,
}
