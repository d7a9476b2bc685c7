//! From values to what people and machines read: text, JSON, log lines.
//!
//! It decides nothing and asks nobody. Nothing from outside (names, tags, what a remote host said) reaches the output
//! other than through `safe`, since a terminal obeys escape sequences whoever sent them.

pub mod ask;
pub mod doctor;
mod drill;
pub mod event;
pub mod history;
pub mod init;
pub mod json;
mod lines;
pub mod live;
pub mod log;
pub mod metrics;
pub mod plugin;
pub mod replay;
pub mod status;
pub mod text;

use std::io::{self, Write};
use std::time::Duration;

use lines::columns;

use crate::model::{AddressStep, Change, Failure, Holder, Move, MoveResult, Names, Verification, printable};

/// Longest piece of outside text in one place: a line of `ssh`'s complaints fits, a novel doesn't.
const LONGEST: usize = 300;

/// When to use colours (`--color`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal that can, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Somebody watches: the whole account rather than what a mail needs.
    pub terminal: bool,
    /// SGR sequences for emphasis.
    pub colour: bool,
    /// Only ASCII: the locale is not UTF-8.
    pub ascii: bool,
}

impl Style {
    /// No colours, ASCII, compact: what suits any file or mail.
    pub const PLAIN: Self = Self { terminal: false, colour: false, ascii: true };

    /// What suits `terminal` (whether stdout is one) and the environment that `env` looks up: `NO_COLOR`
    /// (<https://no-color.org>: set and not empty), `TERM`, and the locale of locale(7) (`LC_ALL`, else `LC_CTYPE`, else `LANG`).
    #[must_use]
    pub fn new(choice: Color, terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let able = set("TERM").is_some_and(|term| term != "dumb");
        let colour = match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && able && set("NO_COLOR").is_none(),
        };
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self { terminal, colour, ascii: !(locale.contains("utf-8") || locale.contains("utf8")) }
    }

    /// `text` with `paint`, where colours are on.
    #[must_use]
    fn paint(self, paint: Paint, text: &str) -> String {
        if self.colour && paint != Paint::Plain {
            format!("\x1b[{}m{text}\x1b[0m", paint as u8)
        } else {
            text.to_owned()
        }
    }

    /// The last step of every text: without UTF-8, what is not ASCII is written as its code.
    fn finish(self, text: String) -> String {
        if !self.ascii || text.is_ascii() {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '…' => out.push_str("..."),
                c if c.is_ascii() => out.push(c),
                c => out.extend(c.escape_unicode()),
            }
        }
        out
    }
}

/// An emphasis, by its code in ECMA-48's SGR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain = 0,
    Bold = 1,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// Text from outside, fit to print.
fn safe(text: &str) -> String {
    printable(text, LONGEST)
}

/// A command or remedy, which is ours and is pasted: nothing is cut from it, but it is one line without escapes all the same.
fn whole(command: &str) -> String {
    printable(command, usize::MAX)
}

/// A sentence of ours, in which ids stand: with the names of those that have one.
fn said(names: &Names, text: &str) -> String {
    names.tell(&safe(text))
}

/// An id, with its `Name` tag where it has one.
fn named(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{id} ({})", safe(name)))
}

/// `1 backend`, `2 backends`.
fn counted(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// A span as people say it: `0.4 ms`, `312 ms`, `2.3 s`, `4 min`, `5 h`, `12 d`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span < Duration::from_millis(10) => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        0 => format!("{} ms", span.as_millis()),
        1..10 => format!("{:.1} s", span.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// What is said of events that wait for the hook.
#[must_use]
pub fn undelivered(waiting: usize) -> String {
    let (events, wait) = (counted(waiting, "event"), if waiting == 1 { "waits" } else { "wait" });
    format!("{events} {wait} for the hook (notify.command): natwatch run -v says why")
}

/// Whole milliseconds, for machines.
fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What an exit status of `run` means, as the manual has it.
#[must_use]
pub const fn exit_meaning(exit: u8) -> &'static str {
    match exit {
        0 => "healthy, or done as asked",
        1 => "degraded, or healthy without redundancy",
        2 => "critical: backends are cut off and are not all restored, or a takeover would fail",
        3 => "unknown: nothing can be said about the primary now",
        4 => "taken over in this run, and verified",
        5 => "locked: an earlier takeover carries the subnets and awaits failback or reset; traffic flows",
        64 => "usage",
        75 => "another natwatch with this name is moving subnets now",
        78 => "configuration",
        _ => "not a status of natwatch's",
    }
}

/// The word that machines read.
const fn verification(verification: &Verification) -> &'static str {
    match verification {
        Verification::Pending => "pending",
        Verification::Verified => "verified",
        Verification::Unverified => "unverified",
        Verification::Unwitnessed => "unwitnessed",
    }
}

/// What is changed, with its name where it has one.
fn changed(plan: &Change, names: &Names) -> String {
    match plan {
        Change::Association(one) if one.name.is_some() => named(one.subnet.as_str(), one.name.as_deref()),
        Change::Association(_) | Change::Route(_) => names.tell(&plan.to_string()),
    }
}

/// What became of a step, in words.
fn became(result: &MoveResult, names: &Names) -> (String, Paint) {
    match result {
        MoveResult::Elsewhere(place) => (format!("elsewhere: on {}", said(names, place)), Paint::Yellow),
        MoveResult::Failed(why) => (format!("failed: {}", said(names, why)), Paint::Red),
        MoveResult::Unknown(why) => (format!("unknown: {}", said(names, why)), Paint::Red),
        MoveResult::Pending => ("pending".to_owned(), Paint::Yellow),
        settled @ (MoveResult::Moved | MoveResult::AlreadyThere | MoveResult::WouldMove) => {
            (settled.as_str().to_owned(), Paint::Green)
        }
    }
}

/// The address that was to be brought along.
fn address_row(step: &AddressStep, names: &Names) -> Vec<(String, Paint)> {
    let place =
        |holder: Option<&Holder>| holder.map_or_else(|| "nobody".to_owned(), |holder| names.tell(&holder.to_string()));
    let (result, paint) = became(&step.result, names);
    let took = if step.result.moved() { span(step.took) } else { String::new() };
    vec![
        (step.plan.address.to_string(), Paint::Plain),
        (format!("{} -> {}", place(step.plan.from.as_ref()), place(step.plan.to.as_ref())), Paint::Plain),
        (result, paint),
        (took, Paint::Plain),
        (String::new(), Paint::Plain),
    ]
}

/// One move as cells: subnet, from and to, result, time, verification.
fn move_row(step: &Move, names: &Names) -> Vec<(String, Paint)> {
    let plan = &step.plan;
    let (result, paint) = became(&step.result, names);
    let (took, seen) = match step.result {
        MoveResult::Moved | MoveResult::AlreadyThere => (span(step.took), &step.verification),
        _ => (String::new(), &Verification::Pending),
    };
    let (word, seen_paint) = match seen {
        Verification::Pending => ("", Paint::Plain),
        Verification::Verified => ("verified", Paint::Green),
        Verification::Unverified => ("unverified", Paint::Red),
        Verification::Unwitnessed => ("unwitnessed", Paint::Yellow),
    };
    vec![
        (changed(plan, names), Paint::Plain),
        (format!("{} -> {}", names.tell(&plan.from()), names.tell(&plan.to())), Paint::Plain),
        (result, paint),
        (took, Paint::Plain),
        (word.to_owned(), seen_paint),
    ]
}

/// Writes a failure to stderr, each of its lines as an error, and where JSON is wanted as an event each, and as a document to stdout: who
/// reads that expects one whatever happens. Nothing can be done where they are closed.
pub fn error(failure: &Failure, json: bool) {
    if json {
        let errors: Vec<String> = failure.text.lines().map(whole).collect();
        let _ =
            stdout(&format!("{}\n", serde_json::json!({ "outcome": "error", "exit": failure.exit, "errors": errors })));
    }
    let mut err = io::stderr().lock();
    for line in failure.text.lines().map(whole) {
        let _ = if json {
            let event =
                serde_json::json!({ "event": "error", "exit": failure.exit, "level": "error", "message": line });
            writeln!(err, "{event}")
        } else {
            writeln!(err, "error: {line}")
        };
    }
}

/// Writes a line of progress to stderr, for who watches.
pub fn progress(text: &str) {
    let mut err = io::stderr().lock();
    for line in text.lines() {
        let _ = writeln!(err, "{}", whole(line));
    }
}

/// Writes `text` to stdout. That the reader has gone (a closed pipe, `| head`) is not an error: the exit status still says
/// what there is to say.
///
/// # Errors
///
/// Any other error of the operating system, such as a full disk behind a redirection.
pub fn stdout(text: &str) -> io::Result<()> {
    write_to(&mut io::stdout().lock(), text)
}

fn write_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
