//! Operators that are missing here: one message names them all, so that a user learns at once
//! whether a model can be changed to run.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::reader::{Code, Reader};
use super::{builtin, schema};
use crate::{Error, OperatorKind, Result};

/// Missing operators that a message lists before it only counts.
const MAX_LISTED: usize = 40;

impl<'a> Reader<'a> {
    /// Refuses the model if operators are missing here, naming each once.
    pub(super) fn check_operators(&mut self) -> Result<()> {
        struct Missing<'a> {
            code: Code<'a>,
            first: usize,
            output: Option<usize>,
            count: usize,
        }
        let mut missing: Vec<Missing<'a>> = Vec::new();
        let mut known: BTreeMap<(i32, Cow<'a, str>, i32), usize> = BTreeMap::new();
        for (index, table) in self.operators.iter().enumerate() {
            let table = table?;
            let code = self.code(index, table)?;
            if OperatorKind::of(code.builtin, &code.custom)
                .is_some_and(|kind| code.version <= kind.highest_version())
            {
                continue;
            }
            // Places in both collections, and a name that was not UTF-8 and so became owned.
            self.budget.take_bytes(code.custom.len().saturating_mul(2).saturating_add(256))?;
            let key = (code.builtin, code.custom.clone(), code.version);
            let at = *known.entry(key).or_insert(missing.len());
            match missing.get_mut(at) {
                Some(place) => place.count = place.count.saturating_add(1),
                None => {
                    let outputs =
                        table.vector::<i32>(schema::operator::OUTPUTS, "an operator's results")?;
                    let output = outputs.iter().next().and_then(|id| usize::try_from(id).ok());
                    missing.push(Missing { code, first: index, output, count: 1 });
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut message = String::from("the model needs operators that are not supported: ");
        let mut names: Vec<Cow<'static, str>> = Vec::new();
        let mut error = Error::unsupported_operator("");
        for (at, place) in missing.iter().take(MAX_LISTED).enumerate() {
            let version = place.code.version;
            let name = place.code.name();
            let separator = if at == 0 { "" } else { "; " };
            let output = match place.output {
                Some(output) => self.label(output),
                None => "none".to_owned(),
            };
            // Writing to a String cannot fail.
            let _ = write!(
                message,
                "{separator}{name} version {version} (operator {}, output {output}",
                place.first
            );
            if let Some(kind) = OperatorKind::of(place.code.builtin, &place.code.custom) {
                let max = kind.highest_version();
                let _ = write!(message, ", versions up to {max} are supported");
            }
            if place.count > 1 {
                let _ = write!(message, ", and {} more", place.count.saturating_sub(1));
            }
            message.push(')');
            if at == 0 {
                error = error
                    .with("operator", name.clone().into_owned())
                    .with("index", place.first)
                    .with("version", f64::from(version))
                    .with("tensor", output);
            }
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        if let Some(rest) = missing.len().checked_sub(MAX_LISTED).filter(|&rest| rest > 0) {
            let _ = write!(message, "; and {rest} further operators");
        }
        let is_control_flow = |place: &Missing<'_>| builtin::is_control_flow(place.code.builtin);
        if missing.iter().any(is_control_flow) {
            message.push_str(
                ". Control flow (IF, WHILE, CALL_ONCE) runs further subgraphs, which are not \
                 supported: export the model without loops, conditions and variables",
            );
        }
        error.message = message.into();
        Err(error.with("operators", names.join(", ")))
    }
}
