//! A ping that is late: by others it is found out at once whether that is its own loss.
//!
//! An answer comes within milliseconds, and a miss is certain only after the timeout. So where one is late, three more backends are asked
//! beside it, each for another target. If one of them is answered, whatever was missed before is over, and nobody's alarm rings for
//! a lost packet. If none is, four backends have missed something almost at once, and what spans from there on spans an outage: a
//! pause of the primary, which begins when a packet is lost by chance, does not gain the time in between.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Calm;
use super::posts::{Place, Turn};
use crate::model::Target;
use crate::observe::{Uplink, Vantages};

/// So many more are asked. With two, all three were lost by chance just before a pause in one of 3,450 simulated pauses at 3 % loss each way.
const MORE: usize = 3;

/// An answer is late past the smoothed round trip and twice its variation, both reckoned as RFC 6298 does (section 2). That takes four
/// times, but a retransmission is dearer than three pings that nobody needed…
const VARIATIONS: u32 = 2;

/// …but not before this part of the timeout.
const AT_LEAST: u32 = 6;

/// They are waited for, past their timeout, for this part of it: what SSH may take to bring an answer.
const ANSWERS: u32 = 3;

/// See the module.
pub(super) struct Doubt {
    timeout: Duration,
    /// How long answers take, smoothed, and by how much that varies.
    usual: Option<(Duration, Duration)>,
    /// Turns before this one are no longer looked at: they were late, or were asked because of one that was.
    from: u64,
    /// The turns of those who were asked beside a late one, and are not back.
    beside: Vec<u64>,
    /// They are not waited for any longer.
    until: Instant,
}

impl Doubt {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, usual: None, from: 0, beside: Vec::new(), until: Instant::now() }
    }

    /// An answer took so long.
    pub(super) fn answered(&mut self, took: Duration) {
        self.usual = Some(match self.usual {
            None => (took, took / 2),
            Some((usual, varies)) => ((usual * 7 + took) / 8, (varies * 3 + usual.abs_diff(took)) / 4),
        });
    }

    /// Whoever was asked in `turn` is back.
    pub(super) fn back(&mut self, turn: u64) {
        self.beside.retain(|one| *one != turn);
    }

    /// Whether somebody who was asked beside a late one may still be answered.
    pub(super) fn is_open(&self) -> bool {
        !self.beside.is_empty() && Instant::now() < self.until
    }

    /// All that is under way is given up.
    pub(super) fn give_up(&mut self) {
        self.beside.clear();
    }

    /// What is late; `None` where that is a miss already.
    fn late(&self) -> Option<Duration> {
        let (usual, varies) = self.usual.unwrap_or_default();
        Some((usual + varies * VARIATIONS).max(self.timeout / AT_LEAST)).filter(|late| *late < self.timeout)
    }
}

impl<'a, V: Vantages, U: Uplink> Calm<'a, V, U>
where
    V::Session: 'a,
{
    /// When there is something to look at.
    pub(super) fn doubt_due(&self) -> Option<Instant> {
        let at = |late: Duration| self.under_way().map(|(_, turn)| turn.at + late).min();
        let over = self.doubt.is_open().then_some(self.doubt.until);
        self.doubt.late().and_then(at).into_iter().chain(over).min()
    }

    /// Asks others beside whoever is late.
    pub(super) fn look_at_late(&mut self, located: &[Target]) {
        let Some(late) = self.doubt.late() else { return };
        let late: Vec<(&str, Turn)> = self.under_way().filter(|(_, turn)| turn.at.elapsed() >= late).collect();
        let Some(last) = late.iter().map(|(_, turn)| turn.number).max() else { return };
        let news = |(host, turn): &&(&str, Turn)| !self.alarm.expects(host, turn.target);
        let from = late.iter().find(news).and_then(|(_, turn)| located.iter().position(|one| one.addr == turn.target));
        self.doubt.from = last + 1;
        if self.doubt.is_open() || !self.rings() {
            return;
        }
        let Some(from) = from else { return };
        let family = located[from].family();
        let after = located.iter().enumerate().cycle().skip(from + 1).take(located.len());
        let others: Vec<usize> = after
            .filter(|(_, one)| one.family() == family && self.checked.good(one.addr) != Some(false))
            .map(|(at, _)| at)
            .collect();
        self.doubt.beside.clear();
        for target in others.into_iter().cycle().take(MORE) {
            self.owe(1);
            let asked = self.ask_for(located, target);
            self.doubt.beside.extend(asked);
        }
        self.doubt.from = self.turn;
        self.doubt.until = Instant::now() + self.doubt.timeout + self.doubt.timeout / ANSWERS;
    }

    fn under_way(&self) -> impl Iterator<Item = (&str, Turn)> {
        self.posts.iter().filter_map(|post| match post.state {
            Place::Asked(turn) if turn.number >= self.doubt.from => Some((post.host(), turn)),
            _ => None,
        })
    }
}

/// Waits until then; for ever, where there is no such moment.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
