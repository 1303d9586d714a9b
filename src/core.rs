//! The one class that JavaScript sees: a model and room for a picture.

use achado_model::{Error, Result};
use achado_vision::{
    Band, Classifier, ClassifierOptions, Flatten, FrameOptions, ImageModel, Picture, PixelFormat,
};
// The methods of tract's plan; a session has its own.
#[cfg(feature = "tract")]
use achado_vision::Runner as _;
use wasm_bindgen::prelude::*;

use crate::runner::{self, Network};
use crate::{answer, error, options};

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the page, worker or process began.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn now_ms() -> f64;
}

/// Runs once, when the wasm file is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(error::throw_panic));
}

/// The vector level of this file's kernels: `simd128` or `relaxed`.
#[must_use]
#[wasm_bindgen(js_name = simdLevel, unchecked_return_type = "'simd128' | 'relaxed'")]
pub fn simd_level() -> String {
    achado_engine::SIMD.to_owned()
}

/// What a model is for.
enum Task {
    Classifier(Box<Classifier<Network>>),
    /// Tensors and embeddings alone.
    Model(Box<ImageModel<Network>>),
}

/// A model. Everything that it throws is `{ code, message, detail }`.
#[wasm_bindgen]
pub struct Core {
    task: Task,
    /// The pixels of one picture, RGBA, kept from picture to picture.
    pixels: Vec<u8>,
    large: Option<Large>,
}

/// A large picture that is put in band by band.
struct Large {
    bands: Vec<Band>,
    /// Its place in the next batch, or none.
    slot: Option<usize>,
    flatten: Flatten,
    done: usize,
    preprocess_ms: f64,
}

/// What a page shows behind transparent pixels.
const PAGE: [u8; 3] = [255; 3];

#[wasm_bindgen]
impl Core {
    /// Compiles a model, for a classifier or, with `task: "tensors"`, for tensors alone. Its bytes are copied into wasm's
    /// memory once, and kept no longer than their weights are needed.
    ///
    /// # Errors
    /// Those of [`Classifier::new`] and [`ImageModel::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        model: Vec<u8>,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').CoreOptions")]
        options: &JsValue,
    ) -> Result<Core, JsValue> {
        let open = || {
            let classifies = options::classifies(options)?;
            let options = options::classifier_options(options)?;
            Ok(if classifies {
                Task::Classifier(runner::classifier(model, options)?.into())
            } else {
                Task::Model(runner::model(model, &options.model)?.into())
            })
        };
        open().map(|task| Self { task, pixels: Vec::new(), large: None }).map_err(error::thrown)
    }

    /// Makes room for a picture of `bytes` bytes, and gives its address in wasm's memory. The
    /// caller writes the pixels there and then calls [`Core::classify`].
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    pub fn frame(&mut self, bytes: usize) -> Result<usize, JsValue> {
        if bytes < self.pixels.capacity() / 8 {
            // One large photo must not hold its memory for ever.
            self.pixels = Vec::new();
        }
        if let Some(more) = bytes.checked_sub(self.pixels.len())
            && self.pixels.try_reserve_exact(more).is_err()
        {
            return Err(error::thrown(out_of_memory(bytes)));
        }
        self.pixels.resize(bytes, 0);
        Ok(self.pixels.as_ptr().addr())
    }

    /// Begins a picture that is too large to be written at once, and gives the rows of each of its bands:
    /// the first, and one past the last. For each, the caller asks for [`Core::frame`], writes the rows
    /// there and calls [`Core::put_band`]; the next call that takes a picture takes this one.
    ///
    /// # Errors
    /// Those of [`ImageModel::bands`], and `INVALID_OPTION` for options of a wrong type.
    pub fn bands(
        &mut self,
        width: usize,
        height: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').FrameGeometry")]
        frame: &JsValue,
        most_bytes: usize,
        is_staged: bool,
    ) -> Result<Vec<usize>, JsValue> {
        let mut begin = || {
            self.large = None;
            let flatten = self.flatten(frame)?;
            let frame = options::frame_options(frame)?;
            let slot = if is_staged { Some(classifier(&mut self.task)?.staged()) } else { None };
            let model = model_mut(&mut self.task);
            let bands = model.bands((width, height), PixelFormat::Rgba8, &frame, most_bytes)?;
            let rows = bands.iter().flat_map(|band| <[usize; 2]>::from(band.rows())).collect();
            self.large = Some(Large { bands, slot, flatten, done: 0, preprocess_ms: 0.0 });
            Ok(rows)
        };
        begin().map_err(error::thrown)
    }

    /// Takes the next band of the picture, whose rows were written to [`Core::frame`].
    ///
    /// # Errors
    /// Those of [`ImageModel::put_band`].
    #[wasm_bindgen(js_name = putBand)]
    pub fn put_band(&mut self) -> Result<(), JsValue> {
        let Self { task, pixels, large } = self;
        let mut put = || {
            let missing = || Error::invalid_input("there is no further band of a picture");
            let large = large.as_mut().ok_or_else(missing)?;
            let band = large.bands.get(large.done).ok_or_else(missing)?;
            let start = now_ms();
            large.flatten.pixels(pixels);
            model_mut(task).put_band(large.slot, band, pixels)?;
            large.done += 1;
            large.preprocess_ms += now_ms() - start;
            Ok(())
        };
        put().map_err(error::thrown)
    }

    /// Why the values that pictures become are hardly those that the model was trained with, where its
    /// graph shows it.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        self.model().complaint()
    }

    /// What the picture shows whose pixels were written to [`Core::frame`], as [`answer::results`].
    ///
    /// # Errors
    /// Those of [`Classifier::classify`], and `INVALID_OPTION` for options of a wrong type.
    #[wasm_bindgen(unchecked_return_type = "Float64Array<ArrayBuffer>")]
    pub fn classify(
        &mut self,
        width: usize,
        height: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').FrameGeometry")]
        frame: &JsValue,
    ) -> Result<Vec<f64>, JsValue> {
        let mut run = || {
            let smoothing = options::smoothing(frame)?;
            if let Some(preprocess_ms) = self.take_large()? {
                let classifier = classifier(&mut self.task)?;
                return classifier.classify_put(preprocess_ms, smoothing.as_ref(), &now_ms);
            }
            let frame = self.flattened(frame)?;
            let Self { task, pixels, .. } = self;
            let picture = rgba(pixels, width, height);
            classifier(task)?.classify_smoothed(&picture, &frame, smoothing.as_ref(), &now_ms)
        };
        run().map(|result| answer::results(&[result])).map_err(error::thrown)
    }

    /// How many pictures [`Core::stage`] takes; 1 where the model takes one at a time.
    #[must_use]
    #[wasm_bindgen(js_name = batchSize)]
    pub fn batch_size(&self) -> usize {
        self.model().batch_size()
    }

    /// Why it takes one at a time, if the options ask for more.
    #[must_use]
    #[wasm_bindgen(js_name = batchRefusal)]
    pub fn batch_refusal(&self) -> Option<String> {
        self.model().batch_refusal().map(ToString::to_string)
    }

    /// Puts the picture whose pixels were written to [`Core::frame`] into the next batch.
    ///
    /// # Errors
    /// Those of [`Classifier::stage`].
    pub fn stage(
        &mut self,
        width: usize,
        height: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').FrameGeometry")]
        frame: &JsValue,
    ) -> Result<(), JsValue> {
        let mut run = || {
            if let Some(preprocess_ms) = self.take_large()? {
                classifier(&mut self.task)?.stage_put(preprocess_ms);
                return Ok(());
            }
            let frame = self.flattened(frame)?;
            let Self { task, pixels, .. } = self;
            classifier(task)?.stage(&rgba(pixels, width, height), &frame, &now_ms)
        };
        run().map_err(error::thrown)
    }

    /// Begins the next batch anew: a picture of it cannot be used.
    pub fn unstage(&mut self) {
        self.large = None;
        if let Task::Classifier(classifier) = &mut self.task {
            classifier.unstage();
        }
    }

    /// What the pictures of the batch show, one after the other.
    ///
    /// # Errors
    /// Those of [`Classifier::classify_staged`].
    #[wasm_bindgen(
        js_name = classifyStaged,
        unchecked_return_type = "Float64Array<ArrayBuffer>"
    )]
    pub fn classify_staged(&mut self) -> Result<Vec<f64>, JsValue> {
        let mut run = || classifier(&mut self.task)?.classify_staged(&now_ms);
        run().map(|results| answer::results(&results)).map_err(error::thrown)
    }

    /// The picture whose pixels were written to [`Core::frame`] as a vector.
    ///
    /// # Errors
    /// Those of [`ImageModel::embed`], and `INVALID_OPTION` for options of a wrong type.
    #[wasm_bindgen(unchecked_return_type = "Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>")]
    pub fn embed(
        &mut self,
        width: usize,
        height: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').EmbedGeometry")]
        frame: &JsValue,
    ) -> Result<JsValue, JsValue> {
        let mut run = || {
            let embed = options::embed_options(frame)?;
            if self.take_large()?.is_some() {
                return model_mut(&mut self.task).embed_put(embed);
            }
            let frame = self.flattened(frame)?;
            let Self { task, pixels, .. } = self;
            model_mut(task).embed(&rgba(pixels, width, height), &frame, embed)
        };
        run().map(|embedding| answer::embedding(&embedding)).map_err(error::thrown)
    }

    /// Fills the input that takes pictures from the pixels that were written to [`Core::frame`].
    ///
    /// # Errors
    /// Those of [`ImageModel::put_picture`].
    #[wasm_bindgen(js_name = putPicture)]
    pub fn put_picture(
        &mut self,
        width: usize,
        height: usize,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').FrameGeometry")]
        frame: &JsValue,
    ) -> Result<(), JsValue> {
        let mut run = || {
            if self.take_large()?.is_some() {
                return Ok(());
            }
            let frame = self.flattened(frame)?;
            let Self { task, pixels, .. } = self;
            model_mut(task).put_picture(&rgba(pixels, width, height), &frame)
        };
        run().map_err(error::thrown)
    }

    /// The address and size in bytes of input `index` in wasm's memory.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such input.
    #[wasm_bindgen(js_name = inputPlace)]
    pub fn input_place(&mut self, index: usize) -> Result<Vec<usize>, JsValue> {
        let bytes = model_mut(&mut self.task).input_bytes_mut(index);
        bytes.map(|bytes| place(bytes)).map_err(error::thrown)
    }

    /// Computes the outputs from the inputs.
    ///
    /// # Errors
    /// Those of [`ImageModel::run`].
    pub fn run(&mut self) -> Result<(), JsValue> {
        model_mut(&mut self.task).run().map_err(error::thrown)
    }

    /// Addresses and sizes in bytes of what the network itself takes and gives, behind the number of
    /// inputs; nothing where scores come from tensors that are no outputs of the file.
    ///
    /// # Errors
    /// None that a model can have.
    #[wasm_bindgen(js_name = networkPlaces)]
    pub fn network_places(&mut self) -> Result<Vec<usize>, JsValue> {
        let model = model_mut(&mut self.task);
        let mut places = || {
            let (inputs, outputs) =
                (model.session().inputs().len(), model.session().outputs().len());
            let mut places = vec![inputs];
            for index in 0..inputs {
                places.extend(place(model.session_mut().input_bytes_mut(index)?));
            }
            for index in 0..outputs {
                places.extend(place(model.session().output_bytes(index)?));
            }
            Ok(if model.has_chosen_outputs() { vec![0] } else { places })
        };
        places().map_err(error::thrown)
    }

    /// Computes the network's outputs from its inputs, as both are.
    ///
    /// # Errors
    /// Those of [`ImageModel::run`].
    #[wasm_bindgen(js_name = runNetwork)]
    pub fn run_network(&mut self) -> Result<(), JsValue> {
        model_mut(&mut self.task).session_mut().run().map_err(error::thrown)
    }

    /// Whether [`Core::run`] and [`Core::finish`] take the network's outputs as they are.
    pub fn delegate(&mut self, on: bool) {
        model_mut(&mut self.task).set_delegated(on);
    }

    /// The end of [`Core::classify`], for a picture that was put in by [`Core::put_picture`].
    ///
    /// # Errors
    /// Those of [`Core::classify`].
    #[wasm_bindgen(unchecked_return_type = "Float64Array<ArrayBuffer>")]
    pub fn finish(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').FrameGeometry")]
        frame: &JsValue,
        preprocess_ms: f64,
        waited_ms: f64,
    ) -> Result<Vec<f64>, JsValue> {
        let mut run = || {
            let smoothing = options::smoothing(frame)?;
            let classifier = classifier(&mut self.task)?;
            let mut result = classifier.classify_put(preprocess_ms, smoothing.as_ref(), &now_ms)?;
            result.timings.inference += waited_ms;
            Ok(result)
        };
        run().map(|result| answer::results(&[result])).map_err(error::thrown)
    }

    /// The address and size in bytes of output `index` in wasm's memory.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such output.
    #[wasm_bindgen(js_name = outputPlace)]
    pub fn output_place(&self, index: usize) -> Result<Vec<usize>, JsValue> {
        self.model().output_bytes(index).map(place).map_err(error::thrown)
    }

    /// Replaces all options.
    ///
    /// # Errors
    /// `INVALID_OPTION`; then the old ones stay in force.
    #[wasm_bindgen(js_name = setOptions)]
    pub fn set_options(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "import('../../engine.js').CoreOptions")]
        options: &JsValue,
    ) -> Result<(), JsValue> {
        let run = |options: ClassifierOptions| match &mut self.task {
            Task::Classifier(classifier) => classifier.set_options(options),
            Task::Model(model) => model.set_preprocess(&options.model.preprocess),
        };
        options::classifier_options(options).and_then(run).map_err(error::thrown)
    }

    /// What the model says about itself.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "import('../../types.js').ModelMetadata")]
    pub fn metadata(&self) -> JsValue {
        answer::metadata(self.model().metadata())
    }

    /// The names of the classes of each head; none where the model is for tensors alone.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "import('../../results.js').JoinedNames[]")]
    pub fn names(&self) -> JsValue {
        match &self.task {
            Task::Classifier(classifier) => answer::names(classifier.names()),
            Task::Model(_) => answer::names(std::iter::empty()),
        }
    }

    /// Times each operator on the picture that was classified last.
    ///
    /// # Errors
    /// Those of [`ImageModel::profile`].
    #[wasm_bindgen(unchecked_return_type = "import('../../types.js').OperatorProfile[]")]
    pub fn profile(&mut self, runs: usize) -> Result<JsValue, JsValue> {
        let operators = model_mut(&mut self.task).profile(runs, &now_ms);
        operators.map(|operators| answer::profile(&operators)).map_err(error::thrown)
    }
}

impl Core {
    /// How a frame's transparent pixels are seen.
    fn flatten(&self, frame: &JsValue) -> Result<Flatten> {
        let page = options::is_on_page(frame)?.then_some(PAGE);
        Ok(Flatten::new(self.model().background(), page))
    }

    /// The options of a frame whose pixels are here; these are put on what is behind them.
    fn flattened(&mut self, frame: &JsValue) -> Result<FrameOptions> {
        let mut flatten = self.flatten(frame)?;
        let frame = options::frame_options(frame)?;
        flatten.pixels(&mut self.pixels);
        flatten.check()?;
        Ok(frame)
    }

    /// How long the large picture took that has been put in, if one has.
    fn take_large(&mut self) -> Result<Option<f64>> {
        let Some(large) = self.large.take() else { return Ok(None) };
        if large.done < large.bands.len() {
            return Err(Error::invalid_input("bands of the picture are missing"));
        }
        large.flatten.check()?;
        Ok(Some(large.preprocess_ms))
    }

    fn model(&self) -> &ImageModel<Network> {
        match &self.task {
            Task::Classifier(classifier) => classifier.model(),
            Task::Model(model) => model,
        }
    }
}

fn model_mut(task: &mut Task) -> &mut ImageModel<Network> {
    match task {
        Task::Classifier(classifier) => classifier.model_mut(),
        Task::Model(model) => model,
    }
}

fn classifier(task: &mut Task) -> Result<&mut Classifier<Network>> {
    match task {
        Task::Classifier(classifier) => Ok(classifier),
        Task::Model(_) => Err(Error::invalid_input("the model was not opened as a classifier")),
    }
}

fn rgba(pixels: &[u8], width: usize, height: usize) -> Picture<'_> {
    Picture { pixels, width, height, format: PixelFormat::Rgba8 }
}

fn place(bytes: &[u8]) -> Vec<usize> {
    vec![bytes.as_ptr().addr(), bytes.len()]
}

fn out_of_memory(bytes: usize) -> Error {
    Error::new(
        achado_model::ErrorCode::OutOfMemory,
        format!("WebAssembly has no {bytes} bytes left for the picture; scale it down"),
    )
    .with("needed", bytes)
}
