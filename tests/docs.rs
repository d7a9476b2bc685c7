//! What the documents say, compared with the program and the tree.
//!
//! `NATWATCH_BLESS=1 cargo test --test docs` writes the last column of `docs/faults.md`, and fails once more for a row that has
//! neither a test nor a word why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use natwatch::cli::Cli;
use natwatch::config::{Files, KEYS, Presence, Role, Settings};
use natwatch::report::exit_meaning;

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

#[test]
fn every_link_leads_to_a_file() {
    for file in ["README.md", "CONTRIBUTING.md", "docs/bench.md", "docs/design.md", "docs/faults.md", "lab/README.md"] {
        let text = read(file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            let found = target.is_empty() || link.contains("://") || path(file).parent().unwrap().join(target).exists();
            assert!(found, "{file}: {link}");
        }
    }
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
