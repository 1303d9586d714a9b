//! `docs/onnx-operators.md`: what becomes of each operator and type in the ONNX project's tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::archive::Case;
use super::{Form, graph};

/// The cases of one operator and type.
#[derive(Default)]
struct Row {
    cases: BTreeSet<String>,
    /// By form: how many are right.
    right: BTreeMap<Form, usize>,
    /// By form: how many of the others tract runs right.
    tract: BTreeMap<Form, usize>,
    reasons: BTreeSet<String>,
}

/// All rows, by operator and type.
pub struct Table<'a> {
    rows: BTreeMap<(String, &'static str), Row>,
    /// `backend-tract.txt`.
    tract: BTreeSet<&'a str>,
}

const HEAD: &str = "\
# ONNX operators

What becomes of the ONNX project's own backend tests (`onnx==1.16.2`, `onnx/backend/test/data`: node,
simple, pytorch-converted, pytorch-operator; cases of at most 40 KB). This page is written by
`ACHADO_BLESS=1 cargo test --test onnx_backend` and checked by that test.

Each case is tried in two forms: *as it is*, where all operands are inputs of the model, and *with
constants*, where all but the first are stored in the file, as exporters write them. A cell says how many
of the cases the engine computes right; `+ 2 tract` that `onnxFallback: \"tract\"` runs two of the others.
All that is left is refused when the model is loaded, by the reason in the last column: nothing is
computed wrong.

The type is that of the first operand. `float16` and `double` are float32 in achado; `uint16`, `uint32` and
`uint64` are not there. Operators in graphs of several stand in the last row. Training, sequences,
strings and random numbers are left out on purpose.

Any opset is read, from 1 on: a file's number alone refuses nothing, operators are judged one by one.

## Where tensors lie

`createModel` gives and takes tensors in the order, by the shapes and by the names of the ONNX file, by
the engine as by tract; `metadata` says them. The file that `convertOnnx` writes is TensorFlow Lite's:
an input of four dimensions that convolutions, pools, resizing or batch normalisation read, and an output
that lies that way, is `[n, h, w, c]` where ONNX has `[n, c, h, w]`; all other tensors are as in the ONNX
file. Names stay.

## Branches and loops

`If` is replaced by the branch that is taken where its condition is known once the shapes of the inputs
are, as in the squeezes of PyTorch's exports; `Loop` by as many copies of its body as its trip count says,
where that is known and the body never stops it. Those that depend on the picture are refused by name.

";

fn type_name(kind: u32) -> &'static str {
    match kind {
        1 => "float",
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        9 => "bool",
        10 => "float16",
        11 => "double",
        12 => "uint32",
        13 => "uint64",
        _ => "other",
    }
}

impl<'a> Table<'a> {
    pub fn new(tract: &'a str) -> Self {
        Self { rows: BTreeMap::new(), tract: tract.lines().collect() }
    }

    /// Adds what became of a case: `None` where it was right, or else the reason.
    pub fn add(&mut self, case: &Case, form: Form, refusal: Option<&str>) {
        let operators = graph::operators(&case.model);
        let dtype = case.inputs.first().or(case.outputs.first());
        let dtype = dtype.map_or("", |array| type_name(array.kind));
        let key = match &operators[..] {
            [operator] => (operator.clone(), dtype),
            _ => ("~ several".to_owned(), ""),
        };
        let is_single = operators.len() == 1;
        let row = self.rows.entry(key).or_default();
        row.cases.insert(case.name.clone());
        match refusal {
            None => *row.right.entry(form).or_default() += 1,
            Some(reason) => {
                if self.tract.contains(&&*format!("{form:?} {}", case.name)) {
                    *row.tract.entry(form).or_default() += 1;
                }
                if is_single {
                    row.reasons.insert(short(reason));
                }
            }
        }
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let mut text = HEAD.to_owned();
        text += "## Operators\n\n";
        text += "| operator | type | as it is | with constants | refused |\n";
        text += "| --- | --- | --- | --- | --- |\n";
        for ((operator, dtype), row) in &self.rows {
            let cell = |form: Form| {
                let right = row.right.get(&form).copied().unwrap_or(0);
                let tract = row.tract.get(&form).copied().unwrap_or(0);
                let more = if tract > 0 { format!(" + {tract} tract") } else { String::new() };
                format!("{right} of {}{more}", row.cases.len())
            };
            let reasons: Vec<&str> = row.reasons.iter().map(String::as_str).take(2).collect();
            let operator = operator.trim_start_matches("~ ");
            let (plain, constants) = (cell(Form::AsItIs), cell(Form::Constants));
            let reasons = reasons.join("; ").replace('|', "\\|");
            writeln!(text, "| {operator} | {dtype} | {plain} | {constants} | {reasons} |")
                .expect("a string");
        }
        text
    }
}

/// A reason without its code, its node and what differs from case to case.
fn short(reason: &str) -> String {
    let text = reason.split_once(": ").map_or(reason, |(_, text)| text);
    let text = match text.split_once("): ") {
        Some((node, text)) if node.starts_with("node ") => text,
        _ => text,
    };
    // Names in quotes and shapes are the test's own.
    let mut out = String::new();
    let (mut quoted, mut listed) = (false, 0);
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                if quoted {
                    out.push('…');
                }
            }
            '[' if !quoted => {
                listed += 1;
                out.push_str("[…");
            }
            ']' if !quoted => {
                listed -= 1;
                out.push(']');
            }
            _ if quoted || listed > 0 => {}
            letter if letter.is_ascii_digit() => {
                if !out.ends_with('N') {
                    out.push('N');
                }
            }
            letter => out.push(letter),
        }
    }
    out
}
