//! A turn at what several of ours read, change and write back: what is counted, what was told, a pause and its line in the history.
//!
//! It lasts for as long as that takes, milliseconds. It keeps nobody from work: whoever does not get it does without what he wanted it for, or tries
//! again.

use std::fs::File;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fs2::FileExt;

use super::open;
use crate::record::{State, TURN_LOCK};

/// For a command: who has the turn writes two or three files, each of which may wait for a slow disk.
pub const PATIENT: Duration = Duration::from_secs(2);

/// For a `watch`, in whose thread the rounds are: less than any ping may take.
pub const BRIEF: Duration = Duration::from_millis(20);

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(1);

/// Dropping it lets go. Without a file where none can be had (a disk that is full or read-only): nobody could write there what he had it for.
#[derive(Debug)]
pub struct Turn(Option<File>);

impl Turn {
    /// Waits for `patience` at most, and nothing else in this thread goes on meanwhile. `None`: another still has it.
    #[must_use]
    pub fn take(state: &State, patience: Duration) -> Option<Self> {
        let Ok(file) = open(state, &state.path(TURN_LOCK)) else { return Some(Self(None)) };
        let until = Instant::now() + patience;
        loop {
            match file.try_lock_exclusive() {
                Ok(()) => return Some(Self(Some(file))),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Some(Self(None)),
                Err(_) if Instant::now() < until => sleep(AGAIN),
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Not left to the close, as with `Held`.
        let _ = self.0.as_ref().map(FileExt::unlock);
    }
}
