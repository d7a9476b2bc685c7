//! Events that no hook has taken yet (`events/`): a file each, written whole, and oldest first by name.
//!
//! Each carries what was told by it, so that a process that is killed between the event and `told.json` makes it once and not twice.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::lock::Delivering;
use super::told::Told;
use super::{EVENTS, State, StateError, TEMPORARY, VERSION, durable, parse, sweep};
use crate::model::{EventKind, Finding, Fitness, Topic};

/// So many wait at most: two thirds of a day of one state that flaps at its worst. Of more the oldest are dropped: what is now is worth more.
const MOST: usize = 100;

/// What a file's name ends in.
const ENDING: &str = ".json";

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Layout of the file: [`super::VERSION`].
    pub version: u32,
    /// Its own, and that of no other event; sorts by age.
    pub id: String,
    /// What happened.
    pub event: EventKind,
    /// When.
    pub at: Timestamp,
    /// How often a hook was called with it.
    pub calls: u32,
    /// What the hook reads.
    pub document: String,
    /// What is told by it.
    pub told: Told,
}

impl Waiting {
    /// One that no hook was called with.
    #[must_use]
    pub const fn new(id: String, event: EventKind, at: Timestamp, document: String, told: Told) -> Self {
        Self { version: VERSION, id, event, at, calls: 0, document, told }
    }
}

/// The folder of events.
#[derive(Debug)]
pub struct Events {
    folder: Folder,
}

impl Events {
    /// The one of this state folder; made where it is not there.
    ///
    /// # Errors
    ///
    /// As [`State::open`].
    pub fn open(state: &State) -> Result<Self, StateError> {
        Ok(Self { folder: Folder::open(&state.path(EVENTS))? })
    }

    /// The same for who only reads.
    ///
    /// # Errors
    ///
    /// As [`State::look`].
    pub fn look(state: &State) -> Result<Self, StateError> {
        Ok(Self { folder: Folder::look(&state.path(EVENTS))? })
    }

    /// Every event that can be read, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let read = |name: String| {
            let path = self.folder.path(&name);
            let bytes = self.folder.read(&path).ok()??;
            parse(path, &bytes).present().filter(|one: &Waiting| name == format!("{}{ENDING}", one.id))
        };
        self.names().into_iter().filter_map(read).collect()
    }

    /// How many wait, readable or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names().len()
    }

    /// Keeps an event, new or changed. Returns how many were dropped for it.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn keep(&self, one: &Waiting) -> Result<usize, StateError> {
        let path = self.path(&one.id);
        let bytes = serde_json::to_vec_pretty(one).map_err(|error| StateError::Io {
            doing: "serialise",
            path: path.clone(),
            reason: error.into(),
        })?;
        durable::write(&self.folder, &path, &bytes)?;
        sweep(self.folder.dir());
        let names = self.names();
        let many = names.len().saturating_sub(MOST);
        // This one is kept: what could not be removed is dropped by the next.
        let dropped =
            names[..many].iter().filter(|name| durable::remove(&self.folder, &self.folder.path(name)).is_ok());
        Ok(dropped.count())
    }

    /// It is delivered, or given up.
    ///
    /// # Errors
    ///
    /// [`StateError::Io`] where the disk says no.
    pub fn remove(&self, id: &str) -> Result<(), StateError> {
        durable::remove(&self.folder, &self.path(id))
    }

    /// What `doctor` has to say of them.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let found = |fitness, text| Finding::new(Topic::State, "events", fitness, text);
        match (self.count(), self.waiting().first()) {
            (0, _) => found(Fitness::Fit, "no event waits for the hook".to_owned()),
            (n, oldest) => {
                let since = oldest.map(|one| format!(", the oldest since {:.0}", one.at)).unwrap_or_default();
                found(Fitness::Warning, format!("{n} of at most {MOST} events wait for the hook{since}"))
                    .cause("events-waiting")
                    .remedy("natwatch run -v")
            }
        }
    }

    /// The right to deliver, which one process has at a time; `None`: another has it.
    #[must_use]
    pub fn deliver(&self) -> Option<Delivering> {
        Delivering::begin(self.folder.handle().ok()?)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.path(&format!("{id}{ENDING}"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.dir()).into_iter().flatten().flatten();
        let ours = |name: &String| name.ends_with(ENDING) && !name.starts_with(TEMPORARY);
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(ours);
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn event(n: u64) -> Waiting {
        let id = format!("{n:08}-x");
        Waiting::new(id, EventKind::Degraded, Timestamp::UNIX_EPOCH, "{}\n".to_owned(), Told::default())
    }

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        (dir, state)
    }

    #[test]
    fn events_wait_in_files_of_their_own_until_they_are_taken() {
        let (_dir, state) = state();
        let none = Events::look(&state).unwrap();
        assert_eq!((none.count(), none.finding().fitness), (0, Fitness::Fit));
        assert!(!state.path(EVENTS).exists(), "who looks makes nothing");
        let events = Events::open(&state).unwrap();
        for n in [3, 1, 2] {
            assert_eq!(events.keep(&event(n)).unwrap(), 0);
        }
        let changed = Waiting { calls: 4, ..event(2) };
        events.keep(&changed).unwrap();
        assert_eq!(events.waiting(), [event(1), changed, event(3)]);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(state.path(EVENTS)), mode(events.path(&event(1).id))), (0o750, 0o640));
        events.remove(&event(1).id).unwrap();
        events.remove(&event(1).id).unwrap();
        assert_eq!(events.count(), 2);
    }

    #[test]
    fn of_more_than_a_hundred_the_oldest_are_dropped_and_counted() {
        let (_dir, state) = state();
        let events = Events::open(&state).unwrap();
        let dropped: usize = (0..103).map(|n| events.keep(&event(n)).unwrap()).sum();
        assert_eq!((dropped, events.count()), (3, 100));
        let found = events.finding();
        assert_eq!(found.fitness, Fitness::Warning);
        assert_eq!(found.text, "100 of at most 100 events wait for the hook, the oldest since 1970-01-01T00:00:00Z");
        assert_eq!(events.waiting()[0], event(3));
    }

    #[test]
    fn f072_f073_what_is_torn_foreign_or_of_a_newer_natwatch_is_passed_over() {
        let (dir, state) = state();
        let events = Events::open(&state).unwrap();
        events.keep(&event(5)).unwrap();
        let put = |name: &str, text: &str| fs::write(events.folder.path(name), text).unwrap();
        put("1.json", "{ torn");
        put("2.json", "{\"version\": 99}");
        put(".natwatch-abc.tmp", "");
        // Of another's name: it would be called for ever, since what is removed is another file.
        put("3.json", &serde_json::to_string(&event(5)).unwrap());
        let outside = dir.path().join("outside");
        fs::write(&outside, serde_json::to_string(&event(4)).unwrap()).unwrap();
        symlink(&outside, events.path(&event(4).id)).unwrap();
        assert_eq!(events.waiting(), [event(5)]);
    }

    #[test]
    fn one_process_delivers_at_a_time() {
        let (_dir, state) = state();
        let (one, two) = (Events::open(&state).unwrap(), Events::open(&state).unwrap());
        let held = one.deliver().unwrap();
        assert!(two.deliver().is_none());
        drop(held);
        assert!(two.deliver().is_some());
    }
}
