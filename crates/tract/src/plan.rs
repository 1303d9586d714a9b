//! A model that tract runs, with the tensors that go in and come out.

use std::sync::Arc;

use achado_engine::OperatorProfile;
use achado_model::{Error, ErrorCode, Result, Tensor};
use achado_vision::Runner;
use tract_onnx::prelude::{self as tract, IntoTValue, IntoTensor, TVec, TypedRunnableModel};

use crate::order::to_channels_first;
use crate::refusal::refusal;

/// One input with its elements.
#[derive(Debug)]
pub(crate) struct Input {
    elements: tract::Tensor,
    /// Of `[n, c, h, w]`: the same as `[n, h, w, c]`, and its elements.
    picture: Option<(Tensor, Vec<u8>)>,
    tensor: Tensor,
}

impl Input {
    pub fn new(tensor: Tensor, elements: tract::Tensor, is_channels_first: bool) -> Self {
        let picture = match tensor.shape[..] {
            [n, c, h, w] if is_channels_first => {
                let mut picture = tensor.clone();
                picture.shape = vec![n, h, w, c];
                // Open sides have their sizes from the caller.
                picture.dynamic = Vec::new();
                Some((picture, vec![0; elements.as_bytes().len()]))
            }
            _ => None,
        };
        Self { elements, picture, tensor }
    }
}

/// A compiled model.
#[derive(Debug)]
pub struct Plan {
    model: Arc<TypedRunnableModel>,
    inputs: Vec<Tensor>,
    feeds: Vec<Input>,
    outputs: Vec<Tensor>,
    results: Vec<tract::Tensor>,
}

impl Plan {
    pub(crate) fn new(
        model: Arc<TypedRunnableModel>,
        feeds: Vec<Input>,
        outputs: Vec<Tensor>,
    ) -> Self {
        let inputs = feeds.iter().map(|feed| feed.tensor.clone()).collect();
        Self { model, inputs, feeds, outputs, results: Vec::new() }
    }

    fn no_such(what: &str, index: usize, count: usize) -> Error {
        Error::invalid_input(format!("{what} {index}: the model has {count}"))
            .with("index", index)
            .with("count", count)
    }

    fn feed(&mut self, index: usize) -> Result<&mut Input> {
        let count = self.feeds.len();
        self.feeds.get_mut(index).ok_or_else(|| Self::no_such("input", index, count))
    }
}

impl Runner for Plan {
    fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]> {
        Ok(self.feed(index)?.elements.as_bytes_mut())
    }

    fn output_bytes(&self, index: usize) -> Result<&[u8]> {
        match self.results.get(index) {
            Some(result) => Ok(result.as_bytes()),
            None if index < self.outputs.len() => {
                Err(Error::invalid_input("the model has not run yet"))
            }
            None => Err(Self::no_such("output", index, self.outputs.len())),
        }
    }

    /// Allocates its values, unlike the engine.
    fn run(&mut self) -> Result<()> {
        let failed = |error| Error { code: ErrorCode::InvalidInput, ..refusal(error) };
        let inputs: TVec<_> =
            self.feeds.iter().map(|feed| feed.elements.clone().into_tvalue()).collect();
        let values = self.model.run(inputs).map_err(failed)?;
        self.results.clear();
        for (value, output) in values.into_iter().zip(&self.outputs) {
            let mut result = value.into_tensor();
            if result.datum_type() == tract::DatumType::TDim {
                result = result.cast_to::<i64>().map_err(failed)?.into_owned();
            }
            if result.shape() != output.shape {
                self.results.clear();
                return Err(Error::invalid_input(format!(
                    "output {:?} has shape {:?}, {:?} was expected",
                    output.name,
                    result.shape(),
                    output.shape
                )));
            }
            self.results.push(result);
        }
        Ok(())
    }

    /// The whole model as one operator: tract's have no names that users know.
    fn profile(&mut self, runs: usize, clock: &dyn Fn() -> f64) -> Result<Vec<OperatorProfile>> {
        if runs == 0 {
            return Err(Error::invalid_option("runs: must be 1 or more, is 0"));
        }
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            let start = clock();
            self.run()?;
            times.push(clock() - start);
        }
        times.sort_by(f64::total_cmp);
        let name = self.outputs.first().map(|output| output.name.clone()).unwrap_or_default();
        Ok(vec![OperatorProfile {
            index: 0,
            operator: "tract",
            kernel: "tract",
            name,
            median_ms: times[runs / 2],
            macs: 0,
            share: 1.0,
        }])
    }

    fn picture(&self, index: usize) -> &Tensor {
        self.feeds[index].picture.as_ref().map_or(&self.inputs[index], |(picture, _)| picture)
    }

    fn picture_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]> {
        match self.feed(index)? {
            Input { picture: Some((_, bytes)), .. } => Ok(bytes),
            Input { elements, .. } => Ok(elements.as_bytes_mut()),
        }
    }

    fn take_picture(&mut self, index: usize) {
        if let Some(Input { elements, picture: Some((tensor, bytes)), .. }) =
            self.feeds.get_mut(index)
            && let [.., channels] = tensor.shape[..]
        {
            let pictures = tensor.shape.first().copied().unwrap_or(1).max(1);
            let (one, width) = (bytes.len() / pictures, tensor.dtype.size_bytes());
            let planes = elements.as_bytes_mut().chunks_exact_mut(one.max(1));
            for (picture, planes) in bytes.chunks_exact(one.max(1)).zip(planes) {
                to_channels_first(picture, channels, width, planes);
            }
        }
    }
}
