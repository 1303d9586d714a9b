//! Label files: one class name a line, the line's number is the class's index.
#![deny(clippy::arithmetic_side_effects)]

use crate::limits::Budget;
use crate::{Error, Result};

/// The lines of a label file, without the empty line that a last newline leaves, without carriage
/// returns and a byte order mark. Empty lines within count: they hold an index.
pub(super) fn parse(text: &[u8], file_name: &str, budget: &mut Budget) -> Result<Vec<String>> {
    let text = str::from_utf8(text).map_err(|error| {
        Error::format(format!(
            "the label file {file_name:?} is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let lines = || text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let count = lines().count();
    budget.take(count, size_of::<String>())?;
    let mut names = Vec::with_capacity(count);
    for line in lines() {
        budget.take_bytes(line.len())?;
        names.push(line.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Result<Vec<String>> {
        parse(text, "labels.txt", &mut Budget::for_file(0))
    }

    #[test]
    fn lines_are_indices() {
        assert_eq!(lines(b"cat\ndog\n").unwrap(), ["cat", "dog"]);
        assert_eq!(lines(b"cat\r\ndog").unwrap(), ["cat", "dog"]);
        assert_eq!(lines(b"\xef\xbb\xbfcat\n\ndog\n\n").unwrap(), ["cat", "", "dog", ""]);
        assert_eq!(lines("gato\nc\u{e3}o\n".as_bytes()).unwrap(), ["gato", "c\u{e3}o"]);
        assert!(lines(b"").unwrap().is_empty());
        assert!(lines(b"\n").unwrap().is_empty());
    }

    #[test]
    fn other_encodings_are_named() {
        let error = lines(b"cat\nc\xe3o\n").unwrap_err();
        assert!(error.message.contains("\"labels.txt\" is not UTF-8 at byte 5"), "{error}");
    }

    #[test]
    fn four_million_empty_lines_exceed_the_budget() {
        let error = lines(&vec![b'\n'; 4 << 20]).unwrap_err();
        assert_eq!(error.code.as_str(), "OUT_OF_MEMORY");
    }
}
