//! Ways in which a failback could lose somebody, found by whoever tried to. Real SSH, packets and EC2 API. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;

use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json};
use natwatch_lab::{Fault, Lab, Nat, Run, Running, Signal};
use serde_json::Value;

use support::seasoned;

/// The subnets are on the standby by an operator's wish; the first is the canary.
fn taken() -> Lab {
    let lab = seasoned();
    let canary = format!("\"{}\"", lab.ids().subnets[0].id);
    lab.configure(&[("takeover.verify_for", "\"5s\""), ("failback.canary", &canary)]).unwrap();
    expect(&lab.natwatch(&["takeover", "--yes"]).unwrap(), 0);
    carried_by(&lab, Nat::Standby);
    lab
}

fn failback(lab: &Lab, more: &[&str]) -> Run {
    lab.natwatch(&[&["failback", "--yes", "--format", "json"], more].concat()).unwrap()
}

fn phase(lab: &Lab) -> Value {
    json(&lab.natwatch(&["status", "--format", "json"]).unwrap())["phase"].clone()
}

/// What is on record was written so long ago, by its own word.
fn half_a_minute_later(lab: &Lab) {
    let path = lab.plan().state().join("natwatch/takeover.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let changed: jiff::Timestamp = record["changed"].as_str().unwrap().parse().unwrap();
    record["changed"] = (changed - jiff::SignedDuration::from_secs(30)).to_string().into();
    // The machine may be younger than that; without it the wall clock tells.
    record.as_object_mut().unwrap().remove("boot");
    std::fs::write(&path, record.to_string()).unwrap();
}

/// A failback of a primary that is dead, up to where its canary has moved.
fn canary_on_the_dead_primary(lab: &Lab) -> Running {
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.command(&["failback", "--yes", "-v"]).spawn().unwrap();
    run.wait_output("moved after", FLOWS_WITHIN).unwrap();
    run
}

#[test]
fn f068_a_canary_whose_way_back_to_the_standby_was_cut_short_is_proven_by_the_next_failback() {
    let lab = taken();
    let hang: Fault = "api-hang ReplaceRouteTableAssociation 0".parse().unwrap();
    let run = canary_on_the_dead_primary(&lab);
    lab.inject(&hang).unwrap();
    run.wait_output(&format!("to {}", lab.ids().standby.table), FLOWS_WITHIN).unwrap();
    run.kill(Signal::KILL).unwrap();
    run.wait(FLOWS_WITHIN).unwrap();
    lab.heal(&hang).unwrap();
    assert_eq!(lab.carrier(0).unwrap(), lab.ids().primary.table);
    // Whether the call of that moment was carried out, EC2 may not show yet.
    let early = failback(&lab, &[]);
    expect(&early, 2);
    assert!(json(&early)["because"].as_str().unwrap().contains("try again in half a minute"), "{early}");
    assert_eq!(json(&early)["moves"], Value::Array(Vec::new()), "{early}");
    half_a_minute_later(&lab);
    let run = failback(&lab, &[]);
    expect(&run, 2);
    assert_eq!(lab.carrier(0).unwrap(), lab.ids().standby.table, "cut off, and nobody looks: {run}");
    assert_eq!(lab.carrier(1).unwrap(), lab.ids().standby.table, "{run}");
}

#[test]
fn a_lock_stays_for_recorded_subnets_on_the_standby_though_they_are_guarded_no_more() {
    let lab = taken();
    let only = format!("[\"{}\"]", lab.ids().subnets[0].id);
    lab.configure(&[("takeover.subnets", &only)]).unwrap();
    let run = failback(&lab, &["--subnet", &lab.ids().subnets[0].id.clone()]);
    expect(&run, 0);
    assert_eq!(lab.carrier(1).unwrap(), lab.ids().standby.table);
    assert_eq!(phase(&lab), "failing-back", "{run}");
    let reset = lab.natwatch(&["reset", "--yes"]).unwrap();
    expect(&reset, 2);
}

#[test]
fn f052_a_canary_that_somebody_moves_elsewhere_meanwhile_is_left_there() {
    let lab = taken();
    let run = canary_on_the_dead_primary(&lab);
    let third = lab.ids().public_table.clone();
    lab.associate(0, &third).unwrap();
    let run = run.wait(FLOWS_WITHIN).unwrap();
    assert_eq!(lab.carrier(0).unwrap(), third, "{run}");
}
