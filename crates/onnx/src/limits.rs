//! What a file may make the importer hold and do.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Error, ErrorCode, Result, limits};

/// What importing allocates at most beside the file itself: this many bytes ...
pub const IMPORT_BUDGET_BASE_BYTES: usize = 64 << 20;
/// ... and this many for each byte of the file: weights are stored once more in the order of the
/// model's operators, and once in the file that is written.
pub const IMPORT_BUDGET_PER_BYTE: usize = 8;
/// Elements that constant folding looks at, all in all: this many, some tenths of a second, ...
const FOLDING_STEPS_BASE: usize = 1 << 27;
/// ... and this many for each byte of the file: networks that normalise their weights look at each
/// several times.
const FOLDING_STEPS_PER_BYTE: usize = 16;

/// What is left of memory and time.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    memory: limits::Budget,
    steps: usize,
    total_steps: usize,
}

impl Budget {
    /// The budget of a file of `length` bytes.
    pub fn for_file(length: usize) -> Self {
        let (base, per_byte) = (IMPORT_BUDGET_BASE_BYTES, IMPORT_BUDGET_PER_BYTE);
        let memory = limits::Budget::new("importing", base, per_byte, length);
        let steps =
            length.saturating_mul(FOLDING_STEPS_PER_BYTE).saturating_add(FOLDING_STEPS_BASE);
        Self { memory, steps, total_steps: steps }
    }

    /// Takes room for `count` values of `size` bytes before they are allocated.
    pub fn take(&mut self, count: usize, size: usize) -> Result<()> {
        self.memory.take(count, size)
    }

    /// The bytes that are left.
    pub fn left(&self) -> usize {
        self.memory.left()
    }

    /// Gives room back for `bytes` bytes that were taken, and are free again.
    pub fn give_back(&mut self, bytes: usize) {
        self.memory.give_back(bytes);
    }

    /// Takes the time that `other`, which began as a copy of this one, has taken.
    pub fn keep_work(&mut self, other: &Self) {
        self.steps = other.steps;
    }

    /// Takes the time to look at `count` elements.
    pub fn work(&mut self, count: usize) -> Result<()> {
        self.steps = self.steps.checked_sub(count).ok_or_else(|| {
            Error::new(
                ErrorCode::OutOfMemory,
                format!(
                    "computing this model's constants looks at more than {} elements, the most for \
                     a file of its size",
                    self.total_steps
                ),
            )
            .with("budget", self.total_steps)
        })?;
        Ok(())
    }
}
