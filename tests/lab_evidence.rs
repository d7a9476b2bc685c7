//! What fooled the evidence once, found by whoever tried to. Needs root, for the lab.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use natwatch_lab::{Fault, Lab, Nat, Options, Run, UID};
use serde_json::Value;

const ALL: (&str, &str) = ("backends.panel", "0");
const SHORT: (&str, &str) = ("decision.run_span", "\"200ms\"");

fn raise(subnets: usize, backends: usize) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    Lab::up(&Options { natwatch, subnets, backends, traffic: false, ..Options::default() }).unwrap()
}

fn run(lab: &Lab) -> Run {
    lab.natwatch(&["run", "--format", "json"]).unwrap()
}

/// Runs until everybody has had a turn.
fn season(lab: &Lab) {
    for _ in 0..6 {
        let run = run(lab);
        assert_eq!(run.status, Some(0), "{run}");
    }
}

fn sh(lab: &Lab, host: &str, script: &str) {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let run = lab.program(host, "/bin/sh", &["-ec", script]).env("PATH", path).run().unwrap();
    assert_eq!(run.status, Some(0), "{run}");
}

#[track_caller]
fn nothing_moved(lab: &Lab, run: &Run) {
    assert!(lab.api().mutations().is_empty(), "a false takeover: {run}");
}

fn outcome(run: &Run) -> String {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    report["outcome"].as_str().unwrap().to_owned()
}

/// Defaults: three targets, panel 8. The pause is less than a third of the span.
#[test]
fn f100_f101_targets_that_limit_pings_and_a_short_pause_are_no_outage() {
    let lab = raise(2, 12);
    season(&lab);
    for _ in 0..4 {
        lab.inject(&Fault::TargetsLimit(2, 2)).unwrap();
        lab.inject(&Fault::Pause(Duration::from_millis(900))).unwrap();
        nothing_moved(&lab, &run(&lab));
        lab.heal_all().unwrap();
    }
}

/// One host with a broken firewall of its own, under three names.
#[test]
fn f044_names_that_lead_to_one_address_are_one_backend() {
    let lab = raise(2, 6);
    let one = ["www.example", "app.example", "api.example"].map(|name| (name, "10.0.10.10"));
    lab.name(&[&one[..], &[("db.example", "10.0.11.11")]].concat()).unwrap();
    let known = format!("\"{}\"", lab.plan().state().join("known_hosts").display());
    let hosts = ("backends.hosts", r#"["www.example", "app.example", "api.example", "db.example"]"#);
    let keys = [("backends.host_keys", "\"accept-new\""), ("backends.known_hosts", known.as_str())];
    lab.configure(&[&keys[..], &[("backends.hosts_file", ""), hosts, ALL, SHORT]].concat()).unwrap();
    for _ in 0..6 {
        run(&lab);
    }
    sh(
        &lab,
        "b0",
        "nft add table ip x; nft add chain ip x i '{ type filter hook input priority 0; }'; nft add rule ip x i icmp type echo-reply drop",
    );
    nothing_moved(&lab, &run(&lab));
}

/// Whoever answers without the NAT hides that the NAT is dead.
#[test]
fn a_target_that_is_reached_without_the_nat_hides_no_outage() {
    for third in ["10.0.0.20", "inner.example", "own.example"] {
        let lab = raise(2, 6);
        lab.name(&[("inner.example", "10.0.0.20"), ("own.example", "127.0.0.1")]).unwrap();
        let hosts = format!(r#"["203.0.113.1", "203.0.113.2", "{third}"]"#);
        lab.configure(&[("targets.hosts", &hosts), SHORT]).unwrap();
        for _ in 0..6 {
            run(&lab);
        }
        lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
        let run = run(&lab);
        assert_ne!(run.status, Some(0), "{third}: {run}");
    }
}

/// An operator has moved one subnet within the last hour; then the primary dies.
#[test]
fn a_subnet_that_was_moved_by_hand_hides_no_outage_of_the_others() {
    let lab = raise(2, 6);
    lab.configure(&[SHORT]).unwrap();
    season(&lab);
    lab.associate(1, &lab.ids().standby.table).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    run(&lab);
    // What the first run found odd, the second must know.
    let run = run(&lab);
    assert_eq!(lab.carrier(0).unwrap(), lab.ids().standby.table, "{run}");
}

/// Hosts that only `backends.ssh_config` knows have no address, so they never become witnesses.
#[test]
fn backends_that_can_never_accuse_are_not_healthy() {
    let lab = raise(2, 6);
    let path = lab.plan().config().with_file_name("ssh_config");
    let hosts = (0..6).map(|n| format!("Host host{n}\n  HostName 10.0.{}.{}\n", 10 + n % 2, 10 + n));
    fs::write(&path, hosts.collect::<String>()).unwrap();
    chown(&path, Some(0), Some(UID)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let file = format!("\"{}\"", path.display());
    let names = r#"["host0", "host1", "host2", "host3", "host4", "host5"]"#;
    let aliases = [("backends.hosts_file", ""), ("backends.ssh_config", file.as_str()), ("backends.hosts", names)];
    lab.configure(&[&aliases[..], &[SHORT]].concat()).unwrap();
    for _ in 0..6 {
        run(&lab);
    }
    let well = run(&lab);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let dead = run(&lab);
    assert!(well.status != Some(0) || dead.status == Some(4), "{well} {dead}");
}

/// `MaxSessions 1` of `sshd_config(5)`, as on a hardened host: several pings at once are refused, one is not.
#[test]
fn f029_a_backend_that_allows_one_session_is_heard_in_confirming_rounds() {
    let lab = raise(2, 6);
    lab.configure(&[SHORT]).unwrap();
    for n in 0..6 {
        let folder = lab.authorized_keys(n).unwrap().parent().unwrap().to_owned();
        let config = folder.join("sshd_config");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("MaxSessions 1\n{text}")).unwrap();
        let pid = fs::read_to_string(folder.join("pid")).unwrap();
        assert!(Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap().success());
    }
    // A server that is starting again refuses.
    assert!((0..20).any(|_| run(&lab).status == Some(0)), "the servers do not come back");
    season(&lab);
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let over = run(&lab);
    assert_eq!(outcome(&over), "taken-over", "{over}");
}

/// 40 kB that are no TOML end the process by its own stack (SIGABRT).
#[test]
fn a_scenario_that_is_no_toml_is_refused_and_crashes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    fs::write(&path, "[[a]]\n[b]\nx = [{ id = \"e\n".repeat(2000)).unwrap();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_natwatch"));
    let over = replay.arg("replay").arg(&path).output().unwrap();
    assert_eq!(over.status.code(), Some(2), "{:?}", over.status);
}
