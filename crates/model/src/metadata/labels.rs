//! Label files: the names of classes by index, in the formats that training programs write, told
//! apart by content.
//!
//! Lines (`cat`), lines that begin with their own number (`0 cat`) or a WordNet identifier
//! (`n02123045 tabby`), JSON and Python literals, CSV with a header, YAML's `names:`, and TensorFlow
//! Object Detection's label maps.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use super::literal::{self, Value};
use super::{Trainer, tables};
use crate::limits::Budget;
use crate::{Error, Result};

/// The highest index of a list that leaves indices out.
const MAX_INDEX: i64 = 1 << 16;

/// What a label file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelFile {
    /// The names, by index; empty where the file leaves an index out.
    pub names: Vec<String>,
    /// The program that wrote the file, if it shows itself.
    pub trainer: Option<Trainer>,
}

impl LabelFile {
    /// Reads a label file of a caller, such as `labels.txt`.
    ///
    /// # Errors
    /// `MODEL_FORMAT`: neither UTF-8 nor UTF-16, or begun in a format and broken off; `OUT_OF_MEMORY`.
    pub fn read(text: &[u8]) -> Result<Self> {
        parse(text, "the label file", &mut Budget::for_file(text.len()))
    }

    /// The same of a list of lines, whose numbers are taken off.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    pub fn from_lines(lines: &[String]) -> Result<Self> {
        if let [only] = lines {
            return Self::read(only.as_bytes());
        }
        let length = lines.iter().map(String::len).fold(0, usize::saturating_add);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let names = plain(&lines, &mut Budget::for_file(length))?;
        Ok(Self { names, trainer: None })
    }
}

/// Reads a label file; `label` begins the messages.
pub(super) fn parse(bytes: &[u8], label: &str, budget: &mut Budget) -> Result<LabelFile> {
    let text = decode(bytes, label, budget)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let explain = |mut error: Error| {
        error.message = format!("{label} {}", error.message).into();
        error
    };
    let body = text.trim();
    if tables::is_label_map(body) {
        let items = tables::label_map(body, budget).map_err(explain)?;
        return Ok(LabelFile { names: by_index(items, budget).map_err(explain)?, trainer: None });
    }
    if is_literal(body) {
        let value = literal::parse(body, budget).map_err(explain)?;
        let names = names(&value, budget).map_err(explain)?.ok_or_else(|| {
            explain(Error::format(
                "holds no names of classes: it needs a list, or an object of names by index, by \
                 itself or as names, labels or id2label",
            ))
        })?;
        return Ok(LabelFile { names, trainer: trainer(&value) });
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Ok(LabelFile::default());
    }
    budget.take(text.split('\n').count(), size_of::<&str>())?;
    let lines: Vec<&str> = text.split('\n').collect();
    if let Some((value, task)) = tables::yaml(&lines, budget).map_err(explain)? {
        let trainer = task.filter(|task| *task == "classify").map(|_| Trainer::Ultralytics);
        let names = names(&value, budget).map_err(explain)?.unwrap_or_default();
        return Ok(LabelFile { names, trainer });
    }
    if let Some(rows) = tables::csv(&lines, budget)? {
        return Ok(LabelFile { names: by_index(rows, budget).map_err(explain)?, trainer: None });
    }
    Ok(LabelFile { names: plain(&lines, budget)?, trainer: None })
}

/// What a file beside the labels says, such as Ultralytics' `metadata.json`; nothing where it is of
/// another kind.
pub(super) fn parse_beside(bytes: &[u8], budget: &mut Budget) -> Option<LabelFile> {
    let value = literal::parse(str::from_utf8(bytes).ok()?.trim(), budget).ok()?;
    let names = names(&value, budget).ok()?.unwrap_or_default();
    Some(LabelFile { names, trainer: trainer(&value) })
}

/// Text in UTF-8, or in UTF-16 with a byte order mark, as Windows' Notepad may write it.
fn decode<'a>(bytes: &'a [u8], label: &str, budget: &mut Budget) -> Result<Cow<'a, str>> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|&pair| of(pair)).collect();
        String::from_utf16_lossy(&units).into()
    };
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            budget.take(bytes.len(), 3)?;
            let is_little = bytes.first() == Some(&0xff);
            Ok(wide(if is_little { u16::from_le_bytes } else { u16::from_be_bytes }))
        }
        _ => str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
            let at = error.valid_up_to();
            Error::format(format!("{label} is not UTF-8 at byte {at}")).with("offset", at)
        }),
    }
}

/// Whether a text begins as an object or as a list of strings, objects or lists. A first line such
/// as `[unknown]` is a name.
fn is_literal(text: &str) -> bool {
    let mut begin = text.chars().filter(|c| !c.is_whitespace());
    match (begin.next(), begin.next()) {
        (Some('{'), Some('"' | '\'' | 'u' | '0'..='9')) => true,
        (Some('['), Some('"' | '\'' | '{' | '[' | '(')) => true,
        _ => matches!(text, "[]" | "{}"),
    }
}

fn trainer(value: &Value) -> Option<Trainer> {
    let classifies = value.get("task").and_then(Value::text) == Some("classify");
    (classifies && value.get("names").is_some()).then_some(Trainer::Ultralytics)
}

/// Lines without carriage returns, and without the number or the WordNet identifier that all of
/// them begin with. Empty lines hold an index.
fn plain(lines: &[&str], budget: &mut Budget) -> Result<Vec<String>> {
    budget.take(lines.len(), size_of::<String>())?;
    let mut names = Vec::with_capacity(lines.len());
    for line in lines {
        budget.take_bytes(line.len())?;
        names.push(line.strip_suffix('\r').unwrap_or(line).to_owned());
    }
    let end = names.iter().rposition(|name| !name.trim().is_empty());
    let used = names.get_mut(..end.map_or(0, |end| end.saturating_add(1))).unwrap_or_default();
    for strip in [numbered, synset] {
        let fits = |(at, name): (usize, &String)| strip(at, name).is_some();
        if used.iter().enumerate().all(fits) {
            for (at, name) in used.iter_mut().enumerate() {
                *name = strip(at, name).unwrap_or_default().to_owned();
            }
        }
    }
    Ok(names)
}

/// The name of line `at` of the form `0 cat`, `0: cat` or `0,cat`.
fn numbered(at: usize, line: &str) -> Option<&str> {
    let line = line.trim();
    let end = line.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = line.split_at_checked(end)?;
    let name = rest.strip_prefix([' ', '\t', ':', ','])?.trim();
    (number.parse() == Ok(at) && !name.is_empty()).then_some(name)
}

/// The name of a line of the form `n02123045 tabby`.
fn synset(_: usize, line: &str) -> Option<&str> {
    let (id, name) = line.split_once([' ', '\t', ','])?;
    let digits = id.strip_prefix('n')?;
    let fits = digits.len() == 8 && digits.bytes().all(|c| c.is_ascii_digit());
    (fits && !name.trim().is_empty()).then_some(name.trim())
}

/// Keys of objects that hold the names, the most telling first.
const KEYS: [&str; 10] = [
    "names",
    "id2label",
    "label_names",
    "labels",
    "class_names",
    "classNames",
    "classes",
    "categories",
    "label2id",
    "class_to_idx",
];

/// The names that a literal holds, if it holds any.
fn names(value: &Value, budget: &mut Budget) -> Result<Option<Vec<String>>> {
    match value {
        Value::List(values) => {
            budget.take(values.len(), size_of::<(i64, String)>())?;
            let mut items = Vec::with_capacity(values.len());
            for (at, value) in values.iter().enumerate() {
                let Some(name) = name(value) else { return Ok(None) };
                let id = ["id", "index"].iter().find_map(|key| match value.get(key) {
                    Some(Value::Integer(id)) => Some(*id),
                    _ => None,
                });
                budget.take_bytes(name.len())?;
                items.push((id.unwrap_or(i64::try_from(at).unwrap_or(i64::MAX)), name.to_owned()));
            }
            by_index(items, budget).map(Some)
        }
        Value::Map(entries) => {
            for key in KEYS {
                if let Some(inner @ (Value::List(_) | Value::Map(_))) = value.get(key)
                    && let Some(found) = names(inner, budget)?
                {
                    return Ok(Some(described(found, value.get("label_descriptions"))));
                }
            }
            budget.take(entries.len(), size_of::<(i64, String)>())?;
            let mut items = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                // `{ 0: "cat" }`, or `{ "cat": 0 }`.
                let item = match (key.parse(), value) {
                    (Ok(index), value) => name(value).map(|name| (index, name)),
                    (Err(_), Value::Integer(index)) => Some((*index, key.as_str())),
                    _ => None,
                };
                let Some((index, name)) = item else { return Ok(None) };
                budget.take_bytes(name.len())?;
                items.push((index, name.to_owned()));
            }
            if items.is_empty() { Ok(None) } else { by_index(items, budget).map(Some) }
        }
        _ => Ok(None),
    }
}

/// A name, the last of a list such as `["n01440764", "tench"]`, or that of an object.
fn name(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::List(values) => values.last().and_then(Value::text),
        Value::Map(_) => {
            ["display_name", "name", "label"].iter().find_map(|key| value.get(key)?.text())
        }
        _ => None,
    }
}

/// timm's names are WordNet identifiers, beside which it writes what they mean.
fn described(names: Vec<String>, descriptions: Option<&Value>) -> Vec<String> {
    let Some(descriptions) = descriptions else { return names };
    let meaning = |name: &String| descriptions.get(name).and_then(Value::text).map(str::to_owned);
    names.iter().map(meaning).collect::<Option<_>>().unwrap_or(names)
}

/// Names in the order of their indices.
fn by_index(items: Vec<(i64, String)>, budget: &mut Budget) -> Result<Vec<String>> {
    let Some(last) = items.iter().map(|(index, _)| *index).max() else { return Ok(Vec::new()) };
    // Lists of lines may be longer: theirs leave nothing out.
    let limit = MAX_INDEX.max(i64::try_from(items.len()).unwrap_or(i64::MAX));
    let bad = items.iter().map(|(index, _)| *index).find(|index| !(0..=limit).contains(index));
    if let Some(bad) = bad {
        return Err(Error::format(format!("has a class {bad}; classes are 0 to {limit}")));
    }
    let count = usize::try_from(last).unwrap_or_default().saturating_add(1);
    budget.take(count, size_of::<String>())?;
    let mut names = vec![String::new(); count];
    for (index, name) in items {
        let place = usize::try_from(index).ok().and_then(|index| names.get_mut(index));
        if let Some(place) = place {
            if !place.is_empty() && *place != name {
                return Err(Error::format(format!(
                    "has two names for class {index}, {place:?} and {name:?}"
                )));
            }
            *place = name;
        }
    }
    Ok(names)
}

/// The list for `classes` classes, where it is provable which name belongs to which: without empty
/// names behind the last; without a first name for the background or for nothing, or the header of
/// a table, where the model has no such class; ImageNet's 1000 with a background before them where
/// it has one.
pub fn fit_labels(names: &[String], classes: usize) -> Option<Cow<'_, [String]>> {
    let mut names = names;
    while names.len() > classes
        && let Some((last, rest)) = names.split_last()
        && last.trim().is_empty()
    {
        names = rest;
    }
    if names.len() == classes {
        return Some(names.into());
    }
    let [first, rest @ ..] = names else { return None };
    if rest.len() == classes && stands_for_no_class(first) {
        return Some(rest.into());
    }
    let is_image_net = names.len() == 1000
        && first.starts_with("tench")
        && names.last().is_some_and(|last| last.starts_with("toilet tissue"));
    if classes == 1001 && is_image_net {
        return Some([&["background".to_owned()], names].concat().into());
    }
    None
}

/// Whether a list's first name may be one too many.
fn stands_for_no_class(name: &str) -> bool {
    let header = ["label", "labels", "name", "names", "class", "classes", "category"];
    let name = name.trim().to_ascii_lowercase();
    is_background(&name) || name.is_empty() || header.contains(&name.as_str())
}

/// Whether a name is that of what no class is.
pub fn is_background(name: &str) -> bool {
    ["background", "__background__", "???"]
        .iter()
        .any(|known| name.trim().eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>> {
        LabelFile::read(text).map(|file| file.names)
    }

    fn same(expected: &[&str], texts: &[&str]) {
        for text in texts {
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_indices() {
        assert_eq!(read(b"cat\ndog\n").unwrap(), ["cat", "dog"]);
        assert_eq!(read(b"cat\r\ndog").unwrap(), ["cat", "dog"]);
        assert_eq!(read(b"\xef\xbb\xbfcat\n\ndog\n\n").unwrap(), ["cat", "", "dog", ""]);
        assert_eq!(read("gato\nc\u{e3}o\n".as_bytes()).unwrap(), ["gato", "c\u{e3}o"]);
        assert_eq!(read(b"\xff\xfec\0\xe3\0o\0\n\0a\0").unwrap(), ["c\u{e3}o", "a"]);
        assert_eq!(read(b"\xfe\xff\0c\0a").unwrap(), ["ca"]);
        assert!(read(b"").unwrap().is_empty());
        assert!(read(b"\n").unwrap().is_empty());
        // Names that look like the beginning of something else.
        same(&["[unknown]", "cat"], &["[unknown]\ncat\n"]);
        same(&["{", "}"], &["{\n}\n"]);
        same(
            &["tench, Tinca tinca", "goldfish, Carassius auratus"],
            &[
                "tench, Tinca tinca\ngoldfish, Carassius auratus\n",
                "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n",
            ],
        );
    }

    #[test]
    fn numbers_are_taken_off_where_each_line_has_its_own() {
        same(
            &["Cat", "Dog"],
            &[
                "0 Cat\n1 Dog\n",
                "0 Cat\r\n1 Dog\r\n",
                "\u{feff}0 Cat\n1 Dog",
                "0: Cat\n1: Dog\n",
                "0\tCat\n1\tDog\n",
                "0,Cat\n1,Dog\n",
                "  0  Cat \n  1  Dog\n",
            ],
        );
        same(&["7up", "Fanta"], &["0 7up\n1 Fanta\n"]);
        for kept in
            ["0 Cat\n7 Dog", "1 Cat\n2 Dog", "0\n1", "0 Cat\nDog", "0Cat\n1Dog", "01 a\n1 b"]
        {
            assert_eq!(read(kept.as_bytes()).unwrap(), kept.split('\n').collect::<Vec<_>>());
        }
        let list = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            LabelFile::from_lines(&lines).unwrap().names
        };
        assert_eq!(list(&["0 Cat\r", "1 Dog", ""]), ["Cat", "Dog", ""]);
        assert_eq!(list(&["{0: 'a', 1: 'b'}"]), ["a", "b"]);
        assert_eq!(list(&["0", "1"]), ["0", "1"]);
        assert!(list(&[]).is_empty());
    }

    #[test]
    fn objects_name_classes_by_index() {
        same(
            &["cat", "dog"],
            &[
                r#"["cat", "dog"]"#,
                "['cat',\n 'dog']\n",
                r#"{"0": "cat", "1": "dog"}"#,
                "{1: 'dog', 0: 'cat'}",
                r#"{"cat": 0, "dog": 1}"#,
                r#"{"0": ["n02123045", "cat"], "1": ["n02084071", "dog"]}"#,
                r#"[["n02123045", "cat"], ["n02084071", "dog"]]"#,
                r#"[{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]"#,
                r#"{"architectures": ["X"], "id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0}}"#,
                r#"{"label_names": ["n1", "n2"], "label_descriptions": {"n1": "cat", "n2": "dog"}}"#,
                r#"{"tfjsVersion": "1.7", "labels": ["cat", "dog"], "imageSize": 224}"#,
                "{'description': 'x', 'stride': 1, 'imgsz': [32, 32], 'names': {0: 'cat', 1: 'dog'}}",
                "{'names': ['cat', 'dog'], 'task': 'classify'}",
            ],
        );
        let file = LabelFile::read(b"{'task': 'classify', 'names': {0: 'a'}}").unwrap();
        assert_eq!(file.trainer, Some(Trainer::Ultralytics));
        let file = LabelFile::read(b"{'task': 'detect', 'names': {0: 'a'}}").unwrap();
        assert_eq!(file.trainer, None);
        for (bad, what) in [
            ("{'a': 'b'}", "the label file holds no names of classes"),
            ("{0: 'a', 1: 'b'", "the label file ends early at byte"),
            ("{0: 'a', 0: 'b'}", "two names for class 0, \"a\" and \"b\""),
            ("{\"a\": -1}", "has a class -1"),
            ("{70000: 'a', 99999999: 'b'}", "has a class 70000; classes are 0 to 65536"),
            ("[]", ""),
        ] {
            let result = read(bad.as_bytes());
            let message = result.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(message.contains(what) && what.is_empty() == message.is_empty(), "{message}");
        }
    }

    #[test]
    fn tables_and_label_maps_have_indices_of_their_own() {
        same(
            &["cat", "dog"],
            &[
                "id,name\n0,cat\n1,dog\n",
                "name,id\r\ncat,0\r\ndog,1\r\n",
                "index,mid,display_name\n0,/m/1,\"cat\"\n1,/m/2,dog\n",
                "class;count\ncat;5\ndog;7\n",
                "task: segment\nnames:\n  0: cat\n  1: dog\nstride: 32\n",
                "names:\n- cat\n- 'dog'\n",
                "nc: 2\nnames: ['cat', \"dog\"]\n",
                "names: [cat, dog]\n",
            ],
        );
        same(
            &["", "cat", "dog, wild"],
            &[
                "item {\n  id: 1\n  name: 'cat'\n}\nitem {\n  id: 2\n  name: 'dog, wild'\n}\n",
                "item {\n  name: \"/m/1\"\n  id: 1\n  display_name: \"cat\"\n}\nitem{id:2 name:\"/m/2\" display_name: \"dog, wild\"}",
                "id,name\n1,cat\n2,\"dog, wild\"\n",
            ],
        );
        let yaml = LabelFile::read(b"task: classify\nnames:\n  0: a\n").unwrap();
        assert_eq!(yaml.trainer, Some(Trainer::Ultralytics));
    }

    #[test]
    fn lists_fit_where_it_is_provable() {
        let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let fit = |names: &[&str], classes| fit_labels(&list(names), classes).map(Cow::into_owned);
        assert_eq!(fit(&["a", "b"], 2), Some(list(&["a", "b"])));
        assert_eq!(fit(&["a", "b", "", " "], 2), Some(list(&["a", "b"])));
        assert_eq!(fit(&["a", "b", ""], 3), Some(list(&["a", "b", ""])));
        for first in ["background", "???", "Background ", "", "label"] {
            assert_eq!(fit(&[first, "a", "b"], 2), Some(list(&["a", "b"])));
            assert_eq!(fit(&[first, "a", "b"], 3), Some(list(&[first, "a", "b"])));
            assert_eq!(fit(&[first, "a", "b"], 1), None);
        }
        assert_eq!(fit(&["a", "b", "c"], 2), None);
        assert_eq!(fit(&["a", "b"], 3), None);
        assert_eq!(fit(&[], 1), None);
        let mut image_net = vec!["x"; 1000];
        assert_eq!(fit(&image_net, 1001), None);
        (image_net[0], image_net[999]) = ("tench, Tinca tinca", "toilet tissue, toilet paper");
        let fitted = fit(&image_net, 1001).unwrap();
        assert_eq!((fitted.len(), &*fitted[0], &*fitted[1]), (1001, "background", image_net[0]));
    }

    #[test]
    fn other_encodings_are_named() {
        let error = read(b"cat\nc\xe3o\n").unwrap_err();
        assert!(error.message.contains("the label file is not UTF-8 at byte 5"), "{error}");
    }

    #[test]
    fn four_million_empty_lines_exceed_the_budget() {
        let lines = vec![b'\n'; 4 << 20];
        let error = parse(&lines, "x", &mut Budget::for_file(0)).unwrap_err();
        assert_eq!(error.code.as_str(), "OUT_OF_MEMORY");
    }
}
