//! Who looks on: a shared flock(2) on the state folder itself, which needs no right to write and leaves nothing behind.

use std::fs::File;
use std::io;

use fs2::FileExt;

use super::same;
use crate::record::State;

/// Somebody looks on (`status --watch`), for as long as this lives: a `watch` then keeps every round for them.
#[derive(Debug)]
pub struct View {
    folder: File,
}

impl View {
    /// `None`: the folder is not there, or is being [tested](viewed) in this moment. Whoever looks on tries again.
    #[must_use]
    pub fn begin(state: &State) -> Option<Self> {
        let folder = state.folder().handle().ok()?;
        FileExt::try_lock_shared(&folder).ok()?;
        Some(Self { folder })
    }

    /// Whether this is still the folder that others would look at.
    #[must_use]
    pub fn stands(&self, state: &State) -> bool {
        same(&self.folder, state.dir())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Not left to the close, as with `Held`.
        let _ = FileExt::unlock(&self.folder);
    }
}

/// Whether somebody looks on now. Nobody is kept from it for longer than the test takes.
#[must_use]
pub fn viewed(state: &State) -> bool {
    let Ok(folder) = state.folder().handle() else { return false };
    match folder.try_lock_exclusive() {
        Ok(()) => {
            let _ = FileExt::unlock(&folder);
            false
        }
        // Any other error (a network file system) is not known to be somebody.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
