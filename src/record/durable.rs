//! The one durable write: temporary file, fsync, rename, fsync of the folder.
//!
//! After `write` returns `Ok`, the new content survives a power loss; until then the old content does. There is no state
//! in between (rename(2) replaces atomically, and the file is on disk before its name is).

use std::io::{self, Write as _};
use std::path::Path;

use super::folder::Folder;
use super::{StateError, TEMPORARY};

/// Replaces the file at `path` in `folder`, or makes it.
pub(crate) fn write(folder: &Folder, path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    // A rename would replace a symlink or another's file in silence; row 73 wants it refused.
    folder.vet_file(path)?;
    replace(folder, path, bytes).map_err(StateError::io("write", path))
}

fn replace(folder: &Folder, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // In the same folder, because a rename doesn't cross file systems. Dropped unpersisted, it removes itself.
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).suffix(".tmp").tempfile_in(folder.dir());
    let mut file = temporary.map_err(bare)?;
    folder.adopt(file.as_file())?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    folder.sync()
}

/// The operating system's own error: tempfile's names the temporary file, which is another each time and nobody's concern.
pub(super) fn bare(error: io::Error) -> io::Error {
    let inner =
        error.get_ref().and_then(|wrapped| wrapped.source()).and_then(|cause| cause.downcast_ref::<io::Error>());
    match inner.and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => match error.to_string().split_once(" at path ") {
            Some((why, _)) => io::Error::new(error.kind(), why.to_owned()),
            None => error,
        },
    }
}

/// Removes the file at `path`; that there is none is success.
pub(crate) fn remove(folder: &Folder, path: &Path) -> Result<(), StateError> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(reason) => return Err(StateError::Io { doing: "remove", path: path.to_owned(), reason }),
    }
    folder.sync().map_err(StateError::io("remove", path))
}

/// Gives the file at `from` the name `to`.
pub(crate) fn rename(folder: &Folder, from: &Path, to: &Path) -> Result<(), StateError> {
    std::fs::rename(from, to).and_then(|()| folder.sync()).map_err(StateError::io("move aside", from))
}
