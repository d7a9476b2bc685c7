//! The state folder and what lies in it: whether it can be written, what holds a takeover, what was done last.

mod folder;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use crate::config::Settings;
use crate::model::{Finding, Fitness, Found, InstanceId, Outcome, Phase, Record, Topic, printable, quoted};
use crate::record::events::Events;
use crate::record::lock::{self, Holder};
use crate::record::pause::in_force;
use crate::record::{FACTS, FLEET, GUARDED, HISTORY, PAUSE, State, StateError, TARGETS, WITNESSES};
use crate::report::span;

/// Less is soon full: a pass writes some 100 kB anew each time, and the history grows by a kilobyte with each event. Logs on the same disk
/// are faster.
const ROOM: u64 = 64 << 20;

/// Of an operator's reason, or an error.
const SHOWN: usize = 200;

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::State, id, fitness, text.into())
}

/// The folder as it was opened, or why it can't be; `instance`: this one, where that is known.
pub(super) fn findings(
    settings: &Settings,
    state: &Result<State, StateError>,
    instance: Option<&InstanceId>,
    now: Timestamp,
) -> Vec<Finding> {
    let dir = &settings.state;
    let mut findings = vec![folder::finding(dir, state.as_ref().err())];
    let Ok(state) = state else { return findings };
    findings.extend(room(dir));
    findings.push(held(lock::peek(state).as_ref(), now));
    findings.push(record(&state.read_record(instance)));
    findings.push(paused(state, now));
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

fn paused(state: &State, now: Timestamp) -> Finding {
    match in_force(state.read_pause(), now) {
        None => finding("pause", Fitness::Fit, "not paused"),
        Some(paused) => {
            finding("pause", Fitness::Warning, paused.to_string()).cause("paused").remedy("natwatch resume")
        }
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
        .cause("scarce")
        .remedy(format!("df -h {dir}; du -xh {dir} | sort -h | tail", dir = quoted(&dir.to_string_lossy())))
}

fn held(holder: Option<&Holder>, now: Timestamp) -> Finding {
    let id = "run-lock";
    match holder {
        None => finding(id, Fitness::Fit, "nobody is moving subnets now"),
        Some(holder) => {
            let text = format!("process {} has been moving subnets since {:.0}", holder.pid, holder.began);
            if holder.overdue(now) {
                let text = format!(
                    "{text}, and meant to be done by {:.0}: where it hangs, end it (kill {})",
                    holder.deadline, holder.pid
                );
                finding(id, Fitness::Warning, text).cause("overdue").remedy(format!("ps -fp {}", holder.pid))
            } else {
                finding(id, Fitness::Warning, text).cause("moving").remedy("natwatch status")
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
            return finding(id, Fitness::Warning, found.trouble().unwrap_or_default())
                .cause("another-instances")
                .remedy("natwatch reset");
        }
        Found::Corrupt { .. } | Found::Newer { .. } => {
            let text = format!(
                "held as locked: {}; once the subnets are where they belong, natwatch reset --force puts it aside",
                found.trouble().unwrap_or_default()
            );
            return finding(id, Fitness::Unfit, text).cause("unreadable").remedy("natwatch status");
        }
    };
    let began = format!("{:.0} ({})", record.began, printable(&record.because, SHOWN));
    match record.phase {
        Phase::Taken => {
            let text = format!(
                "locked since the takeover of {began}: nothing is moved again before a failback, which wants a repaired primary"
            );
            finding(id, Fitness::Warning, text).cause("locked").remedy("natwatch failback")
        }
        Phase::FailingBack => {
            finding(id, Fitness::Warning, format!("a failback of the takeover of {began} is not complete"))
                .cause("failing-back")
                .remedy("natwatch failback")
        }
        Phase::Taking | Phase::Partial => finding(
            id,
            Fitness::Unfit,
            format!("the takeover of {began} was cut short, and the next run goes on with it on fresh evidence: some subnets may be left behind"),
        )
        .cause("cut-short")
        .remedy("natwatch status"),
    }
}

fn last_round(last: &Result<Option<(Outcome, String)>, String>) -> Finding {
    let id = "last-round";
    match last {
        Err(why) => finding(id, Fitness::Warning, format!("{why}; a run writes it anew"))
            .cause("round-unreadable")
            .remedy("natwatch run"),
        Ok(None) => finding(id, Fitness::Warning, "no run is on record: nobody is a witness yet")
            .cause("no-round")
            .remedy("natwatch run"),
        Ok(Some((Outcome::Healthy, because))) => {
            finding(id, Fitness::Fit, format!("healthy: {}", printable(because, SHOWN)))
        }
        Ok(Some((outcome, because))) => {
            finding(id, Fitness::Warning, format!("{outcome}: {}", printable(because, SHOWN)))
                .cause("not-healthy")
                .remedy("natwatch run -v")
        }
    }
}

/// The last drill. That there was none is no fault, and worth saying.
fn history(state: &State, now: Timestamp) -> Vec<Finding> {
    let path = quoted(&state.path(HISTORY).to_string_lossy());
    let (entries, unreadable) = match state.read_history() {
        Ok(read) => read,
        Err(error) => {
            return vec![
                finding("history", Fitness::Warning, error.to_string())
                    .cause("history-closed")
                    .remedy(format!("ls -l {path}")),
            ];
        }
    };
    let drill = entries.iter().rev().find(|entry| entry.kind.as_str() == "drill");
    let mut findings = vec![drilled(drill.map(|entry| (entry.at, entry.outcome)), now)];
    if unreadable > 0 {
        let text =
            format!("{unreadable} lines of the history can't be read: torn by a power loss, or of a newer natwatch");
        // Whole lines are kept: a newer natwatch can read what this one can't.
        findings.push(
            finding("history", Fitness::Warning, text)
                .cause("history-torn")
                .remedy(format!("grep -vn '^{{.*}}$' {path}; sed -i.torn '/^{{.*}}$/!d' {path}")),
        );
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
            finding(id, Fitness::Warning, format!("{text}: {outcome}")).cause("drill-failed").remedy("natwatch history")
        }
        _ => finding(id, Fitness::Fit, text),
    }
}

/// Files of ours that can't be read, and are made anew or do without.
fn troubles(state: &State) -> Vec<Finding> {
    let now = Timestamp::now();
    let all = [
        (GUARDED, state.read_guarded().1),
        (FLEET, state.read_fleet().1),
        (WITNESSES, crate::record::witnesses::Witnesses::load(state, now).1),
        (TARGETS, crate::record::targets::Targets::load(state).1),
        (PAUSE, state.read_pause().trouble()),
        (FACTS, state.read_facts().trouble()),
    ];
    let one = |(file, why): (&str, Option<String>)| {
        let path = quoted(&state.path(file).to_string_lossy());
        let aside = quoted(&state.path(&format!("{file}.aside")).to_string_lossy());
        let text = format!("{}: natwatch does without it, and makes it anew once it is put aside", why?);
        Some(
            finding("state-file", Fitness::Warning, text).cause("file-unreadable").remedy(format!("mv {path} {aside}")),
        )
    };
    all.into_iter().filter_map(one).collect()
}

#[cfg(test)]
pub(super) mod tests;
