//! When systemd is told that a watch is ready and alive: the passes are its heartbeat, and nothing else is.
//!
//! Where a round may well take longer than systemd waits (a long interval, a large panel), it is told so while the round is not yet
//! overdue. A loop that hangs, and a round that never ends, are not covered up.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::daemon::Manager;

/// By then it is ready without a pass: who has not logged in within ten seconds (`backends.login_timeout`) is not heard, and whatever
/// waits for natwatch to be ready has nothing to gain from waiting longer. What is wrong then is in the status and in the log.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Signs of life in a watchdog's interval, as [`Manager::alive`] tells them.
const SIGNS: u32 = 4;

/// See the module.
pub(super) struct Pulse {
    ready_by: Option<Instant>,
    /// Between two signs of life within a round; `None`: nobody waits for any.
    apart: Option<Duration>,
    /// What a round takes.
    round: Duration,
    /// The last pass, or the last sign of life.
    last: Instant,
    overdue: Instant,
}

impl Pulse {
    /// `round`: what one takes where all is well; `ready`: systemd knows of it already.
    pub(super) fn new(round: Duration, watchdog: Option<Duration>, ready: bool) -> Self {
        let now = Instant::now();
        Self {
            ready_by: (!ready).then(|| now + READY_WITHIN),
            apart: watchdog.map(|interval| interval / SIGNS),
            round,
            last: now,
            overdue: now + round,
        }
    }

    /// Waits until something is to be told before the round is over.
    pub(super) async fn due(&self) {
        let sign = self.apart.map(|apart| self.last + apart).filter(|at| *at < self.overdue);
        match self.ready_by.into_iter().chain(sign).min() {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// It was due.
    pub(super) fn breathe(&mut self, manager: &mut Manager) {
        let now = Instant::now();
        if self.ready_by.is_some_and(|by| by <= now) {
            self.ready(manager);
        }
        // Also where it is too late for a sign, as after a freeze: else it would be due at once again, and nothing else would come to pass.
        self.last = now;
        if now < self.overdue {
            manager.alive();
        }
    }

    /// A pass is over.
    pub(super) fn passed(&mut self, manager: &mut Manager) {
        self.ready(manager);
        manager.alive();
        self.last = Instant::now();
        self.overdue = self.last + self.round;
    }

    /// Ready, if that was not told yet.
    pub(super) fn ready(&mut self, manager: &mut Manager) {
        if self.ready_by.take().is_some() {
            manager.ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use tokio::time::timeout;

    use super::*;

    const WATCHDOG: Duration = Duration::from_mins(2);

    #[tokio::test(start_paused = true)]
    async fn f004_a_sign_that_a_freeze_has_made_too_late_is_not_due_for_ever() {
        let mut pulse = Pulse::new(Duration::from_secs(2), Some(Duration::from_secs(4)), true);
        let mut manager = Manager::new(None, None);
        tokio::time::advance(Duration::from_secs(5)).await;
        pulse.due().await;
        pulse.breathe(&mut manager);
        assert!(timeout(Duration::from_mins(1), pulse.due()).await.is_err(), "until a pass is over");
    }

    /// What systemd is told within `length`, at which second, by a loop in which no pass ends.
    async fn told(mut pulse: Pulse, length: Duration) -> Vec<(u64, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let mut manager = Manager::new(Some(path.into_os_string()), Some(WATCHDOG));
        let (began, mut told, mut buffer) = (Instant::now(), Vec::new(), [0; 100]);
        while timeout((began + length).saturating_duration_since(Instant::now()), pulse.due()).await.is_ok() {
            pulse.breathe(&mut manager);
            while let Ok(length) = systemd.recv(&mut buffer) {
                told.push((began.elapsed().as_secs(), String::from_utf8(buffer[..length].to_vec()).unwrap()));
            }
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn f094_a_round_that_may_take_longer_than_systemd_waits_gives_signs_of_life_until_it_is_overdue() {
        let sign = |at: u64| (at, "WATCHDOG=1\n".to_owned());
        let minutes = Duration::from_mins;
        let ready = Pulse::new(minutes(2), Some(WATCHDOG), true);
        assert_eq!(told(ready, Duration::from_hours(1)).await, [sign(30), sign(60), sign(90)]);
        // One that is short gives none: its end is its sign.
        assert_eq!(told(Pulse::new(Duration::from_secs(3), Some(WATCHDOG), true), Duration::from_hours(1)).await, []);
        // Nobody waits for any.
        assert_eq!(told(Pulse::new(minutes(10), None, true), Duration::from_hours(1)).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_after_ten_seconds_whether_or_not_a_pass_is_over() {
        let pulse = Pulse::new(Duration::from_secs(3), Some(WATCHDOG), false);
        assert_eq!(told(pulse, Duration::from_hours(1)).await, [(10, "READY=1\n".to_owned())]);
    }
}
