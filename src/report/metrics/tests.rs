//! The text format's rules, series by series; `promtool` looks at the same in the lab's tests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::model::{Counts, Hold, LastSteps, Pass};

fn judgement(family: Family, verdict: Verdict) -> Judgement {
    Judgement {
        family,
        verdict,
        because: String::new(),
        good_targets: 3,
        reaches: 5,
        cut_off: 2,
        silent: 1,
        backends: Vec::new(),
        cut_off_subnets: Vec::new(),
        first_miss: None,
        last_miss: None,
        started: Duration::ZERO,
        ended: Duration::ZERO,
        stale: false,
    }
}

fn pass(outcome: Outcome, judgements: Vec<Judgement>) -> Pass {
    Pass {
        outcome,
        exit: 2,
        because: String::new(),
        holds: Vec::new(),
        judgements,
        moves: Vec::new(),
        last: LastSteps::default(),
        elapsed: Duration::from_millis(1500),
        dry_run: false,
        notes: Vec::new(),
        commands: Vec::new(),
        names: crate::model::Names::new(),
        drill: None,
        paused: None,
    }
}

fn figures(pass: Pass) -> Figures {
    Figures {
        name: "nat".to_owned(),
        last: ("2026-03-01T12:00:00.25Z".parse().unwrap(), pass),
        counts: Counts::default(),
        phase: None,
        locked: false,
        paused_until: None,
        backends: 8,
        witnesses: 6,
        threshold: 3,
        targets: 3,
        subnets: [2, 1, 0],
        takeovers: BTreeMap::new(),
        failbacks: BTreeMap::new(),
        last_takeover: None,
        waiting: 0,
    }
}

/// Series and their values.
fn series(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn all(figures: &Figures) -> BTreeMap<String, f64> {
    series(&text(figures).unwrap())
}

#[test]
fn each_family_has_its_help_and_type_before_its_samples_and_comes_once() {
    let text = text(&figures(pass(Outcome::Healthy, Vec::new()))).unwrap();
    assert!(text.ends_with('\n'));
    let mut seen = BTreeSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(name.starts_with("natwatch_") && help.ends_with('.') && seen.insert(name), "{line}");
            current = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!((name, kind == "counter"), (current, name.ends_with("_total")), "{line}");
        } else {
            assert!(line.starts_with(&format!("{current}{{name=\"nat\"")), "{line} of {current}");
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}

#[test]
fn of_a_set_of_states_one_is_1_whatever_the_outcome() {
    for outcome in Outcome::ALL.iter().filter(|one| EventKind::of(**one).is_some() && **one != Outcome::FailedBack) {
        let states = all(&figures(pass(*outcome, Vec::new())));
        let on: Vec<&String> = states
            .iter()
            .filter(|(key, value)| key.starts_with("natwatch_state{") && **value > 0.0)
            .map(|one| one.0)
            .collect();
        assert_eq!(on, [&format!("natwatch_state{{name=\"nat\",state=\"{outcome}\"}}")]);
    }
    for phase in [None, Some(Phase::Taken), Some(Phase::FailingBack)] {
        let phases = all(&Figures { phase, ..figures(pass(Outcome::Healthy, Vec::new())) });
        let sum: f64 = phases.iter().filter(|one| one.0.starts_with("natwatch_phase{")).map(|one| one.1).sum();
        assert!((sum - 1.0).abs() < f64::EPSILON, "{phase:?}");
    }
}

#[test]
fn f094_the_last_round_is_there_as_a_moment_and_moments_that_have_not_been_are_0() {
    let fresh = all(&figures(pass(Outcome::Healthy, Vec::new())));
    assert!((fresh["natwatch_last_round_timestamp_seconds{name=\"nat\"}"] - 1_772_366_400.25).abs() < 1e-3);
    let moments = |all: &BTreeMap<String, f64>| {
        let moments: Vec<bool> =
            all.iter().filter(|(key, _)| key.contains("_timestamp_seconds")).map(|(_, at)| *at > 0.0).collect();
        (moments.len(), moments.iter().filter(|been| **been).count())
    };
    assert_eq!(moments(&fresh), (4, 1));
    let at = Some("2026-03-01T12:00:00Z".parse().unwrap());
    let later = Figures {
        paused_until: at,
        last_takeover: at,
        counts: Counts { healthy: at, ..Counts::default() },
        ..figures(pass(Outcome::Healthy, Vec::new()))
    };
    assert_eq!(moments(&all(&later)), (4, 4));
}

#[test]
fn all_series_but_moments_are_there_from_the_first_pass_on() {
    let before = all(&figures(pass(Outcome::Healthy, Vec::new())));
    let mut counts = Counts::default();
    let worst = pass(
        Outcome::Down,
        vec![
            judgement(Family::V4, Verdict::Down),
            judgement(Family::V4, Verdict::Down),
            judgement(Family::V6, Verdict::Isolated),
        ],
    );
    counts.count(&worst, Timestamp::UNIX_EPOCH);
    let held = Hold { gate: Gate::Unfit, why: String::new(), remedy: String::new() };
    let after = all(&Figures {
        counts,
        phase: Some(Phase::Partial),
        locked: true,
        takeovers: [(Outcome::Partial, 2)].into(),
        failbacks: [(Outcome::FailedBack, 1)].into(),
        waiting: 3,
        ..figures(Pass { holds: vec![held], ..worst })
    });
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (key, value) in [
        ("natwatch_rounds_total{name=\"nat\",family=\"ipv4\",verdict=\"down\"}", 2.0),
        ("natwatch_rounds_total{name=\"nat\",family=\"ipv6\",verdict=\"isolated\"}", 1.0),
        ("natwatch_backends{name=\"nat\",family=\"ipv4\",verdict=\"cut-off\"}", 2.0),
        ("natwatch_good_targets{name=\"nat\",family=\"ipv6\"}", 3.0),
        ("natwatch_gate{name=\"nat\",gate=\"unfit\"}", 1.0),
        ("natwatch_gate{name=\"nat\",gate=\"paused\"}", 0.0),
        ("natwatch_subnets{name=\"nat\",carrier=\"primary\"}", 2.0),
        ("natwatch_takeovers_total{name=\"nat\",outcome=\"partial\"}", 2.0),
        ("natwatch_failbacks_total{name=\"nat\",outcome=\"failed-back\"}", 1.0),
        ("natwatch_events_waiting{name=\"nat\"}", 3.0),
        ("natwatch_locked{name=\"nat\"}", 1.0),
        ("natwatch_pass_duration_seconds{name=\"nat\"}", 1.5),
    ] {
        assert!((after[key] - value).abs() < f64::EPSILON, "{key}: {}", after[key]);
    }
}
