//! Hooks and metrics in the lab: who is told of what, and that nobody who moves subnets waits for it. Needs root; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;
#[path = "support/systemd.rs"]
#[expect(dead_code, reason = "a watch is looked at more closely elsewhere")]
mod systemd;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use natwatch_lab::testing::{carried_by, expect, json};
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Run, Signal, UID};
use serde_json::Value;

use support::seasoned;
use systemd::{SOON, Systemd};

/// Evidence for a takeover within a test's patience.
const QUICK: [(&str, &str); 3] =
    [("decision.run_span", "\"200ms\""), ("backends.panel", "0"), ("takeover.verify_for", "\"5s\"")];

/// A hook that notes each call, and what it does then.
struct Hook {
    path: PathBuf,
    calls: PathBuf,
}

impl Hook {
    /// One for this lab; see [`Self::does`].
    fn new(lab: &Lab) -> Self {
        let folder = lab.plan().root.join("hook");
        let calls = folder.join("calls");
        fs::create_dir_all(&calls).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        chown(&calls, Some(UID), Some(UID)).unwrap();
        let hook = Self { path: folder.join("hook"), calls };
        hook.does("exit 0");
        hook
    }

    /// What it does when it has noted the call; `$calls` is a folder that it may write.
    fn does(&self, script: &str) {
        let text = format!(
            "#!/bin/sh\ncalls={calls}\nfile=$(mktemp $calls/XXXXXXXX.new)\n{{ echo \"$# $1 $2\"; cat; }} > $file\n\
             mv $file ${{file%.new}}.call\n{script}\n",
            calls = self.calls.display()
        );
        // Another file each time: one that is being run can't be written.
        let new = self.path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &self.path).unwrap();
    }

    fn keys(&self) -> [(&'static str, String); 2] {
        [("notify.command", format!("[{:?}]", self.path.to_str().unwrap())), ("notify.timeout", "\"20s\"".to_owned())]
    }

    /// Each call's arguments and document, by the events' ids; the number of calls with each.
    fn calls(&self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.calls).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|extension| extension == "call") {
                let text = fs::read_to_string(entry).unwrap();
                let (args, document) = text.split_once('\n').unwrap();
                all.push((args.to_owned(), serde_json::from_str::<Value>(document).unwrap()));
            }
        }
        all.sort_by_key(|(_, document)| document["id"].as_str().unwrap().to_owned());
        all
    }

    /// The events that it was called with, in their order.
    fn events(&self) -> Vec<String> {
        self.calls().iter().map(|(_, document)| document["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until it was called so often.
    #[track_caller]
    fn waits_for(&self, calls: usize) {
        until(|| self.calls().len() >= calls, || format!("{:?}", self.events()));
    }
}

#[track_caller]
fn until(done: impl Fn() -> bool, what: impl Fn() -> String) {
    let limit = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < limit, "{}", what());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Writes the configuration with these keys besides.
fn configure(lab: &Lab, more: &[(&str, String)]) {
    let all: Vec<(&str, &str)> =
        QUICK.iter().copied().chain(more.iter().map(|(key, value)| (*key, value.as_str()))).collect();
    lab.configure(&all).unwrap();
}

fn hooked() -> (Lab, Hook) {
    let lab = seasoned();
    let hook = Hook::new(&lab);
    configure(&lab, &hook.keys());
    (lab, hook)
}

fn run(lab: &Lab, status: i32) -> Run {
    let run = lab.natwatch(&["run"]).unwrap();
    expect(&run, status);
    run
}

/// What waits for the hook.
fn waiting(lab: &Lab) -> Vec<PathBuf> {
    let folder = lab.plan().state().join("natwatch/events");
    let mut all: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    all.sort();
    all
}

/// Whether this process is there, and no zombie.
fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn every_change_of_state_is_told_once_from_outage_to_repair() {
    let (lab, hook) = hooked();
    run(&lab, 0);
    assert_eq!(hook.events(), [""; 0], "that all is well from the beginning is no event");
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    run(&lab, 4);
    run(&lab, 5);
    lab.heal_all().unwrap();
    run(&lab, 5);
    expect(&lab.natwatch(&["failback", "--yes"]).unwrap(), 0);
    run(&lab, 0);
    expect(&lab.natwatch(&["pause", "--for", "1h", "--reason", "work on it"]).unwrap(), 0);
    run(&lab, 0);
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);
    run(&lab, 0);
    assert_eq!(hook.events(), ["taken-over", "failback", "paused", "resumed"]);
    let calls = hook.calls();
    assert_eq!(calls.iter().map(|(args, _)| args.as_str()).collect::<Vec<_>>()[0], "2 taken-over natwatch");
    let document = &calls[0].1;
    assert_eq!((&document["exit"], &document["previous"]), (&4.into(), &"healthy".into()), "{document}");
    assert_eq!(document["subnets"].as_array().unwrap().len(), 2, "{document}");
    assert_eq!(document["instance"], lab.ids().standby.instance.as_str(), "{document}");
    assert!(document["remedy"].as_str().unwrap().contains("natwatch failback"), "{document}");
    assert_eq!((&calls[1].1["exit"], &calls[1].1["previous"]), (&0.into(), &"locked".into()), "{}", calls[1].1);
    assert!(calls[2].1["paused_until"].is_string() && calls[3].1["paused_until"].is_null(), "{calls:?}");
    // What changes nothing tells nobody.
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let dry = lab.natwatch(&["run", "--dry-run"]).unwrap();
    assert!(dry.stdout.contains("cut off"), "{dry}");
    expect(&lab.natwatch(&["check"]).unwrap(), 2);
    assert_eq!((hook.calls().len(), waiting(&lab).len()), (4, 0));
}

#[test]
fn f091_a_hook_that_hangs_is_called_when_all_is_done_and_what_a_killed_run_leaves_is_delivered_by_the_next() {
    let (lab, hook) = hooked();
    run(&lab, 0);
    hook.does("echo $$ > $calls/pid.new; mv $calls/pid.new $calls/pid; sleep 1000");
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let hanging = lab.command(&["run"]).spawn().unwrap();
    hook.waits_for(1);
    // Moved, verified, recorded, told, and nothing held that anybody would wait for.
    carried_by(&lab, Nat::Standby);
    hanging.wait_output("taken-over", SOON).unwrap();
    let record: Value =
        serde_json::from_slice(&fs::read(lab.plan().state().join("natwatch/takeover.json")).unwrap()).unwrap();
    assert_eq!(record["phase"], "taken");
    let meanwhile = run(&lab, 5);
    assert!(!meanwhile.stderr.contains("hook"), "one process delivers at a time: {meanwhile}");
    assert_eq!((hook.calls().len(), waiting(&lab).len()), (1, 1));

    // Killed in the call, and the hook with it, as cron's timeout or systemd would.
    until(|| hook.calls.join("pid").exists(), || "the hook does not hang".to_owned());
    hanging.kill(Signal::KILL).unwrap();
    assert_eq!(hanging.wait(SOON).unwrap().signal, Some(9));
    let pid = fs::read_to_string(hook.calls.join("pid")).unwrap();
    expect_killed(&pid);
    hook.does("exit 0");
    run(&lab, 5);
    assert_eq!(hook.events(), ["taken-over", "taken-over"]);
    let ids: Vec<Value> = hook.calls().into_iter().map(|(_, document)| document["id"].clone()).collect();
    assert_eq!(ids[0], ids[1], "twice, and by its id known to be one");
    assert_eq!(waiting(&lab).len(), 0);
}

/// Ends a hook that is left behind by a natwatch that was killed.
fn expect_killed(pid: &str) {
    let group = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    until(|| !lives(pid), || format!("{pid} lives"));
}

#[test]
fn f090_a_run_that_was_told_to_end_in_its_takeover_waits_for_no_hook_and_leaves_the_event_to_the_next() {
    let (lab, hook) = hooked();
    run(&lab, 0);
    hook.does("sleep 1000");
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.api().arm(ApiFault::new(ApiFaultKind::Hang).on("ReplaceRouteTableAssociation").after(1).times(1));
    let told = lab.command(&["run", "-v"]).spawn().unwrap();
    told.wait_output("moved after", SOON).unwrap();
    told.kill(Signal::TERM).unwrap();
    let told = told.wait(SOON).unwrap();
    expect(&told, 4);
    carried_by(&lab, Nat::Standby);
    assert_eq!((hook.calls().len(), waiting(&lab).len()), (0, 1), "{told}");
    hook.does("exit 0");
    run(&lab, 5);
    assert_eq!((hook.events(), waiting(&lab).len()), (vec!["taken-over".to_owned()], 0));
}

#[test]
fn f091_a_hook_is_killed_at_its_timeout_with_its_children_and_tried_again_by_the_next_run() {
    let (lab, hook) = hooked();
    let [command, _] = hook.keys();
    configure(&lab, &[command, ("notify.timeout", "\"1s\"".to_owned())]);
    hook.does("sleep 1000 & echo $! > $calls/child; trap '' TERM; sleep 1000");
    let paused = lab.natwatch(&["pause", "--for", "1h", "--reason", "x"]).unwrap();
    expect(&paused, 0);
    assert!(paused.stderr.contains("the hook did not take paused: it was killed after"), "{paused}");
    let child = fs::read_to_string(hook.calls.join("child")).unwrap();
    until(|| !lives(&child), || format!("{child} lives"));
    assert_eq!(waiting(&lab).len(), 1);

    let status = json(&lab.natwatch(&["status", "--format", "json"]).unwrap());
    let said = "1 event waits for the hook (notify.command)";
    assert!(status.to_string().contains(said), "{status}");
    let check = lab.natwatch(&["check"]).unwrap();
    assert!(check.stdout.contains(said), "{check}");

    // Not now.
    hook.does("echo busy; exit 1");
    let failed = lab.natwatch(&["run", "-v"]).unwrap();
    assert!(failed.stderr.contains("its exit status was 1; the next run tries again"), "{failed}");
    assert!(failed.stderr.contains("the hook says: busy"), "{failed}");
    // Never.
    hook.does("exit 2");
    let refused = run(&lab, 0);
    assert!(refused.stderr.contains("error: the hook refused paused (its exit status was 2"), "{refused}");
    assert_eq!((waiting(&lab).len(), hook.calls().len()), (0, 3));
    run(&lab, 0);
    assert_eq!(hook.calls().len(), 3);
}

#[test]
fn f091_a_watch_takes_over_while_its_hook_hangs_and_takes_the_hook_with_it() {
    let (lab, hook) = hooked();
    let [command, _] = hook.keys();
    configure(&lab, &[command, ("notify.timeout", "\"5m\"".to_owned())]);
    hook.does("echo $$ > $calls/pid.new; mv $calls/pid.new $calls/pid; sleep 1000");
    let systemd = Systemd::start(&lab, &[]);
    systemd.waits_for("READY=1");
    systemd.waits_for(" healthy: ");
    // The watch brings what others have made; they need not wait for it.
    expect(&lab.natwatch(&["pause", "--for", "1h", "--reason", "x"]).unwrap(), 0);
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);
    until(|| hook.calls.join("pid").exists(), || systemd.said());
    let pid = fs::read_to_string(hook.calls.join("pid")).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    assert!(lives(&pid), "the hook has ended by itself");
    assert_eq!(hook.events(), ["paused"]);
    systemd.ends();
    until(|| !lives(&pid), || format!("{pid} lives"));

    // All of it is told by the next one.
    hook.does("exit 0");
    let systemd = Systemd::start(&lab, &[]);
    hook.waits_for(4);
    until(|| waiting(&lab).is_empty(), || systemd.said());
    systemd.ends();
    assert_eq!(hook.events(), ["paused", "paused", "resumed", "taken-over"]);
    assert_eq!(waiting(&lab).len(), 0);
}

/// Leases a file for writing (`fcntl(2)`, `F_SETLEASE`), so that whoever opens or runs it waits in the kernel, as for a disk that does not answer: until
/// the lease is given back at the end of standard input, or for `/proc/sys/fs/lease-break-time`.
const LEASE: &str = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
";

#[test]
fn f091_a_hook_on_a_disk_that_does_not_answer_holds_no_round_up() {
    let (lab, hook) = hooked();
    let [command, _] = hook.keys();
    configure(&lab, &[command, ("notify.timeout", "\"1m\"".to_owned())]);
    let mut lease = Command::new("/usr/bin/python3")
        .args(["-c", LEASE, hook.path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = String::new();
    BufReader::new(lease.stdout.take().unwrap()).read_line(&mut held).unwrap();
    assert_eq!(held, "held\n");
    let systemd = Systemd::start(&lab, &[]);
    systemd.waits_for("READY=1");
    systemd.waits_for(" healthy: ");
    expect(&lab.natwatch(&["pause", "--for", "1h", "--reason", "x"]).unwrap(), 0);
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);
    // The call is on record before it is made.
    let begun =
        || waiting(&lab).first().is_some_and(|path| !fs::read_to_string(path).unwrap().contains("\"calls\": 0"));
    until(begun, || systemd.said());
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    carried_by(&lab, Nat::Standby);
    assert_eq!(hook.events(), [""; 0], "it was not held up");
    // Back in time, it has been called all the same.
    drop(lease.stdin.take());
    assert!(lease.wait().unwrap().success());
    hook.waits_for(3);
    systemd.ends();
    assert_eq!(hook.events(), ["paused", "resumed", "taken-over"]);
}

#[test]
fn a_takeover_whose_process_was_killed_before_it_could_tell_is_told_by_the_next_run() {
    let (lab, hook) = hooked();
    run(&lab, 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    // As left by one that was killed between record and event: the hook's part of the folder is as before.
    let told = lab.plan().state().join("natwatch/told.json");
    let before = fs::read(&told).unwrap();
    configure(&lab, &[]);
    run(&lab, 4);
    configure(&lab, &hook.keys());
    assert_eq!(fs::read(&told).unwrap(), before);
    run(&lab, 5);
    assert_eq!(hook.events(), ["taken-over"]);
    let because = hook.calls()[0].1["because"].as_str().unwrap().to_owned();
    assert!(because.contains("cut off") && because.contains("ended before it could tell"), "{because}");
    run(&lab, 5);
    assert_eq!(hook.events(), ["taken-over"]);
}

#[test]
fn of_more_than_a_hundred_events_that_nobody_takes_the_oldest_are_dropped_and_that_is_said() {
    let (lab, hook) = hooked();
    hook.does("exit 1");
    expect(&lab.natwatch(&["pause", "--for", "1h", "--reason", "x"]).unwrap(), 0);
    let [first] = waiting(&lab).try_into().unwrap();
    let text = fs::read_to_string(&first).unwrap();
    let id = first.file_stem().unwrap().to_str().unwrap().to_owned();
    for n in 0..99 {
        let other = format!("00000000-{n:03}");
        let path = first.with_file_name(format!("{other}.json"));
        fs::write(&path, text.replace(&id, &other)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        chown(&path, Some(UID), Some(UID)).unwrap();
    }
    let resumed = lab.natwatch(&["resume"]).unwrap();
    expect(&resumed, 0);
    assert!(resumed.stderr.contains("the oldest are dropped: 1"), "{resumed}");
    let left = waiting(&lab);
    assert_eq!(left.len(), 100);
    assert!(left.contains(&first) && !left[0].ends_with("00000000-000.json"), "{left:?}");
}

#[test]
fn f074_a_hook_that_others_can_write_is_refused() {
    let (lab, hook) = hooked();
    fs::set_permissions(&hook.path, Permissions::from_mode(0o777)).unwrap();
    let refused = lab.natwatch(&["run"]).unwrap();
    expect(&refused, 78);
    assert!(refused.stderr.contains("notify.command") && refused.stderr.contains("chmod go-w"), "{refused}");
    let refused = lab.natwatch(&["run", "--format", "json"]).unwrap();
    let events: Vec<Value> = refused.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!events.is_empty() && events.iter().all(|one| one["event"] == "error" && one["exit"] == 78), "{refused}");
    // One that is gone is told of, and watched is all the same.
    fs::remove_file(&hook.path).unwrap();
    run(&lab, 0);
    let paused = lab.natwatch(&["pause", "--for", "1h", "--reason", "x", "-v"]).unwrap();
    expect(&paused, 0);
    assert!(paused.stderr.contains("could not be started: No such file"), "{paused}");
}

/// The series of a textfile, after `promtool` has found no fault with it.
fn metrics(file: &Path) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(file).unwrap();
    let promtool = natwatch_lab::promtool().unwrap();
    let output =
        Command::new(promtool).args(["check", "metrics"]).stdin(fs::File::open(file).unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}\n{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.replace("name=\"natwatch\",", "").replace("{name=\"natwatch\"}", ""), value.parse().unwrap())
        })
        .collect()
}

/// A folder for metrics that natwatch's user may write.
fn textfile(lab: &Lab) -> PathBuf {
    let folder = lab.plan().root.join("metrics");
    fs::create_dir_all(&folder).unwrap();
    chown(&folder, Some(UID), Some(UID)).unwrap();
    folder.join("natwatch.prom")
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Asserts the values of some series.
#[track_caller]
fn show(found: &BTreeMap<String, f64>, wanted: &[(&str, f64)]) {
    for (series, value) in wanted {
        let shown = found.get(*series).unwrap_or_else(|| panic!("no {series} in {found:#?}"));
        assert!((shown - value).abs() < 1e-9, "{series}: {shown} and not {value}");
    }
}

#[test]
fn f094_the_metrics_show_when_the_last_round_was_and_what_it_came_to_and_counters_go_on_from_run_to_run() {
    let lab = seasoned();
    let file = textfile(&lab);
    configure(&lab, &[("metrics.textfile", format!("{:?}", file.to_str().unwrap()))]);
    let before = now();
    run(&lab, 0);
    let first = metrics(&file);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    let at = first["natwatch_last_round_timestamp_seconds"];
    assert!((before - 1.0..=now() + 1.0).contains(&at), "{at}");
    show(
        &first,
        &[
            ("natwatch_state{state=\"healthy\"}", 1.0),
            ("natwatch_state{state=\"down\"}", 0.0),
            ("natwatch_rounds_total{family=\"ipv4\",verdict=\"healthy\"}", 1.0),
            ("natwatch_subnets{carrier=\"primary\"}", 2.0),
            ("natwatch_witnesses", 6.0),
            ("natwatch_threshold", 3.0),
            ("natwatch_last_takeover_timestamp_seconds", 0.0),
            ("natwatch_configured_backends", 6.0),
            ("natwatch_good_targets{family=\"ipv4\"}", 3.0),
            ("natwatch_locked", 0.0),
            ("natwatch_takeovers_total{outcome=\"taken-over\"}", 0.0),
        ],
    );
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    run(&lab, 4);
    let taken = metrics(&file);
    assert!(taken["natwatch_last_round_timestamp_seconds"] > at);
    assert!(taken["natwatch_rounds_total{family=\"ipv4\",verdict=\"down\"}"] >= 2.0);
    show(
        &taken,
        &[
            ("natwatch_state{state=\"taken-over\"}", 1.0),
            ("natwatch_rounds_total{family=\"ipv4\",verdict=\"healthy\"}", 1.0),
            ("natwatch_locked", 1.0),
            ("natwatch_phase{phase=\"taken\"}", 1.0),
            ("natwatch_takeovers_total{outcome=\"taken-over\"}", 1.0),
            ("natwatch_subnets{carrier=\"standby\"}", 2.0),
            ("natwatch_last_healthy_timestamp_seconds", first["natwatch_last_healthy_timestamp_seconds"]),
        ],
    );
    // What asks and changes nothing writes nothing; and whoever can't write fails no pass.
    lab.natwatch(&["run", "--dry-run"]).unwrap();
    lab.natwatch(&["check"]).unwrap();
    assert_eq!(metrics(&file), taken);
    fs::set_permissions(file.parent().unwrap(), Permissions::from_mode(0o555)).unwrap();
    let unwritable = run(&lab, 5);
    assert!(
        unwritable.stderr.contains("metrics: can't write") && unwritable.stderr.contains("Permission denied"),
        "{unwritable}"
    );
    assert_eq!(metrics(&file), taken);
}

#[test]
fn f094_a_watch_writes_the_metrics_where_something_changes_and_keeps_them_fresh() {
    let lab = seasoned();
    let file = textfile(&lab);
    configure(&lab, &[("metrics.textfile", format!("{:?}", file.to_str().unwrap()))]);
    let systemd = Systemd::start(&lab, &["--format", "json"]);
    until(|| file.exists(), || systemd.said());
    show(&metrics(&file), &[("natwatch_state{state=\"healthy\"}", 1.0)]);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    systemd.waits_for(" taken-over: ");
    until(|| metrics(&file)["natwatch_state{state=\"taken-over\"}"] > 0.0, || format!("{:#?}", metrics(&file)));
    // And without any change: the same state half a minute later.
    until(|| metrics(&file)["natwatch_state{state=\"locked\"}"] > 0.0, || format!("{:#?}", metrics(&file)));
    let at = metrics(&file)["natwatch_last_round_timestamp_seconds"];
    until(|| metrics(&file)["natwatch_last_round_timestamp_seconds"] > at, || format!("{:#?}", metrics(&file)));
    // And its log is for programs.
    let run = systemd.ends();
    let events: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for one in &events {
        let keys = ["event", "level", "message", "at"];
        assert!(keys.iter().all(|key| one[*key].as_str().is_some_and(|text| !text.is_empty())), "{one}");
    }
    let taken = events.iter().find(|one| one["event"] == "taken-over").unwrap_or_else(|| panic!("{run}"));
    assert_eq!(
        (&taken["exit"], &taken["moved"], &taken["name"]),
        (&4.into(), &2.into(), &"natwatch".into()),
        "{taken}"
    );
    assert!(taken["because"].as_str().unwrap().contains("cut off"), "{taken}");
}

#[test]
fn f091_doctor_finds_a_hook_that_cannot_run_an_event_that_waits_and_metrics_that_go_nowhere() {
    let (lab, hook) = hooked();
    hook.does("exit 1");
    let nowhere = lab.plan().root.join("nowhere/natwatch.prom");
    let metrics = [("metrics.textfile", format!("{:?}", nowhere.to_str().unwrap()))];
    configure(&lab, &[hook.keys().to_vec(), metrics.to_vec()].concat());
    let found = || -> BTreeMap<String, (String, String)> {
        let doctor = lab.natwatch(&["doctor", "--format", "json"]).unwrap();
        let all = json(&doctor)["findings"].as_array().unwrap().clone();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        all.iter().map(|one| (text(one, "id"), (text(one, "fitness"), text(one, "text")))).collect()
    };
    let before = found();
    assert_eq!(before["hook"].0, "fit", "{before:?}");
    assert_eq!(before["events"].0, "fit", "{before:?}");
    assert_eq!(before["metrics"].0, "warning", "{before:?}");
    expect(&lab.natwatch(&["pause", "--for", "5m", "--reason", "new kernel"]).unwrap(), 0);
    fs::set_permissions(&hook.path, Permissions::from_mode(0o644)).unwrap();
    let after = found();
    assert_eq!(after["hook"].0, "warning", "{after:?}");
    assert!(after["events"].0 == "warning" && after["events"].1.starts_with("1 of at most 100"), "{after:?}");
}
