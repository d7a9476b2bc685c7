//! What a watch holds at a moment, and whether that has grown.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use natwatch_lab::Lab;

use super::meter::{look, standby};
use super::watcher::{Watcher, runtime};

/// One look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// PSS of all its processes, in KiB.
    pub(super) tree: u64,
    /// Its own resident memory, in KiB.
    pub(super) own: u64,
    /// Itself among them.
    pub(super) processes: u64,
    pub(super) descriptors: u64,
    /// In its state and runtime folders.
    pub(super) files: u64,
}

impl Sample {
    pub(super) fn take(lab: &Lab, watcher: &Watcher) -> anyhow::Result<Self> {
        let pid = watcher.running.pid();
        let seen = look(standby(lab)?, pid);
        anyhow::ensure!(seen.own > 0, "the watch has ended:\n{}", watcher.running.stderr());
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).context("the watch has ended")?.count();
        let files = files(&lab.plan().state())? + files(&runtime(lab))?;
        Ok(Self {
            tree: seen.tree,
            own: seen.own,
            processes: seen.processes,
            descriptors: u64::try_from(descriptors)?,
            files,
        })
    }
}

fn files(folder: &Path) -> anyhow::Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        // What goes away meanwhile is not there.
        count += match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()).unwrap_or(0),
            Ok(_) => 1,
            Err(_) => 0,
        };
    }
    Ok(count)
}

/// What is looked at for growth, how it is called, and how much more is none: a twentieth, and so much besides.
type Kind = (&'static str, fn(&Sample) -> u64, u64);
const KINDS: [Kind; 5] = [
    // Sessions come and go; a page cache's share does too.
    ("memory of all processes, KiB", |one| one.tree, 1024),
    // An allocator keeps what a busier minute took.
    ("natwatch's own memory, KiB", |one| one.own, 512),
    // A session that is being replaced has two.
    ("processes", |one| one.processes, 2),
    ("descriptors", |one| one.descriptors, 4),
    ("files", |one| one.files, 2),
];

/// One line of the table: what, its medians in the second and the last quarter, its worst, and whether it has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trend {
    pub(super) what: &'static str,
    pub(super) second: u64,
    pub(super) last: u64,
    pub(super) worst: u64,
    pub(super) grown: bool,
}

/// Compares the last quarter with the second: the first is for warming up.
pub(super) fn trends(samples: &[Sample]) -> Vec<Trend> {
    let quarter = samples.len() / 4;
    let part = |from: usize| samples.get(from..from + quarter).unwrap_or_default();
    let (second, last) = (part(quarter), part(samples.len() - quarter));
    KINDS
        .iter()
        .map(|(what, of, slack)| {
            let (second, last) = (median(second, *of), median(last, *of));
            let worst = samples.iter().map(of).max().unwrap_or_default();
            Trend { what, second, last, worst, grown: last > second + second / 20 + slack }
        })
        .collect()
}

fn median(of: &[Sample], kind: fn(&Sample) -> u64) -> u64 {
    let mut all: Vec<_> = of.iter().map(kind).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(descriptors: impl Fn(u64) -> u64) -> Vec<Sample> {
        let one = |n| Sample { tree: 30_000, own: 12_000, processes: 9, descriptors: descriptors(n), files: 8 };
        (0..60).map(one).collect()
    }

    fn grown(samples: &[Sample]) -> Vec<&'static str> {
        trends(samples).into_iter().filter(|one| one.grown).map(|one| one.what).collect()
    }

    #[test]
    fn what_leaks_one_every_two_minutes_has_grown() {
        assert_eq!(grown(&hour(|n| 40 + n / 2)), ["descriptors"]);
    }

    #[test]
    fn what_goes_up_and_down_has_not() {
        assert_eq!(grown(&hour(|n| 40 + n % 3)), [""; 0]);
        assert_eq!(grown(&hour(|n| if n < 15 { 10 } else { 40 })), [""; 0], "warming up");
        assert_eq!(grown(&hour(|n| if n == 59 { 400 } else { 40 })), [""; 0], "one look is none");
    }

    #[test]
    fn medians_of_the_quarters_and_the_worst_are_told() {
        let trend = trends(&hour(|n| n)).into_iter().find(|one| one.what == "descriptors").unwrap();
        assert_eq!((trend.second, trend.last, trend.worst, trend.grown), (22, 52, 59, true));
    }
}
