//! The pace of a calm `natwatch watch` in the lab, as its targets see it: alone in its file, since the tests of one file run side by side, and
//! what these take of the processors delays the pings that are timed here. Needs root; `make test` runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/seasoned.rs"]
mod support;
#[path = "support/systemd.rs"]
#[expect(dead_code, reason = "shared with lab_watch, which uses all of it")]
mod systemd;

use std::fs;
use std::time::{Duration, Instant};

use natwatch_lab::testing::{carried_by, ssh_processes};
use natwatch_lab::{Fault, Nat};

use support::seasoned;
use systemd::Systemd;

#[test]
fn f100_f101_a_calm_watch_spares_the_targets_and_ec2_and_a_short_pause_moves_nothing() {
    let lab = seasoned();
    let systemd = Systemd::start(&lab, &[]);
    systemd.waits_for("READY=1");
    let healthy = || systemd.waits_for(" healthy: ");
    healthy();
    lab.api().forget_calls();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", systemd.pid())).unwrap().count();
    let (sessions, open) = (ssh_processes(&lab), descriptors());
    let pings = lab.pings().unwrap();
    // Eleven rounds, and at least half a minute.
    let (began, mut rounds) = (Instant::now(), 0);
    while rounds < 11 || began.elapsed() < Duration::from_secs(30) {
        healthy();
        rounds += 1;
    }
    let seen = pings.seen().unwrap();
    let calls = lab.api().calls();
    assert!(calls.is_empty(), "{calls:?}");
    // A ping that is under way has three.
    assert!(descriptors() <= open + 6, "{} were open, and then {}", open, descriptors());
    assert_eq!((sessions.len(), ssh_processes(&lab)), (6, sessions), "all sessions are the same");
    for nat in [Nat::Primary, Nat::Standby] {
        let sources = lab.plan().nat_addresses(nat);
        for n in 1..=3 {
            let addresses = lab.plan().target_addresses(n);
            let ours = |ping: &&natwatch_lab::Ping| sources.contains(&ping.source) && addresses.contains(&ping.target);
            let at: Vec<Instant> = seen.iter().filter(ours).map(|ping| ping.at).collect();
            // Once a second, by a clock that a busy machine reads late; never two of them at once, and none left out.
            let most = began.elapsed().as_secs() + 2;
            assert!((25..=most).contains(&(at.len() as u64)), "{nat:?}, target {n}: {} of {most}", at.len());
            let close = at.windows(2).filter(|two| two[1] - two[0] < Duration::from_millis(500)).count();
            assert!(close <= 1, "{nat:?}, target {n}: {close} within half a second");
        }
    }
    for pause in [500, 700] {
        lab.inject(&Fault::Pause(Duration::from_millis(pause))).unwrap();
        healthy();
        healthy();
        lab.heal_all().unwrap();
    }
    assert!(lab.api().mutations().is_empty());
    carried_by(&lab, Nat::Primary);
    systemd.ends();
}
