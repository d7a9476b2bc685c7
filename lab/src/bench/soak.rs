//! `watch` at a fast pace through an hour of faults, takeovers and repairs: nothing may grow.

use std::thread;
use std::time::{Duration, Instant};

use natwatch_lab::{Fault, Lab, Nat, Options, Signal};

use super::figures::table;
use super::outage::home;
use super::outages::{carried, seasoned};
use super::samples::{Sample, trends};
use super::watcher::{self, Pace, Watcher};
use super::{Bench, progress};

/// The panel of eight has to choose.
const BACKENDS: usize = 10;

/// Takeovers at the fast pace take less than a second; what takes so long is missed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long what is no outage lasts, each.
const NUISANCE: Duration = Duration::from_secs(6);

/// Whose dying is an outage, by turns.
const OUTAGES: [Fault; 4] = [
    Fault::MasqueradeGone(Nat::Primary),
    Fault::Crash(Nat::Primary),
    Fault::ForwardOff(Nat::Primary),
    Fault::UplinkDead(Nat::Primary),
];

/// What goes wrong besides in minute `n`, one after the other.
fn nuisances(n: usize) -> [Fault; 5] {
    let (one, two) = (n % BACKENDS, (n + 3) % BACKENDS);
    [
        Fault::SshdHang(one),
        Fault::BackendDead(two),
        Fault::ApiDown,
        Fault::TargetDead(1 + u8::try_from(n % 3).unwrap_or(0)),
        if n.is_multiple_of(2) { Fault::ImdsDown } else { Fault::UplinkDead(Nat::Standby) },
    ]
}

pub(super) fn all(bench: &Bench, measured: &str, minutes: u16) -> anyhow::Result<String> {
    let lab = Lab::up(&Options { natwatch: bench.natwatch()?, reply: None, backends: BACKENDS, ..Options::default() })?;
    lab.configure(Pace::Fast.changes())?;
    seasoned(&lab)?;
    let watcher = Watcher::start(&lab, &["watch"])?;
    let end = Instant::now() + Duration::from_secs(60 * u64::from(minutes));
    let (mut samples, mut takeovers, mut calls) = (Vec::new(), 0_u32, 0);
    for n in 0.. {
        let began = Instant::now();
        if began >= end {
            break;
        }
        // A record of an hour takes long to look through.
        lab.traffic().stop();
        lab.traffic().start()?;
        lab.api().forget_calls();
        for fault in nuisances(n) {
            lab.inject(&fault)?;
            thread::sleep(NUISANCE);
            lab.heal(&fault)?;
        }
        anyhow::ensure!(carried(&lab) == 0, "a false takeover in minute {n}:\n{}", watcher.running.stderr());
        watcher.running.kill(Signal::HUP)?;
        watcher.settle(&lab)?;
        if let Some(fault) = OUTAGES.get(n % OUTAGES.len()) {
            outage(&lab, &watcher, fault)?;
            takeovers += 1;
        }
        home(&lab)?;
        watcher.settle(&lab)?;
        thread::sleep((began + Duration::from_mins(1)).saturating_duration_since(Instant::now()));
        calls += lab.api().calls().len();
        let sample = Sample::take(&lab, &watcher)?;
        progress(&format!("soak: minute {n}: {sample:?}"));
        samples.push(sample);
    }
    let lines = watcher.running.stderr().lines().count();
    watcher.stop()?;
    let trends = trends(&samples);
    let rows: Vec<_> = trends
        .iter()
        .map(|one| vec![one.what.to_owned(), one.second.to_string(), one.last.to_string(), one.worst.to_string()])
        .collect();
    let table = table(
        &["looked at each minute, while calm", "median of the second quarter", "of the last quarter", "highest"],
        &rows,
    );
    let grown: Vec<_> = trends.iter().filter(|one| one.grown).map(|one| one.what).collect();
    anyhow::ensure!(grown.is_empty(), "grown: {}\n{table}", grown.join(", "));
    Ok(format!(
        "{measured}\n\n`natwatch watch`, at the fast pace, for {minutes} minutes: each minute a hanging sshd, a dead backend, a dead API, a dead target, a dead metadata service or uplink of the standby's, \
         a SIGHUP, an outage, its takeover, and the way home. {takeovers} takeovers, none false, none missed; {calls} EC2 calls, {lines} lines of log. Nothing has grown.\n\n{table}"
    ))
}

fn outage(lab: &Lab, watcher: &Watcher, fault: &Fault) -> anyhow::Result<()> {
    lab.inject(fault)?;
    let began = Instant::now();
    while carried(lab) < lab.ids().subnets.len() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "missed: {fault}\n{}", watcher.running.stderr());
        thread::sleep(Duration::from_millis(5));
    }
    watcher::recorded(lab)
}
