//! What `init` has written, and what it leaves to whoever reads this.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::json::document;
use super::{Paint, Style, columns, safe, whole};

/// A key that was filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its path.
    pub key: &'static str,
    /// Its value, in TOML.
    pub value: String,
    /// Why it is this.
    pub why: String,
}

/// A key that was left open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its path.
    pub key: &'static str,
    /// Why.
    pub why: String,
    /// Where to find it.
    pub remedy: String,
    /// What to choose from.
    pub options: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file; `None`: standard output.
    pub path: Option<PathBuf>,
    /// What was filled in.
    pub found: Vec<Found>,
    /// What was not.
    pub missing: Vec<Missing>,
    /// What keeps the file from being used as it is, a line each.
    pub refused: Vec<String>,
}

#[derive(Serialize)]
struct View<'w> {
    path: Option<String>,
    found: &'w [Found],
    missing: &'w [Missing],
    refused: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<&'w str>,
}

/// The document for `init --format json`: one line with its newline. `configuration`: where it was written nowhere else.
#[must_use]
pub fn json(written: &Written, configuration: Option<&str>) -> String {
    document(&View {
        path: written.path.as_ref().map(|path| safe(&path.to_string_lossy())),
        found: &written.found,
        missing: &written.missing,
        refused: written.refused.iter().map(|line| safe(line)).collect(),
        configuration,
    })
}

/// As text: what was found, what was not, and what comes next.
#[must_use]
pub fn text(written: &Written) -> String {
    let mut out = String::new();
    if let Some(path) = &written.path {
        let _ = writeln!(out, "wrote {}", safe(&path.to_string_lossy()));
    }
    let row = |one: &Found| {
        vec![(one.key.to_owned(), Paint::Plain), (whole(&one.value), Paint::Plain), (safe(&one.why), Paint::Plain)]
    };
    out.push_str(&columns(Style::PLAIN, &written.found.iter().map(row).collect::<Vec<_>>()));
    if !written.missing.is_empty() {
        out.push_str("left to you:\n");
    }
    for one in &written.missing {
        let _ = writeln!(out, "  {}: {}\n    {}", one.key, safe(&one.why), whole(&one.remedy));
        for option in &one.options {
            let _ = writeln!(out, "      {}", safe(option));
        }
    }
    for line in &written.refused {
        let _ = writeln!(out, "not usable yet: {}", safe(line));
    }
    if written.path.is_some() {
        out.push_str(if written.refused.is_empty() {
            "next: natwatch doctor\n"
        } else {
            "next: fill in what is open, then: natwatch doctor\n"
        });
    }
    Style::PLAIN.finish(out)
}
