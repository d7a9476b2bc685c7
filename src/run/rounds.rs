//! The rounds of a pass, until the evidence is enough or there is none; and what a takeover needs to know, read meanwhile.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either, FutureExt as _, LocalBoxFuture};
use tokio::time::Instant;

use super::own;
use super::pass::{Going, Mode, World};
use crate::act::{self, Changer};
use crate::config::Settings;
use crate::decide::{self, Look, Next};
use crate::model::{Backend, BackendVerdict, Family, Fate, Judgement, Method, Moment, Round, Survey, Testimony};
use crate::observe::panel::{Drawn, SubnetMap, draw};
use crate::observe::resolve::System;
use crate::observe::{Ask, Pace, Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};

/// What a survey may take: EC2 answers a describe in a tenth of a second, and a control plane that takes this long is down.
const SURVEY: Duration = Duration::from_secs(8);

/// After a round that was down, a target that has not answered in this part of the timeout is not waited for alone.
const SUSPICIOUS: u32 = 3;

/// Where several backends have missed something within a moment, after this part.
const ALARMED: u32 = 6;

/// Kept free at the end of the deadline, so that the record is written and the report printed in time.
const WRAP_UP: Duration = Duration::from_secs(1);

/// What a takeover needs to know of EC2 and this machine, within `left`.
pub(super) fn survey<'a, V, U, C: Cloud, H: Host>(
    world: &'a World<'a, V, U, C, H>,
    settings: &'a Settings,
    left: Duration,
) -> LocalBoxFuture<'a, Survey> {
    preflight::survey(world.cloud, world.host, &settings.preflight, left.min(SURVEY)).boxed_local()
}

impl<'a, V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'a, V, U, C, H> {
    /// Rounds until the evidence is enough to act on (`true`), or there is none.
    pub(super) async fn rounds(&mut self) -> bool {
        let wait = self.settings.observe.timeout;
        let (first, further) = if self.lasting {
            (Pace::Burst(wait / ALARMED), Pace::AtOnce)
        } else {
            (Pace::Calm, Pace::Burst(wait / SUSPICIOUS))
        };
        let mut ask = Ask { not_before: (self.world.clock)(), pace: first, until: self.deadline };
        let mut surveyed = false;
        let mut surveying: Option<LocalBoxFuture<'a, Survey>> = None;
        loop {
            let round = if self.case.looks.is_empty() {
                let round = self.round(ask).await;
                self.missed.clear();
                round
            } else {
                let pause = ask.not_before.saturating_sub((self.world.clock)());
                let names = &self.settings.observe.targets;
                self.targets.locate(&System, names, Some(pause), (self.world.wall)()).await;
                // What a takeover needs to know is read in the shadow of the confirming rounds. A survey that EC2 did not
                // answer is made again.
                let mut warm = 0;
                if !surveyed && surveying.is_none() {
                    surveying = Some(self.surveying());
                    warm = self.moves_ahead();
                }
                let mut fresh = None;
                let seen = async {
                    let mut deciding = pin!(self.deciding_round(ask, own::GRACE));
                    loop {
                        tokio::select! {
                            decided = &mut deciding => break decided,
                            survey = async { surveying.as_mut()?.await.into() }, if surveying.is_some() => {
                                (surveying, fresh) = (None, survey);
                            }
                        }
                    }
                };
                let (round, said) = beside(seen, act::warm(self.world.cloud, warm)).await;
                self.case.own = said;
                // One that was made beforehand is enough, and not waited for.
                let at_hand = self.case.survey.as_ref().is_some_and(Survey::answered);
                if let Some(reading) = surveying.take_if(|_| !at_hand) {
                    fresh = Some(reading.await);
                }
                if let Some(fresh) = fresh {
                    surveyed = fresh.answered();
                    if surveyed || !at_hand {
                        self.case.survey = Some(fresh);
                    }
                }
                round
            };
            // Evidence must be fresh for a move. Where EC2 could not be asked there will be none, so nothing is gained by
            // looking again until the deadline: what is known now is said now.
            let unasked = self.case.survey.as_ref().is_some_and(|survey| !survey.answered());
            let weighed = if unasked { round.ended } else { (self.world.clock)() };
            self.weigh(round, weighed);
            let next = match self.case.next() {
                Next::Act if self.own_awaited() => Next::Look { not_before: weighed },
                next => next,
            };
            match next {
                _ if self.mode == Mode::Look => return false,
                Next::Act => {
                    // What an earlier one was at hand for is known better as soon as EC2 answers.
                    self.fresh = surveying.or_else(|| (self.lasting && !surveyed).then(|| self.surveying()));
                    return true;
                }
                Next::Rest => return false,
                Next::Look { not_before } => {
                    if Instant::now() + (not_before.saturating_sub(weighed)) + WRAP_UP >= self.deadline {
                        self.case.out_of_time = true;
                        return false;
                    }
                    let because = decide::because(&self.case);
                    (self.world.tell)(&format!("{because}; looking again"));
                    ask = Ask { not_before, pace: further, until: self.deadline };
                }
            }
        }
    }

    /// How many calls a takeover would make at once, by what is known so far.
    pub(super) fn moves_ahead(&self) -> usize {
        let Some(guarded) = &self.case.guarded else { return 0 };
        let on_primary = guarded.subnets.iter().filter(|one| one.on == guarded.primary).count();
        match &self.settings.preflight.method {
            Method::Association => on_primary,
            Method::Route { destinations } if on_primary > 0 => destinations.len(),
            Method::Route { .. } => 0,
        }
    }

    pub(super) async fn survey(&self) -> Survey {
        self.surveying().await
    }

    fn surveying(&self) -> LocalBoxFuture<'a, Survey> {
        let left = self.deadline.saturating_duration_since(Instant::now()).saturating_sub(WRAP_UP);
        survey(self.world, self.settings, left)
    }

    /// One round, for who needs no evidence: who can tell afterwards, and which targets are good.
    pub(super) async fn look(&mut self) {
        let ask = Ask { not_before: (self.world.clock)(), pace: Pace::Calm, until: self.deadline };
        let (round, own) = self.deciding_round(ask, self.settings.observe.ssh.login_timeout).await;
        self.case.own = own;
        self.weigh(round, (self.world.clock)());
    }

    pub(super) fn weigh(&mut self, round: Round, weighed: Moment) {
        self.targets.learn(&round, (self.world.wall)());
        self.judge(&round);
        self.case.looks.push(Look { round, weighed });
    }

    pub(super) async fn round(&self, ask: Ask) -> Round {
        self.observer
            .round(self.order(), self.targets.located(), ask, &|round| decide::outlook(round, &self.settings.decide))
            .await
    }

    /// The families in which a backend is a witness.
    pub(super) fn witness(&self, backend: &Backend) -> Vec<Family> {
        let now = (self.world.wall)();
        [Family::V4, Family::V6]
            .into_iter()
            .filter(|family| self.witnesses.is_witness(&backend.host, backend.addr, *family, now))
            .collect()
    }

    /// A fresh draw of who may be asked.
    pub(super) fn order(&self) -> Vec<Drawn> {
        let map = self.subnets();
        let candidates = self.backends.iter().filter_map(|backend| {
            let subnet = map.of(backend)?;
            let witness = self.witness(backend);
            let reached = self.reached(&backend.host);
            let missed = self.missed.iter().filter(|one| one.host == backend.host).map(|one| one.probe.clone());
            Some(Drawn { backend: backend.clone(), subnet, witness, reached, missed: missed.collect() })
        });
        let mut order = draw(candidates.collect(), &mut *self.world.rng.borrow_mut());
        if self.lasting {
            // Who missed what ended the calm is asked again, and a login would take longer than the burst.
            order.sort_by_key(|one| (one.missed.is_empty(), !self.observer.is_open(&one.backend.host)));
        }
        order
    }

    /// The families in which a backend has been answered in this pass.
    fn reached(&self, host: &str) -> Vec<Family> {
        let members =
            self.case.looks.iter().flat_map(|look| &look.round.members).filter(|one| one.backend.host == host);
        let probes = members.flat_map(|one| match &one.testimony {
            Testimony::Probes(probes) => probes.as_slice(),
            Testimony::Silent(_) | Testimony::Awaited => &[],
        });
        let answered: BTreeSet<Family> = probes
            .filter(|probe| matches!(probe.fate, Fate::Reply { .. }))
            .map(|probe| probe.target.family())
            .collect();
        answered.into_iter().collect()
    }

    /// Which subnet a backend counts for. While the primary carries any guarded subnet, only those that it carries: whoever
    /// is behind the standby can neither accuse the primary nor clear it. When it carries none, the standby is watched. A
    /// failback asks those whom it is about ([`Going::behind`]).
    pub(super) fn subnets(&self) -> SubnetMap {
        let mut set = self.case.guarded.clone();
        if let Some(set) = &mut set {
            let table = self.behind.clone().unwrap_or_else(|| set.primary.clone());
            if set.subnets.iter().any(|one| one.on == table) {
                set.subnets.retain(|one| one.on == table);
            }
        }
        SubnetMap::new(set.as_ref(), &self.settings.observe.within)
    }

    fn judge(&mut self, round: &Round) {
        for family in decide::families(round) {
            let judgement = decide::judge(round, &self.settings.decide, family);
            self.note_witnesses(&judgement);
        }
    }

    /// Who reaches while the primary carries its subnet is a witness from now on.
    pub(super) fn note_witnesses(&mut self, judgement: &Judgement) {
        let Some(guarded) = self.case.guarded.as_ref().filter(|_| self.certain) else { return };
        let now = (self.world.wall)();
        for judged in judgement.backends.iter().filter(|one| one.verdict == BackendVerdict::Reaches) {
            let on_primary =
                guarded.subnets.iter().any(|one| one.subnet.as_str() == judged.subnet && one.on == guarded.primary);
            if let Some(backend) = self.backends.iter().find(|backend| on_primary && backend.host == judged.host) {
                self.witnesses.saw(&backend.host, backend.addr, judgement.family, now);
            }
        }
    }
}

/// What is waited for, and what is done meanwhile and no longer.
async fn beside<T>(awaited: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
    match future::select(pin!(awaited), pin!(meanwhile)).await {
        Either::Left((done, _)) => done,
        Either::Right(((), awaited)) => awaited.await,
    }
}
