//! `natwatch history`: what was done, newest last.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::drill::{DrillView, legs};
use super::json::{AddressView, MoveView, document};
use super::{Paint, Style, address_row, columns, counted, move_row, safe, span, whole_ms};
use crate::model::{AddressStep, Drill, InstanceId, Move, Outcome};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What: one word.
    pub kind: &'static str,
    /// When it began.
    pub at: Timestamp,
    /// By which instance, where that is known.
    pub instance: Option<InstanceId>,
    /// Why, in one sentence.
    pub why: String,
    /// What it came to; `None` where there is nothing to come to.
    pub outcome: Option<Outcome>,
    /// From where to where, and how each move ended.
    pub moves: Vec<Move>,
    /// What became of the Elastic IP address, where one was to come along.
    pub address: Option<AddressStep>,
    /// What a drill showed.
    pub drill: Option<Drill>,
    /// How long it took, or, of a pause, was to last; zero where there is nothing to take long.
    pub took: Duration,
}

/// All that `history` tells.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The configuration's name.
    pub name: String,
    /// Oldest first.
    pub events: Vec<Event>,
    /// Lines that could not be read: torn, or of a newer natwatch.
    pub unreadable: usize,
}

#[derive(Serialize)]
struct View {
    name: String,
    events: Vec<EventView>,
    unreadable: usize,
}

#[derive(Serialize)]
struct EventView {
    kind: &'static str,
    at: Timestamp,
    instance: Option<String>,
    why: String,
    outcome: Option<&'static str>,
    took_ms: u64,
    moves: Vec<MoveView>,
    address: Option<AddressView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<DrillView>,
}

/// The document for `history --format json`: one line with its newline.
#[must_use]
pub fn json(history: &History) -> String {
    document(&View {
        name: safe(&history.name),
        events: history
            .events
            .iter()
            .map(|one| EventView {
                kind: one.kind,
                at: one.at,
                instance: one.instance.as_ref().map(ToString::to_string),
                why: safe(&one.why),
                outcome: one.outcome.map(Outcome::as_str),
                took_ms: whole_ms(one.took),
                moves: one.moves.iter().map(MoveView::from).collect(),
                address: one.address.as_ref().map(AddressView::from),
                drill: one.drill.as_ref().map(DrillView::from),
            })
            .collect(),
        unreadable: history.unreadable,
    })
}

/// `history` as text: one block for each event, on a terminal and elsewhere alike.
#[must_use]
pub fn text(history: &History, style: Style) -> String {
    let mut out = String::new();
    for one in &history.events {
        let took = if one.took.is_zero() { String::new() } else { format!(", {}", span(one.took)) };
        let outcome = one.outcome.map(|outcome| format!(": {}", style.paint(paint(outcome), outcome.as_str())));
        let kind = style.paint(Paint::Bold, one.kind);
        let _ = writeln!(out, "{:.0} {kind}{}{took}", one.at, outcome.unwrap_or_default());
        let _ = writeln!(out, "  {}", safe(&one.why));
        out.push_str(&columns(
            style,
            &one.moves.iter().map(move_row).chain(one.address.iter().map(address_row)).collect::<Vec<_>>(),
        ));
        out.push_str(&columns(style, &legs(one.drill.as_ref())));
    }
    if history.events.is_empty() {
        let _ = writeln!(out, "{}: nothing was done yet", safe(&history.name));
    }
    if history.unreadable > 0 {
        let lines = counted(history.unreadable, "line");
        let why = "torn by a power loss, or written by a newer natwatch";
        let _ = writeln!(out, "{}", style.paint(Paint::Yellow, &format!("and {lines} that can't be read: {why}")));
    }
    style.finish(out)
}

const fn paint(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::TakenOver | Outcome::FailedBack | Outcome::Drilled => Paint::Green,
        Outcome::Failed | Outcome::Partial | Outcome::Unverified => Paint::Red,
        _ => Paint::Plain,
    }
}

#[cfg(test)]
mod tests;
