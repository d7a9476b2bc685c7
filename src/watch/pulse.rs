//! When systemd is told that a watch is ready and alive: the passes are its heartbeat, and nothing else is.
//!
//! Where a round may well take longer than systemd waits (a long interval, a large panel), it is told so while the round is not yet
//! overdue. A loop that hangs, and a round that never ends, are not covered up.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::again::round;
use crate::config::Settings;
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
    /// `ready`: systemd knows of it already.
    pub(super) fn new(settings: &Settings, watchdog: Option<Duration>, ready: bool) -> Self {
        let now = Instant::now();
        let round = round(settings);
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
        if now < self.overdue {
            self.last = now;
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
