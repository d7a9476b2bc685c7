//! The calm of `watch`: evidence spread over time, as long as nothing is missed.
//!
//! Each target is pinged once per `decision.interval`, in turn, by one backend after the other, and by the standby beside it; so many
//! of these as a panel has members are a round. The first miss that is news ends it: the caller goes on in a burst
//! ([`Observer::round`]), over the same sessions, and comes back.
//!
//! Sessions are kept open to twice the panel, so that a burst has somebody else to ask; who can't be reached rests and is replaced, and
//! where there are more backends than that, one after the other takes a turn.
//!
//! It cannot change anything, and it does not fail. [`Calm::next`] may be dropped at any moment: nothing is lost by that.

mod alarm;
mod bounds;
mod checked;
mod doubt;
mod gathered;
mod posts;
mod turn;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub use alarm::Missed;

use self::alarm::Alarm;
use self::checked::Checked;
use self::doubt::Doubt;
use self::gathered::Gathered;
use self::posts::{Place, Posts};
use super::panel::Drawn;
use super::round::Observer;
use super::{TargetName, Uplink, Vantages};
use crate::model::{ControlFate, Fate, Probe, Round, Silence, SilenceReason, Target, Testimony};

/// Past the end that a round sets itself, as for any other: a process that was frozen for longer has old evidence.
const LATE: Duration = Duration::from_secs(1);

/// What comes of waiting.
#[derive(Debug)]
pub enum Cut {
    /// A round: every member of a panel was asked, or could not be.
    Round(Round),
    /// Misses that are news, oldest first.
    Missed(Vec<Missed>),
}

enum Event {
    Opened(String, Result<(), Silence>),
    Control(u64, IpAddr, ControlFate),
    Heard(String, Result<Vec<Probe>, Silence>),
}

/// See the module.
pub struct Calm<'a, V: Vantages, U> {
    observer: Rc<Observer<'a, V, U>>,
    interval: Duration,
    posts: Posts,
    work: FuturesUnordered<LocalBoxFuture<'a, Event>>,
    alarm: Alarm,
    miss: mpsc::UnboundedSender<(String, Probe)>,
    misses: mpsc::UnboundedReceiver<(String, Probe)>,
    /// Misses of which it is not known yet whether their targets were good.
    doubtful: Vec<(u64, Missed)>,
    good: watch::Sender<Option<Vec<Target>>>,
    doubt: Doubt,
    /// A miss is news, and nothing was answered since.
    rang: bool,
    checked: Checked,
    turn: u64,
    /// The next one to be pinged.
    target: usize,
    due: Instant,
    owed: u32,
    round: Gathered,
}

impl<'a, V: Vantages, U: Uplink> Calm<'a, V, U>
where
    V::Session: 'a,
{
    /// Each target once per `interval`.
    #[must_use]
    pub fn new(observer: Rc<Observer<'a, V, U>>, interval: Duration) -> Self {
        let (miss, misses) = mpsc::unbounded_channel();
        let now = Instant::now();
        let (round, timeout) = (Gathered::new(observer.now()), observer.timeout());
        Self {
            observer,
            interval,
            posts: Posts::new(now),
            work: FuturesUnordered::new(),
            alarm: Alarm::default(),
            miss,
            misses,
            doubtful: Vec::new(),
            good: watch::channel(Some(Vec::new())).0,
            doubt: Doubt::new(timeout),
            rang: false,
            checked: Checked::default(),
            turn: 0,
            target: 0,
            due: now,
            owed: 0,
            round,
        }
    }

    /// Who may be asked from now on, in this order. Who is asked already and still among them stays.
    pub fn draw(&mut self, order: Vec<Drawn>) {
        for host in self.posts.draw(order) {
            self.observer.leave(&host);
        }
        let hosts: Vec<&str> = self.posts.hosts().collect();
        self.alarm.forget_others(&hosts);
    }

    /// The backends to which sessions are open, or being opened.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.posts.hosts()
    }

    /// Whether a miss would end the calm if it were news: not while it is known that nothing comes of it.
    #[must_use]
    pub fn rings(&self) -> bool {
        self.alarm.rings(self.observer.now())
    }

    /// The primary is not down: the next miss that is news rings at once.
    pub fn all_clear(&mut self) {
        self.alarm.all_clear();
    }

    /// A burst is over: the calm begins anew. `down`: it has found the primary down, and nothing came of it.
    pub fn resume(&mut self, down: bool, targets: usize) {
        if down {
            self.alarm.in_vain(self.observer.now());
        } else {
            self.alarm.all_clear();
        }
        self.due = Instant::now() + self.apart(targets);
        self.round = Gathered::new(self.observer.now());
    }

    /// Waits until a round is complete, or something is missed.
    pub async fn next(&mut self, targets: &[(TargetName, Result<Target, String>)]) -> Cut {
        let located: Vec<Target> = targets.iter().filter_map(|(_, target)| target.as_ref().ok()).cloned().collect();
        // Of names that rotate, the addresses that were.
        self.checked.forget_others(&located);
        self.alarm.forget_other_targets(&located);
        loop {
            self.man();
            let (last, late) = (self.round.began + self.limit(&located), self.doubt_due());
            tokio::select! {
                biased;
                Some((host, probe)) = self.misses.recv() => self.missed(Missed { host, probe }),
                Some(event) = self.work.next() => self.note(event),
                () = sleep_until(self.due) => self.ask(&located),
                () = doubt::until(late) => self.look_at_late(&located),
                () = sleep_until(last) => return Cut::Round(self.carve(targets, &located)),
            }
            self.tell_good(&located);
            if self.sound(located.len()) {
                // What is under way is given up: the burst asks the same backends.
                self.give_up();
                return Cut::Missed(self.alarm.take());
            }
            if self.complete(&located) {
                return Cut::Round(self.carve(targets, &located));
            }
        }
    }

    /// Fills the vacant places, and has those logged in who are not.
    fn man(&mut self) {
        if let Some(host) = self.posts.fill(self.observer.panel()) {
            self.observer.leave(&host);
        }
        for backend in self.posts.log_in(|host| self.observer.is_open(host)) {
            let observer = Rc::clone(&self.observer);
            let opening = async move {
                let opened = observer.session(&backend).await.map(|_| ());
                Event::Opened(backend.host, opened)
            };
            self.work.push(opening.boxed_local());
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Opened(host, Ok(())) => self.posts.place(&host, Place::Ready),
            Event::Opened(host, Err(silence)) => self.silent(&host, silence, false),
            Event::Control(turn, addr, fate) => {
                self.round.control(addr, fate.clone());
                self.checked.note(turn, addr, fate);
            }
            Event::Heard(host, Ok(probes)) => {
                let turn = self.posts.asked(&host);
                self.posts.heard(&host);
                // What a miss called for.
                self.owe(probes.len().saturating_sub(1));
                if let Some(first) = probes.first()
                    && matches!(first.fate, Fate::Reply { .. })
                {
                    if let Some(turn) = turn {
                        self.doubt.answered(turn.at.elapsed());
                        self.doubt.back(turn.number);
                    }
                    self.alarm.replied(&host, first.target.addr, first.earliest);
                }
                self.gather(&host, Testimony::Probes(probes));
            }
            Event::Heard(host, Err(silence)) => {
                let broke = matches!(silence.reason, SilenceReason::Disconnected | SilenceReason::Hung);
                self.silent(&host, silence, broke);
            }
        }
    }

    /// Nothing was heard. Whose session `broke` logs in again; all others rest.
    fn silent(&mut self, host: &str, silence: Silence, broke: bool) {
        if let Some(turn) = self.posts.asked(host) {
            self.doubt.back(turn.number);
        }
        self.gather(host, Testimony::Silent(silence.clone()));
        if broke {
            self.posts.place(host, Place::Closed);
        } else {
            self.posts.rest(host, silence, self.observer.panel());
        }
    }

    fn gather(&mut self, host: &str, testimony: Testimony) {
        if let Some(post) = self.posts.of(host) {
            self.round.hear(post.drawn.clone(), testimony);
        }
    }

    /// A first ping was missed.
    fn missed(&mut self, missed: Missed) {
        if let Some(turn) = self.posts.asked(&missed.host) {
            self.doubt.back(turn.number);
            self.doubtful.push((turn.number, missed));
        }
    }

    /// Whether a miss ends the calm. One of a target that did not answer the standby either is no evidence against anybody, and whatever
    /// was missed before an answer is over.
    fn sound(&mut self, targets: usize) -> bool {
        let now = self.observer.now();
        for (turn, missed) in std::mem::take(&mut self.doubtful) {
            match self.checked.good_since(missed.probe.target.addr, turn) {
                Some(good) => self.rang |= good && self.alarm.missed(missed, targets, now),
                None => self.doubtful.push((turn, missed)),
            }
        }
        self.rang &= self.alarm.lasts();
        self.rang && !self.doubt.is_open()
    }

    /// The targets that answered when last asked.
    fn tell_good(&self, located: &[Target]) {
        let good: Vec<Target> =
            located.iter().filter(|one| self.checked.good(one.addr) == Some(true)).cloned().collect();
        if self.good.borrow().as_ref() != Some(&good) {
            self.good.send_replace(Some(good));
        }
    }

    /// What is under way is left to its own bounds.
    fn give_up(&mut self) {
        self.work.clear();
        while self.misses.try_recv().is_ok() {}
        self.doubtful.clear();
        self.doubt.give_up();
        self.rang = false;
        self.posts.give_up(|host| self.observer.is_open(host));
    }

    /// The round as it is; the next one begins.
    fn carve(&mut self, targets: &[(TargetName, Result<Target, String>)], located: &[Target]) -> Round {
        let limit = self.limit(located) + LATE;
        let ended = self.observer.now();
        let round = std::mem::replace(&mut self.round, Gathered::new(ended));
        // Who rests is silent still; so many of them say why.
        let most = self.observer.panel().max(1);
        let resting = self.posts.resting().filter(|(drawn, _)| !round.has(&drawn.backend.host)).take(most);
        let resting = resting.map(|(drawn, silence)| (drawn.clone(), silence.clone())).collect();
        round.round(targets, &self.checked, resting, ended, limit)
    }
}

#[cfg(test)]
mod tests;
