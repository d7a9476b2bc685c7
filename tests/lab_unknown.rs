//! Outcomes that nobody knows, of takeovers and of failbacks, in the lab: what may be on the standby keeps its lock. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use natwatch_lab::testing::{carried_by, expect, json};
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Options};
use serde_json::Value;

const FAST: [(&str, &str); 4] = [
    ("decision.run_span", "\"200ms\""),
    ("decision.rounds", "2"),
    ("backends.panel", "0"),
    ("takeover.verify_for", "\"5s\""),
];

/// A lab whose backends are witnesses.
fn seasoned(changes: &[(&str, &str)]) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch, ..Options::default() }).unwrap();
    lab.configure(&[&FAST, changes].concat()).unwrap();
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab.api().forget_calls();
    lab
}

fn record(lab: &Lab) -> PathBuf {
    lab.plan().state().join("natwatch/takeover.json")
}

#[test]
fn a_failback_that_left_a_route_on_the_standby_is_not_over_for_the_next_run() {
    let destinations = "[\"0.0.0.0/0\", \"10.9.9.9/32\"]";
    let lab = seasoned(&[("takeover.method", "\"route\""), ("takeover.destinations", destinations)]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let taken = lab.natwatch(&["run"]).unwrap();
    expect(&taken, 4);
    lab.heal_all().unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("DeleteRoute"));
    let back = lab.natwatch(&["failback", "--yes", "--format", "json"]).unwrap();
    expect(&back, 2);
    assert_eq!(json(&back)["outcome"], "partial", "{back}");
    lab.api().disarm(None);
    // Half a minute later.
    let mut old: Value = serde_json::from_slice(&std::fs::read(record(&lab)).unwrap()).unwrap();
    assert_eq!(old["moves"].as_array().unwrap().len(), 1, "{old}");
    old["changed"] = "2026-01-01T00:00:00Z".into();
    old.as_object_mut().unwrap().remove("boot");
    std::fs::write(record(&lab), old.to_string()).unwrap();

    let next = lab.natwatch(&["run", "--format", "json"]).unwrap();
    let tables = lab.ec2("DescribeRouteTables", &[("RouteTableId.1", &lab.ids().primary.table)]).unwrap();
    assert!(tables.contains("10.9.9.9/32") && tables.contains(&lab.ids().standby.eni), "it still leads to the standby");
    assert!(record(&lab).exists(), "the lock is cleared, and the route still leads to the standby: {next}");
}

#[test]
fn a_takeover_whose_outcome_nobody_knows_keeps_its_record() {
    let lab = seasoned(&[("decision.deadline", "\"22s\"")]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // Both moves are carried out, the replies are lost, and from then on nothing can be described.
    lab.api().arm(ApiFault::new(ApiFaultKind::Lost).on("ReplaceRouteTableAssociation").times(2));
    lab.api().arm(ApiFault::new(ApiFaultKind::Throttle).on("DescribeRouteTables").after(1));
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    lab.api().disarm(None);
    carried_by(&lab, Nat::Standby);
    let next = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_ne!(
        next.status,
        Some(0),
        "healthy, although the standby carries everything and nobody stands by: {run}\n{next}"
    );
    assert!(record(&lab).exists(), "no lock, although the standby carries everything: {run}\n{next}");
}
