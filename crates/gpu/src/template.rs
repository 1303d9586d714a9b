//! WGSL from templates: conditional and repeated lines, names with values.
//!
//! Lines between `//@if NAME` (`//@else`) and `//@end` stay where the flag is set; lines between
//! `//@rows` (or another counter) and `//@end` are repeated, with `$r` and `$i` for the number. What is
//! emitted is the same text for the same values, so that browsers compile it once.

use std::fmt::Display;

/// A template with what is known of it.
#[derive(Debug)]
pub struct Template<'a> {
    text: &'a str,
    flags: Vec<&'static str>,
    counters: Vec<(&'static str, usize)>,
    values: Vec<(&'static str, String)>,
}

impl<'a> Template<'a> {
    /// A text without values.
    pub fn new(text: &'a str) -> Self {
        Self { text, flags: Vec::new(), counters: Vec::new(), values: Vec::new() }
    }

    /// Keeps the lines of a flag if `on`.
    #[must_use]
    pub fn flag(mut self, name: &'static str, on: bool) -> Self {
        if on {
            self.flags.push(name);
        }
        self
    }

    /// Repeats the lines of a counter.
    #[must_use]
    pub fn counter(mut self, name: &'static str, count: usize) -> Self {
        self.counters.push((name, count));
        self
    }

    /// Puts a value in place of `$name`.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: impl Display) -> Self {
        self.values.push((name, value.to_string()));
        // A name that begins with another one goes first.
        self.values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        self
    }

    /// The finished text, without comments and indentation.
    pub fn finish(&self) -> String {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let mut text = String::new();
        self.block(&lines, None, &mut text);
        for (name, value) in &self.values {
            text = text.replace(&format!("${name}"), value);
        }
        debug_assert!(!text.contains('$'), "a value is missing in {text}");
        text
    }

    fn block(&self, lines: &[&str], number: Option<usize>, out: &mut String) {
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            let Some(directive) = line.strip_prefix("//@") else {
                self.line(line, number, out);
                at += 1;
                continue;
            };
            let (middle, end) = Self::ends(lines, at);
            let first = &lines[at + 1..middle.unwrap_or(end)];
            if let Some(flag) = directive.strip_prefix("if ") {
                if self.flags.contains(&flag) {
                    self.block(first, number, out);
                } else if let Some(middle) = middle {
                    self.block(&lines[middle + 1..end], number, out);
                }
            } else {
                let counter = self.counters.iter().find(|(name, _)| *name == directive);
                let count = counter.map_or(0, |(_, count)| *count);
                for number in 0..count {
                    self.block(first, Some(number), out);
                }
            }
            at = end + 1;
        }
    }

    /// Where the block that begins at a line has its `else` and its `end`.
    fn ends(lines: &[&str], start: usize) -> (Option<usize>, usize) {
        let (mut depth, mut middle) = (0, None);
        for (at, line) in lines.iter().enumerate().skip(start) {
            match line.strip_prefix("//@") {
                Some("end") if depth == 1 => return (middle, at),
                Some("end") => depth -= 1,
                Some("else") if depth == 1 => middle = Some(at),
                Some("else") | None => {}
                Some(_) => depth += 1,
            }
        }
        (middle, lines.len())
    }

    fn line(&self, line: &str, number: Option<usize>, out: &mut String) {
        if line.is_empty() || line.starts_with("//") {
            return;
        }
        match number {
            Some(number) => {
                let number = number.to_string();
                let line = line.replace("$r", &number).replace("$i", &number);
                out.push_str(&line);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_counters_and_values_are_filled_in() {
        let text = "// why\n//@if A\na\n//@rows\n  x$r = $N;\n//@if B\nb$r\n//@end\n//@end\n//@else\nc\n//@end\n";
        let template = |a, b| {
            Template::new(text).flag("A", a).flag("B", b).counter("rows", 2).value("N", 7).finish()
        };
        assert_eq!(template(true, true), "a\nx0 = 7;\nb0\nx1 = 7;\nb1\n");
        assert_eq!(template(true, false), "a\nx0 = 7;\nx1 = 7;\n");
        assert_eq!(template(false, true), "c\n");
    }
}
