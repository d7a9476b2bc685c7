//! What runs natwatch: a `watch`, systemd's units, or cron. A standby on which nobody does is as good as none.
//!
//! It starts and enables nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::command;
use crate::model::{Finding, Fitness, Found, Topic, printable};
use crate::record::State;
use crate::record::lock::{self, Watcher};
use crate::report::span;

/// systemd is who started this machine where this folder is (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";

/// Where cron's entries are: those of packages and operators, and each user's own, which only root may read (cron(8)).
const CRONTABS: [&str; 4] = ["/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron"];

/// Where cron and cronie say which process they are.
const CROND: [&str; 2] = ["/run/crond.pid", "/run/cron.pid"];

/// A crontab is no larger; more is not read.
const LARGEST: u64 = 1 << 20;

/// Beside a `watch`: it writes its last round each half a minute at least.
const WATCHED: Duration = Duration::from_mins(1);

/// By cron or the timer as shipped, there is a run every two minutes; this leaves room for entries of one's own, and for a takeover.
const RUN: Duration = Duration::from_mins(10);

/// A unit as systemd knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    name: String,
    enabled: bool,
    active: bool,
}

/// All that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    /// A `watch` that is at work, by its lock.
    watcher: Option<Watcher>,
    /// systemd's units; `None`: systemd is not who runs this machine, or does not answer.
    units: Option<Vec<Unit>>,
    /// Crontabs that run natwatch.
    crontabs: Vec<PathBuf>,
    /// Whether cron itself was seen.
    cron: bool,
    /// How old the last round is; `None`: there is none to be read.
    last: Option<Duration>,
}

/// By the name of the configuration, which a unit of several may have, and the state folder, where it can be read.
pub(super) async fn findings(config: &Path, state: Option<&State>, now: Timestamp) -> Vec<Finding> {
    let instance = config.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let last = state.and_then(|state| match state.read_last_round::<IgnoredAny>() {
        Found::Present(last) => Duration::try_from(now.duration_since(last.at)).ok(),
        _ => None,
    });
    let seen = Seen {
        watcher: state.and_then(lock::watching),
        units: units(instance).await,
        crontabs: crontabs(),
        cron: CROND.iter().any(|path| Path::new(path).exists()),
        last,
    };
    judge(&seen)
}

/// What systemd says of our units in one answer.
async fn units(instance: &str) -> Option<Vec<Unit>> {
    if !Path::new(SYSTEMD).exists() {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let template = format!("natwatch-watch@{instance}.service");
    let mut args = vec![
        "show",
        "--property=Id,UnitFileState,ActiveState",
        "natwatch-watch.service",
        "natwatch.timer",
        "cron.service",
        "crond.service",
    ];
    if !instance.is_empty() && instance.chars().all(plain) {
        args.push(&template);
    }
    let said = command::ask(&["/usr/bin/systemctl", "/bin/systemctl"], &args).await?;
    Some(read_units(&said))
}

/// Blocks of `KEY=value`, one for each unit, with an empty line between them (systemctl(1)).
fn read_units(said: &str) -> Vec<Unit> {
    let block = |block: &str| {
        let value =
            |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
        Unit {
            name: printable(value("Id"), 100),
            enabled: matches!(
                value("UnitFileState"),
                "enabled" | "enabled-runtime" | "static" | "linked" | "generated"
            ),
            active: matches!(value("ActiveState"), "active" | "activating" | "reloading"),
        }
    };
    said.split("\n\n").map(block).filter(|unit| !unit.name.is_empty()).collect()
}

/// The crontabs in which a line runs natwatch.
fn crontabs() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for place in CRONTABS.map(Path::new) {
        let inside = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
        found.extend(std::iter::once(place.to_owned()).chain(inside).filter(|path| runs_natwatch(path)));
    }
    found
}

fn runs_natwatch(path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    // Cron skips what others could have written (cron(8)), and so do we; a FIFO would never end.
    let sound = meta.is_file() && meta.len() <= LARGEST && meta.mode() & 0o022 == 0;
    sound && std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(is_entry))
}

/// Whether a line of a crontab runs natwatch: the command somewhere, and `run` somewhere behind it.
fn is_entry(line: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with('#') {
        return false;
    }
    let mut words = line.split_whitespace().skip_while(|word| *word != "natwatch" && !word.ends_with("/natwatch"));
    // The user's column may be called natwatch too.
    words.next().is_some() && words.any(|word| word == "run")
}

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::Service, id, fitness, text.into())
}

fn judge(seen: &Seen) -> Vec<Finding> {
    let unit = |name: &str| seen.units.iter().flatten().find(|unit| unit.name.starts_with(name));
    let mut ways = Vec::new();
    let watch = ["natwatch-watch@", "natwatch-watch.service"]
        .iter()
        .filter_map(|name| unit(name))
        .find(|unit| unit.enabled || unit.active);
    ways.extend(watching(seen, watch));
    let timer = unit("natwatch.timer").filter(|timer| timer.enabled || timer.active);
    ways.extend(timer.map(timed));
    if !seen.crontabs.is_empty() {
        let running = seen.cron
            || ["cron.service", "crond.service"].iter().any(|name| unit(name).is_some_and(|unit| unit.active));
        ways.push(by_cron(seen, running));
    }
    let several = ways.len() > 1;
    if ways.is_empty() {
        ways.push(nobody(seen));
    }
    if several {
        let names: Vec<String> = ways.iter().filter_map(|way| way.of.clone()).collect();
        let text = format!("{} run natwatch: no harm is done, but the same is told twice", names.join(" and "));
        ways.push(
            finding("several-services", Fitness::Warning, text)
                .remedy("keep one: systemctl disable --now natwatch.timer, or remove the crontab's line"),
        );
    }
    ways.extend(age(seen, watch.is_some_and(|unit| unit.active)));
    ways
}

/// A `watch` that is there, or is meant to be.
fn watching(seen: &Seen, unit: Option<&Unit>) -> Option<Finding> {
    let of = unit.map_or_else(|| "natwatch watch".to_owned(), |unit| unit.name.clone());
    let found = match (&seen.watcher, unit) {
        (None, None) => return None,
        (Some(Watcher { pid, began }), unit) => {
            let text = format!("a watch is at work (process {pid}, since {began:.0})");
            // Without systemd, somebody else sees to it.
            if unit.is_none() && seen.units.is_some() {
                finding(
                    "service",
                    Fitness::Warning,
                    format!("{text}, and no unit of systemd's is enabled that would start it again"),
                )
                .remedy("systemctl enable --now natwatch-watch.service, once that process has ended")
            } else if unit.is_some_and(|unit| !unit.enabled) {
                finding(
                    "service",
                    Fitness::Warning,
                    format!("{text}, and would not be after a reboot: {of} is not enabled"),
                )
                .remedy(format!("systemctl enable {of}"))
            } else {
                finding("service", Fitness::Fit, text)
            }
        }
        (None, Some(unit)) if unit.active => finding(
            "service",
            Fitness::Warning,
            format!("{of} is active, and no watch of this configuration is at work"),
        )
        .remedy(format!("systemctl status {of}; does it read this configuration?")),
        (None, Some(_)) => {
            finding("service", Fitness::Unfit, format!("{of} is enabled, and does not run: nobody would take over"))
                .remedy(format!("systemctl start {of}; journalctl -u {of} -n 20"))
        }
    };
    Some(found.of(of))
}

fn timed(unit: &Unit) -> Finding {
    let name = &unit.name;
    match (unit.enabled, unit.active) {
        (true, true) => finding("service", Fitness::Fit, format!("{name} is enabled and active")),
        (false, _) => {
            finding("service", Fitness::Warning, format!("{name} is active, and would not be after a reboot"))
                .remedy(format!("systemctl enable {name}"))
        }
        (true, false) => {
            finding("service", Fitness::Unfit, format!("{name} is enabled, and does not run: nobody would take over"))
                .remedy(format!("systemctl start {name}"))
        }
    }
    .of(name)
}

fn by_cron(seen: &Seen, running: bool) -> Finding {
    let names: Vec<String> = seen.crontabs.iter().map(|path| printable(&path.to_string_lossy(), 100)).collect();
    let names = names.join(", ");
    let found = if running {
        finding("service", Fitness::Fit, format!("cron runs natwatch by {names}"))
    } else {
        finding("service", Fitness::Warning, format!("{names} has natwatch run, and cron itself was not seen to run"))
            .remedy("systemctl enable --now cron (or crond)")
    };
    found.of(names)
}

/// Nothing that is known here starts natwatch. Something else may do it; then its last round is young.
fn nobody(seen: &Seen) -> Finding {
    let remedy = "systemctl enable --now natwatch-watch.service; or natwatch.timer; or cron, by cron/natwatch to /etc/cron.d/natwatch";
    match seen.last {
        Some(age) if age <= RUN => {
            let text =
                format!("neither systemd nor cron is seen to run natwatch; the last round was {} ago", span(age));
            finding("service", Fitness::Warning, text).remedy(remedy)
        }
        _ => finding(
            "service",
            Fitness::Unfit,
            "nobody runs natwatch: nothing would be seen, and nobody would take over",
        )
        .remedy(remedy),
    }
}

/// Whether whoever runs it does so. Where nobody does, that has been said.
fn age(seen: &Seen, watched: bool) -> Option<Finding> {
    let id = "last-round-age";
    let last = seen.last?;
    let (limit, who) =
        if watched || seen.watcher.is_some() { (WATCHED, "a watch") } else { (RUN, "a run every two minutes") };
    let text = format!("the last round was {} ago", span(last));
    Some(if last <= limit {
        finding(id, Fitness::Fit, text)
    } else {
        finding(id, Fitness::Warning, format!("{text}, where {who} would have made one within {}", span(limit)))
            .remedy("journalctl -u natwatch -u natwatch-watch -n 20; natwatch run -v")
    })
}

#[cfg(test)]
mod tests;
