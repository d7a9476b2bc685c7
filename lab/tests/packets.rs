//! The fabric carries real packets, and each packet fault cuts what it names and nothing else. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::time::Duration;

use natwatch_lab::{Fault, Hop, Lab, Nat, Options, target};

const PATIENCE: Duration = Duration::from_secs(5);

/// One ping of at most a second, by the host's own `ping`.
fn pings(lab: &Lab, host: &str, address: &str) -> bool {
    let run = lab.program(host, "ping", &["-n", "-c1", "-W1", address]).run().unwrap();
    assert!(matches!(run.status, Some(0 | 1)), "{run}");
    run.status == Some(0)
}

fn reaches(lab: &Lab, host: &str, n: u8) -> bool {
    pings(lab, host, &target(n).to_string())
}

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

#[test]
fn packet_faults_cut_what_they_name_and_heal() {
    let lab = Lab::up(&Options::default()).unwrap();
    for n in 1..=5 {
        assert!(reaches(&lab, "b0", n) && reaches(&lab, "nat2", n));
    }
    assert!(pings(&lab, "nat2", "10.0.0.10"), "the standby's peer");
    assert!(pings(&lab, "nat2", "b1"), "by name, from the namespace's own hosts file");

    // (fault, b0 reaches target 1, the standby pings the primary, the standby reaches target 1)
    for (text, through, peer, standby) in [
        ("masquerade-gone", false, true, true),
        ("forward-off", false, true, true),
        ("primary-crash", false, false, true),
        ("primary-stopped", false, false, true),
        ("primary-uplink-dead", false, true, true),
        ("standby-uplink-dead", true, true, false),
        ("target-dead 1", false, true, false),
        ("all-targets-dead", false, true, false),
        ("target-shuns-primary 1", false, true, true),
        ("backend-dead 0", false, true, true),
        ("primary-loss 100", false, true, true),
        ("standby-loss 100", true, true, false),
        ("links-lose 100", false, false, false),
        ("source-dest-check-on primary", false, true, true),
        ("source-dest-check-on standby", true, true, true),
    ] {
        let fault = fault(text);
        lab.inject(&fault).unwrap();
        assert_eq!(lab.faults(), std::slice::from_ref(&fault));
        assert_eq!(reaches(&lab, "b0", 1), through, "{text}: b0 through the primary");
        assert_eq!(pings(&lab, "nat2", "10.0.0.10"), peer, "{text}: the standby's peer");
        assert_eq!(reaches(&lab, "nat2", 1), standby, "{text}: the standby itself");
        lab.heal(&fault).unwrap();
        assert!(
            reaches(&lab, "b0", 1) && pings(&lab, "nat2", "10.0.0.10") && reaches(&lab, "nat2", 1),
            "{text}: healed"
        );
    }
    assert!(lab.faults().is_empty());

    lab.inject(&fault("target-dead 2")).unwrap();
    lab.inject(&fault("backend-dead 3")).unwrap();
    assert!(reaches(&lab, "b0", 1) && !reaches(&lab, "b0", 2) && !reaches(&lab, "b3", 1));
    lab.heal_all().unwrap();
    assert!(reaches(&lab, "b0", 2) && reaches(&lab, "b3", 1));
    assert!(lab.inject(&fault("backend-dead 77")).is_err());
    assert!(lab.faults().is_empty(), "a fault that cannot be made is not active");
}

#[test]
fn running_flows_feel_each_fault_and_each_move_at_once() {
    let lab = Lab::up(&Options { backends: 1, subnets: 2, ..Options::default() }).unwrap();
    let standby = lab.ids().standby.table.clone();
    let primary = lab.ids().primary.table.clone();
    for text in
        ["masquerade-gone", "forward-off", "primary-crash", "primary-uplink-dead", "source-dest-check-on primary"]
    {
        let mark = lab.traffic().mark();
        lab.inject(&fault(text)).unwrap();
        lab.traffic().wait_silent(PATIENCE).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(lab.traffic().outages_since(mark).iter().all(|outage| !outage.restored), "{text}");
        for subnet in [0, 1] {
            lab.associate(subnet, &standby).unwrap();
            assert_eq!(lab.carrier(subnet).unwrap(), standby);
            assert_eq!(lab.hop(subnet), Some(Hop::Nat(Nat::Standby)));
        }
        lab.traffic().wait_flowing(PATIENCE).unwrap_or_else(|error| panic!("{text}, moved: {error}"));
        let outage = lab.traffic().outage_since(mark);
        assert!(outage > Duration::from_millis(250) && outage < Duration::from_secs(5), "{text}: {outage:?}");
        lab.heal_all().unwrap();
        let mark = lab.traffic().mark();
        for subnet in [0, 1] {
            lab.associate(subnet, &primary).unwrap();
        }
        lab.traffic().wait_flowing(PATIENCE).unwrap_or_else(|error| panic!("{text}, back: {error}"));
        let outage = lab.traffic().outage_since(mark);
        assert!(outage < Duration::from_millis(250), "{text}: a move between healthy NATs took {outage:?}");
    }
    for text in ["masquerade-gone", "primary-crash", "primary-stopped"] {
        lab.inject(&fault(text)).unwrap();
        lab.traffic().wait_silent(PATIENCE).unwrap_or_else(|error| panic!("{text}: {error}"));
        lab.heal_all().unwrap();
        lab.traffic().wait_flowing(PATIENCE).unwrap_or_else(|error| panic!("{text}, healed in place: {error}"));
    }
}

#[test]
fn a_pause_ends_by_itself_and_loss_is_what_it_says() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, ..Options::default() }).unwrap();
    let mark = lab.traffic().mark();
    lab.inject(&fault("primary-pause 500")).unwrap();
    lab.traffic().wait_silent(PATIENCE).unwrap();
    lab.traffic().wait_flowing(PATIENCE).unwrap();
    let outage = lab.traffic().outages_since(mark)[0];
    assert!(outage.restored && (450..900).contains(&outage.silence.as_millis()), "{outage:?}");
    assert!(lab.faults().is_empty());

    // 30 % each way lose 51 % of the round trips; six standard deviations of 200 are 42.
    // Four links each way, 5 % each: 34 %, and 40.
    for (text, lost) in [("primary-loss 30", 60..145), ("links-lose 5", 27..108)] {
        lab.inject(&fault(text)).unwrap();
        let mark = lab.traffic().mark();
        while lab.traffic().outages_since(mark)[0].sent < 200 {
            assert!(mark.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(50));
        }
        let outage = lab.traffic().outages_since(mark)[0];
        assert!(lost.contains(&outage.lost), "{text}: {outage:?}");
        lab.heal_all().unwrap();
    }
}

#[test]
fn a_hosts_bytes_are_counted_on_its_own_link() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, traffic: false, ..Options::default() }).unwrap();
    let bytes = |host| lab.wire(host).unwrap();
    let (before, other) = (bytes("b0"), bytes("f0"));
    assert!(reaches(&lab, "b0", 1));
    // An echo request of 56 bytes: ICMP, IP and Ethernet headers make it 98.
    assert_eq!(bytes("b0"), (before.0 + 98, before.1 + 98));
    assert_eq!(bytes("f0"), other);
    assert!(lab.wire("b7").is_err());
}
