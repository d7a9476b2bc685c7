//! A pause (`pause.json`): automatic action is held for a while, and always goes on by itself.
//!
//! The wall clock may be set meanwhile, so within one boot the end is a moment of `CLOCK_BOOTTIME`, which nobody can set
//! (`clock_gettime(2)`); after a reboot it is the wall clock's, and never further off than the pause was long. A file that
//! can't be read holds nothing, since it would never expire.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::history::{Deed, Entry};
use super::{PAUSE, State, StateError, VERSION, durable};
pub use crate::model::Boot;
use crate::model::{Found, LastSteps, Paused};

/// A pause as an operator asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// When it was asked for.
    pub since: Timestamp,
    /// When it ends, by the wall clock as it was then.
    pub until: Timestamp,
    /// The same by the boot clock, where it could be read.
    pub boot: Option<Boot>,
    /// Why, in the operator's words.
    pub reason: String,
}

impl Boot {
    /// This moment; `None` where `/proc` does not tell which boot this is.
    #[must_use]
    pub fn now() -> Option<Self> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let at = Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
        Some(Self { id, at })
    }
}

impl Pause {
    /// A pause that begins at `now` and `boot`.
    #[must_use]
    pub fn new(now: Timestamp, boot: Option<Boot>, length: Duration, reason: String) -> Self {
        let length_of_wall = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        Self {
            version: VERSION,
            since: now,
            until: now.checked_add(length_of_wall).unwrap_or(Timestamp::MAX),
            boot: boot.map(|boot| Boot { at: boot.at + length, ..boot }),
            reason,
        }
    }

    /// How long it still lasts; `None`: it is over.
    #[must_use]
    pub fn left(&self, now: Timestamp, boot: Option<&Boot>) -> Option<Duration> {
        let left = match (&self.boot, boot) {
            (Some(end), Some(now)) if end.id == now.id => end.at.saturating_sub(now.at),
            _ => {
                let whole = self.until.duration_since(self.since);
                Duration::try_from(self.until.duration_since(now).min(whole)).unwrap_or_default()
            }
        };
        (!left.is_zero()).then_some(left)
    }

    /// The pause as gates and people see it; `None`: it is over.
    #[must_use]
    pub fn holds(&self, now: Timestamp, boot: Option<&Boot>) -> Option<Paused> {
        let left = SignedDuration::try_from(self.left(now, boot)?).unwrap_or(SignedDuration::MAX);
        let until = now.checked_add(left).unwrap_or(Timestamp::MAX);
        Some(Paused { until, reason: self.reason.clone() })
    }
}

/// The pause that holds now. One of a newer natwatch holds too, since nobody can know here for how long it was meant.
#[must_use]
pub fn in_force(found: Found<Pause>, now: Timestamp) -> Option<Paused> {
    match found {
        Found::Present(pause) => pause.holds(now, Boot::now().as_ref()),
        Found::Newer { .. } => Some(Paused { until: Timestamp::MAX, reason: found.trouble().unwrap_or_default() }),
        Found::Absent | Found::Corrupt { .. } | Found::Foreign { .. } => None,
    }
}

impl State {
    /// The pause on file, whether or not it is over.
    #[must_use]
    pub fn read_pause(&self) -> Found<Pause> {
        self.read_json(PAUSE)
    }

    /// Remembers a pause, in the place of any other.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn write_pause(&self, pause: &Pause) -> Result<(), StateError> {
        self.write_json(PAUSE, pause)
    }

    /// Closes the pause on file where it has ended by itself, with a line in the history. One that is killed in between leaves the line, and no
    /// second one. Whoever has the turn at it calls this.
    ///
    /// # Errors
    ///
    /// [`StateError`] where the line could not be written, or the pause not be removed: the next one tries again.
    pub fn close_pause(&self, now: Timestamp) -> Result<(), StateError> {
        let Some(line) = self.ended_pause(now) else { return Ok(()) };
        let (entries, _) = self.read_history()?;
        if !entries.contains(&line) {
            self.append_history(&line)?;
        }
        self.clear_pause()
    }

    /// The line of the history for the pause on file, where it has ended by itself.
    #[must_use]
    pub fn ended_pause(&self, now: Timestamp) -> Option<Entry> {
        let pause = self.read_pause().present()?;
        if pause.holds(now, Boot::now().as_ref()).is_some() {
            return None;
        }
        let took = Duration::try_from(pause.until.duration_since(pause.since)).unwrap_or_default();
        Some(Entry {
            version: VERSION,
            kind: Deed::Resume,
            // By the wall clock as it was when the pause was asked for: the same whoever writes it, and when.
            at: pause.until,
            instance: None,
            why: format!("the pause was over: {}", pause.reason),
            outcome: None,
            moves: Vec::new(),
            last: LastSteps::default(),
            drill: None,
            took,
        })
    }

    /// Removes the pause.
    ///
    /// # Errors
    ///
    /// [`StateError`] where the disk says no.
    pub fn clear_pause(&self) -> Result<(), StateError> {
        durable::remove(self.folder(), &self.path(PAUSE))
    }
}
