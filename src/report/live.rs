//! `natwatch status --watch`: one sight of it all, made to fit a terminal, or whole for a pipe.
//!
//! It knows no clock and no terminal: the time is the status's own, and the room there is an argument. What is worst comes first, and
//! what does not fit is counted.

mod sections;
mod seen;

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::lines::{Line, cut, folded, painted, plain};
use super::status::Status;
use super::text::outcome_paint;
use super::{Paint, Style, counted, safe, said, span};
use crate::model::{Found, Outcome, Verdict};
use sections::sections;
pub use seen::Rounds;
use seen::Sign;

/// Rows of a list in a pipe, where no room is short: a panel may be of thousands.
const ROWS: usize = 50;

/// A watch keeps each round while somebody looks on, but a burst and a takeover may take `decision.deadline`, a minute at most; an older
/// round is of a watch that hangs.
const OVERDUE: Duration = Duration::from_secs(75);

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
    let known = (
        &status.record,
        &status.paused,
        &status.watcher,
        &status.active,
        &status.holds,
        &status.last_takeover,
        &status.last_drill,
    );
    format!(
        "{:?}",
        (known, pass, &status.notes, overdue(status), view.asked.is_some(), view.trouble, view.rounds.trouble())
    )
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
            let because =
                if pass.because.is_empty() { String::new() } else { format!(": {}", said(&pass.names, &pass.because)) };
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
            said(&status.names, &last.because)
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
            vec![
                ("held as locked".to_owned(), Paint::Red),
                (format!(": {}", said(&status.names, &trouble)), Paint::Plain),
            ]
        }
        (_, trouble) => plain(format!("not locked: {}", said(&status.names, &trouble?))),
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
