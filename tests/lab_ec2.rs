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
