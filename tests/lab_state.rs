//! The state folder when root and the service's user take turns, and what root leaves for the service's user. Needs root, since only root can
//! give files away and raise a lab; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use natwatch::model::{Phase, Record};
use natwatch::record::history::{Deed, Entry};
use natwatch::record::{State, VERSION};
use natwatch_lab::{Fault, Lab, Nat, Options, Run};
use serde_json::Value;

fn record() -> Record {
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        purpose: natwatch::model::Purpose::Takeover,
        phase: Phase::Taking,
        began: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        boot: None,
        because: "3 of 3 backends are cut off".to_owned(),
        moves: Vec::new(),
        last: natwatch::model::LastSteps::default(),
    }
}

fn entry() -> Entry {
    Entry {
        version: VERSION,
        kind: Deed::Reset,
        at: Timestamp::UNIX_EPOCH,
        instance: None,
        why: "by an operator".to_owned(),
        outcome: None,
        moves: Vec::new(),
        last: natwatch::model::LastSteps::default(),
        drill: None,
        took: std::time::Duration::ZERO,
    }
}

fn folder(owner: Option<u32>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    chown(dir.path(), owner, owner).unwrap();
    dir
}

#[test]
fn f105_what_root_writes_belongs_to_the_folders_owner() {
    let dir = folder(Some(4242));
    let state = State::open(&dir.path().join("nat")).unwrap();
    state.write_record(&record()).unwrap();
    state.append_history(&entry()).unwrap();
    let owner = |path: &Path| fs::metadata(path).map(|meta| (meta.uid(), meta.gid())).unwrap();
    assert_eq!(owner(state.dir()), (4242, 4242), "a folder made by root is its parent's owner's");
    for file in ["takeover.json", "history.jsonl"] {
        assert_eq!(owner(&state.dir().join(file)), (4242, 4242), "{file}");
    }
}

#[test]
fn f073_what_belongs_to_somebody_else_is_refused() {
    let dir = folder(None);
    let state = State::open(&dir.path().join("nat")).unwrap();
    state.write_record(&record()).unwrap();
    let taken = state.dir().join("takeover.json");
    chown(&taken, Some(4242), None).unwrap();
    let error = State::open(state.dir()).unwrap_err().to_string();
    assert!(error.contains("belongs to user 4242") && error.contains("chown"), "{error}");
    // In a folder like /tmp, anybody could have made it.
    fs::remove_file(&taken).unwrap();
    chown(state.dir(), Some(4242), None).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
    assert!(State::open(state.dir()).unwrap_err().to_string().contains("belongs to user 4242, and we are user 0"));
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(State::open(state.dir()).is_ok(), "root works for the service's user");
}

/// A lab whose backends are witnesses already, with a short patience.
fn seasoned() -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch, traffic: false, ..Options::default() }).unwrap();
    let quick = [("decision.run_span", "\"200ms\""), ("backends.panel", "0"), ("takeover.verify_for", "\"2s\"")];
    lab.configure(&quick).unwrap();
    for _ in 0..3 {
        assert_eq!(lab.natwatch(&["run"]).unwrap().status, Some(0));
    }
    lab
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

/// The gates that hold by `run --format json`.
fn holds(run: &Run) -> Vec<Value> {
    json(run)["holds"].as_array().unwrap().clone()
}

#[test]
fn f010_what_root_saw_of_the_masquerading_holds_for_the_services_user_until_root_sees_better() {
    let lab = seasoned();
    let facts = lab.plan().state().join("natwatch/facts.json");
    assert!(!facts.exists(), "who may not look leaves nothing");
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let seen = lab.command(&["run", "--format", "json"]).as_root().run().unwrap();
    assert_eq!((seen.status, &json(&seen)["outcome"]), (Some(1), &"no-redundancy".into()), "{seen}");
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();

    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(2), "{run}");
    assert!(holds(&run).iter().all(|hold| hold["gate"] == "unfit"), "{run}");
    let (why, remedy) = (holds(&run)[0]["why"].to_string(), holds(&run)[0]["remedy"].to_string());
    assert!(why.contains("does not masquerade") && why.contains("as root saw"), "{run}");
    assert!(remedy.contains("MASQUERADE") && remedy.contains("as root: natwatch run"), "{run}");
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    assert!(holds(&status).iter().any(|hold| hold["gate"] == "unfit"), "{status}");
    assert!(lab.api().mutations().is_empty());

    // The remedy, by its letter; root's next run sees it, and it is that run's outage to end.
    lab.heal(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    lab.heal(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    assert_eq!(lab.command(&["run"]).as_root().run().unwrap().status, Some(0));
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
}

#[test]
fn f010_what_was_seen_in_another_boot_is_unknown_and_verification_decides() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let seen = lab.command(&["run", "--format", "json"]).as_root().run().unwrap();
    assert_eq!((seen.status, &json(&seen)["outcome"]), (Some(1), &"no-redundancy".into()), "{seen}");
    let path = lab.plan().state().join("natwatch/facts.json");
    let mut facts: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&facts["masquerade"], fs::metadata(&path).unwrap().uid()), (&false.into(), natwatch_lab::UID));
    facts["boot"]["id"] = "00000000-0000-4000-8000-000000000000".into();
    fs::write(&path, facts.to_string()).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!((run.status, &json(&run)["outcome"]), (Some(2), &"unverified".into()), "{run}");
    let notes = json(&run)["notes"].to_string();
    assert!(notes.contains("masquerades is unknown") && notes.contains("is of another boot"), "{run}");
    assert_eq!(lab.api().mutations().len(), 2, "moved, and not again");
}
