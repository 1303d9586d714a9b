//! Operators that are missing here: one message names them all, so that a user learns at once
//! whether a model can be changed to run.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::reader::{Code, Reader};
use super::{operators, schema};
use crate::{Error, Result};

/// Missing operators that a message lists before it only counts.
const MAX_LISTED: usize = 40;

impl<'a> Reader<'a> {
    /// Refuses the model if operators are missing here, naming each once.
    pub(super) fn check_operators(&mut self) -> Result<()> {
        struct Missing {
            first: usize,
            output: Option<usize>,
            count: usize,
        }
        let mut missing: BTreeMap<(i32, Cow<'a, str>, i32), Missing> = BTreeMap::new();
        for (index, table) in self.operators.iter().enumerate() {
            let table = table?;
            let code = self.code(index, table)?;
            if operators::supported(code.builtin).is_some_and(|(max, _)| code.version <= max) {
                continue;
            }
            let outputs =
                table.vector::<i32>(schema::operator::OUTPUTS, "an operator's results")?;
            let output = outputs.iter().next().and_then(|output| usize::try_from(output).ok());
            // A map's node and a name that was not UTF-8 and so became owned.
            self.budget.take_bytes(code.custom.len().saturating_add(128))?;
            missing
                .entry((code.builtin, code.custom, code.version))
                .and_modify(|known| known.count = known.count.saturating_add(1))
                .or_insert(Missing { first: index, output, count: 1 });
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut message = String::from("the model needs operators that are not supported: ");
        let mut names: Vec<Cow<'static, str>> = Vec::new();
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_by_key(|(_, place)| place.first);
        let mut error = Error::unsupported_operator("");
        for (at, ((builtin, custom, version), place)) in missing.iter().take(MAX_LISTED).enumerate()
        {
            let code = Code { builtin: *builtin, custom: Cow::Borrowed(custom), version: *version };
            let name = code.name();
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
            if let Some((max, _)) = operators::supported(*builtin) {
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
                    .with("version", f64::from(*version))
                    .with("tensor", output);
            }
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        if let Some(rest) = missing.len().checked_sub(MAX_LISTED).filter(|&rest| rest > 0) {
            let _ = write!(message, "; and {rest} further operators");
        }
        error.message = message.into();
        Err(error.with("operators", names.join(", ")))
    }
}
