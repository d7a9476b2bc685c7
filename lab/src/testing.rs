//! What tests of natwatch in the lab assert again and again. They fail by panicking, as tests do.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test that cannot go on fails"
)]

use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::natwatch::{Run, Running};
use crate::plan::Nat;

/// Asserts how natwatch ended; a failure shows all that it said.
#[track_caller]
pub fn expect(run: &Run, status: i32) {
    assert_eq!(run.status, Some(status), "{run}");
}

/// Longer than any takeover takes here; a bound, not a measure.
pub const FLOWS_WITHIN: Duration = Duration::from_secs(10);

/// Asserts which NAT's table every private subnet is on.
#[track_caller]
pub fn carried_by(lab: &Lab, nat: Nat) {
    let table = match nat {
        Nat::Primary => &lab.ids().primary.table,
        Nat::Standby => &lab.ids().standby.table,
    };
    for subnet in 0..lab.ids().subnets.len() {
        assert_eq!(&lab.carrier(subnet).unwrap(), table, "subnet {subnet}");
    }
}

/// Stops a process in the middle of whatever it does (`SIGSTOP`), and waits until it has stopped.
#[track_caller]
pub fn stopped(running: &Running) {
    running.kill(rustix::process::Signal::STOP).unwrap();
    let stat = format!("/proc/{}/stat", running.pid());
    let until = Instant::now() + FLOWS_WITHIN;
    while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
        assert!(Instant::now() < until, "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What natwatch printed with `--format json`.
#[track_caller]
pub fn json(run: &Run) -> serde_json::Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

/// Asserts that a backend was silent in the first round, and for which reason.
#[track_caller]
pub fn silent_for(run: &Run, host: &str, reason: &str) {
    let report = json(run);
    let backends = report["rounds"][0]["backends"].as_array().unwrap();
    let one = backends.iter().find(|one| one["host"] == host).unwrap_or_else(|| panic!("{host} was not asked: {run}"));
    assert_eq!(one["reason"], reason, "{run}");
}

/// Command lines of the `ssh` processes on the standby.
pub fn ssh_processes(lab: &Lab) -> Vec<String> {
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
