//! One round, from the draw to the evidence.
//!
//! All members work at once, each within its own bounds; sessions are kept for the rounds that follow. The round ends as
//! soon as nothing outstanding can change its verdict, and at its limit at the latest. Members whose pings are on their way
//! are waited for even then (they take no longer than two timeouts), so that a few that are cut off among many that reach
//! are seen; those still logging in are not.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture, Shared, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::seq::SliceRandom;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::panel::Drawn;
use super::{ObserveSettings, TargetName, Uplink, Vantages};
use crate::model::{
    Backend, Control, ControlFate, Family, Fate, Member, Moment, Outlook, Probe, Round, Silence, Target, Testimony,
};

/// How many pings one backend has under way at once per family: sshd allows ten sessions on a connection (`MaxSessions`,
/// `sshd_config(5)`), and a command given up keeps its own until it ends.
const AT_ONCE: usize = 4;

/// Past login and pings: what a round may take for everything else before its evidence is old. It covers the grace that a
/// late answer gets.
const SLACK: Duration = Duration::from_secs(3);

/// When and how a round asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// No ping leaves before this moment; sessions are opened meanwhile.
    pub not_before: Moment,
    /// Ask several targets at once instead of one first: after a miss there is no reason to spare them.
    pub burst: bool,
    /// The round must be over by then, whatever its own limit.
    pub until: Instant,
}

type Connecting<'a, S> = Shared<LocalBoxFuture<'a, Result<Rc<S>, Silence>>>;

/// Asks rounds of questions and keeps the sessions in between.
pub struct Observer<'a, V: Vantages, U> {
    settings: &'a ObserveSettings,
    vantages: &'a V,
    uplink: &'a U,
    clock: &'a dyn Fn() -> Moment,
    sessions: RefCell<BTreeMap<String, Connecting<'a, V::Session>>>,
}

/// What a member of the panel shares with its round.
struct Shout {
    /// The targets that answered the standby, once that is known.
    good: watch::Receiver<Option<Vec<Target>>>,
    /// Told of each miss.
    missed: mpsc::UnboundedSender<()>,
    /// Set once its pings are on their way.
    probing: Rc<Cell<bool>>,
}

enum Event {
    Control(usize, ControlFate),
    Member(usize, Result<Vec<Probe>, Silence>),
}

impl<'a, V: Vantages, U: Uplink> Observer<'a, V, U> {
    /// `clock` tells the moment; see [`Moment`].
    pub fn new(settings: &'a ObserveSettings, vantages: &'a V, uplink: &'a U, clock: &'a dyn Fn() -> Moment) -> Self {
        Self { settings, vantages, uplink, clock, sessions: RefCell::default() }
    }

    /// The longest that a round may take.
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
        let started = ask.not_before.max(now);
        let start = Instant::now() + (started - now);
        let end = (start + self.limit()).min(ask.until);
        let mut round =
            Round { started, ended: started, limit: self.limit(), controls: controls(targets), members: Vec::new() };

        let (good, good_seen) = watch::channel(None);
        let (missed, mut misses) = mpsc::unbounded_channel();
        let mut work: FuturesUnordered<LocalBoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut stages: Vec<Rc<Cell<bool>>> = Vec::new();
        let mut pool = draw.into_iter();
        let wanted = if self.settings.panel == 0 { usize::MAX } else { self.settings.panel };
        let mut heard = 0;
        let mut awaited = 0;
        let mut pinging = 0;
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
                let probing = Rc::new(Cell::new(false));
                stages.push(Rc::clone(&probing));
                let shout = Shout { good: good_seen.clone(), missed: missed.clone(), probing };
                work.push(self.hear(index, drawn.backend.clone(), targets, start, ask.burst, shout).boxed_local());
                round.members.push(Member {
                    backend: drawn.backend,
                    subnet: drawn.subnet,
                    witness: drawn.witness,
                    testimony: Testimony::Awaited,
                });
                awaited += 1;
            }
            tokio::select! {
                biased;
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
                // A miss may be the target's doing, or the internet's: what was good must be good still.
                Some(()) = misses.recv(), if !second_wave && pinging == 0 => {
                    second_wave = true;
                    for target in good_of(&round) {
                        let index = round.controls.iter().position(|one| one.target.as_ref() == Some(&target));
                        if let Some(index) = index {
                            pinging += 1;
                            work.push(self.control(index, target, start).boxed_local());
                        }
                    }
                }
                () = sleep_until(end) => break,
            }
            if pinging > 0 || (!second_wave && !misses.is_empty()) {
                continue;
            }
            let on_their_way = || {
                round
                    .members
                    .iter()
                    .zip(&stages)
                    .any(|(one, probing)| one.testimony == Testimony::Awaited && probing.get())
            };
            match outlook(&round) {
                Outlook::Down => break,
                Outlook::NotDown if !on_their_way() => break,
                Outlook::NotDown | Outlook::Open => {}
            }
        }
        round.ended = (self.clock)();
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
                Err(_) => {
                    self.sessions.borrow_mut().remove(&backend.host);
                }
            }
        }
        false
    }

    /// Ends all sessions. Bounded by the vantages' own limit.
    pub async fn close(self) {
        let sessions = self.sessions.into_inner().into_values();
        let open =
            sessions.filter_map(|one| one.peek().cloned()).filter_map(Result::ok).filter_map(Rc::into_inner).collect();
        self.vantages.close(open).await;
    }

    async fn control(&self, index: usize, target: Target, start: Instant) -> Event {
        sleep_until(start).await;
        Event::Control(index, self.uplink.ping(target.addr, self.settings.timeout).await)
    }

    async fn session(&self, backend: &Backend) -> Result<Rc<V::Session>, Silence> {
        let connecting = {
            let mut sessions = self.sessions.borrow_mut();
            let vantages = self.vantages;
            let owned = backend.clone();
            sessions
                .entry(backend.host.clone())
                .or_insert_with(|| async move { vantages.connect(&owned).await.map(Rc::new) }.boxed_local().shared())
                .clone()
        };
        let session = connecting.await;
        if session.is_err() {
            self.sessions.borrow_mut().remove(&backend.host);
        }
        session
    }

    async fn hear(
        &self,
        index: usize,
        backend: Backend,
        targets: &[(TargetName, Result<Target, String>)],
        start: Instant,
        burst: bool,
        shout: Shout,
    ) -> Event {
        let testimony = async {
            let session = self.session(&backend).await?;
            sleep_until(start).await;
            shout.probing.set(true);
            let of = |family| {
                targets
                    .iter()
                    .filter_map(|(_, one)| one.as_ref().ok())
                    .filter(|one| one.family() == family)
                    .cloned()
                    .collect()
            };
            let (v4, v6): (Vec<Target>, Vec<Target>) = (of(Family::V4), of(Family::V6));
            let asked = join_all(
                [v4, v6]
                    .into_iter()
                    .filter(|one| !one.is_empty())
                    .map(|one| self.question(&backend, &session, one, burst, &shout)),
            )
            .await;
            let mut probes = Vec::new();
            let mut silence = None;
            for one in asked {
                match one {
                    Ok(found) => probes.extend(found),
                    Err(why) => silence = Some(why),
                }
            }
            match silence {
                Some(why) if probes.is_empty() => {
                    self.sessions.borrow_mut().remove(&backend.host);
                    Err(why)
                }
                _ => Ok(probes),
            }
        };
        let testimony = testimony.await;
        Event::Member(index, testimony)
    }

    /// The pings of one family: one first (or several, in a burst), and after a miss those good targets that are left.
    async fn question(
        &self,
        backend: &Backend,
        session: &V::Session,
        mut targets: Vec<Target>,
        burst: bool,
        shout: &Shout,
    ) -> Result<Vec<Probe>, Silence> {
        targets.shuffle(&mut rand::rng());
        let first = if burst { AT_ONCE.min(targets.len()) } else { 1 };
        let rest = targets.split_off(first.min(targets.len()));
        let (mut probes, mut silence) = self.ask(backend, session, &targets).await;
        let replied = |probes: &[Probe]| probes.iter().any(|probe| matches!(probe.fate, Fate::Reply { .. }));
        if replied(&probes) {
            return Ok(probes);
        }
        if !probes.is_empty() {
            // The round may be over and nobody listening.
            let _ = shout.missed.send(());
        }
        let mut seen = shout.good.clone();
        let good =
            seen.wait_for(Option::is_some).await.map_or_else(|_| Vec::new(), |good| good.clone().unwrap_or_default());
        let counted = |probes: &[Probe]| probes.iter().filter(|probe| good.contains(&probe.target)).count();
        if silence.is_none() && counted(&probes) < self.settings.tries {
            let left: Vec<Target> = rest.into_iter().filter(|target| good.contains(target)).take(AT_ONCE).collect();
            let (more, why) = self.ask(backend, session, &left).await;
            probes.extend(more);
            silence = why;
        }
        match silence {
            Some(why) if !replied(&probes) && counted(&probes) < self.settings.tries => Err(why),
            _ => Ok(probes),
        }
    }

    async fn ask(&self, backend: &Backend, session: &V::Session, targets: &[Target]) -> (Vec<Probe>, Option<Silence>) {
        let answers =
            join_all(targets.iter().map(|target| self.vantages.ping(backend, session, target, self.settings.timeout)))
                .await;
        let mut probes = Vec::new();
        let mut silence = None;
        for (target, answer) in targets.iter().zip(answers) {
            match answer {
                Ok(asked) => {
                    let (now, moment) = (Instant::now(), (self.clock)());
                    let at = |instant: Instant| moment.saturating_sub(now.saturating_duration_since(instant));
                    let latest = match asked.fate {
                        // It had to be sent a whole timeout before it could be called a miss.
                        Fate::NoReply => {
                            at(asked.begun).min(moment.saturating_sub(self.settings.timeout)).max(at(asked.asked))
                        }
                        Fate::Reply { .. } => at(asked.begun),
                    };
                    probes.push(Probe { target: target.clone(), earliest: at(asked.asked), latest, fate: asked.fate });
                }
                Err(why) => silence = Some(why),
            }
        }
        (probes, silence)
    }
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
