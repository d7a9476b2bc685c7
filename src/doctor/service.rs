//! What runs natwatch by this configuration: a `watch`, systemd's units, or cron. A standby on which nobody does is as good as none, and
//! who runs it by another configuration does not count.
//!
//! It starts and enables nothing.

mod crontab;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::command;
use crate::model::{Finding, Fitness, Found, Topic, printable, quoted};
use crate::record::State;
use crate::record::lock::{self, Watcher};
use crate::report::span;

/// The configurations that the shipped units read: of `natwatch.timer` and `natwatch-watch.service` the first of this name, and of
/// `natwatch-watch@NAME.service` `NAME.toml`.
const SHIPPED: &str = "/etc/natwatch";
const FIRST: &str = "natwatch";

/// systemd is who started this machine where this folder is (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";

/// Where cron and cronie say which process they are.
const CROND: [&str; 2] = ["/run/crond.pid", "/run/cron.pid"];

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

/// The unit that would watch by this configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shipped {
    name: String,
    /// `natwatch-watch.service`, with `natwatch.timer`.
    first: bool,
    /// Where the configuration has to be for it, where it is not there.
    elsewhere: Option<PathBuf>,
}

impl Shipped {
    /// `None`: by no name that a unit could have.
    fn of(config: &Path) -> Option<Self> {
        let stem = config.file_stem()?.to_str()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let path = Path::new(SHIPPED).join(format!("{stem}.toml"));
        let there = crontab::same(config, &path);
        let first = stem == FIRST;
        let name = if first { "natwatch-watch.service".to_owned() } else { format!("natwatch-watch@{stem}.service") };
        stem.chars().all(plain).then(|| Self { name, first, elsewhere: (!there).then(|| config.to_owned()) })
    }

    /// The units by whom this configuration is run, where they are.
    fn units(&self) -> Vec<&str> {
        match self {
            Self { elsewhere: Some(_), .. } => Vec::new(),
            Self { first: true, .. } => {
                vec!["natwatch-watch.service", "natwatch-watch@natwatch.service", "natwatch.timer"]
            }
            Self { name, .. } => vec![name],
        }
    }

    /// Has it run, and be run after a reboot.
    fn enabling(&self) -> String {
        let enable = format!("systemctl enable --now {}", self.name);
        let Some(config) = &self.elsewhere else { return enable };
        let stem = config.file_stem().unwrap_or_default().to_string_lossy();
        let (config, path) = (quoted(&config.to_string_lossy()), format!("{SHIPPED}/{stem}.toml"));
        format!("[ ! -e {path} ] && cp -p {config} {path} && {enable}")
    }
}

/// All that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    /// A `watch` that is at work, by its lock.
    watcher: Option<Watcher>,
    /// Who would watch by this configuration.
    shipped: Option<Shipped>,
    /// systemd's units, those of this configuration only; `None`: systemd is not who runs this machine, or does not answer.
    units: Option<Vec<Unit>>,
    /// Crontabs that run natwatch by this configuration.
    crontabs: Vec<PathBuf>,
    /// Whether cron itself was seen.
    cron: bool,
    /// How old the last round is; `None`: there is none to be read.
    last: Option<Duration>,
}

/// Whether a crontab that can be read has natwatch run by this configuration.
pub(super) fn by_cron(config: &Path) -> bool {
    !crontab::with(config).is_empty()
}

/// By where the configuration is, which says whose units read it, and the state folder, where it can be read.
pub(super) async fn findings(config: &Path, state: Option<&State>, now: Timestamp) -> Vec<Finding> {
    let shipped = Shipped::of(config);
    let last = state.and_then(|state| match state.read_last_round::<IgnoredAny>() {
        Found::Present(last) => Duration::try_from(now.duration_since(last.at)).ok(),
        _ => None,
    });
    let seen = Seen {
        watcher: state.and_then(lock::watching),
        units: units(shipped.as_ref()).await,
        crontabs: crontab::with(config),
        shipped,
        cron: CROND.iter().any(|path| Path::new(path).exists()),
        last,
    };
    judge(&seen)
}

/// What systemd says of the units of this configuration, and of cron's, in one answer.
async fn units(shipped: Option<&Shipped>) -> Option<Vec<Unit>> {
    if !Path::new(SYSTEMD).exists() {
        return None;
    }
    let mut args = vec!["show", "--property=Id,UnitFileState,ActiveState", "cron.service", "crond.service"];
    args.extend(shipped.iter().flat_map(|shipped| shipped.units()));
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
            // `linked` is known, and not started (systemctl(1)).
            enabled: matches!(value("UnitFileState"), "enabled" | "enabled-runtime" | "static" | "generated"),
            active: matches!(value("ActiveState"), "active" | "activating" | "reloading"),
        }
    };
    said.split("\n\n").map(block).filter(|unit| !unit.name.is_empty()).collect()
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
        ways.push(from_cron(seen, running));
    }
    let several = ways.len() > 1;
    if ways.is_empty() {
        ways.push(nobody(seen));
    }
    if several {
        let names: Vec<String> = ways.iter().filter_map(|way| way.of.clone()).collect();
        let text =
            format!("{} run natwatch: no harm is done, but the same is told twice; one is enough", names.join(" and "));
        let remedy = seen.crontabs.first().filter(|_| timer.is_none()).map_or_else(
            || "systemctl disable --now natwatch.timer".to_owned(),
            |crontab| format!("grep -n natwatch {}", quoted(&crontab.to_string_lossy())),
        );
        ways.push(finding("several-services", Fitness::Warning, text).remedy(remedy));
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
                .remedy(format!("kill {pid} && {}", enabling(seen)))
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
            format!("{of} is active, and no watch of this configuration is at work: it may read another one"),
        )
        .remedy(format!("systemctl status {of}")),
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

fn from_cron(seen: &Seen, running: bool) -> Finding {
    let names: Vec<String> = seen.crontabs.iter().map(|path| printable(&path.to_string_lossy(), 100)).collect();
    let names = names.join(", ");
    let found = if running {
        finding("service", Fitness::Fit, format!("cron runs natwatch by {names}"))
    } else {
        finding("service", Fitness::Warning, format!("{names} has natwatch run, and cron itself was not seen to run"))
            .remedy("systemctl enable --now cron || systemctl enable --now crond")
    };
    found.of(names)
}

/// Has a unit of systemd's run it; the first one, where none could have the configuration's name.
fn enabling(seen: &Seen) -> String {
    seen.shipped.as_ref().map_or_else(|| format!("systemctl enable --now {FIRST}-watch.service"), Shipped::enabling)
}

/// Nothing that is known here starts natwatch. Something else may do it; then its last round is young.
fn nobody(seen: &Seen) -> Finding {
    let remedy = enabling(seen);
    match seen.last {
        Some(age) if age <= RUN => {
            let text = format!(
                "neither systemd nor cron is seen to run natwatch by this configuration; the last round was {} ago",
                span(age)
            );
            finding("service", Fitness::Warning, text).remedy(remedy)
        }
        _ => finding(
            "service",
            Fitness::Unfit,
            "nobody runs natwatch by this configuration: nothing would be seen, and nobody would take over",
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
