//! Practice in the lab: real SSH, real packets, a real EC2 API server. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/aftermath.rs"]
mod aftermath;
#[path = "support/seasoned.rs"]
mod support;
#[path = "support/systemd.rs"]
#[expect(dead_code, reason = "shared with lab_watch, which uses all of it")]
mod systemd;

use std::time::Duration;

use natwatch::record::State;
use natwatch::record::lock::RunLock;
use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json};
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Run, Running, Signal};
use serde_json::Value;

use aftermath::{on, record, status, told};
use support::seasoned;
use systemd::Systemd;

/// What a move's verification takes at these settings, there and back, with a retry each.
const DRILLED_WITHIN: Duration = Duration::from_mins(1);

/// Verification no longer than a test has patience for; the first subnet is the one to practise with.
fn pair() -> Lab {
    let lab = seasoned();
    let canary = format!("\"{}\"", lab.ids().subnets[0].id);
    lab.configure(&[
        ("decision.run_span", "\"200ms\""),
        ("backends.panel", "0"),
        ("takeover.verify_for", "\"4s\""),
        ("failback.canary", &canary),
    ])
    .unwrap();
    lab.api().forget_calls();
    lab
}

fn drill(lab: &Lab, more: &[&str]) -> Run {
    lab.natwatch(&[&["drill", "--yes", "--format", "json"], more].concat()).unwrap()
}

/// Nothing is left of a drill: everything is at home, guarded, and nobody is held by anything.
#[track_caller]
fn as_before(lab: &Lab) {
    carried_by(lab, Nat::Primary);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    assert!(!record(lab).exists());
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
}

/// A drill whose subnet is on the standby.
fn away(lab: &Lab) -> Running {
    let run = lab.command(&["drill", "--yes", "-v"]).spawn().unwrap();
    run.wait_output(" moved after ", DRILLED_WITHIN).unwrap();
    on(lab, 0, Nat::Standby);
    run
}

#[test]
fn a_drill_moves_one_subnet_there_and_back_sees_it_reach_each_way_and_says_how_long_it_did_not() {
    let lab = pair();
    let since = lab.traffic().mark();
    let run = drill(&lab, &[]);
    expect(&run, 0);
    let report = json(&run);
    assert_eq!(report["outcome"], "drilled", "{run}");
    let moves = report["moves"].as_array().unwrap();
    let (home, away) = (&lab.ids().primary.table, &lab.ids().standby.table);
    let ways: Vec<_> = moves.iter().map(|one| (one["from"].clone(), one["to"].clone())).collect();
    assert_eq!(ways, [(home.as_str().into(), away.as_str().into()), (away.as_str().into(), home.as_str().into())]);
    assert!(
        moves.iter().all(|one| one["subnet"] == *lab.ids().subnets[0].id && one["verification"] == "verified"),
        "{run}"
    );
    for way in ["there", "back"] {
        let leg = &report["drill"][way];
        assert!(leg["pings"].as_u64() >= Some(5) && leg["backends"].as_u64() == Some(2), "{way}: {run}");
        assert_eq!(leg["gap_ended"], true, "{way}: {run}");
        let longest = Duration::from_millis(leg["longest_gap_ms"].as_u64().unwrap());
        assert!(longest <= Duration::from_millis(leg["took_ms"].as_u64().unwrap()), "{way}: {run}");
    }
    // The lab's own traffic of that subnet was not silent for longer than the drill took, and the other subnet's path was never touched.
    assert!(lab.traffic().outage_since(since) < run.elapsed, "{run}");
    assert_eq!(lab.api().mutations().len(), 2, "one call each way");
    as_before(&lab);
    assert_eq!(told(&lab), [("drill".to_owned(), "drilled".into())]);
    let last = &status(&lab)["last_drill"];
    assert_eq!(
        (&last["outcome"], &last["drill"]["subnet"]),
        (&"drilled".into(), &lab.ids().subnets[0].id.as_str().into())
    );
    // It stands by as before.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
}

#[test]
fn f010_a_standby_that_does_not_masquerade_is_found_out_by_a_drill_and_the_subnet_comes_back() {
    let lab = pair();
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let run = drill(&lab, &[]);
    expect(&run, 2);
    let report = json(&run);
    assert_eq!(report["outcome"], "failed", "{run}");
    assert!(report["because"].as_str().unwrap().contains("NOT seen"), "{run}");
    assert_eq!(report["moves"][0]["verification"], "unverified", "{run}");
    assert_eq!(report["moves"][1]["verification"], "verified", "{run}");
    let there = &report["drill"]["there"];
    assert!(there["lost"].as_u64() >= Some(3), "{run}");
    // It was without an answer until it was at home again, which is more than half of the verification.
    assert!(there["longest_gap_ms"].as_u64() >= Some(2000) && there["gap_ended"] == true, "{run}");
    as_before(&lab);
    assert_eq!(told(&lab), [("drill".to_owned(), "failed".into())]);
}

#[test]
fn a_primary_that_fails_meanwhile_keeps_the_subnet_on_the_standby_where_it_is_well() {
    let lab = pair();
    let run = away(&lab);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = run.wait(DRILLED_WITHIN).unwrap();
    expect(&run, 2);
    on(&lab, 0, Nat::Standby);
    on(&lab, 1, Nat::Primary);
    assert_eq!(status(&lab)["phase"], "failing-back", "{run}");
    // The other one is guarded all the same.
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    assert_eq!(status(&lab)["phase"], "taken");
    lab.heal_all().unwrap();
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    carried_by(&lab, Nat::Primary);
}

#[test]
fn an_outage_in_the_middle_of_a_drill_is_taken_over_by_the_watch_beside_it() {
    let lab = pair();
    lab.configure(&[("takeover.verify_for", "\"15s\"")]).unwrap();
    let systemd = Systemd::start(&lab, &[]);
    systemd.waits_for(" healthy: ");
    let run = away(&lab);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    let run = run.wait(DRILLED_WITHIN).unwrap();
    expect(&run, 2);
    // Whether the drill was out there still, or on its way back, is a matter of how busy this machine is.
    let told = ["somebody moved subnets meanwhile", "did not recover there"];
    assert!(told.iter().any(|text| run.stdout.contains(text)), "{run}");
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    let locked = status(&lab);
    assert_eq!(locked["phase"], "taken", "{run}");
    systemd.ends();
    let record: Value = serde_json::from_slice(&std::fs::read(record(&lab)).unwrap()).unwrap();
    assert_eq!(record["moves"].as_array().unwrap().len(), 2, "a failback goes by it: {record}");
    lab.heal_all().unwrap();
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    carried_by(&lab, Nat::Primary);
}

#[test]
fn a_drill_beside_a_watch_moves_nothing_but_its_own() {
    let lab = pair();
    let systemd = Systemd::start(&lab, &[]);
    systemd.waits_for(" healthy: ");
    expect(&drill(&lab, &[]), 0);
    systemd.waits_for(" healthy: ");
    assert_eq!(lab.api().mutations().len(), 2);
    systemd.ends();
    as_before(&lab);
}

#[test]
fn f090_signals_in_a_drill_bring_the_subnet_back_before_it_ends() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let lab = pair();
        let run = away(&lab);
        run.kill(signal).unwrap();
        let run = run.wait(DRILLED_WITHIN).unwrap();
        expect(&run, 2);
        assert!(run.stdout.contains("ended before its time") && run.stdout.contains("back on the primary"), "{run}");
        as_before(&lab);
        assert_eq!(told(&lab), [("drill".to_owned(), "failed".into())]);
    }
}

#[test]
fn f090_a_signal_in_a_drill_brings_the_subnet_back_however_slow_ec2_is() {
    let lab = pair();
    let run = away(&lab);
    // Each hangs for an attempt's two seconds: longer in all than a takeover is given after a signal.
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("DescribeRouteTables").times(6));
    run.kill(Signal::TERM).unwrap();
    let run = run.wait(DRILLED_WITHIN).unwrap();
    expect(&run, 2);
    assert!(run.stdout.contains("ended before its time") && run.stdout.contains("back on the primary"), "{run}");
    as_before(&lab);
}

#[test]
fn f090_a_second_signal_ends_a_drill_at_once_and_the_next_run_says_what_to_type() {
    let lab = pair();
    let run = away(&lab);
    // The way back gets no answer, and is not carried out.
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation"));
    run.kill(Signal::TERM).unwrap();
    run.wait_output("ended by signal 15", FLOWS_WITHIN).unwrap();
    run.kill(Signal::TERM).unwrap();
    let run = run.wait(FLOWS_WITHIN).unwrap();
    expect(&run, 128 + 15);
    lab.api().disarm(None);
    on(&lab, 0, Nat::Standby);
    let next = lab.natwatch(&["run"]).unwrap();
    expect(&next, 5);
    assert!(next.stdout.contains("natwatch failback") && next.stdout.contains("a drill has subnet-"), "{next}");
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    as_before(&lab);
}

#[test]
fn f068_a_drill_that_was_killed_is_told_by_the_next_run_and_brought_to_its_end_by_a_failback() {
    let lab = pair();
    let run = away(&lab);
    run.kill(Signal::KILL).unwrap();
    run.wait(FLOWS_WITHIN).unwrap();
    on(&lab, 0, Nat::Standby);
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 5);
    assert!(run.stdout.contains("natwatch failback") && run.stdout.contains("a drill has subnet-"), "{run}");
    // What the primary carries is guarded all the while.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
    lab.heal_all().unwrap();
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    as_before(&lab);

    let run = away(&lab);
    run.kill(Signal::KILL).unwrap();
    run.wait(FLOWS_WITHIN).unwrap();
    expect(&drill(&lab, &[]), 2);
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    as_before(&lab);
}

#[test]
fn a_drill_is_held_by_a_pause_a_lock_and_whoever_moves_subnets_now() {
    let lab = pair();
    expect(&lab.natwatch(&["pause", "--for", "5m", "--reason", "new kernel"]).unwrap(), 0);
    let run = drill(&lab, &[]);
    expect(&run, 2);
    assert_eq!(json(&run)["gate"], "paused", "{run}");
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);

    let state = State::open(&lab.plan().state().join("natwatch")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let lock = runtime.block_on(RunLock::acquire(&state, Duration::ZERO, Duration::from_mins(1))).unwrap();
    expect(&drill(&lab, &[]), 75);
    drop(lock);
    assert!(lab.api().mutations().is_empty());

    expect(&lab.natwatch(&["takeover", "--yes"]).unwrap(), 0);
    lab.api().forget_calls();
    let run = drill(&lab, &[]);
    expect(&run, 2);
    assert_eq!(json(&run)["gate"], "locked", "{run}");
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn a_drill_needs_health_a_subnet_of_the_primary_and_a_method_that_moves_one_alone() {
    let lab = pair();
    let refused = |lab: &Lab, more: &[&str], what: &str| {
        let run = drill(lab, more);
        expect(&run, 2);
        assert!(json(&run)["because"].as_str().unwrap().contains(what), "{run}");
    };
    refused(
        &lab,
        &["--subnet", &lab.ids().public_subnet.clone()],
        "a drill takes a guarded subnet that the primary carries",
    );
    expect(&lab.natwatch(&["drill", "--yes", "--subnet", "rtb-0a"]).unwrap(), 64);
    lab.associate(1, &lab.ids().standby.table).unwrap();
    refused(
        &lab,
        &["--subnet", &lab.ids().subnets[1].id.clone()],
        "a drill takes a guarded subnet that the primary carries",
    );
    lab.associate(1, &lab.ids().primary.table).unwrap();
    lab.api().forget_calls();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    refused(&lab, &[], "begins in health only");
    lab.heal_all().unwrap();
    lab.configure(&[("takeover.method", "\"route\"")]).unwrap();
    refused(&lab, &[], "takeover.method");
    assert!(lab.api().mutations().is_empty());
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f096_a_drill_is_shown_and_confirmed_and_a_dry_run_changes_nothing() {
    let lab = pair();
    let run = lab.natwatch(&["drill"]).unwrap();
    expect(&run, 64);
    assert!(run.stderr.contains("natwatch drill --yes"), "{run}");
    let no = lab.command(&["drill"]).tty().stdin("n\n").run().unwrap();
    expect(&no, 2);
    assert!(no.stdout.contains(&lab.ids().subnets[0].id) && no.stdout.contains("nothing is moved"), "{no}");
    let dry = lab.natwatch(&["drill", "--dry-run", "--format", "json"]).unwrap();
    expect(&dry, 0);
    assert_eq!(json(&dry)["outcome"], "would-drill", "{dry}");
    assert!(lab.api().mutations().is_empty() && !record(&lab).exists(), "{dry}");
    assert_eq!(told(&lab), []);
    let yes = lab.command(&["drill", "--subnet", &lab.ids().subnets[1].id]).tty().stdin("y\n").run().unwrap();
    expect(&yes, 0);
    assert!(yes.stdout.contains("without an answer: "), "{yes}");
    as_before(&lab);
}

#[test]
fn a_pause_is_shown_by_every_command_that_says_how_things_are() {
    let lab = pair();
    expect(&lab.natwatch(&["pause", "--for", "30m", "--reason", "new kernel"]).unwrap(), 0);
    for (command, exit) in [
        (&["run", "--dry-run"][..], 0),
        (&["check"], 1),
        (&["status"], 0),
        (&["takeover", "--dry-run"], 0),
        (&["failback", "--dry-run"], 2),
        (&["drill", "--dry-run"], 2),
        (&["history"], 0),
    ] {
        let run = lab.natwatch(command).unwrap();
        expect(&run, exit);
        assert!(run.stdout.contains("new kernel") && run.stdout.contains("pause"), "{command:?}: {run}");
        if command[0] != "history" && command[0] != "check" {
            let run = lab.natwatch(&[command, &["--format", "json"]].concat()).unwrap();
            assert!(json(&run)["paused_until"].is_string(), "{command:?}: {run}");
        }
    }
    let doctor = lab.natwatch(&["doctor"]).unwrap();
    assert!(doctor.stdout.contains("new kernel") && doctor.stdout.contains("natwatch resume"), "{doctor}");
    let watch = lab.command(&["watch", "--dry-run"]).spawn().unwrap();
    watch.wait_output("paused until ", DRILLED_WITHIN).unwrap();
    watch.kill(Signal::TERM).unwrap();
    expect(&watch.wait(FLOWS_WITHIN).unwrap(), 0);
}

#[test]
fn f081_status_says_while_it_is_locked_whether_the_primary_looks_well_and_what_to_type() {
    let lab = pair();
    let (instance, address) =
        (format!("\"{}\"", lab.ids().primary.instance), format!("\"{}\"", Nat::Primary.address()));
    lab.configure(&[("primary.instance", &instance), ("primary.address", &address)]).unwrap();
    assert_eq!(status(&lab)["primary"], Value::Null, "nobody asks while it carries everything");
    expect(&lab.natwatch(&["takeover", "--yes"]).unwrap(), 0);
    let well = status(&lab);
    assert_eq!(well["primary"]["looks_well"], true, "{well}");
    assert!(well["primary"]["seen"].to_string().contains("answers pings"), "{well}");
    let text = lab.natwatch(&["status"]).unwrap();
    assert!(text.stdout.contains("no proof") && text.stdout.contains("natwatch failback"), "{text}");
    lab.inject(&Fault::Stopped(Nat::Primary)).unwrap();
    let ill = status(&lab);
    assert_eq!(ill["primary"]["looks_well"], false, "{ill}");
    assert!(ill["primary"]["seen"].to_string().contains("does not answer pings"), "{ill}");
    let text = lab.natwatch(&["status"]).unwrap();
    assert!(text.stdout.contains("not ready to be gone back to"), "{text}");
}

#[test]
fn the_history_tells_of_all_that_was_done_with_reason_and_duration() {
    let lab = pair();
    for (command, exit) in [
        (&["pause", "--for", "30m", "--reason", "new kernel"][..], 0),
        (&["resume"], 0),
        (&["drill", "--yes"], 0),
        (&["takeover", "--yes"], 0),
        (&["failback", "--yes"], 0),
        (&["takeover", "--yes"], 0),
        (&["reset", "--yes", "--force"], 0),
    ] {
        expect(&lab.natwatch(command).unwrap(), exit);
    }
    let kinds: Vec<String> = told(&lab).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["pause", "resume", "drill", "takeover", "failback", "takeover", "reset"]);
    let history = json(&lab.natwatch(&["history", "--format", "json"]).unwrap());
    for event in history["events"].as_array().unwrap() {
        let kind = event["kind"].as_str().unwrap();
        assert!(!event["why"].as_str().unwrap().is_empty(), "{event}");
        // A reset is over at once.
        assert!(event["took_ms"].as_u64() > Some(0) || kind == "reset", "{event}");
        let moves = event["moves"].as_array().unwrap().len();
        let expected = match kind {
            "drill" | "takeover" | "failback" | "reset" => 2,
            _ => 0,
        };
        assert_eq!(moves, expected, "{event}");
    }
    assert!(history["events"][2]["drill"]["there"]["pings"].is_u64(), "{history}");
    let text = lab.natwatch(&["history"]).unwrap();
    for part in ["pause, 30 min", "new kernel", "drill: drilled, ", "without an answer: ", "by an operator, forced"] {
        assert!(text.stdout.contains(part), "{part:?}: {text}");
    }
}
