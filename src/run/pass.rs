//! One pass: observe, decide, act, record. The only place besides `watch` where the stages meet.
//!
//! Everything outside comes in through traits and values ([`World`]), so that a test runs whole passes on a paused clock.
//! A healthy pass asks EC2 nothing, but for what is refreshed once an hour, after the verdict.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::act::Changer;
use crate::config::Settings;
use crate::decide::{self, Evidence};
use crate::model::failure::exit;
use crate::model::{
    Backend, BackendVerdict, Family, Found, GuardedSet, Hold, Judgement, Moment, Move, Outcome, Pass, Round, Survey,
    Target,
};
use crate::observe::panel::{Drawn, SubnetMap, draw};
use crate::observe::{Ask, Observer, TargetName, Uplink, Vantages, resolve};
use crate::preflight::{self, Cloud, Host};
use crate::record::State;
use crate::record::lock::{self, LockError};
use crate::record::witnesses::Witnesses;

/// What a survey may take: EC2 answers a describe in a tenth of a second, and a control plane that takes this long is down.
const SURVEY: Duration = Duration::from_secs(8);

/// Kept free at the end of the deadline, so that the record is written and the report printed in time.
const WRAP_UP: Duration = Duration::from_secs(1);

/// Everything that is not in the settings.
pub struct World<'a, V, U, C, H> {
    /// SSH to the backends.
    pub vantages: &'a V,
    /// The standby's own pings.
    pub uplink: &'a U,
    /// EC2.
    pub cloud: &'a C,
    /// This machine.
    pub host: &'a H,
    /// The state folder.
    pub state: &'a State,
    /// Set once EC2 is being changed: from there on a pass is better ended than broken off.
    pub moving: Cell<bool>,
    /// Draws panels and targets.
    pub rng: RefCell<SmallRng>,
    /// The moment; see [`Moment`].
    pub clock: &'a dyn Fn() -> Moment,
    /// The wall clock, for what is printed and remembered only.
    pub wall: &'a dyn Fn() -> Timestamp,
    /// Told what happens, for who watches.
    pub tell: &'a dyn Fn(&str),
}

/// What a pass leaves besides its report.
pub struct Done {
    /// The report.
    pub pass: Pass,
    /// The evidence.
    pub rounds: Vec<Round>,
    /// Who was seen reaching.
    pub witnesses: Witnesses,
    /// The families that were judged.
    pub families: Vec<Family>,
}

/// What goes through a pass.
pub(super) struct Going<'a, V: Vantages, U, C, H> {
    pub(super) world: &'a World<'a, V, U, C, H>,
    pub(super) settings: &'a Settings,
    pub(super) dry_run: bool,
    pub(super) observer: Observer<'a, V, U>,
    pub(super) targets: Vec<(TargetName, Result<Target, String>)>,
    pub(super) backends: Vec<Backend>,
    pub(super) witnesses: Witnesses,
    pub(super) guarded: Option<GuardedSet>,
    /// `guarded` says where the subnets are now: EC2 was asked in this pass, or nothing hints that any has moved.
    pub(super) certain: bool,
    /// What is wrong with the guarded set itself.
    pub(super) faults: Vec<Hold>,
    pub(super) deadline: Instant,
    pub(super) notes: Vec<String>,
    pub(super) rounds: Vec<Round>,
    /// By family, oldest first.
    pub(super) judgements: BTreeMap<Family, Vec<Judgement>>,
}

/// One pass from the first question to the last verification.
pub async fn pass<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    witnesses: Witnesses,
    dry_run: bool,
) -> Done {
    let began = Instant::now();
    if let Some(holder) = lock::peek(world.state) {
        let overdue = holder.overdue((world.wall)());
        let note = overdue
            .then(|| format!("process {} has held the lock past its deadline ({:.0})", holder.pid, holder.deadline));
        let pass = busy(LockError::Busy(Some(holder)).to_string(), note, began);
        return Done { pass, rounds: Vec::new(), witnesses, families: vec![Family::V4] };
    }
    let (guarded, trouble) = world.state.read_guarded();
    let guarded = guarded
        .filter(|set| set.primary == settings.decide.primary_table && set.standby == settings.decide.standby_table);
    let (targets, backends) =
        tokio::join!(resolve::targets(&settings.observe.targets), resolve::backends(&settings.observe.backends),);
    let mut going = Going {
        world,
        settings,
        dry_run,
        observer: Observer::new(&settings.observe, world.vantages, world.uplink, world.clock, &world.rng),
        targets,
        backends,
        witnesses,
        guarded,
        certain: true,
        faults: Vec::new(),
        deadline: began + settings.deadline,
        notes: trouble.into_iter().collect(),
        rounds: Vec::new(),
        judgements: BTreeMap::new(),
    };
    // Where a takeover is on record, or a subnet was last seen away from home, evidence is sorted by who carries what now.
    let recorded = !matches!(world.state.read_record(None), Found::Absent);
    let away = going.guarded.as_ref().is_some_and(|set| set.subnets.iter().any(|one| one.on != set.primary));
    if recorded || away {
        going.refresh().await;
    }
    going.go(began).await
}

fn busy(because: String, note: Option<String>, began: Instant) -> Pass {
    Pass {
        outcome: Outcome::Busy,
        exit: exit::BUSY,
        because,
        holds: Vec::new(),
        judgements: Vec::new(),
        moves: Vec::new(),
        elapsed: began.elapsed(),
        dry_run: false,
        notes: note.into_iter().collect(),
        commands: Vec::new(),
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    async fn go(mut self, began: Instant) -> Done {
        let mut survey = None;
        let conclusive = self.rounds(&mut survey).await;
        let mut report = if conclusive { self.down(survey).await } else { self.rested().await };
        if let Some(address) = self.settings.primary_address.filter(|_| report.outcome != Outcome::Healthy) {
            let fate = self.world.uplink.ping(address, self.settings.observe.timeout).await;
            let answers = matches!(fate, crate::model::ControlFate::Good { .. });
            self.notes.push(format!(
                "the primary itself, {address}, {} pings (no evidence either way)",
                if answers { "answers" } else { "does not answer" }
            ));
        }
        report.elapsed = began.elapsed();
        report.notes.splice(0..0, self.notes);
        let families = self.judgements.keys().copied().collect();
        report.judgements = interleave(self.judgements);
        self.observer.close().await;
        Done { pass: report, rounds: self.rounds, witnesses: self.witnesses, families }
    }

    /// Rounds until the evidence is conclusive (`true`), or there is none.
    async fn rounds(&mut self, survey: &mut Option<Survey>) -> bool {
        let mut ask = Ask { not_before: (self.world.clock)(), burst: false, until: self.deadline };
        loop {
            if self.rounds.is_empty() {
                let round = self.round(ask).await;
                self.judge(round);
            } else {
                // What a takeover needs to know is read in the shadow of the confirming rounds. A survey that EC2 did not
                // answer is made again.
                let complete = survey.as_ref().is_some_and(Survey::answered);
                let (round, fresh) =
                    tokio::join!(self.round(ask), async { if complete { None } else { Some(self.survey().await) } });
                if fresh.is_some() {
                    *survey = fresh;
                }
                self.judge(round);
            }
            // Evidence must be fresh for a move. Where EC2 could not be asked there will be none, so nothing is gained by
            // looking again until the deadline: what is known now is said now.
            let unasked = survey.as_ref().is_some_and(|survey| !survey.answered());
            let now = match self.rounds.last() {
                Some(round) if unasked => round.ended,
                _ => (self.world.clock)(),
            };
            let mut not_before = None;
            for judgements in self.judgements.values() {
                match decide::evidence(judgements, &self.settings.decide, now) {
                    Evidence::Conclusive => return true,
                    Evidence::More { not_before: at } => {
                        not_before = Some(not_before.map_or(at, |other: Moment| other.min(at)));
                    }
                    Evidence::Clear => {}
                }
            }
            let Some(not_before) = not_before else { return false };
            if Instant::now() + (not_before.saturating_sub(now)) + WRAP_UP >= self.deadline {
                self.notes.push("the deadline came before there was enough evidence".to_owned());
                return false;
            }
            (self.world.tell)(&format!("{}; looking again", self.latest().map_or("down", |one| one.because.as_str())));
            ask = Ask { not_before, burst: true, until: self.deadline };
        }
    }

    pub(super) async fn survey(&self) -> Survey {
        let left = self.deadline.saturating_duration_since(Instant::now()).saturating_sub(WRAP_UP);
        preflight::survey(self.world.cloud, self.world.host, &self.settings.preflight, left.min(SURVEY)).await
    }

    async fn round(&self, ask: Ask) -> Round {
        let now = (self.world.wall)();
        let map = self.subnets();
        let candidates = self.backends.iter().filter_map(|backend| {
            let subnet = map.of(backend)?;
            let witness = [Family::V4, Family::V6]
                .into_iter()
                .filter(|family| self.witnesses.is_witness(&backend.host, backend.addr, *family, now))
                .collect();
            Some(Drawn { backend: backend.clone(), subnet, witness })
        });
        let draw = draw(candidates.collect(), &mut *self.world.rng.borrow_mut());
        self.observer.round(draw, &self.targets, ask, &|round| decide::outlook(round, &self.settings.decide)).await
    }

    /// Which subnet a backend counts for. While the primary carries any guarded subnet, only those that it carries: whoever
    /// is behind the standby can neither accuse the primary nor clear it. When it carries none, the standby is watched.
    pub(super) fn subnets(&self) -> SubnetMap {
        let mut set = self.guarded.clone();
        if let Some(set) = &mut set
            && set.subnets.iter().any(|one| one.on == set.primary)
        {
            set.subnets.retain(|one| one.on == set.primary);
        }
        SubnetMap::new(set.as_ref(), &self.settings.observe.within)
    }

    fn judge(&mut self, round: Round) {
        for family in decide::families(&round) {
            let judgement = decide::judge(&round, &self.settings.decide, family);
            self.note_witnesses(&judgement);
            self.judgements.entry(family).or_default().push(judgement);
        }
        self.rounds.push(round);
    }

    /// Who reaches while the primary carries its subnet is a witness from now on.
    pub(super) fn note_witnesses(&mut self, judgement: &Judgement) {
        let Some(guarded) = self.guarded.as_ref().filter(|_| self.certain) else { return };
        let now = (self.world.wall)();
        for judged in judgement.backends.iter().filter(|one| one.verdict == BackendVerdict::Reaches) {
            let on_primary =
                guarded.subnets.iter().any(|one| one.subnet.as_str() == judged.subnet && one.on == guarded.primary);
            if let Some(backend) = self.backends.iter().find(|backend| on_primary && backend.host == judged.host) {
                self.witnesses.saw(&backend.host, backend.addr, judgement.family, now);
            }
        }
    }

    pub(super) fn latest(&self) -> Option<&Judgement> {
        self.judgements
            .values()
            .filter_map(|all| all.last())
            .rev()
            .max_by_key(|one| one.verdict == crate::model::Verdict::Down)
    }

    pub(super) fn report(&self, outcome: Outcome, exit: u8, because: String) -> Pass {
        Pass {
            outcome,
            exit,
            because,
            holds: Vec::new(),
            judgements: Vec::new(),
            moves: Vec::<Move>::new(),
            elapsed: Duration::ZERO,
            dry_run: self.dry_run,
            notes: Vec::new(),
            commands: Vec::new(),
        }
    }
}

/// Rounds in order, the families of one round next to each other.
fn interleave(judgements: BTreeMap<Family, Vec<Judgement>>) -> Vec<Judgement> {
    let mut all: Vec<Judgement> = judgements.into_values().flatten().collect();
    all.sort_by_key(|one| one.ended);
    all
}
