//! What `ssh` needs and leaves on this machine: its configuration, the folder of control sockets, its processes.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use crate::observe::SshSettings;

/// Our options come first, since in `ssh_config(5)` the first value wins; the operator's file may add, not change.
pub(super) fn ssh_config(settings: &SshSettings) -> String {
    let mut text = String::from(
        "Host *\n  BatchMode yes\n  ClearAllForwardings yes\n  ForwardAgent no\n  ForwardX11 no\n  PermitLocalCommand no\n  RemoteCommand none\n  RequestTTY no\n  PreferredAuthentications publickey\n  UpdateHostKeys no\n  CheckHostIP no\n  ServerAliveCountMax 2\n",
    );
    match &settings.ssh_config {
        Some(path) => {
            let _ = writeln!(text, "  Include \"{}\"", path.display());
        }
        // The default hybrid key exchange is ten times dearer, and a probe carries no secret that must outlive today.
        None => text.push_str("  KexAlgorithms ^curve25519-sha256\n"),
    }
    text
}

/// The names of the folders for control sockets: this, the process id, and something random.
pub(super) const FOLDER: &str = "natwatch-";

/// Removes what a killed natwatch left in `parent`: folders of ours whose process is gone.
pub(super) fn sweep(parent: &Path) {
    use std::os::unix::fs::MetadataExt;
    let us = rustix::process::geteuid().as_raw();
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
            // What can't be removed now is tried again by the next run.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Ends every process that was started with a control socket in `folder`: attempts that are still connecting, which the crate
/// starts without a handle to them, and masters that went to the background just when nobody waited for them any more.
///
/// The folder's name is random and this process's own, so nobody else's process names it. A process is held by a descriptor
/// while it is looked at, since its id may be another's a moment later (`pidfd_open(2)`).
pub(super) fn end_all(folder: &Path) {
    let folder = folder.as_os_str().as_bytes();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != getpid()) else { continue };
        let names_it = || {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.windows(folder.len()).any(|part| part == folder)
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
