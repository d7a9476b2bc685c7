//! What the targets see, how they misbehave, and the second family. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::net::IpAddr;

use natwatch_lab::{Fault, Hop, Lab, Nat, Options, target, target6};

/// One ping of at most three quarters of a second, by the host's own `ping`; how long the reply took, in milliseconds.
fn ping(lab: &Lab, host: &str, address: IpAddr) -> Option<f64> {
    let run = lab.program(host, "ping", &["-n", "-c1", "-W0.75", &address.to_string()]).run().unwrap();
    assert!(matches!(run.status, Some(0 | 1)), "{run}");
    let time = run.stdout.split("time=").nth(1)?.split(' ').next()?.parse().unwrap();
    Some(time)
}

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

#[test]
fn both_families_flow_and_each_fault_of_one_leaves_the_other_alone() {
    let lab = Lab::up(&Options { backends: 2, ipv6: true, ..Options::default() }).unwrap();
    let reaches = |host: &str, n: u8| {
        (ping(&lab, host, target(n).into()).is_some(), ping(&lab, host, target6(n).into()).is_some())
    };
    for n in 1..=5 {
        assert_eq!(reaches("b0", n), (true, true), "target {n}");
        assert_eq!(reaches("nat2", n), (true, true), "target {n}");
    }
    assert!(ping(&lab, "b0", "2001:db8:0:b::b".parse().unwrap()).is_some(), "b1, within the VPC");
    // (fault, what of b0 reaches target 1, what of the standby does): IPv4, IPv6
    for (text, through, standby) in [
        ("masquerade-gone", (false, true), (true, true)),
        ("masquerade6-gone", (true, false), (true, true)),
        ("forward-off", (false, true), (true, true)),
        ("forward6-off", (true, false), (true, true)),
        ("primary-uplink6-dead", (true, false), (true, true)),
        ("standby-uplink6-dead", (true, true), (true, false)),
        ("primary-crash", (false, false), (true, true)),
        ("primary-stopped", (false, false), (true, true)),
        ("primary-uplink-dead", (false, false), (true, true)),
        ("standby-uplink-dead", (true, true), (false, false)),
        ("target-dead 1", (false, false), (false, false)),
        ("all-targets-dead", (false, false), (false, false)),
        ("target-shuns-primary 1", (false, false), (true, true)),
        ("source-dest-check-on primary", (false, false), (true, true)),
    ] {
        let fault = fault(text);
        lab.inject(&fault).unwrap();
        assert_eq!(reaches("b0", 1), through, "{text}: b0 through the primary");
        assert_eq!(reaches("nat2", 1), standby, "{text}: the standby itself");
        lab.heal(&fault).unwrap();
        assert_eq!((reaches("b0", 1), reaches("nat2", 1)), ((true, true), (true, true)), "{text}: healed");
    }
    // A move takes both families along.
    lab.inject(&fault("primary-crash")).unwrap();
    for subnet in [0, 1] {
        lab.associate(subnet, &lab.ids().standby.table).unwrap();
        assert_eq!(lab.hop(subnet), Some(Hop::Nat(Nat::Standby)));
    }
    assert_eq!(reaches("b0", 1), (true, true), "through the standby");
}

#[test]
fn a_lab_without_ipv6_has_none_and_refuses_its_faults() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, traffic: false, ..Options::default() }).unwrap();
    let run = lab.program("nat2", "ping", &["-n", "-c1", "-W1", &target6(1).to_string()]).run().unwrap();
    assert_ne!(run.status, Some(0), "{run}");
    for text in ["masquerade6-gone", "forward6-off", "standby-uplink6-dead"] {
        let error = lab.inject(&fault(text)).unwrap_err();
        assert!(format!("{error:#}").contains("no IPv6"), "{error:#}");
    }
}

#[test]
fn pings_are_recorded_as_the_targets_see_them_and_targets_answer_late_or_seldom() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, ipv6: true, traffic: false, ..Options::default() }).unwrap();
    let pings = lab.pings().unwrap();
    assert!(ping(&lab, "b0", target(1).into()).is_some());
    assert!(ping(&lab, "nat2", target(2).into()).is_some());
    assert!(ping(&lab, "b0", target6(3).into()).is_some());
    let seen: Vec<_> = pings.seen().unwrap().iter().map(|ping| (ping.source, ping.target)).collect();
    let from = |nat: Nat| lab.plan().nat_addresses(nat);
    let (primary, standby) = (from(Nat::Primary), from(Nat::Standby));
    // The two families are heard by two ears, so their order is not that of the pings.
    assert_eq!(seen.len(), 3, "{seen:?}");
    for expected in
        [(primary[0], target(1).into()), (standby[0], target(2).into()), (primary[1], IpAddr::from(target6(3)))]
    {
        assert!(seen.contains(&expected), "{expected:?} is not in {seen:?}");
    }
    pings.forget().unwrap();
    assert_eq!(pings.seen().unwrap(), []);

    lab.inject(&fault("target-slow 1 250")).unwrap();
    for address in [IpAddr::from(target(1)), target6(1).into()] {
        let took = ping(&lab, "b0", address).unwrap();
        assert!((250.0..750.0).contains(&took), "{address}: {took} ms");
        assert!(ping(&lab, "nat2", address).unwrap() >= 250.0, "{address}");
    }
    assert!(ping(&lab, "b0", target(2).into()).unwrap() < 200.0);
    lab.heal_all().unwrap();
    assert!(ping(&lab, "b0", target(1).into()).unwrap() < 200.0);

    lab.inject(&fault("targets-limit 1 3")).unwrap();
    pings.forget().unwrap();
    let flood = |host: &str, address: IpAddr| {
        let run = lab.program(host, "ping", &["-n", "-c8", "-i0.01", "-W1", &address.to_string()]).run().unwrap();
        run.stdout.matches("bytes from").count()
    };
    for address in [IpAddr::from(target(1)), target6(1).into()] {
        assert!((3..6).contains(&flood("b0", address)), "{address}");
    }
    assert!(ping(&lab, "b0", target(2).into()).is_some(), "another target");
    assert!(ping(&lab, "nat2", target(1).into()).is_some(), "another source");
    assert_eq!(pings.seen().unwrap().len(), 18, "dropped by the target, and seen all the same");
}

#[test]
fn the_standby_has_names_of_its_own() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, traffic: false, ..Options::default() }).unwrap();
    let resolves = |name: &str| {
        let run = lab.program("nat2", "getent", &["ahostsv4", name]).run().unwrap();
        run.stdout.split_whitespace().next().map(ToOwned::to_owned)
    };
    assert_eq!(resolves("one.example"), None);
    for address in ["203.0.113.1", "203.0.113.2"] {
        lab.name(&[("one.example", address)]).unwrap();
        assert_eq!(resolves("one.example").as_deref(), Some(address));
    }
    assert_eq!(resolves("b0").as_deref(), Some("10.0.10.10"), "the lab's own names stay");
    lab.name(&[]).unwrap();
    assert_eq!(resolves("one.example"), None);
}
