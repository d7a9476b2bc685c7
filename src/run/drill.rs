//! Practice: one subnet to the standby and back, verified each way, while its own backends' pings measure how long it was without an
//! answer.
//!
//! The way there is a takeover's move and the way back a failback, with the record of both. From its first move to its last the record is
//! of phase `failing-back`: subnets that are on the primary stay guarded, by whoever looks, and `natwatch failback` goes on with the one
//! that is not, wherever this process was killed. The run lock is held while something is moved and not in between, so that an outage
//! in the middle of a drill is taken over at once, by the others' `run` or `watch`; the way back then finds another record than its own,
//! and leaves everything where it is.
//!
//! Once the subnet has left, nothing but an operator's second signal, or a kill, keeps it from being brought back: not that the standby
//! does not carry it, not a signal, not EC2 for as long as a run may take.

mod ways;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::pass::{Done, Going, Mode, World};
use super::planned::PATIENCE;
use super::signals::Stop;
use super::verify;
use crate::act::{self, Changer};
use crate::config::Settings;
use crate::decide::{self, Case, Practice};
use crate::model::failure::exit;
use crate::model::{Change, Conclusion, Drill, Family, LastSteps, Leg, Move, Outcome, Plan, SubnetId, Target};
use crate::observe::gauge::{self, Gauge};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};
use crate::record::lock::{LockError, RunLock};
use crate::record::witnesses::Witnesses;

/// Why, in record and history. Whoever finds the record of one that was killed tells it by this.
pub(super) const PRACTICE: &str = "a drill";

/// How long the first pings are waited for: sessions are open already, to whoever was heard.
const FIRST_PINGS: Duration = Duration::from_secs(3);

/// One drill, of the subnet that is `wanted`; whatever `stop` says, what has left is brought back.
pub async fn drill<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    world: &World<'_, V, U, C, H>,
    settings: &Settings,
    witnesses: Witnesses,
    wanted: Option<&SubnetId>,
    mode: Mode,
    stop: &Stop,
) -> Done {
    let began = Instant::now();
    let case = Case { planned: true, ..Case::new(settings.decide.clone()) };
    let mut going = Going::begin(world, settings, witnesses, mode, case).await;
    going.look().await;
    let gauge = Gauge::default();
    let measured = RefCell::new(None);
    let concluded = going.practise(wanted, stop, (&gauge, &measured)).await;
    let mut done = going.end(concluded, began).await;
    done.pass.drill = measured.into_inner();
    done
}

/// A drill that has begun.
struct Begun<'g> {
    at: Timestamp,
    start: Instant,
    plan: Plan,
    gauge: &'g Gauge,
    measured: &'g RefCell<Option<Drill>>,
}

impl Begun<'_> {
    /// What there is to show of it; `back`: since when it is on its way back.
    fn measure(&self, there: (&SubnetId, Duration), back: Option<Instant>) -> Drill {
        let now = Instant::now();
        let leg = |from, to, took| Leg { took, gap: self.gauge.between(from, to, now) };
        Drill {
            subnet: there.0.clone(),
            there: leg(self.start, back.unwrap_or(now), there.1),
            back: back.map(|back| leg(back, now, now.duration_since(back))),
        }
    }

    fn entry(&self, moves: Vec<Move>, outcome: Outcome, drill: Option<Drill>) -> Entry {
        Entry {
            version: VERSION,
            kind: Deed::Drill,
            at: self.at,
            instance: Some(self.plan.standby.clone()),
            why: PRACTICE.to_owned(),
            outcome: Some(outcome),
            moves,
            last: LastSteps::default(),
            drill,
            took: self.start.elapsed(),
        }
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    async fn practise(
        &mut self,
        wanted: Option<&SubnetId>,
        stop: &Stop,
        (gauge, measured): (&Gauge, &RefCell<Option<Drill>>),
    ) -> Conclusion {
        let lock = match self.mode {
            Mode::Act => match RunLock::acquire(self.world.state, PATIENCE, self.settings.deadline).await {
                Ok(lock) => Some(lock),
                Err(error @ LockError::Busy(_)) => {
                    return Conclusion::new(Outcome::Busy, exit::BUSY, error.to_string());
                }
                Err(error) => return failed(format!("nothing is moved: {error}")),
            },
            Mode::DryRun | Mode::Look => None,
        };
        self.part();
        let survey = self.survey().await;
        self.case.lock = self.remember(survey.identity.clone().ok()).lock();
        self.case.paused = self.paused();
        self.notes.extend(decide::differences(&survey, &self.settings.decide));
        self.case.survey = Some(survey);
        self.forget_refusals();
        let able = verify::able(self);
        let practice = Practice { wanted, canary: self.settings.canary.as_ref(), witnesses: &able };
        let plan = match decide::drill(&self.case, &practice) {
            Ok(plan) => plan,
            Err(over) => return over,
        };
        if self.mode != Mode::Act {
            return self.would_practise(&plan).await;
        }
        let Some(subnet) = plan.moves.first().and_then(Change::subnet).cloned() else {
            return failed("nothing is moved: there is no subnet to practise with".to_owned());
        };
        let (backends, targets) = (verify::who_can_tell(self, &subnet, gauge::BACKENDS), self.good_targets());
        let observer = Rc::clone(&self.observer);
        let deed = async {
            gauge.warm(backends.len(), FIRST_PINGS).await;
            let begun = Begun { at: (self.world.wall)(), start: Instant::now(), plan, gauge, measured };
            if stop.asked() {
                return failed("it was ended before anything was moved".to_owned());
            }
            self.there_and_back(begun, &subnet, lock, stop).await
        };
        tokio::select! {
            biased;
            concluded = Box::pin(deed) => concluded,
            never = observer.gauge(&backends, &targets, gauge) => match never {},
        }
    }

    /// What EC2 would say to both ways; nothing is changed.
    async fn would_practise(&mut self, plan: &Plan) -> Conclusion {
        let token = |change: &Change| match change {
            Change::Association(one) => Some(one.association.clone()),
            Change::Route(_) => None,
        };
        let back = plan.moves.iter().filter_map(|one| one.reversed(|_| token(one))).collect();
        let back = Plan { moves: back, disable_check: None, ..plan.clone() };
        let mut moves = Vec::new();
        for plan in [plan, &back] {
            let carried = act::carry_out(self.world.cloud, plan, self.deadline, 0, true, |_| ()).await;
            moves.extend(carried.moves);
        }
        let refused = moves.iter().find(|one| !one.result.settled()).or_else(|| moves.first());
        let concluded = refused.map(|one| decide::drilled(one, None, None));
        self.case.moves = Some(moves);
        concluded.unwrap_or_else(|| failed("there is no subnet to practise with".to_owned()))
    }

    fn good_targets(&self) -> Vec<Target> {
        let last = self.case.looks.last();
        last.map_or_else(Vec::new, |look| look.round.good_targets(Family::V4).cloned().collect())
    }

    fn tell_drill(&mut self, entry: &Entry) {
        let told = self.world.state.append_history(entry);
        self.notes.extend(told.err().map(|error| error.to_string()));
    }
}

fn failed(why: String) -> Conclusion {
    Conclusion::new(Outcome::Failed, exit::FAILED, why)
}
