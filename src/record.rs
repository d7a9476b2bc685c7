//! What is remembered between passes: the folder `<state.dir>/<name>/` and the files in it.
//!
//! It decides nothing: what a corrupt record or a busy lock leads to is for the caller. It never panics for want of
//! disk, rights or sense in a file; each is a value ([`StateError`], [`Found`]).
//!
//! Invariants: a file is old or new, never torn ([`durable`]). Nothing of ours is read or written through a symlink, in a
//! folder or file that others can write, or over a file of a newer natwatch. Reading changes nothing, so `status`, `check`
//! and `--dry-run` may do it at any time. The folder's owner is trusted as the program itself is: who can write the folder
//! can lock and unlock anyway.

pub mod counts;
pub mod durable;
pub mod events;
pub mod facts;
pub mod fleet;
mod folder;
pub mod history;
pub mod lock;
pub mod pause;
pub mod printed;
pub mod round;
pub mod takeover;
pub mod targets;
pub mod textfile;
pub mod told;
pub mod witnesses;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::model::Found;
use crate::model::GuardedSet;
use folder::Folder;

/// The lock of whoever is moving subnets.
pub(crate) const RUN_LOCK: &str = "run.lock";
/// The lock of the one `watch`.
pub(crate) const WATCH_LOCK: &str = "watch.lock";
/// The turn at what several of ours change.
pub(crate) const TURN_LOCK: &str = "turn.lock";
/// The takeover record, which is the lock that outlives us.
pub(crate) const TAKEOVER: &str = "takeover.json";
/// The guarded subnets as last seen.
pub(crate) const GUARDED: &str = "guarded.json";
/// The running instances of the guarded subnets as last seen.
pub const FLEET: &str = "fleet.json";
/// Who has been seen reaching through the primary.
pub(crate) const WITNESSES: &str = "witnesses.json";
/// Where targets' names were last found, and how steadily targets answered.
pub(crate) const TARGETS: &str = "targets.json";
/// The input of `replay`.
pub(crate) const LAST_ROUND: &str = "last-round.json";
/// Until when automatic action is held, and why.
pub(crate) const PAUSE: &str = "pause.json";
/// What only root can see of this machine.
pub(crate) const FACTS: &str = "facts.json";
/// What was last printed where nobody watches.
pub(crate) const PRINTED: &str = "printed.json";
/// What was done, one line each.
pub(crate) const HISTORY: &str = "history.jsonl";
/// What a hook was told last.
pub(crate) const TOLD: &str = "told.json";
/// What is counted for the metrics.
pub(crate) const COUNTS: &str = "counts.json";
/// The folder of events that no hook has taken yet.
pub(crate) const EVENTS: &str = "events";

/// Every file of ours, for the check at [`State::open`].
const FILES: &[&str] = &[
    RUN_LOCK, WATCH_LOCK, TURN_LOCK, TAKEOVER, GUARDED, FLEET, WITNESSES, TARGETS, LAST_ROUND, PAUSE, FACTS, PRINTED,
    HISTORY, TOLD, COUNTS,
];

/// Layout of the files that this program writes.
pub const VERSION: u32 = 1;

/// A read stops here and calls the file broken: far above what we write (20 000 witnesses are some 5 MB), far below what hurts.
pub const READ_LIMIT: u64 = 32 << 20;

/// Temporary files begin with this.
pub(crate) const TEMPORARY: &str = ".natwatch-";

/// A temporary file older than this was left by a process that was killed: a write takes milliseconds.
const ABANDONED: Duration = Duration::from_hours(1);

/// Why something could not be remembered or read. One line, with the remedy where there is one.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused: disk full, read-only, no right.
    #[error("can't {doing} {}: {reason}", path.display())]
    Io {
        /// What was attempted: a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said. Part of the message, so not the source as well.
        reason: io::Error,
    },
    /// The folder or file is there and is not safe to use.
    #[error("{} {why}; {remedy}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// What is wrong, continuing the path: "is a symbolic link".
        why: String,
        /// What to do.
        remedy: String,
    },
    /// A newer natwatch wrote this, and we would overwrite what we don't understand.
    #[error(
        "{} was written by a newer natwatch (layout {version}) and is left as it is; install that version again, or move the file away",
        path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// The version of its layout.
        version: u64,
    },
    /// A record that can't be read stands where ours would go.
    #[error("{} can't be used and is left as it is: {why}; run `natwatch reset --force` once the subnets are where they belong", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl StateError {
    /// Whether another of ours was at it, and it is only to be tried again.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Io { reason, .. } if reason.kind() == io::ErrorKind::WouldBlock)
    }

    /// For `map_err`: `doing` on `path` failed.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::Io { doing, path, reason }
    }
}

/// One writing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    inode: u64,
    modified: SystemTime,
    length: u64,
}

/// An open state folder.
#[derive(Debug)]
pub struct State {
    folder: Folder,
}

impl State {
    /// Opens `<state.dir>/<name>`, and creates it (0750; missing parents 0755) where it is not there.
    ///
    /// # Errors
    ///
    /// [`StateError::Refused`] where the folder or a file of ours in it is a symlink, belongs to somebody else, or can be written
    /// by others; [`StateError::Io`] where the operating system says no.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let folder = Folder::open(dir)?;
        for file in FILES {
            folder.vet_file(&folder.path(file))?;
        }
        Ok(Self { folder })
    }

    /// The same for who only reads: creates nothing, and a folder that is not there is an empty one.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn look(dir: &Path) -> Result<Self, StateError> {
        let folder = Folder::look(dir)?;
        for file in FILES {
            folder.vet_file(&folder.path(file))?;
        }
        Ok(Self { folder })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.dir()
    }

    /// The path of one of our files.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path(file)
    }

    /// The folder, for locks and logs, which are not written whole.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A JSON file whose layout is at most [`VERSION`].
    pub(crate) fn read_json<T: DeserializeOwned>(&self, file: &str) -> Found<T> {
        let path = self.path(file);
        let bytes = match self.folder.read(&path) {
            Ok(None) => return Found::Absent,
            Ok(Some(bytes)) => bytes,
            Err(error) => return Found::Corrupt { path, why: error.to_string() },
        };
        parse(path, &bytes)
    }

    /// Writes a JSON file whole, unless a newer natwatch has written it.
    pub(crate) fn write_json<T: Serialize>(&self, file: &str, value: &T) -> Result<(), StateError> {
        let path = self.path(file);
        if let Found::Newer { path, version } = self.read_json::<serde::de::IgnoredAny>(file) {
            return Err(StateError::Newer { path, version });
        }
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| StateError::Io {
            doing: "serialise",
            path: path.clone(),
            reason: error.into(),
        })?;
        bytes.push(b'\n');
        durable::write(&self.folder, &path, &bytes)
    }

    /// What tells one writing of a file of ours from the next; `None`: there is none. What is written whole is another file each time
    /// ([`durable`]).
    pub(crate) fn mark(&self, file: &str) -> Option<Mark> {
        let meta = fs::symlink_metadata(self.path(file)).ok()?;
        Some(Mark { inode: meta.ino(), modified: meta.modified().ok()?, length: meta.len() })
    }

    /// The guarded subnets as last seen, and what to warn about: a file that is corrupt or newer counts as absent, since
    /// EC2 can be asked again.
    #[must_use]
    pub fn read_guarded(&self) -> (Option<GuardedSet>, Option<String>) {
        let found = self.read_json::<GuardedSet>(GUARDED);
        let warning = found.trouble();
        (found.present(), warning)
    }

    /// Remembers the guarded subnets.
    ///
    /// # Errors
    ///
    /// [`StateError`] where they could not be written, or a newer natwatch's are there.
    pub fn write_guarded(&self, set: &GuardedSet) -> Result<(), StateError> {
        self.write_json(GUARDED, set)
    }

    /// Removes what killed processes left: temporary files older than an hour. Failing is of no consequence.
    pub fn sweep(&self) {
        sweep(self.dir());
    }
}

/// See [`State::sweep`].
fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let old = modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > ABANDONED));
        if ours && old {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What `bytes`, the content of a JSON file of ours at `path`, say, where their layout is at most [`VERSION`].
#[must_use]
pub fn parse<T: DeserializeOwned>(path: PathBuf, bytes: &[u8]) -> Found<T> {
    // The version first: what a newer natwatch wrote may well not fit our types, and is not corrupt for that.
    let value: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Found::Corrupt { path, why: format!("not JSON: {error}") },
    };
    match value.get("version").and_then(serde_json::Value::as_u64) {
        None | Some(0) => return Found::Corrupt { path, why: "no layout version in it".to_owned() },
        Some(version) if version > u64::from(VERSION) => return Found::Newer { path, version },
        Some(_) => {}
    }
    // Read once more: errors of the text know their line.
    match serde_json::from_slice(bytes) {
        Ok(value) => Found::Present(value),
        Err(error) => Found::Corrupt { path, why: format!("not what we write: {error}") },
    }
}

#[cfg(test)]
mod tests;
