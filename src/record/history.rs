//! What was done, one JSON line each (`history.jsonl`): appended and synced, never rewritten. However often something is tried, the lines of it
//! are few; of a file that is too long all the same its end is read.
//!
//! A torn last line (power loss) is closed by the next append and ignored by every reader.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{HISTORY, READ_LIMIT, State, StateError, VERSION};
use crate::model::evidence::words;
use crate::model::{Drill, InstanceId, LastSteps, Move, Outcome};

/// Attempts in which nothing was moved are told again after this.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Some hundred lines of a takeover of a dozen subnets each.
const LATELY: u64 = 1 << 18;

words! {
    /// What was done.
    Deed {
        /// Subnets were moved to the standby, or it was tried.
        Takeover => "takeover",
        /// Subnets were brought back to the primary, or it was tried.
        Failback => "failback",
        /// One subnet was moved to the standby and back, for practice, or it was tried.
        Drill => "drill",
        /// The lock was cleared by an operator.
        Reset => "reset",
        /// Automatic action was held for a while.
        Pause => "pause",
        /// A pause has ended: by an operator before its time, or by itself.
        Resume => "resume",
    }
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Layout of the line: [`super::VERSION`].
    pub version: u32,
    /// What was done.
    pub kind: Deed,
    /// When it began.
    pub at: Timestamp,
    /// By which instance, where that is known.
    pub instance: Option<InstanceId>,
    /// Why, in one sentence.
    pub why: String,
    /// What it came to; `None` where there is nothing to come to.
    pub outcome: Option<Outcome>,
    /// From where to where, and how each move ended.
    pub moves: Vec<Move>,
    /// What was done when all of them stood.
    #[serde(default, skip_serializing_if = "LastSteps::is_empty")]
    pub last: LastSteps,
    /// What a drill showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// How long it took.
    pub took: Duration,
}

impl State {
    /// Appends a line.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn append_history(&self, entry: &Entry) -> Result<(), StateError> {
        let path = self.path(HISTORY);
        let fresh = !path.exists();
        let mut file = self.folder().open_file(&path, OpenOptions::new().read(true).append(true).create(true))?;
        let mut write = || -> std::io::Result<()> {
            if fresh {
                self.folder().adopt(&file)?;
            }
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            if file.metadata()?.len() > 0 {
                let mut last = [0];
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    line.insert(0, b'\n');
                }
            }
            // One write of a line: two appenders don't interleave (O_APPEND, open(2)).
            file.write_all(&line)?;
            file.sync_all()?;
            if fresh { self.folder().sync() } else { Ok(()) }
        };
        write().map_err(StateError::io("append to", &path))
    }

    /// Appends the line of a takeover, unless the last one tells the same of it: one that is tried again and again is told when something changes.
    /// Where nothing was moved each attempt is one of its own, and told once an hour.
    ///
    /// # Errors
    ///
    /// [`StateError`] where it could not be written.
    pub fn append_takeover(&self, entry: &Entry) -> Result<(), StateError> {
        let known = self.read_late_history().unwrap_or_default();
        let last = known.iter().rev().find(|one| one.kind == Deed::Takeover);
        if last.is_some_and(|last| repeats(entry, last)) { Ok(()) } else { self.append_history(entry) }
    }

    /// Every line that can be read, oldest first, and the number of those that can't (torn, or of a newer natwatch). Of a file that is longer
    /// than any other of ours may be, the end: that there are years more must not keep anybody from the last takeover.
    ///
    /// # Errors
    ///
    /// [`StateError`] where the file can't be read.
    pub fn read_history(&self) -> Result<(Vec<Entry>, usize), StateError> {
        self.read_history_end(READ_LIMIT)
    }

    /// The same of its last 256 KiB, for who looks in every pass.
    ///
    /// # Errors
    ///
    /// [`StateError`] where the file can't be read.
    pub fn read_late_history(&self) -> Result<Vec<Entry>, StateError> {
        Ok(self.read_history_end(LATELY)?.0)
    }

    fn read_history_end(&self, most: u64) -> Result<(Vec<Entry>, usize), StateError> {
        let bytes = self.folder().read_end(&self.path(HISTORY), most)?.unwrap_or_default();
        let mut entries = Vec::new();
        let mut skipped = 0;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Entry>(line) {
                Ok(entry) if entry.version <= VERSION => entries.push(entry),
                _ => skipped += 1,
            }
        }
        Ok((entries, skipped))
    }
}

/// Whether a line says of a takeover what the `last` one says.
fn repeats(entry: &Entry, last: &Entry) -> bool {
    let moved = |of: &Entry| of.moves.iter().filter(|one| one.result.moved()).count();
    let age = entry.at.duration_since(last.at);
    let same = age.is_zero() || (moved(entry) == 0 && !age.is_negative() && age < TOLD_FOR);
    same && entry.outcome == last.outcome && moved(entry) == moved(last)
}
