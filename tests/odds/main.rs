//! The odds of a false takeover and of a missed outage, from the defaults as the program has them: computed, observed where they
//! are large enough to be seen, and written into `docs/design.md`.
//!
//! `NATWATCH_BLESS=1 cargo test --workspace --test odds` writes the tables there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

mod model;
mod observed;
mod tables;

use std::fs;
use std::path::Path as File;

use model::{Caller, Numbers};
use natwatch::config::{Files, Role, Settings};
use natwatch::observe::Pace;
use observed::{Path, passes};

/// Around the tables in `docs/design.md`.
const MARKERS: [&str; 2] = ["<!-- odds:begin -->\n", "<!-- odds:end -->\n"];

/// What the configuration must say; all else is default.
const CONFIG: &str = r#"
primary.route_table = "rtb-0a"
standby.route_table = "rtb-0b"
backends.hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"]
targets.hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
"#;

/// Pings of good targets that a backend which is cut off has missed in a round, by the observer; tested with it.
const PINGS: i32 = 4;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &File) -> Result<Vec<u8>, String> {
        Err("no files here".to_owned())
    }

    fn faults(&self, _: &File, _: Role) -> Vec<String> {
        Vec::new()
    }
}

fn settings() -> Settings {
    Settings::parse(CONFIG, File::new("/etc/natwatch/natwatch.toml"), &NoFiles).unwrap()
}

/// The defaults of `run`.
fn cron() -> Numbers {
    let settings = settings();
    Numbers {
        rules: settings.decide,
        panel: settings.observe.panel,
        pings: PINGS,
        targets: settings.observe.targets.len(),
        paces: (Pace::Calm, Pace::Burst(settings.observe.timeout / 3)),
    }
}

/// The defaults of `watch`.
fn watch() -> Numbers {
    let timeout = settings().observe.timeout;
    let mut numbers = Numbers { paces: (Pace::Burst(timeout / 6), Pace::AtOnce), ..cron() };
    numbers.rules.span = settings().watch.span;
    numbers
}

#[test]
fn f022_at_10_percent_loss_there_is_less_than_one_false_takeover_in_100_years() {
    for (caller, numbers) in [(Caller::Cron, cron()), (Caller::Watch, watch())] {
        for heard in numbers.rules.threshold..=numbers.panel {
            let odds = model::per_year(caller, heard, 0.1, &numbers);
            assert!(odds > 0.0 && odds < 0.01, "{caller:?}, {heard} heard: {odds} a year");
        }
    }
}

#[test]
fn f022_at_20_percent_loss_there_is_less_than_one_false_takeover_a_year() {
    for (caller, numbers) in [(Caller::Cron, cron()), (Caller::Watch, watch())] {
        for heard in numbers.rules.threshold..=numbers.panel {
            let odds = model::per_year(caller, heard, 0.2, &numbers);
            assert!(odds > 0.0 && odds < 1.0, "{caller:?}, {heard} heard: {odds} a year");
        }
    }
}

#[test]
fn the_defaults_look_three_times_in_run_and_twice_in_watch() {
    assert_eq!((model::looks(&cron().rules), model::looks(&watch().rules)), (3, 2));
}

/// `seen` of `passes` is as likely as not where `chance` is expected: five standard deviations, which chance exceeds once in a
/// million, and the seeds are fixed.
fn agrees(what: &str, seen: u32, passes: u32, chance: f64) {
    let expected = f64::from(passes) * chance;
    let deviation = (expected * (1.0 - chance)).sqrt().max(1.0);
    assert!(
        (f64::from(seen) - expected).abs() <= 5.0 * deviation,
        "{what}: {seen} of {passes}, computed {expected:.1}"
    );
}

#[test]
fn f022_rounds_and_passes_are_as_likely_to_accuse_as_computed() {
    let settings = settings().observe;
    for (heard, loss, count) in [(3, 0.45, 3000), (5, 0.4, 3000), (5, 0.5, 3000), (8, 0.5, 2000)] {
        for numbers in [cron(), watch()] {
            let seen = passes(count, heard, &Path::new(loss, 0.0, 0.0), &numbers, &settings);
            let down = model::down(heard, loss, &numbers);
            let rounds = model::looks(&numbers.rules);
            let name = format!("{heard} heard, {loss} lost each way");
            agrees(&format!("{name}: down"), seen.down, seen.passes, down);
            agrees(&format!("{name}: enough in {rounds}"), seen.acted, seen.passes, down.powi(rounds));
        }
    }
}

#[test]
fn too_few_are_heard_as_often_as_computed() {
    let settings = settings().observe;
    let numbers = cron();
    for (pool, dead) in [(4, 0.3), (6, 0.5), (8, 0.5), (20, 0.7)] {
        let seen = passes(1500, pool, &Path::new(1.0, 0.0, dead), &numbers, &settings);
        let name = format!("{pool} backends, {dead} of them dead");
        agrees(&format!("{name}: unheard"), seen.unheard, seen.passes, model::unheard(pool, dead, &numbers));
        // An outage is missed for no other reason.
        assert_eq!(seen.acted + seen.unheard, seen.passes, "{name}");
    }
}

#[test]
fn f002_a_standby_whose_own_path_loses_packets_misses_an_outage_as_often_as_computed() {
    let settings = settings().observe;
    for (targets, loss) in [(2, 0.1), (2, 0.3), (3, 0.2), (3, 0.3), (4, 0.3)] {
        let numbers = Numbers { targets, ..cron() };
        let seen = passes(1500, 8, &Path::new(1.0, loss, 0.0), &numbers, &settings);
        let blinded = model::blinded(targets, loss, &numbers);
        agrees(&format!("{targets} targets, {loss} lost"), seen.passes - seen.acted, seen.passes, blinded);
    }
}

#[test]
fn the_tables_in_the_design_are_what_is_computed() {
    let path = File::new(env!("CARGO_MANIFEST_DIR")).join("docs/design.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKERS[0]).expect("no <!-- odds:begin --> in docs/design.md");
    let (inside, after) = rest.split_once(MARKERS[1]).expect("no <!-- odds:end --> in docs/design.md");
    let computed = format!("\n{}\n", tables::tables());
    if std::env::var_os("NATWATCH_BLESS").is_some() {
        fs::write(&path, [before, MARKERS[0], &computed, MARKERS[1], after].concat()).unwrap();
    } else {
        assert_eq!(inside, computed, "NATWATCH_BLESS=1 cargo test --workspace --test odds writes it");
    }
}
