//! What was seen of who runs natwatch, as findings: pure.

use std::time::Duration;

use super::{FIRST, Seen, Shipped, Unit};
use crate::model::{Finding, Fitness, Topic, printable, quoted};
use crate::record::lock::Watcher;
use crate::report::span;

/// By cron or the timer as shipped, there is a run every two minutes; this leaves room for entries of one's own, and for a takeover.
pub(super) const RUN: Duration = Duration::from_mins(10);

fn finding(id: &'static str, fitness: Fitness, text: impl Into<String>) -> Finding {
    Finding::new(Topic::Service, id, fitness, text.into())
}

pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
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
            |crontab| format!("grep -n natwatch {}", quoted(&crontab.path.to_string_lossy())),
        );
        ways.push(finding("several-services", Fitness::Warning, text).cause("several").remedy(remedy));
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
                .cause("watch-by-hand")
                .remedy(format!("kill {pid} && {}", enabling(seen)))
            } else if unit.is_some_and(|unit| !unit.enabled) {
                finding(
                    "service",
                    Fitness::Warning,
                    format!("{text}, and would not be after a reboot: {of} is not enabled"),
                )
                .cause("watch-not-enabled")
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
        .cause("watch-of-another")
        .remedy(format!("systemctl status {of}")),
        (None, Some(_)) => {
            finding("service", Fitness::Unfit, format!("{of} is enabled, and does not run: nobody would take over"))
                .cause("watch-not-running")
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
                .cause("timer-not-enabled")
                .remedy(format!("systemctl enable {name}"))
        }
        (true, false) => {
            finding("service", Fitness::Unfit, format!("{name} is enabled, and does not run: nobody would take over"))
                .cause("timer-not-running")
                .remedy(format!("systemctl start {name}"))
        }
    }
    .of(name)
}

fn from_cron(seen: &Seen, running: bool) -> Finding {
    let names: Vec<String> = seen.crontabs.iter().map(|one| printable(&one.path.to_string_lossy(), 100)).collect();
    let names = names.join(", ");
    let absent = seen.crontabs.iter().find_map(|one| one.absent.as_deref());
    let found = if let Some(program) = absent {
        let program = printable(program, 100);
        let text = format!("by {names} cron is to run {program}, and finds none: nobody would take over");
        finding("service", Fitness::Unfit, text)
            .cause("program-absent")
            .remedy("ls -l /usr/bin/natwatch /usr/local/bin/natwatch")
    } else if running {
        finding("service", Fitness::Fit, format!("cron runs natwatch by {names}"))
    } else {
        finding("service", Fitness::Warning, format!("{names} has natwatch run, and cron itself was not seen to run"))
            .cause("cron-not-running")
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
            finding("service", Fitness::Warning, text).cause("not-seen").remedy(remedy)
        }
        _ => finding(
            "service",
            Fitness::Unfit,
            "nobody runs natwatch by this configuration: nothing would be seen, and nobody would take over",
        )
        .cause("nobody")
        .remedy(remedy),
    }
}

/// Whether whoever runs it does so. Where nobody does, that has been said.
fn age(seen: &Seen, watched: bool) -> Option<Finding> {
    let id = "last-round-age";
    let last = seen.last?;
    let by_watch = seen.watched_within.filter(|_| watched || seen.watcher.is_some());
    let (limit, who) = by_watch.map_or((RUN, "a run every two minutes"), |within| (within, "a watch"));
    let text = format!("the last round was {} ago", span(last));
    Some(if last <= limit {
        finding(id, Fitness::Fit, text)
    } else {
        finding(id, Fitness::Warning, format!("{text}, where {who} would have made one within {}", span(limit)))
            .cause("old")
            .remedy("journalctl -u natwatch -u natwatch-watch -n 20; natwatch run -v")
    })
}
