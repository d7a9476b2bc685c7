//! Pings of a few backends without end, while something is changed that they depend on: how long were they without an answer?
//!
//! It is a measure and no evidence: nothing is decided by it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};

use super::round::Observer;
use super::{Uplink, Vantages};
use crate::model::{Backend, Fate, Gap, Target};

/// Between two pings of one backend. With [`BACKENDS`] of them the targets get ten pings a second together, which those that limit pings
/// let pass.
const EVERY: Duration = Duration::from_millis(200);

/// One may be slow, or reboot.
pub(crate) const BACKENDS: usize = 2;

/// A drill takes a minute: beyond this many pings nothing is kept, so that one that hangs fills no memory.
const KEPT: usize = 10_000;

/// Past `targets.timeout`, the wait for one ping's outcome to be heard: a session that hangs is no outage.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// What was pinged so far.
#[derive(Debug, Default)]
pub struct Gauge {
    /// Of each backend, in order: when a ping was sent, and whether it was answered.
    pings: RefCell<Vec<Vec<(Instant, bool)>>>,
}

impl Gauge {
    fn note(&self, backend: usize, sent: Instant, answered: bool) {
        let mut all = self.pings.borrow_mut();
        while all.len() <= backend {
            all.push(Vec::new());
        }
        if let Some(pings) = all.get_mut(backend).filter(|pings| pings.len() < KEPT) {
            pings.push((sent, answered));
        }
    }

    /// Waits until each of `backends` was answered once, and for `patience` at most.
    pub async fn warm(&self, backends: usize, patience: Duration) {
        let until = Instant::now() + patience;
        let answered = || self.pings.borrow().iter().filter(|pings| pings.iter().any(|(_, yes)| *yes)).count();
        while answered() < backends && Instant::now() < until {
            sleep(EVERY / 10).await;
        }
    }

    /// What the pings that were sent from `from` until `to` say. A gap is theirs whose first miss was among them or, where nothing was
    /// missed, the answer that ended it; it lasts until `now` where no answer has ended it. `None`: there were no pings.
    #[must_use]
    pub fn between(&self, from: Instant, to: Instant, now: Instant) -> Option<Gap> {
        let all = self.pings.borrow();
        let within = |sent: Instant| from <= sent && sent < to;
        let mut gap = Gap { backends: 0, pings: 0, lost: 0, longest: Duration::ZERO, open: false };
        for pings in all.iter() {
            let ours = pings.iter().filter(|(sent, _)| within(*sent));
            let (count, lost) = ours.fold((0, 0), |(all, lost), (_, yes)| (all + 1, lost + usize::from(!yes)));
            gap.backends += usize::from(count > 0);
            gap.pings += count;
            gap.lost += lost;
            // Whoever was answered already is known to have been well until then; else the first ping has to do.
            let mut before = pings.first().map_or(from, |(sent, _)| *sent);
            let mut missed = None;
            for (sent, yes) in pings {
                if *yes {
                    let long = sent.duration_since(before);
                    if within(missed.take().unwrap_or(*sent)) && long > gap.longest {
                        (gap.longest, gap.open) = (long, false);
                    }
                    before = *sent;
                } else {
                    missed = missed.or(Some(*sent));
                }
            }
            let open = now.saturating_duration_since(before);
            if missed.is_some_and(within) && open > gap.longest {
                (gap.longest, gap.open) = (open, true);
            }
        }
        (gap.pings > 0).then_some(gap)
    }
}

impl<V: Vantages, U: Uplink> Observer<'_, V, U> {
    /// Has `backends` ping `targets` in turn, each on its own, and keeps what comes of it in `gauge`. It has no end; whoever stops waiting
    /// for it ends it.
    pub async fn gauge(&self, backends: &[Backend], targets: &[Target], gauge: &Gauge) -> Infallible {
        let pinging = backends.iter().enumerate().map(|(n, backend)| async move {
            for turn in (n..).take(KEPT * 2) {
                let next = Instant::now() + EVERY;
                let Some(target) = turn.checked_rem(targets.len()).and_then(|turn| targets.get(turn)) else { break };
                if let Some((sent, answered)) = self.ping_once(backend, target).await {
                    gauge.note(n, sent, answered);
                }
                sleep_until(next).await;
            }
        });
        join_all(pinging).await;
        std::future::pending().await
    }

    /// When a ping was sent, and whether it was answered; `None`: nothing was heard of it.
    async fn ping_once(&self, backend: &Backend, target: &Target) -> Option<(Instant, bool)> {
        let session = self.session(backend).await.ok()?;
        let wait = self.timeout();
        let heard =
            tokio::time::timeout(wait + HEARD_WITHIN, self.vantages().ping(backend, &session, target, wait)).await;
        let Ok(Ok(asked)) = heard else {
            self.leave(&backend.host);
            return None;
        };
        Some((asked.begun, matches!(asked.fate, Fate::Reply { .. })))
    }
}

#[cfg(test)]
mod tests;
