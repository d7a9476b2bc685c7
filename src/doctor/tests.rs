use std::collections::BTreeSet;

use super::*;
use crate::model::{Edit, Topic};

fn finding(fitness: Fitness) -> Finding {
    Finding::new(Topic::State, "x", fitness, String::new())
}

#[test]
fn unfit_comes_first_then_what_may_hide_it_then_warnings() {
    for (found, fitness, exit) in [
        (&[][..], Fitness::Fit, 0),
        (&[Fitness::Fit], Fitness::Fit, 0),
        (&[Fitness::Fit, Fitness::Warning], Fitness::Warning, 1),
        (&[Fitness::Warning, Fitness::Unknown], Fitness::Unknown, 3),
        (&[Fitness::Unknown, Fitness::Unfit, Fitness::Warning], Fitness::Unfit, 2),
    ] {
        let worst = worst(&found.iter().map(|one| finding(*one)).collect::<Vec<_>>());
        assert_eq!((worst, status(worst)), (fitness, exit), "{found:?}");
    }
}

/// What is to be done, in one line: the command, then the changes by their keys.
pub(super) fn to_do(finding: &Finding) -> String {
    let change = |change: &Edit| match change {
        Edit::Key(key, line) => format!("{key}: {line}"),
        Edit::Line(file, _, line) => format!("{}: {line}", file.display()),
    };
    finding.remedy.iter().cloned().chain(finding.changes.iter().map(change)).collect::<Vec<_>>().join("; ")
}

/// The programs by which anything is to be looked at or mended.
const PROGRAMS: [&str; 42] = [
    "[",
    "\"${EDITOR:-vi}\"",
    "apt-get",
    "aws",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "conntrack",
    "cp",
    "df",
    "dmesg",
    "dnf",
    "du",
    "echo",
    "getent",
    "grep",
    "install",
    "ip",
    "iptables",
    "iptables-legacy",
    "journalctl",
    "kill",
    "ls",
    "mkdir",
    "mount",
    "mv",
    "natwatch",
    "nft",
    "ping",
    "ps",
    "sed",
    "setfacl",
    "sleep",
    "ssh",
    "ssh-keygen",
    "ssh-keyscan",
    "sudo",
    "sysctl",
    "systemctl",
    "timedatectl",
    "useradd",
];

/// Filters behind a pipe, and what is built into the shell.
const MORE: [&str; 8] = ["head", "tail", "sort", "uniq", "printf", "tee", "unset", "true"];

/// Whatever is not fit has a cause and something to do: commands that a shell takes as they are pasted, with no prose behind or before them; or
/// keys that there are.
#[track_caller]
pub(super) fn can_be_done(findings: &[Finding]) {
    for one in findings.iter().filter(|one| one.fitness != Fitness::Fit) {
        assert!(one.cause.is_some(), "in no way: {one:?}");
        assert!(one.remedy.is_some() || !one.changes.is_empty(), "nothing is said to be done: {one:?}");
        for change in &one.changes {
            let known = |key: &str| crate::config::KEYS.iter().any(|one| one.path == key);
            assert!(!matches!(change, Edit::Key(key, _) if !known(key)), "no such key: {one:?}");
        }
    }
    can_be_pasted(findings);
}

/// Every remedy is a command that a shell takes as it is pasted.
#[track_caller]
pub(super) fn can_be_pasted(findings: &[Finding]) {
    let remedies: Vec<&str> = findings.iter().filter_map(|one| one.remedy.as_deref()).collect();
    for remedy in &remedies {
        // What is quoted is somebody's word, and no command's separator.
        let unquoted: String = remedy.split('\'').step_by(2).collect::<Vec<_>>().join("Q");
        for command in unquoted.split(['|', ';', '&']).map(str::trim).filter(|one| !one.is_empty()) {
            let first = command.split(' ').next().unwrap();
            assert!(
                PROGRAMS.contains(&first) || MORE.contains(&first),
                "{first} is no command that is known here: {remedy}"
            );
        }
        for prose in ["; then", "find out", "correct ", ", as ", "`", " or: ", "<"] {
            assert!(!remedy.contains(prose), "{prose:?} is prose: {remedy}");
        }
    }
    if remedies.is_empty() {
        return;
    }
    // `-n`: read, and not executed.
    let read = std::process::Command::new("/bin/sh").args(["-n", "-c", &remedies.join("\n")]).output().unwrap();
    assert!(read.status.success(), "{remedies:#?}: {}", String::from_utf8_lossy(&read.stderr));
}

/// Production code: what stands above the tests.
fn source(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("#[cfg(test)]\n").next().unwrap().to_owned()
}

/// The causes in the source at `path`, of one file or of all in a folder and the file beside it.
fn causes(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let folder = path.with_extension("");
    if folder.is_dir() {
        let inside = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let code = |path: &std::path::PathBuf| {
            path.extension().is_some_and(|ending| ending == "rs")
                && path.file_stem().is_some_and(|name| name != "tests")
        };
        found.extend(inside.filter(code).flat_map(|path| causes(&path)));
    }
    let text = source(path);
    for call in ["cause(", "bad("] {
        for (at, _) in text.match_indices(call) {
            let behind = text[at + call.len()..].trim_start();
            found.extend(behind.strip_prefix('"').and_then(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    found
}

/// The list of what `doctor` can find wrong is the source itself; each of it is seeded by a test, and has something to do.
#[tokio::test(start_paused = true)]
async fn every_way_in_which_a_precondition_is_not_met_is_seeded_by_a_test_and_can_be_mended() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("nat")).unwrap();
    let events = crate::record::events::Events::open(&state).unwrap();
    std::fs::write(state.dir().join("events/1.json"), "torn").unwrap();
    let configuration = configuration::tests::seeds();
    let all = [
        ("doctor/backends.rs", backends::tests::seeds().await),
        ("doctor/caller.rs", caller::tests::seeds()),
        ("doctor/capacity.rs", capacity::tests::seeds()),
        ("doctor/clock.rs", clock::tests::seeds()),
        ("doctor/cloud.rs", cloud::tests::seeds()),
        ("doctor/configuration.rs", configuration.clone()),
        ("doctor/firewall.rs", firewall::tests::seeds()),
        ("doctor/fleet.rs", fleet::tests::seeds()),
        ("doctor/host.rs", host::tests::seeds()),
        ("doctor/leave.rs", leave::tests::seeds()),
        ("doctor/network.rs", network::tests::seeds()),
        ("doctor/service.rs", service::tests::seeds()),
        ("doctor/stale.rs", stale::tests::seeds()),
        ("doctor/state.rs", state::tests::seeds()),
        ("doctor/targets.rs", targets::tests::seeds()),
        ("doctor/witnesses.rs", witnesses::tests::seeds()),
        ("notify.rs", configuration.clone()),
        ("record/events.rs", vec![events.finding()]),
        ("record/textfile.rs", configuration),
    ];
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    for (file, seeded) in &all {
        can_be_done(seeded);
        let mut known = causes(&src.join(file));
        known.sort();
        let count = known.len();
        known.dedup();
        assert_eq!(count, known.len(), "{file}: a word for two ways: {known:?}");
        assert!(!known.is_empty(), "{file}");
        let found: BTreeSet<&str> = seeded.iter().filter_map(|one| one.cause).collect();
        let unseeded: Vec<&String> = known.iter().filter(|cause| !found.contains(cause.as_str())).collect();
        assert!(unseeded.is_empty(), "{file}: seeded by no test: {unseeded:?}");
    }
    // What is found wrong anywhere else would be in no list.
    let listed: BTreeSet<&str> = all.iter().filter_map(|(file, _)| file.strip_prefix("doctor/")).collect();
    for entry in std::fs::read_dir(src.join("doctor")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && name != "tests.rs" && !listed.contains(name.as_str()) {
            assert_eq!(causes(&path), [""; 0], "{name}");
            let text = source(&path);
            for word in ["Fitness::Warning", "Fitness::Unfit", "Fitness::Unknown"] {
                assert!(!text.contains(word), "{name}: {word}");
            }
        }
    }
}
