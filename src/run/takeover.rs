//! A takeover as carried out: intent recorded, moves made, each outcome recorded as it happens, verified, recorded.
//!
//! The record is worth less than the move: a disk that is full or read-only is shouted about and holds nothing up. What is
//! moved twice by that is impossible, since the subnets have left the primary.

mod reconcile;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::pass::{Going, Mode};
use super::verify;
use crate::act::{self, Carried, Changer};
use crate::decide::{self, Case, Situation};
use crate::model::{
    AddressStep, Change, Family, LastSteps, Move, MoveResult, Outcome, Phase, Plan, RebootResult, RebootStep, Record,
    Survey, Verification, printable,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};

pub(super) use reconcile::{reconcile, reconcile_routes};

/// What EC2 may take to say where routes and address of an earlier takeover are: as for any other refresh.
pub(super) const REFRESH: Duration = Duration::from_secs(5);

/// How long a `watch` goes on asking for moves by one row of evidence, where EC2 gives no answer: it gathers its evidence anew at once, and
/// a primary that has come back meanwhile is not to be taken over. A move takes some tenths of a second.
const BY_ONE_ROW: Duration = Duration::from_secs(10);

/// Between two surveys of which the first was not answered.
const ASKED_AGAIN: Duration = Duration::from_millis(250);

/// One takeover.
pub(super) struct Takeover<'a, 'b, V: Vantages, U, C, H> {
    pub(super) going: &'a mut Going<'b, V, U, C, H>,
    pub(super) plan: &'a Plan,
    pub(super) because: &'a str,
    pub(super) earlier: Option<Record>,
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Takeover<'_, '_, V, U, C, H> {
    /// The moves with what became of them, and what was done when all of them stood.
    pub(super) async fn carry_out(self) -> (Vec<Move>, LastSteps) {
        let Self { going, plan, because, earlier } = self;
        let world = going.world;
        let began = (world.wall)();
        let start = Instant::now();
        // The address comes after all moves, and no evidence asks for it again.
        let limited = going.lasting && plan.address.is_none();
        let until = if limited { going.deadline.min(start + BY_ONE_ROW) } else { going.deadline };
        let seed = world.rng.borrow_mut().random();
        let what = if plan.moves.iter().any(|one| matches!(one, Change::Route(_))) { "routes" } else { "subnets" };
        (world.tell)(&format!("{because}; moving {} {what}", plan.moves.len()));
        if going.mode != Mode::Act {
            let Carried { moves, address } =
                act::carry_out(world.cloud, plan, until, seed, true, |one| (world.tell)(&step(one))).await;
            let last = LastSteps { address, reboot: None };
            let reboot = reboot(going, plan, (&moves, &last), seed).await;
            return (moves, LastSteps { reboot, ..last });
        }

        world.moving.set(true);
        let record = RefCell::new(Record {
            version: VERSION,
            instance: plan.standby.clone(),
            phase: Phase::Taking,
            began: earlier.as_ref().map_or(began, |record| record.began),
            changed: began,
            because: because.to_owned(),
            moves: remembered(earlier.as_ref(), plan),
            last: LastSteps { address: intended(earlier.as_ref(), plan), reboot: None },
        });
        // Who holds the run lock is the only one that writes, so what lies about was left by a process that was killed.
        world.state.sweep();
        let trouble: RefCell<BTreeSet<String>> = RefCell::default();
        let write = || {
            record.borrow_mut().changed = (world.wall)();
            if let Err(error) = world.state.write_record(&record.borrow()) {
                trouble.borrow_mut().insert(format!("THE TAKEOVER IS NOT ON RECORD: {error}"));
            }
        };
        write();
        let settled = |one: &Move| {
            (world.tell)(&step(one));
            replace(&mut record.borrow_mut().moves, one);
            write();
        };
        let reading = going.fresh.take();
        let first = async { if let Some(reading) = reading { Some(reading.await) } else { None } };
        let carrying = act::carry_out(world.cloud, plan, until, seed, false, settled);
        let (Carried { mut moves, address }, first) = join(carrying, first).await;
        let fresh = if let Some(first) = first { answered(going, first, until).await } else { None };
        if let Some(along) = fresh.and_then(|fresh| along(&going.case, &fresh, plan)) {
            (world.tell)(&format!("{} subnets more are on the primary by now; moving them too", along.moves.len()));
            record.borrow_mut().moves.extend(along.moves.iter().map(pending));
            write();
            moves.extend(act::carry_out(world.cloud, &along, until, seed, false, settled).await.moves);
        }
        let mut last = LastSteps { address, reboot: None };
        record.borrow_mut().last = last.clone();
        if let Some(step) = &last.address {
            (world.tell)(&address_step(step));
        }

        let settled = moves.iter().all(|one| one.result.settled());
        let nothing_moved = !record.borrow().moves.iter().any(|one| one.result.perhaps_moved());
        if nothing_moved {
            // Nothing was moved, so nothing must keep the next run from trying.
            if let Err(error) = world.state.clear_record() {
                trouble.borrow_mut().insert(error.to_string());
            }
        } else {
            record.borrow_mut().phase = if settled && last.stand() { Phase::Taken } else { Phase::Partial };
            write();
            remember_guarded(going, &moves);
            verify::verify(going, &mut moves).await;
            for one in &moves {
                replace(&mut record.borrow_mut().moves, one);
            }
            write();
            last.reboot = reboot(going, plan, (&moves, &last), seed).await;
            if last.reboot.is_some() {
                record.borrow_mut().last = last.clone();
                write();
            }
        }
        going.notes.extend(trouble.into_inner());
        let entry = Entry {
            version: VERSION,
            kind: Deed::Takeover,
            at: began,
            instance: Some(plan.standby.clone()),
            why: because.to_owned(),
            outcome: Some(crate::decide::outcome_of(&moves, &last).0),
            moves: moves.clone(),
            last: last.clone(),
            drill: None,
            took: start.elapsed(),
        };
        if let Err(error) = world.state.append_history(&entry) {
            going.notes.push(error.to_string());
        }
        (moves, last)
    }
}

/// A survey that EC2 has answered: `first`, or another, asked for until then.
async fn answered<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(
    going: &Going<'_, V, U, C, H>,
    first: Survey,
    until: Instant,
) -> Option<Survey> {
    let mut survey = first;
    while !survey.answered() {
        if Instant::now() + ASKED_AGAIN >= until {
            return None;
        }
        sleep(ASKED_AGAIN).await;
        survey = going.survey().await;
    }
    Some(survey)
}

/// What has come to the primary since what `plan` was made by was read, which is minutes ago in a `watch`; by a `fresh` survey. A route carries
/// all subnets on its table anyway.
fn along(case: &Case, fresh: &Survey, plan: &Plan) -> Option<Plan> {
    let guarded = case.guarded.as_ref();
    let families = guarded.map_or_else(Vec::new, |set| set.families.clone());
    let families = if families.is_empty() { vec![Family::V4] } else { families };
    let (lock, paused) = (&case.lock, case.paused.as_ref());
    let now = Situation { survey: fresh, lock, paused, guarded, families: &families, planned: case.planned };
    let now = decide::plan(now, &case.rules).ok()?;
    let standby = now.standby.clone();
    let is_new =
        |one: &Change| matches!(one, Change::Association(_)) && !plan.moves.iter().any(|known| known.same(one));
    let moves: Vec<Change> = now.moves.into_iter().filter(is_new).collect();
    (!moves.is_empty()).then_some(Plan { moves, disable_check: None, address: None, reboot: None, standby })
}

/// The primary's reboot, where one is planned and the takeover is seen to have helped.
async fn reboot<V: Vantages, U, C: Changer, H>(
    going: &mut Going<'_, V, U, C, H>,
    plan: &Plan,
    (moves, last): (&[Move], &LastSteps),
    seed: u64,
) -> Option<RebootStep> {
    let instance = plan.reboot.clone()?;
    let dry_run = going.mode != Mode::Act;
    let outcome = crate::decide::outcome_of(moves, last).0;
    let verified = moves.iter().any(|one| one.verification == Verification::Verified);
    if !(outcome == Outcome::TakenOver && verified) && outcome != Outcome::WouldTakeOver {
        going.notes.push(format!(
            "the primary {instance} is not rebooted: that is for a takeover that is complete and verified"
        ));
        return None;
    }
    let result = act::reboot(going.world.cloud, &instance, going.deadline, seed, dry_run).await;
    let note = match &result {
        RebootResult::Asked => format!("the primary {instance} is being rebooted"),
        RebootResult::WouldAsk => format!("the primary {instance} would be rebooted once the takeover is verified"),
        RebootResult::Failed(why) => format!("the primary {instance} could not be rebooted: {why}"),
    };
    going.notes.push(note);
    Some(RebootStep { instance, result })
}

/// One line about a move.
pub(super) fn step(one: &Move) -> String {
    let detail = match &one.result {
        MoveResult::Elsewhere(place) => format!(" (on {}, by somebody else)", printable(place, 100)),
        MoveResult::Failed(why) | MoveResult::Unknown(why) => format!(": {why}"),
        _ => String::new(),
    };
    format!("{} {}{detail} after {} ms", one.plan, one.result.as_str(), one.took.as_millis())
}

/// One line about the address.
fn address_step(step: &AddressStep) -> String {
    let detail = match &step.result {
        MoveResult::Elsewhere(place) => format!(" ({place} has it)"),
        MoveResult::Failed(why) => format!(": {why}"),
        _ => String::new(),
    };
    format!("{} {}{detail} after {} ms", step.plan.address, step.result.as_str(), step.took.as_millis())
}

/// The address of this plan; what an earlier, incomplete takeover knew of where it was is not forgotten.
fn intended(earlier: Option<&Record>, plan: &Plan) -> Option<AddressStep> {
    let known = earlier.and_then(|record| record.last.address.clone()).filter(AddressStep::came_along);
    known.or_else(|| plan.address.clone().map(AddressStep::pending))
}

/// The moves of an earlier, incomplete takeover, and those of this plan, pending. None is forgotten: a reset goes by them.
fn remembered(earlier: Option<&Record>, plan: &Plan) -> Vec<Move> {
    let again = |one: &Move| plan.moves.iter().any(|planned| planned.same(&one.plan));
    let done = earlier.into_iter().flat_map(|record| &record.moves).filter(|one| !again(one));
    done.cloned().chain(plan.moves.iter().map(pending)).collect()
}

pub(super) fn pending(plan: &Change) -> Move {
    Move { plan: plan.clone(), result: MoveResult::Pending, took: Duration::ZERO, verification: Verification::Pending }
}

pub(super) fn replace(moves: &mut [Move], one: &Move) {
    if let Some(place) = moves.iter_mut().find(|other| other.plan.same(&one.plan)) {
        *place = one.clone();
    }
}

/// What the next run needs to know of where the subnets are. This one was decided by what was known before, and that stays in
/// its case.
fn remember_guarded<V: Vantages, U, C, H>(going: &mut Going<'_, V, U, C, H>, moves: &[Move]) {
    let Some(mut guarded) = going.case.guarded.clone() else { return };
    for one in moves.iter().filter(|one| one.result.moved()) {
        let Change::Association(plan) = &one.plan else { continue };
        if let Some(subnet) = guarded.subnets.iter_mut().find(|subnet| subnet.subnet == plan.subnet) {
            subnet.on = plan.to.clone();
        }
    }
    // A subnet is where all of the routes are that are to be moved; those that were there before are in no plan.
    let mut routes = moves.iter().filter(|one| matches!(one.plan, Change::Route(_))).peekable();
    if routes.peek().is_some() && routes.all(|one| one.result.moved()) {
        let table = guarded.standby.clone();
        for subnet in &mut guarded.subnets {
            subnet.on = if subnet.on == guarded.primary { table.clone() } else { subnet.on.clone() };
        }
    }
    if let Err(error) = going.world.state.write_guarded(&guarded) {
        going.notes.push(error.to_string());
    }
}
