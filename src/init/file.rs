//! The file that is written: new, whole, and for the service's user to read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use rustix::fs::Access;

use crate::model::printable;

/// Whose group may read the configuration, where root writes it: that of the folder where the state lives.
const STATE: &str = "/var/lib/natwatch";

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 200)
}

fn taken(path: &Path) -> String {
    format!(
        "{} is there already and is left as it is; write to another place with --output FILE, or look with --output -",
        shown(path)
    )
}

fn refused(path: &Path, error: &io::Error) -> String {
    match (error.kind(), path.parent()) {
        (io::ErrorKind::AlreadyExists, _) => taken(path),
        (io::ErrorKind::NotFound, Some(folder)) => {
            format!("there is no folder {}; install -d -m 0755 {}", shown(folder), shown(folder))
        }
        (io::ErrorKind::PermissionDenied, _) => {
            format!("you may not write {}; run it as root, or write to another place with --output FILE", shown(path))
        }
        _ => format!("can't write {}: {error}", shown(path)),
    }
}

/// Whether there is nothing at `path` yet, not even a symbolic link, and something could be: who answers questions is not to hear of it
/// afterwards.
///
/// # Errors
/// There is, or could not be: one line with the remedy where there is one.
pub(super) fn free(path: &Path) -> Result<(), String> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(taken(path));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| refused(path, &errno.into()))
}

/// Writes `text` to `path`, which must not be there (`O_EXCL` of open(2)): 0600, or as root 0640 for the service's group.
///
/// # Errors
/// It is there, or the operating system says no: one line with the remedy where there is one.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| refused(path, &error))?;
    let mut written = || -> io::Result<()> {
        file.write_all(text.as_bytes())?;
        if rustix::process::geteuid().is_root() {
            let group = fs::metadata(STATE).map_or(0, |folder| folder.gid());
            fchown(&file, None, Some(group))?;
            file.set_permissions(fs::Permissions::from_mode(0o640))?;
        }
        file.sync_all()
    };
    written().map_err(|error| {
        // Half a configuration would be in the way of a whole one.
        let _ = fs::remove_file(path);
        format!("can't write {}: {error}", shown(path))
    })
}
