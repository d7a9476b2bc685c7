//! What a pass is in the terms of a monitoring system.

use std::collections::BTreeSet;
use std::time::Duration;

use super::support::*;
use crate::decide::{bearable, service_state};
use crate::model::{Judgement, Outcome, Pass, ServiceState, Verdict};

fn pass(outcome: Outcome, judgements: Vec<Judgement>) -> Pass {
    Pass {
        outcome,
        exit: 2,
        because: String::new(),
        holds: Vec::new(),
        judgements,
        moves: Vec::new(),
        last: crate::model::LastSteps::default(),
        paused: None,
        drill: None,
        elapsed: Duration::ZERO,
        dry_run: false,
        notes: Vec::new(),
        commands: Vec::new(),
    }
}

#[test]
fn every_outcome_is_a_state() {
    let table = [
        (Outcome::Healthy, ServiceState::Ok, 0),
        (Outcome::FailedBack, ServiceState::Ok, 0),
        (Outcome::WouldFailBack, ServiceState::Ok, 0),
        (Outcome::Drilled, ServiceState::Ok, 0),
        (Outcome::WouldDrill, ServiceState::Ok, 0),
        (Outcome::Degraded, ServiceState::Warning, 1),
        (Outcome::Locked, ServiceState::Warning, 1),
        (Outcome::NoRedundancy, ServiceState::Warning, 1),
        (Outcome::TakenOver, ServiceState::Warning, 1),
        (Outcome::Down, ServiceState::Critical, 2),
        (Outcome::WouldTakeOver, ServiceState::Critical, 2),
        (Outcome::Failed, ServiceState::Critical, 2),
        (Outcome::Partial, ServiceState::Critical, 2),
        (Outcome::Unverified, ServiceState::Critical, 2),
        (Outcome::Isolated, ServiceState::Unknown, 3),
        (Outcome::Unheard, ServiceState::Unknown, 3),
        (Outcome::Busy, ServiceState::Unknown, 3),
    ];
    let told: BTreeSet<Outcome> = table.iter().map(|(outcome, ..)| *outcome).collect();
    assert_eq!(told, Outcome::ALL.iter().copied().collect());
    for (outcome, state, exit) in table {
        let found = service_state(&pass(outcome, vec![round().cut_off("a", 4).judged()]));
        assert_eq!((found, found.exit()), (state, exit), "{outcome}");
    }
}

#[test]
fn f004_an_outage_seen_by_a_process_that_was_frozen_is_unknown() {
    let judged = || round().cut_off("a", 4).judged();
    let old = Judgement { stale: true, ..judged() };
    assert_eq!(old.verdict, Verdict::Down);
    let state = |rounds| service_state(&pass(Outcome::Down, rounds));
    assert_eq!(state(vec![judged(), old.clone()]), ServiceState::Unknown);
    // The last round counts, and was seen now.
    assert_eq!(state(vec![old, judged()]), ServiceState::Critical);
}

#[test]
fn the_bearable_are_all_up_to_the_first_that_makes_it_down() {
    for (threshold, reaches, cut_off, most) in [
        // More than half of the heard, three at least.
        (3, 8, 0, 4),
        (3, 5, 0, 2),
        (3, 3, 3, 3),
        (3, 1, 3, 2),
        (3, 2, 0, 2),
        (1, 0, 0, 0),
    ] {
        let rules = crate::decide::DecideSettings { threshold, ..settings() };
        let judgement = round().reaching("a", reaches).cut_off("a", cut_off).judged();
        assert_eq!(bearable(&judgement, &rules), most, "{reaches} reach, {cut_off} don't");
    }
}
