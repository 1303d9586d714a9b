//! JSON and Python literals, as training programs write them into label files: dictionaries, lists,
//! strings in either quotes, numbers.
#![deny(clippy::arithmetic_side_effects)]

use crate::limits::Budget;
use crate::{Error, Result};

/// Lists within lists.
const MAX_DEPTH: usize = 32;

/// A value; what names no classes is [`Value::Other`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A string, or a bare word that is no constant.
    Text(String),
    Integer(i64),
    /// A list or tuple.
    List(Vec<Value>),
    /// In the order of the file; keys that are integers are written out.
    Map(Vec<(String, Value)>),
    /// Floats, truth values, nothing.
    Other,
}

impl Value {
    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The text of a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the one value that `text` is.
///
/// # Errors
/// `MODEL_FORMAT` with the byte at which the text is none; `OUT_OF_MEMORY`.
pub(super) fn parse(text: &str, budget: &mut Budget) -> Result<Value> {
    let mut parser = Parser { text, at: 0, budget };
    let value = parser.value(0)?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.error("has more behind its end")),
    }
}

struct Parser<'a, 'b> {
    text: &'a str,
    at: usize,
    budget: &'b mut Budget,
}

impl<'a> Parser<'a, '_> {
    fn error(&self, what: &str) -> Error {
        Error::format(format!("{what} at byte {}", self.at)).with("offset", self.at)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at = self.at.saturating_add(next.len_utf8());
        Some(next)
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let space = rest.len().saturating_sub(rest.trim_start().len());
        self.at = self.at.saturating_add(space);
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > MAX_DEPTH {
            return Err(self.error("nests too deep"));
        }
        self.skip_space();
        match self.peek() {
            Some('{') => self.map(depth),
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('"' | '\'') => Ok(Value::Text(self.string()?)),
            Some(_) => self.word(depth),
            None => Err(self.error("ends early")),
        }
    }

    /// Whether a list or map goes on: `close` and commas are taken.
    fn goes_on(&mut self, close: char, is_first: bool) -> Result<bool> {
        self.skip_space();
        let mut comma = is_first;
        if !is_first && self.peek() == Some(',') {
            self.next();
            self.skip_space();
            comma = true;
        }
        match self.peek() {
            Some(next) if next == close => {
                self.next();
                Ok(false)
            }
            Some(_) if comma => Ok(true),
            Some(_) => Err(self.error("has no comma between two values")),
            None => Err(self.error("ends early")),
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Result<Value> {
        self.next();
        let mut values = Vec::new();
        while self.goes_on(close, values.is_empty())? {
            // Twice: the vector grows by doubling.
            self.budget.take(2, size_of::<Value>())?;
            values.push(self.value(depth.saturating_add(1))?);
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, depth: usize) -> Result<Value> {
        self.next();
        let mut entries = Vec::new();
        while self.goes_on('}', entries.is_empty())? {
            self.budget.take(2, size_of::<(String, Value)>())?;
            let key = match self.value(depth.saturating_add(1))? {
                Value::Text(text) => text,
                Value::Integer(number) => number.to_string(),
                _ => return Err(self.error("has a key that is no name")),
            };
            self.skip_space();
            if self.next() != Some(':') {
                return Err(self.error("has a key without a colon"));
            }
            let value = self.value(depth.saturating_add(1))?;
            entries.push((key, value));
        }
        Ok(Value::Map(entries))
    }

    fn string(&mut self) -> Result<String> {
        let quote = self.next();
        let mut text = String::new();
        self.budget.take_bytes(0)?;
        loop {
            match self.next() {
                None => return Err(self.error("has a string without an end")),
                next if next == quote => return Ok(text),
                Some('\\') => self.escape(&mut text)?,
                Some(next) => {
                    self.budget.take(next.len_utf8(), 2)?;
                    text.push(next);
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<()> {
        let digits = match self.next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(other) => {
                text.push(match other {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
                return Ok(());
            }
            None => return Err(self.error("has a string without an end")),
        };
        let mut code = self.hex(digits)?;
        // JSON writes what is beyond 16 bits as a pair of surrogates.
        if (0xd800..0xdc00).contains(&code) && self.rest().starts_with("\\u") {
            self.at = self.at.saturating_add(2);
            let low = self.hex(4)?;
            code = 0x10000u32.saturating_add((code & 0x3ff) << 10).saturating_add(low & 0x3ff);
        }
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32> {
        let end = self.at.saturating_add(digits);
        let code = self.text.get(self.at..end).and_then(|code| u32::from_str_radix(code, 16).ok());
        let code = code.ok_or_else(|| self.error("has an escape that is none"))?;
        self.at = end;
        Ok(code)
    }

    /// A number, a constant or a bare word; a call, such as `PosixPath('x')`, is something else.
    fn word(&mut self, depth: usize) -> Result<Value> {
        let rest = self.rest();
        let end = rest.find([',', ':', ']', '}', ')', '(', '\n', '"', '\'']).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().trim();
        self.at = self.at.saturating_add(end);
        if self.peek() == Some('(') {
            self.list(')', depth.saturating_add(1))?;
            return Ok(Value::Other);
        }
        if word == "u" && matches!(self.peek(), Some('"' | '\'')) {
            return Ok(Value::Text(self.string()?));
        }
        if word.is_empty() {
            return Err(self.error("has no value"));
        }
        if let Ok(number) = word.parse::<i64>() {
            return Ok(Value::Integer(number));
        }
        let constants = ["true", "false", "null", "none"];
        if is_real(word) || constants.iter().any(|c| word.eq_ignore_ascii_case(c)) {
            return Ok(Value::Other);
        }
        self.budget.take_bytes(word.len())?;
        Ok(Value::Text(word.to_owned()))
    }
}

/// Whether `f64` would parse it: what the number is does not matter here, and its exact value would
/// cost tables of 11 KB.
fn is_real(word: &str) -> bool {
    let word = word.strip_prefix(['+', '-']).unwrap_or(word);
    if ["nan", "inf", "infinity"].iter().any(|name| word.eq_ignore_ascii_case(name)) {
        return true;
    }
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (word, "0"),
    };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !["", "."].contains(&mantissa) && !exponent.is_empty();
    has_digits && [whole, part, exponent].into_iter().all(are_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value> {
        parse(text, &mut Budget::for_file(text.len()))
    }

    #[test]
    fn a_real_number_is_what_f64_parses() {
        let words = [
            "1",
            "-1.",
            "+.5",
            "1.25e-3",
            "1E5",
            "e5",
            ".",
            "-",
            "",
            "1e",
            "1e+",
            "1.2.3",
            "0x1",
            "nan",
            "-Inf",
            "+infinity",
            "infinite",
            "1_0",
            "--1",
            "1e5.0",
            " 1",
            "1e-+2",
            "١",
        ];
        for word in words {
            assert_eq!(is_real(word), word.parse::<f64>().is_ok(), "{word}");
        }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn json_and_python_are_read_alike() {
        let json =
            r#"{"names": {"0": "cat", "1": "it's \u00e9 \ud83d\ude00"}, "n": [1, 2.5, null]}"#;
        let python = "{'names': {0: 'cat', 1: \"it's \\xe9 \\U0001f600\",}, 'n': (1, 2.5, None)}";
        let names = Value::Map(vec![
            ("0".to_owned(), text("cat")),
            ("1".to_owned(), text("it's \u{e9} \u{1f600}")),
        ]);
        let numbers = Value::List(vec![Value::Integer(1), Value::Other, Value::Other]);
        for source in [json, python] {
            let value = read(source).unwrap();
            assert_eq!(value.get("names"), Some(&names));
            assert_eq!(value.get("n"), Some(&numbers));
            assert_eq!(value.get("m"), None);
        }
        assert_eq!(read("[red, 'a']").unwrap(), Value::List(vec![text("red"), text("a")]));
        assert_eq!(read("{'p': PosixPath('x'), 'a': True}").unwrap().get("p"), Some(&Value::Other));
    }

    #[test]
    fn what_is_no_literal_is_refused_by_its_place() {
        for (source, what) in [
            ("{'a': 1", "ends early at byte 7"),
            ("{'a' 1}", "without a colon"),
            ("['a' 'b']", "no comma"),
            ("['a", "without an end"),
            ("['a'] b", "more behind its end at byte 6"),
            ("['\\xzz']", "an escape"),
            ("", "ends early"),
            ("{[1]: 2}", "no name"),
        ] {
            let error = read(source).unwrap_err();
            assert!(error.message.contains(what), "{source}: {error}");
        }
        assert!(read(&"[".repeat(100_000)).unwrap_err().message.contains("nests too deep"));
        let error = read(&format!("[{}]", "[],".repeat(1 << 20))).unwrap_err();
        assert_eq!(error.code.as_str(), "OUT_OF_MEMORY");
    }
}
