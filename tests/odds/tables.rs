//! The tables of `docs/design.md`, as text.

use std::fmt::Write as _;
use std::time::Duration;

use super::model::{Caller, Numbers, blinded, looks, per_year, unheard, worst};
use super::{cron, watch};

const LOSSES: [f64; 6] = [0.05, 0.10, 0.15, 0.20, 0.25, 0.30];
const SHARES: [f64; 6] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5];
const POOLS: [usize; 5] = [4, 6, 8, 20, 100];

/// A number of expected events, to two figures that mean something.
fn expected(value: f64) -> String {
    match value {
        v if v < 1e-12 => "< 1e-12".to_owned(),
        v if v < 0.01 => format!("{v:.0e}"),
        v if v < 1.0 => format!("{v:.2}"),
        v if v < 10.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn chance(value: f64) -> String {
    match value {
        v if v < 1e-9 => "< 1e-9".to_owned(),
        v if v < 0.001 => format!("{v:.0e}"),
        v if v < 0.1 => format!("{:.1} %", v * 100.0),
        v => format!("{:.0} %", v * 100.0),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    writeln!(text, "| {} |", cells.join(" | ")).unwrap();
}

fn head(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    row(text, cells.iter().cloned());
    writeln!(text, "|{}", "---|".repeat(cells.len())).unwrap();
}

/// A variation of one number, and how it is called.
type Variation = (&'static str, fn(&mut Numbers));

const VARIATIONS: [Variation; 14] = [
    ("as they are", |_| ()),
    ("a threshold of 2", |n| n.rules.threshold = 2),
    ("a threshold of 4", |n| n.rules.threshold = 4),
    ("a fraction of 0.34", |n| n.rules.fraction = 0.34),
    ("a fraction of 0.66", |n| n.rules.fraction = 0.66),
    ("one round, no span", |n| (n.rules.rounds, n.rules.span) = (1, Duration::ZERO)),
    ("three rounds", |n| n.rules.rounds = 3),
    ("a span of 0.7 s", |n| n.rules.span = Duration::from_millis(700)),
    ("a span of 5 s", |n| n.rules.span = Duration::from_secs(5)),
    ("a panel of 3", |n| n.panel = 3),
    ("a panel of 16", |n| n.panel = 16),
    ("2 pings a round", |n| n.pings = 2),
    ("3 pings a round", |n| n.pings = 3),
    ("8 targets", |n| n.targets = 8),
];

/// All between the markers.
pub(crate) fn tables() -> String {
    let mut text = String::new();
    for (caller, numbers, title) in [
        (Caller::Cron, cron(), "False takeovers **per year of `run` by cron**, every two minutes"),
        (Caller::Watch, watch(), "False takeovers **per year of `watch`**"),
    ] {
        writeln!(text, "{title} ({} rounds), by loss each way and backends heard:\n", looks(&numbers.rules)).unwrap();
        let heard = || numbers.rules.threshold..=numbers.panel;
        head(&mut text, std::iter::once("loss".to_owned()).chain(heard().map(|heard| heard.to_string())));
        for loss in LOSSES {
            let cells = heard().map(|heard| expected(per_year(caller, heard, loss, &numbers)));
            row(&mut text, std::iter::once(percent(loss)).chain(cells));
        }
        text.push('\n');
    }
    text.push_str("What each number is worth: false takeovers per year at 20 % loss each way, for the worst number of heard backends, ");
    text.push_str("when it alone is changed; and the rounds that it takes:\n\n");
    head(&mut text, ["the defaults, but", "cron", "rounds", "`watch`", "rounds"].map(ToOwned::to_owned));
    for (name, vary) in VARIATIONS {
        let (mut run, mut watch) = (cron(), watch());
        vary(&mut run);
        vary(&mut watch);
        row(
            &mut text,
            [
                name.to_owned(),
                expected(worst(Caller::Cron, 0.2, &run)),
                looks(&run.rules).to_string(),
                expected(worst(Caller::Watch, 0.2, &watch)),
                looks(&watch.rules).to_string(),
            ],
        );
    }
    text.push_str("\nThe chance that a pass **misses an outage** because too few are heard, by the share of backends that are dead:\n\n");
    head(&mut text, std::iter::once("backends".to_owned()).chain(SHARES.map(percent)));
    for pool in POOLS {
        let cells = SHARES.map(|dead| chance(unheard(pool, dead, &cron())));
        row(&mut text, std::iter::once(pool.to_string()).chain(cells));
    }
    text.push_str("\nThe chance that a pass of `run` misses an outage because the standby's own path loses packets, by loss each way:\n\n");
    head(&mut text, std::iter::once("targets".to_owned()).chain(LOSSES.map(percent)));
    for targets in [2, 3, 4, 6] {
        let cells = LOSSES.map(|loss| chance(blinded(targets, loss, &cron())));
        row(&mut text, std::iter::once(targets.to_string()).chain(cells));
    }
    text
}
