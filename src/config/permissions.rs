//! Who may change the files that natwatch acts on, and who may read its key.
//!
//! Whoever can write the configuration, an SSH configuration (`ProxyCommand` runs commands), a hook or the folder of one can
//! make natwatch do what they want with its rights in AWS. It changes no permissions.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Files, shown};

/// No configuration or hosts file is larger: 10 000 hosts take about half a MiB.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What a file is for, which decides what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A configuration, ours or ssh's: it can make the user who reads it run commands.
    Config,
    /// A program that is run by the user who reads the configuration, or a script that is its argument. That it is not there, or can't be
    /// read, is no fault: nobody is told then, and watched is all the same.
    Hook,
    /// A private key: nobody else may read it either (`ssh` ignores such a key).
    Identity,
    /// Names, addresses and keys: data. It does not have to exist if `ssh` writes it itself.
    Data,
}

/// Owner and mode.
#[derive(Debug, Clone, Copy)]
struct Facts {
    uid: u32,
    mode: u32,
}

impl Facts {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { uid: metadata.uid(), mode: metadata.mode() & 0o7777 }
    }
}

/// What is said of a file that is not there.
pub(super) const MISSING: &str = "there is no such file";

/// How it ends what is said of a file that is there and not for us to read.
pub(super) const DENIED: &str = "cannot read it: Permission denied";

/// The real files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        // Without NONBLOCK, opening a FIFO that nobody writes would wait for ever.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| unreadable(&error))?;
        let metadata = file.metadata().map_err(|error| unreadable(&error))?;
        if !metadata.is_file() {
            return Err("not a regular file".to_owned());
        }
        let mut content = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut content).map_err(|error| unreadable(&error))?;
        if content.len() as u64 > LARGEST {
            Err(format!("larger than {} MiB", LARGEST / (1024 * 1024)))
        } else {
            Ok(content)
        }
    }

    fn faults(&self, path: &Path, role: Role) -> Vec<String> {
        let euid = rustix::process::geteuid().as_raw();
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && role == Role::Data => return Vec::new(),
            Err(_) if role == Role::Hook => return Vec::new(),
            Err(error) => return vec![unreadable(&error)],
        };
        if !metadata.is_file() {
            return if role == Role::Hook { Vec::new() } else { vec!["not a regular file".to_owned()] };
        }
        let mut faults = judge_file(path, role, Facts::of(&metadata), euid);
        for folder in folders(path) {
            match fs::metadata(&folder) {
                Ok(metadata) => faults.extend(judge_folder(&folder, role, Facts::of(&metadata), euid)),
                Err(error) => faults.push(format!("its folder {}: {}", shown(&folder), unreadable(&error))),
            }
        }
        if role != Role::Hook
            && let Err(error) = File::open(path)
        {
            faults.push(unreadable(&error) + &opening(&error, path, role, euid));
        }
        faults
    }

    fn usable(&self, program: &Path) -> Result<(), String> {
        crate::notify::usable(program)
    }
}

fn unreadable(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return MISSING.to_owned();
    }
    let error = error.to_string();
    // Without the number, which says the same to fewer.
    let error = error.split(" (os error").next().unwrap_or_default();
    format!("user {} cannot read it: {error}", rustix::process::geteuid().as_raw())
}

/// What lets `user` read a file that it may not, and nobody else whom it is not for.
fn opening(error: &std::io::Error, path: &Path, role: Role, user: u32) -> String {
    let path = shown(path);
    match role {
        _ if error.kind() != std::io::ErrorKind::PermissionDenied => String::new(),
        Role::Identity => format!("; chown {user} {path}"),
        Role::Data => format!("; chmod a+r {path}"),
        Role::Config | Role::Hook => {
            format!("; chgrp {} {path} && chmod g+r {path}", rustix::process::getegid().as_raw())
        }
    }
}

/// The folder that `path` names, and the one that the file is really in where a symlink leads elsewhere.
fn folders(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| {
        let parent = path.parent().unwrap_or(path);
        if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
    };
    let named = parent(path);
    let real = fs::canonicalize(path).map_or_else(|_| named.clone(), |path| parent(&path));
    let same = fs::canonicalize(&named).is_ok_and(|named| named == real);
    if same { vec![named] } else { vec![named, real] }
}

/// Root and we ourselves may own what we act on. Data and keys may also be the service user's when root looks at them:
/// they make root do nothing.
fn trusted(facts: Facts, role: Role, euid: u32) -> bool {
    facts.uid == 0 || facts.uid == euid || (euid == 0 && !matches!(role, Role::Config | Role::Hook))
}

fn judge_file(path: &Path, role: Role, facts: Facts, euid: u32) -> Vec<String> {
    let mut faults = Vec::new();
    let path = shown(path);
    if !trusted(facts, role, euid) {
        faults.push(format!(
            "owned by user {}, who could change it; accepted: root or user {euid} as owner; chown root {path}",
            facts.uid
        ));
    }
    if role == Role::Identity && facts.mode & 0o077 != 0 {
        let own = if euid == 0 || facts.uid == euid { String::new() } else { format!("; chown {euid} {path}") };
        faults.push(format!(
            "mode {:04o} opens the private key to others; accepted: 0600 or less; chmod 600 {path}{own}",
            facts.mode
        ));
    } else if facts.mode & 0o022 != 0 {
        faults.push(format!(
            "mode {:04o} lets others write it; accepted: writable by its owner only; chmod go-w {path}",
            facts.mode
        ));
    }
    faults
}

fn judge_folder(folder: &Path, role: Role, facts: Facts, euid: u32) -> Option<String> {
    let folder = shown(folder);
    if !trusted(facts, role, euid) {
        return Some(format!(
            "its folder {folder} is owned by user {}, who could replace it; accepted: root or user {euid} as owner; chown root {folder}",
            facts.uid
        ));
    }
    // In a sticky folder such as /tmp nobody can replace another's file.
    (facts.mode & 0o022 != 0 && facts.mode & 0o1000 == 0).then(|| {
        format!("mode {:04o} of its folder {folder} lets others replace it; accepted: writable by its owner only, or sticky; chmod go-w {folder}", facts.mode)
    })
}

#[cfg(test)]
mod tests;
