//! The state folder and what lies in it: whether it can be written, what holds a takeover, what was done last; and the clock by which it is dated.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::Access;
use rustix::io::Errno;
use serde::de::IgnoredAny;

use super::command;
use crate::config::Settings;
use crate::model::{Finding, Fitness, Found, Outcome, Phase, Record, Topic, printable};
use crate::record::events::Events;
use crate::record::lock::{self, Holder};
use crate::record::pause::in_force;
use crate::record::{State, StateError};
use crate::report::span;

/// Less is soon full: a pass writes some 100 kB anew each time, and the history grows by a kilobyte with each event. Logs on the same disk
/// are faster.
const ROOM: u64 = 64 << 20;

/// Of an operator's reason, or an error.
const SHOWN: usize = 200;

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::State, id, fitness, text.into())
}

/// The folder as it was opened, or why it can't be.
pub(super) fn findings(settings: &Settings, state: &Result<State, StateError>, now: Timestamp) -> Vec<Finding> {
    let dir = &settings.state;
    let mut findings = vec![folder(&Look::at(dir, state.as_ref().err()), dir)];
    let Ok(state) = state else { return findings };
    findings.extend(room(dir));
    findings.push(held(lock::peek(state).as_ref(), now));
    findings.push(record(&state.read_record(None)));
    findings.push(match in_force(state.read_pause(), now) {
        None => finding("pause", Fitness::Fit, "not paused"),
        Some(paused) => finding("pause", Fitness::Warning, paused.to_string()).remedy("natwatch resume"),
    });
    let last = state.read_last_round::<IgnoredAny>();
    findings.push(last_round(&match last {
        Found::Present(last) => Ok(Some((last.pass.outcome, last.pass.because))),
        Found::Absent => Ok(None),
        other => Err(other.trouble().unwrap_or_default()),
    }));
    findings.extend(settings.notify.as_ref().and_then(|_| Events::look(state).ok()).map(|events| events.finding()));
    findings.extend(history(state, now));
    findings.extend(troubles(state));
    findings
}

/// What the folder looks like from here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    /// Not there; whether we could make it.
    Absent(Result<(), Errno>),
    /// There, and not to be used.
    Refused(String),
    /// There, and not ours to look at.
    Closed,
    /// There: its owner and mode, and whether we could write it.
    There { owner: u32, mode: u32, write: Result<(), Errno> },
}

impl Look {
    fn at(dir: &Path, refused: Option<&StateError>) -> Self {
        let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK);
        if let Some(error) = refused {
            return match error {
                StateError::Io { reason, .. } if reason.kind() == std::io::ErrorKind::PermissionDenied => Self::Closed,
                other => Self::Refused(other.to_string()),
            };
        }
        match std::fs::symlink_metadata(dir) {
            Ok(meta) => Self::There { owner: meta.uid(), mode: meta.mode() & 0o7777, write: may(dir) },
            // The nearest that is there is where it would be made.
            Err(_) => Self::Absent(dir.ancestors().skip(1).find(|one| one.exists()).map_or(Err(Errno::NOENT), may)),
        }
    }
}

fn folder(look: &Look, dir: &Path) -> Finding {
    let id = "state-folder";
    let path = dir.display();
    let us = rustix::process::geteuid().as_raw();
    match look {
        Look::Refused(why) => finding(id, Fitness::Unfit, why),
        Look::Closed => finding(id, Fitness::Unknown, format!("user {us} may not look at {path}"))
            .remedy("natwatch doctor as root, or as natwatch's user: sudo -u natwatch natwatch doctor"),
        Look::Absent(Ok(())) => finding(id, Fitness::Fit, format!("{path} is not there yet; the first run makes it")),
        Look::Absent(Err(errno)) => {
            finding(id, Fitness::Unfit, format!("{path} is not there, and user {us} can't make it: {errno}"))
                .remedy(format!("install -d -o natwatch -g natwatch -m 0750 {path}"))
        }
        Look::There { owner, mode, write: Ok(()) } => {
            finding(id, Fitness::Fit, format!("user {us} can write {path} (mode {mode:04o}, of user {owner})"))
        }
        Look::There { owner, mode, write: Err(errno) } => finding(
            id,
            Fitness::Unfit,
            format!("user {us} can't write {path} (mode {mode:04o}, of user {owner}): {errno}; no lock, no witnesses"),
        )
        .remedy(if *errno == Errno::ROFS {
            "the file system is read-only: see dmesg, then mount it writable".to_owned()
        } else if us == *owner {
            format!("chmod 0750 {path}")
        } else {
            format!("run natwatch as user {owner}, or: chown -R {us} {path}")
        }),
    }
}

fn room(dir: &Path) -> Option<Finding> {
    let there = dir.ancestors().find(|one| one.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(room_of(there, disk.f_bavail.saturating_mul(disk.f_frsize), (disk.f_favail, disk.f_files)))
}

/// Some file systems have no fixed number of inodes, and say 0 of 0.
fn room_of(dir: &Path, bytes: u64, (inodes, of): (u64, u64)) -> Finding {
    let mib = bytes >> 20;
    let text = format!("{mib} MiB are free at {}", dir.display());
    let scarce = if bytes < ROOM {
        text.clone()
    } else if of > 0 && inodes < 100 {
        format!("{text}, and {inodes} inodes")
    } else {
        return finding("state-space", Fitness::Fit, text);
    };
    finding("state-space", Fitness::Warning, format!("{scarce}: a full disk keeps no lock"))
        .remedy(format!("df -h {dir}; du -xh {dir} | sort -h | tail", dir = dir.display()))
}

fn held(holder: Option<&Holder>, now: Timestamp) -> Finding {
    let id = "run-lock";
    match holder {
        None => finding(id, Fitness::Fit, "nobody is moving subnets now"),
        Some(holder) => {
            let text = format!("process {} has been moving subnets since {:.0}", holder.pid, holder.began);
            if holder.overdue(now) {
                finding(id, Fitness::Warning, format!("{text}, and meant to be done by {:.0}", holder.deadline))
                    .remedy(format!("ps -fp {pid}; kill {pid}, if it hangs", pid = holder.pid))
            } else {
                finding(id, Fitness::Warning, text)
            }
        }
    }
}

/// The takeover record, which is the lock.
fn record(found: &Found<Record>) -> Finding {
    let id = "lock";
    let record = match found {
        Found::Absent => return finding(id, Fitness::Fit, "not locked: no takeover is on record"),
        Found::Present(record) => record,
        Found::Foreign { .. } => {
            return finding(id, Fitness::Warning, found.trouble().unwrap_or_default()).remedy("natwatch reset");
        }
        Found::Corrupt { .. } | Found::Newer { .. } => {
            return finding(id, Fitness::Unfit, format!("held as locked: {}", found.trouble().unwrap_or_default()))
                .remedy("natwatch status; natwatch reset --force, once the subnets are where they belong");
        }
    };
    let began = format!("{:.0} ({})", record.began, printable(&record.because, SHOWN));
    match record.phase {
        Phase::Taken => {
            finding(id, Fitness::Warning, format!("locked since the takeover of {began}: nothing is moved again"))
                .remedy("natwatch failback, after a repair of the primary")
        }
        Phase::FailingBack => {
            finding(id, Fitness::Warning, format!("a failback of the takeover of {began} is not complete"))
                .remedy("natwatch failback")
        }
        Phase::Taking | Phase::Partial => finding(
            id,
            Fitness::Unfit,
            format!("the takeover of {began} was cut short: some subnets may be left behind"),
        )
        .remedy("natwatch status; the next run goes on with it on fresh evidence"),
    }
}

fn last_round(last: &Result<Option<(Outcome, String)>, String>) -> Finding {
    let id = "last-round";
    match last {
        Err(why) => finding(id, Fitness::Warning, why).remedy("natwatch run writes it anew"),
        Ok(None) => {
            finding(id, Fitness::Warning, "no run is on record: nobody is a witness yet").remedy("natwatch run")
        }
        Ok(Some((Outcome::Healthy, because))) => {
            finding(id, Fitness::Fit, format!("healthy: {}", printable(because, SHOWN)))
        }
        Ok(Some((outcome, because))) => {
            finding(id, Fitness::Warning, format!("{outcome}: {}", printable(because, SHOWN))).remedy("natwatch run -v")
        }
    }
}

/// The last drill. That there was none is no fault, and worth saying.
fn history(state: &State, now: Timestamp) -> Vec<Finding> {
    let (entries, unreadable) = match state.read_history() {
        Ok(read) => read,
        Err(error) => return vec![finding("history", Fitness::Warning, error.to_string())],
    };
    let drill = entries.iter().rev().find(|entry| entry.kind.as_str() == "drill");
    let mut findings = vec![drilled(drill.map(|entry| (entry.at, entry.outcome)), now)];
    if unreadable > 0 {
        let text =
            format!("{unreadable} lines of the history can't be read: torn by a power loss, or of a newer natwatch");
        findings.push(finding("history", Fitness::Warning, text));
    }
    findings
}

fn drilled(last: Option<(Timestamp, Option<Outcome>)>, now: Timestamp) -> Finding {
    let id = "drill";
    let Some((at, outcome)) = last else {
        return finding(id, Fitness::Fit, "never drilled: that a takeover works here is not proved");
    };
    let ago = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let text = format!("the last drill was {} ago", span(ago));
    match outcome {
        Some(outcome @ (Outcome::Failed | Outcome::Partial | Outcome::Unverified | Outcome::Down)) => {
            finding(id, Fitness::Warning, format!("{text}: {outcome}")).remedy("natwatch history")
        }
        _ => finding(id, Fitness::Fit, text),
    }
}

/// Files of ours that can't be read, and are made anew or do without.
fn troubles(state: &State) -> Vec<Finding> {
    let now = Timestamp::now();
    let all = [
        state.read_guarded().1,
        crate::record::witnesses::Witnesses::load(state, now).1,
        crate::record::targets::Targets::load(state).1,
        state.read_pause().trouble(),
        state.read_facts().trouble(),
    ];
    all.into_iter().flatten().map(|why| finding("state-file", Fitness::Warning, why)).collect()
}

/// Where systemd's time service says that the clock was set by a server (systemd-timesyncd.service(8)).
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Whether the wall clock is kept right. EC2 refuses signatures that are five minutes off; that nothing is known here is no fault.
pub(super) async fn clock() -> Finding {
    if Path::new(SYNCHRONIZED).exists() {
        return clock_is(Some(true));
    }
    // Asks the kernel (adjtimex(2)), whoever it is that keeps the time.
    let said = command::ask(&["/usr/bin/timedatectl"], &["show", "--property=NTPSynchronized", "--value"]).await;
    clock_is(said.as_deref().and_then(synchronized))
}

/// The value of the property alone (timedatectl(1)).
fn synchronized(said: &str) -> Option<bool> {
    match said.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn clock_is(synchronized: Option<bool>) -> Finding {
    let id = "clock";
    match synchronized {
        Some(true) => finding(id, Fitness::Fit, "the clock is kept by a time server"),
        Some(false) => finding(
            id,
            Fitness::Warning,
            "no time server keeps the clock: EC2 refuses calls once it is five minutes off",
        )
        .remedy("timedatectl set-ntp true; or install chrony, with server 169.254.169.123"),
        None => finding(id, Fitness::Fit, "whether a time server keeps the clock is not known here"),
    }
}

#[cfg(test)]
mod tests;
