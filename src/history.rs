//! `natwatch history`: what was done by this natwatch and its operators. It asks nobody and changes nothing.

use std::io::IsTerminal as _;

use jiff::Timestamp;

use crate::cli::{Format, Global};
use crate::config::Settings;
use crate::model::failure::exit;
use crate::model::{Failure, Names};
use crate::record::State;
use crate::record::history::Entry;
use crate::report;
use crate::report::history::{Event, History};

/// Prints the history, newest last; exit status 0. What can't be read of it is counted.
///
/// # Errors
/// 2: the state folder or the file can't be used.
pub fn command(settings: &Settings, global: &Global) -> Result<u8, Failure> {
    let failed = |why: String| Failure::new(exit::FAILED, why);
    let state = State::look(&settings.state).map_err(|error| failed(error.to_string()))?;
    let (mut entries, unreadable) = state.read_history().map_err(|error| failed(error.to_string()))?;
    // What no pass has noted yet, as after a pause that outlasted the service.
    let ended = state.ended_pause(Timestamp::now()).filter(|line| !entries.contains(line));
    entries.extend(ended);
    // What is called how now: the history knows of the subnets that it moved how they were called then.
    let mut names = Names::new();
    names.learn_moves(entries.iter().flat_map(|entry| &entry.moves));
    if let Some(guarded) = state.read_guarded().0 {
        names.learn_guarded(&guarded);
    }
    let events = entries.into_iter().map(event).collect();
    let history = History { name: settings.name.clone(), events, unreadable, names };
    let text = match global.format {
        Format::Json => report::history::json(&history),
        Format::Text => report::history::text(&history, crate::run::style(global, std::io::stdout().is_terminal())),
    };
    report::stdout(&text).map_err(|error| failed(format!("stdout: {error}")))?;
    Ok(0)
}

fn event(entry: Entry) -> Event {
    let Entry { kind, at, instance, why, outcome, moves, last, drill, took, .. } = entry;
    Event { kind: kind.as_str(), at, instance, why, outcome, moves, address: last.address, drill, took }
}
