//! One pass: observe, decide, act, record. The only place besides `watch` where the stages meet.
//!
//! Everything outside comes in through traits and values ([`World`]), so that a test runs whole passes on a paused clock.
//! A healthy pass asks EC2 nothing, but for what is refreshed once an hour, after the verdict.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::asked::Sight;
use super::beside;
use super::lapse::Lapse;
use super::targets::TargetBook;
use crate::act::Changer;
use crate::config::{Joining, Settings};
use crate::decide::{self, Case};
use crate::model::{
    Backend, Boot, Conclusion, Found, GuardedSet, InstanceId, Moment, Outcome, Pass, Record, RouteTableId, Stamp,
    Survey, Verdict,
};
use crate::observe::calm::Missed;
use crate::observe::resolve::{self, System};
use crate::observe::{CONTROLS, Observer, Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::State;
use crate::record::lock::LockError;
use crate::record::witnesses::Witnesses;

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
    /// Set once EC2 is being changed: from there on a pass is better ended than broken off. A signal unsets it, and nothing further is begun.
    pub moving: Cell<bool>,
    /// Draws panels and targets.
    pub rng: RefCell<SmallRng>,
    /// The moment; see [`Moment`].
    pub clock: &'a dyn Fn() -> Moment,
    /// The wall clock, for what is printed and remembered only.
    pub wall: &'a dyn Fn() -> Timestamp,
    /// The clock of the boot, for what another process is to know the age of.
    pub boot: &'a dyn Fn() -> Option<Boot>,
    /// Told what happens, for who watches.
    pub tell: &'a dyn Fn(&str),
}

impl<V, U, C, H> World<'_, V, U, C, H> {
    /// The moment, as it is written down and compared with what was.
    pub(super) fn now(&self) -> Stamp {
        Stamp { wall: (self.wall)(), boot: (self.boot)() }
    }
}

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Observe, decide, take over if it must.
    Act,
    /// Observe and decide for real, ask EC2 whether it would be allowed, change nothing.
    DryRun,
    /// One round, and what it amounts to. Changes nothing, and plans nothing.
    Look,
}

/// What a pass leaves besides its report.
pub struct Done {
    /// The report.
    pub pass: Pass,
    /// All that was decided from.
    pub case: Case,
    /// Who was seen reaching.
    pub witnesses: Witnesses,
}

impl Done {
    /// Decides once more, since nothing can be remembered.
    pub(super) fn forgets(&mut self, why: String) {
        self.pass.notes.push(why.clone());
        self.case.forgets = Some(why);
        let Conclusion { outcome, exit, because, .. } = decide::conclude(&self.case);
        (self.pass.outcome, self.pass.exit, self.pass.because) = (outcome, exit, because);
    }
}

/// What goes through a pass.
pub(super) struct Going<'a, V: Vantages, U, C, H> {
    pub(super) world: &'a World<'a, V, U, C, H>,
    pub(super) settings: &'a Settings,
    pub(super) mode: Mode,
    pub(super) observer: Rc<Observer<'a, V, U>>,
    pub(super) targets: TargetBook,
    /// The takeover record as the pass found it: who moves anything meanwhile leaves another.
    pub(super) found: Found<Record>,
    pub(super) backends: Vec<Backend>,
    pub(super) witnesses: Witnesses,
    /// `case.guarded` says where the subnets are now: EC2 was asked in this pass, or nothing hints that any has moved.
    pub(super) certain: bool,
    /// Before EC2 was asked for that, in this pass.
    pub(super) asked: Option<Stamp>,
    /// Only backends of the subnets on this table are asked; `None`: of those that the primary carries, while it carries any.
    pub(super) behind: Option<RouteTableId>,
    /// This is one of the passes of a `watch`: EC2 is read beside them, and a session that is open is used before one is opened.
    pub(super) lasting: bool,
    /// This instance, as last read, in a `watch`.
    pub(super) own: Option<InstanceId>,
    /// The pass before this one, in a `watch`, found everything healthy.
    pub(super) well: bool,
    /// A survey that was not waited for, since an earlier one was at hand.
    pub(super) fresh: Option<LocalBoxFuture<'a, Survey>>,
    /// What EC2 said of the record beside the calm, in a `watch`: together with where the subnets are, and good for as long.
    pub(super) sight: Option<Sight>,
    /// What ended the calm, from which the first round goes on.
    pub(super) missed: Vec<Missed>,
    pub(super) lapse: Lapse,
    pub(super) deadline: Instant,
    pub(super) notes: Vec<String>,
    /// All that is known so far.
    pub(super) case: Case,
}

/// One pass from the first question to the last verification.
pub async fn pass<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    witnesses: Witnesses,
    mode: Mode,
) -> Done {
    let began = Instant::now();
    let mut case = Case::new(settings.decide.clone());
    if mode != Mode::Look
        && let Some(holder) = beside::mover(world.state).await
    {
        let overdue = holder.overdue((world.wall)());
        let note = overdue
            .then(|| format!("process {} has held the lock past its deadline ({:.0})", holder.pid, holder.deadline));
        case.busy = Some(LockError::Busy(Some(holder)).to_string());
        let pass = told(&case, decide::conclude(&case), note.into_iter().collect(), began, mode);
        return Done { pass, case, witnesses };
    }
    let going = Going::begin(world, settings, witnesses, mode, case).await;
    going.go(began).await
}

impl<'a, V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'a, V, U, C, H> {
    /// Everything up to the first round: what is remembered, where everybody is, and what EC2 has to say to that.
    pub(super) async fn begin(
        world: &'a World<'a, V, U, C, H>,
        settings: &'a Settings,
        witnesses: Witnesses,
        mode: Mode,
        case: Case,
    ) -> Self {
        let mut going = Self::prepare(world, settings, witnesses, mode, case).await;
        // Who asks for something to be moved waits for an answer that goes by what is, not by what was.
        if going.moved() || going.case.planned {
            going.refresh().await;
        }
        going
    }

    /// What is remembered, and where everybody is.
    pub(super) async fn prepare(
        world: &'a World<'a, V, U, C, H>,
        settings: &'a Settings,
        witnesses: Witnesses,
        mode: Mode,
        mut case: Case,
    ) -> Self {
        // Before the subnets' places, so that whatever is newer than these shows.
        let found = world.state.read_record(None);
        let (guarded, trouble) = world.state.read_guarded();
        case.guarded = guarded
            .filter(|set| set.primary == settings.decide.primary_table && set.standby == settings.decide.standby_table);
        let (mut targets, forgotten) = TargetBook::load(world.state);
        let ((), backends) = tokio::join!(
            targets.locate(&System, &settings.observe.targets, None, (world.wall)()),
            resolve::backends(&System, &settings.observe.backends, &[])
        );
        Going {
            world,
            settings,
            mode,
            observer: Rc::new(Observer::new(&settings.observe, world.vantages, world.uplink, world.clock, &world.rng)),
            targets,
            found,
            backends,
            witnesses,
            certain: true,
            asked: None,
            behind: None,
            lasting: false,
            own: settings.preflight.standby_instance.clone(),
            well: false,
            fresh: None,
            sight: None,
            missed: Vec::new(),
            lapse: Lapse::default(),
            deadline: Instant::now() + settings.deadline,
            notes: trouble
                .into_iter()
                .chain(forgotten)
                .chain(settings.fleet.as_ref().and_then(Joining::told))
                .collect(),
            case,
        }
    }

    /// Whether a takeover is on record, readable or not.
    pub(super) fn recorded(&self) -> bool {
        !matches!(self.world.state.read_record(None), Found::Absent)
    }

    /// Whether a takeover is on record, or a subnet was last seen away from home: evidence is then sorted by who carries what now.
    pub(super) fn moved(&self) -> bool {
        // One without any subnet is none that could be gone by: whoever took them may have brought them back.
        let away = |set: &GuardedSet| set.subnets.is_empty() || set.subnets.iter().any(|one| one.on != set.primary);
        self.recorded() || self.case.guarded.as_ref().is_some_and(away)
    }

    /// Where the subnets are, as whoever moved some has left it. Where that can't be read or written, what was known holds.
    pub(super) fn read_guarded_again(&mut self) {
        let rules = &self.settings.decide;
        let ours = |set: &GuardedSet| set.primary == rules.primary_table && set.standby == rules.standby_table;
        let newer = |set: &GuardedSet| self.case.guarded.as_ref().is_none_or(|known| set.seen >= known.seen);
        if let Some(saved) = self.world.state.read_guarded().0.filter(|set| ours(set) && newer(set)) {
            self.case.guarded = Some(saved);
        }
    }

    /// Ready for a further pass: what is known of the network is known still, and nothing of how this one went.
    pub(super) fn renew(&mut self) {
        self.read_guarded_again();
        let guarded = self.case.guarded.take();
        let unknown = self.case.unknown.take();
        let latest = self.case.latest();
        if !latest.is_empty() {
            self.well = latest.iter().all(|one| one.verdict == Verdict::Healthy);
        }
        self.case = Case { guarded, unknown, ..Case::new(self.settings.decide.clone()) };
        self.certain = !self.moved();
        (self.asked, self.fresh, self.sight) = (None, None, None);
        self.missed.clear();
        self.notes = self.fleet_note().into_iter().collect();
    }

    async fn go(mut self, began: Instant) -> Done {
        let concluded = self.concluded().await;
        self.end(concluded, began).await
    }

    /// What is told of a pass besides, and the end of its sessions.
    pub(super) async fn end(mut self, concluded: Conclusion, began: Instant) -> Done {
        if let Some(address) = self.settings.primary_address.filter(|_| concluded.outcome != Outcome::Healthy) {
            let fate = self.world.uplink.ping(address, self.settings.observe.timeout, CONTROLS).await;
            let answers = matches!(fate, crate::model::ControlFate::Good { .. });
            self.notes.push(format!(
                "the primary itself, {address}, {} pings (no evidence either way)",
                if answers { "answers" } else { "does not answer" }
            ));
        }
        let notes = self.tell_of_targets();
        self.notes.extend(notes);
        self.observer.close().await;
        let pass = told(&self.case, concluded, self.notes, began, self.mode);
        Done { pass, case: self.case, witnesses: self.witnesses }
    }

    /// What single targets did is told, and remembered unless nothing is to be changed.
    pub(super) fn tell_of_targets(&mut self) -> Vec<String> {
        let mut notes = self.targets.notes(self.case.looks.last().map(|look| &look.round), (self.world.wall)());
        for note in &notes {
            // The passes of a watch are told of where something changes.
            if self.lasting {
                tracing::debug!(event = "target", "{note}");
            } else {
                tracing::info!(event = "target", "{note}");
            }
        }
        if self.mode == Mode::Act {
            notes.extend(self.targets.save(self.world.state, &self.settings.observe.targets));
        }
        notes
    }
}

pub(super) fn told(case: &Case, over: Conclusion, notes: Vec<String>, began: Instant, mode: Mode) -> Pass {
    Pass { elapsed: began.elapsed(), dry_run: mode == Mode::DryRun, notes, ..case.pass(over) }
}
