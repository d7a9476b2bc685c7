//! Takes typed values out of the document, by the table of keys, and notes every rule that one of them violates.
//!
//! It knows types and ranges of single keys; rules between keys are `check`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::Violation;
use super::file::{Document, Item, Value, value};
use super::keys::{Key, Kind, Presence};
use super::values;

/// An entry of a list that is fit for use, with its place.
#[derive(Debug, Clone)]
pub(super) struct Entry<T> {
    pub(super) line: Option<usize>,
    pub(super) shown: String,
    pub(super) value: T,
}

/// The document, being read.
pub(super) struct Reader<'f> {
    file: &'f str,
    document: Document,
    pub(super) violations: Vec<Violation>,
    /// What was asked for: a test compares it with the table.
    #[cfg(test)]
    pub(super) asked: Vec<&'static str>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f str, document: Document, violations: Vec<Violation>) -> Self {
        Self {
            file,
            document,
            violations,
            #[cfg(test)]
            asked: Vec::new(),
        }
    }

    /// Whether the file has `key`.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.document.items.contains_key(key.path)
    }

    /// Notes a violation that is about no value of this file's.
    pub(super) fn note(&mut self, line: Option<usize>, text: String) {
        self.violations.push(Violation { file: self.file.to_owned(), line, text });
    }

    /// Notes that the value of `key` clashes with others, or the world.
    pub(super) fn clash(&mut self, key: &Key, what: &str, accepted: &str) {
        let accepted = if accepted.is_empty() { String::new() } else { format!("; accepted: {accepted}") };
        match (self.document.items.get(key.path), key.presence) {
            (Some(item), _) => self.note(item.line, format!("{} = {}: {what}{accepted}", key.path, item.shown)),
            (None, Presence::Default(default)) => {
                self.note(None, format!("{} = {default} (the default): {what}{accepted}", key.path));
            }
            (None, _) => self.note(None, format!("{}: {what}{accepted}", key.path)),
        }
    }

    /// The value of `key`, or its default; a missing one is noted.
    fn item(&mut self, key: &Key) -> Option<Item> {
        #[cfg(test)]
        self.asked.push(key.path);
        if let Some(item) = self.document.items.get(key.path) {
            return Some(item.clone());
        }
        match key.presence {
            Presence::Default(default) => value(default),
            Presence::Required(example) => {
                let line = self.document.tables.get(key.split().0).copied();
                self.note(line, format!("{}: missing; accepted: {}, such as {example}", key.path, key.accepted()));
                None
            }
            Presence::Optional(..) => None,
        }
    }

    fn wrong<T>(&mut self, key: &Key, item: &Item, what: &str) -> Option<T> {
        self.note(item.line, format!("{} = {}: {what}; accepted: {}", key.path, item.shown, key.accepted()));
        None
    }

    pub(super) fn flag(&mut self, key: &Key) -> Option<bool> {
        let item = self.item(key)?;
        match item.value {
            Value::Flag(flag) => Some(flag),
            _ => self.wrong(key, &item, "not true or false"),
        }
    }

    /// An integer inside the key's bounds.
    pub(super) fn integer<T: TryFrom<i64>>(&mut self, key: &Key) -> Option<T> {
        let item = self.item(key)?;
        let Value::Integer(integer) = item.value else { return self.wrong(key, &item, "not an integer") };
        let within = integer.filter(|n| matches!(key.kind, Kind::Integer { min, max } if (min..=max).contains(n)));
        match within.and_then(|n| T::try_from(n).ok()) {
            Some(n) => Some(n),
            None => self.wrong(key, &item, "out of range"),
        }
    }

    /// A number from 0 up to but not including 1.
    pub(super) fn share(&mut self, key: &Key) -> Option<f64> {
        let item = self.item(key)?;
        match item.value {
            Value::Float(share) if (0.0..1.0).contains(&share) => Some(share.abs()),
            Value::Integer(Some(0)) => Some(0.0),
            Value::Float(_) | Value::Integer(_) => self.wrong(key, &item, "out of range"),
            _ => self.wrong(key, &item, "not a number"),
        }
    }

    /// A duration inside the key's bounds.
    pub(super) fn duration(&mut self, key: &Key) -> Option<Duration> {
        let item = self.item(key)?;
        let Value::Text(text) = &item.value else { return self.wrong(key, &item, "not a duration in quotes") };
        let duration = match values::duration(text) {
            Ok(duration) => duration,
            Err(what) => return self.wrong(key, &item, &format!("{what} (a number and ms, s, m or h)")),
        };
        match key.kind {
            Kind::Duration { min, max, .. } if !(min..=max).contains(&duration) => {
                self.wrong(key, &item, "out of range")
            }
            Kind::Duration { whole_seconds: true, .. } if duration.subsec_nanos() != 0 => {
                self.wrong(key, &item, "not in whole seconds")
            }
            _ => Some(duration),
        }
    }

    /// A string that `parse` takes; `None` too where an optional key is not written.
    pub(super) fn text<T>(&mut self, key: &Key, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let item = self.item(key)?;
        let Value::Text(text) = &item.value else { return self.wrong(key, &item, "not a string") };
        match parse(text) {
            Ok(value) => Some(value),
            Err(what) => self.wrong(key, &item, &what),
        }
    }

    /// A list of strings that `parse` takes, no two with the same `identity`. Wrong entries are noted and left out;
    /// `None`: something was noted.
    pub(super) fn list<T, K: Ord>(
        &mut self,
        key: &Key,
        parse: impl Fn(&str) -> Result<T, String>,
        identity: impl Fn(&T) -> K,
    ) -> Option<Vec<Entry<T>>> {
        let item = self.item(key)?;
        let Value::List(items) = &item.value else { return self.wrong(key, &item, "not a list") };
        let before = self.violations.len();
        let mut entries = Vec::new();
        let mut seen: BTreeMap<K, String> = BTreeMap::new();
        for item in items {
            let Value::Text(text) = &item.value else {
                let _: Option<T> = self.wrong(key, item, "not a string");
                continue;
            };
            let value = match parse(text) {
                Ok(value) => value,
                Err(what) => {
                    let _: Option<T> = self.wrong(key, item, &what);
                    continue;
                }
            };
            if let Some(first) = seen.get(&identity(&value)) {
                self.note(
                    item.line,
                    format!("{} = {}: a duplicate of {first}; accepted: each one once", key.path, item.shown),
                );
                continue;
            }
            let place = item.line.map_or_else(String::new, |line| format!(" in line {line}"));
            seen.insert(identity(&value), format!("{}{place}", item.shown));
            entries.push(Entry { line: item.line, shown: item.shown.clone(), value });
        }
        (self.violations.len() == before).then_some(entries)
    }
}
