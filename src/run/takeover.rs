//! A takeover as carried out: intent recorded, moves made, each outcome recorded as it happens, verified, recorded.
//!
//! The record is worth less than the move: a disk that is full or read-only is shouted about and holds nothing up. What is
//! moved twice by that is impossible, since the subnets have left the primary.

mod reconcile;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::lapse::Evidence;
use super::pass::{Going, Mode};
use super::{sent, verify};
use crate::act::{self, Carried, Changer};
use crate::decide::{self, Case, Situation};
use crate::model::{
    AddressStep, Change, LastSteps, Move, MoveResult, Outcome, Phase, Plan, Purpose, RebootResult, RebootStep, Record,
    Survey, Verification, printable,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};

pub(super) use reconcile::{reconcile, reconcile_routes};

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
        let now = world.now();
        let began = now.wall;
        let start = Instant::now();
        let until = going.deadline;
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
            purpose: Purpose::Takeover,
            phase: Phase::Taking,
            began: earlier.as_ref().map_or(began, |record| record.began),
            changed: began,
            boot: now.boot,
            because: because.to_owned(),
            moves: remembered(earlier.as_ref(), plan),
            last: LastSteps { address: intended(earlier.as_ref(), plan), reboot: None },
        });
        // Who holds the run lock is the only one that writes, so what lies about was left by a process that was killed.
        world.state.sweep();
        let trouble: RefCell<BTreeSet<String>> = RefCell::default();
        let write = || {
            record.borrow_mut().stamp(world.now());
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
        let evidence = Evidence::of(going);
        let current = || evidence.current();
        // Planned moves are verified in a part of their own.
        let kept = if going.case.planned { Duration::ZERO } else { going.settings.act.verify_for };
        let reading = going.fresh.take();
        let first = async { if let Some(reading) = reading { Some(reading.await) } else { None } };
        let carrying = act::carry_out_while(world.cloud, plan, (until, kept, &current), seed, false, settled);
        let (Carried { mut moves, address }, first) = join(carrying, first).await;
        let asks_until = evidence.until(until);
        let fresh = if let Some(first) = first { answered(going, first, asks_until).await } else { None };
        if let Some(along) = fresh.and_then(|fresh| along(&going.case, &fresh, plan)) {
            (world.tell)(&format!("{} subnets more are on the primary by now; moving them too", along.moves.len()));
            record.borrow_mut().moves.extend(along.moves.iter().map(pending));
            write();
            let along = act::carry_out_while(world.cloud, &along, (until, kept, &current), seed, false, settled);
            let carried = along.await;
            moves.extend(carried.moves);
        }
        going.lapse.lapsed = evidence.was_missed();
        let mut last = LastSteps { address, reboot: None };
        record.borrow_mut().last = last.clone();
        if let Some(step) = &last.address {
            (world.tell)(&address_step(step));
        }

        let settled = moves.iter().all(|one| one.result.settled());
        // What an earlier one had under way, and EC2 does not show, is no part of this plan.
        let nothing_moved = !record.borrow().moves.iter().any(|one| one.result.sent());
        if nothing_moved {
            // Nothing was moved, so nothing must keep the next run from trying.
            if let Err(error) = world.state.clear_record() {
                trouble.borrow_mut().insert(error.to_string());
            }
        } else {
            let open = record.borrow().moves.iter().any(|one| one.result == MoveResult::Pending);
            let taken = settled && last.stand() && !open;
            record.borrow_mut().phase = if taken { Phase::Taken } else { Phase::Partial };
            write();
            remember_guarded(going, &moves);
            if going.case.planned {
                going.part();
            }
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
        let entry = entry(plan, (record.borrow().began, began, start), because, (&moves, &last));
        if let Err(error) = world.state.append_takeover(&entry) {
            going.notes.push(error.to_string());
        }
        (moves, last)
    }
}

/// The takeover in the history; how long it took is, of one that was gone on with, from where it `began` at first.
fn entry(
    plan: &Plan,
    (began, again, start): (Timestamp, Timestamp, Instant),
    because: &str,
    (moves, last): (&[Move], &LastSteps),
) -> Entry {
    Entry {
        version: VERSION,
        kind: Deed::Takeover,
        at: began,
        instance: Some(plan.standby.clone()),
        why: because.to_owned(),
        outcome: Some(crate::decide::outcome_of(moves, last).0),
        moves: moves.to_vec(),
        last: last.clone(),
        drill: None,
        took: Duration::try_from(again.duration_since(began)).unwrap_or_default() + start.elapsed(),
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
    let (guarded, lock, paused) = (case.guarded.as_ref(), &case.lock, case.paused.as_ref());
    let now = Situation { survey: fresh, lock, paused, guarded, families: &case.families(), planned: case.planned };
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

/// The address of this plan; what an earlier, incomplete takeover knew of where it was is not forgotten. One that a failback has brought home did
/// not come along with anything.
fn intended(earlier: Option<&Record>, plan: &Plan) -> Option<AddressStep> {
    let came = |step: &AddressStep| step.came_along() && step.leads_to(&plan.standby);
    let known = earlier.and_then(|record| record.last.address.clone()).filter(came);
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
    sent::moved(&mut guarded, moves);
    if let Err(error) = going.world.state.write_guarded(&guarded) {
        going.notes.push(error.to_string());
    }
}

#[cfg(test)]
mod tests;
