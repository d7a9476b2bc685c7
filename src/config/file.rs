//! The file as written: TOML with a line for every value. The only file here that names the `toml` crate.
//!
//! It knows which keys exist, and nothing of what their values mean.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::error::Violation;
use super::keys::{KEYS, TABLES};
use crate::model::printable;

/// How much of a value or key is shown.
pub(super) const SHOWN: usize = 60;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The line it begins on; `None` for a default.
    pub(super) line: Option<usize>,
    /// As written, printable and shortened.
    pub(super) shown: String,
    /// What TOML makes of it.
    pub(super) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    /// `None`: does not fit 64 bits.
    Integer(Option<i64>),
    Float(f64),
    Flag(bool),
    List(Vec<Item>),
    /// A date or a table.
    Other,
}

/// All known keys that are written, and where the tables begin.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) items: BTreeMap<&'static str, Item>,
    pub(super) tables: BTreeMap<&'static str, usize>,
}

/// Text with the offsets of its lines.
struct Source<'t> {
    text: &'t str,
    file: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
}

/// Reads `text`. Where the syntax is broken there is no document: what the rest was meant to be would be a guess.
pub(super) fn read(text: &str, file: &str) -> (Option<Document>, Vec<Violation>) {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let source = Source { text, file, starts };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut clear = true;
    let mut violations = Vec::new();
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let line = source.line(at);
        let written = source.line_text(line).trim();
        // A key that is there twice leaves no doubt about the others; a table that is there twice does.
        let duplicate = error.message() == "duplicate key";
        clear &= duplicate && !written.starts_with('[');
        let text = match (duplicate, source.section(line)) {
            (true, Some(section)) if !written.starts_with('[') => {
                format!("{section}.{}: is there twice; accepted: each key once", printable(written, SHOWN))
            }
            (true, _) => format!("{}: is there twice; accepted: each key and table once", printable(written, SHOWN)),
            (false, _) => format!("{}: {}", printable(written, SHOWN), printable(error.message(), 200)),
        };
        violations.push(Violation { file: file.to_owned(), line: Some(line), text });
    }
    if !clear {
        return (None, violations);
    }
    let mut document = Document::default();
    for (name, value) in table.get_ref() {
        source.top(name.get_ref(), name.span(), value.span(), value.get_ref(), &mut document, &mut violations);
    }
    (Some(document), violations)
}

/// Reads one value, such as a default.
pub(super) fn value(text: &str) -> Option<Item> {
    let source = Source { text, file: "", starts: vec![0] };
    let parsed = DeValue::parse(text).ok()?;
    let mut item = source.item(parsed.span(), parsed.get_ref());
    item.line = None;
    Some(item)
}

impl<'t> Source<'t> {
    /// The number of the line that `at` is on.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    fn line_text(&self, line: usize) -> &'t str {
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    /// The table that `line` is in, as its header names it.
    fn section(&self, line: usize) -> Option<&'t str> {
        let header = (1..line).rev().map(|n| self.line_text(n).trim()).find(|text| text.starts_with('['))?;
        Some(header.get(1..header.find(']')?)?.trim())
    }

    fn shown(&self, span: Range<usize>) -> String {
        printable(self.text.get(span).unwrap_or_default(), SHOWN)
    }

    fn item(&self, span: Range<usize>, value: &DeValue<'_>) -> Item {
        let line = Some(self.line(span.start));
        let value = match value {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(integer) => Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok()),
            DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.item(item.span(), item.get_ref())).collect())
            }
            DeValue::Datetime(_) | DeValue::Table(_) => Value::Other,
        };
        Item { line, shown: self.shown(span), value }
    }

    fn violation(&self, at: usize, text: String) -> Violation {
        Violation { file: self.file.to_owned(), line: Some(self.line(at)), text }
    }

    /// An entry of the document itself: a table, or one of the few keys outside of tables.
    fn top(
        &self,
        name: &str,
        key_span: Range<usize>,
        span: Range<usize>,
        value: &DeValue<'_>,
        document: &mut Document,
        violations: &mut Vec<Violation>,
    ) {
        let at = key_span.start;
        if let Some(table) = TABLES.iter().find(|table| **table == name) {
            let DeValue::Table(entries) = value else {
                violations.push(
                    self.violation(
                        at,
                        format!("{name} = {}: not a table; accepted: a table [{name}]", self.shown(span)),
                    ),
                );
                return;
            };
            document.tables.insert(table, self.line(at));
            for (key, value) in entries {
                let path = format!("{name}.{}", key.get_ref());
                self.known(&path, key.span().start, value.span(), value.get_ref(), document, violations);
            }
        } else if let (DeValue::Table(_), false) = (value, KEYS.iter().any(|key| key.path == name)) {
            let hint = nearest(name, TABLES.into_iter()).map_or_else(
                || format!("accepted: {}", TABLES.map(|table| format!("[{table}]")).join(", ")),
                |near| format!("did you mean [{near}]?"),
            );
            violations.push(self.violation(at, format!("[{}]: unknown table; {hint}", printable(name, SHOWN))));
        } else {
            self.known(name, at, span, value, document, violations);
        }
    }

    fn known(
        &self,
        path: &str,
        at: usize,
        span: Range<usize>,
        value: &DeValue<'_>,
        document: &mut Document,
        violations: &mut Vec<Violation>,
    ) {
        if let Some(key) = KEYS.iter().find(|key| key.path == path) {
            document.items.insert(key.path, self.item(span, value));
            return;
        }
        let own = path.rsplit('.').next().unwrap_or(path);
        // The right key in the wrong table is the likelier mistake; then a slip of the finger.
        let near = KEYS.iter().find(|key| key.split().1 == own).map(|key| key.path);
        let near = near.or_else(|| nearest(path, KEYS.iter().map(|key| key.path)));
        let hint = near.map_or_else(
            || {
                let table = path.split_once('.').map_or("", |(table, _)| table);
                let keys: Vec<&str> = KEYS
                    .iter()
                    .map(super::keys::Key::split)
                    .filter(|(of, _)| *of == table)
                    .map(|(_, own)| own)
                    .collect();
                if table.is_empty() {
                    format!("accepted: {} and tables", keys.join(", "))
                } else {
                    format!("accepted in [{table}]: {}", keys.join(", "))
                }
            },
            |near| format!("did you mean {near}?"),
        );
        violations.push(
            self.violation(at, format!("{} = {}: unknown key; {hint}", printable(path, SHOWN), self.shown(span))),
        );
    }
}

/// The candidate that takes the fewest edits to reach, if those are few enough for a slip of the finger.
fn nearest(word: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if word.len() > SHOWN {
        return None;
    }
    let (edits, near) = candidates.map(|candidate| (edits(word, candidate), candidate)).min()?;
    (edits <= (2 + word.len() / 8).min(word.len() / 2)).then_some(near)
}

/// Levenshtein's distance, in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
