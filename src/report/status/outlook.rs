//! The parts of `status` that are about what comes next: how old the last look is, the last drill, the gates and when they open, and the
//! primary while it is locked.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Status, moment};
use crate::model::{Drill, Hold, Outcome};
use crate::report::drill::{self, legs};
use crate::report::json::HoldView;
use crate::report::text::hold_lines;
use crate::report::{Paint, Style, columns, safe, span};

/// Timer and cron entry start a run every two minutes at most: five of them are missing.
const UNWATCHED: Duration = Duration::from_mins(10);

/// A watch keeps its round each half a minute at the latest, but for a takeover, which may take `decision.deadline`.
const HANGS: Duration = Duration::from_mins(2);

/// That nobody has looked for too long, and would see an outage.
pub(super) fn unwatched(status: &Status) -> Option<String> {
    let age = status.age(status.last_round.as_ref()?.0)?;
    match status.watcher {
        // One that has just begun has told nothing yet.
        Some(watcher) if status.age(watcher.since).is_some_and(|since| since.min(age) >= HANGS) => {
            Some(format!("the watch has told nothing for {}: does it hang?", span(age)))
        }
        None if age >= UNWATCHED => Some(format!(
            "nobody has looked for {}, and nobody would see an outage: is the timer, cron or watch running?",
            span(age)
        )),
        _ => None,
    }
}

/// The last drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDrill {
    /// When it began.
    pub at: Timestamp,
    /// What it came to, where that is known.
    pub outcome: Option<Outcome>,
    /// What it showed, where it came so far.
    pub drill: Option<Drill>,
}

/// What can be seen of the primary while another carries its subnets. None of it is a proof: that is a failback's canary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrimaryLooks {
    /// What was seen, a line each.
    pub seen: Vec<String>,
    /// What keeps it from being gone back to.
    pub against: Vec<Hold>,
}

#[derive(Serialize)]
pub(super) struct DrillView {
    at: Timestamp,
    outcome: Option<&'static str>,
    drill: Option<drill::DrillView>,
}

impl From<&LastDrill> for DrillView {
    fn from(last: &LastDrill) -> Self {
        Self {
            at: last.at,
            outcome: last.outcome.map(Outcome::as_str),
            drill: last.drill.as_ref().map(drill::DrillView::from),
        }
    }
}

#[derive(Serialize)]
pub(super) struct PrimaryView {
    looks_well: bool,
    seen: Vec<String>,
    against: Vec<HoldView>,
}

impl From<&PrimaryLooks> for PrimaryView {
    fn from(looks: &PrimaryLooks) -> Self {
        Self {
            looks_well: looks.against.is_empty(),
            seen: looks.seen.iter().map(|line| safe(line)).collect(),
            against: looks.against.iter().map(HoldView::from).collect(),
        }
    }
}

/// The last drill, where there was one or nothing is left to be done about the lock first; the primary; the gates.
pub(super) fn sections(status: &Status, style: Style) -> String {
    let mut out = String::new();
    let title = |text: &str| style.paint(Paint::Bold, text);
    if let Some(last) = &status.last_drill {
        let outcome = last.outcome.map_or("not ended", Outcome::as_str);
        let subnet = last.drill.as_ref().map(|drill| format!(", {}", drill.subnet)).unwrap_or_default();
        let _ = writeln!(out, "\n{}\n  {}: {outcome}{subnet}", title("Last drill"), moment(status, last.at));
        out.push_str(&columns(style, &legs(last.drill.as_ref())));
    }
    if let Some(looks) = &status.primary {
        let _ = writeln!(out, "\n{}", title("Primary"));
        for line in &looks.seen {
            let _ = writeln!(out, "  {}", safe(line));
        }
        for hold in &looks.against {
            let _ = writeln!(out, "  {}", style.paint(Paint::Yellow, &safe(&hold.why)));
        }
        let next = if looks.against.is_empty() {
            "nothing speaks against it, which is no proof; to bring the subnets back, one first: natwatch failback"
        } else {
            "it is not ready to be gone back to"
        };
        let _ = writeln!(out, "  {next}");
    }
    if !status.holds.is_empty() {
        let _ = writeln!(out, "\n{}", title("A takeover would be held now"));
    }
    for hold in &status.holds {
        out.push_str(&hold_lines(hold, style, "  "));
        if let Some(at) = status.not_before.get(&hold.gate) {
            let left = Duration::try_from(at.duration_since(status.now)).unwrap_or_default();
            let _ = writeln!(out, "    not before {at:.0} (in {})", span(left));
        }
    }
    out
}
