//! `replay` against what real runs saved: the same document to the last byte, without configuration, state folder or EC2. Needs
//! root, for the lab; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use natwatch_lab::{Fault, Invocation, Lab, Nat, Options, Run};
use serde_json::Value;

fn saved(lab: &Lab) -> PathBuf {
    lab.plan().state().join("natwatch/last-round.json")
}

fn replay(lab: &Lab, file: &Path, args: &[&str]) -> Run {
    let args = [&["replay", file.to_str().unwrap()], args].concat();
    // No configuration, and no right that it would not have anywhere.
    lab.command(&args).config(Path::new("/nonexistent/natwatch.toml")).as_user().run().unwrap()
}

/// A run that must come to `outcome`, and the same decided again from what it saved.
#[track_caller]
fn runs_and_replays(lab: &Lab, outcome: &str, status: i32) {
    this_runs_and_replays(lab, &lab.command(&["run", "--format", "json"]), outcome, status);
}

#[track_caller]
fn this_runs_and_replays(lab: &Lab, run: &Invocation, outcome: &str, status: i32) {
    let run = run.run().unwrap();
    assert_eq!(run.status, Some(status), "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["outcome"], outcome, "{run}");
    let calls = lab.api().calls().len();
    let again = replay(lab, &saved(lab), &["--format", "json"]);
    assert_eq!(again.status, Some(0), "{again}");
    assert_eq!(again.stdout, run.stdout, "{again}");
    let why = replay(lab, &saved(lab), &[]);
    assert_eq!(why.status, Some(0), "{why}");
    assert!(why.stdout.ends_with("\nas the file says\n"), "{why}");
    assert_eq!(lab.api().calls().len(), calls, "EC2 was asked");
}

#[test]
fn what_real_runs_saved_is_decided_again_to_the_last_byte() {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch: binary, ..Options::default() }).unwrap();
    let quick = [("decision.run_span", "\"200ms\""), ("decision.rounds", "2"), ("backends.panel", "0")];
    lab.configure(&quick).unwrap();
    for _ in 0..3 {
        runs_and_replays(&lab, "healthy", 0);
    }

    lab.inject(&Fault::UplinkDead(Nat::Standby)).unwrap();
    runs_and_replays(&lab, "isolated", 3);
    lab.heal_all().unwrap();

    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.configure(&[&quick[..], &[("decision.min_uptime", "\"5m\"")]].concat()).unwrap();
    let booted = lab.command(&["run", "--format", "json"]).up_for(Duration::from_secs(30));
    this_runs_and_replays(&lab, &booted, "down", 3);
    lab.configure(&quick).unwrap();

    // Held, since nobody knows which subnet the backends are in; EC2 is asked once that is decided, and what it says then is the
    // next run's knowledge, not this one's.
    std::fs::remove_file(lab.plan().state().join("natwatch/guarded.json")).unwrap();
    runs_and_replays(&lab, "down", 2);
    let last: Value = serde_json::from_slice(&std::fs::read(saved(&lab)).unwrap()).unwrap();
    assert_eq!(last["case"]["guarded"], Value::Null);

    runs_and_replays(&lab, "taken-over", 4);

    // What somebody changes afterwards is found.
    let edited = lab.plan().state().join("edited.json");
    let text = std::fs::read_to_string(saved(&lab)).unwrap();
    std::fs::write(&edited, text.replacen("\"threshold\": 3", "\"threshold\": 30", 1)).unwrap();
    let differs = replay(&lab, &edited, &[]);
    assert_eq!(differs.status, Some(2), "{differs}");
    assert!(differs.stdout.contains("outcome: the file says taken-over, these rules say unheard"), "{differs}");

    lab.heal_all().unwrap();
    runs_and_replays(&lab, "locked", 5);
}
