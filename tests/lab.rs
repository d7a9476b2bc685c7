//! The whole program in the lab: real SSH, real ICMP, a real EC2 API server, real packets. Needs root; `make test` runs it so.
//!
//! Each test raises a VPC of its own, so that they may run side by side and none sees another's faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;

use std::fs;
use std::time::Duration;

use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json, silent_for, ssh_processes};
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Nat, Run};

use support::{raise, seasoned};

#[track_caller]
fn taken_over(fault: &Fault) {
    let lab = seasoned();
    lab.inject(fault).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["outcome"], "taken-over", "{run}");
    assert_eq!(report["moves"].as_array().unwrap().len(), 2, "{run}");
    assert_eq!(lab.api().mutations().len(), 2, "one call a subnet");
}

#[test]
fn f077_a_primary_that_no_longer_masquerades_is_taken_over() {
    taken_over(&Fault::MasqueradeGone(Nat::Primary));
}

#[test]
fn f077_a_primary_that_no_longer_forwards_is_taken_over() {
    taken_over(&Fault::ForwardOff(Nat::Primary));
}

#[test]
fn f078_a_primary_that_crashed_is_taken_over() {
    taken_over(&Fault::Crash(Nat::Primary));
}

#[test]
fn f078_a_primary_whose_uplink_is_dead_is_taken_over() {
    taken_over(&Fault::UplinkDead(Nat::Primary));
}

#[test]
fn a_healthy_run_is_silent_and_asks_ec2_nothing() {
    let lab = seasoned();
    lab.api().forget_calls();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{run}");
    assert!(lab.api().calls().is_empty(), "{:?}", lab.api().calls());
    carried_by(&lab, Nat::Primary);
}

#[test]
fn on_a_terminal_a_healthy_run_says_who_was_asked_and_what_answered() {
    let lab = seasoned();
    let run = lab.command(&["run"]).tty().run().unwrap();
    expect(&run, 0);
    for word in ["b0", "b5", "reaches", "healthy", "203.0.113."] {
        assert!(run.stdout.contains(word), "{word} is missing: {run}");
    }
}

#[test]
fn the_default_span_is_kept_before_anything_moves() {
    let lab = raise();
    lab.configure(&[("backends.panel", "0")]).unwrap();
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    let first_move = lab.api().mutations().into_iter().map(|call| call.at).min().unwrap();
    assert!(first_move.duration_since(run.started) >= Duration::from_secs(3), "{run}");
    assert!(json(&run)["rounds"].as_array().unwrap().len() >= 2, "{run}");
}

#[test]
fn f101_an_outage_that_ends_within_the_span_moves_nothing() {
    let lab = raise();
    lab.configure(&[("backends.panel", "0")]).unwrap();
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.command(&["run", "-v"]).spawn().unwrap();
    run.wait_output("looking again", FLOWS_WITHIN).unwrap();
    lab.heal_all().unwrap();
    let run = run.wait(FLOWS_WITHIN).unwrap();
    assert!(matches!(run.status, Some(0 | 1)), "{run}");
    assert!(lab.api().mutations().is_empty(), "{run}");
}

#[test]
fn a_fresh_state_folder_during_an_outage_has_no_witness_and_moves_nothing() {
    let lab = raise();
    lab.configure(&[("decision.run_span", "\"0s\"")]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 3);
    let report = json(&run);
    assert_eq!(report["outcome"], "unheard", "{run}");
    assert!(report["rounds"][0]["backends"].as_array().unwrap().iter().all(|one| one["reason"] == "unproven"), "{run}");
    carried_by(&lab, Nat::Primary);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_changes_nothing() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let before = lab.footprint().unwrap();
    let run = lab.natwatch(&["run", "--dry-run", "--format", "json"]).unwrap();
    expect(&run, 4);
    assert_eq!(json(&run)["outcome"], "would-take-over", "{run}");
    assert!(json(&run)["moves"].as_array().unwrap().iter().all(|one| one["result"] == "would-move"), "{run}");
    assert_eq!(lab.footprint().unwrap(), before, "{run}");
    assert!(lab.api().mutations().is_empty());
    assert_eq!(lab.api().calls().iter().filter(|call| call.action == "ReplaceRouteTableAssociation").count(), 2);
}

#[test]
fn f057_a_dry_run_finds_the_missing_permission() {
    let lab = seasoned();
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("ReplaceRouteTableAssociation"));
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--dry-run"]).unwrap();
    expect(&run, 2);
    assert!(run.stdout.contains("not allowed: ec2:ReplaceRouteTableAssociation"), "{run}");
    assert!(run.stdout.contains("natwatch print iam-policy"), "{run}");
}

#[test]
fn f080_f081_after_a_takeover_it_is_locked_until_reset() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Stale).on("DescribeRouteTables"));
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    // A description that is behind shows a subnet at home, by the token of its move.
    let behind = lab.natwatch(&["reset", "--yes"]).unwrap();
    expect(&behind, 2);
    assert!(behind.stderr.contains("may be behind; try again in half a minute"), "{behind}");
    lab.api().disarm(None);

    // Traffic flows through the standby, and the primary comes back: nothing is moved by itself.
    lab.heal_all().unwrap();
    lab.api().forget_calls();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 5);
    assert!(run.stdout.contains("locked"), "{run}");
    carried_by(&lab, Nat::Standby);
    let again = lab.natwatch(&["run"]).unwrap();
    expect(&again, 5);
    assert_eq!(again.stdout, "", "the same mail twice: {again}");

    let refused = lab.natwatch(&["reset", "--yes"]).unwrap();
    expect(&refused, 2);
    assert!(refused.stderr.contains(&lab.ids().subnets[0].id), "{refused}");

    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    expect(&status, 0);
    let told = json(&status);
    assert_eq!((told["locked"].as_bool(), told["phase"].as_str()), (Some(true), Some("taken")), "{status}");
    assert_eq!(told["active"][&lab.ids().subnets[1].id], "standby", "{status}");

    for subnet in 0..2 {
        lab.associate(subnet, &lab.ids().primary.table).unwrap();
    }
    // The lock with nothing on the standby: nothing stands by until it is cleared.
    expect(&lab.natwatch(&["run"]).unwrap(), 1);
    let ask = lab.natwatch(&["reset"]).unwrap();
    expect(&ask, 64);
    assert!(ask.stderr.contains("--yes"), "{ask}");
    expect(&lab.natwatch(&["reset", "--yes"]).unwrap(), 0);
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    assert!(lab.api().mutations().is_empty(), "{:?}", lab.api().mutations());
}

#[test]
fn f080_a_takeover_is_made_once_though_the_standby_fails_too() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    lab.api().forget_calls();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert!(json(&run)["holds"].as_array().unwrap().iter().any(|hold| hold["gate"] == "locked"), "{run}");
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f006_a_standby_that_has_just_booted_holds() {
    let lab = seasoned();
    lab.configure(&[("decision.run_span", "\"200ms\""), ("decision.min_uptime", "\"5m\"")]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.command(&["run", "--format", "json"]).up_for(Duration::from_mins(2)).run().unwrap();
    expect(&run, 3);
    assert_eq!(json(&run)["gate"], "booting", "{run}");
    assert!(json(&run)["holds"][0]["why"].as_str().unwrap().contains("s to go"), "{run}");
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f079_f103_a_pause_holds_and_says_why_until_it_is_ended_or_over() {
    let lab = seasoned();
    expect(&lab.natwatch(&["pause", "--for", "30m", "--reason", "primary gets a new kernel"]).unwrap(), 0);
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    lab.inject(&Fault::Stopped(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 3);
    assert_eq!((&json(&run)["outcome"], &json(&run)["gate"]), (&"down".into(), &"paused".into()), "{run}");
    assert!(json(&run)["because"].as_str().unwrap().contains("primary gets a new kernel"), "{run}");
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    assert!(json(&status)["paused_until"].is_string(), "{status}");
    assert!(json(&status)["holds"].as_array().unwrap().iter().any(|hold| hold["gate"] == "paused"), "{status}");
    assert!(lab.api().mutations().is_empty());
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
    let history = std::fs::read_to_string(lab.plan().state().join("natwatch/history.jsonl")).unwrap();
    let kinds: Vec<String> = history
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["pause", "resume", "takeover"]);
}

#[test]
fn a_pause_that_says_nothing_or_never_ends_is_refused() {
    let lab = raise();
    for (length, reason) in [("0s", "x"), ("169h", "x"), ("soon", "x"), ("-1m", "x"), ("30m", "  ")] {
        let run = lab.natwatch(&["pause", &format!("--for={length}"), "--reason", reason]).unwrap();
        expect(&run, 64);
        assert!(run.stderr.contains("wanted"), "{run}");
    }
    let run = lab.natwatch(&["resume"]).unwrap();
    expect(&run, 0);
    assert!(run.stdout.contains("nothing was paused"), "{run}");
}

#[test]
fn f001_an_isolated_standby_accuses_nobody() {
    let lab = seasoned();
    lab.inject(&Fault::UplinkDead(Nat::Standby)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 3);
    assert_eq!(json(&run)["outcome"], "isolated", "{run}");
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f017_f019_when_no_target_answers_anybody_nothing_moves() {
    let lab = seasoned();
    lab.inject(&Fault::AllTargetsDead).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 3);
    assert_eq!(json(&run)["outcome"], "isolated", "{run}");
}

#[test]
fn f015_one_dead_target_of_three_is_no_evidence_in_twenty_runs() {
    let lab = seasoned();
    lab.inject(&Fault::TargetDead(1)).unwrap();
    for n in 0..20 {
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        assert_eq!(run.status, Some(0), "run {n}: {run}");
    }
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f016_a_target_that_shuns_the_primary_is_no_evidence() {
    let lab = seasoned();
    lab.inject(&Fault::TargetShunsPrimary(2)).unwrap();
    for n in 0..10 {
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        assert_eq!(run.status, Some(0), "run {n}: {run}");
    }
}

#[test]
fn f028_dead_backends_are_silent_and_the_others_decide() {
    let lab = seasoned();
    for n in [0, 1] {
        lab.inject(&Fault::BackendDead(n)).unwrap();
    }
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn degraded_a_backend_that_is_cut_off_among_many_that_reach() {
    let lab = seasoned();
    // Its own packets are dropped on the way to the internet, as by a network ACL of its own.
    lab.program("b3", "/usr/sbin/nft", &["add table inet lab; add chain inet lab out { type filter hook output priority 0; }; add rule inet lab out ip daddr 203.0.113.0/24 drop"])
        .run()
        .map(|run| expect(&run, 0))
        .unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 1);
    assert_eq!(json(&run)["outcome"], "degraded", "{run}");
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f009_a_standby_that_does_not_forward_holds_and_says_how_to_mend_it() {
    let lab = seasoned();
    lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 2);
    for word in ["unfit", "sysctl -w net.ipv4.ip_forward=1", "replace-route-table-association"] {
        assert!(run.stdout.contains(word), "{word}: {run}");
    }
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f009_f054_a_standby_that_could_not_take_over_is_no_redundancy_while_all_is_well() {
    let lab = seasoned();
    lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    lab.api().forget_calls();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 1);
    for word in ["no-redundancy", "could not take over: this instance does not forward", "sysctl -w"] {
        assert!(run.stdout.contains(word), "{word}: {run}");
    }
    let said = json(&lab.natwatch(&["run", "--format", "json"]).unwrap());
    assert_eq!((&said["outcome"], &said["gate"]), (&"no-redundancy".into(), &"unfit".into()), "{said}");
    let check = lab.natwatch(&["check"]).unwrap();
    expect(&check, 1);
    assert!(check.stdout.contains("could not take over"), "{check}");
    assert!(lab.api().calls().is_empty(), "by what the machine shows: {:?}", lab.api().calls());
    lab.heal_all().unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);

    // What EC2 shows is known by the hourly refresh, and remembered until the next.
    let (table, default) = (lab.ids().standby.table.clone(), ("DestinationCidrBlock", "0.0.0.0/0"));
    let leads_to = |instance: &str| {
        lab.ec2("ReplaceRoute", &[("RouteTableId", table.as_str()), default, ("InstanceId", instance)]).unwrap();
    };
    leads_to(&lab.ids().primary.instance);
    let guarded = lab.plan().state().join("natwatch/guarded.json");
    fs::remove_file(&guarded).unwrap();
    for _ in 0..2 {
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, 1);
        let said = json(&run);
        assert_eq!((&said["outcome"], &said["gate"]), (&"no-redundancy".into(), &"unfit".into()), "{said}");
        assert!(said["because"].as_str().unwrap().contains("not to this instance"), "{said}");
    }
    // Who mends it need not wait for an hour.
    leads_to(&lab.ids().standby.instance);
    let mut seen: serde_json::Value = serde_json::from_slice(&fs::read(&guarded).unwrap()).unwrap();
    let at: jiff::Timestamp = seen["seen"].as_str().unwrap().parse().unwrap();
    seen["seen"] = (at - jiff::SignedDuration::from_mins(1)).to_string().into();
    fs::write(&guarded, seen.to_string()).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
}

#[test]
fn f008_f009_a_standby_at_which_ec2_would_drop_everything_is_no_redundancy_while_all_is_well() {
    let lab = seasoned();
    lab.configure(&[("takeover.disable_source_dest_check", "false")]).unwrap();
    let guarded = lab.plan().state().join("natwatch/guarded.json");
    let seen_ago = |minutes: i64| {
        let mut seen: serde_json::Value = serde_json::from_slice(&fs::read(&guarded).unwrap()).unwrap();
        seen["seen"] = (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes)).to_string().into();
        fs::write(&guarded, seen.to_string()).unwrap();
        lab.api().forget_calls();
    };
    let asked = || {
        let mut actions: Vec<String> = lab.api().calls().into_iter().map(|call| call.action).collect();
        actions.sort();
        actions
    };
    let held = |run: &Run| {
        expect(run, 1);
        let said = json(run);
        assert_eq!((&said["outcome"], &said["gate"]), (&"no-redundancy".into(), &"unfit".into()), "{said}");
        let hold = said["holds"][0].to_string();
        assert!(hold.contains("source/destination check") && hold.contains("--no-source-dest-check"), "{said}");
    };
    lab.inject(&Fault::SourceDestCheckOn(Nat::Standby)).unwrap();
    seen_ago(59);
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    assert_eq!(asked(), [""; 0], "between two refreshes nobody asks");
    seen_ago(60);
    held(&lab.natwatch(&["run", "--format", "json"]).unwrap());
    let refresh = ["DescribeInstances", "DescribeInstances", "DescribeRouteTables", "DescribeSubnets"];
    assert_eq!(asked(), refresh, "one call more than for the guarded subnets");
    lab.api().forget_calls();
    held(&lab.natwatch(&["run", "--format", "json"]).unwrap());
    assert!(lab.natwatch(&["check"]).unwrap().stdout.contains("source/destination check"));
    assert_eq!(asked(), [""; 0], "what was seen is remembered");
    // What was seen an hour ago, and could not be read since, holds nothing.
    seen_ago(61);
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("DescribeRouteTables").times(1));
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 0);
    assert!(run.stdout.contains("could not be refreshed"), "{run}");
    held(&lab.natwatch(&["run", "--format", "json"]).unwrap());
    // Who mends it need not wait for an hour.
    lab.heal(&Fault::SourceDestCheckOn(Nat::Standby)).unwrap();
    seen_ago(1);
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    assert_eq!(asked(), refresh);
}

#[test]
fn f008_the_source_destination_check_is_switched_off_before_the_moves() {
    let lab = seasoned();
    lab.inject(&Fault::SourceDestCheckOn(Nat::Standby)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 4);
    let calls: Vec<String> = lab.api().mutations().into_iter().map(|call| call.action).collect();
    assert_eq!(calls[0], "ModifyNetworkInterfaceAttribute", "{calls:?}");
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
}

#[test]
fn f010_f083_a_takeover_that_does_not_help_is_unverified_and_nothing_is_moved_again() {
    let lab = seasoned();
    lab.configure(&[("decision.run_span", "\"200ms\""), ("takeover.verify_for", "\"2s\"")]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert_eq!(json(&run)["outcome"], "unverified", "{run}");
    assert!(json(&run)["commands"].as_array().unwrap().len() == 2, "{run}");
    carried_by(&lab, Nat::Standby);
    // Moved once, and not again.
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert_eq!(json(&run)["gate"], "locked", "{run}");
    assert_eq!(lab.api().mutations().len(), 2, "{run}");
}

#[test]
fn f084_when_both_nats_are_dead_nothing_is_moved() {
    let lab = seasoned();
    lab.inject(&Fault::Crash(Nat::Primary)).unwrap();
    lab.inject(&Fault::UplinkDead(Nat::Standby)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 3);
    assert_eq!(json(&run)["outcome"], "isolated", "{run}");
    lab.heal(&Fault::UplinkDead(Nat::Standby)).unwrap();
    lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert_eq!(json(&run)["gate"], "unfit", "{run}");
    assert!(lab.api().mutations().is_empty());
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f079_a_primary_that_was_stopped_is_taken_over() {
    taken_over(&Fault::Stopped(Nat::Primary));
}

/// As on a Debian whose initramfs has mounted it: this test binary runs one of its tests again, where everybody's `/run` is so.
#[test]
fn the_lab_works_where_nothing_in_run_may_be_run() {
    let test = "f079_a_primary_that_was_stopped_is_taken_over";
    let mounts = "mkdir -p /etc/netns && mount -t tmpfs -o mode=0755 etc /etc/netns && mount -t tmpfs -o mode=0755,nosuid,nodev,noexec run /run";
    let script = format!("{mounts} && exec \"$0\" --exact {test} --test-threads 1");
    let again = std::env::current_exe().unwrap();
    let run = std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]).arg(again).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("test result: ok. 1 passed"), "{run:?}");
}

#[test]
fn f103_a_primary_that_was_launched_just_now_is_given_its_time() {
    let lab = seasoned();
    let primary = format!("\"{}\"", lab.ids().primary.instance);
    let quick = [("primary.instance", primary.as_str()), ("decision.run_span", "\"200ms\"")];
    lab.configure(&[quick[0], quick[1], ("decision.min_uptime", "\"2m\"")]).unwrap();
    lab.inject(&Fault::Crash(Nat::Primary)).unwrap();
    // The lab's instances were launched seconds ago; the standby has been up for longer.
    let run = lab.command(&["run", "--format", "json"]).up_for(Duration::from_hours(24)).run().unwrap();
    expect(&run, 3);
    assert_eq!(json(&run)["gate"], "booting", "{run}");
    assert!(json(&run)["holds"][0]["why"].as_str().unwrap().contains(&lab.ids().primary.instance), "{run}");
    carried_by(&lab, Nat::Primary);
    lab.configure(&[quick[0], quick[1], ("decision.min_uptime", "\"1s\"")]).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f003_a_standby_that_leaves_through_the_primary_says_so() {
    let lab = seasoned();
    let (subnet, table) = (lab.ids().public_subnet.clone(), lab.ids().primary.table.clone());
    let tables = lab
        .ec2("DescribeRouteTables", &[("Filter.1.Name", "association.subnet-id"), ("Filter.1.Value.1", &subnet)])
        .unwrap();
    let association = tables.split("<item>").find(|one| one.contains(&subnet)).unwrap();
    let id = association.split_once("<routeTableAssociationId>").and_then(|(_, rest)| rest.split_once('<')).unwrap().0;
    lab.ec2("ReplaceRouteTableAssociation", &[("AssociationId", id), ("RouteTableId", &table)]).unwrap();
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    expect(&status, 0);
    let holds = json(&status)["holds"].as_array().unwrap().clone();
    let found = holds.iter().find(|hold| hold["gate"] == "unfit").unwrap_or_else(|| panic!("{status}"));
    assert!(found["why"].as_str().unwrap().contains("its pings leave through the primary"), "{status}");
}

#[test]
fn f051_what_could_not_be_moved_is_finished_by_the_next_run() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Deny).on("ReplaceRouteTableAssociation").after(1).times(1));
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert_eq!(json(&run)["outcome"], "partial", "{run}");
    assert_eq!(json(&lab.natwatch(&["status", "--format", "json"]).unwrap())["phase"], "partial");
    // The moved subnet reaches again, and clears nobody: only those who are still behind the primary are asked about it.
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    let status = json(&lab.natwatch(&["status", "--format", "json"]).unwrap());
    assert_eq!(status["phase"], "taken", "{status}");
    assert_eq!(lab.api().mutations().iter().filter(|call| call.outcome == natwatch_lab::Outcome::Done).count(), 2);
    expect(&lab.natwatch(&["run"]).unwrap(), 5);
}

#[test]
fn f045_backends_behind_the_standby_accuse_and_clear_nobody() {
    let lab = seasoned();
    // An operator has moved a subnet; natwatch saw it at home less than an hour ago.
    lab.associate(0, &lab.ids().standby.table).unwrap();
    for n in [1, 3] {
        lab.inject(&Fault::SshdDead(n)).unwrap();
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    for status in [2, 3] {
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, status);
        assert!(lab.api().mutations().is_empty(), "{run}");
    }
}

#[test]
fn f045_backends_with_a_public_address_are_not_asked() {
    let lab = raise();
    for backend in [0, 2] {
        let address = lab.ec2("AllocateAddress", &[("Domain", "vpc")]).unwrap();
        let id = address.split_once("<allocationId>").and_then(|(_, rest)| rest.split_once('<')).unwrap().0.to_owned();
        let instance = lab.ids().backends[backend].clone();
        lab.ec2("AssociateAddress", &[("AllocationId", &id), ("InstanceId", &instance)]).unwrap();
    }
    // The first run learns from EC2 what is guarded, after its verdict.
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 0);
    let hosts: Vec<String> = json(&run)["rounds"][0]["backends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["host"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(hosts.len(), 4, "{run}");
    assert!(!hosts.contains(&"b0".to_owned()) && !hosts.contains(&"b2".to_owned()), "{run}");
}

#[test]
fn f068_a_lock_is_not_cleared_by_what_was_seen_before() {
    let lab = seasoned();
    let guarded = lab.plan().state().join("natwatch/guarded.json");
    let before = std::fs::read(&guarded).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    // What a kill right after the moves leaves: a record that knows of none, and the guarded subnets as seen before.
    let record = lab.plan().state().join("natwatch/takeover.json");
    let mut taking: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    taking["phase"] = "taking".into();
    for one in taking["moves"].as_array_mut().unwrap() {
        one["result"] = "pending".into();
        one["verification"] = "pending".into();
    }
    std::fs::write(&record, taking.to_string()).unwrap();
    std::fs::write(&guarded, before).unwrap();

    let down = "api-500 DescribeRouteTables".parse::<Fault>().unwrap();
    lab.inject(&down).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert_eq!(json(&run)["outcome"], "partial", "{run}");
    assert!(record.exists(), "{run}");
    lab.heal(&down).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 5);
    let status = json(&lab.natwatch(&["status", "--format", "json"]).unwrap());
    assert_eq!((&status["phase"], status["locked"].as_bool()), (&"taken".into(), Some(true)), "{status}");
}

#[test]
fn f049_a_lost_reply_is_found_to_have_been_a_move() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Lost).on("ReplaceRouteTableAssociation").times(1));
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    assert_eq!(lab.api().mutations().len(), 2, "moved once each");
}

#[test]
fn f048_f046_errors_and_throttling_are_outlasted() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Error500).on("ReplaceRouteTableAssociation").times(2));
    lab.api().arm(ApiFault::new(ApiFaultKind::Throttle).on("ReplaceRouteTableAssociation").times(2));
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f061_a_control_plane_that_is_down_is_said_with_the_commands_to_type() {
    let lab = seasoned();
    lab.configure(&[
        ("decision.run_span", "\"200ms\""),
        ("backends.login_timeout", "\"3s\""),
        ("takeover.verify_for", "\"2s\""),
        ("decision.deadline", "\"14s\""),
    ])
    .unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.inject(&Fault::ApiDown).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 2);
    assert!(run.stdout.contains("aws ec2 describe-route-tables"), "{run}");
    lab.heal(&Fault::ApiDown).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
}

#[test]
fn f068_a_takeover_killed_between_its_moves_ends_as_if_it_had_not_been() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // One move is done, the other hangs: killed at that instant.
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").after(1).times(1));
    let run = lab.command(&["run", "-v"]).spawn().unwrap();
    run.wait_output("moved after", FLOWS_WITHIN).unwrap();
    run.kill(natwatch_lab::Signal::KILL).unwrap();
    run.wait(FLOWS_WITHIN).unwrap();
    lab.api().disarm(None);
    assert_eq!(json(&lab.natwatch(&["status", "--format", "json"]).unwrap())["phase"], "taking");
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    let status = json(&lab.natwatch(&["status", "--format", "json"]).unwrap());
    assert_eq!(status["phase"], "taken", "{status}");
    let record = std::fs::read(lab.plan().state().join("natwatch/takeover.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(
        record["moves"].as_array().unwrap().len(),
        2,
        "what was moved before the kill is on record too: {record}"
    );
}

#[test]
fn f067_a_run_beside_one_that_moves_is_busy_and_silent() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").times(1));
    let first = lab.command(&["run", "-v"]).spawn().unwrap();
    first.wait_output("moved after", FLOWS_WITHIN).unwrap();
    let second = lab.natwatch(&["run"]).unwrap();
    expect(&second, 75);
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("", ""));
    let first = first.wait(Duration::from_mins(1)).unwrap();
    expect(&first, 4);
}

#[test]
fn f090_a_signal_in_a_takeover_lets_it_end_and_be_recorded() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").after(1).times(1));
    let run = lab.command(&["run", "-v"]).spawn().unwrap();
    run.wait_output("moved after", FLOWS_WITHIN).unwrap();
    run.kill(natwatch_lab::Signal::TERM).unwrap();
    let run = run.wait(FLOWS_WITHIN).unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
    assert_eq!(json(&lab.natwatch(&["status", "--format", "json"]).unwrap())["phase"], "taken");
}

#[test]
fn f090_a_signal_before_any_move_ends_the_run_and_leaves_nothing_behind() {
    let lab = seasoned();
    lab.configure(&[("backends.panel", "0"), ("decision.run_span", "\"20s\"")]).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    for (signal, status) in [(natwatch_lab::Signal::INT, 130), (natwatch_lab::Signal::TERM, 143)] {
        let run = lab.command(&["run", "-v"]).spawn().unwrap();
        let sockets = format!("natwatch-{}-", run.pid());
        run.wait_output("looking again", FLOWS_WITHIN).unwrap();
        run.kill(signal).unwrap();
        expect(&run.wait(FLOWS_WITHIN).unwrap(), status);
        let left = std::fs::read_dir(std::env::temp_dir()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(&sockets)));
        let until = std::time::Instant::now() + Duration::from_secs(1);
        while !ssh_processes(&lab).is_empty() {
            assert!(std::time::Instant::now() < until, "left behind: {:?}", ssh_processes(&lab));
            // A look takes two processors as much as what it waits for.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(lab.api().mutations().is_empty());
    carried_by(&lab, Nat::Primary);
}

#[test]
fn f012_subnets_on_the_standby_without_a_lock_are_no_redundancy() {
    let lab = seasoned();
    for subnet in 0..2 {
        lab.associate(subnet, &lab.ids().standby.table).unwrap();
    }
    // The next refresh finds out; the saved set is made old instead of waiting for an hour.
    let path = lab.plan().state().join("natwatch/guarded.json");
    let mut saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    saved["seen"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&path, saved.to_string()).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 1);
    assert_eq!(json(&run)["outcome"], "no-redundancy", "{run}");
}

#[test]
fn f059_a_copied_configuration_is_refused() {
    let lab = raise();
    lab.configure(&[("standby.instance", "\"i-0123456789abcdef0\"")]).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 78);
    assert!(run.stderr.contains(&lab.ids().standby.instance), "{run}");
}

#[test]
fn f058_pinned_ids_work_without_the_metadata_service() {
    let lab = seasoned();
    let pinned = format!("\"{}\"", lab.ids().standby.instance);
    lab.configure(&[("decision.run_span", "\"200ms\""), ("standby.instance", &pinned)]).unwrap();
    lab.inject(&Fault::ImdsDown).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // The role's credentials come from there too, so these are the environment's.
    let run =
        lab.command(&["run"]).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").run().unwrap();
    expect(&run, 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f104_a_table_that_does_not_exist_is_never_a_silent_zero() {
    let lab = raise();
    lab.configure(&[("primary.route_table", "\"rtb-0123456789abcdef0\"")]).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 2);
    assert!(run.stdout.contains("rtb-0123456789abcdef0"), "{run}");
    assert!(run.stdout.contains("does not exist"), "{run}");
}

#[test]
fn f025_a_key_that_nobody_accepts_is_unheard_and_named() {
    let lab = seasoned();
    for n in 0..6 {
        lab.inject(&Fault::SshdRefusesKey(n)).unwrap();
    }
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 3);
    assert!(run.stdout.contains("user natwatch"), "{run}");
    assert!(run.stdout.contains("id_ed25519"), "{run}");
}

#[test]
fn f026_a_changed_host_key_is_never_accepted() {
    let lab = seasoned();
    lab.inject(&Fault::SshdNewHostKey(4)).unwrap();
    for policy in ["\"strict\"", "\"accept-new\""] {
        // Three backends and a threshold of three: without b4's word nothing is settled, so it is waited for.
        lab.configure(&[("backends.match", "\"^b[024]$\""), ("backends.host_keys", policy)]).unwrap();
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, 3);
        silent_for(&run, "b4", "host-key-changed");
    }
}

#[test]
fn f027_an_unknown_host_key_is_silent_under_strict_with_the_command_that_learns_it() {
    let lab = seasoned();
    std::fs::write(lab.plan().known_hosts(), "").unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 3);
    assert!(run.stdout.contains("ssh-keyscan"), "{run}");
}

#[test]
fn f032_f102_backends_that_hang_hold_nobody_up() {
    let lab = seasoned();
    lab.inject(&Fault::SshdHang(0)).unwrap();
    lab.inject(&Fault::SshdFrozen(3)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    expect(&lab.natwatch(&["run"]).unwrap(), 4);
    carried_by(&lab, Nat::Standby);
}

#[test]
fn f032_no_process_of_ours_outlives_a_run() {
    let lab = seasoned();
    lab.inject(&Fault::BackendDead(0)).unwrap();
    lab.inject(&Fault::SshdFrozen(1)).unwrap();
    lab.inject(&Fault::SlowLogin(2, 2)).unwrap();
    for _ in 0..5 {
        let run = lab.natwatch(&["run"]).unwrap();
        expect(&run, 0);
        // Ended with a signal just before the run ended: gone in milliseconds, long before any timeout of its own.
        let until = std::time::Instant::now() + Duration::from_secs(1);
        while !ssh_processes(&lab).is_empty() {
            assert!(std::time::Instant::now() < until, "left behind: {:?}", ssh_processes(&lab));
            // A look takes two processors as much as what it waits for.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn f071_f072_a_record_that_cannot_be_used_holds_as_locked() {
    let lab = seasoned();
    let record = lab.plan().state().join("natwatch/takeover.json");
    for (content, word) in [("{ torn", "reset --force"), ("{\"version\": 99}", "newer")] {
        std::fs::write(&record, content).unwrap();
        std::os::unix::fs::chown(&record, Some(natwatch_lab::UID), Some(natwatch_lab::UID)).unwrap();
        let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
        expect(&run, 2);
        assert_eq!(json(&run)["gate"], "locked", "{run}");
        assert!(run.stdout.contains(word), "{run}");
        assert_eq!(std::fs::read_to_string(&record).unwrap(), content, "left as it was");
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 2);
    assert!(lab.api().mutations().is_empty(), "{run}");
}

#[test]
fn f070_a_state_folder_that_cannot_be_written_holds_no_takeover_up() {
    let lab = seasoned();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // A file system without room for one more byte, with what natwatch knows already on it.
    let folder = lab.plan().state().join("natwatch");
    let kept: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let folder = folder.to_str().unwrap().to_owned();
    let script = kept.iter().fold(
        format!("mount -t tmpfs -o size=64k,mode=0750,uid={0},gid={0} tmpfs {folder}\n", natwatch_lab::UID),
        |script, (path, content)| {
            let name = path.to_str().unwrap();
            let text = String::from_utf8_lossy(content).replace('\'', "'\\''");
            if name.ends_with("guarded.json") || name.ends_with("witnesses.json") {
                format!("{script}printf '%s' '{text}' > {name}\n")
            } else {
                script
            }
        },
    );
    // `ip netns exec` gives each command mounts of its own, so all that must see this one runs in one shell.
    let natwatch = format!(
        "setpriv --reuid {0} --regid {0} --clear-groups --inh-caps=+net_raw --ambient-caps=+net_raw {1} run",
        natwatch_lab::UID,
        lab.plan().binary().display()
    );
    let script = format!(
        "set -e\n{script}chown -R {0}:{0} {folder}\n(dd if=/dev/zero of={folder}/full bs=1k || true) 2>/dev/null\n\
         set +e\n{natwatch}; echo first=$?\n{natwatch}; echo second=$?",
        natwatch_lab::UID
    );
    let shell = lab.program("nat2", "/bin/sh", &["-c", &script]);
    let endpoint = lab.plan().endpoint();
    let run = shell
        .env("NATWATCH_CONFIG", lab.plan().config().to_str().unwrap())
        .env("AWS_ENDPOINT_URL_EC2", &endpoint)
        .env("AWS_CA_BUNDLE", lab.plan().ca().to_str().unwrap())
        .run()
        .unwrap();
    assert!(run.stdout.contains("NOT ON RECORD") && run.stdout.contains("first=4"), "{run}");
    // Traffic flows, and nothing can be remembered of it: that must not look like a healthy standby.
    assert!(run.stdout.contains("no-redundancy") && run.stdout.contains("second=1"), "{run}");
    carried_by(&lab, Nat::Standby);
}

#[test]
fn a_user_who_may_not_ping_is_told_how() {
    let lab = seasoned();
    let run = lab.command(&["run"]).as_user().run().unwrap();
    expect(&run, 3);
    assert!(run.stdout.contains("ping_group_range"), "{run}");
}

#[test]
fn f040_a_key_that_others_can_read_is_refused_with_the_remedy() {
    let lab = seasoned();
    let key = lab.plan().identity();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 78);
    assert!(run.stderr.contains("chmod 600"), "{run}");
}

#[test]
fn f038_hostile_hosts_and_targets_are_refused_with_file_and_line() {
    let lab = raise();
    for (key, value) in
        [("backends.hosts", "[\"-oProxyCommand=id\"]"), ("targets.hosts", "[\"-f\", \"8.8.8.8; reboot\", \"$(id)\"]")]
    {
        let path = lab.configure(&[(key, value)]).unwrap();
        let run = lab.natwatch(&["run"]).unwrap();
        expect(&run, 78);
        assert!(run.stderr.contains(&format!("{}:", path.display())), "{run}");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_wrong_command_line_is_64_and_help_is_0() {
    let lab = raise();
    expect(&lab.natwatch(&["run", "--frobnicate"]).unwrap(), 64);
    expect(&lab.natwatch(&[]).unwrap(), 64);
    expect(&lab.natwatch(&["--help"]).unwrap(), 0);
    lab.configure(&[("decision.threshold", "0"), ("decision.rounds", "99")]).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 78);
    assert_eq!(json(&run)["errors"].as_array().unwrap().len(), 2, "{run}");
    expect(&lab.command(&["run"]).config(&std::path::PathBuf::from("/nonexistent/natwatch.toml")).run().unwrap(), 78);
}

#[test]
fn f024_f036_f106_backends_with_odd_shells_and_pings_are_heard_or_silent_for_what_they_are() {
    let lab = seasoned();
    lab.inject(&Fault::BusyboxPing(0)).unwrap();
    lab.inject(&Fault::NoPing(1)).unwrap();
    lab.inject(&Fault::NoisyShell(2)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 4);
    let report = json(&run);
    let last = report["rounds"].as_array().unwrap().last().unwrap()["backends"].as_array().unwrap().clone();
    for (host, verdicts) in [("b0", ["cut-off", "silent"]), ("b1", ["silent", "silent"]), ("b2", ["cut-off", "silent"])]
    {
        let one = last.iter().find(|one| one["host"] == host);
        if let Some(one) = one {
            assert!(verdicts.contains(&one["verdict"].as_str().unwrap()), "{host}: {run}");
        }
    }
}
