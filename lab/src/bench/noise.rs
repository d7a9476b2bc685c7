//! `watch` in a network that is bad, and a primary that does its work: every takeover is a false one.
//!
//! Every link loses packets, one target is dead, a backend reboots each minute, and the primary pauses for half a second each
//! minute. At the end the primary dies, as a watch that never takes over is easily made.

use std::thread;
use std::time::{Duration, Instant};

use natwatch_lab::{Fault, Lab, Nat, Options};

use super::outages::{carried, seasoned};
use super::watcher::{Pace, Watcher};
use super::{Bench, progress};

/// Loss of each link and direction: a ping from a backend and its reply pass eight, so every third is lost.
const LOSS: u8 = 5;

/// Row 101 of the fault catalogue: a migration, a firewall's reload.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a backend is away when it reboots.
const REBOOT: Duration = Duration::from_secs(20);

/// The panel of eight has to choose.
const BACKENDS: usize = 10;

/// By when the last outage must be over; a third of all pings to a dead primary are lost to begin with, and EC2's too.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn all(bench: &Bench, measured: &str, minutes: u16) -> anyhow::Result<String> {
    let lab = Lab::up(&Options { natwatch: bench.natwatch()?, reply: None, backends: BACKENDS, ..Options::default() })?;
    lab.configure(Pace::Usual.changes())?;
    seasoned(&lab)?;
    let watcher = Watcher::start(&lab, &["watch"])?;
    watcher.settle(&lab)?;
    lab.api().forget_calls();
    lab.inject(&Fault::LinksLose(LOSS))?;
    lab.inject(&Fault::TargetDead(2))?;
    for minute in 0..minutes {
        let began = Instant::now();
        let backend = usize::from(minute) % BACKENDS;
        let reboot = [Fault::BackendDead(backend), Fault::SshdDead(backend)];
        reboot.iter().try_for_each(|fault| lab.inject(fault))?;
        until(began + REBOOT);
        reboot.iter().rev().try_for_each(|fault| lab.heal(fault))?;
        // Anywhere in the rest of the minute.
        until(began + REBOOT + Duration::from_secs(35).mul_f64(rand::random()));
        lab.inject(&Fault::Pause(PAUSE))?;
        until(began + Duration::from_mins(1));
        anyhow::ensure!(carried(&lab) == 0, "a false takeover in minute {minute}:\n{}", watcher.running.stderr());
        progress(&format!("noise: minute {} of {minutes}, no takeover", minute + 1));
    }
    let (moves, calls) = (lab.api().mutations().len(), lab.api().calls().len());
    anyhow::ensure!(moves == 0, "{moves} calls that change something");
    let lines = watcher.running.stderr().lines().count();
    // Still awake?
    lab.traffic().stop();
    lab.traffic().start()?;
    let mark = lab.traffic().mark();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary))?;
    while carried(&lab) < lab.ids().subnets.len() {
        anyhow::ensure!(
            mark.elapsed() < PATIENCE,
            "an outage after the noise is not taken over:\n{}",
            watcher.running.stderr()
        );
        thread::sleep(Duration::from_millis(5));
    }
    let awake = mark.elapsed();
    lab.heal(&Fault::LinksLose(LOSS))?;
    lab.traffic().wait_flowing(Duration::from_secs(5))?;
    watcher.stop()?;
    Ok(format!(
        "{measured}\n\n`natwatch watch`, as it comes, for {minutes} minutes: every link loses {LOSS} % of its packets each way (a backend's ping and its reply pass eight, so a third of them are lost), one target of three is dead, \
         one of {BACKENDS} backends after the other reboots ({} s, one a minute), and the primary pauses for half a second each minute. **False takeovers: 0.** It wrote {lines} lines to its log and made {calls} EC2 calls, none that changes anything. \
         When the primary lost its masquerade rule at the end, in the same noise, all subnets were moved after {:.1} s.",
        REBOOT.as_secs(),
        awake.as_secs_f64()
    ))
}

fn until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}
