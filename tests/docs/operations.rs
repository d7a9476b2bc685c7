//! `docs/operations.md` has an entry for whatever an operator can be shown, none for what there is not, and commands that can be typed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::CommandFactory as _;
use clap::Parser as _;
use clap::error::ErrorKind;
use natwatch::cli::Cli;
use natwatch::config::Settings;
use natwatch::model::{EventKind, Gate, Outcome, ServiceState};
use natwatch::report::exit_meaning;

use super::{Four, documents, path, quoted, read, rows, section};

const RUNBOOK: &str = "docs/operations.md";

/// What each entry says, in this order.
const PARTS: [&str; 4] = ["- **Means**: ", "- **Look**: ", "- **Type**: ", "- **Ends when**: "];

/// The entries of a section: heading, and what stands below it.
fn entries<'t>(text: &'t str, title: &str) -> Vec<(&'t str, &'t str)> {
    section(text, title).split("\n### ").skip(1).map(|entry| entry.split_once('\n').unwrap()).collect()
}

/// The names in the headings of a section, each once, and every entry whole.
fn named(text: &str, title: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (heading, body) in entries(text, title) {
        let said: Vec<&str> = body.lines().filter(|line| line.starts_with("- **")).collect();
        assert_eq!(said.len(), PARTS.len(), "{heading}: {said:?}");
        for (line, part) in said.iter().zip(PARTS) {
            assert!(line.strip_prefix(part).is_some_and(|rest| !rest.trim().is_empty()), "{heading}: {part:?}: {line}");
        }
        for name in quoted(heading) {
            assert!(names.insert(name.clone()), "{name} has two entries");
        }
    }
    names
}

/// The names in the first cells of a table's rows, each row as wide as its head and full.
fn listed(table: &str, wide: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for row in rows(table) {
        assert!(row.len() == wide && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        let first = if row[0].contains('`') { quoted(&row[0]) } else { BTreeSet::from([row[0].clone()]) };
        for name in first {
            assert!(names.insert(name.clone()), "{name} has two rows");
        }
    }
    names
}

fn words(all: &[impl ToString]) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

#[test]
fn every_alarm_has_its_entry_and_is_as_urgent_as_the_rule_says() {
    let rules = read("docs/alerts.yml");
    let alarms: BTreeMap<&str, &str> = rules
        .split("- alert: ")
        .skip(1)
        .map(|rule| {
            let severity = rule.lines().find_map(|line| line.trim().strip_prefix("severity: ")).unwrap();
            (rule.lines().next().unwrap(), severity)
        })
        .collect();
    assert!(alarms.len() > 5, "{alarms:?}");
    let text = read(RUNBOOK);
    named(&text, "## Alarms");
    let told: BTreeMap<&str, &str> = entries(&text, "## Alarms")
        .into_iter()
        .map(|(heading, body)| {
            let means = body.lines().find_map(|line| line.strip_prefix(PARTS[0])).unwrap();
            (heading, means.split('.').next().unwrap())
        })
        .collect();
    assert_eq!(told, alarms);
}

#[test]
fn every_outcome_gate_and_event_of_a_hook_has_its_entry() {
    let text = read(RUNBOOK);
    assert_eq!(named(&text, "## Outcomes"), words(Outcome::ALL));
    assert_eq!(named(&text, "## Gates"), words(Gate::ALL));
    assert_eq!(listed(section(&text, "## Hook events"), 5), words(EventKind::ALL));
}

#[test]
fn every_event_of_the_log_has_its_row() {
    // That docs/events.md has those of the program, another test sees to.
    let events = read("docs/events.md");
    let (_, table) = events.split_once("| event | level |").unwrap();
    let known: BTreeSet<String> =
        rows(&format!("| event | level |{table}")).iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(listed(section(&read(RUNBOOK), "## Log events"), 5), known);
}

#[test]
fn every_exit_status_has_its_row_and_every_command_says_which_it_has() {
    let text = read(RUNBOOK);
    let (statuses, commands) = section(&text, "## Exit statuses").split_once("\nOf each command:\n").unwrap();
    let unknown = exit_meaning(u8::MAX);
    let known: BTreeSet<String> =
        (0..u8::MAX).filter(|status| exit_meaning(*status) != unknown).map(|status| status.to_string()).collect();
    assert_eq!(listed(statuses, 5), known);
    let there: BTreeSet<String> =
        Cli::command().get_subcommands().map(|one| format!("natwatch {}", one.get_name())).collect();
    assert_eq!(listed(commands, 6), there);
    let check = rows(commands).into_iter().find(|row| row[0] == "`natwatch check`").unwrap();
    for state in ServiceState::ALL {
        let cell = &check[1 + usize::from(state.exit())];
        assert!(cell.starts_with(state.as_str()), "check, {state}: {cell}");
    }
}

/// The lines of fenced blocks of shell, and those outside of any block.
fn told_apart(text: &str) -> (Vec<String>, Vec<&str>) {
    let (mut shell, mut prose) = (Vec::new(), Vec::new());
    let mut fence = None;
    for line in text.lines() {
        match (line.trim().strip_prefix("```"), fence) {
            (Some(kind), None) => fence = Some(kind),
            (Some(_), Some(_)) => fence = None,
            (None, Some("sh")) => shell.push(line.trim().to_owned()),
            (None, Some(_)) => {}
            (None, None) => prose.push(line),
        }
    }
    (shell, prose)
}

fn shell(text: &str) -> Vec<String> {
    told_apart(text).0
}

/// What is there to be typed: in blocks of shell, and in backticks outside of blocks.
fn typed(text: &str) -> Vec<String> {
    let (shell, prose) = told_apart(text);
    prose.into_iter().flat_map(quoted).chain(shell).collect()
}

/// The simple commands of a line as a shell would have their words; comments, and what goes to a file, are left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![vec![String::new()]];
    let mut quote = None;
    let mut skip = false;
    for c in line.chars() {
        let words = all.last_mut().unwrap();
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if words.last().unwrap().is_empty() => break,
            (None, '&' | '|' | ';') => {
                all.push(vec![String::new()]);
                skip = false;
            }
            (None, '>') => skip = true,
            (None, ' ') => words.push(String::new()),
            _ if skip => {}
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    let full = all.into_iter().map(|words| words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>());
    full.filter(|words| !words.is_empty()).collect()
}

/// The words after natwatch's user, where it is one of natwatch's.
fn ours(command: &[String]) -> Option<&[String]> {
    let words = command.strip_prefix(&["sudo", "-u", "natwatch"].map(str::to_owned)).unwrap_or(command);
    (words.first()? == "natwatch").then_some(words)
}

/// Whether clap understands it; help is understood.
fn understood(words: &[String]) -> Result<(), String> {
    match Cli::try_parse_from(words) {
        Err(error) if error.kind() != ErrorKind::DisplayHelp => Err(error.to_string()),
        _ => Ok(()),
    }
}

#[test]
fn every_command_of_natwatch_in_the_runbook_is_understood() {
    let there: BTreeSet<String> = Cli::command().get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let mut looked_at = 0;
    for line in typed(&read(RUNBOOK)) {
        for command in commands(&line) {
            let Some(words) = ours(&command) else { continue };
            looked_at += 1;
            // A command's name alone, which may need more to be typed.
            let name = words.len() == 2 && words.len() == command.len() && there.contains(&words[1]);
            let said = understood(words);
            assert!(name || said.is_ok(), "{line}: {}", said.unwrap_err());
        }
    }
    assert!(looked_at > 60, "{looked_at} commands were looked at");
}

#[test]
fn every_command_of_natwatch_in_a_block_of_shell_is_understood() {
    let mut looked_at = 0;
    for file in documents() {
        for command in shell(&read(&file)).iter().flat_map(|line| commands(line)) {
            let Some(words) = ours(&command) else { continue };
            looked_at += 1;
            let said = understood(words);
            assert!(said.is_ok(), "{file}: {command:?}: {}", said.unwrap_err());
        }
    }
    assert!(looked_at > 30, "{looked_at} commands were looked at");
}

#[test]
fn every_unit_in_the_runbook_is_shipped() {
    let mut looked_at = 0;
    for command in typed(&read(RUNBOOK)).iter().flat_map(|line| commands(line)) {
        if !["systemctl", "journalctl"].contains(&command[0].as_str()) {
            continue;
        }
        for unit in command.iter().filter(|word| word.starts_with("natwatch")) {
            let (name, kind) = unit.rsplit_once('.').unwrap_or((unit, "service"));
            let name = name.split_once('@').map_or_else(|| name.to_owned(), |(template, _)| format!("{template}@"));
            let file = format!("systemd/{name}.{kind}");
            assert!(path(&file).exists(), "{command:?}: there is no {file}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 15, "{looked_at} units were looked at");
}

#[test]
fn the_runbooks_configurations_are_accepted() {
    let text = read(RUNBOOK);
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let settings = Settings::parse(block, Path::new("/etc/natwatch/guards-b.toml"), &Four);
        assert!(settings.is_ok(), "{}\n{block}", settings.unwrap_err());
    }
}

#[test]
fn commands_are_found_as_a_shell_finds_them() {
    let found = typed("a `x y` b\n```sh\nnatwatch run  # why\n```\n```toml\nz = `n`\n```\n");
    assert_eq!(found, ["x y", "natwatch run  # why"]);
    let line = "natwatch pause --for 1m --reason 'a b' && natwatch print iam-policy > f.json; echo \"c # d\" # e";
    let words: Vec<Vec<String>> = commands(line);
    assert_eq!(words[0], ["natwatch", "pause", "--for", "1m", "--reason", "a b"]);
    assert_eq!(words[1], ["natwatch", "print", "iam-policy"]);
    assert_eq!(words[2], ["echo", "c # d"]);
}
