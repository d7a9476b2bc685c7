//! What a drill showed, as rows and as JSON.
//!
//! What is measured is named for what it is: the time for which a backend's pings, each a flow of its own, had no answer.

use serde::Serialize;

use super::{Paint, counted, span, whole_ms};
use crate::model::{Drill, Gap, Leg};

/// A drill as machines read it.
#[derive(Debug, Serialize)]
pub(super) struct DrillView {
    subnet: String,
    there: LegView,
    back: Option<LegView>,
}

#[derive(Debug, Serialize)]
struct LegView {
    took_ms: u64,
    backends: usize,
    pings: usize,
    lost: usize,
    longest_gap_ms: Option<u64>,
    gap_ended: bool,
}

impl From<&Drill> for DrillView {
    fn from(drill: &Drill) -> Self {
        Self {
            subnet: drill.subnet.to_string(),
            there: LegView::from(&drill.there),
            back: drill.back.as_ref().map(LegView::from),
        }
    }
}

impl From<&Leg> for LegView {
    fn from(leg: &Leg) -> Self {
        let gap = leg.gap.as_ref();
        let count = |of: fn(&Gap) -> usize| gap.map_or(0, of);
        Self {
            took_ms: whole_ms(leg.took),
            backends: count(|gap| gap.backends),
            pings: count(|gap| gap.pings),
            lost: count(|gap| gap.lost),
            longest_gap_ms: gap.map(|gap| whole_ms(gap.longest)),
            gap_ended: gap.is_some_and(|gap| !gap.open),
        }
    }
}

/// A row for each way.
pub(super) fn legs(drill: Option<&Drill>) -> Vec<Vec<(String, Paint)>> {
    let Some(drill) = drill else { return Vec::new() };
    let back = drill.back.iter().map(|leg| ("back", leg));
    std::iter::once(("there", &drill.there)).chain(back).map(|(way, leg)| row(way, leg)).collect()
}

fn row(way: &str, leg: &Leg) -> Vec<(String, Paint)> {
    let said = leg.gap.as_ref().map_or_else(|| "no ping was heard of".to_owned(), measured);
    vec![(way.to_owned(), Paint::Plain), (format!("took {}", span(leg.took)), Paint::Plain), (said, Paint::Plain)]
}

fn measured(gap: &Gap) -> String {
    let bound = if gap.open { "at least" } else { "at most" };
    let (pings, backends) = (counted(gap.pings, "ping"), counted(gap.backends, "backend"));
    format!("{bound} {} without an answer: {} of {pings} by {backends} lost", span(gap.longest), gap.lost)
}
