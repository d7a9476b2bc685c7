//! EC2 in the lab, where what it does to a takeover is not in the moves alone: routes that are lost, associations that fail, many at once,
//! and a configuration that changes meanwhile. Needs root; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use natwatch_lab::testing::json;
use natwatch_lab::{ApiFault, ApiFaultKind, Call, Fault, Lab, Nat, Options, Outcome};

const MOVE: &str = "ReplaceRouteTableAssociation";

/// Longer than any takeover takes here; a bound, not a measure.
const WITHIN: Duration = Duration::from_secs(30);

/// A lab whose backends are witnesses already.
fn seasoned(options: &Options, changes: &[(&str, &str)]) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch, traffic: false, ..options.clone() }).unwrap();
    let quick = [("decision.run_span", "\"200ms\""), ("backends.panel", "0")];
    lab.configure(&[&quick, changes].concat()).unwrap();
    for _ in 0..3 {
        let run = lab.natwatch(&["run"]).unwrap();
        assert_eq!(run.status, Some(0), "{run}");
    }
    lab.api().forget_calls();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab
}

fn moves(lab: &Lab) -> Vec<Call> {
    lab.api().mutations().into_iter().filter(|call| call.action == MOVE).collect()
}

#[test]
fn f055_who_is_moved_is_told_which_routes_are_lost() {
    let lab = seasoned(&Options::default(), &[]);
    let (table, gateway) = (lab.ids().primary.table.clone(), lab.ids().internet_gateway.clone());
    let route = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "192.0.2.0/24"), ("GatewayId", &gateway)];
    lab.ec2("CreateRoute", &route).unwrap();
    for args in [&["run", "--dry-run", "--format", "json"][..], &["run", "--format", "json"]] {
        let run = lab.natwatch(args).unwrap();
        assert_eq!(run.status, Some(4), "{run}");
        let notes = json(&run)["notes"].to_string();
        assert!(notes.contains(&format!("192.0.2.0/24 to {gateway}")), "{run}");
    }
}

#[test]
fn f062_an_association_that_fails_is_made_again_once() {
    let lab = seasoned(&Options::default(), &[("decision.deadline", "\"35s\"")]);
    lab.api().arm(ApiFault::new(ApiFaultKind::Failed).on(MOVE).times(1));
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    assert_eq!(moves(&lab).len(), 3, "two subnets, and one of them twice: {run}");
    let table = lab.ids().standby.table.clone();
    assert!((0..2).all(|n| lab.carrier(n).unwrap() == table), "{run}");
}

#[test]
fn f046_f061_a_primary_that_is_healed_while_ec2_throttles_is_left_alone_when_ec2_answers_again() {
    let lab = seasoned(&Options::default(), &[]);
    lab.api().arm(ApiFault::new(ApiFaultKind::Throttle).on(MOVE));
    let run = lab.command(&["run", "-v", "--format", "json"]).spawn().unwrap();
    run.wait_output("moving 2 subnets", WITHIN).unwrap();
    lab.heal(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    run.wait_output("while the evidence for it was good", WITHIN).unwrap();
    lab.api().disarm(None);
    let run = run.wait(WITHIN).unwrap();
    assert_eq!(run.status, Some(0), "{run}");
    assert_eq!(json(&run)["outcome"], "healthy", "{run}");
    assert!(moves(&lab).iter().all(|call| call.outcome != Outcome::Done), "{run}");
    let table = lab.ids().primary.table.clone();
    assert!((0..2).all(|n| lab.carrier(n).unwrap() == table), "{run}");
}

#[test]
fn f107_sixteen_subnets_are_moved_at_once_each_over_a_connection_that_was_open_before() {
    // The handshakes of sixteen connections share two processors with this test: no call ends before all have begun, and the
    // span leaves them seconds.
    let mutate_latency = Duration::from_secs(1);
    let options = Options { subnets: 16, backends: 16, mutate_latency, ..Options::default() };
    let lab = seasoned(&options, &[("decision.run_span", "\"5s\"")]);
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    let calls = moves(&lab);
    assert_eq!(calls.len(), 16, "one call a subnet: {run}");
    assert!(calls.iter().all(|call| call.outcome == Outcome::Done), "{calls:?}");
    let (first, last) =
        (calls.iter().map(|call| call.at).min().unwrap(), calls.iter().map(|call| call.at).max().unwrap());
    let first_end = calls.iter().map(|call| call.at + call.took).min().unwrap();
    assert!(last < first_end, "one waited for another's connection: {calls:?}");
    let over: BTreeSet<usize> = calls.iter().map(|call| call.connection).collect();
    assert_eq!(over.len(), 16, "a connection each: {calls:?}");
    let opened = lab.api().connections();
    assert!(over.iter().all(|n| opened[*n] < first), "a handshake stood in the way: {opened:?}, {calls:?}");
    let reading = lab.api().calls().len() - calls.len();
    assert_eq!(reading, 2, "no call was made to open them: {run}");
}

#[test]
fn f107_connections_that_ec2_has_closed_meanwhile_cost_a_takeover_nothing_but_new_ones() {
    let lab = seasoned(&Options::default(), &[("decision.run_span", "\"5s\"")]);
    lab.api().idle(Some(Duration::from_millis(300)));
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    let calls = moves(&lab);
    assert_eq!(calls.len(), 2, "no move was made again: {run}");
    assert!(calls.iter().all(|call| call.outcome == Outcome::Done), "{calls:?}");
    let before = |call: &Call| call.at - lab.api().connections()[call.connection] > Duration::from_millis(300);
    assert!(!calls.iter().any(before), "over a connection that was closed: {calls:?}");
    let result = json(&run)["moves"].to_string();
    assert!(!result.contains("unknown") && !result.contains("error"), "{run}");
}

#[test]
fn a_healthy_run_connects_to_nobody() {
    let lab = seasoned(&Options::default(), &[]);
    lab.heal(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let before = lab.api().connections().len();
    let run = lab.natwatch(&["run"]).unwrap();
    assert_eq!(run.status, Some(0), "{run}");
    assert_eq!(lab.api().connections().len(), before);
}

#[test]
fn f075_a_configuration_that_is_edited_during_a_run_counts_from_the_next_one_on() {
    let lab = seasoned(&Options::default(), &[("decision.run_span", "\"1500ms\"")]);
    let run = lab.command(&["run", "-v"]).spawn().unwrap();
    run.wait_output("looking again", WITHIN).unwrap();
    lab.write_config("[primary]\nroute_table = \"rtb-0123\"\n").unwrap();
    let run = run.wait(WITHIN).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    assert_eq!(moves(&lab).len(), 2, "by the configuration that it had read: {run}");
    let run = lab.natwatch(&["run"]).unwrap();
    assert_eq!(run.status, Some(78), "{run}");
}

/// Stops or starts backends at EC2; their hosts in the lab know nothing of it.
fn fleet(lab: &Lab, action: &str, backends: &[usize]) {
    for n in backends {
        lab.ec2(action, &[("InstanceId.1", &lab.ids().backends[*n])]).unwrap();
    }
}

/// Runs, with what EC2 said of the guarded subnets so many minutes old.
fn run_after(lab: &Lab, minutes: i64) -> natwatch_lab::Run {
    let path = lab.plan().state().join("natwatch/guarded.json");
    if let Ok(text) = std::fs::read(&path) {
        let mut set: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let at: jiff::Timestamp = set["seen"].as_str().unwrap().parse().unwrap();
        set["seen"] = (at - jiff::SignedDuration::from_mins(minutes)).to_string().into();
        std::fs::write(&path, set.to_string()).unwrap();
    }
    lab.natwatch(&["run", "--format", "json"]).unwrap()
}

/// The backends that the first round was made with, each as EC2 and the lab call it.
fn asked(lab: &Lab, run: &natwatch_lab::Run) -> BTreeSet<usize> {
    let report = json(run);
    let backends = report["rounds"][0]["backends"].as_array().unwrap();
    let number = |host: &str| {
        let n = lab.ids().backends.iter().position(|id| host.ends_with(id.as_str()));
        let n = n.unwrap_or_else(|| panic!("{host} is no backend of the lab's: {run}"));
        assert_eq!(host, format!("b{n}/{}", lab.ids().backends[n]), "{run}");
        n
    };
    backends.iter().map(|one| number(one["host"].as_str().unwrap())).collect()
}

#[test]
fn a_fleet_that_nobody_lists_is_found_followed_and_taken_over_by_the_list_last_seen() {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch, traffic: false, ..Options::default() }).unwrap();
    lab.configure(&[
        ("backends.hosts_file", ""),
        ("backends.ec2_subnets", "true"),
        ("backends.panel", "0"),
        ("decision.run_span", "\"200ms\""),
    ])
    .unwrap();
    fleet(&lab, "StopInstances", &[3, 4, 5]);
    let saved = lab.plan().state().join("natwatch/fleet.json");

    // Nobody was ever seen, and EC2 tells nothing: that is not knowing, and no crash.
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny));
    let run = run_after(&lab, 0);
    assert_eq!((run.status, json(&run)["outcome"].as_str()), (Some(3), Some("unheard")), "{run}");
    assert!(json(&run)["notes"].to_string().contains("was never seen, and EC2 can't be asked"), "{run}");
    assert!(!saved.exists());
    lab.api().disarm(None);

    // Asked before the first round; from then on a healthy round asks nobody.
    let run = run_after(&lab, 0);
    assert_eq!((run.status, asked(&lab, &run)), (Some(0), [0, 1, 2].into()), "{run}");
    lab.api().forget_calls();
    for _ in 0..2 {
        let run = run_after(&lab, 0);
        assert_eq!((run.status, asked(&lab, &run)), (Some(0), [0, 1, 2].into()), "{run}");
    }
    assert!(lab.api().calls().is_empty(), "{:?}", lab.api().calls());

    // All of them are replaced: the run that hears nobody has EC2 asked, long before the hour is over, and the next one knows.
    fleet(&lab, "StopInstances", &[0, 1, 2]);
    fleet(&lab, "StartInstances", &[3, 4, 5]);
    for n in 0..3 {
        lab.inject(&Fault::BackendDead(n)).unwrap();
    }
    let run = run_after(&lab, 1);
    assert_eq!((run.status, asked(&lab, &run)), (Some(3), [0, 1, 2].into()), "{run}");
    let run = run_after(&lab, 0);
    assert_eq!((run.status, asked(&lab, &run)), (Some(0), [3, 4, 5].into()), "{run}");

    // EC2 that does not answer takes nobody away.
    let before = std::fs::read(&saved).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("DescribeInstances"));
    let run = run_after(&lab, 120);
    assert_eq!((run.status, asked(&lab, &run)), (Some(0), [3, 4, 5].into()), "{run}");
    assert!(json(&run)["notes"].to_string().contains("could not be refreshed"), "{run}");
    assert_eq!(std::fs::read(&saved).unwrap(), before);
    lab.api().disarm(None);

    let doctor = lab.natwatch(&["doctor", "--format", "json"]).unwrap();
    assert!(doctor.stdout.contains("3 instances that run in the guarded subnets are backends"), "{doctor}");

    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = run_after(&lab, 0);
    assert_eq!((run.status, asked(&lab, &run)), (Some(4), [3, 4, 5].into()), "{run}");
    assert_eq!(moves(&lab).len(), 2, "{run}");
}
