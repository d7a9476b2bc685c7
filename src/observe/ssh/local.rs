//! What `ssh` needs and leaves on this machine: its configuration, the folder of control sockets, its processes.

use std::fmt::Write as _;
use std::path::Path;

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

/// Ends our own `ssh` children that are still connecting: a dropped connection attempt leaves its process until its
/// timeout (the crate starts it without a handle to it). They have not been waited for, so their ids can't be anybody else's.
pub(super) fn end_children() {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for task in tasks {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for pid in
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(rustix::process::Pid::from_raw)
        {
            let comm = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
            if comm.trim() == "ssh" {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }
}
