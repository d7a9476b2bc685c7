//! The run lock (`run.lock`): who is moving subnets now.
//!
//! The lock is flock(2), which ends with its holder however that ends. The content only says who holds it; an old content
//! without a lock is nobody. The file is never deleted: a deleted lock file can be held twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use fs2::FileExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{RUN_LOCK, State, StateError};

/// Between two attempts: short against a takeover's second, long against the microseconds of a [`peek`].
const AGAIN: Duration = Duration::from_millis(10);

/// Even who has no patience tries this long, so that another's [`peek`] is not taken for a holder.
const LEAST_PATIENCE: Duration = Duration::from_millis(30);

/// The content is about 120 bytes; more than this is not ours.
const CONTENT_LIMIT: u64 = 4096;

/// Who holds the lock, as that process wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// When it took the lock.
    pub began: Timestamp,
    /// By when it means to let go.
    pub deadline: Timestamp,
}

impl Holder {
    /// Whether it should have let go by `now`.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> bool {
        now > self.deadline
    }
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it; who, where that could be read.
    #[error("{}", busy(.0.as_ref()))]
    Busy(Option<Holder>),
    /// The lock file can't be used.
    #[error(transparent)]
    State(#[from] StateError),
}

fn busy(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, began, .. }) => format!("another natwatch (process {pid}, since {began:.0}) is moving subnets now"),
        None => "another natwatch is moving subnets now".to_owned(),
    }
}

/// The run lock, held; dropping it lets go.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes the lock, trying again every 10 ms for `patience`. `term` is how long the holder means to need: after it, others
    /// call this one overdue.
    ///
    /// # Errors
    ///
    /// [`LockError::Busy`] where somebody else still holds it then; [`LockError::State`] where the file can't be opened or locked.
    pub async fn acquire(state: &State, patience: Duration, term: Duration) -> Result<Self, LockError> {
        let path = state.path(RUN_LOCK);
        let mut file = open(state, &path)?;
        let until = Instant::now() + patience.max(LEAST_PATIENCE);
        loop {
            match file.try_lock_exclusive() {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(reason) => return Err(StateError::Io { doing: "lock", path, reason }.into()),
            }
            if Instant::now() >= until {
                return Err(LockError::Busy(read(&mut file)));
            }
            sleep(AGAIN).await;
        }
        // That others can't read who we are must not keep us from moving (a full disk): the lock itself is the kernel's.
        let _ = sign(&mut file, term);
        Ok(Self { file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        // Not left to the close: a child between fork and exec would hold its copy of the descriptor a little longer.
        let _ = FileExt::unlock(&self.file);
    }
}

/// Who holds the lock now. Doesn't keep a taker from it: an empty file is nobody, and else the lock is tested and let go at once.
#[must_use]
pub fn peek(state: &State) -> Option<Holder> {
    let mut file = state.folder().open_file(&state.path(RUN_LOCK), OpenOptions::new().read(true)).ok()?;
    let holder = read(&mut file)?;
    match FileExt::try_lock_shared(&file) {
        Ok(()) => {
            let _ = FileExt::unlock(&file);
            None
        }
        Err(_) => Some(holder),
    }
}

fn open(state: &State, path: &Path) -> Result<File, StateError> {
    let fresh = !path.exists();
    match state.folder().open_file(path, OpenOptions::new().read(true).write(true).create(true).truncate(false)) {
        Ok(file) => {
            if fresh {
                state.folder().adopt(&file).map_err(StateError::io("set the owner of", path))?;
            }
            Ok(file)
        }
        // flock(2) needs no right to write, and a takeover is worth more than our name in the file.
        Err(StateError::Io { .. }) => state.folder().open_file(path, OpenOptions::new().read(true)),
        Err(error) => Err(error),
    }
}

fn sign(file: &mut File, term: Duration) -> io::Result<()> {
    let began = Timestamp::now();
    let deadline = began.checked_add(term).unwrap_or(Timestamp::MAX);
    let line = serde_json::to_vec(&Holder { pid: std::process::id(), began, deadline })?;
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&line)
}

fn read(file: &mut File) -> Option<Holder> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(CONTENT_LIMIT).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
