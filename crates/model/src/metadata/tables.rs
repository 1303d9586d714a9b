//! Label files with a structure of lines: CSV with a header, YAML's `names:`, and TensorFlow Object
//! Detection's label maps (text protobuf).
#![deny(clippy::arithmetic_side_effects)]

use super::literal::{self, Value};
use crate::limits::Budget;
use crate::{Error, Result};

/// Columns of names, the most telling first.
const NAME_COLUMNS: [&str; 9] = [
    "display_name",
    "name",
    "class_name",
    "classname",
    "label_name",
    "label",
    "class",
    "category",
    "labels",
];
/// Columns of indices.
const INDEX_COLUMNS: [&str; 8] =
    ["index", "id", "idx", "class_id", "class_index", "label_id", "class_idx", ""];

/// The index and name of each row, where the first line is a header.
pub(super) fn csv(lines: &[&str], budget: &mut Budget) -> Result<Option<Vec<(i64, String)>>> {
    let end = lines.iter().rposition(|line| !line.trim().is_empty());
    let Some([header, rows @ ..]) = lines.get(..=end.unwrap_or_default()) else { return Ok(None) };
    let Some(separator) = [',', ';', '\t'].into_iter().find(|&c| header.contains(c)) else {
        return Ok(None);
    };
    let columns = fields(&header.to_ascii_lowercase(), separator, budget)?;
    let column = |known: &[&str]| {
        known.iter().find_map(|known| columns.iter().position(|column| column == known))
    };
    let Some(name) = column(&NAME_COLUMNS) else { return Ok(None) };
    let index = column(&INDEX_COLUMNS).filter(|&index| index != name);
    budget.take(rows.len(), size_of::<(i64, String)>())?;
    let mut items = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let row = fields(row, separator, budget)?;
        let id = match index {
            None => i64::try_from(at).ok(),
            Some(index) => row.get(index).and_then(|id| id.parse().ok()),
        };
        // Rows of another kind: the first line was a name.
        let (Some(id), Some(name), true) = (id, row.get(name), row.len() == columns.len()) else {
            return Ok(None);
        };
        items.push((id, name.clone()));
    }
    Ok(Some(items))
}

/// The fields of a row; those in double quotes may hold the separator, and quotes twice.
fn fields(row: &str, separator: char, budget: &mut Budget) -> Result<Vec<String>> {
    budget.take(row.len(), 1)?;
    let mut fields = Vec::new();
    let (mut field, mut quoted) = (String::new(), false);
    let mut characters = row.trim_end_matches('\r').chars().peekable();
    while let Some(c) = characters.next() {
        if c == '"' {
            if quoted && characters.peek() == Some(&'"') {
                characters.next();
                field.push('"');
            } else {
                quoted = !quoted;
            }
        } else if c == separator && !quoted {
            budget.take(2, size_of::<String>())?;
            fields.push(std::mem::take(&mut field).trim().to_owned());
        } else {
            field.push(c);
        }
    }
    fields.push(field.trim().to_owned());
    Ok(fields)
}

/// What `names:` of a YAML file holds, and its `task:`. Scalars, lists and maps of one level are
/// all that training programs write there.
pub(super) fn yaml<'a>(
    lines: &[&'a str],
    budget: &mut Budget,
) -> Result<Option<(Value, Option<&'a str>)>> {
    let Some(at) = lines.iter().position(|line| line.starts_with("names:")) else {
        return Ok(None);
    };
    // A list of names may hold one that begins like that.
    let is_key = |line: &&str| line.split_once(':').is_some_and(|(key, _)| !key.contains(' '));
    let mut keys = lines.iter().filter(|line| line.starts_with(char::is_alphabetic));
    if !keys.all(is_key) {
        return Ok(None);
    }
    let task = lines.iter().find_map(|line| line.strip_prefix("task:")).map(unquoted);
    let line = lines.get(at).copied().unwrap_or_default();
    let here = line.strip_prefix("names:").unwrap_or_default().trim();
    if !here.is_empty() {
        return literal::parse(here, budget).map(|value| Some((value, task)));
    }
    let (mut list, mut map) = (Vec::new(), Vec::new());
    for line in lines.iter().skip(at.saturating_add(1)) {
        budget.take(2, size_of::<(String, Value)>())?;
        budget.take_bytes(line.len())?;
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            list.push(Value::Text(unquoted(item).to_owned()));
        } else if let (true, Some((key, name))) = (line.starts_with(' '), line.split_once(':')) {
            map.push((unquoted(key).to_owned(), Value::Text(unquoted(name).to_owned())));
        } else {
            break;
        }
    }
    let value = if list.is_empty() { Value::Map(map) } else { Value::List(list) };
    Ok(Some((value, task)))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

/// Whether a text begins as a label map does.
pub(super) fn is_label_map(text: &str) -> bool {
    let rest = text.strip_prefix("item").map(str::trim_start);
    rest.is_some_and(|rest| rest.trim_start_matches(':').trim_start().starts_with('{'))
}

/// The identifier and name of each item.
pub(super) fn label_map(text: &str, budget: &mut Budget) -> Result<Vec<(i64, String)>> {
    let mut items = Vec::new();
    let (mut id, mut name, mut display_name) = (None, None::<&str>, None::<&str>);
    let mut depth = 0usize;
    let mut key = "";
    let mut rest = text;
    while let Some((token, next)) = token(rest)? {
        rest = next;
        match (token, depth) {
            (Token::Word("{"), _) => depth = depth.saturating_add(1),
            (Token::Word("}"), 0) => {
                return Err(Error::format("has a closing brace without an opening one"));
            }
            (Token::Word("}"), _) => {
                depth = depth.saturating_sub(1);
                if depth > 0 {
                    continue;
                }
                let (display, own) = (display_name.take(), name.take());
                if let (Some(id), Some(label)) = (id.take(), display.or(own)) {
                    budget.take(2, size_of::<(i64, String)>())?;
                    budget.take_bytes(label.len())?;
                    items.push((id, unescaped(label)));
                }
            }
            (Token::Word(":" | "," | ";"), _) => {}
            (Token::Word(word), 1) if key == "id" => {
                id = word.parse::<i64>().ok();
                key = "";
            }
            (Token::Text(text), 1) => {
                match key {
                    "name" => name = Some(text),
                    "display_name" => display_name = Some(text),
                    _ => {}
                }
                key = "";
            }
            (Token::Word(word), 1) => key = word,
            _ => {}
        }
    }
    if depth > 0 {
        return Err(Error::format("ends within an item"));
    }
    Ok(items)
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    out
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Word(&'a str),
    /// Without its quotes, escapes as they are.
    Text(&'a str),
}

/// The first token and what follows it; comments are skipped.
fn token(text: &str) -> Result<Option<(Token<'_>, &str)>> {
    let mut text = text.trim_start();
    while let Some(comment) = text.strip_prefix('#') {
        text = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    let Some(first) = text.chars().next() else { return Ok(None) };
    if let quote @ ('"' | '\'') = first {
        let inner = text.get(1..).unwrap_or_default();
        let mut escaped = false;
        let end = inner.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (text, rest) = end
            .and_then(|end| inner.split_at_checked(end))
            .ok_or_else(|| Error::format("has a string without an end"))?;
        return Ok(Some((Token::Text(text), rest.get(1..).unwrap_or_default())));
    }
    let is_mark = |c: char| matches!(c, '{' | '}' | ':' | ',' | ';');
    let end = if is_mark(first) {
        first.len_utf8()
    } else {
        text.find(|c: char| is_mark(c) || c.is_whitespace() || c == '"' || c == '\'')
            .unwrap_or(text.len())
    };
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    Ok(Some((Token::Word(word), rest)))
}
