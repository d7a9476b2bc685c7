//! `natwatch doctor` in the lab: real faults, each found and named, and nothing changed by looking. Needs root; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use natwatch_lab::testing::{expect, ssh_processes};
use natwatch_lab::{Fault, Lab, Nat, Run, Running, Signal};
use serde_json::Value;
use support::seasoned;

/// A bound for what takes milliseconds to seconds, not a measure.
const SOON: Duration = Duration::from_secs(40);

/// What is looked at with EC2 is another test's matter.
const OF_EC2: [&str; 5] = ["identity", "permissions", "routes", "subnets", "uplink"];

/// A finding: `id of: fitness`, and all its words.
#[derive(Debug, Clone)]
struct Found {
    head: String,
    words: String,
}

/// A machine that also builds something may be slow to log in; who is slow for a reason has a test of his own.
const BUSY: &str = "backend-login-time";

fn findings(run: &Run) -> Vec<Found> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_us = |one: &&Value| !OF_EC2.contains(&one["topic"].as_str().unwrap()) || one["id"] == "icmp-socket";
    let found = |one: &Value| {
        // Whatever is not fit is so in a way that has a word, and has something to be done.
        let fit = one["fitness"] == "fit";
        assert_eq!((one["cause"].is_null(), fit || one["remedy"].is_string()), (fit, true), "{one}: {run}");
        let of = one["of"].as_str().map_or_else(String::new, |of| format!(" {of}"));
        Found {
            head: format!("{}{of}: {}", text(&one["id"]), text(&one["fitness"])),
            words: format!("{} {} {}", text(&one["text"]), one["details"], text(&one["remedy"])),
        }
    };
    report["findings"].as_array().unwrap_or_else(|| panic!("{run}")).iter().filter(of_us).map(found).collect()
}

/// What is not fit of what is looked at without EC2.
fn faults(run: &Run) -> Vec<Found> {
    let busy = |one: &Found| one.head.starts_with(BUSY);
    findings(run).into_iter().filter(|one| !one.head.ends_with(": fit") && !busy(one)).collect()
}

fn heads(found: &[Found]) -> Vec<&str> {
    found.iter().map(|one| one.head.as_str()).collect()
}

/// The finding with this head, which has all these words.
#[track_caller]
fn says(run: &Run, head: &str, words: &[&str]) {
    let found = findings(run);
    let one = found
        .iter()
        .find(|one| one.head == head)
        .unwrap_or_else(|| panic!("no {head:?} in {:?}: {run}", heads(&found)));
    for word in words {
        assert!(one.words.contains(word), "{word:?} is not in {:?}: {run}", one.words);
    }
}

fn doctor(lab: &Lab) -> Run {
    lab.natwatch(&["doctor", "--format", "json"]).unwrap()
}

fn doctor_as_root(lab: &Lab) -> Run {
    lab.command(&["doctor", "--format", "json"]).as_root().run().unwrap()
}

/// The backends' keys as README has them.
fn restrict_keys(lab: &Lab) {
    let key = lab.plan().identity().with_extension("pub");
    let line = lab.natwatch(&["print", "authorized-key", key.to_str().unwrap()]).unwrap();
    expect(&line, 0);
    for n in 0..6 {
        fs::write(lab.authorized_keys(n).unwrap(), &line.stdout).unwrap();
    }
}

/// As the README leaves it, but that nothing runs natwatch: by default keys, with witnesses, and looked at once by root.
fn set_up() -> Lab {
    let lab = seasoned();
    lab.configure(&[]).unwrap();
    restrict_keys(&lab);
    doctor_as_root(&lab);
    lab
}

#[test]
fn a_healthy_standby_is_fit_in_everything_but_that_nothing_runs_natwatch() {
    let lab = set_up();
    for run in [doctor(&lab), doctor_as_root(&lab)] {
        assert_eq!(heads(&faults(&run)), ["service: warning"], "{run}");
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["name"], "natwatch");
        assert_eq!(report["exit"].as_i64(), run.status.map(i64::from), "{run}");
        let ids: BTreeSet<String> =
            findings(&run).iter().map(|one| one.head.split([' ', ':']).next().unwrap().to_owned()).collect();
        for id in [
            "configuration",
            "files",
            "forwarding",
            "masquerade",
            "forward-filter",
            "reverse-path",
            "uptime",
            "conntrack",
            "ports",
            "icmp-socket",
            "ssh",
            "backend-reachable",
            "backend-host-key",
            "backend-login",
            "backend-login-time",
            "backend-key",
            "backend-ping",
            "backend-reaches",
            "witnesses",
            "witnesses-subnet",
            "target",
            "targets",
            "target-behind",
            "state-folder",
            "state-space",
            "run-lock",
            "lock",
            "pause",
            "last-round",
            "drill",
            "clock",
            "descriptors",
            "service",
            "last-round-age",
        ] {
            assert!(ids.contains(id), "no {id} in {ids:?}");
        }
    }
    assert_eq!(ssh_processes(&lab), [""; 0], "no session is left");
}

#[test]
fn looking_changes_nothing_but_what_root_leaves_for_who_may_not_look() {
    let lab = seasoned();
    let facts = lab.plan().state().join("natwatch/facts.json");
    let (before, mutations) = (lab.footprint().unwrap(), lab.api().mutations().len());
    let run = doctor(&lab);
    says(&run, "masquerade: unknown", &["takes root", "once as root"]);
    assert_eq!(run.status, Some(3), "what could not be told may be unfit: {run}");
    assert_eq!(lab.footprint().unwrap(), before);
    doctor_as_root(&lab);
    assert!(facts.exists());
    says(&doctor(&lab), "masquerade: fit", &["as root saw"]);
    fs::remove_file(&facts).unwrap();
    assert_eq!(lab.footprint().unwrap(), before, "nothing else");
    assert_eq!(lab.api().mutations().len(), mutations);
    // A folder that is not there is not made by who could not leave anything in it.
    lab.reset_state().unwrap();
    let folder = lab.plan().state().join("natwatch");
    says(&doctor(&lab), "state-folder: fit", &["the first run makes it"]);
    assert!(!folder.exists());
    // Root's first look makes it as a run would, and it is the service's user who is told.
    let given = fs::metadata(lab.plan().state()).unwrap();
    assert_ne!(given.uid(), 0, "the lab's own user has it");
    let run = doctor_as_root(&lab);
    says(&run, "state-folder: fit", &[&format!("user {} can write", given.uid())]);
    assert!(faults(&run).iter().all(|one| !one.head.starts_with("facts")), "{run}");
    for path in [folder.clone(), facts] {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (given.uid(), given.gid()), "{}", path.display());
    }
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o750);
    says(&doctor(&lab), "masquerade: fit", &["as root saw"]);
}

#[test]
fn f042_of_a_fleet_some_are_asked_in_a_few_seconds_and_all_of_them_where_that_is_asked_for() {
    let lab = set_up();
    let dead: Vec<String> = (0..40).map(|n| format!("10.0.10.{}", 100 + n)).collect();
    let hosts = fs::read_to_string(lab.plan().hosts_file()).unwrap();
    let more: Vec<String> = dead.iter().map(|addr| format!("{addr} dead-{addr}\n")).collect();
    fs::write(lab.plan().hosts_file(), hosts + &more.concat()).unwrap();
    lab.configure(&[("backends.connect_timeout", "\"1s\""), ("decision.threshold", "1")]).unwrap();
    let asked = |run: &Run| {
        let of = |one: &&Found| one.head.starts_with("backend-reachable") || one.head.starts_with("backend-name");
        findings(run).iter().filter(of).count()
    };
    let run = doctor(&lab);
    says(&run, "backends-asked: fit", &["32 of 46 asked", "natwatch doctor --all"]);
    assert_eq!(asked(&run), 32, "{run}");
    assert!(heads(&faults(&run)).iter().all(|head| !head.ends_with(": unknown")), "{run}");
    let run = lab.natwatch(&["doctor", "--all", "--format", "json"]).unwrap();
    assert!(findings(&run).iter().all(|one| !one.head.starts_with("backends-asked")), "{run}");
    assert_eq!(asked(&run), 46, "{run}");
}

#[test]
fn f024_f025_f026_f028_f099_each_fault_of_a_backend_is_named_with_what_to_do() {
    let lab = set_up();
    for fault in [Fault::NoPing(0), Fault::SshdRefusesKey(1), Fault::SshdNewHostKey(2), Fault::SlowLogin(3, 2)] {
        lab.inject(&fault).unwrap();
    }
    let run = doctor(&lab);
    says(&run, "backend-ping b0: warning", &["missing", "not installed", "apt-get install iputils-ping"]);
    says(
        &run,
        "backend-login b1: warning",
        &["not accepted", "natwatch print authorized-key", "~natwatch/.ssh/authorized_keys"],
    );
    says(&run, "backend-host-key b2: warning", &["SECURITY", "ssh-keygen -R"]);
    says(&run, "backend-login-time b3: warning", &["longer than a second", "local"]);
    says(&run, "witnesses: warning", &["3 of 6"]);
    assert_eq!(run.status, Some(i32::from(lab_exit(&run))), "{run}");

    lab.inject(&Fault::BackendDead(4)).unwrap();
    let run = doctor(&lab);
    says(&run, "backend-reachable b4: warning", &["no answer", "security group"]);
    says(&run, "witnesses: unfit", &["2 of 6", "no outage would be seen"]);
    assert_eq!(run.status, Some(2), "{run}");
    let text = lab.natwatch(&["doctor", "-q"]).unwrap();
    assert_eq!((text.status, text.stderr.as_str()), (Some(2), ""), "{text}");
    assert!(
        !text.stdout.contains("\nok ") && text.stdout.contains("FAIL  backends: 2 of 6 backends could witness"),
        "{text}"
    );
}

/// The exit status by the findings' own words.
fn lab_exit(run: &Run) -> u8 {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let any = |fitness: &str| report["findings"].as_array().unwrap().iter().any(|one| one["fitness"] == fitness);
    match () {
        () if any("unfit") => 2,
        () if any("unknown") => 3,
        () if any("warning") => 1,
        () => 0,
    }
}

#[test]
fn f027_f037_f106_host_keys_nobody_knows_keys_that_may_do_anything_and_pings_of_whole_seconds() {
    let lab = seasoned();
    lab.inject(&Fault::BusyboxPing(0)).unwrap();
    lab.inject(&Fault::SshdHang(1)).unwrap();
    let known = fs::read_to_string(lab.plan().known_hosts()).unwrap();
    let without: Vec<&str> = known.lines().filter(|line| !line.starts_with("b2,")).collect();
    fs::write(lab.plan().known_hosts(), without.join("\n") + "\n").unwrap();
    let run = doctor(&lab);
    says(&run, "backend-ping b0: fit", &["whole seconds only"]);
    says(&run, "backend-ping b1: warning", &["no answer"]);
    says(&run, "backend-host-key b2: warning", &["ssh-keyscan", "fingerprint"]);
    says(&run, "backend-key b3: warning", &["any command", "natwatch print authorized-key"]);
    restrict_keys(&lab);
    let run = doctor(&lab);
    says(&run, "backend-key b3: fit", &[]);
    says(&run, "backend-key b0: fit", &[]);
}

#[test]
fn f015_f016_f018_f020_targets_that_are_dead_shy_or_nowhere_are_named() {
    let lab = set_up();
    lab.inject(&Fault::TargetShunsPrimary(2)).unwrap();
    let run = doctor(&lab);
    says(&run, "target 203.0.113.2: fit", &[]);
    says(&run, "target-behind 203.0.113.2: warning", &["none of the", "(targets.hosts): hosts = [", "\"ANOTHER\""]);
    says(&run, "targets IPv4: fit", &["3 of 3"]);
    lab.heal_all().unwrap();

    lab.name(&[("one.example", "203.0.113.1")]).unwrap();
    lab.configure(&[("targets.hosts", r#"["one.example", "203.0.113.2", "nowhere.example"]"#)]).unwrap();
    let run = doctor(&lab);
    says(&run, "target one.example (203.0.113.1): fit", &["answers in"]);
    says(&run, "target-name nowhere.example: warning", &["does not resolve", "getent"]);
    says(&run, "targets IPv4: fit", &["2 of 3"]);
    lab.inject(&Fault::TargetDead(2)).unwrap();
    let run = doctor(&lab);
    says(&run, "target 203.0.113.2: warning", &["does not answer this standby"]);
    says(&run, "targets IPv4: unfit", &["1 of 3", "2 are needed"]);
    assert_eq!(run.status, Some(2), "{run}");
}

#[test]
fn f017_without_a_good_target_the_backends_are_looked_at_as_far_as_that_goes() {
    let lab = set_up();
    lab.inject(&Fault::AllTargetsDead).unwrap();
    let run = doctor(&lab);
    says(&run, "targets IPv4: unfit", &["0 of 3", "uplink"]);
    says(&run, "backend-login b0: fit", &[]);
    says(&run, "witnesses: unknown", &["no target answers this standby"]);
    assert!(findings(&run).iter().all(|one| !one.head.starts_with("backend-reaches")), "{run}");
}

#[test]
fn f009_f010_f011_what_keeps_this_standby_from_carrying_the_traffic_is_unfit() {
    let lab = set_up();
    lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let veth = ["link", "add", "eth1", "up", "type", "veth", "peer", "name", "eth2"];
    expect(&lab.program("nat2", "/sbin/ip", &veth).run().unwrap(), 0);
    let strict = "for one in eth0 eth1; do echo 1 > /proc/sys/net/ipv4/conf/$one/rp_filter; done";
    expect(&lab.program("nat2", "/bin/sh", &["-c", strict]).run().unwrap(), 0);
    // By what root saw before, it still masquerades.
    let run = doctor(&lab);
    says(&run, "forwarding IPv4: unfit", &["net.ipv4.ip_forward is 0", "sysctl -p"]);
    says(&run, "masquerade: fit", &["as root saw"]);
    says(&run, "reverse-path: warning", &["on eth0, eth1, of ", "net.ipv4.conf.eth1.rp_filter=2"]);
    let run = doctor_as_root(&lab);
    says(&run, "masquerade: unfit", &["no such rule", "oifname eth0 masquerade"]);
    let run = doctor(&lab);
    says(&run, "masquerade: unfit", &["as root saw", "masquerade && natwatch doctor"]);
    assert_eq!(run.status, Some(2), "{run}");
}

#[test]
fn f010_f077_f105_dockers_rules_carry_nothing_of_ours_and_a_policy_that_drops_all_holds() {
    let lab = set_up();
    let sh = |script: &str| expect(&lab.program("nat2", "/bin/sh", &["-c", script]).run().unwrap(), 0);
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let docker = "set -e; f=/usr/sbin/iptables; $f -P FORWARD DROP; $f -A FORWARD -i docker0 ! -o docker0 -j ACCEPT; \
                  $f -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE";
    sh(docker);
    let policy = "nft add chain ip filter FORWARD '{ policy accept; }'";
    let run = doctor_as_root(&lab);
    says(&run, "masquerade: unfit", &["for what the guarded subnets send"]);
    says(&run, "forward-filter: unfit", &["not what the guarded subnets send", policy]);
    // Nothing is let pass at all: that is certain, and the service's user goes by what root saw.
    lab.heal(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    sh("/usr/sbin/iptables -F FORWARD");
    let run = doctor_as_root(&lab);
    says(&run, "masquerade: fit", &[]);
    says(&run, "forward-filter: unfit", &["no rule accepts anything before", policy]);
    says(&doctor(&lab), "masquerade: unfit", &["drops all that is forwarded", "as root saw"]);
    let moves = lab.api().mutations().len();
    let held = lab.natwatch(&["takeover", "--yes"]).unwrap();
    assert_eq!(held.status, Some(2), "{held}");
    assert!(held.stdout.contains("drops all that is forwarded"), "{held}");
    assert_eq!(lab.api().mutations().len(), moves, "{held}");
    // The remedy is what it says.
    sh(&format!("PATH=/usr/sbin:/usr/bin; {policy}"));
    let run = lab
        .command(&["doctor", "--format", "json"])
        .as_root()
        .env("AWS_ACCESS_KEY_ID", "AKIAROOTSOWN")
        .env("AWS_SECRET_ACCESS_KEY", "roots")
        .run()
        .unwrap();
    says(&run, "forward-filter: fit", &[]);
    assert!(run.stdout.contains("credentials of root's environment") && run.stdout.contains("env -i"), "{run}");
    says(&doctor(&lab), "forward-filter: fit", &["as root saw"]);
}

#[test]
fn f070_f080_the_state_folder_the_lock_and_a_pause() {
    let lab = set_up();
    let folder = lab.plan().state().join("natwatch");
    fs::set_permissions(&folder, Permissions::from_mode(0o550)).unwrap();
    says(&doctor(&lab), "state-folder: unfit", &["can't write", "chmod 0750"]);
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    says(&doctor(&lab), "state-folder: unfit", &["can be written by others"]);
    fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    let stranger = lab
        .program(
            "nat2",
            "/usr/bin/setpriv",
            &[
                "--reuid=4343",
                "--regid=4343",
                "--clear-groups",
                "--",
                lab.plan().binary().to_str().unwrap(),
                "-c",
                lab.plan().config().to_str().unwrap(),
                "doctor",
                "--format",
                "json",
            ],
        )
        .run()
        .unwrap();
    assert_eq!(stranger.status, Some(78), "who can't read the configuration: {stranger}");

    expect(&lab.natwatch(&["pause", "--for", "30m", "--reason", "new kernel"]).unwrap(), 0);
    says(&doctor(&lab), "pause: warning", &["new kernel", "natwatch resume"]);
    expect(&lab.natwatch(&["resume"]).unwrap(), 0);
    expect(&lab.natwatch(&["takeover", "--yes"]).unwrap(), 0);
    let run = doctor(&lab);
    says(&run, "lock: warning", &["locked since", "natwatch failback"]);
    says(&run, "backend-reaches b0: fit", &[]);
}

#[test]
fn f094_whether_anybody_runs_natwatch_is_said_and_by_whom() {
    let lab = set_up();
    fs::remove_file(lab.plan().state().join("natwatch/last-round.json")).unwrap();
    let run = doctor(&lab);
    says(&run, "service: unfit", &["nobody runs natwatch", "systemctl enable --now"]);
    says(&run, "last-round: warning", &["no run is on record"]);

    // The lab puts what is there over the standby's /etc.
    let crontabs = std::path::Path::new("/etc/netns").join(&lab.plan().nat(Nat::Standby).unwrap().ns).join("cron.d");
    fs::create_dir(&crontabs).unwrap();
    // As shipped it is the default configuration's, and nobody runs this one.
    let shipped = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cron/natwatch")).unwrap();
    fs::write(crontabs.join("natwatch"), &shipped).unwrap();
    says(&doctor(&lab), "service: unfit", &["nobody runs natwatch"]);
    let ours = format!("NATWATCH_CONFIG={}\n{shipped}", lab.plan().config().display());
    fs::write(crontabs.join("natwatch"), ours).unwrap();
    let run = doctor(&lab);
    assert!(findings(&run).iter().any(|one| one.head.starts_with("service /etc/cron.d/natwatch: ")), "{run}");

    let watch = lab.command(&["watch"]).spawn().unwrap();
    let until = Instant::now() + SOON;
    while !lab.plan().state().join("natwatch/last-round.json").exists() {
        assert!(Instant::now() < until, "the watch keeps no round: {}", watch.stderr());
    }
    let run = doctor(&lab);
    says(&run, "service natwatch watch: fit", &["a watch is at work", &format!("process {}", watch.pid())]);
    says(&run, "several-services: warning", &["natwatch watch and /etc/cron.d/natwatch"]);
    fs::remove_dir_all(&crontabs).unwrap();
    let run = doctor(&lab);
    assert_eq!(heads(&faults(&run)), [""; 0], "beside a watch all is fit: {run}");
    goes_by_another_until_it_reads_again(&lab, &watch);
    watch.kill(Signal::TERM).unwrap();
    expect(&watch.wait(SOON).unwrap(), 0);
}

/// A configuration that was edited is not what a watch goes by before it is told.
fn goes_by_another_until_it_reads_again(lab: &Lab, watch: &Running) {
    lab.configure(&[("decision.rounds", "4")]).unwrap();
    says(&doctor(lab), "watched-by: warning", &["other rules (rounds)", "systemctl reload natwatch-watch"]);
    let status = lab.natwatch(&["status"]).unwrap();
    assert!(format!("{status}").contains("other rules (rounds)"), "{status}");
    watch.kill(Signal::HUP).unwrap();
    let kept = lab.plan().state().join("natwatch/last-round.json");
    let rounds = || {
        let kept: Value = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
        kept["case"]["rules"]["rounds"].as_u64()
    };
    let until = Instant::now() + SOON;
    while rounds() != Some(4) {
        assert!(Instant::now() < until, "the round after a reload is not kept: {}", watch.stderr());
    }
    says(&doctor(lab), "watched-by: fit", &[]);
}

#[test]
fn f043_a_configuration_that_cannot_be_used_is_told_rule_by_rule_beside_what_needs_none() {
    let lab = set_up();
    lab.configure(&[("decision.threshold", "0"), ("decision.rounds", "99")]).unwrap();
    lab.inject(&Fault::ForwardOff(Nat::Standby)).unwrap();
    let run = doctor(&lab);
    assert_eq!(run.status, Some(78), "{run}");
    let found = findings(&run);
    let violated: Vec<&Found> = found.iter().filter(|one| one.head == "configuration: unfit").collect();
    assert_eq!(violated.len(), 2, "{run}");
    assert!(
        violated[0].words.contains("decision.rounds = 99") && violated[1].words.contains("decision.threshold = 0"),
        "{run}"
    );
    says(&run, "forwarding IPv4: unfit", &["ip_forward is 0"]);
    let text = lab.natwatch(&["doctor"]).unwrap();
    assert_eq!((text.status, text.stderr.as_str()), (Some(78), ""), "{text}");
    assert!(text.stdout.starts_with("FAIL  configuration: /"), "{text}");
}

#[test]
fn f066_witnesses_of_the_standbys_own_are_asked_too() {
    let lab = set_up();
    lab.configure(&[("standby.witnesses", r#"["b4"]"#)]).unwrap();
    let run = doctor(&lab);
    says(&run, "own-witnesses: fit", &["1 of 1"]);
    lab.inject(&Fault::BackendDead(4)).unwrap();
    says(&doctor(&lab), "own-witnesses: unfit", &["0 of 1", "unfit"]);
}

#[test]
fn a_signal_ends_it_and_leaves_no_session_behind() {
    let lab = set_up();
    for n in 0..6 {
        lab.inject(&Fault::SlowLogin(n, 8)).unwrap();
    }
    let run = lab.command(&["doctor"]).spawn().unwrap();
    let until = Instant::now() + SOON;
    while ssh_processes(&lab).is_empty() {
        assert!(Instant::now() < until, "it has not begun");
    }
    run.kill(Signal::TERM).unwrap();
    let run = run.wait(SOON).unwrap();
    assert_eq!(run.status, Some(3), "{run}");
    assert!(run.stderr.contains("ended by signal 15"), "{run}");
    let until = Instant::now() + SOON;
    while !ssh_processes(&lab).is_empty() {
        assert!(Instant::now() < until, "ssh goes on");
    }
}
