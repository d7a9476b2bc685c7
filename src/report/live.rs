//! `natwatch status --watch`: one sight of it all, made to fit a terminal, or whole for a pipe.
//!
//! It knows no clock and no terminal: the time is the status's own, and the room there is an argument. What is worst comes first, and
//! what does not fit is counted.

mod seen;

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::lines::{Line, aligned, cut, folded, painted, plain};
use super::status::{Carrier, Status};
use super::text::outcome_paint;
use super::{Paint, Style, counted, printable, safe, span, whole};
use crate::model::{BackendVerdict, ControlFate, Fate, Found, Hold, Outcome, Silence, Target, Verdict};
pub use seen::Rounds;
use seen::{Seen, Sign, rank};

/// Rows of a list in a pipe, where no room is short: a panel may be of thousands.
const ROWS: usize = 50;

/// A watch keeps each round while somebody looks on, but a burst and a takeover may take `decision.deadline`, a minute at most; an older
/// round is of a watch that hangs.
const OVERDUE: Duration = Duration::from_secs(75);

/// Characters of a name in a list: a tag may have 256, and what stands beside it is to be seen.
const NAME: usize = 44;

/// Characters of the strip in a pipe.
const STRIP: usize = 60;

/// What there is to be seen.
#[derive(Debug)]
pub struct View<'a> {
    /// What `status` tells; of EC2, what it last said.
    pub status: &'a Status,
    /// When EC2 was asked for that; `None`: it has not answered yet.
    pub asked: Option<Timestamp>,
    /// Why it could not be asked since.
    pub trouble: Option<&'a str>,
    /// The rounds that were seen.
    pub rounds: &'a Rounds,
}

/// The room on a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
}

/// A title, what is said beside it, and the rows below. Of the rows, what is beyond the room is counted.
struct Section {
    title: &'static str,
    beside: Line,
    rows: Vec<Line>,
}

/// The sight for a terminal: at most `size.lines` lines, none longer than `size.columns`.
#[must_use]
pub fn screen(view: &View<'_>, size: Size, style: Style) -> Vec<String> {
    let width = size.columns.max(1);
    let mut lines: Vec<Line> = head(view).into_iter().flat_map(|line| folded(line, width, 2)).collect();
    lines.extend(strip(view, width.saturating_sub(8)));
    let sections = sections(view, width);
    let wanted: Vec<usize> = sections.iter().map(|one| one.rows.len()).collect();
    let room = size.lines.saturating_sub(lines.len() + sections.len());
    // Where room is short, none is left for looks.
    let spaced = wanted.iter().sum::<usize>() + sections.len() <= room;
    for (section, share) in sections.into_iter().zip(shares(&wanted, room)) {
        lines.extend(spaced.then(Line::new));
        lines.extend(section.lines(share));
    }
    lines.truncate(size.lines);
    lines.into_iter().map(|line| painted(&cut(line, width, style), style)).collect()
}

/// The sight for a pipe, each line with its end.
#[must_use]
pub fn text(view: &View<'_>, style: Style) -> String {
    let mut lines = head(view);
    lines.extend(strip(view, STRIP));
    for section in sections(view, usize::MAX) {
        lines.push(Line::new());
        lines.extend(section.lines(ROWS));
    }
    let mut out = String::new();
    for line in &lines {
        let _ = writeln!(out, "{}", painted(line, style));
    }
    style.finish(out)
}

/// What of a view is worth another one in a pipe: all but times, ages, and what luck decides.
#[must_use]
pub fn occasion(view: &View<'_>) -> String {
    let status = view.status;
    let pass = status.last_round.as_ref().map(|(_, pass)| (pass.outcome, pass.exit, &pass.because, &pass.holds));
    let known = (&status.record, &status.paused, &status.watcher, &status.active, &status.holds, &status.last_takeover);
    format!(
        "{:?}",
        (known, pass, &status.notes, overdue(status), view.asked.is_some(), view.trouble, view.rounds.trouble())
    )
}

impl Section {
    /// With at most `share` lines below the title, of which the last one tells of what is left out.
    fn lines(self, share: usize) -> Vec<Line> {
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

/// Divides the lines there are among lists of these lengths: whoever wants little gets it, and the rest is shared.
fn shares(wanted: &[usize], room: usize) -> Vec<usize> {
    let mut shares = vec![0; wanted.len()];
    let mut left = room;
    while left > 0 {
        let mut given = false;
        for (share, wanted) in shares.iter_mut().zip(wanted) {
            if *share < *wanted && left > 0 {
                *share += 1;
                left -= 1;
                given = true;
            }
        }
        if !given {
            break;
        }
    }
    shares
}

/// ` (4 s ago)`
fn ago(status: &Status, at: Timestamp) -> String {
    match status.age(at) {
        Some(age) if age < Duration::from_secs(1) => " (now)".to_owned(),
        Some(age) => format!(" ({} ago)", span(age)),
        None => " (in the future: was the clock set back?)".to_owned(),
    }
}

/// The watch at work has told nothing of any round for too long.
fn overdue(status: &Status) -> bool {
    let Some(watcher) = status.watcher else { return false };
    // One that has just begun has told nothing yet.
    let last = status.last_round.as_ref().map_or(watcher.since, |(at, _)| (*at).max(watcher.since));
    status.age(last).is_some_and(|age| age >= OVERDUE)
}

fn head(view: &View<'_>) -> Vec<Line> {
    let status = view.status;
    let mut lines = vec![watch(status)];
    match &status.last_round {
        Some((at, pass)) => {
            let mut word = pass.outcome.as_str().to_owned();
            if let (Outcome::Down, Some(hold)) = (pass.outcome, pass.holds.first()) {
                let _ = write!(word, ", held by gate {}", hold.gate);
            }
            let because = if pass.because.is_empty() { String::new() } else { format!(": {}", safe(&pass.because)) };
            // What is old is no news, whatever it says.
            let paint = if overdue(status) { Paint::Plain } else { outcome_paint(pass.outcome) };
            lines.push(vec![(word, paint), (because + &ago(status, *at), Paint::Plain)]);
            if overdue(status) {
                let text = "the watch has told nothing since: does it hang? What it last said may be true no longer";
                lines.push(vec![(text.to_owned(), Paint::Red)]);
            }
        }
        None => lines.push(vec![("no round is on record yet".to_owned(), Paint::Yellow)]),
    }
    lines.extend(lock(status));
    lines.extend(status.paused.as_ref().map(|pause| vec![(safe(&pause.to_string()), Paint::Yellow)]));
    if let Some(last) = &status.last_takeover {
        let outcome = last.outcome.map_or("not ended", Outcome::as_str);
        let took = last.took.map(|took| format!(", in {}", span(took))).unwrap_or_default();
        let moved = last.moves.iter().filter(|one| one.result.moved()).count();
        let text = format!(
            "last takeover: {outcome}, {:.0}{}: {} moved{took}: {}",
            last.at,
            ago(status, last.at),
            counted(moved, "change"),
            safe(&last.because)
        );
        lines.push(plain(text));
    }
    lines
}

/// Which natwatch this is, what time it is, and who is at work.
fn watch(status: &Status) -> Line {
    let name = (safe(&status.name), Paint::Bold);
    let now = (format!("  {:.0}  ", status.now), Paint::Plain);
    let watch = status.watcher.map_or_else(
        || ("no watch is at work".to_owned(), Paint::Yellow),
        |watcher| {
            let since = status.age(watcher.since).map(|age| format!(" for {}", span(age))).unwrap_or_default();
            (format!("watch at work{since} (process {})", watcher.pid), Paint::Plain)
        },
    );
    vec![name, now, watch]
}

fn lock(status: &Status) -> Option<Line> {
    Some(match (&status.record, status.record.trouble()) {
        (Found::Present(record), _) => {
            let since = format!(" since {:.0}{}", record.began, ago(status, record.began));
            vec![(format!("locked ({})", record.phase), Paint::Yellow), (since, Paint::Plain)]
        }
        (_, Some(trouble)) if status.locked() => {
            vec![("held as locked".to_owned(), Paint::Red), (format!(": {}", safe(&trouble)), Paint::Plain)]
        }
        (_, trouble) => plain(format!("not locked: {}", safe(&trouble?))),
    })
}

/// The verdicts of the last rounds, the newest to the right, and what the signs mean.
fn strip(view: &View<'_>, room: usize) -> Vec<Line> {
    let signs = &view.rounds.signs;
    let mut rounds = vec![("Rounds  ".to_owned(), Paint::Bold)];
    for sign in signs.iter().skip(signs.len().saturating_sub(room)) {
        let (text, paint) = match sign {
            Sign::Round(Verdict::Healthy) => (".", Paint::Green),
            Sign::Round(Verdict::Degraded) => ("d", Paint::Yellow),
            Sign::Round(Verdict::Down) => ("D", Paint::Red),
            Sign::Round(Verdict::Isolated) => ("i", Paint::Yellow),
            Sign::Round(Verdict::Unheard) => ("?", Paint::Yellow),
            Sign::Moved => ("T", Paint::Bold),
            Sign::Gap => (" ", Paint::Plain),
        };
        match rounds.last_mut() {
            Some((signs, same)) if *same == paint => signs.push_str(text),
            _ => rounds.push((text.to_owned(), paint)),
        }
    }
    let legend = "        . healthy  d degraded  D down  i isolated  ? unheard  T subnets moved";
    vec![Line::new(), rounds, plain(legend)]
}

fn sections(view: &View<'_>, width: usize) -> Vec<Section> {
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
            aligned(&active.into_iter().map(super::status::row).map(named).collect::<Vec<_>>())
        }
        Err(_) if view.asked.is_none() => vec![plain("  EC2 has not answered yet")],
        Err(error) => {
            let said = (format!(": {}", safe(error)), Paint::Plain);
            folded(vec![("  EC2 could not be asked".to_owned(), Paint::Yellow), said], width, 4)
        }
    };
    if let Some(trouble) = view.trouble {
        let said = (format!(": {}", safe(trouble)), Paint::Plain);
        let since = vec![("  EC2 could not be asked since".to_owned(), Paint::Yellow), said];
        rows.splice(0..0, folded(since, width, 4));
    }
    let beside = view.asked.map(|at| plain(format!("  by EC2{}", ago(status, at))));
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
        let mut row = vec![(safe(host), Paint::Plain), (safe(&seen.subnet), Paint::Plain)];
        row.extend(targets.iter().map(|target| match seen.fates.get(target) {
            Some(Fate::Reply { rtt }) => (span(*rtt), Paint::Plain),
            Some(Fate::NoReply) => ("missed".to_owned(), Paint::Red),
            None => ("-".to_owned(), Paint::Plain),
        }));
        let said = seen.silence.as_ref().map(silence).unwrap_or_default();
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
    let row = |(_, control): &(Timestamp, crate::model::Control)| {
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
        let gate = vec![(format!("  {}", hold.gate), Paint::Yellow), (format!(": {}", safe(&hold.why)), Paint::Plain)];
        let remedy = (!hold.remedy.is_empty()).then(|| plain(format!("    {}", whole(&hold.remedy))));
        [Some(gate), remedy].into_iter().flatten().flat_map(|line| folded(line, width, 4)).collect::<Vec<_>>()
    };
    let rows = view.status.holds.iter().flat_map(lines).collect();
    Section { title: "A takeover would be held now", beside: Line::new(), rows }
}

fn notes(view: &View<'_>, width: usize) -> Section {
    let status = view.status;
    let of_pass = status.last_round.iter().flat_map(|(_, pass)| &pass.notes);
    let lines = |note: &String| folded(plain(format!("  {}", safe(note))), width, 4);
    Section { title: "Notes", beside: Line::new(), rows: status.notes.iter().chain(of_pass).flat_map(lines).collect() }
}
