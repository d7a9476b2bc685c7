//! The state folder itself: made, vetted, and read from without following links.
//!
//! Who may own what: the folder belongs to root or to us. Root also accepts the service's user as owner, where nobody else
//! could have put the folder there. A file belongs to root, to us or to the folder's owner. Nothing is writable by group or others.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{READ_LIMIT, StateError};

/// Mode of the folder.
const FOLDER_MODE: u32 = 0o750;
/// Mode of every file.
pub(crate) const FILE_MODE: u32 = 0o640;
/// Mode of parents that are missing: like `/var/lib`.
const PARENT_MODE: u32 = 0o755;
/// Write permission for anybody but the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Write permission for everybody.
const WORLD_WRITABLE: u32 = 0o002;
/// Files in the folder can be removed by their owners only.
const STICKY: u32 = 0o1000;

/// A vetted folder.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    owner: u32,
    group: u32,
    us: u32,
}

impl Folder {
    /// See [`super::State::open`].
    pub(crate) fn open(dir: &Path) -> Result<Self, StateError> {
        // Without a trailing slash, which would make the kernel follow a link in the last place.
        let dir: PathBuf = dir.components().collect();
        let us = rustix::process::geteuid().as_raw();
        let parent = match dir.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Err(refused(&dir, "is no folder to keep state in", "set `state.dir`")),
        };
        DirBuilder::new().recursive(true).mode(PARENT_MODE).create(parent).map_err(StateError::io("create", parent))?;
        let above = fs::metadata(parent).map_err(StateError::io("look at", parent))?;
        let created = match DirBuilder::new().mode(FOLDER_MODE).create(&dir) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(reason) => return Err(StateError::Io { doing: "create", path: dir, reason }),
        };
        let meta = fs::symlink_metadata(&dir).map_err(StateError::io("look at", &dir))?;
        if meta.is_symlink() {
            return Err(refused(&dir, "is a symbolic link", "put the folder itself there"));
        }
        let handle = open_folder(&dir)?;
        if created {
            // The umask may have taken bits; and what root makes for the service must be the service's.
            let owner = (us == 0).then_some(above.uid());
            settle(&handle, FOLDER_MODE, owner.map(|uid| (uid, above.gid())))
                .map_err(StateError::io("set the owner of", &dir))?;
        }
        let meta = handle.metadata().map_err(StateError::io("look at", &dir))?;
        vet_folder(&dir, &meta, &above, us)?;
        Ok(Self { owner: meta.uid(), group: meta.gid(), dir, us })
    }

    /// See [`super::State::look`].
    pub(crate) fn look(dir: &Path) -> Result<Self, StateError> {
        // Without a trailing slash, as above.
        let place: PathBuf = dir.components().collect();
        match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (us, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
                Ok(Self { dir: place, owner: us, group, us })
            }
            Err(reason) => Err(StateError::Io { doing: "look at", path: place, reason }),
            // What is there is not created again.
            Ok(_) => Self::open(dir),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Refuses a file that is not safely ours; that it is absent is fine.
    pub(crate) fn vet_file(&self, path: &Path) -> Result<(), StateError> {
        match fs::symlink_metadata(path) {
            Ok(meta) => self.vet(path, &meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(reason) => Err(StateError::Io { doing: "look at", path: path.to_owned(), reason }),
        }
    }

    fn vet(&self, path: &Path, meta: &Metadata) -> Result<(), StateError> {
        if meta.is_symlink() {
            return Err(refused(path, "is a symbolic link", "remove it"));
        }
        if !meta.is_file() {
            return Err(refused(path, "is not a regular file", "remove it"));
        }
        if ![0, self.us, self.owner].contains(&meta.uid()) {
            let why = format!("belongs to user {}, not to the folder's owner", meta.uid());
            return Err(refused(
                path,
                &why,
                &format!("look at it, then: chown {}:{} {}", self.owner, self.group, path.display()),
            ));
        }
        if meta.mode() & WRITABLE_BY_OTHERS != 0 {
            let why = format!("can be written by others (mode {:04o})", meta.mode() & 0o7777);
            return Err(refused(path, &why, &format!("look at it, then: chmod {FILE_MODE:04o} {}", path.display())));
        }
        Ok(())
    }

    /// Opens a file of ours with `options`, never through a link and never waiting (a FIFO would block). A new one gets our
    /// mode and owner. What was opened is what is vetted.
    pub(crate) fn open_file(&self, path: &Path, options: &mut OpenOptions) -> Result<File, StateError> {
        self.vet_file(path)?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = options.custom_flags(flags).mode(FILE_MODE).open(path).map_err(StateError::io("open", path))?;
        let meta = file.metadata().map_err(StateError::io("look at", path))?;
        self.vet(path, &meta)?;
        Ok(file)
    }

    /// The content of a file of ours; `None`: there is none.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, StateError> {
        let file = match self.open_file(path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(StateError::Io { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(READ_LIMIT + 1).read_to_end(&mut bytes).map_err(StateError::io("read", path))?;
        if bytes.len() as u64 > READ_LIMIT {
            return Err(refused(path, &format!("is longer than {READ_LIMIT} bytes"), "move it away"));
        }
        Ok(Some(bytes))
    }

    /// The whole lines at the end of a file of ours, `most` bytes at most; `None`: there is none.
    pub(crate) fn read_end(&self, path: &Path, most: u64) -> Result<Option<Vec<u8>>, StateError> {
        let mut file = match self.open_file(path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(StateError::Io { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        let read = || -> io::Result<()> {
            let cut = file.metadata()?.len().checked_sub(most).filter(|before| *before > 0);
            // From the byte before, which is a line's end or belongs to a line that is cut.
            file.seek(SeekFrom::Start(cut.map_or(0, |before| before - 1)))?;
            file.take(most + 1).read_to_end(&mut bytes)?;
            if cut.is_some() {
                let first = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
                bytes.drain(..first);
            }
            Ok(())
        };
        read().map_err(StateError::io("read", path))?;
        Ok(Some(bytes))
    }

    /// Gives a file that we have just made our mode and, as root, the folder's owner and group.
    pub(crate) fn adopt(&self, file: &File) -> io::Result<()> {
        settle(file, FILE_MODE, (self.us == 0).then_some((self.owner, self.group)))
    }

    /// The folder itself, for a lock on it.
    pub(crate) fn handle(&self) -> Result<File, StateError> {
        open_folder(&self.dir)
    }

    /// Makes the folder's entries durable: a rename or removal counts only after this (fsync(2)).
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

fn settle(file: &File, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    if let Some((uid, gid)) = owner {
        fchown(file, Some(uid), Some(gid))?;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

fn open_folder(dir: &Path) -> Result<File, StateError> {
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(dir).map_err(|reason| {
        if reason.kind() == io::ErrorKind::NotADirectory {
            refused(dir, "is not a folder", "remove it")
        } else {
            StateError::Io { doing: "open", path: dir.to_owned(), reason }
        }
    })
}

fn vet_folder(dir: &Path, meta: &Metadata, above: &Metadata, us: u32) -> Result<(), StateError> {
    let owner = meta.uid();
    // A parent's group is let be, as in /var/local; all the world isn't: it could put another folder in this one's place.
    if above.mode() & WORLD_WRITABLE != 0 && above.mode() & STICKY == 0 {
        let why = format!("lies in a folder that everybody can write (mode {:04o})", above.mode() & 0o7777);
        return Err(refused(dir, &why, "take that folder's write permission from others, or set another `state.dir`"));
    }
    // Root may work for the service's user, but only in a folder that nobody else can have put there.
    let for_service = us == 0 && above.mode() & WRITABLE_BY_OTHERS == 0 && [0, owner].contains(&above.uid());
    if owner != 0 && owner != us && !for_service {
        let why = format!("belongs to user {owner}, and we are user {us}");
        return Err(refused(dir, &why, &format!("run natwatch as its owner, or: chown -R {us} {}", dir.display())));
    }
    if meta.mode() & WRITABLE_BY_OTHERS != 0 {
        let why = format!("can be written by others (mode {:04o})", meta.mode() & 0o7777);
        return Err(refused(
            dir,
            &why,
            &format!("look at what is in it, then: chmod {FOLDER_MODE:04o} {}", dir.display()),
        ));
    }
    Ok(())
}

fn refused(path: &Path, why: &str, remedy: &str) -> StateError {
    StateError::Refused { path: path.to_owned(), why: why.to_owned(), remedy: remedy.to_owned() }
}
