//! What runs natwatch by this configuration: a `watch`, systemd's units, or cron. A standby on which nobody does is as good as none, and
//! who runs it by another configuration does not count.
//!
//! It starts and enables nothing.

mod crontab;
mod judge;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::command;
use crate::model::{Finding, Found, printable, quoted};
use crate::record::State;
use crate::record::lock::{self, Watcher};
use crontab::Crontab;
use judge::judge;

/// The configurations that the shipped units read: of `natwatch.timer` and `natwatch-watch.service` the first of this name, and of
/// `natwatch-watch@NAME.service` `NAME.toml`.
const SHIPPED: &str = "/etc/natwatch";
const FIRST: &str = "natwatch";

/// systemd is who started this machine where this folder is (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";

/// Where cron and cronie say which process they are.
const CROND: [&str; 2] = ["/run/crond.pid", "/run/cron.pid"];

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
    crontabs: Vec<Crontab>,
    /// Whether cron itself was seen.
    cron: bool,
    /// How old the last round is; `None`: there is none to be read.
    last: Option<Duration>,
    /// How old that of a `watch` may be by its configured pace.
    watched_within: Option<Duration>,
}

/// Whether a crontab that can be read has natwatch run by this configuration.
pub(super) fn by_cron(config: &Path) -> bool {
    !crontab::with(config).is_empty()
}

/// By where the configuration is, which says whose units read it, and the state folder, where it can be read.
pub(super) async fn findings(
    config: &Path,
    state: Option<&State>,
    watched_within: Option<Duration>,
    now: Timestamp,
) -> Vec<Finding> {
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
        watched_within,
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

#[cfg(test)]
pub(super) mod tests;
