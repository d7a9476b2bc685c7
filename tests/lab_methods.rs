//! Takeovers by routes, the Elastic IP address and the primary's reboot in the lab: real packets follow the route tables. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;
use std::time::Duration;

use natwatch_lab::testing::{FLOWS_WITHIN, expect, json};
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Hop, Lab, Nat, Options, Outcome, Run};

const FAST: [(&str, &str); 3] = [("decision.run_span", "\"200ms\""), ("decision.rounds", "2"), ("backends.panel", "0")];

const ROUTE: (&str, &str) = ("takeover.method", "\"route\"");

/// A lab whose backends are witnesses, and in which natwatch knows who the primary is.
fn seasoned(ipv6: bool, changes: &[(&str, &str)]) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    let lab = Lab::up(&Options { natwatch, ipv6, ..Options::default() }).unwrap();
    configure(&lab, changes);
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab.api().forget_calls();
    lab
}

fn configure(lab: &Lab, changes: &[(&str, &str)]) {
    lab.configure(&[&FAST, changes].concat()).unwrap();
}

fn run(lab: &Lab) -> Run {
    lab.natwatch(&["run", "--format", "json"]).unwrap()
}

/// Every change that was asked for, in order.
fn changes(lab: &Lab) -> Vec<String> {
    lab.api().mutations().into_iter().map(|call| call.action).collect()
}

/// No subnet has another table; the packets tell who carries it.
#[track_caller]
fn routed_by(lab: &Lab, nat: Nat) {
    for subnet in 0..lab.ids().subnets.len() {
        assert_eq!(lab.carrier(subnet).unwrap(), lab.ids().primary.table, "subnet {subnet}");
        assert_eq!(lab.hop(subnet), Some(Hop::Nat(nat)), "subnet {subnet}");
    }
}

fn reaches(lab: &Lab, host: &str, address: &str) -> bool {
    lab.program(host, "ping", &["-n", "-c1", "-W1", address]).run().unwrap().status == Some(0)
}

#[test]
fn f077_a_dead_primarys_route_is_led_to_the_standby_and_traffic_flows() {
    let lab = seasoned(false, &[ROUTE]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let over = run(&lab);
    expect(&over, 4);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    routed_by(&lab, Nat::Standby);
    let call = lab.api().mutations().remove(0);
    assert_eq!((call.action.as_str(), lab.api().mutations().len()), ("ReplaceRoute", 1), "one call for two subnets");
    assert_eq!(call.params["NetworkInterfaceId"], lab.ids().standby.eni);
    let report = json(&over);
    let one = &report["moves"][0];
    assert_eq!(
        (&one["subnet"], &one["table"], &one["destination"], &one["result"], &one["verification"]),
        (
            &serde_json::Value::Null,
            &lab.ids().primary.table.clone().into(),
            &"0.0.0.0/0".into(),
            &"moved".into(),
            &"verified".into()
        ),
        "{over}"
    );

    // It is the standby's traffic now, for everybody who asks.
    let status = json(&lab.natwatch(&["status", "--format", "json"]).unwrap());
    assert!(status["active"].as_object().unwrap().values().all(|who| who == "standby"), "{status}");
    let locked = run(&lab);
    expect(&locked, 5);
    assert_eq!(lab.api().mutations().len(), 1, "{locked}");
    let refused = lab.natwatch(&["reset", "--yes"]).unwrap();
    expect(&refused, 2);
}

#[test]
fn f079_the_black_hole_of_a_stopped_primary_is_replaced() {
    let lab = seasoned(false, &[ROUTE]);
    lab.inject(&Fault::Stopped(Nat::Primary)).unwrap();
    expect(&run(&lab), 4);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    routed_by(&lab, Nat::Standby);
}

#[test]
fn f085_both_families_are_led_to_the_standby_each_by_its_own_route() {
    let hosts = "[\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\", \"2001:db8:0:100::1\", \"2001:db8:0:100::2\", \"2001:db8:0:100::3\"]";
    let both = [ROUTE, ("takeover.destinations", "[\"0.0.0.0/0\", \"::/0\"]"), ("targets.hosts", hosts)];
    let lab = seasoned(true, &both);
    lab.inject(&Fault::Masquerade6Gone(Nat::Primary)).unwrap();
    assert!(!reaches(&lab, "b0", "2001:db8:0:100::1"));
    let over = run(&lab);
    expect(&over, 4);
    assert_eq!(changes(&lab), ["ReplaceRoute", "ReplaceRoute"]);
    let because = json(&over)["because"].as_str().unwrap().to_owned();
    assert!(because.ends_with("takeover.destinations moves IPv4 too, which was not down"), "{because}");
    for address in ["203.0.113.1", "2001:db8:0:100::1"] {
        assert!(reaches(&lab, "b0", address), "{address}");
    }
    routed_by(&lab, Nat::Standby);
}

#[test]
fn f085_the_family_that_is_down_must_be_among_the_destinations() {
    let hosts = "[\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\", \"2001:db8:0:100::1\", \"2001:db8:0:100::2\", \"2001:db8:0:100::3\"]";
    let only = [ROUTE, ("targets.hosts", hosts)];
    let lab = seasoned(true, &only);
    lab.inject(&Fault::Masquerade6Gone(Nat::Primary)).unwrap();
    let held = run(&lab);
    expect(&held, 2);
    assert_eq!(json(&held)["gate"], "foreign", "{held}");
    assert_eq!(json(&held)["holds"][0]["remedy"], "add \"::/0\" to takeover.destinations", "{held}");
    assert_eq!(changes(&lab), [] as [&str; 0]);
}

#[test]
fn a_virtual_address_comes_along_and_its_route_is_made_where_it_is_missing() {
    let lab = seasoned(false, &[ROUTE, ("takeover.destinations", "[\"0.0.0.0/0\", \"10.9.9.9/32\"]")]);
    let added = lab.program("nat2", "ip", &["address", "add", "10.9.9.9/32", "dev", "lo"]).run().unwrap();
    assert_eq!(added.status, Some(0), "{added}");
    assert!(!reaches(&lab, "b0", "10.9.9.9"), "there is no route yet, and the primary has no such address");
    lab.inject(&Fault::UplinkDead(Nat::Primary)).unwrap();
    let over = run(&lab);
    expect(&over, 4);
    let mut made = changes(&lab);
    made.sort();
    assert_eq!(made, ["CreateRoute", "ReplaceRoute"]);
    assert!(reaches(&lab, "b0", "10.9.9.9"), "{over}");
    assert!(json(&over)["moves"].as_array().unwrap().iter().all(|one| one["verification"] == "verified"), "{over}");
}

#[test]
fn a_virtual_address_alone_is_moved_and_called_unwitnessed() {
    let lab = seasoned(false, &[ROUTE, ("takeover.destinations", "[\"10.9.9.9/32\"]")]);
    let (table, primary) = (lab.ids().primary.table.clone(), lab.ids().primary.eni.clone());
    let route =
        [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "10.9.9.9/32"), ("NetworkInterfaceId", &primary)];
    lab.ec2("CreateRoute", &route).unwrap();
    let added = lab.program("nat2", "ip", &["address", "add", "10.9.9.9/32", "dev", "lo"]).run().unwrap();
    assert_eq!(added.status, Some(0), "{added}");
    // Who the primary is was not to be seen while the route was missing.
    configure(
        &lab,
        &[
            ROUTE,
            ("takeover.destinations", "[\"10.9.9.9/32\"]"),
            ("primary.instance", &format!("\"{}\"", lab.ids().primary.instance)),
            ("decision.min_uptime", "\"1s\""),
        ],
    );
    lab.inject(&Fault::Crash(Nat::Primary)).unwrap();
    let over = run(&lab);
    expect(&over, 4);
    assert_eq!(json(&over)["moves"][0]["verification"], "unwitnessed", "{over}");
    assert!(
        json(&over)["because"].as_str().unwrap().ends_with("no ping can tell whether traffic flows by them"),
        "{over}"
    );
    assert!(reaches(&lab, "b0", "10.9.9.9"), "{over}");
    assert_eq!(lab.hop(0), Some(Hop::Nat(Nat::Primary)), "the default route is not moved");
}

#[test]
fn f052_a_route_that_somebody_has_led_elsewhere_stands() {
    let lab = seasoned(false, &[ROUTE]);
    let (table, gateway) = (lab.ids().primary.table.clone(), lab.ids().internet_gateway.clone());
    let route = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0"), ("GatewayId", &gateway)];
    lab.ec2("ReplaceRoute", &route).unwrap();
    lab.api().forget_calls();
    // Nobody behind that table has a public address, so all of them are cut off, and not by the primary.
    let held = run(&lab);
    expect(&held, 2);
    assert_eq!(json(&held)["gate"], "foreign", "{held}");
    let why = json(&held)["holds"][0]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with(&format!("{table} sends 0.0.0.0/0 to {gateway}, neither to the primary")), "{why}");
    assert_eq!(changes(&lab), [] as [&str; 0]);
}

#[test]
fn f049_a_route_whose_reply_was_lost_is_found_by_describing() {
    let lab = seasoned(false, &[ROUTE]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Lost).on("ReplaceRoute").times(1));
    let over = run(&lab);
    expect(&over, 4);
    assert_eq!(json(&over)["moves"][0]["result"], "moved", "{over}");
    assert_eq!(lab.api().mutations().len(), 1, "{over}");
    routed_by(&lab, Nat::Standby);
}

#[test]
fn f108_a_route_that_takes_effect_seconds_later_is_waited_for_and_not_changed_again() {
    let lab = seasoned(false, &[ROUTE]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.inject(&Fault::Propagation(Duration::from_secs(2))).unwrap();
    let over = run(&lab);
    expect(&over, 4);
    assert_eq!(json(&over)["moves"][0]["verification"], "verified", "{over}");
    assert_eq!(changes(&lab), ["ReplaceRoute"]);
}

#[test]
fn f051_a_route_that_could_not_be_changed_is_finished_by_the_next_run() {
    let lab = seasoned(false, &[ROUTE, ("takeover.destinations", "[\"0.0.0.0/0\", \"10.9.9.9/32\"]")]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("ReplaceRoute"));
    let partial = run(&lab);
    expect(&partial, 2);
    assert_eq!(json(&partial)["outcome"], "partial", "{partial}");
    let command = json(&partial)["commands"][0].as_str().unwrap().to_owned();
    assert!(command.starts_with("aws ec2 replace-route --route-table-id"), "{command}");
    lab.api().disarm(None);
    let over = run(&lab);
    expect(&over, 4);
    routed_by(&lab, Nat::Standby);
    expect(&run(&lab), 5);
}

/// The address as an operator has it: at the primary.
fn address(lab: &Lab) -> String {
    let answer = lab.ec2("AllocateAddress", &[("Domain", "vpc")]).unwrap();
    let id = answer.split("<allocationId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let primary = lab.ids().primary.eni.clone();
    lab.ec2("AssociateAddress", &[("AllocationId", &id), ("NetworkInterfaceId", &primary)]).unwrap();
    id
}

/// Which interface has the address.
fn holder(lab: &Lab, address: &str) -> String {
    let answer = lab.ec2("DescribeAddresses", &[("AllocationId.1", address)]).unwrap();
    answer.split("<networkInterfaceId>").nth(1).map_or("", |rest| rest.split('<').next().unwrap()).to_owned()
}

#[test]
fn the_address_comes_last_and_the_primary_is_rebooted_once_traffic_flows() {
    for method in ["\"association\"", "\"route\""] {
        let lab = seasoned(false, &[("takeover.method", method)]);
        let address = address(&lab);
        let (address_key, primary) = (format!("\"{address}\""), format!("\"{}\"", lab.ids().primary.instance));
        configure(
            &lab,
            &[
                ("takeover.method", method),
                ("takeover.elastic_ip", &address_key),
                ("primary.instance", &primary),
                ("takeover.reboot_primary", "true"),
                ("decision.min_uptime", "\"1s\""),
            ],
        );
        lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
        // A dry run asks whether it would be allowed.
        let dry = lab.natwatch(&["run", "--dry-run", "--format", "json"]).unwrap();
        expect(&dry, 4);
        assert_eq!((changes(&lab), holder(&lab, &address)), (Vec::new(), lab.ids().primary.eni.clone()));
        assert_eq!(
            (&json(&dry)["address"]["result"], &json(&dry)["reboot"]["result"]),
            (&"would-move".into(), &"would-ask".into())
        );

        // Its reply is lost, as it would be where our own address changes.
        lab.api().arm(ApiFault::new(ApiFaultKind::Lost).on("AssociateAddress").times(1));
        let over = run(&lab);
        expect(&over, 4);
        let done = changes(&lab);
        assert_eq!(done[done.len() - 2..], ["AssociateAddress", "RebootInstances"], "{over}");
        assert_eq!(done.iter().filter(|one| *one == "AssociateAddress").count(), 1, "{over}");
        assert_eq!(holder(&lab, &address), lab.ids().standby.eni);
        let report = json(&over);
        assert_eq!(
            (&report["address"]["result"], &report["reboot"]["result"]),
            (&"moved".into(), &"asked".into()),
            "{over}"
        );
        assert!(report["address"]["from"].as_str().unwrap().starts_with(&lab.ids().primary.eni), "{over}");
        let rebooted = lab.api().mutations().pop().unwrap();
        assert_eq!(rebooted.params["InstanceId.1"], lab.ids().primary.instance);
        let record = std::fs::read_to_string(lab.plan().state().join("natwatch/takeover.json")).unwrap();
        assert!(record.contains(&address) && record.contains("\"asked\""), "{record}");
        expect(&run(&lab), 5);
    }
}

#[test]
fn an_address_that_stays_away_is_partial_until_an_operator_has_brought_it() {
    let lab = seasoned(false, &[]);
    let address = address(&lab);
    configure(&lab, &[("takeover.elastic_ip", &format!("\"{address}\""))]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("AssociateAddress"));
    let partial = run(&lab);
    expect(&partial, 2);
    let report = json(&partial);
    assert_eq!((&report["outcome"], &report["address"]["result"]), (&"partial".into(), &"failed".into()), "{partial}");
    let standby = lab.ids().standby.eni.clone();
    assert_eq!(
        report["commands"],
        serde_json::json!([format!(
            "aws ec2 associate-address --allow-reassociation --allocation-id {address} --network-interface-id {standby}"
        )]),
        "{partial}"
    );
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    expect(&run(&lab), 2);
    lab.ec2(
        "AssociateAddress",
        &[("AllocationId", &address), ("NetworkInterfaceId", &standby), ("AllowReassociation", "true")],
    )
    .unwrap();
    let settled = run(&lab);
    expect(&settled, 5);
}

#[test]
fn f083_a_takeover_that_does_not_help_reboots_nothing_and_its_route_is_not_changed_again() {
    let lab = seasoned(false, &[ROUTE]);
    let primary = format!("\"{}\"", lab.ids().primary.instance);
    configure(
        &lab,
        &[
            ROUTE,
            ("primary.instance", &primary),
            ("takeover.reboot_primary", "true"),
            ("decision.min_uptime", "\"1s\""),
            ("takeover.verify_for", "\"2s\""),
        ],
    );
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let over = run(&lab);
    expect(&over, 2);
    assert_eq!(json(&over)["outcome"], "unverified", "{over}");
    let note =
        json(&over)["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("is not rebooted"));
    assert!(note, "{over}");
    let undo = json(&over)["commands"][0].as_str().unwrap().to_owned();
    assert!(undo.ends_with(&format!("--network-interface-id {}", lab.ids().primary.eni)), "{undo}");
    expect(&run(&lab), 2);
    assert_eq!(changes(&lab), ["ReplaceRoute"]);
}

#[test]
fn a_dry_run_of_a_route_takeover_asks_and_changes_nothing() {
    let lab = seasoned(false, &[ROUTE]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let dry = lab.natwatch(&["run", "--dry-run", "--format", "json"]).unwrap();
    expect(&dry, 4);
    assert_eq!(json(&dry)["moves"][0]["result"], "would-move", "{dry}");
    assert_eq!(changes(&lab), [] as [&str; 0]);
    routed_by(&lab, Nat::Primary);
    let asked = lab.api().calls().into_iter().filter(natwatch_lab::Call::is_dry_run);
    let asked: Vec<_> = asked.map(|call| (call.action, call.outcome)).collect();
    assert_eq!(asked, [("ReplaceRoute".to_owned(), Outcome::Refused("DryRunOperation".to_owned()))]);
    assert!(!lab.plan().state().join("natwatch/takeover.json").exists());
}
