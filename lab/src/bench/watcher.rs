//! A `natwatch watch` in a lab, from its start to SIGTERM: what outages, resources, noise and soak have in common.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use natwatch_lab::{Call, Lab, Nat, Outcome, Pings, Running, Signal, UID};
use serde_json::Value;

use super::meter::Group;

/// Pings through the primary that make a watch one that is at work: a whole window of the panel of eight, and one more.
const PINGS: usize = 9;

/// Nine pings take three seconds at the usual pace.
const PATIENCE: Duration = Duration::from_secs(30);

/// As `takeover.verify_for`, and some.
const VERIFIED: Duration = Duration::from_secs(20);

/// As the contract has it for SIGTERM, and some.
const ENDING: Duration = Duration::from_secs(12);

/// Shorter than between two pings at the fast pace.
const AT_ONCE: Duration = Duration::from_millis(60);

/// How often a watch looks, and how soon it believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// All defaults.
    Usual,
    /// For networks that don't lose packets, and targets that don't mind.
    Fast,
}

impl Pace {
    pub(super) const fn interval(self) -> Duration {
        match self {
            Self::Usual => Duration::from_secs(1),
            Self::Fast => Duration::from_millis(300),
        }
    }

    /// In the words of the configuration.
    pub(super) const fn changes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Usual => &[],
            Self::Fast => &[
                ("decision.interval", "\"300ms\""),
                ("decision.watch_span", "\"200ms\""),
                ("targets.timeout", "\"100ms\""),
            ],
        }
    }
}

/// What systemd's `RuntimeDirectory=` gives: where ssh's sockets are.
pub(super) fn runtime(lab: &Lab) -> PathBuf {
    lab.plan().root.join("runtime")
}

/// A watch under way.
pub(super) struct Watcher {
    pub(super) running: Running,
    pub(super) group: Option<Group>,
    pings: Pings,
}

impl Watcher {
    /// Starts one with `natwatch ARGS…`; it need not be ready when this returns.
    pub(super) fn start(lab: &Lab, args: &[&str]) -> anyhow::Result<Self> {
        let pings = lab.pings()?;
        let runtime = runtime(lab);
        fs::create_dir_all(&runtime).with_context(|| format!("make {}", runtime.display()))?;
        chown(&runtime, Some(UID), Some(UID))?;
        let command = lab.command(args).env("RUNTIME_DIRECTORY", &runtime.to_string_lossy());
        let group = Group::make();
        let running = match &group {
            Some(group) => group.inside(|| command.spawn())?,
            None => command.spawn()?,
        };
        Ok(Self { running, group, pings })
    }

    /// Waits until it is at work through the primary, without a lock: one that an earlier takeover left is cleared.
    pub(super) fn settle(&self, lab: &Lab) -> anyhow::Result<()> {
        unlock(lab)?;
        self.pings.forget()?;
        let limit = Instant::now() + PATIENCE;
        let through = |ping: &natwatch_lab::Ping| ping.source == Nat::Primary.address();
        while self.pings.seen()?.iter().filter(|ping| through(ping)).count() < PINGS {
            anyhow::ensure!(
                Instant::now() < limit,
                "the watch does not ping through the primary:\n{}",
                self.running.stderr()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until it has read what a takeover needs to know; the log of calls begins with its start.
    pub(super) fn at_hand(&self, lab: &Lab) -> anyhow::Result<()> {
        let limit = Instant::now() + PATIENCE;
        let read = |calls: &[Call]| !calls.is_empty() && calls.iter().all(|call| call.outcome != Outcome::Pending);
        while !read(&lab.api().calls()) {
            anyhow::ensure!(Instant::now() < limit, "the watch does not ask EC2:\n{}", self.running.stderr());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// When it first pinged all three targets at once from the standby, which while all is well it does by turns.
    pub(super) fn burst(&self, since: Instant) -> anyhow::Result<Option<Instant>> {
        let own = |ping: &natwatch_lab::Ping| ping.source == Nat::Standby.address() && ping.at >= since;
        let times: Vec<_> = self.pings.seen()?.iter().filter(|ping| own(ping)).map(|ping| ping.at).collect();
        Ok(at_once(&times))
    }

    /// Ends it as systemd does.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.running.kill(Signal::TERM)?;
        let run = self.running.wait(ENDING)?;
        anyhow::ensure!(run.status == Some(0), "the watch has not ended well: {run}");
        Ok(())
    }
}

/// Clears the lock that an earlier takeover left, as an operator does.
pub(super) fn unlock(lab: &Lab) -> anyhow::Result<()> {
    if lab.plan().state().join("natwatch/takeover.json").exists() {
        let run = lab.natwatch(&["reset", "--yes"])?;
        anyhow::ensure!(run.status == Some(0), "the lock cannot be cleared: {run}");
    }
    Ok(())
}

/// Waits until a takeover is on record as complete, and judged.
pub(super) fn recorded(lab: &Lab) -> anyhow::Result<()> {
    let path = lab.plan().state().join("natwatch/takeover.json");
    let limit = Instant::now() + VERIFIED;
    loop {
        // Not there yet, at first.
        let text = fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
        let record: Value = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        let moves = record.get("moves").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let judged = |one: &Value| one.get("verification").is_some_and(|word| word != "pending");
        if record.get("phase").is_some_and(|phase| phase == "taken") && moves.iter().all(judged) {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < limit, "the takeover is not recorded as complete: {text}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The first of three that come at once.
fn at_once(times: &[Instant]) -> Option<Instant> {
    let at_once = |three: &&[Instant]| matches!(three, [first, _, last] if *last <= *first + AT_ONCE);
    times.windows(3).find(at_once).and_then(|three| three.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_three_pings_at_once_and_not_one_after_the_other() {
        let start = Instant::now();
        let times = |millis: &[u64]| millis.iter().map(|at| start + Duration::from_millis(*at)).collect::<Vec<_>>();
        assert_eq!(at_once(&times(&[0, 100, 200, 300, 302, 305])), Some(start + Duration::from_millis(300)));
        assert_eq!(at_once(&times(&[0, 100, 200, 201, 300])), None);
        assert_eq!(at_once(&times(&[0, 1])), None);
    }
}
