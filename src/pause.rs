//! `natwatch pause` and `natwatch resume`: hold all automatic action for a while. They change nothing in AWS.
//!
//! A pause always ends by itself: a watchdog that somebody forgot to switch on again is worse than none.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::{Format, Global};
use crate::config::{Settings, duration};
use crate::model::failure::exit;
use crate::model::{EventKind, Failure, printable};
use crate::record::history::{Deed, Entry};
use crate::record::lock::{PATIENT, Turn};
use crate::record::pause::{Boot, Pause};
use crate::record::{State, VERSION};
use crate::report;
use crate::run::{Deed as Told, Post, Signals};

/// A week: longer than any maintenance, and short enough that nobody forgets that it was asked for.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Of the reason, which is shown in one line everywhere.
const REASON: usize = 200;

/// Holds all automatic action for `length`; exit status 0. A pause that is not over is replaced.
///
/// # Errors
/// 64: the length is none, or not within 1 s and 168 h, or the reason is empty or too long. 2: it can't be remembered.
pub async fn pause(settings: &Settings, global: &Global, length: &str, reason: &str) -> Result<u8, Failure> {
    let usage = |text: String| Failure::new(exit::USAGE, text);
    let wrong =
        || usage(format!("--for {}: a duration within \"1s\" and \"168h\" is wanted, like 30m", printable(length, 40)));
    let length = duration(length).map_err(|_| wrong())?;
    if !(Duration::from_secs(1)..=LONGEST).contains(&length) {
        return Err(wrong());
    }
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON {
        return Err(usage(format!("--reason: 1 to {REASON} characters are wanted, to be read by whoever wonders")));
    }
    let state = open(settings)?;
    let now = Timestamp::now();
    let pause = Pause::new(now, Boot::now(), length, reason.to_owned());
    let turn = Turn::take(&state, PATIENT);
    // One that is in its place, and nobody has noticed the end of.
    let closed = state.close_pause(now);
    state.write_pause(&pause).map_err(|error| failed(&error))?;
    closed.map_err(|error| unwritten(&error))?;
    remember(&state, Deed::Pause, now, reason, length)?;
    drop(turn);
    let paused = pause.holds(now, Boot::now().as_ref());
    let text = paused.as_ref().map_or_else(String::new, ToString::to_string);
    let post = Post::new(settings, &state);
    post.did(EventKind::Paused, Told { because: &text, paused: paused.as_ref(), ..Told::default() });
    let said = say(global, paused.as_ref().map(|one| one.until), &text);
    post.deliver(&mut Signals::new()).await;
    said
}

/// Ends a pause; exit status 0, also where there is none.
///
/// # Errors
/// 2: the file can't be removed.
pub async fn resume(settings: &Settings, global: &Global) -> Result<u8, Failure> {
    let state = open(settings)?;
    let now = Timestamp::now();
    let turn = Turn::take(&state, PATIENT);
    let closed = state.close_pause(now);
    let pause = state.read_pause().present();
    let running = pause.as_ref().and_then(|pause| pause.holds(now, Boot::now().as_ref()));
    state.clear_pause().map_err(|error| failed(&error))?;
    closed.map_err(|error| unwritten(&error))?;
    match running {
        None => say(global, None, "nothing was paused"),
        Some(paused) => {
            let lasted = pause.and_then(|pause| Duration::try_from(now.duration_since(pause.since)).ok());
            remember(&state, Deed::Resume, now, &paused.reason, lasted.unwrap_or_default())?;
            drop(turn);
            let post = Post::new(settings, &state);
            let because = "an operator has ended the pause before its time";
            post.did(EventKind::Resumed, Told { because, ..Told::default() });
            let said = say(global, None, "resumed; the next run may take over again");
            post.deliver(&mut Signals::new()).await;
            said
        }
    }
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(exit::FAILED, error.to_string())
}

fn open(settings: &Settings) -> Result<State, Failure> {
    State::open(&settings.state).map_err(|error| failed(&error))
}

fn remember(state: &State, kind: Deed, at: Timestamp, why: &str, took: Duration) -> Result<(), Failure> {
    let entry = Entry {
        version: VERSION,
        kind,
        at,
        instance: None,
        why: why.to_owned(),
        outcome: None,
        last: crate::model::LastSteps::default(),
        drill: None,
        moves: Vec::new(),
        took,
    };
    state.append_history(&entry).map_err(|error| unwritten(&error))
}

fn unwritten(error: &dyn std::error::Error) -> Failure {
    Failure::new(exit::FAILED, format!("done, but the history could not be written: {error}"))
}

fn say(global: &Global, until: Option<Timestamp>, text: &str) -> Result<u8, Failure> {
    let out = match global.format {
        Format::Json => report::json::pause(until),
        Format::Text if global.quiet => String::new(),
        Format::Text => format!("{text}\n"),
    };
    report::stdout(&out).map_err(|error| Failure::new(exit::FAILED, format!("stdout: {error}")))?;
    Ok(0)
}
