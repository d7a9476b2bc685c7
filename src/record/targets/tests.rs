//! What is remembered of targets, by the clock.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use jiff::{SignedDuration, Timestamp};

use super::Targets;
use crate::record::State;

fn scratch() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let state = State::open(&dir.path().join("nat")).unwrap();
    (dir, state)
}

/// So many minutes after some noon.
fn at(minutes: i64) -> Timestamp {
    "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A target that was good or not at these minutes.
fn seen(results: &[(i64, bool)]) -> Targets {
    let mut targets = Targets::default();
    for (minute, good) in results {
        targets.observed("one", *good, at(*minute));
    }
    targets
}

#[test]
fn f021_a_name_is_known_for_an_hour_after_it_was_last_found() {
    let (_dir, state) = scratch();
    let configured = ["one".to_owned()];
    let (mut targets, trouble) = Targets::load(&state);
    assert_eq!((targets.known(at(0)).len(), trouble), (0, None));
    targets.found("one", addr("203.0.113.1"), at(0));
    assert!(targets.save(&state, &configured).unwrap());
    let (targets, _) = Targets::load(&state);
    for (minute, known) in [(0, true), (59, true), (60, false), (-1, false)] {
        let found = targets.known(at(minute)).get("one").copied();
        assert_eq!(found, known.then_some(addr("203.0.113.1")), "minute {minute}");
    }
}

#[test]
fn f021_a_new_address_is_written_at_once_and_an_old_one_now_and_then() {
    let (_dir, state) = scratch();
    let configured = ["one".to_owned()];
    let mut targets = Targets::default();
    let mut found = |minute, address| {
        targets.found("one", addr(address), at(minute));
        targets.save(&state, &configured).unwrap()
    };
    assert!(found(0, "203.0.113.1"));
    for minute in [2, 4, 14] {
        assert!(!found(minute, "203.0.113.1"), "minute {minute}");
    }
    assert!(found(15, "203.0.113.1"));
    assert!(found(16, "203.0.113.2"));
    assert!(found(10, "203.0.113.2"), "the clock was set back, and what is in the future is not known");
    assert_eq!(Targets::load(&state).0.known(at(12)).get("one"), Some(&addr("203.0.113.2")));
}

#[test]
fn two_outages_of_a_target_within_an_hour_are_flapping_and_one_is_not() {
    let one = [(0, true), (2, false), (4, false), (6, true), (8, true)];
    assert_eq!(seen(&one).flapping(at(10)), []);
    let open = [(0, true), (2, false), (6, true), (8, false)];
    assert_eq!(seen(&open).flapping(at(10)), []);
    let two = [(0, true), (2, false), (6, true), (8, false), (10, true)];
    assert_eq!(seen(&two).flapping(at(10)), [("one", 4)]);
    // The first of the changes is as old as the memory.
    assert_eq!(seen(&two).flapping(at(61)), [("one", 4)]);
    assert_eq!(seen(&two).flapping(at(62)), []);
    assert_eq!(seen(&[(0, false), (2, false)]).flapping(at(2)), [], "never good is not flapping");
}

#[test]
fn flapping_is_remembered_between_runs_and_bounded() {
    let (_dir, state) = scratch();
    let configured = ["one".to_owned()];
    for run in 0..40 {
        let (mut targets, _) = Targets::load(&state);
        targets.observed("one", run % 2 == 0, at(run));
        assert!(targets.save(&state, &configured).unwrap(), "run {run}");
    }
    let (mut targets, _) = Targets::load(&state);
    assert_eq!(targets.flapping(at(40)), [("one", 16)]);
    targets.observed("one", false, at(41));
    assert!(!targets.save(&state, &configured).unwrap(), "nothing new");
}

#[test]
fn a_target_that_is_not_configured_any_more_is_forgotten() {
    let (_dir, state) = scratch();
    let mut targets = Targets::default();
    targets.found("one", addr("203.0.113.1"), at(0));
    targets.found("two", addr("203.0.113.2"), at(0));
    targets.save(&state, &["two".to_owned()]).unwrap();
    assert_eq!(Targets::load(&state).0.known(at(1)).into_keys().collect::<Vec<_>>(), ["two"]);
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_counts_as_empty() {
    let (_dir, state) = scratch();
    fs::write(state.path(crate::record::TARGETS), "{ torn").unwrap();
    fs::set_permissions(state.path(crate::record::TARGETS), Permissions::from_mode(0o640)).unwrap();
    let (targets, trouble) = Targets::load(&state);
    assert_eq!(targets, Targets::default());
    assert!(trouble.unwrap().contains("targets.json"));
}
