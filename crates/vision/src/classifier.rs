//! A model with everything around it: bytes and pictures in, labelled categories out.

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Error, Metadata, Model, Result, tflite};

use crate::classify::{Category, Classifications, Postprocessor};
use crate::frame::FrameOptions;
use crate::metadata::ModelMetadata;
use crate::options::ClassifierOptions;
use crate::picture::Picture;
use crate::preprocess::Preprocessor;
use crate::smoothing::Smoothing;

/// What a picture shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierResult {
    /// One for each output of the model.
    pub classifications: Vec<Classifications>,
    /// The best category of the first output, or `None` if none passes the filters.
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
pub struct Classifier {
    session: Session,
    /// What the options are checked against whenever they change.
    file: Option<Metadata>,
    description: String,
    options: ClassifierOptions,
    pipeline: Pipeline,
}

/// What the options decide: all of a classifier but the network.
#[derive(Debug)]
struct Pipeline {
    preprocessor: Preprocessor,
    postprocessor: Postprocessor,
    metadata: ModelMetadata,
}

impl Classifier {
    /// Reads and compiles the bytes of a `.tflite` model.
    ///
    /// # Errors
    /// Those of [`tflite::read`] and of [`Classifier::from_model`].
    pub fn new(model_bytes: Vec<u8>, options: ClassifierOptions) -> Result<Self> {
        // Before the work of reading: a wrong option needs no model to be found.
        options.validate()?;
        Self::from_model(tflite::read(Bytes::from(model_bytes))?, options)
    }

    /// Compiles a model that has been read.
    ///
    /// # Errors
    /// Those of [`Session::new`]; `UNSUPPORTED_TYPE` if the model takes no picture or gives no
    /// scores, `METADATA_MISSING` if nobody says how to prepare its input, `INVALID_OPTION` if the
    /// options are out of range or do not fit it, `MODEL_FORMAT` if its metadata does not fit it.
    pub fn from_model(mut model: Model, options: ClassifierOptions) -> Result<Self> {
        options.validate()?;
        let file = model.metadata.take();
        let description = std::mem::take(&mut model.description);
        let session_options =
            SessionOptions { threads: options.threads, ..SessionOptions::default() };
        let session = Session::new(model, &session_options)?;
        let pipeline = Pipeline::new(&session, file.as_ref(), &description, &options)?;
        Ok(Self { session, file, description, options, pipeline })
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
        let Self { session, pipeline, .. } = self;
        let start = clock();
        pipeline.preprocessor.run(picture, frame, session.input_bytes_mut(0)?)?;
        let prepared = clock();
        session.run()?;
        let inferred = clock();
        let bytes = |output| session.output_bytes(output);
        let classifications = pipeline.postprocessor.run(bytes, smoothing)?;
        let top = classifications.first().and_then(|head| head.categories.first()).cloned();
        let timings = Timings {
            preprocess: prepared - start,
            inference: inferred - prepared,
            postprocess: clock() - inferred,
        };
        Ok(ClassifierResult { classifications, top, timings })
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
        self.pipeline =
            Pipeline::new(&self.session, self.file.as_ref(), &self.description, &options)?;
        self.options = options;
        Ok(())
    }

    /// What the model says about itself.
    pub fn metadata(&self) -> &ModelMetadata {
        &self.pipeline.metadata
    }

    /// The compiled network, for its memory and its tensors.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The compiled network, for profiling.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Pipeline {
    fn new(
        session: &Session,
        file: Option<&Metadata>,
        description: &str,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        options.validate()?;
        let (inputs, outputs) = (session.inputs(), session.outputs());
        let [input] = inputs else {
            let count = inputs.len();
            return Err(Error::unsupported_type(format!(
                "the model has {count} inputs; a classifier has one, the picture"
            ))
            .with("found", count));
        };
        let described = file.and_then(|file| file.inputs.first());
        let normalization = described.and_then(|input| input.normalization.as_ref());
        let postprocessor = Postprocessor::new(outputs, file, options)?;
        let labels = postprocessor.labels();
        Ok(Self {
            preprocessor: Preprocessor::new(input, normalization, &options.preprocess)?,
            postprocessor,
            metadata: ModelMetadata::new(inputs, outputs, file, description, labels),
        })
    }
}
