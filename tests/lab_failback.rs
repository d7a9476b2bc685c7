//! The way back, planned takeovers and the history in the lab: real SSH, real packets, a real EC2 API server. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/aftermath.rs"]
mod aftermath;
#[path = "support/seasoned.rs"]
mod support;

use std::time::Duration;

use natwatch::record::State;
use natwatch::record::lock::RunLock;
use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json};
use natwatch_lab::{Fault, Lab, Nat, Run, Signal};
use serde_json::Value;

use aftermath::{on, record, status, told};
use support::seasoned;

/// Evidence and verification no longer than a test has patience for; the first subnet is the canary.
fn quick(lab: &Lab) {
    let canary = format!("\"{}\"", lab.ids().subnets[0].id);
    lab.configure(&[
        ("decision.run_span", "\"200ms\""),
        ("backends.panel", "0"),
        ("takeover.verify_for", "\"5s\""),
        ("failback.canary", &canary),
    ])
    .unwrap();
}

/// A lab in which the standby has taken over; the primary is as broken as before.
fn taken() -> Lab {
    let lab = seasoned();
    quick(&lab);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
    lab.api().forget_calls();
    lab
}

fn repaired() -> Lab {
    let lab = taken();
    lab.heal_all().unwrap();
    lab
}

fn failback(lab: &Lab, more: &[&str]) -> Run {
    lab.natwatch(&[&["failback", "--yes", "--format", "json"], more].concat()).unwrap()
}

#[test]
fn f081_a_failback_brings_one_subnet_back_then_the_other_and_clears_the_lock() {
    let lab = repaired();
    let dry = lab.natwatch(&["failback", "--dry-run", "--format", "json"]).unwrap();
    expect(&dry, 0);
    assert_eq!(json(&dry)["outcome"], "would-fail-back", "{dry}");
    assert!(lab.api().mutations().is_empty(), "{dry}");
    carried_by(&lab, Nat::Standby);

    let run = failback(&lab, &[]);
    expect(&run, 0);
    let report = json(&run);
    assert_eq!(report["outcome"], "failed-back", "{run}");
    assert!(report["moves"].as_array().unwrap().iter().all(|one| one["verification"] == "verified"), "{run}");
    carried_by(&lab, Nat::Primary);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    let calls = lab.api().mutations();
    assert_eq!(calls.len(), 2, "one call a subnet: {calls:?}");
    // The second one left when the first had had its time to take effect, and its backends had been asked: half of verify_for.
    let apart = calls[1].at.duration_since(calls[0].at);
    assert!(apart >= Duration::from_millis(2500), "the canary was not waited for: {apart:?}");
    assert!(!record(&lab).exists());
    assert_eq!(status(&lab)["locked"], false);
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    let history = told(&lab);
    assert_eq!(history, [("takeover".to_owned(), "taken-over".into()), ("failback".to_owned(), "failed-back".into())]);
    // It stands by again.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
}

#[test]
fn f082_while_the_primary_still_fails_the_canary_goes_back_to_the_standby() {
    let lab = taken();
    // What EC2 has accepted takes a while: until then the canary's backends reach by the standby, and that proves nothing.
    lab.api().propagation(Duration::from_millis(1200));
    let run = failback(&lab, &[]);
    expect(&run, 2);
    assert_eq!(json(&run)["outcome"], "failed", "{run}");
    let results: Vec<_> =
        json(&run)["moves"].as_array().unwrap().iter().map(|one| one["verification"].clone()).collect();
    assert_eq!(results, ["unverified", "verified"], "{run}");
    carried_by(&lab, Nat::Standby);
    assert_eq!(lab.api().mutations().len(), 2, "there and back, and nobody else");
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    assert_eq!(status(&lab)["phase"], "taken");
    expect(&lab.natwatch(&["run"]).unwrap(), 5);
    // Repaired at last.
    lab.heal_all().unwrap();
    lab.api().propagation(Duration::ZERO);
    expect(&failback(&lab, &[]), 0);
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f082_those_that_do_not_recover_behind_the_canary_go_back_too_and_the_others_are_guarded() {
    let lab = repaired();
    let drop = "add table ip x; add chain ip x f { type filter hook forward priority -5; }; \
                add rule ip x f ip saddr 10.0.11.0/24 drop";
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    expect(&lab.program("nat1", "/usr/sbin/nft", &[drop]).env("PATH", path).run().unwrap(), 0);
    let run = failback(&lab, &[]);
    expect(&run, 2);
    assert_eq!(json(&run)["outcome"], "partial", "{run}");
    on(&lab, 0, Nat::Primary);
    on(&lab, 1, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    assert_eq!(status(&lab)["phase"], "failing-back");
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 5);
    assert!(run.stdout.contains("natwatch failback"), "{run}");
    // What is back is guarded again, although a lock stands.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    assert_eq!(status(&lab)["phase"], "taken");
    let kept: Value = serde_json::from_slice(&std::fs::read(record(&lab)).unwrap()).unwrap();
    assert_eq!(kept["moves"].as_array().unwrap().len(), 2, "a reset goes by it: {kept}");
}

#[test]
fn with_subnet_only_that_one_comes_back_and_the_lock_stays_until_the_last() {
    let lab = repaired();
    let run = failback(&lab, &["--subnet", &lab.ids().subnets[1].id.clone()]);
    expect(&run, 0);
    assert!(json(&run)["because"].as_str().unwrap().contains("the lock stays, for 1 more"), "{run}");
    on(&lab, 0, Nat::Standby);
    on(&lab, 1, Nat::Primary);
    assert_eq!(status(&lab)["phase"], "failing-back");
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 5);
    assert!(run.stdout.contains("a failback is not complete"), "{run}");
    expect(&failback(&lab, &[]), 0);
    carried_by(&lab, Nat::Primary);
    assert!(!record(&lab).exists());
}

#[test]
fn without_a_record_it_says_what_to_type_and_does_what_was_typed() {
    let lab = repaired();
    expect(&lab.natwatch(&["reset", "--yes", "--force"]).unwrap(), 0);
    let run = failback(&lab, &[]);
    expect(&run, 2);
    let typed = json(&run)["holds"][0]["remedy"].as_str().unwrap().to_owned();
    assert!(lab.api().mutations().is_empty(), "{run}");
    let words: Vec<&str> = typed.split(' ').skip(1).collect();
    let run = lab.natwatch(&[&words[..], &["--yes"]].concat()).unwrap();
    expect(&run, 0);
    carried_by(&lab, Nat::Primary);
    assert!(!record(&lab).exists());
    expect(&lab.natwatch(&["failback", "--subnet", "rtb-0a", "--yes"]).unwrap(), 64);
}

#[test]
fn f082_a_primary_that_is_stopped_is_no_place_to_go_back_to() {
    let lab = repaired();
    lab.inject(&Fault::Stopped(Nat::Primary)).unwrap();
    let run = failback(&lab, &[]);
    expect(&run, 2);
    assert_eq!(json(&run)["gate"], "unfit", "{run}");
    assert!(json(&run)["because"].as_str().unwrap().contains("blackhole"), "{run}");
    assert!(lab.api().mutations().is_empty());
    carried_by(&lab, Nat::Standby);
    assert_eq!(status(&lab)["phase"], "taken");
}

#[test]
fn routes_and_the_address_go_back_the_way_they_came_and_the_address_last() {
    let lab = seasoned();
    let answer = lab.ec2("AllocateAddress", &[("Domain", "vpc")]).unwrap();
    let address = answer.split("<allocationId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let primary = lab.ids().primary.eni.clone();
    lab.ec2("AssociateAddress", &[("AllocationId", &address), ("NetworkInterfaceId", &primary)]).unwrap();
    let key = format!("\"{address}\"");
    lab.configure(&[
        ("decision.run_span", "\"200ms\""),
        ("backends.panel", "0"),
        ("takeover.verify_for", "\"5s\""),
        ("takeover.method", "\"route\""),
        ("takeover.elastic_ip", &key),
    ])
    .unwrap();
    // With routes, who the primary is has to be seen in health first.
    expect(&lab.natwatch(&["takeover", "--dry-run"]).unwrap(), 0);
    let led =
        |lab: &Lab, nat: Nat| (0..2).for_each(|n| assert_eq!(lab.hop(n), Some(natwatch_lab::Hop::Nat(nat)), "{n}"));
    let holder = |lab: &Lab| {
        let answer = lab.ec2("DescribeAddresses", &[("AllocationId.1", &address)]).unwrap();
        answer.split("<networkInterfaceId>").nth(1).map_or("", |rest| rest.split('<').next().unwrap()).to_owned()
    };
    let run = lab.natwatch(&["takeover", "--yes"]).unwrap();
    expect(&run, 0);
    led(&lab, Nat::Standby);
    assert_eq!(holder(&lab), lab.ids().standby.eni, "{run}");

    // A primary that does not carry is found out, and the routes lead to the standby again; the address has not moved.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = failback(&lab, &[]);
    expect(&run, 2);
    led(&lab, Nat::Standby);
    assert_eq!(holder(&lab), lab.ids().standby.eni, "{run}");
    lab.heal_all().unwrap();

    lab.api().forget_calls();
    let run = failback(&lab, &[]);
    expect(&run, 0);
    led(&lab, Nat::Primary);
    assert_eq!(holder(&lab), primary, "{run}");
    assert_eq!(lab.api().mutations().last().unwrap().action, "AssociateAddress", "{run}");
    assert!(!record(&lab).exists(), "{run}");
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
}

/// Ends a failback by this signal as soon as its first move is under way.
fn cut_short(lab: &Lab, signal: Signal) -> Run {
    lab.api().latency(Duration::ZERO, Duration::from_millis(800));
    let run = lab.command(&["failback", "--yes", "-v"]).spawn().unwrap();
    run.wait_output("moving subnet-", FLOWS_WITHIN).unwrap();
    run.kill(signal).unwrap();
    let run = run.wait(FLOWS_WITHIN).unwrap();
    lab.api().latency(Duration::ZERO, Duration::ZERO);
    run
}

#[test]
fn f090_a_signal_in_a_failback_lets_the_call_end_and_be_recorded_and_the_next_one_goes_on() {
    let lab = repaired();
    let run = cut_short(&lab, Signal::TERM);
    expect(&run, 2);
    assert!(run.elapsed < Duration::from_secs(10), "{run}");
    assert_eq!(status(&lab)["phase"], "failing-back", "{run}");
    on(&lab, 0, Nat::Primary);
    on(&lab, 1, Nat::Standby);
    let kept: Value = serde_json::from_slice(&std::fs::read(record(&lab)).unwrap()).unwrap();
    let first = kept["moves"].as_array().unwrap().iter().find(|one| one["subnet"] == *lab.ids().subnets[0].id);
    assert_eq!(first.unwrap()["result"], "moved", "{kept}");
    expect(&lab.natwatch(&["run"]).unwrap(), 5);
    expect(&failback(&lab, &[]), 0);
    carried_by(&lab, Nat::Primary);
    assert!(!record(&lab).exists());
}

#[test]
fn f068_a_failback_that_was_killed_ends_as_if_it_had_not_been_and_proves_what_it_finds_at_home() {
    let lab = repaired();
    cut_short(&lab, Signal::KILL);
    // Whether EC2 has done what it was asked for when the caller died is seen by asking EC2.
    assert_eq!(status(&lab)["phase"], "failing-back");
    // The primary breaks meanwhile: what came home unseen is found out, and goes back.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = failback(&lab, &[]);
    expect(&run, 2);
    carried_by(&lab, Nat::Standby);
    assert_eq!(status(&lab)["phase"], "taken", "{run}");
    lab.heal_all().unwrap();
    cut_short(&lab, Signal::KILL);
    expect(&failback(&lab, &[]), 0);
    carried_by(&lab, Nat::Primary);
    assert!(!record(&lab).exists());
}

#[test]
fn a_failback_that_was_cut_short_after_its_last_move_is_cleared_by_a_run_half_a_minute_later() {
    let lab = repaired();
    cut_short(&lab, Signal::TERM);
    lab.associate(1, &lab.ids().primary.table).unwrap();
    // A describe may lag behind: too young, and yet all that is at home is guarded.
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    assert!(record(&lab).exists());
    let mut old: Value = serde_json::from_slice(&std::fs::read(record(&lab)).unwrap()).unwrap();
    old["changed"] = "2026-01-01T00:00:00Z".into();
    old.as_object_mut().unwrap().remove("boot");
    std::fs::write(record(&lab), old.to_string()).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 0);
    assert!(!record(&lab).exists(), "{run}");
    assert!(run.stdout.contains("guarded again"), "{run}");
    assert_eq!(told(&lab).last().unwrap().0, "failback");
}

#[test]
fn f060_f068_a_takeover_that_was_killed_before_its_first_move_is_forgotten_after_half_a_minute_only() {
    let lab = repaired();
    // What a kill right after the intent was written leaves.
    let mut taking: Value = serde_json::from_slice(&std::fs::read(record(&lab)).unwrap()).unwrap();
    for one in taking["moves"].as_array_mut().unwrap() {
        (one["result"], one["verification"]) = ("pending".into(), "pending".into());
    }
    taking["phase"] = "taking".into();
    taking.as_object_mut().unwrap().remove("boot");
    for subnet in 0..2 {
        lab.associate(subnet, &lab.ids().primary.table).unwrap();
    }
    for (changed, status, stays) in
        [(jiff::Timestamp::now().to_string(), 2, true), ("2026-01-01T00:00:00Z".to_owned(), 0, false)]
    {
        taking["changed"] = changed.into();
        std::fs::write(record(&lab), taking.to_string()).unwrap();
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, status);
        assert_eq!(record(&lab).exists(), stays, "{run}");
    }
}

#[test]
fn f096_a_takeover_by_command_is_shown_confirmed_verified_and_locked() {
    let lab = seasoned();
    quick(&lab);
    lab.api().forget_calls();
    let run = lab.natwatch(&["takeover"]).unwrap();
    expect(&run, 64);
    assert!(run.stderr.contains("natwatch takeover --yes"), "{run}");
    let no = lab.command(&["takeover"]).tty().stdin("n\n").run().unwrap();
    expect(&no, 2);
    assert!(no.stdout.contains(&lab.ids().subnets[1].id) && no.stdout.contains("nothing is moved"), "{no}");
    let dry = lab.natwatch(&["takeover", "--dry-run", "--format", "json"]).unwrap();
    expect(&dry, 0);
    assert_eq!(json(&dry)["outcome"], "would-take-over", "{dry}");
    assert!(lab.api().mutations().is_empty());
    assert!(!record(&lab).exists());

    // A pause holds what is automatic, and this is not.
    expect(&lab.natwatch(&["pause", "--for", "5m", "--reason", "new kernel"]).unwrap(), 0);
    let run = lab.natwatch(&["takeover", "--yes", "--format", "json"]).unwrap();
    expect(&run, 0);
    assert_eq!(json(&run)["outcome"], "taken-over", "{run}");
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    assert_eq!(lab.api().mutations().len(), 2);
    let locked = status(&lab);
    assert_eq!(
        (&locked["phase"], &locked["last_takeover"]["because"]),
        (&"taken".into(), &"an operator asked for it".into())
    );

    let twice = lab.natwatch(&["takeover", "--yes", "--format", "json"]).unwrap();
    expect(&twice, 2);
    assert_eq!(json(&twice)["gate"], "already-active", "{twice}");
    assert!(json(&twice)["because"].as_str().unwrap().contains("has them"), "{twice}");
    assert_eq!(lab.api().mutations().len(), 2, "nothing moved twice");
    let why = lab.natwatch(&["replay", lab.plan().state().join("natwatch/last-round.json").to_str().unwrap()]).unwrap();
    expect(&why, 0);
    assert!(why.stdout.contains("asked for"), "{why}");
    expect(&lab.natwatch(&["run"]).unwrap(), 5);
    expect(&failback(&lab, &[]), 0);
    assert_eq!(told(&lab).iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["pause", "takeover", "failback"]);
}

#[test]
fn f096_f067_a_takeover_beside_another_natwatch_that_moves_says_so() {
    let lab = seasoned();
    quick(&lab);
    let state = State::open(&lab.plan().state().join("natwatch")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let lock = runtime.block_on(RunLock::acquire(&state, Duration::ZERO, Duration::from_mins(1))).unwrap();
    for command in ["takeover", "failback"] {
        let run = lab.natwatch(&[command, "--yes"]).unwrap();
        expect(&run, 75);
        assert!(run.stdout.contains("is moving subnets now"), "{run}");
    }
    drop(lock);
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f104_a_takeover_by_command_of_a_wrong_table_moves_nothing() {
    let lab = seasoned();
    lab.configure(&[("primary.route_table", "\"rtb-0123456789abcdef0\"")]).unwrap();
    for command in ["takeover", "failback"] {
        let run = lab.natwatch(&[command, "--yes", "--format", "json"]).unwrap();
        expect(&run, 2);
        assert_eq!(json(&run)["gate"], "foreign", "{run}");
    }
    assert!(lab.api().mutations().is_empty());
}
