//! `natwatch watch` in the lab: as a service that systemd has started, with a socket in systemd's place. Needs root; `make test` runs
//! it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;
#[path = "support/systemd.rs"]
mod systemd;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use natwatch_lab::testing::{FLOWS_WITHIN, carried_by, expect, json, ssh_processes};
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Outcome, Signal};

use support::seasoned;
use systemd::{SOON, Systemd};

/// A lab whose backends are witnesses, watched by natwatch with `args` and these keys; it is ready.
fn watched(keys: &[(&str, &str)], args: &[&str]) -> (Lab, Systemd) {
    let lab = seasoned();
    lab.configure(keys).unwrap();
    lab.api().forget_calls();
    let systemd = Systemd::start(&lab, args);
    systemd.waits_for("READY=1");
    (lab, systemd)
}

/// The last round is one in which the primary was well.
fn healthy(systemd: &Systemd) {
    systemd.waits_for(" healthy: ");
}

#[test]
fn f077_a_watch_takes_over_by_one_call_a_subnet_and_waits_for_no_other() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    let first_reading: Vec<String> = lab.api().calls().into_iter().map(|call| call.action).collect();
    assert!(first_reading.iter().all(|action| action.starts_with("Describe")), "{first_reading:?}");
    lab.api().forget_calls();
    let since = lab.traffic().mark();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    assert!(lab.traffic().outage_since(since) < FLOWS_WITHIN);
    let calls = lab.api().calls();
    let moves: Vec<_> = calls.iter().filter(|call| call.is_mutating()).collect();
    assert_eq!(moves.len(), 2, "one call a subnet: {calls:?}");
    assert!(moves.iter().all(|call| call.action == "ReplaceRouteTableAssociation"), "{calls:?}");
    // Both at once: the second does not wait for the first, nor either for a description that is under way.
    assert!(moves[1].at < moves[0].at + moves[0].took, "{calls:?}");

    // It stays where it is, whatever the primary does from now on (row 80).
    for _ in 0..2 {
        lab.heal_all().unwrap();
        systemd.waits_for(" locked: ");
        lab.inject(&Fault::Crash(Nat::Primary)).unwrap();
        systemd.waits_for(" locked: ");
    }
    assert_eq!(lab.api().mutations().len(), 2);
    // Who carries the traffic now is watched too.
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    systemd.waits_for(" down, held by gate locked: ");
    assert_eq!(lab.api().mutations().len(), 2);
    let run = systemd.ends();
    assert!(run.stderr.contains("taken-over: ") && run.stderr.matches("taken-over: ").count() == 1, "{run}");
    assert!(!run.stdout.contains("moved"), "events are for the log: {run}");
}

#[test]
fn f094_systemd_is_told_that_a_watch_is_ready_well_alive_and_ending() {
    let lab = seasoned();
    lab.configure(&[]).unwrap();
    let systemd = Systemd::start_with(&lab, &[], &[("WATCHDOG_USEC", "4000000")]);
    systemd.waits_for("READY=1");
    for _ in 0..3 {
        healthy(&systemd);
        systemd.waits_for("WATCHDOG=1");
    }
    // A takeover takes longer than these four seconds, and is not to be killed in the middle.
    assert!(systemd.heard().iter().any(|one| one.text.starts_with("WATCHDOG_USEC=")), "{:?}", systemd.heard());
    // One that does not come round gives none: for more than the interval after which systemd kills it nothing is heard.
    systemd.freezes();
    let frozen = Instant::now();
    let signs_since = |since: Instant| systemd.heard().iter().filter(|one| one.at > since).count();
    while frozen.elapsed() < Duration::from_secs(5) {
        assert_eq!(signs_since(frozen), 0, "{:?}", systemd.heard());
        std::thread::sleep(Duration::from_millis(20));
    }
    let thawed = Instant::now();
    systemd.signal(Signal::CONT);
    while signs_since(thawed) == 0 {
        assert!(thawed.elapsed() < SOON, "{:?}", systemd.heard());
        std::thread::sleep(Duration::from_millis(20));
    }
    healthy(&systemd);
    let run = systemd.ends();
    let heard = systemd.heard();
    assert_eq!(heard.iter().filter(|one| one.text.contains("READY=1")).count(), 1, "{heard:?}");
    assert_eq!(heard.last().unwrap().text, "STOPPING=1\n", "{heard:?}");
    let signs: Vec<Instant> = heard.iter().filter(|one| one.text == "WATCHDOG=1\n").map(|one| one.at).collect();
    assert!(signs.windows(2).all(|two| two[1] - two[0] > Duration::from_millis(900)), "at most each second: {heard:?}");
    assert!(run.stderr.contains("watching by 6 backends and 3 targets, each pinged every 1000 ms"), "{run}");
    assert_eq!(run.stderr.lines().filter(|line| line.contains(" healthy: ")).count(), 1, "{run}");
    assert!(lab.api().mutations().is_empty());
    // They have been told to end.
    let until = Instant::now() + SOON;
    while !ssh_processes(&lab).is_empty() {
        assert!(Instant::now() < until, "ssh goes on");
    }
}

#[test]
fn f009_a_watch_whose_standby_could_not_take_over_says_so_while_all_is_well() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    systemd.waits_for(" no-redundancy, held by gate unfit: ");
    systemd.says("could not take over: this instance does not forward");
    let check = lab.natwatch(&["check"]).unwrap();
    expect(&check, 1);
    assert!(check.stdout.contains("could not take over"), "{check}");
    lab.heal_all().unwrap();
    healthy(&systemd);
    systemd.ends();
    assert!(lab.api().mutations().is_empty());
}

#[test]
fn f075_a_configuration_that_is_changed_is_taken_over_and_one_that_is_broken_is_not() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    // Broken: everything that is wrong is said, and the one before holds.
    lab.configure(&[("decision.threshold", "0"), ("decision.rounds", "99")]).unwrap();
    systemd.signal(Signal::HUP);
    systemd.waits_for("RELOADING=1\nMONOTONIC_USEC=");
    systemd.waits_for("READY=1");
    systemd.waits_for("the configuration on disk is refused (see the log), the one before holds; 2");
    let said = systemd.said();
    for key in ["decision.threshold = 0", "decision.rounds = 99"] {
        assert!(said.lines().any(|line| line.contains("error: ") && line.contains(key)), "{key}: {said}");
    }
    // Another name would be another state: that is another natwatch.
    lab.configure(&[("name", "\"other\"")]).unwrap();
    systemd.signal(Signal::HUP);
    systemd.says("name or state.dir is another");
    assert!(!lab.plan().state().join("other").exists());
    // As it was.
    lab.configure(&[]).unwrap();
    systemd.signal(Signal::HUP);
    systemd.says("it says what it said before");
    // Another one, with sessions of its own.
    let before: BTreeSet<String> = ssh_processes(&lab).into_iter().collect();
    lab.configure(&[("decision.interval", "\"500ms\"")]).unwrap();
    systemd.signal(Signal::HUP);
    // Its first word, and a pass that comes after it.
    systemd.waits_for("each pinged every 500 ms");
    healthy(&systemd);
    let after = || ssh_processes(&lab).into_iter().collect::<BTreeSet<String>>();
    // Those of the watch before have been told to end.
    comes("they are gone", || before.is_disjoint(&after()));
    assert!(!after().is_empty(), "{before:?}");
    // Hosts come and go (autoscaling): nobody has to say so.
    let hosts = lab.plan().hosts_file();
    let listed = fs::read_to_string(&hosts).unwrap();
    let fewer = listed.lines().filter(|line| !line.contains("b5")).collect::<Vec<_>>().join("\n") + "\n";
    assert_ne!(fewer, listed);
    fs::write(&hosts, fewer).unwrap();
    systemd.waits_for("watching by 5 backends");
    healthy(&systemd);
    // And by all that, it is still the same watch, which takes over.
    lab.inject(&Fault::ForwardOff(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    let run = systemd.ends();
    assert_eq!(run.stderr.matches("configuration was read again").count(), 5, "{run}");
}

#[test]
fn a_watch_by_what_ec2_shows_finds_out_that_all_of_it_was_replaced_and_takes_over_by_those_who_came() {
    let lab = seasoned();
    let at_ec2 = |action: &str, backends: [usize; 3]| {
        for n in backends {
            lab.ec2(action, &[("InstanceId.1", &lab.ids().backends[n])]).unwrap();
        }
    };
    at_ec2("StopInstances", [3, 4, 5]);
    lab.configure(&[("backends.hosts_file", ""), ("backends.ec2_subnets", "true")]).unwrap();
    let systemd = Systemd::start(&lab, &[]);
    systemd.says("watching by 3 backends");
    healthy(&systemd);
    at_ec2("StopInstances", [0, 1, 2]);
    at_ec2("StartInstances", [3, 4, 5]);
    for n in 0..3 {
        lab.inject(&Fault::BackendDead(n)).unwrap();
    }
    // Nobody says so, and the hour is long: that hardly anybody is heard does.
    systemd.waits_for(" unheard: ");
    let list = lab.plan().state().join("natwatch/fleet.json");
    let until = Instant::now() + SOON;
    while !fs::read_to_string(&list).unwrap().contains(&lab.ids().backends[3]) {
        assert!(Instant::now() < until, "EC2 is not asked: {}", systemd.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    systemd.says("EC2 shows other backends than before");
    systemd.says("watching by 3 backends");
    for _ in 0..3 {
        healthy(&systemd);
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    let run = systemd.ends();
    // Who comes and goes is no reason to read a file that an operator may have half edited.
    assert_eq!(run.stderr.matches("configuration was read again").count(), 0, "{run}");
}

#[test]
fn f060_a_describe_that_lags_behind_a_takeover_is_not_told_as_redundancy_lost() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    lab.api().arm(ApiFault::new(ApiFaultKind::Stale));
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    let stale = || lab.api().calls().iter().filter(|call| call.outcome == Outcome::Stale).count();
    let until = Instant::now() + SOON;
    while stale() < 2 {
        assert!(Instant::now() < until, "EC2 is not read: {}", systemd.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    // What was read is in the second pass from here at the latest.
    systemd.waits_for(" locked: ");
    systemd.waits_for(" locked: ");
    let heard = systemd.heard();
    assert!(heard.iter().all(|one| !one.text.contains("no-redundancy")), "{heard:#?}");
    lab.api().disarm(None);
    systemd.ends();
}

#[test]
fn f090_a_watch_that_is_told_to_stop_in_a_takeover_brings_it_to_its_end() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").after(1).times(1));
    systemd.waits_for("moved after");
    let run = systemd.ends();
    carried_by(&lab, Nat::Standby);
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    assert_eq!(json(&status)["phase"], "taken", "{status} {run}");
}

#[test]
fn f014_f068_a_watch_that_is_killed_in_a_takeover_is_followed_by_one_that_brings_it_to_its_end() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").after(1).times(1));
    systemd.waits_for("moved after");
    systemd.is_killed();
    lab.api().disarm(None);
    let systemd = Systemd::start(&lab, &[]);
    systemd.waits_for("READY=1");
    systemd.waits_for(" locked: ");
    carried_by(&lab, Nat::Standby);
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    assert_eq!(json(&status)["phase"], "taken", "{status}");
    systemd.ends();
}

#[test]
fn f004_what_was_missed_before_a_watch_was_frozen_is_no_evidence_once_it_is_thawed() {
    let (lab, systemd) = watched(&[("decision.watch_span", "\"4s\"")], &[]);
    healthy(&systemd);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for("; looking again");
    systemd.signal(Signal::STOP);
    lab.traffic().wait_silent(FLOWS_WITHIN).unwrap();
    lab.heal_all().unwrap();
    lab.traffic().wait_flowing(FLOWS_WITHIN).unwrap();
    systemd.signal(Signal::CONT);
    healthy(&systemd);
    healthy(&systemd);
    carried_by(&lab, Nat::Primary);
    assert!(lab.api().mutations().is_empty());
    // It has its eyes open again.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    systemd.ends();
}

#[test]
fn a_second_watch_of_the_same_name_is_refused_and_a_dry_run_is_none() {
    let (lab, systemd) = watched(&[], &[]);
    let second = lab.natwatch(&["watch"]).unwrap();
    expect(&second, 2);
    let first = format!("another natwatch watch (process {}, since ", systemd.pid());
    assert!(second.stderr.contains(&first) && second.stderr.contains("systemctl stop natwatch-watch"), "{second}");
    let dry = lab.command(&["watch", "--dry-run", "--format", "json"]).spawn().unwrap();
    dry.wait_output(" healthy (dry run: nothing was changed): ", SOON).unwrap();
    dry.kill(Signal::INT).unwrap();
    let dry = dry.wait(SOON).unwrap();
    expect(&dry, 0);
    let line = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap_or_else(|_| panic!("{dry}")) };
    let events: Vec<serde_json::Value> = dry.stderr.lines().map(|text| line(text)["event"].clone()).collect();
    assert_eq!(events[..2], ["watching", "healthy"], "{dry}");

    // The standby's own network goes, and comes back: nobody is accused.
    lab.inject(&Fault::UplinkDead(Nat::Standby)).unwrap();
    systemd.waits_for(" isolated: ");
    lab.heal_all().unwrap();
    healthy(&systemd);
    assert!(lab.api().mutations().is_empty());
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    systemd.ends();
}

/// Holds the run lock, as a natwatch that is moving subnets does, until it is killed.
fn mover(lab: &Lab) -> natwatch_lab::Running {
    let lock = lab.plan().state().join("natwatch/run.lock");
    let script = format!(
        r#"printf '{{"pid":1,"began":"2026-03-01T12:00:00Z","deadline":"2999-03-01T12:00:00Z"}}' > {0}; echo held; exec sleep 600"#,
        lock.display()
    );
    let args = ["--no-fork", "-x", lock.to_str().unwrap(), "sh", "-c", &script];
    let mover = lab.program("nat2", "/usr/bin/flock", &args).as_user().spawn().unwrap();
    mover.wait_output("held", SOON).unwrap();
    mover
}

#[test]
fn f067_beside_a_watch_all_other_commands_work_and_wait_for_who_moves() {
    // So long that the watch is the first to act, however busy this machine is.
    let (lab, systemd) = watched(&[("decision.run_span", "\"8s\"")], &[]);
    healthy(&systemd);
    // Told by the watch's own last round: nobody is asked anything.
    lab.api().forget_calls();
    let check = lab.natwatch(&["check"]).unwrap();
    expect(&check, 0);
    let by = format!("; by the watch (process {}) ", systemd.pid());
    assert!(check.stdout.contains(&by), "{check}");
    assert!(lab.api().calls().is_empty());
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    assert_eq!(json(&status)["watch"]["pid"], systemd.pid(), "{status}");
    expect(&lab.natwatch(&["run"]).unwrap(), 0);

    // Whoever moves is waited for beside a watch, and what is seen then is what counts.
    let moves = mover(&lab);
    let waits = lab.command(&["run", "--format", "json"]).spawn().unwrap();
    assert!(waits.wait_output("outcome", Duration::from_secs(2)).is_err());
    moves.kill(Signal::KILL).unwrap();
    let run = waits.wait(SOON).unwrap();
    expect(&run, 0);
    // For ten seconds, and no longer.
    let moves = mover(&lab);
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 75);
    assert!(run.elapsed > Duration::from_secs(9), "{run}");
    moves.kill(Signal::KILL).unwrap();
    moves.wait(SOON).unwrap();

    // A watch that hangs does not vouch for anything.
    systemd.signal(Signal::STOP);
    let path = lab.plan().state().join("natwatch/last-round.json");
    let mut last: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let at: jiff::Timestamp = last["at"].as_str().unwrap().parse().unwrap();
    last["at"] = at.checked_sub(jiff::SignedDuration::from_secs(61)).unwrap().to_string().into();
    fs::write(&path, last.to_string()).unwrap();
    let check = lab.natwatch(&["check"]).unwrap();
    expect(&check, 1);
    assert!(check.stdout.contains(" s ago: does it hang?"), "{check}");
    systemd.signal(Signal::CONT);
    healthy(&systemd);

    // A pause holds the watch too; an outage meanwhile is told, and taken over once the pause has ended.
    expect(&lab.natwatch(&["pause", "--for", "30m", "--reason", "a new kernel"]).unwrap(), 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" down, held by gate paused: ");
    assert!(lab.api().mutations().is_empty());
    let check = lab.natwatch(&["check"]).unwrap();
    expect(&check, 2);
    assert!(check.stdout.contains(&by) && check.stdout.contains("; paused until"), "{check}");
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    // Back again, and guarded again.
    lab.heal_all().unwrap();
    systemd.waits_for(" locked: ");
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    carried_by(&lab, Nat::Primary);
    healthy(&systemd);
    lab.inject(&Fault::ForwardOff(Nat::Primary)).unwrap();
    // A run that has seen the outage too goes by what the watch has made of it since.
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    expect(&run, 5);
    assert_eq!(json(&run)["outcome"], "locked", "{run}");
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    // Planned work needs no evidence, and finds nothing to do.
    lab.heal_all().unwrap();
    systemd.ends();
    // Without a watch, nobody waits for who moves, and a check makes a round of its own.
    let _moves = mover(&lab);
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, 75);
    assert!(run.elapsed < Duration::from_secs(9), "{run}");
    let check = lab.natwatch(&["check"]).unwrap();
    assert!(!check.stdout.contains("by the "), "{check}");
}

#[test]
fn a_state_folder_that_is_gone_is_made_again_and_told_once() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    let folder = lab.plan().state().join("natwatch");
    fs::remove_dir_all(&folder).unwrap();
    systemd.says("was gone, and is made again");
    systemd.says("what is to be kept can be kept again");
    assert!(folder.join("last-round.json").exists());
    // The lock is its own again.
    expect(&lab.natwatch(&["watch"]).unwrap(), 2);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    let run = systemd.ends();
    assert_eq!(run.stderr.matches("was gone").count(), 1, "{run}");
    let status = lab.natwatch(&["status", "--format", "json"]).unwrap();
    assert_eq!(json(&status)["phase"], "taken", "{status}");
}

/// Waits until `seen`.
#[track_caller]
fn comes(what: &str, mut seen: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !seen() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn f032_hosts_whose_commands_hang_are_logged_in_to_again_and_no_ssh_is_left_behind() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    for backend in 0..6 {
        lab.inject(&Fault::SshdHang(backend)).unwrap();
    }
    // Each time that all have hanged, six sessions are given up.
    let (mut seen, mut most) = (BTreeSet::new(), 0);
    comes("logged in again and again", || {
        let now = ssh_processes(&lab);
        most = most.max(now.len());
        seen.extend(now);
        seen.len() >= 30
    });
    // One that ends, beside the one in its place.
    assert!(most <= 12, "{most} at once, of {}", seen.len());
    lab.heal_all().unwrap();
    healthy(&systemd);
    comes("one for each backend", || ssh_processes(&lab).len() == 6);
    systemd.ends();
}

/// How often the last round is written anew until it has been `times`; within [`SOON`].
#[track_caller]
fn last_round_is_kept(lab: &Lab, times: usize) {
    let path = lab.plan().state().join("natwatch/last-round.json");
    let mut seen = BTreeSet::new();
    let until = Instant::now() + SOON;
    while seen.len() <= times {
        assert!(Instant::now() < until, "kept {} times", seen.len());
        seen.insert(fs::metadata(&path).unwrap().modified().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_looks_on_through_a_pipe_sees_the_takeover_and_changes_nothing() {
    let (lab, systemd) = watched(&[], &[]);
    healthy(&systemd);
    let text = lab.command(&["status", "--watch"]).spawn().unwrap();
    let json = lab.command(&["status", "--watch", "--format", "json"]).spawn().unwrap();
    text.wait_output(&format!("(process {})\nhealthy: ", systemd.pid()), SOON).unwrap();
    text.wait_output("  primary\n", SOON).unwrap();
    text.wait_output("answers this standby in ", SOON).unwrap();
    let documents = || -> Vec<serde_json::Value> {
        let text = json.stdout();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    let carried = |by: &str| {
        let carriers = |one: &serde_json::Value| one["active"].as_object().map(|all| all.values().cloned().collect());
        documents().iter().filter_map(carriers).any(|all: Vec<_>| all.len() == 2 && all.iter().all(|one| one == by))
    };
    comes("carried by the primary", || carried("primary"));
    // While nobody looks on, two are a minute.
    last_round_is_kept(&lab, 5);

    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    text.wait_output("\ntaken-over: ", SOON).unwrap();
    text.wait_output("  standby\n", SOON).unwrap();
    text.wait_output("\nlocked (taken) since ", SOON).unwrap();
    comes("carried by the standby", || carried("standby"));
    carried_by(&lab, Nat::Standby);
    assert_eq!(lab.api().mutations().len(), 2, "by the watch");
    let strip = |line: &str| line.strip_prefix("Rounds  ").is_some_and(|signs| signs.contains("DT"));
    assert!(text.stdout().lines().any(strip), "{}", text.stdout());

    // The watch ends, and that is seen.
    systemd.ends();
    text.wait_output("  no watch is at work\n", SOON).unwrap();
    for (view, signal) in [(text, Signal::TERM), (json, Signal::INT)] {
        view.kill(signal).unwrap();
        let run = view.wait(SOON).unwrap();
        expect(&run, 0);
        assert!(!run.stdout.contains('\x1b'), "{run}");
    }
}

#[test]
fn f088_a_view_ends_when_nobody_reads_it_and_is_ended_although_nobody_reads_on() {
    let lab = seasoned();
    let binary = lab.plan().binary();
    let shell = |script: &str| {
        let script = script.replace("VIEW", &format!("{} status --watch", binary.display()));
        let shell = lab.program("nat2", "/bin/bash", &["-c", &script]).as_user();
        shell.config(&lab.plan().config()).env("AWS_ENDPOINT_URL_EC2", &lab.plan().endpoint())
    };
    // Nothing is new after the first sight, and so nothing is written that could fail.
    let gone = shell("VIEW | head -n 1; echo ended ${PIPESTATUS[0]}").run().unwrap();
    assert!(gone.stdout.contains("no watch is at work") && gone.stdout.ends_with("\nended 0\n"), "{gone}");
    // A reader that holds still: the pipe is full before we come to it.
    let held = "exec 3> >(exec sleep 600); reader=$!; head -c 65536 /dev/zero >&3; VIEW >&3 & echo pid $!; wait $!; echo ended $?; kill $reader";
    let held = shell(held).spawn().unwrap();
    held.wait_output("pid ", SOON).unwrap();
    let pid = held.stdout().trim().strip_prefix("pid ").unwrap().parse().unwrap();
    // It waits in write(2), as its thread tells.
    let tasks = format!("/proc/{pid}/task");
    comes("it writes", || {
        let tasks = fs::read_dir(&tasks).into_iter().flatten().flatten();
        tasks.filter_map(|task| fs::read_to_string(task.path().join("wchan")).ok()).any(|place| place.contains("pipe"))
    });
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let held = held.wait(SOON).unwrap();
    assert!(held.stdout.ends_with("\nended 0\n"), "{held}");
}

/// The natwatch below the process `pid`, which is itself.
fn natwatch_below(pid: i32) -> Option<i32> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    if line.split(|byte| *byte == 0).next()?.ends_with(b"/natwatch") {
        return Some(pid);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find_map(natwatch_below)
}

#[test]
fn f095_a_terminal_is_as_it_was_after_a_view_however_it_is_left() {
    const ENTER: &str = "\x1b[?1049h\x1b[?25l";
    const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
    let lab = seasoned();
    for signal in [Signal::INT, Signal::TERM] {
        let view =
            lab.command(&["status", "--watch"]).tty().env("TERM", "xterm").env("LANG", "C.UTF-8").spawn().unwrap();
        view.wait_output("  \x1b[32mprimary\x1b[0m", SOON).unwrap();
        let frame = view.stdout();
        assert!(frame.starts_with(ENTER) && frame.contains("\x1b[32mhealthy\x1b[0m: "), "{frame:?}");
        for frame in frame.split("\x1b[H").skip(1) {
            assert!(frame.matches("\r\n").count() < 24, "{frame:?}");
        }
        let pid = natwatch_below(view.pid()).unwrap();
        let tell =
            |signal| rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
        // Ctrl-Z, and fg.
        tell(Signal::TSTP);
        let stopped = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ");
        comes("stopped", stopped);
        tell(Signal::CONT);
        view.kill(Signal::CONT).unwrap();
        comes("shown again", || view.stdout().matches(ENTER).count() == 2);
        assert_eq!(view.stdout().matches(LEAVE).count(), 1, "{:?}", view.stdout());
        tell(signal);
        let run = view.wait(SOON).unwrap();
        expect(&run, 0);
        assert!(run.stdout.ends_with(LEAVE), "{:?}", run.stdout);
        assert_eq!(run.stdout.matches(LEAVE).count(), 2, "{:?}", run.stdout);
    }
    // One that can't be written to at any place gets lines.
    let view = lab.command(&["status", "--watch"]).tty().env("TERM", "dumb").spawn().unwrap();
    view.wait_output("  primary", SOON).unwrap();
    assert!(!view.stdout().contains('\x1b'), "{:?}", view.stdout());
    let pid = rustix::process::Pid::from_raw(natwatch_below(view.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    expect(&view.wait(SOON).unwrap(), 0);
}
