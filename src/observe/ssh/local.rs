//! What natwatch's `ssh` leaves on this machine: the folder of control sockets, its processes, the host keys it learns.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, getpid, pidfd_open, pidfd_send_signal};

/// The names of the folders for control sockets: this, the process id, and something random.
const FOLDER: &str = "natwatch-";

/// A private folder for control sockets, after what killed runs left has been removed.
///
/// # Errors
/// It can't be made: the path and the operating system's reason.
pub(super) fn folder() -> Result<tempfile::TempDir, String> {
    let parent = std::env::var_os("RUNTIME_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
    sweep(&parent);
    tempfile::Builder::new()
        .prefix(&format!("{FOLDER}{}-", std::process::id()))
        .tempdir_in(&parent)
        .map_err(|error| format!("a folder for SSH's control sockets in {}: {error}", parent.display()))
}

/// Removes what a killed natwatch left in `parent`: folders of ours whose process is gone, and the `ssh` that still uses one.
fn sweep(parent: &Path) {
    let us = geteuid().as_raw();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER))
            .and_then(|rest| rest.split_once('-'))
            .map(|(pid, _)| pid);
        let Some(pid) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == us);
        if ours && !Path::new(&format!("/proc/{pid}")).exists() {
            end_all(&entry.path());
            // What can't be removed now is tried again by the next run.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Ends every `ssh` that was started with a control socket in `folder`: attempts that are still connecting, and masters, which
/// are in the background and no children of ours.
///
/// The folder's name is random and this process's own, so nobody else's process names it.
pub(super) fn end_all(folder: &Path) {
    let folder = folder.as_os_str().as_bytes();
    end_those(|line| line.windows(folder.len()).any(|part| part == folder));
}

/// Ends every `ssh` with such a command line, whose words end in a zero byte each (`proc_pid_cmdline(5)`). A process is held by a
/// descriptor while it is looked at, since its id may be another's a moment later (`pidfd_open(2)`).
fn end_those(ours: impl Fn(&[u8]) -> bool) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != getpid()) else { continue };
        let names_it = || {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            program.ends_with(b"ssh") && ours(&line)
        };
        if names_it()
            && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
            && names_it()
        {
            // It may have ended by itself meanwhile.
            let _ = pidfd_send_signal(process, Signal::TERM);
        }
    }
}

/// The `ssh` behind a session, which ends with it. By itself it would not end for as long as a command hangs, and whoever hangs is logged
/// in to again and again.
pub(super) struct Master {
    socket: PathBuf,
}

impl Master {
    /// The one that listens on `socket`, in a folder of ours.
    pub(super) const fn on(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Whether it is there still: it removes its socket as it ends, or says good-bye.
    pub(super) fn lives(&self) -> bool {
        self.socket.exists()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if self.lives() {
            let socket = self.socket.as_os_str().as_bytes();
            end_those(|line| line.split(|byte| *byte == 0).any(|word| word == socket));
        }
    }
}

/// Makes the file that host keys are learned into, where there is none: made by root's `ssh` it would be root's, and the service's user
/// could never add to it. It gets its folder's owner instead.
///
/// What can't be made is left to `ssh`, which says why it can't learn a key.
pub(super) fn prepare_known_hosts(path: &Path) {
    let made = std::fs::OpenOptions::new().append(true).create_new(true).mode(0o644).open(path);
    if let (Ok(file), true) = (made, geteuid().is_root())
        && let Some(Ok(parent)) = path.parent().map(std::fs::metadata)
    {
        // Still root's is no worse than what ssh would have made.
        let _ = std::os::unix::fs::fchown(file, Some(parent.uid()), Some(parent.gid()));
    }
}
