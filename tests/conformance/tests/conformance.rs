//! Every case, natively and in a browser.
//!
//! `ACHADO_CASES=CONV_2D,ADD` runs these operators alone and prints each case that is not equal.
//! `ACHADO_BLESS=1` writes `status.tsv` and `docs/operators.md` from what the run gives.

use achado_conformance::run::{Outcome, Status, run};
use achado_conformance::table::Table;
use achado_conformance::{archive::Case, cases, operators};
use achado_model::OperatorKind;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{console_log as println, wasm_bindgen_test as test};

const STATUSES: &str = include_str!("../status.tsv");

/// Runs all cases of some operators; what is wrong comes back as lines.
fn run_all(operators: &mut dyn Iterator<Item = &str>, verbose: bool) -> (Table, Vec<String>) {
    let (mut table, mut wrong) = (Table::default(), Vec::new());
    for operator in operators {
        for case in cases(operator) {
            let outcome = guarded(&case);
            if let Some(Outcome { status, detail }) = &outcome {
                let line = format!("{operator} {} {}: {status}: {detail}", case.dtype, case.name);
                if verbose && *status != Status::Equal {
                    println!("{line}");
                }
                if *status == Status::Wrong {
                    wrong.push(line);
                }
            }
            table.add(operator, &case.dtype, &case.name, outcome.map(|outcome| outcome.status));
        }
    }
    (table, wrong)
}

/// Runs a case; a panic is a wrong answer like others.
fn guarded(case: &Case) -> Option<Outcome> {
    std::panic::catch_unwind(|| run(case))
        .unwrap_or_else(|_| Some(Outcome { status: Status::Wrong, detail: "it panics".into() }))
}

fn print_counts(table: &Table) {
    let counts: Vec<_> =
        table.counts().iter().map(|(status, count)| format!("{count} {status}")).collect();
    println!("cases: {}", counts.join(", "));
}

#[test]
fn every_operator_has_cases() {
    let asked: Vec<&str> = operators().collect();
    // RANGE has no operand that a caller gives: it is a constant, tested with the engine.
    for kind in OperatorKind::ALL.iter().filter(|&&kind| kind != OperatorKind::Range) {
        assert!(asked.contains(&kind.name()), "{} has no case", kind.name());
    }
}

#[test]
fn operators_answer_as_tensorflow_lite_does() {
    #[cfg(not(target_arch = "wasm32"))]
    if let Ok(chosen) = std::env::var("ACHADO_CASES") {
        let (table, wrong) = run_all(&mut chosen.split(','), true);
        print_counts(&table);
        assert!(wrong.is_empty(), "{} cases are wrong", wrong.len());
        return;
    }
    let (table, wrong) = run_all(&mut operators(), false);
    print_counts(&table);
    let wrong = (!wrong.is_empty()).then(|| format!("wrong:\n{}", wrong.join("\n")));
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    let broken = table.broken_promises();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    #[cfg(not(target_arch = "wasm32"))]
    if std::env::var_os("ACHADO_BLESS").is_some() {
        files::write(&table);
        return;
    }
    let worse = table.worse(STATUSES, cfg!(not(target_arch = "wasm32")));
    assert!(worse.is_empty(), "worse than tests/conformance/status.tsv:\n{}", worse.join("\n"));
    #[cfg(not(target_arch = "wasm32"))]
    files::check(&table);
}

#[cfg(not(target_arch = "wasm32"))]
mod files {
    use std::fs;
    use std::path::PathBuf;

    use achado_conformance::table::Table;

    /// The files that a run says, and what it says.
    fn files(table: &Table) -> [(PathBuf, String); 2] {
        let path = |path: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
        [
            (path("status.tsv"), table.statuses()),
            (path("../../docs/operators.md"), table.markdown()),
        ]
    }

    pub fn write(table: &Table) {
        for (path, text) in files(table) {
            fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }

    pub fn check(table: &Table) {
        for (path, text) in files(table) {
            let found = fs::read_to_string(&path).unwrap_or_default();
            let differing: Vec<_> =
                text.lines().filter(|line| !found.lines().any(|other| other == *line)).collect();
            assert!(
                found == text,
                "{} is not what this run gives; ACHADO_BLESS=1 cargo test -p achado-conformance \
                 writes it anew. Now:\n{}",
                path.display(),
                differing.join("\n")
            );
        }
    }
}
