//! Any model with a picture among its inputs, or none: tensors and pictures in, tensors out.

use std::collections::BTreeMap;

use achado_engine::{OperatorProfile, Session, SessionOptions};
use achado_model::{
    Bytes, Error, ErrorCode, Metadata, Model, Operator, Result, SourceOrder, Tensor, TensorId,
    tflite,
};

use crate::embed::{EmbedOptions, Embedding, embedding, none};
use crate::ends::{OutputEnd, output_ends};
use crate::file_order::FileOrder;
use crate::frame::FrameOptions;
use crate::metadata::{ModelMetadata, tensor_name};
use crate::options::{ImageModelOptions, ScoreActivation, invalid};
use crate::picture::Picture;
use crate::preprocess::{Preprocess, Preprocessor};
use crate::runner::Runner;

/// The most pictures of a batch: beyond it nothing is won.
pub const MAX_BATCH: usize = 64;

/// A compiled model that takes tensors and pictures.
#[derive(Debug)]
pub struct ImageModel<R = Session> {
    session: R,
    /// The same model for several pictures at once, and how many.
    batch: Option<(R, usize)>,
    batch_refusal: Option<Error>,
    file: Option<Metadata>,
    ends: Vec<OutputEnd>,
    /// By output: where the features before its last layer are among the session's outputs.
    features: Vec<Option<usize>>,
    /// Which input takes the picture, and how; or why none does.
    picture: Result<(usize, Preprocessor)>,
    metadata: ModelMetadata,
    order: FileOrder,
}

impl ImageModel {
    /// Reads and compiles the bytes of a `.tflite` model.
    ///
    /// # Errors
    /// Those of [`tflite::read`] and of [`ImageModel::from_model`].
    pub fn new(model_bytes: Vec<u8>, options: &ImageModelOptions) -> Result<Self> {
        // Before the work of reading: a wrong option needs no model to be found.
        options.preprocess.validate()?;
        let mut bytes = Some(Bytes::from(model_bytes));
        let mut read = |again| {
            // The last one that reads lets go of the file.
            let bytes = if again { bytes.clone() } else { bytes.take() };
            tflite::read(bytes.unwrap_or_else(|| Vec::new().into()))
        };
        Self::open(&mut read, options)
    }

    /// Compiles a model that has been read.
    ///
    /// # Errors
    /// Those of [`Session::new`]; `INVALID_OPTION` if options are out of range, or if the graph does
    /// not allow the shapes.
    pub fn from_model(model: Model, options: &ImageModelOptions) -> Result<Self> {
        Self::open(&mut |_| Ok(model.clone()), options)
    }

    /// Compiles what `read` gives, which is asked once more for batches: told so the first time.
    fn open(
        read: &mut dyn FnMut(bool) -> Result<Model>,
        options: &ImageModelOptions,
    ) -> Result<Self> {
        let size = batch_size(options)?;
        let mut model = read(size > 1)?;
        let file = model.metadata.take();
        let description = std::mem::take(&mut model.description);
        let order = model.source_order.take();
        let shapes = input_shapes(&model, file.as_ref(), &options.input_shapes)?;
        let ends = output_ends(&model);
        let features = add_features(&mut model, &ends);

        let session_options =
            SessionOptions { threads: options.threads, ..SessionOptions::default() };
        let resized = SessionOptions { input_shapes: shapes, ..session_options };
        let session = Session::new(model, &resized).map_err(|error| {
            if resized.input_shapes.is_empty() { error } else { refused(error) }
        })?;
        let (batch, batch_refusal) = if size == 1 {
            (None, None)
        } else {
            match batched(read(false)?, &session, size, &resized) {
                Ok(batch) => (Some((batch, size)), None),
                Err(error) => (None, Some(error)),
            }
        };
        let mut made = Self::over(session, ends, file, &description, options)?;
        if let Some(order) = order {
            made.keep_order(&order);
        }
        made.features = features;
        made.batch = batch;
        made.batch_refusal = batch_refusal;
        Ok(made)
    }
}

impl<R: Runner> ImageModel<R> {
    /// A network that is compiled already, and runs one picture at a time. Its first outputs are
    /// those of the file and have these `ends`.
    ///
    /// # Errors
    /// `INVALID_OPTION` if options are out of range or do not fit it.
    pub fn from_runner(
        runner: R,
        ends: Vec<OutputEnd>,
        description: &str,
        options: &ImageModelOptions,
    ) -> Result<Self> {
        let size = batch_size(options)?;
        let mut made = Self::over(runner, ends, None, description, options)?;
        let refusal = || Error::unsupported_type("this network runs one picture at a time");
        made.batch_refusal = (size > 1).then(refusal);
        Ok(made)
    }

    fn over(
        session: R,
        ends: Vec<OutputEnd>,
        file: Option<Metadata>,
        description: &str,
        options: &ImageModelOptions,
    ) -> Result<Self> {
        let outputs = &session.outputs()[..ends.len()];
        let mut metadata =
            ModelMetadata::new(session.inputs(), outputs, file.as_ref(), description);
        let picture = prepare(&session, file.as_ref(), &options.preprocess);
        if let Err(error) = &picture
            && error.code == ErrorCode::InvalidOption
        {
            return Err(error.clone());
        }
        metadata.picture_input = picture.as_ref().ok().map(|(input, _)| *input);
        let features = vec![None; ends.len()];
        let (batch, batch_refusal) = (None, None);
        let order = FileOrder::default();
        Ok(Self { session, batch, batch_refusal, file, ends, features, picture, metadata, order })
    }

    /// Gives and takes tensors in the order of the file that the model was converted from.
    fn keep_order(&mut self, order: &SourceOrder) {
        let order = FileOrder::new(order, self.session.inputs(), self.outputs());
        let sides = [
            (order.inputs(), &mut self.metadata.inputs),
            (order.outputs(), &mut self.metadata.outputs),
        ];
        for (tensors, infos) in sides {
            for (tensor, info) in tensors.iter().flatten().zip(infos) {
                info.reshape(tensor);
            }
        }
        self.order = order;
    }

    /// Prepares pictures in another way from now on.
    ///
    /// # Errors
    /// Those of [`Preprocessor::new`]; then the old way stays.
    pub fn set_preprocess(&mut self, preprocess: &Preprocess) -> Result<()> {
        let picture = prepare(&self.session, self.file.as_ref(), preprocess);
        if let (Err(error), Ok(_)) = (&picture, &self.picture) {
            return Err(error.clone());
        }
        self.metadata.picture_input = picture.as_ref().ok().map(|(input, _)| *input);
        self.picture = picture;
        Ok(())
    }

    /// Whether pictures can be given.
    ///
    /// # Errors
    /// Why not: those of [`Preprocessor::new`] for the model's input.
    pub fn check_picture(&self) -> Result<()> {
        self.picture.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Fills the input that takes pictures.
    ///
    /// # Errors
    /// Those of [`ImageModel::check_picture`] and of [`Preprocessor::run`].
    pub fn put_picture(&mut self, picture: &Picture<'_>, frame: &FrameOptions) -> Result<()> {
        let (input, preprocessor) = self.picture.as_mut().map_err(|error| error.clone())?;
        preprocessor.run(picture, frame, self.session.picture_bytes_mut(*input)?)?;
        self.session.take_picture(*input);
        self.order.forget(*input);
        Ok(())
    }

    /// Computes the outputs from the inputs, which keep their values from run to run.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn run(&mut self) -> Result<()> {
        self.order.put_inputs(&mut self.session)?;
        self.session.run()?;
        self.order.take_outputs(&self.session)
    }

    /// The elements of input `index`, little-endian, in the order of its shape in
    /// [`ModelMetadata::inputs`].
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such input.
    pub fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]> {
        match self.order.input_bytes_mut(index) {
            Some(bytes) => Ok(bytes),
            None => self.session.input_bytes_mut(index),
        }
    }

    /// The elements of output `index` of the last run, little-endian, in the order of its shape in
    /// [`ModelMetadata::outputs`].
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such output.
    pub fn output_bytes(&self, index: usize) -> Result<&[u8]> {
        match self.order.output_bytes(index) {
            Some(bytes) => Ok(bytes),
            None => self.session.output_bytes(index),
        }
    }

    /// Times each operator on the inputs as they are. `clock` gives milliseconds from any start.
    ///
    /// # Errors
    /// Those of [`Session::profile`].
    pub fn profile(
        &mut self,
        runs: usize,
        clock: &dyn Fn() -> f64,
    ) -> Result<Vec<OperatorProfile>> {
        self.order.put_inputs(&mut self.session)?;
        self.session.profile(runs, clock)
    }

    /// How many pictures run at once where there are as many: 1 if the model takes one at a time.
    pub fn batch_size(&self) -> usize {
        self.batch.as_ref().map_or(1, |(_, size)| *size)
    }

    /// Why the model does not take as many pictures at once as the options ask for.
    pub fn batch_refusal(&self) -> Option<&Error> {
        self.batch_refusal.as_ref()
    }

    /// Fills place `slot` of a batch, from 0.
    ///
    /// # Errors
    /// Those of [`ImageModel::put_picture`]; `INVALID_INPUT` where there is no such place.
    pub fn put_picture_in_batch(
        &mut self,
        slot: usize,
        picture: &Picture<'_>,
        frame: &FrameOptions,
    ) -> Result<()> {
        let Some((batch, size)) = &mut self.batch else {
            return if slot == 0 {
                self.put_picture(picture, frame)
            } else {
                Err(no_slot(slot, 1))
            };
        };
        let (input, preprocessor) = self.picture.as_mut().map_err(|error| error.clone())?;
        let all = batch.input_bytes_mut(*input)?;
        let one = all.len() / *size;
        let Some(out) = all.chunks_exact_mut(one).nth(slot) else {
            return Err(no_slot(slot, *size));
        };
        preprocessor.run(picture, frame, out)
    }

    /// Computes the outputs of a whole batch.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn run_batch(&mut self) -> Result<()> {
        match &mut self.batch {
            Some((batch, _)) => batch.run(),
            None => self.session.run(),
        }
    }

    /// Output `index` for place `slot` of the last batch.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is none.
    pub fn batch_output_bytes(&self, index: usize, slot: usize) -> Result<&[u8]> {
        let (all, size) = match &self.batch {
            Some((batch, size)) => (batch.output_bytes(index)?, *size),
            None => (self.session.output_bytes(index)?, 1),
        };
        all.chunks_exact((all.len() / size).max(1)).nth(slot).ok_or_else(|| no_slot(slot, size))
    }

    /// The picture as a vector: what the last dense layer reads where the model tells classes
    /// apart, or else its first output that is a vector.
    ///
    /// # Errors
    /// Those of [`ImageModel::put_picture`]; `UNSUPPORTED_TYPE` where there is no such tensor.
    pub fn embed(
        &mut self,
        picture: &Picture<'_>,
        frame: &FrameOptions,
        options: EmbedOptions,
    ) -> Result<Embedding> {
        let output = self.embedding_output()?;
        self.put_picture(picture, frame)?;
        self.session.run()?;
        let tensor = &self.session.outputs()[output];
        embedding(output, tensor, self.session.output_bytes(output)?, options)
    }

    /// Scores are no embedding, and an embedding beside scores is one.
    fn embedding_output(&self) -> Result<usize> {
        let outputs = self.session.outputs();
        let is_vector = |output: &usize| {
            let shape = &outputs[*output].shape;
            shape.first() == Some(&1)
                && shape.len() >= 2
                && shape.last() == Some(&outputs[*output].elements())
        };
        let is_scores = |output: &usize| {
            let labels = |file: &Metadata| file.outputs.get(*output).map(|o| !o.labels.is_empty());
            self.ends[*output].activation != ScoreActivation::None
                || self.file.as_ref().and_then(labels).unwrap_or(false)
                || self.metadata.heads.iter().any(|head| {
                    head.head_index == *output && (head.labels > 0 || self.metadata.heads.len() > 1)
                })
        };
        let vectors: Vec<usize> = (0..self.ends.len()).filter(is_vector).collect();
        let other = vectors.iter().find(|output| !is_scores(output)).copied();
        let features = vectors.iter().find_map(|&output| self.features[output]);
        let features =
            features.filter(|&index| outputs[index].shape.first().is_none_or(|&n| n == 1));
        other.or(features).ok_or_else(|| none(self.ends.len()))
    }

    /// What the model says about itself.
    pub fn metadata(&self) -> &ModelMetadata {
        &self.metadata
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut ModelMetadata {
        &mut self.metadata
    }

    /// The outputs that the file has, without those that are computed for [`ImageModel::embed`].
    pub fn outputs(&self) -> &[Tensor] {
        &self.session.outputs()[..self.ends.len()]
    }

    /// What each output ends in.
    pub fn ends(&self) -> &[OutputEnd] {
        &self.ends
    }

    /// What the file says about itself.
    pub fn file(&self) -> Option<&Metadata> {
        self.file.as_ref()
    }

    /// The compiled network, for its memory and its tensors.
    pub fn session(&self) -> &R {
        &self.session
    }

    /// The compiled network, for its inputs and for profiling.
    pub fn session_mut(&mut self) -> &mut R {
        &mut self.session
    }
}

/// How many pictures at once the options ask for, which are checked on the way.
fn batch_size(options: &ImageModelOptions) -> Result<usize> {
    options.preprocess.validate()?;
    let size = options.batch_size.max(1);
    if size > MAX_BATCH {
        return Err(invalid("batchSize", &format!("must be from 1 to {MAX_BATCH}, is {size}")));
    }
    Ok(size)
}

fn no_slot(slot: usize, size: usize) -> Error {
    Error::invalid_input(format!("there is no picture {slot}: the batch has {size}"))
}

/// The error of a graph that does not allow the caller's shapes.
fn refused(mut error: Error) -> Error {
    if error.code == ErrorCode::ModelFormat {
        error.code = ErrorCode::InvalidOption;
        error.message =
            format!("inputShapes: the model does not allow them: {}", error.message).into();
    }
    error.with("option", "inputShapes")
}

/// Shapes by index, from shapes by name: the metadata's, the tensor's or a signature's.
fn input_shapes(
    model: &Model,
    file: Option<&Metadata>,
    shapes: &[(String, Vec<usize>)],
) -> Result<BTreeMap<usize, Vec<usize>>> {
    let mut by_index = BTreeMap::new();
    for (name, shape) in shapes {
        let is_named = |&index: &usize| {
            let id = model.inputs[index];
            let tensor = model.tensor(id);
            let described = file.and_then(|file| file.inputs.get(index));
            let mut aliases = model.signatures.iter().flat_map(|signature| &signature.inputs);
            tensor.name == *name
                || tensor_name(tensor, described) == name
                || aliases.any(|(alias, input)| alias == name && *input == id)
        };
        let Some(index) = (0..model.inputs.len()).find(is_named) else {
            let known: Vec<_> = (0..model.inputs.len())
                .map(|index| {
                    let described = file.and_then(|file| file.inputs.get(index));
                    format!("{:?}", tensor_name(model.tensor(model.inputs[index]), described))
                })
                .collect();
            let known = known.join(", ");
            return Err(invalid(
                "inputShapes",
                &format!("the model has no input {name:?}; it has {known}"),
            ));
        };
        by_index.insert(index, shape.clone());
    }
    Ok(by_index)
}

/// Makes outputs of the features before last layers, and says which, by output.
fn add_features(model: &mut Model, ends: &[OutputEnd]) -> Vec<Option<usize>> {
    let mut place = |end: &OutputEnd| {
        let features = end.features?;
        let is_computed = model.nodes.iter().any(|node| node.outputs.contains(&features));
        if !is_computed {
            return None;
        }
        Some(model.outputs.iter().position(|&output| output == features).unwrap_or_else(|| {
            model.outputs.push(features);
            model.outputs.len() - 1
        }))
    };
    ends.iter().map(&mut place).collect()
}

/// The model for `size` pictures at once.
fn batched(
    mut model: Model,
    single: &Session,
    size: usize,
    options: &SessionOptions,
) -> Result<Session> {
    let [input] = single.inputs() else {
        return Err(Error::unsupported_type(format!(
            "the model has {} inputs; batches are for models with one",
            single.inputs().len()
        )));
    };
    let many = |shape: &[usize]| match shape {
        [1, rest @ ..] => Some([&[size], rest].concat()),
        _ => None,
    };
    let Some(shape) = many(&input.shape) else {
        return Err(Error::unsupported_type(format!(
            "input {:?} has shape {:?}, which does not begin with 1 picture",
            input.name, input.shape
        )));
    };
    free_batch(&mut model, size);
    let mut options = options.clone();
    options.input_shapes.insert(0, shape);
    let session = Session::new(model, &options)?;
    // A graph that mixes the pictures would give other answers.
    for (one, all) in single.outputs().iter().zip(session.outputs()) {
        if many(&one.shape).as_ref() != Some(&all.shape) {
            return Err(Error::unsupported_type(format!(
                "output {:?} of {size} pictures has shape {:?}, of one {:?}",
                one.name, all.shape, one.shape
            )));
        }
    }
    Ok(session)
}

/// Lets RESHAPE keep `size` pictures apart where the file has the constant 1 for one, as converters
/// write it. From `[1, ...]` to `[1, ...]` each picture's elements stay together.
fn free_batch(model: &mut Model, size: usize) {
    let mut from_input = vec![false; model.tensors.len()];
    for input in &model.inputs {
        from_input[input.0] = true;
    }
    for node in &mut model.nodes {
        if !node.inputs.iter().flatten().any(|id| from_input[id.0]) {
            continue;
        }
        for output in &node.outputs {
            from_input[output.0] = true;
        }
        let (Operator::Reshape { new_shape }, [Some(input), ..], [output]) =
            (&mut node.operator, &node.inputs[..], &node.outputs[..])
        else {
            continue;
        };
        let is_one = |id: &TensorId| model.tensors[id.0].shape.first() == Some(&1);
        if !(from_input[input.0] && is_one(input) && is_one(output)) {
            continue;
        }
        let operand = node.inputs.get(1).copied().flatten();
        // A shape that is computed has its batch from the graph.
        let target = match operand {
            Some(id) => model.tensors[id.0].constant_integers(),
            None => Some(new_shape.clone()),
        };
        if let (Some([1, rest @ ..]), Ok(pictures)) = (target.as_deref(), i64::try_from(size)) {
            *new_shape = [&[pictures], rest].concat();
            node.inputs.truncate(1);
        }
    }
}

/// Finds the input that takes pictures.
fn prepare<R: Runner>(
    session: &R,
    file: Option<&Metadata>,
    preprocess: &Preprocess,
) -> Result<(usize, Preprocessor)> {
    let preprocess = &preprocess.or_stored(file)?;
    let mut why = None;
    for index in 0..session.inputs().len() {
        let input = session.picture(index);
        let described = file.and_then(|file| file.inputs.get(index));
        let normalization = described.and_then(|input| input.normalization.as_ref());
        match Preprocessor::new(input, normalization, preprocess) {
            Ok(preprocessor) => return Ok((index, preprocessor)),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.unwrap_or_else(|| Error::unsupported_type("the model has no input")))
}
