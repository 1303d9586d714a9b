//! A network cut before its last layer.

use achado_model::{
    Bytes, Error, Metadata, Model, Operator, Result, Tensor, TensorId, prune, tflite,
};
use achado_vision::{ScoreActivation, output_ends};

/// A network whose only output is the embedding of a picture.
#[derive(Clone, Debug)]
pub struct Base {
    pub(super) model: Model,
    /// What the file said about itself: its output is no longer there.
    pub(super) metadata: Metadata,
}

impl Base {
    /// Cuts the bytes of a `.tflite` model: of a classifier before its last dense layer or 1x1
    /// convolution, of an embedder not at all.
    ///
    /// # Errors
    /// Those of [`tflite::read`]; `UNSUPPORTED_TYPE` where there is no embedding.
    pub fn cut(bytes: Vec<u8>) -> Result<Self> {
        let mut model = tflite::read(Bytes::from(bytes))?;
        let embedding = embedding(&model)?;
        model.outputs = vec![embedding];
        // Their outputs are gone.
        model.signatures.clear();
        let mut metadata = model.metadata.take().unwrap_or_default();
        metadata.outputs.clear();
        let model = prune(model);
        if let Some(at) = model.inputs.iter().position(|&input| !is_read(&model, input)) {
            return Err(Error::unsupported_type(format!(
                "the embedding does not depend on input {at} {:?}",
                model.tensor(model.inputs[at]).name
            )));
        }
        Ok(Self { model, metadata })
    }

    /// The embedding.
    pub fn embedding(&self) -> &Tensor {
        self.model.tensor(self.model.outputs[0])
    }

    /// How many features an embedding has.
    pub fn features(&self) -> usize {
        self.embedding().elements()
    }

    /// What the file said about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The bytes of a `.tflite` file of it.
    ///
    /// # Errors
    /// Those of [`tflite::write`].
    pub fn write(&self) -> Result<Vec<u8>> {
        let metadata = Metadata { outputs: vec![Default::default()], ..self.metadata.clone() };
        tflite::write(&Model { metadata: Some(metadata), ..self.model.clone() })
    }
}

fn is_read(model: &Model, id: TensorId) -> bool {
    model.nodes.iter().any(|node| node.inputs.contains(&Some(id)))
}

/// A vector among the outputs that no last layer makes and that is no scores, such as pooled features
/// beside scores; or else what the last layer of an output reads: a linear head on it can do whatever one
/// behind that layer could.
fn embedding(model: &Model) -> Result<TensorId> {
    let is_vector = |id: TensorId| {
        let tensor = model.tensor(id);
        let shape = &tensor.shape;
        let is_one = shape.first() == Some(&1);
        is_one && shape.len() >= 2 && tensor.elements() > 1 && is_long(shape)
    };
    let is_computed = |id: TensorId| model.nodes.iter().any(|node| node.outputs.contains(&id));
    let ends = output_ends(model);
    let features =
        |output: usize| ends[output].features.filter(|&id| is_vector(id) && is_computed(id));
    let is_scores = |output: usize| {
        let described = model.metadata.as_ref().and_then(|file| file.outputs.get(output));
        ends[output].activation != ScoreActivation::None
            || described.is_some_and(|described| !described.labels.is_empty())
    };
    let outputs = || {
        let vectors = (0..model.outputs.len()).filter(|&output| is_vector(model.outputs[output]));
        vectors.filter(|&output| is_computed(model.outputs[output]))
    };
    let pooled = outputs().find(|&output| !is_scores(output) && features(output).is_none());
    let pooled = pooled.map(|output| model.outputs[output]);
    pooled.or_else(|| outputs().find_map(features)).ok_or_else(|| {
        let last = model.nodes.last().map_or("nothing", |node| node.operator.name());
        Error::unsupported_type(format!(
            "the model has no embedding to train on: none of its {} outputs is a vector [1, n], and no \
             last dense layer or 1x1 convolution was found whose input is one (the last operator is \
             {last}); give a classifier that ends in such a layer, or an embedder",
            model.outputs.len()
        ))
    })
}

/// Whether all elements lie along one dimension.
fn is_long(shape: &[usize]) -> bool {
    shape.iter().filter(|&&size| size != 1).count() <= 1
}

/// Whether a network computes with integers where its embedding is made.
pub(super) fn is_quantized(tensor: &Tensor) -> bool {
    tensor.quantization.is_some() && tensor.dtype != achado_model::DataType::Float32
}

/// What makes one row of an embedding of another shape.
pub(super) fn needs_reshape(tensor: &Tensor) -> Option<Operator> {
    let features = i64::try_from(tensor.elements()).unwrap_or(i64::MAX);
    (tensor.shape.len() != 2).then(|| Operator::Reshape { new_shape: vec![-1, features] })
}
