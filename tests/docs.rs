//! What the documents say, compared with the program and the tree.
//!
//! `NATWATCH_BLESS=1 cargo test --test docs` writes the last column of `docs/faults.md`, and fails once more for a row that has
//! neither a test nor a word why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

#[path = "docs/dependencies.rs"]
mod dependencies;
#[path = "docs/evidence.rs"]
mod evidence;
#[path = "docs/operations.rs"]
mod operations;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use clap::CommandFactory as _;
use natwatch::cli::Cli;
use natwatch::config::{Files, KEYS, Presence, Role, Settings};
use natwatch::model::{Counts, EventKind, Figures, LastSteps, Outcome, Pass};
use natwatch::report::event::{self, Event};
use natwatch::report::{exit_meaning, metrics};

/// Before the word in the last column of `docs/faults.md`, after the tests.
const REMARK: &str = "– ";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    let path = path(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text from the heading `title` to the next one of the same level.
fn section<'t>(text: &'t str, title: &str) -> &'t str {
    let level = title.split(' ').next().unwrap();
    let (_, rest) = text.split_once(&format!("\n{title}\n")).unwrap_or_else(|| panic!("no section {title:?}"));
    rest.split(&format!("\n{level} ")).next().unwrap()
}

/// The cells of each row of the tables in `text`, without heads and rules.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    let rule = |line: &&str| line.starts_with("|---");
    let head = |n: usize| table.get(n + 1).is_some_and(rule);
    table.iter().enumerate().filter(|(n, line)| !rule(line) && !head(*n)).map(|(_, line)| cells(line)).collect()
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let text = read("README.md");
    let screen: Vec<&str> = text.lines().take(30).collect();
    for command in ["make demo", "make test"] {
        assert!(screen.iter().any(|line| line.starts_with(command)), "{command} is not on the first screen");
    }
}

#[test]
fn the_readmes_exit_statuses_are_the_programs() {
    let text = read("README.md");
    let told: BTreeMap<u8, String> = rows(section(&text, "## Exit status"))
        .into_iter()
        .map(|row| (row[0].parse().unwrap(), row[1].clone()))
        .collect();
    let meant: BTreeMap<u8, String> =
        [0, 1, 2, 3, 4, 5, 64, 75, 78].into_iter().map(|status| (status, exit_meaning(status).to_owned())).collect();
    assert_eq!(told, meant);
    let unknown = exit_meaning(u8::MAX);
    let known: BTreeSet<u8> = (0..=u8::MAX).filter(|status| exit_meaning(*status) != unknown).collect();
    assert_eq!(known, meant.into_keys().collect(), "statuses that the program knows");
}

#[test]
fn the_readmes_commands_are_the_programs() {
    let text = read("README.md");
    let told: BTreeSet<String> = rows(section(&text, "## Commands"))
        .iter()
        .map(|row| row[0].trim_start_matches("`natwatch ").split([' ', '`']).next().unwrap().to_owned())
        .collect();
    let command = Cli::command();
    let there: BTreeSet<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    assert_eq!(told, there);
    for (n, line) in text.lines().enumerate() {
        for before in ["sudo -u natwatch natwatch ", "`natwatch "] {
            for after in line.split(before).skip(1) {
                let word = after.split([' ', '`']).next().unwrap();
                assert!(there.contains(word), "README.md:{}: there is no `natwatch {word}`", n + 1);
            }
        }
    }
}

/// A hosts file of four, whoever asks.
struct Four;

impl Files for Four {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Ok(b"10.0.10.10 web1\n10.0.10.11 web2\n10.0.11.10 db1\n10.0.11.11 db2\n".to_vec())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn the_readmes_configuration_is_accepted() {
    let text = read("README.md");
    let sample = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let settings = Settings::parse(sample, Path::new("/etc/natwatch/natwatch.toml"), &Four).unwrap();
    assert_eq!((settings.name.as_str(), settings.observe.backends.len()), ("natwatch", 4));
}

#[test]
fn the_defaults_that_the_design_argues_for_are_the_programs() {
    let text = read("docs/design.md");
    let mut argued = 0;
    for row in rows(section(&text, "## Why these numbers")) {
        let Some((name, value)) = row[0].strip_prefix('`').and_then(|cell| cell.split('`').next()?.split_once(" = "))
        else {
            continue;
        };
        let key =
            KEYS.iter().find(|key| key.path.ends_with(&format!(".{name}"))).unwrap_or_else(|| panic!("no key {name}"));
        let Presence::Default(default) = key.presence else { panic!("{name} has no default") };
        assert_eq!(default, value, "{name}");
        argued += 1;
    }
    assert!(argued >= 12, "{argued} defaults have their reason");
}

/// The words between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Production code, by file.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![path("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.extend((entry.file_name().unwrap() != "tests").then_some(entry));
            } else if entry.file_name().unwrap() != "tests.rs" {
                let text = fs::read_to_string(&entry).unwrap();
                let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                found.push((entry, code));
            }
        }
    }
    found
}

#[test]
fn every_event_of_the_log_has_its_name_and_its_line_in_docs_events() {
    // What `watch` tells of passes is called after what they came to.
    let outcomes = Outcome::ALL.iter().filter(|one| {
        !matches!(one, Outcome::FailedBack | Outcome::WouldFailBack | Outcome::Drilled | Outcome::WouldDrill)
    });
    let mut there: BTreeSet<String> = outcomes.map(ToString::to_string).collect();
    // Written without the log, which may not be there yet.
    there.insert("error".to_owned());
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut events = 0;
    for (file, code) in sources() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            for call in code.split(&format!("tracing::{level}!(")).skip(1) {
                events += 1;
                let fields = call.trim_start();
                if fields.starts_with("event,") {
                    continue;
                }
                let rest = fields.strip_prefix("event = \"").unwrap_or_else(|| {
                    let begin: String = fields.chars().take(80).collect();
                    panic!("an event without a name: {}: tracing::{level}!({begin}", file.display())
                });
                let (name, rest) = rest.split_once('"').unwrap();
                let named: BTreeSet<String> = rest
                    .split('"')
                    .next()
                    .unwrap()
                    .split(',')
                    .map(|key| key.trim().to_owned())
                    .filter(|key| !key.is_empty())
                    .collect();
                keys.entry(name.to_owned()).or_default().extend(named);
                there.insert(name.to_owned());
            }
        }
    }
    assert!(events > 20, "{events} events were found");
    let text = read("docs/events.md");
    let (_, table) = text.split_once("| event | level |").unwrap();
    let told: Vec<Vec<String>> = rows(&format!("| event | level |{table}"));
    let names: BTreeSet<String> = told.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(names, there);
    for (name, keys) in keys {
        let row = told.iter().find(|row| quoted(&row[0]).contains(&name)).unwrap();
        let documented: BTreeSet<String> = if name == "error" { keys.clone() } else { quoted(&row[2]) };
        assert_eq!(documented, keys, "the keys of {name}");
    }
}

#[test]
fn every_event_of_a_hook_has_its_line_in_docs_hooks() {
    let text = read("docs/hooks.md");
    let told: BTreeSet<String> = rows(section(&text, "## Events")).iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(told, EventKind::ALL.iter().map(ToString::to_string).collect());
    let keys: BTreeSet<String> =
        rows(section(&text, "## The document")).iter().flat_map(|row| quoted(&row[0])).collect();
    let event = Event {
        id: "1",
        kind: EventKind::Paused,
        name: "nat",
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        instance: None,
        previous: None,
        since: None,
        untold: 0,
        because: "",
        pass: None,
        paused: None,
        names: &natwatch::model::Names::new(),
    };
    let document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&event::document(&event)).unwrap();
    assert_eq!(keys, document.keys().cloned().collect());
}

#[test]
fn every_metric_has_its_line_in_docs_metrics() {
    let pass = Pass {
        outcome: Outcome::Healthy,
        exit: 0,
        because: String::new(),
        holds: Vec::new(),
        judgements: Vec::new(),
        moves: Vec::new(),
        last: LastSteps::default(),
        elapsed: std::time::Duration::ZERO,
        dry_run: false,
        notes: Vec::new(),
        commands: Vec::new(),
        names: natwatch::model::Names::new(),
        drill: None,
        paused: None,
    };
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let figures = Figures {
        name: "nat".to_owned(),
        last: (at, pass),
        counts: Counts { healthy: Some(at), ..Counts::default() },
        phase: None,
        locked: false,
        paused_until: Some(at),
        backends: 0,
        witnesses: 0,
        threshold: 0,
        targets: 0,
        subnets: [0; 3],
        takeovers: BTreeMap::new(),
        failbacks: BTreeMap::new(),
        last_takeover: Some(at),
        waiting: 0,
    };
    let text = metrics::text(&figures).unwrap();
    let mut written = String::from("| metric | type | labels | is |\n|---|---|---|---|\n");
    let mut names = BTreeSet::new();
    for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = help.split_once(' ').unwrap();
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let mut labels: Vec<(String, Vec<String>)> = Vec::new();
        for sample in samples {
            let (_, rest) = sample.split_once('{').unwrap();
            for pair in rest.split_once('}').unwrap().0.split(',').skip(1) {
                let (label, value) = pair.split_once('=').unwrap();
                let value = if label == "version" { "…".to_owned() } else { value.trim_matches('"').to_owned() };
                match labels.iter_mut().find(|(known, _)| known == label) {
                    Some((_, values)) if values.contains(&value) => {}
                    Some((_, values)) => values.push(value),
                    None => labels.push((label.to_owned(), vec![value])),
                }
            }
        }
        let labels: Vec<String> =
            labels.iter().map(|(label, values)| format!("`{label}`: {}", values.join(", "))).collect();
        writeln!(written, "| `{name}` | {kind} | {} | {help} |", labels.join("; ")).unwrap();
        names.insert(name.to_owned());
    }
    let document = read("docs/metrics.md");
    let (before, rest) = document.split_once("<!-- metrics:begin -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- metrics:end -->").unwrap();
    if std::env::var_os("NATWATCH_BLESS").is_some() {
        let blessed = format!("{before}<!-- metrics:begin -->\n{written}<!-- metrics:end -->{after}");
        fs::write(path("docs/metrics.md"), blessed).unwrap();
    } else {
        assert_eq!(
            table, written,
            "docs/metrics.md is behind the program (NATWATCH_BLESS=1 cargo test --test docs writes it)"
        );
    }
    // No alert goes by a metric that there is not.
    for file in ["docs/alerts.yml", "docs/alerts.test.yml"] {
        for word in read(file)
            .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
            .filter(|word| word.starts_with("natwatch_"))
        {
            assert!(names.contains(word), "{file}: there is no {word}");
        }
    }
}

#[test]
fn promtool_accepts_the_alert_rules_and_their_tests() {
    let promtool = natwatch_lab::promtool().unwrap();
    for args in [["check", "rules", "docs/alerts.yml"], ["test", "rules", "docs/alerts.test.yml"]] {
        let output = Command::new(&promtool).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("SUCCESS"), "promtool {args:?}: {said}");
    }
    // Each alert is seen to come.
    let rules = read("docs/alerts.yml");
    let tests = read("docs/alerts.test.yml");
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = tests.split(&format!("alertname: {alert}\n")).skip(1).any(|rest| {
            rest.trim_start().starts_with("exp_alerts: &") || rest.trim_start().starts_with("exp_alerts:\n")
        });
        assert!(fires, "no test sees {alert} come");
    }
}

/// Every text that is read with its links.
fn documents() -> Vec<String> {
    let mut all: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "lab/README.md", "tests/scenarios/README.md"]
            .map(str::to_owned)
            .into();
    for folder in ["docs", "deploy", "packaging"] {
        let names = fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let texts = names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
        all.extend(texts.map(|name| format!("{folder}/{name}")));
    }
    all
}

/// What a heading is called in a link, as GitHub and most others have it: lower case, no punctuation, hyphens for spaces.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase().replace(' ', "-");
        found.insert(kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect());
    }
    found
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut anchored = 0;
    for file in documents() {
        let text = read(&file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = if target.is_empty() { path(&file) } else { path(&file).parent().unwrap().join(target) };
            assert!(target.exists(), "{file}: {link}");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{file}: {link}: there is no such heading");
                anchored += 1;
            }
        }
    }
    assert!(anchored > 50, "{anchored} anchors were looked for");
}

/// Held by who reads `docs/faults.md` and by who writes it.
static CATALOGUE: Mutex<()> = Mutex::new(());

/// A row of `docs/faults.md`.
struct Fault {
    number: u32,
    what: String,
    /// After the tests, where there is a word; or instead of them.
    remark: String,
}

/// The sections of `docs/faults.md` with their rows.
fn catalogue(text: &str) -> Vec<(String, Vec<Fault>)> {
    let sections = text.split("\n## ").skip(1);
    let read = sections.map(|section| {
        let rows = rows(section).into_iter().map(|row| Fault {
            number: row[0].parse().unwrap(),
            what: row[1].clone(),
            remark: row.last().unwrap().split_once(REMARK).map_or("", |(_, remark)| remark.trim()).to_owned(),
        });
        (section.lines().next().unwrap().to_owned(), rows.collect())
    });
    read.collect()
}

/// Every test of the tree whose name begins with numbers of faults, by number.
fn proofs() -> BTreeMap<u32, BTreeSet<String>> {
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut folders: Vec<PathBuf> = ["src", "tests", "lab/src", "lab/tests"].map(path).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                for line in fs::read_to_string(&entry).unwrap().lines() {
                    let line = line.trim().trim_start_matches("async ");
                    let Some(name) = line.strip_prefix("fn f").and_then(|rest| rest.split('(').next()) else {
                        continue;
                    };
                    for number in numbers(&format!("f{name}")) {
                        found.entry(number).or_default().insert(format!("f{name}"));
                    }
                }
            }
        }
    }
    found
}

/// How many passes of `tests/scenarios` are named after a fault, by number.
fn scenarios() -> BTreeMap<u32, usize> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path("tests/scenarios")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for number in numbers(name.split(['-', '.']).next().unwrap()) {
            *found.entry(number).or_default() += 1;
        }
    }
    found
}

/// `f025_f097_nobody_heard` is about rows 25 and 97.
fn numbers(name: &str) -> Vec<u32> {
    let number =
        |word: &str| word.strip_prefix('f').filter(|digits| digits.len() == 3).and_then(|digits| digits.parse().ok());
    name.split('_').map_while(number).collect()
}

#[test]
fn every_fault_names_its_tests_and_every_test_its_fault() {
    let _alone = CATALOGUE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read("docs/faults.md");
    let (proofs, scenarios) = (proofs(), scenarios());
    let faults: BTreeSet<u32> = rows(&text).iter().map(|row| row[0].parse().unwrap()).collect();
    let strays: Vec<&u32> = proofs.keys().filter(|number| !faults.contains(number)).collect();
    assert!(strays.is_empty(), "tests are about faults that docs/faults.md does not have: {strays:?}");

    let mut silent = Vec::new();
    let written: Vec<String> =
        text.lines()
            .map(|line| {
                let number = line.strip_prefix("| ").and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
                let Some(number) = number else { return line.to_owned() };
                let (row, last) = line.trim_end_matches('|').rsplit_once(" | ").unwrap();
                let remark = last.split_once(REMARK).map_or("", |(_, remark)| remark.trim());
                let mut tests: Vec<String> =
                    proofs.get(&number).into_iter().flatten().map(|name| format!("`{name}`")).collect();
                tests.extend(scenarios.get(&number).map(|count| {
                    format!("{count} [scenario{}](../tests/scenarios)", if *count == 1 { "" } else { "s" })
                }));
                // That there is no test is over once there is one.
                let remark = if tests.is_empty() || !remark.starts_with("no test") { remark } else { "" };
                if tests.is_empty() && remark.is_empty() {
                    silent.push(number);
                }
                let dash = if remark.is_empty() { "" } else { REMARK };
                let cell = [tests.join(", "), format!("{dash}{remark}")].join(" ");
                format!("{row} | {} |", cell.trim())
            })
            .collect();
    if std::env::var_os("NATWATCH_BLESS").is_some() {
        fs::write(path("docs/faults.md"), written.join("\n") + "\n").unwrap();
    } else {
        let differing: Vec<&str> =
            written.iter().map(String::as_str).filter(|line| !text.lines().any(|other| other == *line)).collect();
        assert!(
            differing.is_empty(),
            "docs/faults.md is behind the tree (NATWATCH_BLESS=1 cargo test --test docs writes it):\n{}",
            differing.join("\n")
        );
    }
    assert!(silent.is_empty(), "rows without a test or `{REMARK}` and a word why: {silent:?}");
}
