//! Targets in the lab: those that are dead, slow, shy or hard to find, the pings that they see, and the second family. Needs root;
//! `make test` runs it so.
//!
//! Each test raises a VPC of its own, so that they may run side by side and none sees another's faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use natwatch_lab::{Fault, Lab, Nat, Options, Ping, Run, target, target6};
use serde_json::Value;

/// Longer than any takeover takes here; a bound, not a measure.
const WITHIN: Duration = Duration::from_secs(10);

/// Three targets of each family.
const BOTH: &str =
    r#"["203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8:0:100::1", "2001:db8:0:100::2", "2001:db8:0:100::3"]"#;

fn raise(ipv6: bool) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    Lab::up(&Options { natwatch, ipv6, traffic: false, ..Options::default() }).unwrap()
}

/// A lab whose backends are witnesses already, with these keys changed.
fn seasoned(ipv6: bool, changes: &[(&str, &str)]) -> Lab {
    let lab = raise(ipv6);
    lab.configure(changes).unwrap();
    // A round may end before the last is heard: three are enough for six.
    for _ in 0..3 {
        expect(&run(&lab), 0);
    }
    lab
}

fn run(lab: &Lab) -> Run {
    lab.natwatch(&["run", "--format", "json"]).unwrap()
}

#[track_caller]
fn expect(run: &Run, status: i32) {
    assert_eq!(run.status, Some(status), "{run}");
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

/// Verdict and good targets of the last round of a family.
fn verdict(run: &Run, family: &str) -> (String, u64) {
    let report = json(run);
    let rounds = report["rounds"].as_array().unwrap();
    let last = rounds.iter().rfind(|round| round["family"] == family).unwrap_or_else(|| panic!("no {family}: {run}"));
    (last["verdict"].as_str().unwrap().to_owned(), last["good_targets"].as_u64().unwrap())
}

fn notes(run: &Run) -> Vec<String> {
    json(run)["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn carried_by(lab: &Lab, nat: Nat) {
    for subnet in 0..lab.ids().subnets.len() {
        assert_eq!(lab.carrier(subnet).unwrap(), lab.ids().nat(nat).table, "subnet {subnet}");
    }
}

fn count(pings: &[Ping], nat: Nat, target: Option<IpAddr>) -> usize {
    let source = IpAddr::from(nat.address());
    pings.iter().filter(|ping| ping.source == source && target.is_none_or(|target| ping.target == target)).count()
}

/// How many backends of the run's first round said anything of targets.
fn pinged(run: &Run) -> usize {
    let report = json(run);
    let asked = report["rounds"][0]["backends"].as_array().unwrap().clone();
    asked.iter().filter(|one| one["target"].is_string()).count()
}

const FAST: (&str, &str) = ("decision.run_span", "\"200ms\"");
const ALL: (&str, &str) = ("backends.panel", "0");

#[test]
fn f085_one_family_that_is_dead_is_enough_whatever_the_other_says() {
    let lab = seasoned(true, &[FAST, ALL, ("targets.hosts", BOTH)]);
    let healthy = run(&lab);
    expect(&healthy, 0);
    for family in ["IPv4", "IPv6"] {
        assert_eq!(verdict(&healthy, family), ("healthy".to_owned(), 3), "{healthy}");
    }
    for (fault, dead, alive) in [
        (Fault::Masquerade6Gone(Nat::Primary), "IPv6", "IPv4"),
        (Fault::MasqueradeGone(Nat::Primary), "IPv4", "IPv6"),
        (Fault::Forward6Off(Nat::Primary), "IPv6", "IPv4"),
    ] {
        lab.inject(&fault).unwrap();
        lab.api().forget_calls();
        let over = run(&lab);
        expect(&over, 4);
        assert_eq!(verdict(&over, dead).0, "down", "{fault}: {over}");
        assert_ne!(verdict(&over, alive).0, "down", "{fault}: {over}");
        carried_by(&lab, Nat::Standby);
        let because = json(&over)["because"].as_str().unwrap().to_owned();
        assert!(because.starts_with(&format!("over {dead}, ")), "{because}");
        assert!(because.ends_with(&format!("an association moves {alive} too, which was not down")), "{because}");
        assert_eq!(lab.api().mutations().len(), 2, "{fault}: one association a subnet carries both families");
        for address in [IpAddr::from(target(1)), target6(1).into()] {
            let ping = lab.program("b0", "ping", &["-n", "-c1", "-W1", &address.to_string()]).run().unwrap();
            expect(&ping, 0);
        }
        lab.heal_all().unwrap();
        for subnet in 0..2 {
            lab.associate(subnet, &lab.ids().primary.table).unwrap();
        }
        expect(&lab.natwatch(&["reset", "--yes"]).unwrap(), 0);
        expect(&run(&lab), 0);
    }
}

#[test]
fn f085_a_takeover_for_one_family_is_not_verified_by_the_other() {
    let within = ("takeover.verify_for", "\"2s\"");
    let lab = seasoned(true, &[FAST, ALL, within, ("targets.hosts", BOTH)]);
    for nat in Nat::BOTH {
        lab.inject(&Fault::Masquerade6Gone(nat)).unwrap();
    }
    let over = run(&lab);
    expect(&over, 2);
    assert_eq!(json(&over)["outcome"], "unverified", "{over}");
}

#[test]
fn f085_a_standby_without_ipv6_is_isolated_there_and_judges_ipv4_as_ever() {
    let lab = seasoned(true, &[FAST, ALL, ("targets.hosts", BOTH)]);
    lab.inject(&Fault::Uplink6Dead(Nat::Standby)).unwrap();
    let isolated = run(&lab);
    expect(&isolated, 3);
    assert_eq!(verdict(&isolated, "IPv6"), ("isolated".to_owned(), 0), "{isolated}");
    assert_eq!(verdict(&isolated, "IPv4"), ("healthy".to_owned(), 3), "{isolated}");
    // A family that cannot be judged accuses nobody.
    lab.inject(&Fault::Masquerade6Gone(Nat::Primary)).unwrap();
    let isolated = run(&lab);
    expect(&isolated, 3);
    assert_eq!(verdict(&isolated, "IPv6").0, "isolated", "{isolated}");
    carried_by(&lab, Nat::Primary);
    // Nor does it clear anybody.
    lab.heal(&Fault::Masquerade6Gone(Nat::Primary)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let over = run(&lab);
    expect(&over, 4);
    assert_eq!((verdict(&over, "IPv4").0, verdict(&over, "IPv6").0), ("down".into(), "isolated".into()), "{over}");
    let because = json(&over)["because"].as_str().unwrap().to_owned();
    assert!(because.contains("an association moves IPv6 too, which this standby does not reach"), "{because}");
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f100_a_healthy_run_sends_one_ping_for_each_member_and_one_control_for_each_target() {
    // Nobody is late on purpose: a reply that is late for want of a processor would be asked for again.
    let lab = seasoned(false, &[("targets.timeout", "\"2s\"")]);
    let pings = lab.pings().unwrap();
    for n in 0..5 {
        pings.forget().unwrap();
        let run = run(&lab);
        expect(&run, 0);
        let seen = pings.seen().unwrap();
        assert!(pinged(&run) >= 3, "run {n}: {run}");
        assert_eq!(count(&seen, Nat::Primary, None), pinged(&run), "run {n}: one for each member: {seen:?} {run}");
        for k in 1..=3 {
            assert_eq!(count(&seen, Nat::Standby, Some(target(k).into())), 1, "run {n}, target {k}: {seen:?}");
        }
        assert_eq!(seen.len(), pinged(&run) + 3, "run {n}: and nobody else: {seen:?}");
    }
    // A dead backend is no reason to ask anybody twice.
    lab.inject(&Fault::BackendDead(0)).unwrap();
    pings.forget().unwrap();
    let run = run(&lab);
    expect(&run, 0);
    let seen = pings.seen().unwrap();
    assert_eq!(seen.len(), pinged(&run) + 3, "{seen:?} {run}");
    assert!((3..=5).contains(&pinged(&run)), "{run}");
}

#[test]
fn f100_a_miss_costs_what_the_contract_says_and_no_more() {
    let lab = seasoned(false, &[]);
    let pings = lab.pings().unwrap();
    lab.inject(&Fault::TargetShunsPrimary(1)).unwrap();
    for n in 0..5 {
        pings.forget().unwrap();
        let run = run(&lab);
        expect(&run, 0);
        let seen = pings.seen().unwrap();
        for k in 1..=3 {
            // Asked again after the first miss, and not a third time.
            let controls = count(&seen, Nat::Standby, Some(target(k).into()));
            assert!((1..=2).contains(&controls), "run {n}, target {k}: {controls}: {seen:?}");
        }
        // Whoever missed target 1, which is dropped before it gets there, asks both others at once, and one answer is enough.
        let arrived = count(&seen, Nat::Primary, None);
        assert!((pinged(&run)..=2 * pinged(&run)).contains(&arrived), "run {n}: {arrived}: {seen:?} {run}");
    }
}

#[test]
fn f100_targets_that_limit_pings_by_address_are_not_driven_to_it() {
    let lab = seasoned(false, &[]);
    let limit = Fault::TargetsLimit(1, 3);
    for n in 0..20 {
        // With every run the targets have forgotten the last one: between two runs of cron's lie two minutes.
        lab.inject(&limit).unwrap();
        let run = run(&lab);
        assert_eq!(run.status, Some(0), "run {n}: {run}");
        lab.heal(&limit).unwrap();
    }
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f002_a_lossy_uplink_of_the_standby_leads_to_no_false_verdict() {
    let lab = seasoned(false, &[FAST]);
    lab.inject(&Fault::Loss(Nat::Standby, 30)).unwrap();
    let (mut good, mut runs) = (0, 0);
    for n in 0..20 {
        let run = run(&lab);
        let (verdict, targets) = verdict(&run, "IPv4");
        // All three controls fail in one run of 500; then nobody is accused either.
        let fits = matches!((verdict.as_str(), run.status), ("healthy", Some(0)) | ("isolated", Some(3)));
        assert!(fits, "run {n}: {run}");
        good += targets;
        runs += 1;
    }
    // One ping would come back in 49 % of cases, three tries in 87 %: 52 of 60, and less than 40 in one of 30 000 test runs.
    assert!(good >= 40, "{good} of {} controls were good", runs * 3);
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f022_a_lossy_primary_is_not_taken_over() {
    let lab = seasoned(false, &[FAST]);
    lab.inject(&Fault::Loss(Nat::Primary, 10)).unwrap();
    for n in 0..20 {
        let run = run(&lab);
        assert!(matches!(run.status, Some(0 | 1)), "run {n}: {run}");
    }
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f023_replies_after_the_timeout_are_misses_of_that_target_and_no_fault_of_the_backend() {
    let lab = seasoned(false, &[]);
    lab.inject(&Fault::TargetSlow(2, Duration::from_millis(600))).unwrap();
    for n in 0..8 {
        let run = run(&lab);
        expect(&run, 0);
        assert_eq!(verdict(&run, "IPv4"), ("healthy".to_owned(), 2), "run {n}: {run}");
        for one in json(&run)["rounds"][0]["backends"].as_array().unwrap() {
            assert_ne!(one["verdict"], "cut-off", "run {n}: {run}");
            assert!(one["verdict"] == "reaches" || one["reason"] == "not-awaited", "run {n}: {run}");
        }
    }
    // Late is as good as never: where all are late, nobody can be judged.
    for n in [1, 3] {
        lab.inject(&Fault::TargetSlow(n, Duration::from_millis(600))).unwrap();
    }
    let run = run(&lab);
    expect(&run, 3);
    assert_eq!(json(&run)["outcome"], "isolated", "{run}");
}

#[test]
fn f101_a_primary_that_pauses_for_a_while_is_not_taken_over() {
    // The default span: shorter pauses than it must not move anything.
    let lab = seasoned(false, &[]);
    for pause in [2_500, 500, 500] {
        lab.inject(&Fault::Pause(Duration::from_millis(pause))).unwrap();
        let run = run(&lab);
        assert!(matches!(run.status, Some(0 | 1)), "{pause} ms: {run}");
        if pause > 2_000 {
            assert!(json(&run)["rounds"].as_array().unwrap().len() > 1, "the pause was seen: {run}");
        }
        lab.heal_all().unwrap();
    }
    assert!(lab.api().mutations().is_empty());
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f015_f020_f021_names_are_followed_and_those_that_lead_nowhere_are_named() {
    let lab = raise(false);
    lab.name(&[("one.example", "203.0.113.1"), ("two.example", "203.0.113.2")]).unwrap();
    let hosts = r#"["one.example", "two.example", "203.0.113.3"]"#;
    lab.configure(&[FAST, ALL, ("targets.hosts", hosts)]).unwrap();
    for _ in 0..3 {
        expect(&run(&lab), 0);
    }
    assert_eq!(verdict(&run(&lab), "IPv4").1, 3);

    // The name moves, and the old address dies: the next run asks the new one.
    lab.name(&[("one.example", "203.0.113.4"), ("two.example", "203.0.113.2")]).unwrap();
    lab.inject(&Fault::TargetDead(1)).unwrap();
    let moved = run(&lab);
    expect(&moved, 0);
    assert_eq!((verdict(&moved, "IPv4").1, notes(&moved).len()), (3, 0), "{moved}");

    // Without an answer it is where it was.
    lab.name(&[("two.example", "2001:db8:0:100::2")]).unwrap();
    let lost = run(&lab);
    expect(&lost, 0);
    assert_eq!(verdict(&lost, "IPv4").1, 2, "{lost}");
    assert!(notes(&lost).iter().any(|note| note.contains("one.example") && note.contains("last hour")), "{lost}");
    assert!(notes(&lost).iter().any(|note| note.contains("two.example has no IPv4 address")), "{lost}");

    // Nothing of that goes into cron's mail; it is in `-v` and in `status`.
    lab.inject(&Fault::TargetDead(4)).unwrap();
    let told = |run: &Run| {
        run.stdout.contains("203.0.113.4) does not answer") || run.stderr.contains("203.0.113.4) does not answer")
    };
    lab.name(&[("one.example", "203.0.113.4"), ("two.example", "203.0.113.2")]).unwrap();
    let quiet = lab.natwatch(&["run"]).unwrap();
    expect(&quiet, 0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""), "{quiet}");
    assert!(told(&lab.natwatch(&["run", "-v"]).unwrap()));
    assert!(told(&lab.natwatch(&["status"]).unwrap()));

    // Two outages within the hour: it flaps. Its first death above is one of the four changes.
    lab.heal(&Fault::TargetDead(4)).unwrap();
    expect(&run(&lab), 0);
    lab.inject(&Fault::TargetDead(4)).unwrap();
    let three = run(&lab);
    assert!(!three.stdout.contains("flaps"), "{three}");
    lab.heal(&Fault::TargetDead(4)).unwrap();
    let four = run(&lab);
    expect(&four, 0);
    assert!(notes(&four).iter().any(|note| note.contains("one.example flaps")), "{four}");
    let quiet = lab.natwatch(&["run"]).unwrap();
    assert_eq!((quiet.status, quiet.stdout.as_str()), (Some(0), ""), "{quiet}");
}

#[test]
fn f021_a_name_that_moves_between_two_rounds_stops_no_takeover() {
    let lab = raise(false);
    lab.name(&[("one.example", "203.0.113.1")]).unwrap();
    let hosts = r#"["one.example", "203.0.113.2", "203.0.113.3"]"#;
    lab.configure(&[ALL, ("targets.hosts", hosts)]).unwrap();
    for _ in 0..3 {
        expect(&run(&lab), 0);
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let pings = lab.pings().unwrap();
    let running = lab.command(&["run", "-v", "--format", "json"]).spawn().unwrap();
    running.wait_output("looking again", WITHIN).unwrap();
    let before = pings.seen().unwrap();
    assert_eq!(count(&before, Nat::Standby, Some(target(5).into())), 0, "{before:?}");
    lab.name(&[("one.example", "203.0.113.5")]).unwrap();
    let over = running.wait(WITHIN).unwrap();
    expect(&over, 4);
    let after = pings.seen().unwrap();
    assert!(count(&after, Nat::Standby, Some(target(5).into())) > 0, "asked where it is now: {after:?}");
    carried_by(&lab, Nat::Standby);
}
