//! The table of passes that grows with every bug: each file of `tests/scenarios/`, decided again by the library and by the program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use natwatch::model::{Gate, Outcome, Pass, Verdict};
use natwatch::replay::Input;

/// Fewer is a folder that was not read, or files that were lost.
const AT_LEAST: usize = 120;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Every scenario by the name of its file, without the ending.
fn files() -> Vec<(String, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml" || ending == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    files.sort();
    assert!(files.len() >= AT_LEAST, "{} scenarios, at least {AT_LEAST} expected", files.len());
    files
}

fn inputs() -> Vec<(String, Input)> {
    let read = |(name, path): (String, PathBuf)| (name, Input::read(&path).unwrap_or_else(|error| panic!("{error}")));
    files().into_iter().map(read).collect()
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_scenario_comes_to_what_it_expects() {
    let mut faults = Vec::new();
    for (name, path) in files() {
        // One that can't even be read any more (its moves follow from no plan) must not hide the others.
        let input = match Input::read(&path) {
            Ok(input) => input,
            Err(error) => {
                faults.push(format!("{name}: {error}"));
                continue;
            }
        };
        if input.expect.is_none() && input.saved.is_none() {
            faults.push(format!("{name}: expects nothing"));
        }
        faults.extend(input.differences().iter().map(|one| format!("{name}: {one}")));
    }
    none(&faults);
}

#[test]
fn the_program_says_so_too() {
    let mut faults = Vec::new();
    for (name, path) in files() {
        let expected = Input::read(&path).unwrap().pass();
        let replay = |args: &[&str]| {
            Command::new(env!("CARGO_BIN_EXE_natwatch"))
                .args(["replay"])
                .arg(&path)
                .args(args)
                // Nothing but the file is needed.
                .env_clear()
                .current_dir("/")
                .output()
                .unwrap()
        };
        let told = replay(&[]);
        let text = String::from_utf8(told.stdout).unwrap();
        if told.status.code() != Some(0) || !text.ends_with("\nas the file says\n") {
            let told = String::from_utf8_lossy(&told.stderr);
            faults.push(format!("{name}: {:?}\n{text}{told}", told.lines().last()));
        }
        let json = replay(&["--format", "json"]);
        let document: Result<serde_json::Value, _> = serde_json::from_slice(&json.stdout);
        let outcome = document.as_ref().map(|one| one["outcome"].clone());
        if json.status.code() != Some(0) || outcome.ok() != Some(expected.outcome.as_str().into()) {
            faults.push(format!("{name}: --format json: {:?}", document.err()));
        }
    }
    none(&faults);
}

#[test]
fn every_verdict_gate_outcome_and_exit_status_occurs() {
    let passes: Vec<Pass> = inputs().iter().map(|(_, input)| input.pass()).collect();
    let verdicts: BTreeSet<Verdict> = passes.iter().flat_map(|one| &one.judgements).map(|one| one.verdict).collect();
    assert_eq!(verdicts, Verdict::ALL.iter().copied().collect());
    let outcomes: BTreeSet<Outcome> = passes.iter().map(|one| one.outcome).collect();
    // A way back and a drill are decided from other things than a pass.
    let back = [Outcome::FailedBack, Outcome::WouldFailBack, Outcome::Drilled, Outcome::WouldDrill];
    assert_eq!(outcomes, Outcome::ALL.iter().copied().filter(|one| !back.contains(one)).collect());
    let statuses: BTreeSet<u8> = passes.iter().map(|one| one.exit).collect();
    assert_eq!(statuses, BTreeSet::from([0, 1, 2, 3, 4, 5, 75]));
    for gate in Gate::ALL {
        let of = |alone: bool| {
            passes.iter().any(|one| {
                let gates: BTreeSet<Gate> = one.holds.iter().map(|hold| hold.gate).collect();
                one.outcome == Outcome::Down && gates.contains(gate) && (gates.len() == 1) == alone
            })
        };
        assert!(of(true) && of(false), "{gate}: alone and with others");
    }
}

#[test]
fn a_file_is_named_after_its_rows_and_no_two_say_the_same() {
    let inputs = inputs();
    let mut faults = Vec::new();
    for (n, (name, input)) in inputs.iter().enumerate() {
        for row in name.split(['-', '_']).map_while(|word| word.strip_prefix('f')?.parse::<u16>().ok()) {
            if input.saved.is_none() && !input.rows.contains(&row) {
                faults.push(format!("{name}: row {row} is in its name and not in its rows"));
            }
        }
        for (other, same) in inputs[..n].iter().filter(|(_, other)| other.case == input.case) {
            let about = (&input.about, &same.about);
            faults.push(format!("{name} is the same case as {other}: {about:?}"));
        }
    }
    none(&faults);
}
