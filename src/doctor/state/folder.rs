//! The state folder itself: whether it is there, safe, and can be written by who natwatch runs as.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;

use crate::doctor::user::User;
use crate::model::{Finding, Fitness, Topic, quoted};
use crate::record::StateError;

/// What the folder looks like from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// Not there; whether we could make it.
    Absent(Result<(), Errno>),
    /// There, and not to be used: why, and what to do.
    Refused(String, String),
    /// There, and not ours to look at.
    Closed,
    /// There: its owner and mode, and whether we could write it; for root, whether its owner could.
    There { owner: u32, mode: u32, write: Result<(), Errno> },
}

impl Look {
    pub(super) fn at(dir: &Path, refused: Option<&StateError>) -> Self {
        let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK);
        if let Some(error) = refused {
            return match error {
                StateError::Io { reason, .. } if reason.kind() == std::io::ErrorKind::PermissionDenied => Self::Closed,
                // What is said first of a remedy is to look; of its commands, the last one.
                StateError::Refused { path, why, remedy } => {
                    Self::Refused(format!("{} {why}; {remedy}", path.display()), look_at(path, remedy))
                }
                other => Self::Refused(other.to_string(), look_at(dir, "")),
            };
        }
        match std::fs::symlink_metadata(dir) {
            Ok(meta) => {
                let owner = User { uid: meta.uid(), gid: meta.gid() };
                let as_owner = || owner.may(dir, Access::WRITE_OK | Access::EXEC_OK).map_err(|_| Errno::ACCESS);
                let root = rustix::process::geteuid().is_root();
                let write = may(dir).and_then(|()| if root { as_owner() } else { Ok(()) });
                Self::There { owner: meta.uid(), mode: meta.mode() & 0o7777, write }
            }
            // The nearest that is there is where it would be made.
            Err(_) => Self::Absent(dir.ancestors().skip(1).find(|one| one.exists()).map_or(Err(Errno::NOENT), may)),
        }
    }
}

/// The command in a remedy of the state folder's, which follows a colon; where there is none, one that shows what is there.
fn look_at(path: &Path, remedy: &str) -> String {
    let shown = quoted(&path.to_string_lossy());
    let command = remedy.rsplit_once(": ").map(|(_, command)| command).filter(|one| one.starts_with("ch"));
    // A path with a blank or an apostrophe is a word of its own.
    let command = command.map(|one| one.replace(&path.display().to_string(), &shown));
    command.map_or_else(|| format!("ls -ld {shown}"), |command| format!("ls -la {shown} && {command}"))
}

pub(super) fn finding(dir: &Path, refused: Option<&StateError>) -> Finding {
    folder(&Look::at(dir, refused), dir, rustix::process::geteuid().as_raw())
}

/// As user `us` sees it.
pub(super) fn folder(look: &Look, dir: &Path, us: u32) -> Finding {
    let finding = |fitness, text: String| Finding::new(Topic::State, "state-folder", fitness, text);
    let path = dir.display();
    let word = quoted(&dir.to_string_lossy());
    match look {
        Look::Refused(why, remedy) => finding(Fitness::Unfit, why.clone()).cause("folder-refused").remedy(remedy),
        Look::Closed => finding(Fitness::Unknown, format!("user {us} may not look at {path}"))
            .cause("folder-closed")
            .remedy("sudo natwatch doctor"),
        Look::Absent(Ok(())) => finding(Fitness::Fit, format!("{path} is not there yet; the first run makes it")),
        Look::Absent(Err(errno)) => {
            finding(Fitness::Unfit, format!("{path} is not there, and user {us} can't make it: {errno}"))
                .cause("folder-absent")
                .remedy(format!("install -d -o natwatch -g natwatch -m 0750 {word}"))
        }
        Look::There { owner, mode, write: Ok(()) } => {
            let who = if us == 0 { *owner } else { us };
            finding(Fitness::Fit, format!("user {who} can write {path} (mode {mode:04o}, of user {owner})"))
        }
        Look::There { owner, mode, write: Err(errno) } => {
            let who = if us == 0 { *owner } else { us };
            let text = format!("user {who} can't write {path} (mode {mode:04o}, of user {owner}): {errno}");
            if *errno == Errno::ROFS {
                finding(Fitness::Unfit, format!("{text}; no lock, no witnesses"))
                    .cause("read-only")
                    .remedy(format!("dmesg | tail -n 20; mount -o remount,rw \"$(findmnt -no TARGET -T {word})\""))
            } else if who == *owner {
                finding(Fitness::Unfit, format!("{text}; no lock, no witnesses"))
                    .cause("not-writable")
                    .remedy(format!("chmod 0750 {word}"))
            } else {
                // Who looks need not be who natwatch runs as.
                finding(
                    Fitness::Unknown,
                    format!("{text}; whether natwatch can, which runs as user {owner} or has no lock and no witnesses, is not seen from here"),
                )
                .cause("another-users")
                .remedy(format!("sudo -u '#{owner}' natwatch doctor"))
            }
        }
    }
}
