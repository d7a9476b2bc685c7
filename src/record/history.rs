//! What was done, one JSON line each (`history.jsonl`): appended and synced, never rewritten.
//!
//! A torn last line (power loss) is closed by the next append and ignored by every reader.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HISTORY, State, StateError, VERSION};
use crate::model::evidence::words;
use crate::model::{Drill, InstanceId, LastSteps, Move, Outcome};

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
        /// A pause was ended before its time.
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

    /// Every line that can be read, oldest first, and the number of those that can't (torn, or of a newer natwatch).
    ///
    /// # Errors
    ///
    /// [`StateError`] where the file can't be read.
    pub fn read_history(&self) -> Result<(Vec<Entry>, usize), StateError> {
        let bytes = self.folder().read(&self.path(HISTORY))?.unwrap_or_default();
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
