//! Where each subnet is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Active, Carrier, Status};
use crate::report::json::document;
use crate::report::{Paint, Style, columns, named, safe};

/// Where each subnet is, a line each.
#[must_use]
pub fn places(status: &Status) -> String {
    match &status.active {
        Ok(active) => columns(Style::PLAIN, &active.iter().map(row).collect::<Vec<_>>()),
        Err(error) => format!("  EC2 could not be asked: {}\n", safe(error)),
    }
}

#[derive(Serialize)]
struct ResetView {
    name: String,
    cleared: bool,
    active: BTreeMap<String, String>,
    active_error: Option<String>,
}

/// The document for `reset --format json`: whether there was a lock to clear, and where each subnet is.
#[must_use]
pub fn reset_json(status: &Status, cleared: bool) -> String {
    let (active, active_error) = active_view(status);
    document(&ResetView { name: safe(&status.name), cleared, active, active_error })
}

pub(super) fn active_view(status: &Status) -> (BTreeMap<String, String>, Option<String>) {
    match &status.active {
        Ok(active) => (active.iter().map(|one| (one.subnet.to_string(), one.by.word().to_owned())).collect(), None),
        Err(error) => (BTreeMap::new(), Some(safe(error))),
    }
}

pub(in crate::report) fn row(active: &Active) -> Vec<(String, Paint)> {
    let (word, paint) = match &active.by {
        Carrier::Primary => ("primary".to_owned(), Paint::Green),
        Carrier::Standby => ("standby".to_owned(), Paint::Yellow),
        Carrier::Table(table) => (format!("another table, {table}"), Paint::Red),
        Carrier::Main => ("the VPC's main table".to_owned(), Paint::Red),
    };
    vec![(named(active.subnet.as_str(), active.name.as_deref()), Paint::Plain), (word, paint)]
}
