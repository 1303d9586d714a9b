//! What all cases gave: `status.tsv`, which has a line for each that is not equal, and
//! `docs/operators.md`, which has a line for each operator.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::promised;
use crate::run::{FLOAT_TOLERANCE, HYBRID, Status};

/// The table's columns.
pub const COLUMNS: [&str; 8] =
    ["float32", "int8", "uint8", "int16", "int32", "int64", "bool", HYBRID];

/// The statuses of the cases of one operator and type, by name; `None` where TensorFlow Lite
/// itself refuses the model.
pub type Group = BTreeMap<String, Option<Status>>;

/// All groups, by operator and type.
#[derive(Default)]
pub struct Table {
    groups: BTreeMap<(String, String), Group>,
}

impl Table {
    /// Adds the result of a case.
    ///
    /// # Panics
    /// If it is there already.
    pub fn add(&mut self, operator: &str, dtype: &str, name: &str, status: Option<Status>) {
        let group = self.groups.entry((operator.to_owned(), dtype.to_owned())).or_default();
        let before = group.insert(name.to_owned(), status);
        assert!(before.is_none(), "{operator} {dtype} {name} is there twice");
    }

    /// The number of cases of each status.
    pub fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for status in self.groups.values().flat_map(|group| group.values().flatten()) {
            *counts.entry(*status).or_default() += 1;
        }
        counts
    }

    /// `status.tsv`: operator, type, status and name of each case that is not equal; one line with
    /// `*` for all of a group that are alike.
    pub fn statuses(&self) -> String {
        let mut text = String::new();
        for ((operator, dtype), group) in &self.groups {
            let mut found: Vec<_> = group.values().flatten().collect();
            found.sort();
            found.dedup();
            let mut line = |status: &Status, name: &str| {
                writeln!(text, "{operator}\t{dtype}\t{status}\t{name}").expect("a string");
            };
            match found[..] {
                [] | [Status::Equal] => {}
                [status] => line(status, "*"),
                _ => {
                    for (name, status) in group {
                        if let Some(status) = status.filter(|status| *status != Status::Equal) {
                            line(&status, name);
                        }
                    }
                }
            }
        }
        text
    }

    /// Cases that are worse than `committed`, a `status.tsv`; float ones only where they are
    /// beyond the tolerance, if `same_floats` is false: builds with fused multiplication round
    /// otherwise.
    pub fn worse(&self, committed: &str, same_floats: bool) -> Vec<String> {
        let before = parse(committed);
        let mut worse = Vec::new();
        for ((operator, dtype), group) in &self.groups {
            for (name, status) in group {
                let Some(status) = *status else { continue };
                let key = |name: &str| (operator.clone(), dtype.clone(), name.to_owned());
                let before = before.get(&key(name)).or_else(|| before.get(&key("*")));
                let mut bound = before.copied().unwrap_or(Status::Equal);
                if !same_floats && matches!(&dtype[..], "float32" | HYBRID) {
                    bound = bound.max(Status::Near);
                }
                if status > bound {
                    worse.push(format!("{operator} {dtype} {name}: {bound} before, now {status}"));
                }
            }
        }
        worse
    }

    /// Cases that [`promised`] says are not, but that are unsupported.
    pub fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for operator in promised::OPERATORS {
            for dtype in promised::TYPES {
                let key = (operator.to_owned(), dtype.to_owned());
                let Some(group) = self.groups.get(&key) else { continue };
                for (name, status) in group {
                    if *status == Some(Status::Unsupported) {
                        broken.push(format!("{operator} {dtype} {name} is unsupported"));
                    }
                }
            }
            // Nothing is promised that is not asked.
            let is_asked = |dtype: &str| {
                let key = (operator.to_owned(), dtype.to_owned());
                self.groups.get(&key).is_some_and(|group| !group.is_empty())
            };
            let dtype = if promised::LOGICAL.contains(&operator) { "bool" } else { "float32" };
            if !is_asked(dtype) {
                broken.push(format!("{operator} has no case in {dtype}"));
            }
        }
        broken
    }

    /// The table of `docs/operators.md`.
    pub fn markdown(&self) -> String {
        let mut text = heading();
        writeln!(text, "| operator | {} |", COLUMNS.join(" | ")).expect("a string");
        writeln!(text, "| --- |{}", " --- |".repeat(COLUMNS.len())).expect("a string");
        let mut operators: Vec<_> = self.groups.keys().map(|(operator, _)| operator).collect();
        operators.dedup();
        for operator in operators {
            let cell = |column: &&str| {
                let key = (operator.clone(), (*column).to_owned());
                self.groups.get(&key).map_or_else(String::new, cell)
            };
            let cells: Vec<_> = COLUMNS.iter().map(cell).collect();
            writeln!(text, "| {operator} | {} |", cells.join(" | ")).expect("a string");
        }
        text
    }
}

/// What a group is as a whole: its worst status, and of how many cases.
fn cell(group: &Group) -> String {
    let all = group.values().flatten().count();
    let Some(worst) = group.values().flatten().max() else { return "not in TFLite".into() };
    let count = group.values().flatten().filter(|status| *status == worst).count();
    let word = match worst {
        Status::Equal => "equal",
        Status::Near => "near",
        Status::Spread => "spread",
        Status::Unsupported if count == all => return "unsupported".into(),
        Status::Unsupported => "unsupported",
        Status::Wrong => "**wrong**",
    };
    if count == all { format!("{word} {all}") } else { format!("{word} {count}/{all}") }
}

fn parse(statuses: &str) -> BTreeMap<(String, String, String), Status> {
    let line = |line: &str| {
        let mut fields = line.splitn(4, '\t').map(str::to_owned);
        let [operator, dtype, status, name] =
            std::array::from_fn(|_| fields.next().expect("four fields"));
        let status = Status::ALL.into_iter().find(|known| known.name() == status);
        ((operator, dtype, name), status.expect("a known status"))
    };
    statuses.lines().map(line).collect()
}

fn heading() -> String {
    format!(
        "\
# Operators

What achado computes, beside what TensorFlow Lite answers (`ai-edge-litert` 2.3.0 with XNNPACK, as
applications get it). This page is written by the conformance tests and checked by them: native
builds and browsers run the same cases.

- **equal 28**: 28 models of this operator and type give TensorFlow Lite's numbers to the bit.
- **near 3/28**: of 28 models, 3 differ, by at most one step of the result's scale where it is
  quantised, by at most {FLOAT_TOLERANCE:e} of the value or of the tensor's largest where it is real. The
  others are equal.
- **spread 2/28**: 2 differ by more, but by no more than TensorFlow Lite's own reference kernels
  differ from XNNPACK.
- **unsupported**: refused when the model is loaded, by name. With numbers: so many of the models.
- **not in TFLite**: TensorFlow Lite itself has no such kernel. An empty cell was not asked.

*hybrid* is float32 with 8-bit weights: the activations are quantised to 8 bits while the model
runs, on the grid that TensorFlow Lite takes for each picture, pixel or row. int8, uint8 and int16 are
quantised where the operator computes; `CONV_2D`, `DEPTHWISE_CONV_2D`, `FULLY_CONNECTED` and
`TRANSPOSE_CONV` have 8-bit weights in the column int16.
[scripts/conformance](../scripts/conformance/README.md) says how the cases are made.

"
    )
}
