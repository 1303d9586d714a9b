//! The ONNX project's own backend tests, as they are, and with all inputs but the first as constants,
//! as exporters write them. `scripts/onnx/backend.py` makes the file; it writes the cases that are too
//! large for the repository, too, for `ACHADO_ONNX_BACKEND` to name. `ACHADO_BLESS=1` writes
//! `docs/onnx-operators.md`, `ACHADO_ONNX_REPORT=FILE` a line for each case.

mod archive;
mod graph;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use achado_model::{Bytes, DataType, Error, Result};
use achado_onnx::ImportOptions;
use achado_vision::{ImageModel, ImageModelOptions};
use archive::{Array, Case};
use table::Table;

/// How a case is given to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    AsItIs,
    Constants,
}

/// What became of a case.
#[derive(Debug)]
enum Outcome {
    Right,
    Refused(Error),
    Wrong(String),
}

/// The elements of a tensor as the model takes them.
fn elements(array: &Array, dtype: DataType) -> Option<Vec<u8>> {
    let same = match array.kind {
        1 => DataType::Float32,
        2 => DataType::UInt8,
        3 => DataType::Int8,
        5 => DataType::Int16,
        6 => DataType::Int32,
        7 => DataType::Int64,
        9 => DataType::Bool,
        // Reals of other widths are float32 in the model.
        10 | 11 if dtype == DataType::Float32 => {
            let numbers = array.numbers();
            return Some(numbers.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect());
        }
        _ => return None,
    };
    (same == dtype).then(|| array.bytes.to_vec())
}

/// What a tensor's elements mean as numbers.
fn numbers(bytes: &[u8], dtype: DataType) -> Vec<f64> {
    let kind = match dtype {
        DataType::Float32 => 1,
        DataType::UInt8 => 2,
        DataType::Int8 => 3,
        DataType::Int16 => 5,
        DataType::Int32 => 6,
        DataType::Int64 => 7,
        DataType::Bool => 9,
        DataType::Float16 => 10,
    };
    Array { kind, shape: Vec::new(), bytes: bytes.into() }.numbers()
}

/// How the elements differ, if they do: as the ONNX project compares them, by 1e-3 of the value, and
/// by nothing where they are integers.
fn difference(expected: &Array, found: &[f64], dtype: DataType) -> Option<String> {
    let is_real = matches!(expected.kind, 1 | 10 | 11);
    let wanted = expected.numbers();
    if is_real != (dtype == DataType::Float32) || (expected.kind == 9) != (dtype == DataType::Bool)
    {
        return Some(format!("{dtype} for elements of type {}", expected.kind));
    }
    let relative = if expected.kind == 10 { 2e-3 } else { 1e-3 };
    let near = |a: f64, b: f64| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (is_real && (a - b).abs() <= relative * b.abs() + 1e-5)
    };
    let at = found.iter().zip(&wanted).position(|(&a, &b)| !near(a, b))?;
    Some(format!("element {at} is {}, not {}", found[at], wanted[at]))
}

fn try_case(case: &Case, form: Form) -> Result<Option<String>> {
    let names = graph::inputs(&case.model);
    let given: Vec<(String, &Array)> = names.into_iter().zip(&case.inputs).collect();
    let constants = match form {
        Form::AsItIs => &[][..],
        Form::Constants => &given[1.min(given.len())..],
    };
    let file = match constants {
        [] => case.model.to_vec(),
        constants => graph::with_constants(&case.model, constants),
    };
    let given = &given[..given.len() - constants.len()];
    let input_shapes =
        given.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
    let options = ImportOptions { input_shapes, keep_order: true, ..Default::default() };
    let bytes = achado_onnx::convert(Bytes::from(file), &options)?;
    let mut model = ImageModel::new(bytes, &ImageModelOptions::default())?;
    let infos = model.metadata().clone();
    for (index, (name, array)) in given.iter().enumerate() {
        let Some(info) = infos.inputs.get(index) else {
            return Ok(Some(format!("there is no input {name:?}")));
        };
        if info.name != *name || info.shape != array.shape {
            return Ok(Some(format!("input {:?} {:?} for {name:?}", info.name, info.shape)));
        }
        let Some(bytes) = elements(array, info.dtype) else {
            return Ok(Some(format!("input {name:?} is {} for type {}", info.dtype, array.kind)));
        };
        model.input_bytes_mut(index)?.copy_from_slice(&bytes);
    }
    model.run()?;
    for (index, expected) in case.outputs.iter().enumerate() {
        let Some(info) = infos.outputs.get(index) else {
            return Ok(Some(format!("there is no output {index}")));
        };
        if info.shape != expected.shape {
            return Ok(Some(format!(
                "output {index} has shape {:?}, not {:?}",
                info.shape, expected.shape
            )));
        }
        let found = numbers(model.output_bytes(index)?, info.dtype);
        if let Some(what) = difference(expected, &found, info.dtype) {
            return Ok(Some(format!("output {index}: {what}")));
        }
    }
    Ok(None)
}

/// The stored answers wrap around at 8 bits, where ONNX Runtime and the specification saturate.
const WRONG_ANSWERS: [&str; 2] = ["test_qlinearmatmul_2D_int8_", "test_qlinearmatmul_3D_int8_"];

/// Its data does not fit the shape that its file declares.
const MISFITS: [&str; 1] = ["test_sequence_model8"];

fn outcome(case: &Case, form: Form) -> Outcome {
    match try_case(case, form) {
        Ok(None) => Outcome::Right,
        Ok(Some(what)) => Outcome::Wrong(what),
        Err(error) => Outcome::Refused(error),
    }
}

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn cases() -> Vec<Case> {
    let own = path("tests/fixtures/onnx/backend.bin");
    let file = std::env::var_os("ACHADO_ONNX_BACKEND").map_or(own, Into::into);
    let file = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut cases = archive::read(&file);
    cases.retain(|case| !WRONG_ANSWERS.iter().any(|name| case.name.starts_with(name)));
    cases
}

#[test]
fn backend_tests_are_right_or_refused_by_name() {
    let cases = cases();
    let mut counts: BTreeMap<(Form, &str), usize> = BTreeMap::new();
    let (mut wrong, mut report) = (Vec::new(), String::new());
    let tract = std::fs::read_to_string(path("tests/fixtures/onnx/backend-tract.txt"));
    let tract = tract.expect("what tract runs");
    let mut table = Table::new(&tract);
    for case in &cases {
        for form in [Form::AsItIs, Form::Constants] {
            let outcome = outcome(case, form);
            let (kind, what) = match &outcome {
                Outcome::Right => ("right", String::new()),
                Outcome::Refused(error) => {
                    // By what is lacking, never as if the file or the caller were at fault.
                    let is_named = error.code.as_str().starts_with("UNSUPPORTED_");
                    if !is_named && !MISFITS.contains(&&*case.name) {
                        wrong.push(format!("{} ({form:?}): {error}", case.name));
                    }
                    ("refused", error.to_string())
                }
                Outcome::Wrong(what) => {
                    wrong.push(format!("{} ({form:?}): {what}", case.name));
                    ("wrong", what.clone())
                }
            };
            *counts.entry((form, kind)).or_default() += 1;
            table.add(case, form, (kind != "right").then_some(&what));
            let operators = graph::operators(&case.model).join(" ");
            writeln!(report, "{form:?}\t{kind}\t{}\t{operators}\t{what}", case.name).expect("text");
        }
    }
    println!("{} cases: {counts:?}", cases.len());
    if let Some(file) = std::env::var_os("ACHADO_ONNX_REPORT") {
        std::fs::write(file, &report).expect("the report");
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    if std::env::var_os("ACHADO_ONNX_BACKEND").is_some() {
        return;
    }
    let page = path("docs/onnx-operators.md");
    let found = table.markdown();
    if std::env::var_os("ACHADO_BLESS").is_some() {
        std::fs::write(&page, &found).expect("the page");
    }
    let committed = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        committed == found,
        "docs/onnx-operators.md is out of date: ACHADO_BLESS=1 cargo test --test onnx_backend"
    );
    assert!(counts[&(Form::AsItIs, "right")] >= 706, "{counts:?}");
    assert!(counts[&(Form::Constants, "right")] >= 1003, "{counts:?}");
}
