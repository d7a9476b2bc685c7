//! The lists of a sight: gates, subnets, panel, targets, notes. In each, what is worst comes first.

use jiff::Timestamp;

use super::seen::{Seen, rank};
use super::{View, ago};
use crate::model::{BackendVerdict, Control, ControlFate, Fate, Found, Hold, Silence, Target};
use crate::report::lines::{Line, aligned, folded, plain};
use crate::report::status::{Carrier, row};
use crate::report::{Paint, printable, safe, said, span, whole};

/// Characters of a name in a list: a tag may have 256, and what stands beside it is to be seen.
const NAME: usize = 44;

/// A title, what is said beside it, and the rows below. Of the rows, what is beyond the room is counted.
pub(super) struct Section {
    title: &'static str,
    beside: Line,
    pub(super) rows: Vec<Line>,
}

impl Section {
    /// With at most `share` lines below the title, of which the last one tells of what is left out.
    pub(super) fn lines(self, share: usize) -> Vec<Line> {
        let all = self.rows.len();
        let shown = if all <= share { all } else { share.saturating_sub(1) };
        let mut out = vec![[vec![(self.title.to_owned(), Paint::Bold)], self.beside].concat()];
        out.extend(self.rows.into_iter().take(shown));
        if shown < all {
            out.push(plain(format!("  and {} more", all - shown)));
        }
        out
    }
}

/// All that have something to tell.
pub(super) fn sections(view: &View<'_>, width: usize) -> Vec<Section> {
    let mut all = vec![holds(view, width), subnets(view, width), panel(view), targets(view), notes(view, width)];
    all.retain(|one| !one.rows.is_empty());
    all
}

fn subnets(view: &View<'_>, width: usize) -> Section {
    let status = view.status;
    let mut rows = match &status.active {
        Ok(active) if active.is_empty() => vec![plain("  no subnet is guarded")],
        Ok(active) => {
            let mut active: Vec<_> = active.iter().collect();
            active.sort_by_key(|one| match one.by {
                Carrier::Table(_) | Carrier::Main => 0,
                Carrier::Standby => 1,
                Carrier::Primary => 2,
            });
            aligned(&active.into_iter().map(|one| named(row(one, &status.names))).collect::<Vec<_>>())
        }
        Err(_) if view.asked.is_none() => vec![plain("  EC2 has not answered yet")],
        Err(error) => {
            let why = (format!(": {}", said(&status.names, error)), Paint::Plain);
            folded(vec![("  EC2 could not be asked".to_owned(), Paint::Yellow), why], width, 4)
        }
    };
    if let Some(trouble) = view.trouble {
        let why = (format!(": {}", said(&status.names, trouble)), Paint::Plain);
        let since = vec![("  EC2 could not be asked since".to_owned(), Paint::Yellow), why];
        rows.splice(0..0, folded(since, width, 4));
    }
    let beside = view.asked.map(|at| {
        let mut said = plain(format!("  by EC2{}", ago(status, at)));
        if matches!(&status.record, Found::Present(record) if record.changed > at) {
            said.push(("  older than what was moved last".to_owned(), Paint::Yellow));
        }
        said
    });
    Section { title: "Subnets", beside: beside.unwrap_or_default(), rows }
}

/// A row whose first cell does not crowd out the others.
fn named(mut row: Line) -> Line {
    if let Some((name, _)) = row.first_mut() {
        *name = printable(name, NAME);
    }
    row
}

/// The targets that the panel is asked about, in the order of their columns.
fn columns_of<'v>(view: &'v View<'_>) -> Vec<&'v Target> {
    view.rounds.controls.iter().filter_map(|(_, control)| control.target.as_ref()).collect()
}

fn panel(view: &View<'_>) -> Section {
    let targets = columns_of(view);
    let mut members: Vec<(&String, &Seen)> = view.rounds.members.iter().collect();
    let missed = |seen: &Seen| targets.iter().any(|target| seen.fates.get(target) == Some(&Fate::NoReply));
    members.sort_by_key(|(_, seen)| (seen.verdict.map_or(1, rank), !missed(seen)));
    let row = |(host, seen): (&String, &Seen)| {
        let subnet = printable(&view.status.names.of(&seen.subnet), NAME);
        let mut row = vec![(safe(host), Paint::Plain), (subnet, Paint::Plain)];
        row.extend(targets.iter().map(|target| match seen.fates.get(target) {
            Some(Fate::Reply { rtt }) => (span(*rtt), Paint::Plain),
            Some(Fate::NoReply) => ("missed".to_owned(), Paint::Red),
            None => ("-".to_owned(), Paint::Plain),
        }));
        let said = seen.silence.as_ref().map(|why| said(&view.status.names, &silence(why))).unwrap_or_default();
        row.push(match seen.verdict {
            Some(BackendVerdict::Reaches) => ("reaches".to_owned() + &said, Paint::Green),
            Some(BackendVerdict::CutOff) => ("cut off".to_owned() + &said, Paint::Red),
            Some(BackendVerdict::Silent) => ("silent".to_owned() + &said, Paint::Yellow),
            None => (said.trim_start_matches([':', ' ']).to_owned(), Paint::Yellow),
        });
        named(row)
    };
    let mut rows: Vec<Line> = members.into_iter().map(row).collect();
    if !rows.is_empty() {
        // Aligned with what is below.
        let numbers = (1..=targets.len()).map(|n| (n.to_string(), Paint::Bold));
        rows.insert(
            0,
            [(String::new(), Paint::Plain), (String::new(), Paint::Plain)].into_iter().chain(numbers).collect(),
        );
    }
    Section { title: "Panel", beside: plain("  by target: see below"), rows: aligned(&rows) }
}

/// `: hung: no answer by its deadline`
fn silence(silence: &Silence) -> String {
    let detail = if silence.detail.is_empty() { String::new() } else { format!(": {}", safe(&silence.detail)) };
    format!(": {}{detail}", silence.reason)
}

/// What the standby itself gets from each target. Those that have no address have no column in the panel.
fn targets(view: &View<'_>) -> Section {
    let mut n = 0;
    let row = |(_, control): &(Timestamp, Control)| {
        let number = if control.target.is_some() {
            n += 1;
            n.to_string()
        } else {
            String::new()
        };
        let (fate, paint) = match &control.fate {
            ControlFate::Good { rtt } => (format!("answers this standby in {}", span(*rtt)), Paint::Green),
            ControlFate::NoReply => ("does not answer this standby".to_owned(), Paint::Yellow),
            ControlFate::NotAsked(why) => (format!("could not be asked: {}", safe(why)), Paint::Yellow),
        };
        let name = control.target.as_ref().map_or_else(|| control.name.clone(), ToString::to_string);
        vec![(number, Paint::Bold), (safe(&name), Paint::Plain), (fate, paint)]
    };
    let rows: Vec<Line> = view.rounds.controls.iter().map(row).collect();
    Section { title: "Targets", beside: Line::new(), rows: aligned(&rows) }
}

fn holds(view: &View<'_>, width: usize) -> Section {
    let lines = |hold: &Hold| {
        let why = (format!(": {}", said(&view.status.names, &hold.why)), Paint::Plain);
        let gate = vec![(format!("  {}", hold.gate), Paint::Yellow), why];
        let remedy = (!hold.remedy.is_empty()).then(|| plain(format!("    {}", whole(&hold.remedy))));
        [Some(gate), remedy].into_iter().flatten().flat_map(|line| folded(line, width, 4)).collect::<Vec<_>>()
    };
    let rows = view.status.holds.iter().flat_map(lines).collect();
    Section { title: "A takeover would be held now", beside: Line::new(), rows }
}

fn notes(view: &View<'_>, width: usize) -> Section {
    let status = view.status;
    let of_pass = status.last_round.iter().flat_map(|(_, pass)| &pass.notes);
    let lines = |note: &String| folded(plain(format!("  {}", said(&status.names, note))), width, 4);
    Section { title: "Notes", beside: Line::new(), rows: status.notes.iter().chain(of_pass).flat_map(lines).collect() }
}
