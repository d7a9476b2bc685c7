//! One round, from the draw to the evidence.
//!
//! All members work at once, each within its own bounds; sessions are kept for the rounds that follow. The round ends as
//! soon as nothing outstanding can change its verdict, and at its limit at the latest. Members whose pings are on their
//! way are waited for even then, for as long as two pings take and no longer, so that a few that are cut off among many
//! that reach are seen; those still logging in are not.

mod member;
mod own;
mod sessions;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::member::AT_ONCE;
pub(super) use self::member::Question;
use self::sessions::Sessions;
use super::panel::Drawn;
use super::{Ask, ObserveSettings, Pace, TargetName, Uplink, Vantages};
use crate::model::{
    Backend, Control, ControlFate, Family, Fate, Member, Moment, Outlook, Probe, Round, Silence, Target, Testimony,
};

/// Past login and pings: what a round may take for everything else before its evidence is old. It covers the grace that a
/// late answer gets.
const SLACK: Duration = Duration::from_secs(3);

/// Past the end that a round sets itself: what a busy standby may be late to notice it. A process that was frozen for
/// longer has old evidence.
const LATE: Duration = Duration::from_secs(1);

/// Past the two timeouts of a member whose pings are on their way: what `sshd` may take to start two commands and to bring
/// their answers, and what a `ping` of whole seconds is given. Only a round whose verdict stands waits for this.
const REPORTS: Duration = Duration::from_millis(500);

/// In a burst, whom a majority of the panel can do without is asked this part of the timeout later: his processes would hold up theirs.
const LATER: u32 = 6;

/// Control pings are repeated inside the timeout, so that an uplink which loses a third of its packets is still seen to
/// answer: three tries leave under 4 % of lost verdicts where one would leave 30 %.
pub(crate) const CONTROLS: u32 = 3;

/// Asks rounds of questions and keeps the sessions in between.
pub struct Observer<'a, V: Vantages, U> {
    settings: &'a ObserveSettings,
    vantages: &'a V,
    uplink: &'a U,
    clock: &'a dyn Fn() -> Moment,
    rng: &'a RefCell<SmallRng>,
    /// The targets that were good at the end of the last round.
    known_good: RefCell<BTreeSet<IpAddr>>,
    sessions: Sessions<'a, V::Session>,
}

/// What a member of the panel shares with its round.
pub(super) struct Shout {
    /// The targets that answered the standby, once that is known.
    pub(super) good: watch::Receiver<Option<Vec<Target>>>,
    /// Told of each member's first miss.
    pub(super) miss: mpsc::UnboundedSender<(String, Probe)>,
    /// When its first ping left.
    pub(super) left: Rc<Cell<Option<Instant>>>,
}

enum Event {
    Control(usize, ControlFate),
    Member(usize, Result<Vec<Probe>, Silence>),
}

impl<'a, V: Vantages, U: Uplink> Observer<'a, V, U> {
    /// `clock` tells the moment, see [`Moment`]; `rng` draws the targets.
    pub fn new(
        settings: &'a ObserveSettings,
        vantages: &'a V,
        uplink: &'a U,
        clock: &'a dyn Fn() -> Moment,
        rng: &'a RefCell<SmallRng>,
    ) -> Self {
        Self { settings, vantages, uplink, clock, rng, known_good: RefCell::default(), sessions: Sessions::default() }
    }

    /// The moment.
    pub(super) fn now(&self) -> Moment {
        (self.clock)()
    }

    /// How many are to be heard; 0: all.
    pub(super) const fn panel(&self) -> usize {
        self.settings.panel
    }

    /// The wait for one reply.
    pub(super) const fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// What two pings one after the other take, and the way of their answers.
    pub(super) fn answers_within(&self) -> Duration {
        self.settings.timeout * 2 + REPORTS
    }

    /// How much later than its round a member is asked.
    fn later(&self, pace: Pace, index: usize, majority: usize) -> Duration {
        if pace == Pace::AtOnce && index >= majority { self.settings.timeout / LATER } else { Duration::ZERO }
    }

    /// Pings a target from the standby.
    pub(super) async fn control_ping(&self, addr: IpAddr, tries: u32) -> ControlFate {
        self.uplink.ping(addr, self.settings.timeout, tries).await
    }

    /// By when a round ends itself.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.settings.ssh.login_timeout + self.settings.timeout * 2 + SLACK
    }

    /// One round with the first `panel` of `draw`, the rest of it standing by.
    ///
    /// `outlook` judges, from what has come in so far, whether there is anything left to wait for.
    pub async fn round(
        &self,
        draw: Vec<Drawn>,
        targets: &[(TargetName, Result<Target, String>)],
        ask: Ask,
        outlook: &dyn Fn(&Round) -> Outlook,
    ) -> Round {
        let now = (self.clock)();
        let begins = ask.not_before.max(now);
        let start = Instant::now() + begins.saturating_sub(now);
        let started = since(&draw, begins);
        let end = (start + self.limit()).min(ask.until);
        let mut round = Round {
            started,
            ended: started,
            limit: self.limit() + LATE,
            controls: controls(targets),
            members: Vec::new(),
        };

        let (good, good_seen) = watch::channel(None);
        let (miss, mut misses) = mpsc::unbounded_channel();
        let mut work: FuturesUnordered<LocalBoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut left: Vec<Rc<Cell<Option<Instant>>>> = Vec::new();
        // Whoever could not be reached a round ago is asked after all others; in a burst not at all, since to wait for its silence
        // again would only leave a time in which nobody looks.
        let (mut unreached, rest): (Vec<Drawn>, Vec<Drawn>) =
            draw.into_iter().partition(|one| self.sessions.was_unreached(&one.backend.host));
        if ask.pace != Pace::Calm {
            unreached.clear();
        }
        let mut pool = rest.into_iter().chain(unreached);
        let wanted = if self.settings.panel == 0 { usize::MAX } else { self.settings.panel };
        let majority = pool.size_hint().0.min(wanted) / 2 + 1;
        let (mut heard, mut awaited, mut pinging) = (0, 0, 0);
        let mut second_wave = false;

        for (index, control) in round.controls.iter().enumerate() {
            if let Some(target) = control.target.clone() {
                pinging += 1;
                work.push(self.control(index, target, start).boxed_local());
            }
        }
        if pinging == 0 {
            good.send_replace(Some(Vec::new()));
        }
        loop {
            while heard + awaited < wanted {
                let Some(drawn) = pool.next() else { break };
                let index = round.members.len();
                let on_the_way = Rc::new(Cell::new(None));
                left.push(Rc::clone(&on_the_way));
                let shout = Shout { good: good_seen.clone(), miss: miss.clone(), left: on_the_way };
                let asked = Question { backend: drawn.backend.clone(), missed: drawn.missed, pace: ask.pace };
                let at = start + self.later(ask.pace, index, majority);
                work.push(self.hear(index, asked, targets, at, shout).boxed_local());
                round.members.push(Member {
                    backend: drawn.backend,
                    subnet: drawn.subnet,
                    witness: drawn.witness,
                    reached: drawn.reached,
                    testimony: Testimony::Awaited,
                });
                awaited += 1;
            }
            let mut patience = end;
            // Judged only by controls that are complete, and after those who are silent have been replaced.
            if pinging == 0 && (second_wave || misses.is_empty()) {
                match (outlook(&round), last_left(&round.members, &left)) {
                    (Outlook::Down, _) | (Outlook::NotDown, None) => break,
                    (Outlook::NotDown, Some(left)) => patience = end.min(left + self.answers_within()),
                    (Outlook::Open, _) => {}
                }
            }
            tokio::select! {
                biased;
                // A miss may be the target's doing, or the internet's: what was good must be good still.
                Some(_) = misses.recv(), if !second_wave && pinging == 0 => {
                    second_wave = true;
                    for (index, control) in round.controls.iter_mut().enumerate() {
                        let (ControlFate::Good { .. }, Some(target)) = (&control.fate, control.target.clone()) else { continue };
                        control.fate = ControlFate::NotAsked("the round ended before it was asked again".to_owned());
                        pinging += 1;
                        work.push(self.control(index, target, start).boxed_local());
                    }
                }
                event = work.next() => match event {
                    Some(Event::Control(index, fate)) => {
                        pinging -= 1;
                        round.controls[index].fate = fate;
                        if pinging == 0 {
                            good.send_replace(Some(good_of(&round)));
                        }
                    }
                    Some(Event::Member(index, testimony)) => {
                        awaited -= 1;
                        let member = &mut round.members[index];
                        heard += usize::from(speaks(member, &testimony));
                        member.testimony = match testimony {
                            Ok(probes) => Testimony::Probes(probes),
                            Err(silence) => Testimony::Silent(silence),
                        };
                    }
                    None => break,
                },
                () = sleep_until(patience) => break,
            }
        }
        round.ended = (self.clock)().max(started);
        *self.known_good.borrow_mut() = good_of(&round).into_iter().map(|target| target.addr).collect();
        round
    }

    /// Pings `targets` from `backend` once, all at once, until one answers or `until`: whether it reaches again.
    pub async fn reaches(&self, backend: &Backend, targets: &[Target], until: Instant) -> bool {
        let Ok(Ok(session)) = timeout_at(until, self.session(backend)).await else { return false };
        let mut pings: FuturesUnordered<_> = targets
            .iter()
            .take(AT_ONCE)
            .map(|target| self.vantages.ping(backend, &session, target, self.settings.timeout))
            .collect();
        while let Ok(Some(asked)) = timeout_at(until, pings.next()).await {
            match asked {
                Ok(asked) if matches!(asked.fate, Fate::Reply { .. }) => return true,
                Ok(_) => {}
                Err(_) => self.leave(&backend.host),
            }
        }
        false
    }

    async fn control(&self, index: usize, target: Target, start: Instant) -> Event {
        sleep_until(start).await;
        Event::Control(index, self.control_ping(target.addr, CONTROLS).await)
    }
}

/// When the evidence of a round that `begins` then begins: what was missed before is part of it.
fn since(draw: &[Drawn], begins: Moment) -> Moment {
    draw.iter().flat_map(|one| &one.missed).map(|probe| probe.earliest).fold(begins, Moment::min)
}

/// When the latest of those pings left that are on their way.
fn last_left(members: &[Member], left: &[Rc<Cell<Option<Instant>>>]) -> Option<Instant> {
    let awaited = members.iter().zip(left).filter(|(member, _)| member.testimony == Testimony::Awaited);
    awaited.filter_map(|(_, left)| left.get()).max()
}

/// Whether a member's testimony is a verdict, or one has to be asked in its place.
fn speaks(member: &Member, testimony: &Result<Vec<Probe>, Silence>) -> bool {
    testimony.as_ref().is_ok_and(|probes| {
        !member.witness.is_empty() || probes.iter().any(|probe| matches!(probe.fate, Fate::Reply { .. }))
    })
}

fn controls(targets: &[(TargetName, Result<Target, String>)]) -> Vec<Control> {
    let not_asked = || "the round ended before it was asked".to_owned();
    targets
        .iter()
        .map(|(name, target)| Control {
            name: name.clone(),
            target: target.as_ref().ok().cloned(),
            fate: ControlFate::NotAsked(target.as_ref().err().cloned().unwrap_or_else(not_asked)),
        })
        .collect()
}

fn good_of(round: &Round) -> Vec<Target> {
    [Family::V4, Family::V6].into_iter().flat_map(|family| round.good_targets(family)).cloned().collect()
}

#[cfg(test)]
mod tests;
