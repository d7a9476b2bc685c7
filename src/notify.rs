//! Hooks: an operator's program is told of events, one call each.
//!
//! | file | job |
//! |---|---|
//! | `hook` | one call of the program |
//! | `delivery` | which event is due, and what is tried again when |
//!
//! It decides nothing of what an event is, and keeps none: they come from an [`Outbox`]. Nobody waits for it who moves subnets.

mod delivery;
mod hook;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

pub use delivery::{RETRIES, forever, once};
pub use hook::Program;

use crate::model::{EventKind, Finding, Fitness, Topic};

/// The hook, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// The program, by its absolute path, and its first arguments; not empty.
    pub command: Vec<String>,
    /// When a call is ended that has not ended by itself: 1 s to 60 s.
    pub timeout: Duration,
}

/// An event on its way to the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its own, and that of no other event.
    pub id: String,
    /// What happened.
    pub event: EventKind,
    /// What the hook reads.
    pub document: String,
    /// How often the hook was called with it.
    pub calls: u32,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// Taken: exit status 0.
    Taken,
    /// Not now: exit status 1, ended by a signal or by its timeout, or could not be started; and why.
    Again(String),
    /// Never: any other exit status; and why.
    Never(String),
}

/// The operator's program.
pub trait Hook {
    /// When a call is ended.
    fn timeout(&self) -> Duration;
    /// Calls it with one event; ended after `wait`, with its children.
    fn call(&self, letter: &Letter, wait: Duration) -> impl Future<Output = Called>;
}

/// Where events wait.
pub trait Outbox {
    /// Those that wait now, oldest first.
    fn waiting(&self) -> Vec<Letter>;
    /// The hook is about to be called with it for the `calls`th time; remembered, so that one whose call ends us is not called for ever.
    fn calling(&self, id: &str, calls: u32);
    /// It is off our hands: taken, or `lost`.
    fn done(&self, id: &str, lost: bool);
}

/// Whether the hook is there and may be called: what `doctor` has to say of it, by whether natwatch's own user `may` run it; where not, why,
/// and the command that mends it.
#[must_use]
pub fn finding(settings: &NotifySettings, may: impl FnOnce(&Path) -> Result<(), (String, Option<String>)>) -> Finding {
    let command = settings.command.first().map_or("", String::as_str);
    let shown = crate::model::printable(command, 200);
    let found = |fitness, text| Finding::new(Topic::Configuration, "hook", fitness, text);
    let path = Path::new(command);
    match regular(path).map_err(|why| (why, None)).and_then(|()| may(path)) {
        Ok(()) => found(Fitness::Fit, format!("the hook {shown} is there and may be run")),
        Err((why, remedy)) => {
            let text = format!("the hook {shown} can't be run: {why}; nobody is told of events");
            let found = found(Fitness::Warning, text).cause("hook-not-run");
            match remedy {
                Some(remedy) => found.remedy(remedy),
                None => found.change("notify.command", "command = [\"the path of a program that may be run\"]"),
            }
        }
    }
}

fn regular(command: &Path) -> Result<(), String> {
    let meta = std::fs::metadata(command).map_err(|error| error.to_string())?;
    if meta.is_file() { Ok(()) } else { Err("it is not a regular file".to_owned()) }
}

/// Whether `command` is a program that this user may run.
///
/// # Errors
/// Why not.
pub fn usable(command: &Path) -> Result<(), String> {
    regular(command)?;
    rustix::fs::access(command, rustix::fs::Access::EXEC_OK).map_err(|error| std::io::Error::from(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_is_told_whether_the_hook_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hook");
        let settings =
            NotifySettings { command: vec![path.to_str().unwrap().to_owned()], timeout: Duration::from_secs(20) };
        let refused = || Err(("user 990 may not".to_owned(), Some("chmod g+rx hook".to_owned())));
        let said = |may: Result<(), (String, Option<String>)>, fitness, text: &str, remedy| {
            let found = finding(&settings, |_| may);
            assert!(found.fitness == fitness && found.text.contains(text), "{found:?}");
            assert_eq!(found.remedy.as_deref(), remedy);
        };
        said(Ok(()), Fitness::Warning, "No such file", None);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        said(refused(), Fitness::Warning, "user 990 may not", Some("chmod g+rx hook"));
        said(Ok(()), Fitness::Fit, "may be run", None);
        assert!(usable(&path).unwrap_err().contains("Permission denied"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        said(Ok(()), Fitness::Warning, "not a regular file", None);
    }
}
