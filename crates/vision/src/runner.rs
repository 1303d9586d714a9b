//! What runs a network: the engine, or another machine that takes and gives the same tensors.

use achado_engine::{OperatorProfile, Session};
use achado_model::{Result, Tensor};

/// A compiled network with its tensors, as [`Session`] is one.
pub trait Runner {
    /// The tensors that a caller writes.
    fn inputs(&self) -> &[Tensor];

    /// The tensors that a caller reads.
    fn outputs(&self) -> &[Tensor];

    /// The elements of input `index`, little-endian. They keep their values from run to run.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such input.
    fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]>;

    /// The elements of output `index` of the last run, little-endian.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is no such output.
    fn output_bytes(&self, index: usize) -> Result<&[u8]>;

    /// Computes the outputs from the inputs.
    ///
    /// # Errors
    /// `INVALID_INPUT` where the inputs make an operator fail.
    fn run(&mut self) -> Result<()>;

    /// As [`Session::profile`].
    ///
    /// # Errors
    /// Those of [`Session::profile`].
    fn profile(&mut self, runs: usize, clock: &dyn Fn() -> f64) -> Result<Vec<OperatorProfile>>;

    /// Input `index` as pictures are written: `[n, h, w, c]`, whatever the network's own order is.
    fn picture(&self, index: usize) -> &Tensor {
        &self.inputs()[index]
    }

    /// The elements of [`Runner::picture`].
    ///
    /// # Errors
    /// Those of [`Runner::input_bytes_mut`].
    fn picture_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]> {
        self.input_bytes_mut(index)
    }

    /// Brings what was written there into the network's order.
    fn take_picture(&mut self, _index: usize) {}
}

impl Runner for Session {
    fn inputs(&self) -> &[Tensor] {
        self.inputs()
    }

    fn outputs(&self) -> &[Tensor] {
        self.outputs()
    }

    fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8]> {
        self.input_bytes_mut(index)
    }

    fn output_bytes(&self, index: usize) -> Result<&[u8]> {
        self.output_bytes(index)
    }

    fn run(&mut self) -> Result<()> {
        self.run()
    }

    fn profile(&mut self, runs: usize, clock: &dyn Fn() -> f64) -> Result<Vec<OperatorProfile>> {
        self.profile(runs, clock)
    }
}
