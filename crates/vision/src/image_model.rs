//! Any model with a picture among its inputs, or none: tensors and pictures in, tensors out.

use std::collections::BTreeMap;

use achado_engine::{OperatorProfile, Session, SessionOptions};
use achado_model::{
    Bytes, Error, ErrorCode, Metadata, Model, Normalization, Operator, Result, SourceOrder, Tensor,
    TensorId, Trainer, tflite,
};

use crate::embed::{EmbedOptions, Embedding, embedding, none};
use crate::ends::{OutputEnd, output_ends};
use crate::file_order::FileOrder;
use crate::frame::FrameOptions;
use crate::graph_start::GraphStart;
use crate::metadata::{ModelMetadata, tensor_name};
use crate::options::{ImageModelOptions, ScoreActivation, invalid};
use crate::picture::{Picture, PixelFormat};
use crate::preprocess::{Band, Fit, Preprocess, Preprocessor};
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
    /// The same for the scores of an output that is only a choice among them.
    chosen_from: Vec<Option<usize>>,
    /// Shapes of inputs that are rows of numbers in the file, as the caller declares them.
    declared: BTreeMap<usize, Vec<usize>>,
    /// How many pictures the network itself takes at once; unused places repeat the first.
    places: usize,
    /// Which input takes the picture, and how; or why none does.
    picture: Result<(usize, Preprocessor)>,
    /// By input: what the graph makes of it at first, where that is known.
    starts: Vec<Option<GraphStart>>,
    /// What is behind transparent pixels, if the caller or the file says so.
    background: Option<[u8; 3]>,
    metadata: ModelMetadata,
    order: FileOrder,
    /// Whether another machine computes the outputs, and [`ImageModel::run`] takes them as they are.
    is_delegated: bool,
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
        let (shapes, declared) = input_shapes(&model, file.as_ref(), &options.input_shapes)?;
        let ends = output_ends(&model);
        let starts = model.inputs.iter().map(|&input| GraphStart::of(&model, input)).collect();
        let features = add_outputs(&mut model, ends.iter().map(|end| end.features));
        let chosen_from = add_outputs(&mut model, ends.iter().map(|end| end.scores));

        let session_options =
            SessionOptions { threads: options.threads, ..SessionOptions::default() };
        let resized = SessionOptions { input_shapes: shapes, ..session_options };
        let session = Session::new(model, &resized).map_err(|error| {
            if resized.input_shapes.is_empty() { error } else { refused(error) }
        })?;
        let (batch, batch_refusal) = if size == 1 {
            (None, None)
        } else {
            let mut model = read(false)?;
            if chosen_from.iter().any(Option::is_some) {
                // In the same places as there.
                let ends = output_ends(&model);
                add_outputs(&mut model, ends.iter().map(|end| end.features));
                add_outputs(&mut model, ends.iter().map(|end| end.scores));
            }
            match batched(model, &session, size, &resized) {
                Ok(batch) => (Some((batch, size)), None),
                Err(error) => (None, Some(error)),
            }
        };
        let mut made = Self::over(session, ends, starts, file, &description, options, declared)?;
        if let Some(order) = order {
            made.keep_order(&order);
        }
        made.features = features;
        made.chosen_from = chosen_from;
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
        let (starts, declared) = (Vec::new(), BTreeMap::new());
        let mut made = Self::over(runner, ends, starts, None, description, options, declared)?;
        let refusal = || Error::unsupported_type("this network runs one picture at a time");
        made.batch_refusal = (size > 1).then(refusal);
        Ok(made)
    }

    fn over(
        session: R,
        ends: Vec<OutputEnd>,
        starts: Vec<Option<GraphStart>>,
        file: Option<Metadata>,
        description: &str,
        options: &ImageModelOptions,
        declared: BTreeMap<usize, Vec<usize>>,
    ) -> Result<Self> {
        let outputs = &session.outputs()[..ends.len()];
        let mut metadata =
            ModelMetadata::new(session.inputs(), outputs, file.as_ref(), description);
        let preprocess = options.preprocess.or_stored(file.as_ref());
        let background = preprocess.as_ref().ok().and_then(|preprocess| preprocess.background);
        let picture = preprocess.and_then(|preprocess| {
            prepare(&session, file.as_ref(), &starts, &preprocess, &declared)
        });
        if let Err(error) = &picture
            && error.code == ErrorCode::InvalidOption
        {
            return Err(error.clone());
        }
        metadata.picture_input = picture.as_ref().ok().map(|(input, _)| *input);
        let places = match &picture {
            Ok((input, _)) => places(session.picture(*input), &session.outputs()[..ends.len()]),
            Err(_) => 1,
        };
        let (features, chosen_from) = (vec![None; ends.len()], vec![None; ends.len()]);
        Ok(Self {
            session,
            batch: None,
            batch_refusal: None,
            file,
            ends,
            features,
            chosen_from,
            declared,
            places,
            picture,
            starts,
            background,
            metadata,
            order: FileOrder::default(),
            is_delegated: false,
        })
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
        let preprocess = preprocess.or_stored(self.file.as_ref())?;
        let (file, starts) = (self.file.as_ref(), &self.starts);
        let picture = prepare(&self.session, file, starts, &preprocess, &self.declared);
        if let (Err(error), Ok(_)) = (&picture, &self.picture) {
            return Err(error.clone());
        }
        self.metadata.picture_input = picture.as_ref().ok().map(|(input, _)| *input);
        self.picture = picture;
        self.background = preprocess.background;
        Ok(())
    }

    /// The colour behind transparent pixels, where one is set.
    pub fn background(&self) -> Option<[u8; 3]> {
        self.background
    }

    /// Why the values that pictures become are hardly those that the graph was trained with, where its
    /// first operators show it.
    pub fn complaint(&self) -> Option<String> {
        let (input, preprocessor) = self.picture.as_ref().ok()?;
        let start = self.starts.get(*input)?.as_ref()?;
        let tensor = self.session.picture(*input);
        start.complaint(|channel| preprocessor.values(tensor, channel))
    }

    /// The bands in which a large picture is put in, each by [`ImageModel::put_band`].
    ///
    /// # Errors
    /// Those of [`ImageModel::check_picture`] and of [`Preprocessor::bands`].
    pub fn bands(
        &mut self,
        size: (usize, usize),
        format: PixelFormat,
        frame: &FrameOptions,
        most_bytes: usize,
    ) -> Result<Vec<Band>> {
        let (_, preprocessor) = self.picture.as_mut().map_err(|error| error.clone())?;
        preprocessor.bands(size, format, frame, most_bytes)
    }

    /// Fills a part of the input that takes pictures, or of place `slot` of a batch.
    ///
    /// # Errors
    /// Those of [`ImageModel::put_picture_in_batch`].
    pub fn put_band(&mut self, slot: Option<usize>, band: &Band, pixels: &[u8]) -> Result<()> {
        self.put(slot, |preprocessor, out| preprocessor.run_band(band, pixels, out))
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
        self.put(None, |preprocessor, out| preprocessor.run(picture, frame, out))
    }

    /// Fills the input that takes pictures, all of its places, or one place of a batch.
    fn put(
        &mut self,
        slot: Option<usize>,
        write: impl FnOnce(&mut Preprocessor, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let size = self.batch_size();
        let (input, preprocessor) = self.picture.as_mut().map_err(|error| error.clone())?;
        if let (Some(slot), Some((batch, _))) = (slot, &mut self.batch) {
            let all = batch.input_bytes_mut(*input)?;
            return write(preprocessor, place_of(all, slot, size)?);
        }
        match slot {
            Some(slot @ 1..) => {
                let all = self.session.picture_bytes_mut(*input)?;
                write(preprocessor, place_of(all, slot, size)?)?;
            }
            Some(0) | None => {
                let pictures = picture_count(self.session.picture(*input));
                let all = self.session.picture_bytes_mut(*input)?;
                let one = all.len() / pictures;
                let (first, others) = all.split_at_mut(one);
                write(preprocessor, first)?;
                others.chunks_exact_mut(one).for_each(|other| other.copy_from_slice(first));
            }
        }
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
        if !self.is_delegated {
            self.session.run()?;
        }
        self.order.take_outputs(&self.session)
    }

    /// Whether [`ImageModel::run`] leaves the network to another machine, which writes its outputs to
    /// where [`ImageModel::session`] has them.
    pub fn set_delegated(&mut self, on: bool) {
        self.is_delegated = on;
    }

    /// Whether scores come from tensors that are no outputs of the file.
    pub fn has_chosen_outputs(&self) -> bool {
        self.chosen_from.iter().any(Option::is_some)
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
        self.batch.as_ref().map_or(self.places, |(_, size)| *size)
    }

    /// Whether the network takes that many in any case, so that a batch that is not full takes as
    /// long as one that is.
    pub fn is_batch_fixed(&self) -> bool {
        self.places > 1
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
        self.put(Some(slot), |preprocessor, out| preprocessor.run(picture, frame, out))
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
        let index = self.scores_of(index);
        let (all, size) = match &self.batch {
            Some((batch, size)) => (batch.output_bytes(index)?, *size),
            None => (self.session.output_bytes(index)?, self.places),
        };
        all.chunks_exact((all.len() / size).max(1)).nth(slot).ok_or_else(|| no_slot(slot, size))
    }

    /// The bytes of output `index` for the last picture, as [`ImageModel::score_tensors`] has it.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is none.
    pub(crate) fn score_bytes(&self, index: usize) -> Result<&[u8]> {
        let all = self.session.output_bytes(self.scores_of(index))?;
        Ok(&all[..all.len() / self.places])
    }

    /// The outputs as one picture has them; those that are only a choice are the scores that it is
    /// made among.
    pub(crate) fn score_tensors(&self) -> Vec<Tensor> {
        let tensor = |index: usize| {
            let name = self.session.outputs()[index].name.clone();
            let scores = &self.session.outputs()[self.scores_of(index)];
            Tensor { name, ..one_picture(scores, self.places) }
        };
        (0..self.ends.len()).map(tensor).collect()
    }

    /// Which output of the session holds the scores of output `index`.
    fn scores_of(&self, index: usize) -> usize {
        self.chosen_from.get(index).copied().flatten().unwrap_or(index)
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
        self.embedding_output()?;
        self.put_picture(picture, frame)?;
        self.embed_put(options)
    }

    /// The same of a picture that has been put in.
    ///
    /// # Errors
    /// Those of [`ImageModel::embed`].
    pub fn embed_put(&mut self, options: EmbedOptions) -> Result<Embedding> {
        let output = self.embedding_output()?;
        self.session.run()?;
        let tensor = one_picture(&self.session.outputs()[output], self.places);
        let all = self.session.output_bytes(output)?;
        embedding(output, &tensor, &all[..all.len() / self.places], options)
    }

    /// Scores are no embedding, and an embedding beside scores is one.
    fn embedding_output(&self) -> Result<usize> {
        let outputs = self.session.outputs();
        let is_vector = |output: &usize| {
            let one = one_picture(&outputs[*output], self.places);
            one.shape.first() == Some(&1)
                && one.shape.len() >= 2
                && one.shape.last() == Some(&one.elements())
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
        let features = features
            .filter(|&index| outputs[index].shape.first().is_none_or(|&n| n == self.places));
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

/// One of the places for pictures.
fn place_of(all: &mut [u8], slot: usize, size: usize) -> Result<&mut [u8]> {
    let one = all.len() / size;
    all.chunks_exact_mut(one).nth(slot).ok_or_else(|| no_slot(slot, size))
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

/// Shapes by index.
type Shapes = BTreeMap<usize, Vec<usize>>;

/// Shapes by index, from shapes by name: the metadata's, the tensor's or a signature's. Those that
/// declare a row of numbers as a picture come second: the graph keeps the row.
fn input_shapes(
    model: &Model,
    file: Option<&Metadata>,
    shapes: &[(String, Vec<usize>)],
) -> Result<(Shapes, Shapes)> {
    let mut declared = Shapes::new();
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
        let tensor = model.tensor(model.inputs[index]);
        let is_row = matches!(tensor.shape[..], [_] | [1, _]) && shape.len() > tensor.shape.len();
        let as_many = shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        if is_row && as_many == Some(tensor.elements()) {
            // One channel is before height and width as it is behind them.
            let shape = match shape[..] {
                [1, 1, height, width] => vec![1, height, width, 1],
                _ => shape.clone(),
            };
            declared.insert(index, shape);
        } else {
            by_index.insert(index, shape.clone());
        }
    }
    Ok((by_index, declared))
}

/// Makes outputs of tensors within the graph, and says which, one by one.
fn add_outputs(
    model: &mut Model,
    tensors: impl Iterator<Item = Option<TensorId>>,
) -> Vec<Option<usize>> {
    let mut place = |tensor: Option<TensorId>| {
        let tensor = tensor?;
        let is_computed = model.nodes.iter().any(|node| node.outputs.contains(&tensor));
        if !is_computed {
            return None;
        }
        Some(model.outputs.iter().position(|&output| output == tensor).unwrap_or_else(|| {
            model.outputs.push(tensor);
            model.outputs.len() - 1
        }))
    };
    tensors.map(&mut place).collect()
}

/// The pictures of an input `[n, height, width, channels]`; 1 for other shapes.
fn picture_count(input: &Tensor) -> usize {
    match input.shape[..] {
        [n, _, _, _] => n.max(1),
        _ => 1,
    }
}

/// How many pictures a network takes at once that gives as many answers.
fn places(input: &Tensor, outputs: &[Tensor]) -> usize {
    let pictures = picture_count(input);
    let answers = |output: &Tensor| output.shape.first() == Some(&pictures);
    if outputs.iter().all(answers) { pictures } else { 1 }
}

/// A tensor as it is for one of `places` pictures.
fn one_picture(tensor: &Tensor, places: usize) -> Tensor {
    let mut one = tensor.clone();
    if let Some(first) = one.shape.first_mut()
        && *first == places
    {
        *first = 1;
    }
    one
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

/// What the caller leaves open, as the program that trained the model does it, and its
/// normalization.
fn trained(trainer: Trainer, preprocess: &Preprocess) -> (Preprocess, Normalization) {
    match trainer {
        Trainer::Ultralytics => {
            let unit = Normalization { mean: vec![0.0], std: vec![255.0] };
            let mut cut = preprocess.clone();
            // Resized to whole pixels, as long as the input, and then cut.
            if cut.fit.is_none() && cut.short_side.is_none() {
                cut.fit = Some(Fit::CenterCrop);
                cut.crop_fraction = cut.crop_fraction.or(Some(1.0));
            }
            (cut, unit)
        }
    }
}

/// A preprocessor for an input. Where nobody says how pixels become values, a graph that normalises by
/// itself takes them as they are.
fn prepare_input(
    input: &Tensor,
    normalization: Option<&Normalization>,
    start: Option<&GraphStart>,
    preprocess: &Preprocess,
) -> Result<Preprocessor> {
    let made = Preprocessor::new(input, normalization, preprocess);
    let (Some(start), Err(error)) = (start, &made) else { return made };
    if error.code != ErrorCode::MetadataMissing {
        return made;
    }
    if start.takes_raw() {
        let raw = Preprocess { mean: Some(vec![0.0]), std: Some(vec![1.0]), ..preprocess.clone() };
        return Preprocessor::new(input, normalization, &raw);
    }
    made.map_err(|mut error| {
        if let Some(fits) = start.fitting() {
            let hint = format!("{}; the graph's first operators fit \"{fits}\"", error.message);
            error.message = hint.into();
        }
        error
    })
}

/// Finds the input that takes pictures.
fn prepare<R: Runner>(
    session: &R,
    file: Option<&Metadata>,
    starts: &[Option<GraphStart>],
    preprocess: &Preprocess,
    declared: &Shapes,
) -> Result<(usize, Preprocessor)> {
    let mut why = None;
    let trainer = file.and_then(|file| file.trainer);
    let trained = trainer.map(|trainer| trained(trainer, preprocess));
    let input = |index: usize| {
        let input = session.picture(index);
        match declared.get(&index) {
            Some(shape) => Tensor { shape: shape.clone(), dynamic: Vec::new(), ..input.clone() },
            None => one_picture(input, picture_count(input)),
        }
    };
    // Pictures with channels before those that are two dimensions of numbers.
    let mut indices: Vec<usize> = (0..session.inputs().len()).collect();
    indices.sort_by_key(|&index| input(index).shape.len() != 4);
    for index in indices {
        let input = &input(index);
        let described = file.and_then(|file| file.inputs.get(index));
        let normalization = described
            .and_then(|input| input.normalization.as_ref())
            .or(trained.as_ref().map(|(_, normalization)| normalization));
        let preprocess = trained.as_ref().map_or(preprocess, |(preprocess, _)| preprocess);
        let start = starts.get(index).and_then(Option::as_ref);
        match prepare_input(input, normalization, start, preprocess) {
            Ok(preprocessor) => return Ok((index, preprocessor)),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.unwrap_or_else(|| Error::unsupported_type("the model has no input")))
}
