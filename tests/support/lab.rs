//! What the tests of the whole program in the lab share.

use std::path::PathBuf;
use std::time::Duration;

use natwatch_lab::{Lab, Nat, Options, Run};

/// Longer than any takeover takes here; a bound, not a measure.
pub(crate) const FLOWS_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn raise() -> Lab {
    Lab::up(&Options { natwatch: PathBuf::from(env!("CARGO_BIN_EXE_natwatch")), ..Options::default() }).unwrap()
}

/// A lab whose backends are witnesses already, as after the first minutes of any installation. Evidence for a takeover needs
/// no longer span than the test has patience for, but two rounds all the same.
pub(crate) fn seasoned() -> Lab {
    let lab = raise();
    lab.configure(&[("decision.run_span", "\"200ms\""), ("decision.rounds", "2"), ("backends.panel", "0")]).unwrap();
    // With panel 0 everybody is asked, but a round may end before the last is heard: two are enough for six.
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab
}

#[track_caller]
pub(crate) fn expect(run: &Run, status: i32) {
    assert_eq!(run.status, Some(status), "{run}");
}

#[track_caller]
pub(crate) fn carried_by(lab: &Lab, nat: Nat) {
    let table = match nat {
        Nat::Primary => &lab.ids().primary.table,
        Nat::Standby => &lab.ids().standby.table,
    };
    for subnet in 0..lab.ids().subnets.len() {
        assert_eq!(&lab.carrier(subnet).unwrap(), table, "subnet {subnet}");
    }
}

pub(crate) fn json(run: &Run) -> serde_json::Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

#[track_caller]
pub(crate) fn silent_for(run: &Run, host: &str, reason: &str) {
    let report = json(run);
    let backends = report["rounds"][0]["backends"].as_array().unwrap();
    let one = backends.iter().find(|one| one["host"] == host).unwrap_or_else(|| panic!("{host} was not asked: {run}"));
    assert_eq!(one["reason"], reason, "{run}");
}

/// Command lines of the `ssh` processes on the standby.
pub(crate) fn ssh_processes(lab: &Lab) -> Vec<String> {
    let ns = &lab.plan().nat(Nat::Standby).unwrap().ns;
    let pids = std::process::Command::new("ip").args(["netns", "pids", ns]).output().unwrap();
    String::from_utf8(pids.stdout)
        .unwrap()
        .lines()
        .filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.split(' ').next().is_some_and(|program| program.ends_with("ssh")))
        .collect()
}
