//! A model with everything around it: bytes and pictures in, labelled categories out.

use achado_engine::Session;
use achado_model::{Error, Model, Result};

use crate::classify::{Category, Classifications, Postprocessor};
use crate::frame::FrameOptions;
use crate::image_model::ImageModel;
use crate::labels::Names;
use crate::metadata::ModelMetadata;
use crate::options::ClassifierOptions;
use crate::picture::Picture;
use crate::runner::Runner;
use crate::smoothing::Smoothing;

/// What a picture shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierResult {
    /// One for each output that is scores.
    pub classifications: Vec<Classifications>,
    /// The best category of the first head, or `None` if none passes the filters.
    pub top: Option<Category>,
    /// How long it took.
    pub timings: Timings,
}

/// Milliseconds of the caller's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Pixels to tensor.
    pub preprocess: f64,
    /// Tensor to tensor.
    pub inference: f64,
    /// Tensor to categories.
    pub postprocess: f64,
}

/// Classifies pictures with one model.
#[derive(Debug)]
pub struct Classifier<R = Session> {
    model: ImageModel<R>,
    options: ClassifierOptions,
    postprocessor: Postprocessor,
    /// How long the pictures of the next batch took to prepare.
    prepared_ms: Vec<f64>,
}

impl Classifier {
    /// Reads and compiles the bytes of a `.tflite` model.
    ///
    /// # Errors
    /// Those of [`achado_model::tflite::read`] and of [`Classifier::from_model`].
    pub fn new(model_bytes: Vec<u8>, options: ClassifierOptions) -> Result<Self> {
        // Before the work of reading: a wrong option needs no model to be found.
        options.validate()?;
        let model = ImageModel::new(model_bytes, &options.model)?;
        Self::over(model, options)
    }

    /// Compiles a model that has been read.
    ///
    /// # Errors
    /// Those of [`ImageModel::from_model`]; `UNSUPPORTED_TYPE` if the model takes no picture or gives
    /// no scores, `METADATA_MISSING` if nobody says how to prepare its input, `INVALID_OPTION` if the
    /// options are out of range or do not fit it, `MODEL_FORMAT` if its metadata does not fit it.
    pub fn from_model(model: Model, options: ClassifierOptions) -> Result<Self> {
        options.validate()?;
        let model = ImageModel::from_model(model, &options.model)?;
        Self::over(model, options)
    }
}

impl<R: Runner> Classifier<R> {
    /// Classifies with a model that is open already.
    ///
    /// # Errors
    /// Those of [`Classifier::from_model`] about the model's tensors and the options.
    pub fn from_image_model(model: ImageModel<R>, options: ClassifierOptions) -> Result<Self> {
        options.validate()?;
        Self::over(model, options)
    }

    fn over(mut model: ImageModel<R>, options: ClassifierOptions) -> Result<Self> {
        if let [_, _, ..] = model.session().inputs() {
            let count = model.session().inputs().len();
            return Err(Error::unsupported_type(format!(
                "the model has {count} inputs; a classifier has one, the picture"
            ))
            .with("found", count));
        }
        let postprocessor = postprocessor(&model, &options)?;
        model.check_picture()?;
        describe(&mut model, &postprocessor);
        Ok(Self { model, options, postprocessor, prepared_ms: Vec::new() })
    }

    /// What the picture shows. `clock` gives milliseconds from any start.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a picture that cannot be used, `INVALID_OPTION` for a frame that does
    /// not fit it.
    pub fn classify(
        &mut self,
        picture: &Picture<'_>,
        frame: &FrameOptions,
        clock: &dyn Fn() -> f64,
    ) -> Result<ClassifierResult> {
        self.classify_smoothed(picture, frame, None, clock)
    }

    /// The same for a frame of a video, whose scores are blended with those of the frames before.
    ///
    /// # Errors
    /// Those of [`Classifier::classify`], and `INVALID_OPTION` for a share out of range.
    pub fn classify_smoothed(
        &mut self,
        picture: &Picture<'_>,
        frame: &FrameOptions,
        smoothing: Option<&Smoothing>,
        clock: &dyn Fn() -> f64,
    ) -> Result<ClassifierResult> {
        let start = clock();
        self.model.put_picture(picture, frame)?;
        self.classify_put(clock() - start, smoothing, clock)
    }

    /// The same for a picture that has been put in, which took so long.
    ///
    /// # Errors
    /// Those of [`Classifier::classify_smoothed`].
    pub fn classify_put(
        &mut self,
        preprocess_ms: f64,
        smoothing: Option<&Smoothing>,
        clock: &dyn Fn() -> f64,
    ) -> Result<ClassifierResult> {
        let Self { model, postprocessor, .. } = self;
        let prepared = clock();
        model.run()?;
        let inferred = clock();
        let bytes = |output| model.score_bytes(output);
        let classifications = postprocessor.run(&bytes, smoothing)?;
        let timings = Timings {
            preprocess: preprocess_ms,
            inference: inferred - prepared,
            postprocess: clock() - inferred,
        };
        Ok(result(classifications, timings))
    }

    /// Prepares the next picture of a batch of [`ImageModel::batch_size`].
    ///
    /// # Errors
    /// Those of [`Classifier::classify`], and `INVALID_INPUT` where the batch is full. Then the
    /// batch begins anew.
    pub fn stage(
        &mut self,
        picture: &Picture<'_>,
        frame: &FrameOptions,
        clock: &dyn Fn() -> f64,
    ) -> Result<()> {
        let start = clock();
        let slot = self.prepared_ms.len();
        if let Err(error) = self.model.put_picture_in_batch(slot, picture, frame) {
            self.unstage();
            return Err(error);
        }
        self.prepared_ms.push(clock() - start);
        Ok(())
    }

    /// How many pictures of the next batch are prepared: the place of the next.
    pub fn staged(&self) -> usize {
        self.prepared_ms.len()
    }

    /// Begins the next batch anew.
    pub fn unstage(&mut self) {
        self.prepared_ms.clear();
    }

    /// Counts the next picture of a batch, which has been put into its place and took so long.
    pub fn stage_put(&mut self, preprocess_ms: f64) {
        self.prepared_ms.push(preprocess_ms);
    }

    /// What the pictures of the batch show, in their order. Each has an equal share of the time that
    /// the network took.
    ///
    /// # Errors
    /// Those of [`achado_engine::Session::run`].
    pub fn classify_staged(&mut self, clock: &dyn Fn() -> f64) -> Result<Vec<ClassifierResult>> {
        let Self { model, postprocessor, prepared_ms, .. } = self;
        let prepared_ms = std::mem::take(prepared_ms);
        let start = clock();
        model.run_batch()?;
        let inference = (clock() - start) / prepared_ms.len().max(1) as f64;
        let mut results = Vec::with_capacity(prepared_ms.len());
        for (slot, preprocess) in prepared_ms.into_iter().enumerate() {
            let inferred = clock();
            let bytes = |output| model.batch_output_bytes(output, slot);
            let classifications = postprocessor.run(&bytes, None)?;
            let timings = Timings { preprocess, inference, postprocess: clock() - inferred };
            results.push(result(classifications, timings));
        }
        Ok(results)
    }

    /// The options in force.
    pub fn options(&self) -> &ClassifierOptions {
        &self.options
    }

    /// Replaces all options; to change one, start from [`Classifier::options`].
    ///
    /// # Errors
    /// Those of [`Classifier::from_model`] about options; then the old ones stay in force.
    pub fn set_options(&mut self, options: ClassifierOptions) -> Result<()> {
        options.validate()?;
        let postprocessor = postprocessor(&self.model, &options)?;
        self.model.set_preprocess(&options.model.preprocess)?;
        describe(&mut self.model, &postprocessor);
        self.postprocessor = postprocessor;
        self.options = options;
        Ok(())
    }

    /// What the model says about itself.
    pub fn metadata(&self) -> &ModelMetadata {
        self.model.metadata()
    }

    /// The names of the classes of each of [`ModelMetadata::heads`].
    pub fn names(&self) -> impl Iterator<Item = &Names> {
        self.postprocessor.names()
    }

    /// The model below, for embeddings and tensors.
    pub fn model(&self) -> &ImageModel<R> {
        &self.model
    }

    /// The model below, for embeddings and tensors.
    pub fn model_mut(&mut self) -> &mut ImageModel<R> {
        &mut self.model
    }

    /// The compiled network, for its memory and its tensors.
    pub fn session(&self) -> &R {
        self.model.session()
    }

    /// The compiled network, for profiling.
    pub fn session_mut(&mut self) -> &mut R {
        self.model.session_mut()
    }
}

fn postprocessor<R: Runner>(
    model: &ImageModel<R>,
    options: &ClassifierOptions,
) -> Result<Postprocessor> {
    Postprocessor::new(&model.score_tensors(), model.ends(), model.file(), options)
}

fn describe<R: Runner>(model: &mut ImageModel<R>, postprocessor: &Postprocessor) {
    let heads = postprocessor.heads();
    let metadata = model.metadata_mut();
    metadata.labels = heads.first().map_or(0, |head| head.labels);
    metadata.heads = heads;
}

fn result(classifications: Vec<Classifications>, timings: Timings) -> ClassifierResult {
    let top = classifications.first().and_then(|head| head.categories.first()).cloned();
    ClassifierResult { classifications, top, timings }
}
