//! How many tests ran, read from what the test programs print.

use std::ops::AddAssign;

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that held.
    pub passed: u64,
    /// Tests that did not.
    pub failed: u64,
    /// Tests that were left out by a mark on them.
    pub skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Sums the `test result:` lines of Rust's test harness, which wasm-bindgen's runner prints too.
pub fn of_rust(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines() {
        // In the middle of a line: a test may have printed without a line's end.
        let Some((_, result)) = line.split_once("test result: ") else { continue };
        let Some((_, result)) = result.split_once(". ") else { continue };
        for part in result.split("; ") {
            let mut words = part.split(' ');
            let (Some(Ok(number)), Some(word)) =
                (words.next().map(str::parse::<u64>), words.next())
            else {
                continue;
            };
            match word {
                "passed" => counts.passed += number,
                "failed" => counts.failed += number,
                "ignored" => counts.skipped += number,
                _ => {}
            }
        }
    }
    counts
}

/// Reads the totals at the end of `node --test`, in either of its forms (`# pass 3`, `ℹ pass 3`).
pub fn of_node(output: &str) -> Counts {
    // The totals come last, so a test that prints such a line itself changes nothing.
    let [mut pass, mut fail, mut cancelled, mut skipped, mut todo] = [0; 5];
    for line in output.lines() {
        let Some(line) = line.strip_prefix("# ").or_else(|| line.strip_prefix("\u{2139} ")) else {
            continue;
        };
        let Some((word, number)) = line.split_once(' ') else { continue };
        let Ok(number) = number.trim().parse::<u64>() else { continue };
        match word {
            "pass" => pass = number,
            "fail" => fail = number,
            "cancelled" => cancelled = number,
            "skipped" => skipped = number,
            "todo" => todo = number,
            _ => {}
        }
    }
    Counts { passed: pass, failed: fail + cancelled, skipped: skipped + todo }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_results_are_summed_over_test_programs() {
        let output = "\
running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s

a test's own wordstest result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
test result: ok. 7 passed; 0 failed; 0 ignored; 0 filtered out; finished in 0.03s
";
        assert_eq!(of_rust(output), Counts { passed: 14, failed: 2, skipped: 1 });
        assert_eq!(of_rust("error: could not compile\n"), Counts::default());
    }

    #[test]
    fn node_results_are_read_in_both_forms() {
        let tap = "# Subtest: pass 9\nok 1 - x\n1..6\n# tests 6\n# suites 0\n# pass 3\n# fail 1\n\
                   # cancelled 1\n# skipped 1\n# todo 0\n# duration_ms 3034.88\n";
        assert_eq!(of_node(tap), Counts { passed: 3, failed: 2, skipped: 1 });
        let spec = tap.replace("# ", "\u{2139} ");
        assert_eq!(of_node(&spec), Counts { passed: 3, failed: 2, skipped: 1 });
    }

    #[test]
    fn skipped_tests_are_only_mentioned_when_there_are_any() {
        let mut counts = Counts { passed: 3, failed: 0, skipped: 0 };
        assert_eq!(counts.to_string(), "3 passed, 0 failed");
        counts += Counts { passed: 1, failed: 2, skipped: 1 };
        assert_eq!(counts.to_string(), "4 passed, 2 failed, 1 skipped");
    }
}
