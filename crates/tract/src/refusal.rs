//! What tract says no to.

use achado_model::{Error, Result};
use tract_onnx::prelude::TractError;

/// tract's errors are chains of sentences, some as long as a graph.
const MAX_CHARACTERS: usize = 400;

/// tract's error as one of ours. It does not say who is at fault; files that contradict themselves
/// are mostly refused before it sees them.
pub(crate) fn refusal(error: TractError) -> Error {
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.dedup();
    let text = causes.join(": ");
    let text = match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    };
    Error::unsupported_operator(format!("tract cannot run it: {text}"))
}

/// The same for results.
pub(crate) trait OrRefuse<T> {
    fn or_refuse(self) -> Result<T>;
}

impl<T> OrRefuse<T> for Result<T, TractError> {
    fn or_refuse(self) -> Result<T> {
        self.map_err(refusal)
    }
}
