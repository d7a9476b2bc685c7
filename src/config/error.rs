//! What is wrong with a configuration: a list of violated rules, each one line with its place.
//!
//! It decides no exit status (78 is the caller's) and prints nothing.

use std::fmt;

/// A violated rule: `file:line: key = value: what is wrong; accepted: range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The file, as its path was given.
    pub file: String,
    /// The line, from 1; `None` where the rule is about no line in particular (a missing key, the file itself).
    pub line: Option<usize>,
    /// The rest, one printable line.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// A configuration that can't be used, with every rule that it violates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The first, so that there always is one, and the others.
    first: Violation,
    rest: Vec<Violation>,
}

impl ConfigError {
    /// The violations in the order of the file: `config`'s first, by line, those about no line last; `None` if there
    /// are none.
    pub(super) fn new(mut violations: Vec<Violation>, config: &str) -> Option<Self> {
        violations.sort_by(|a, b| {
            let place = |v: &Violation| (v.file != config, v.file.clone(), v.line.unwrap_or(usize::MAX));
            place(a).cmp(&place(b))
        });
        // Two files in one folder find fault with the folder twice.
        violations.dedup();
        let mut violations = violations.into_iter();
        let first = violations.next()?;
        Some(Self { first, rest: violations.collect() })
    }

    /// Every violated rule; at least one.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl From<Violation> for ConfigError {
    fn from(first: Violation) -> Self {
        Self { first, rest: Vec::new() }
    }
}

/// One violation a line, without a newline at the end.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.rest.iter().try_for_each(|violation| write!(f, "\n{violation}"))
    }
}

impl std::error::Error for ConfigError {}
