//! Running a float network with all its activations in sight.

use achado_engine::{Session, SessionOptions};
use achado_model::{DataType, Error, Model, Result, Tensor, TensorId};

use super::compare::convert_input;
use super::range::Observed;

/// What was seen of the activations of a network.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// By tensor: `None` for constants and for what is no float32.
    observed: Vec<Option<Observed>>,
    samples: usize,
}

impl Calibration {
    /// What was seen of a tensor.
    pub fn observed(&self, id: TensorId) -> Option<&Observed> {
        self.observed.get(id.0)?.as_ref()
    }

    /// What would have been seen with each channel of a tensor times its factor.
    pub(crate) fn scale(&mut self, id: TensorId, factors: &[f64]) {
        if let Some(Some(observed)) = self.observed.get_mut(id.0) {
            observed.scale_channels(factors);
        }
    }

    /// How many inputs were run.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

/// The activations of a model that are floats: its inputs, and the results of its operators.
pub(crate) fn float_activations(model: &Model) -> Vec<TensorId> {
    let is_float = |id: &TensorId| model.tensor(*id).dtype == DataType::Float32;
    let results = model.nodes.iter().flat_map(|node| &node.outputs);
    model.inputs.iter().chain(results).copied().filter(is_float).collect()
}

/// A session that gives all `watched` tensors beside the model's own outputs.
#[derive(Debug)]
pub(crate) struct Watched {
    pub session: Session,
    /// The place of each watched tensor among the session's outputs, or none for inputs.
    places: Vec<(TensorId, Place)>,
}

/// Called with a watched tensor, its type and shape in the session, and its elements.
type Visit<'a> = dyn FnMut(TensorId, &Tensor, &[u8]) -> Result<()> + 'a;

#[derive(Clone, Copy, Debug)]
enum Place {
    Input(usize),
    Output(usize),
}

impl Watched {
    /// Compiles `model` so that the watched tensors stay after a run.
    pub fn new(model: &Model, watched: &[TensorId], options: &SessionOptions) -> Result<Self> {
        let mut model = model.clone();
        let mut places = Vec::with_capacity(watched.len());
        for &id in watched {
            if let Some(input) = model.inputs.iter().position(|&input| input == id) {
                places.push((id, Place::Input(input)));
                continue;
            }
            let output = model.outputs.iter().position(|&output| output == id);
            let output = output.unwrap_or_else(|| {
                model.outputs.push(id);
                model.outputs.len() - 1
            });
            places.push((id, Place::Output(output)));
        }
        Ok(Self { session: Session::new(model, options)?, places })
    }

    /// Runs one set of inputs, which are little-endian elements.
    pub fn run(&mut self, inputs: &[&[u8]]) -> Result<()> {
        if inputs.len() != self.session.inputs().len() {
            return Err(Error::invalid_input(format!(
                "a calibration sample has {} tensors, the model {} inputs",
                inputs.len(),
                self.session.inputs().len()
            )));
        }
        for (index, bytes) in inputs.iter().enumerate() {
            let into = self.session.input_bytes_mut(index)?;
            if into.len() != bytes.len() {
                let message = format!(
                    "input {index} of a calibration sample has {} bytes, needs {}",
                    bytes.len(),
                    into.len()
                );
                return Err(Error::invalid_input(message));
            }
            into.copy_from_slice(bytes);
        }
        self.session.run()
    }

    /// Runs one set of float inputs, which are quantized where the model's inputs are.
    pub fn run_floats(&mut self, inputs: &[Vec<u8>]) -> Result<()> {
        let mut converted = vec![Vec::new(); inputs.len()];
        for ((into, bytes), tensor) in converted.iter_mut().zip(inputs).zip(self.session.inputs()) {
            convert_input(tensor, bytes, into);
        }
        let inputs: Vec<&[u8]> = converted.iter().map(Vec::as_slice).collect();
        self.run(&inputs)
    }

    /// Calls `visit` with each watched tensor and its elements' bytes after a run.
    pub fn each(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        for &(id, place) in &self.places {
            match place {
                Place::Input(index) => {
                    let tensor = self.session.inputs()[index].clone();
                    visit(id, &tensor, self.session.input_bytes_mut(index)?)?;
                }
                Place::Output(index) => {
                    let tensor = &self.session.outputs()[index];
                    visit(id, tensor, self.session.output_bytes(index)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Collects a [`Calibration`], one sample after the other.
#[derive(Debug)]
pub struct Calibrator {
    watched: Watched,
    calibration: Calibration,
    elements: Vec<f32>,
}

impl Calibrator {
    /// For a float model; see [`super::float_model`].
    ///
    /// # Errors
    /// Those of [`Session::new`].
    pub fn new(model: &Model, options: &SessionOptions) -> Result<Self> {
        let activations = float_activations(model);
        let mut observed: Vec<Option<Observed>> = vec![None; model.tensors.len()];
        for &id in &activations {
            let channels = model.tensor(id).shape.last().copied().unwrap_or(1);
            observed[id.0] = Some(Observed::new(channels));
        }
        Ok(Self {
            watched: Watched::new(model, &activations, options)?,
            calibration: Calibration { observed, samples: 0 },
            elements: Vec::new(),
        })
    }

    /// The tensors that a sample has, in order.
    pub fn inputs(&self) -> &[Tensor] {
        self.watched.session.inputs()
    }

    /// Runs one sample: the elements of each input, little-endian.
    ///
    /// # Errors
    /// `INVALID_INPUT` where a sample does not fit, or makes an activation that is no finite number.
    pub fn add(&mut self, inputs: &[&[u8]]) -> Result<()> {
        let Self { watched, calibration, elements } = self;
        watched.run(inputs)?;
        let sample = calibration.samples;
        watched.each(&mut |id, tensor, bytes| {
            elements.clear();
            elements.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            let observed = calibration.observed[id.0].as_mut().expect("it is watched");
            if observed.add(elements) {
                return Ok(());
            }
            Err(Error::invalid_input(format!(
                "calibration sample {sample} makes numbers in tensor {:?} that are infinite or no \
                 numbers: check the model in float and the picture's preprocessing",
                tensor.name
            ))
            .with("tensor", tensor.name.as_str()))
        })?;
        calibration.samples += 1;
        Ok(())
    }

    /// What was seen until now.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// What was seen.
    ///
    /// # Errors
    /// `INVALID_INPUT` without any sample.
    pub fn finish(self) -> Result<Calibration> {
        if self.calibration.samples == 0 {
            return Err(Error::invalid_input(
                "there is no calibration sample: give some 100 pictures of the kind that the model \
                 will see",
            ));
        }
        Ok(self.calibration)
    }
}
