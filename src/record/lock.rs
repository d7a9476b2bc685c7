//! Who is at work: the run lock (`run.lock`) of whoever is moving subnets now, and the watch lock (`watch.lock`) of the one `watch`; and
//! who looks on (a shared lock on the folder itself, which needs no right to write).
//!
//! Each lock is flock(2), which ends with its holder however that ends. The content only says who holds it; an old content
//! without a lock is nobody. The files are never deleted: a deleted lock file can be held twice.

mod turn;
mod view;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use fs2::FileExt;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{RUN_LOCK, State, StateError, WATCH_LOCK};
pub use turn::{BRIEF, PATIENT, Turn};
pub use view::{View, viewed};

/// Between two attempts: short against a takeover's second, long against the microseconds of a [`peek`].
const AGAIN: Duration = Duration::from_millis(10);

/// Even who has no patience tries this long, so that another's [`peek`] is not taken for a holder.
const LEAST_PATIENCE: Duration = Duration::from_millis(30);

/// The content is about 120 bytes; more than this is not ours.
const CONTENT_LIMIT: u64 = 4096;

/// Who holds the run lock, as that process wrote it.
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

/// The `watch` that is at work, as that process wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watcher {
    /// Its process id.
    pub pid: u32,
    /// Since when.
    pub began: Timestamp,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody is moving subnets; who, where that could be read.
    #[error("{}", busy(.0.as_ref()))]
    Busy(Option<Holder>),
    /// Another `watch` is at work; which, where that could be read.
    #[error("{}", watched(.0.as_ref()))]
    Watched(Option<Watcher>),
    /// The lock file can't be used.
    #[error(transparent)]
    State(#[from] StateError),
}

fn busy(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, began, .. }) => {
            format!("another natwatch (process {pid}, since {began:.0}) is moving subnets now")
        }
        None => "another natwatch is moving subnets now".to_owned(),
    }
}

fn watched(watcher: Option<&Watcher>) -> String {
    let (who, which) = match watcher {
        Some(Watcher { pid, began }) => (format!(" (process {pid}, since {began:.0})"), format!("process {pid}")),
        None => (String::new(), "it".to_owned()),
    };
    format!(
        "another natwatch watch{who} is at work on this name; stop {which} first (systemctl stop natwatch-watch), or give this configuration another `name`"
    )
}

/// The run lock, held; dropping it lets go.
#[derive(Debug)]
pub struct RunLock {
    _held: Held,
}

impl RunLock {
    /// Takes the lock, trying again every 10 ms for `patience`. `term` is how long the holder means to need: after it, others
    /// call this one overdue.
    ///
    /// # Errors
    ///
    /// [`LockError::Busy`] where somebody else still holds it then; [`LockError::State`] where the file can't be opened or locked.
    pub async fn acquire(state: &State, patience: Duration, term: Duration) -> Result<Self, LockError> {
        let mut held = Held::acquire(state, RUN_LOCK, patience, LockError::Busy).await?;
        let began = Timestamp::now();
        let deadline = began.checked_add(term).unwrap_or(Timestamp::MAX);
        held.sign(&Holder { pid: std::process::id(), began, deadline });
        Ok(Self { _held: held })
    }
}

/// Who holds the run lock now. Doesn't keep a taker from it: an empty file is nobody, and else the lock is tested and let go at once.
#[must_use]
pub fn peek(state: &State) -> Option<Holder> {
    holder(state, RUN_LOCK)
}

/// The watch lock, held for as long as a `watch` is at work; dropping it lets go. Whoever moves subnets takes the run lock besides.
#[derive(Debug)]
pub struct WatchLock {
    held: Held,
}

impl WatchLock {
    /// Takes the lock. Nobody is waited for: a `watch` has no end.
    ///
    /// # Errors
    ///
    /// [`LockError::Watched`] where another `watch` has it; [`LockError::State`] where the file can't be opened or locked.
    pub async fn acquire(state: &State) -> Result<Self, LockError> {
        let mut held = Held::acquire(state, WATCH_LOCK, Duration::ZERO, LockError::Watched).await?;
        held.sign(&Watcher { pid: std::process::id(), began: Timestamp::now() });
        Ok(Self { held })
    }

    /// Whether this is still the lock that others would find: not where the folder was removed or another one put in its place, so that
    /// a second `watch` could take another file.
    #[must_use]
    pub fn stands(&self, state: &State) -> bool {
        same(&self.held.file, &state.path(WATCH_LOCK))
    }
}

/// The `watch` that is at work now; this process, where it is one. Keeps nobody from the lock, as [`peek`].
#[must_use]
pub fn watching(state: &State) -> Option<Watcher> {
    holder(state, WATCH_LOCK)
}

/// The right to hand events on, of the folder that they wait in; dropping it lets go.
pub struct Delivering(File);

impl Delivering {
    pub(super) fn begin(folder: File) -> Option<Self> {
        FileExt::try_lock_exclusive(&folder).ok()?;
        Some(Self(folder))
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        let _ = FileExt::unlock(&self.0);
    }
}

/// Whether the file that is open is still the one at `path`.
fn same(file: &File, path: &Path) -> bool {
    let there = std::fs::symlink_metadata(path);
    there
        .and_then(|there| Ok((there, file.metadata()?)))
        .is_ok_and(|(there, ours)| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
}

/// A lock file that this process holds.
#[derive(Debug)]
struct Held {
    file: File,
}

impl Held {
    async fn acquire<T: DeserializeOwned>(
        state: &State,
        name: &str,
        patience: Duration,
        busy: impl Fn(Option<T>) -> LockError,
    ) -> Result<Self, LockError> {
        let path = state.path(name);
        let mut file = open(state, &path)?;
        let until = Instant::now() + patience.max(LEAST_PATIENCE);
        loop {
            match file.try_lock_exclusive() {
                Ok(()) => return Ok(Self { file }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(reason) => return Err(StateError::Io { doing: "lock", path, reason }.into()),
            }
            if Instant::now() >= until {
                return Err(busy(read(&mut file)));
            }
            sleep(AGAIN).await;
        }
    }

    /// Says who we are. That others can't read it must not keep us from work (a full disk): the lock itself is the kernel's.
    fn sign(&mut self, who: &impl Serialize) {
        let _ = self.write(who);
    }

    fn write(&mut self, who: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_vec(who)?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&line)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        // Not left to the close: a child between fork and exec would hold its copy of the descriptor a little longer.
        let _ = FileExt::unlock(&self.file);
    }
}

fn holder<T: DeserializeOwned>(state: &State, name: &str) -> Option<T> {
    let mut file = state.folder().open_file(&state.path(name), OpenOptions::new().read(true)).ok()?;
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

fn read<T: DeserializeOwned>(file: &mut File) -> Option<T> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(CONTENT_LIMIT).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
