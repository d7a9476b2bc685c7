//! `natwatch status`: who carries each subnet now, the lock, the last round, takeover and drill, the gates that would hold, and until when,
//! and while it is locked whether the primary looks well.

mod outlook;
mod places;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::json::{HoldView, MoveView, PassView, document};
use super::text::headline;
use super::{Paint, Style, columns, move_row, safe, span, whole_ms};
use crate::model::{Found, Gate, Hold, Move, Outcome, Pass, Paused, Record, RouteTableId, SubnetId};
use outlook::{DrillView, PrimaryView};
pub use outlook::{LastDrill, PrimaryLooks};
use places::active_view;
pub(super) use places::row;
pub use places::{places, reset_json};

/// Who carries a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// It is on the primary's table.
    Primary,
    /// It is on the standby's table.
    Standby,
    /// It is on another table.
    Table(RouteTableId),
    /// It has no association of its own: the VPC's main table.
    Main,
}

impl Carrier {
    fn word(&self) -> &str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Table(table) => table.as_str(),
            Self::Main => "main",
        }
    }
}

/// Where one subnet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Who carries it.
    pub by: Carrier,
}

/// The last takeover, as the history or the record has it.
#[derive(Debug, Clone, PartialEq)]
pub struct LastTakeover {
    /// When it began.
    pub at: Timestamp,
    /// Why.
    pub because: String,
    /// What it came to, where that is known.
    pub outcome: Option<Outcome>,
    /// What became of each subnet.
    pub moves: Vec<Move>,
    /// How long it took, where that is known.
    pub took: Option<Duration>,
}

/// The `watch` that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Watcher {
    /// Its process id.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// All that `status` tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The configuration's name.
    pub name: String,
    /// When this was gathered.
    pub now: Timestamp,
    /// The takeover record as found.
    pub record: Found<Record>,
    /// The pause that holds all automatic action, where there is one.
    pub paused: Option<Paused>,
    /// The `watch` that is at work, where there is one.
    pub watcher: Option<Watcher>,
    /// Where the guarded subnets are, or why EC2 could not be asked.
    pub active: Result<Vec<Active>, String>,
    /// The gates that would hold a takeover now.
    pub holds: Vec<Hold>,
    /// When gates open by themselves, where they do.
    pub not_before: BTreeMap<Gate, Timestamp>,
    /// The last pass and when it ended.
    pub last_round: Option<(Timestamp, Pass)>,
    /// The last takeover.
    pub last_takeover: Option<LastTakeover>,
    /// The last drill.
    pub last_drill: Option<LastDrill>,
    /// The primary, while a takeover is on record and EC2 could be asked.
    pub primary: Option<PrimaryLooks>,
    /// What else there is to know, one line each.
    pub notes: Vec<String>,
}

impl Status {
    /// A record that can't be read locks as well as one that can; one about another instance doesn't.
    pub(super) const fn locked(&self) -> bool {
        matches!(self.record, Found::Present(_) | Found::Corrupt { .. } | Found::Newer { .. })
    }

    /// `None`: in the future, by the clock as it is now.
    pub(super) fn age(&self, at: Timestamp) -> Option<Duration> {
        Duration::try_from(self.now.duration_since(at)).ok()
    }
}

#[derive(Serialize)]
struct View {
    name: String,
    locked: bool,
    phase: Option<&'static str>,
    record_error: Option<String>,
    paused_until: Option<Timestamp>,
    pause_reason: Option<String>,
    watch: Option<Watcher>,
    active: BTreeMap<String, String>,
    active_error: Option<String>,
    holds: Vec<HoldView>,
    not_before: BTreeMap<&'static str, Timestamp>,
    last_round: Option<RoundView>,
    last_takeover: Option<TakeoverView>,
    last_drill: Option<DrillView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<PrimaryView>,
    unwatched: bool,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct RoundView {
    at: Timestamp,
    age_s: u64,
    #[serde(flatten)]
    pass: PassView,
}

#[derive(Serialize)]
struct TakeoverView {
    at: Timestamp,
    because: String,
    outcome: Option<&'static str>,
    moves: Vec<MoveView>,
    took_ms: Option<u64>,
}

/// The document for `status --format json`: one line with its newline.
#[must_use]
pub fn json(status: &Status) -> String {
    let (active, active_error) = active_view(status);
    document(&View {
        name: safe(&status.name),
        locked: status.locked(),
        phase: match &status.record {
            Found::Present(record) => Some(record.phase.as_str()),
            _ => None,
        },
        record_error: status.record.trouble().as_deref().map(safe),
        paused_until: status.paused.as_ref().map(|pause| pause.until),
        pause_reason: status.paused.as_ref().map(|pause| safe(&pause.reason)),
        watch: status.watcher,
        active,
        active_error,
        holds: status.holds.iter().map(HoldView::from).collect(),
        not_before: status.not_before.iter().map(|(gate, at)| (gate.as_str(), *at)).collect(),
        last_round: status.last_round.as_ref().map(|(at, pass)| RoundView {
            at: *at,
            age_s: status.age(*at).unwrap_or_default().as_secs(),
            pass: PassView::from(pass),
        }),
        last_takeover: status.last_takeover.as_ref().map(|last| TakeoverView {
            at: last.at,
            because: safe(&last.because),
            outcome: last.outcome.map(Outcome::as_str),
            moves: last.moves.iter().map(MoveView::from).collect(),
            took_ms: last.took.map(whole_ms),
        }),
        last_drill: status.last_drill.as_ref().map(DrillView::from),
        primary: status.primary.as_ref().map(PrimaryView::from),
        unwatched: outlook::unwatched(status).is_some(),
        notes: status.notes.iter().map(|note| safe(note)).collect(),
    })
}

/// `status` as text.
#[must_use]
pub fn text(status: &Status, style: Style) -> String {
    let mut out = String::new();
    let title = |text: &str| style.paint(Paint::Bold, text);
    let lock = match (&status.record, status.record.trouble()) {
        (Found::Present(record), _) => {
            let word = style.paint(Paint::Yellow, &format!("locked ({})", record.phase));
            format!("{word} since {}: {}", moment(status, record.began), safe(&record.because))
        }
        (_, Some(trouble)) if status.locked() => {
            format!("{}: {}", style.paint(Paint::Red, "held as locked"), safe(&trouble))
        }
        (_, Some(trouble)) => format!("not locked: {}", safe(&trouble)),
        (_, None) => style.paint(Paint::Green, "not locked"),
    };
    let _ = writeln!(out, "{}: {lock}", title(&safe(&status.name)));
    if let Some(pause) = &status.paused {
        let _ = writeln!(out, "{}", style.paint(Paint::Yellow, &safe(&pause.to_string())));
    }
    if let Some(Watcher { pid, since }) = status.watcher {
        let _ = writeln!(out, "natwatch watch is at work: process {pid}, since {}", moment(status, since));
    }

    let _ = writeln!(out, "\n{}", title("Active"));
    match &status.active {
        Ok(active) if active.is_empty() => out.push_str("  no subnet is guarded\n"),
        Ok(active) => out.push_str(&columns(style, &active.iter().map(row).collect::<Vec<_>>())),
        Err(error) => {
            let _ = writeln!(out, "  {}: {}", style.paint(Paint::Yellow, "EC2 could not be asked"), safe(error));
        }
    }

    let _ = writeln!(out, "\n{}", title("Last round"));
    match &status.last_round {
        Some((at, pass)) => {
            let _ = writeln!(out, "  {}\n  {}", moment(status, *at), headline(pass, &status.name, style));
            for note in &pass.notes {
                let _ = writeln!(out, "  {}", safe(note));
            }
        }
        None => out.push_str("  none is on record: has natwatch run here?\n"),
    }
    out.push_str(
        &outlook::unwatched(status)
            .map_or_else(String::new, |text| format!("  {}\n", style.paint(Paint::Yellow, &text))),
    );

    let _ = writeln!(out, "\n{}", title("Last takeover"));
    match &status.last_takeover {
        Some(last) => {
            let took = last.took.map(|took| format!(", took {}", span(took))).unwrap_or_default();
            let outcome = last.outcome.map(|outcome| format!("{outcome}: ")).unwrap_or_default();
            let _ = writeln!(out, "  {}{took}\n  {outcome}{}", moment(status, last.at), safe(&last.because));
            out.push_str(&columns(style, &last.moves.iter().map(move_row).collect::<Vec<_>>()));
        }
        None => out.push_str("  none\n"),
    }
    out.push_str(&outlook::sections(status, style));
    if !status.notes.is_empty() {
        let _ = writeln!(out, "\n{}", title("Notes"));
        for note in &status.notes {
            let _ = writeln!(out, "  {}", safe(note));
        }
    }
    style.finish(out)
}

/// `2026-03-01T12:00:00Z (4 min ago)`
fn moment(status: &Status, at: Timestamp) -> String {
    match status.age(at) {
        Some(age) => format!("{at:.0} ({} ago)", span(age)),
        None => format!("{at:.0} (in the future: was the clock set back?)"),
    }
}
