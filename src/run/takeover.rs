//! A takeover as carried out: intent recorded, moves made, each outcome recorded as it happens, verified, recorded.
//!
//! The record is worth less than the move: a disk that is full or read-only is shouted about and holds nothing up. What is
//! moved twice by that is impossible, since the subnets have left the primary.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::Instant;

use super::pass::{Going, Mode};
use super::verify;
use crate::act::{self, Changer};
use crate::model::{Change, Move, MoveResult, Phase, Plan, Record, RouteTableId, SubnetId, Verification};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};

/// One takeover.
pub(super) struct Takeover<'a, 'b, V: Vantages, U, C, H> {
    pub(super) going: &'a mut Going<'b, V, U, C, H>,
    pub(super) plan: &'a Plan,
    pub(super) because: &'a str,
    pub(super) earlier: Option<Record>,
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Takeover<'_, '_, V, U, C, H> {
    /// The moves with what became of them.
    pub(super) async fn carry_out(self) -> Vec<Move> {
        let Self { going, plan, because, earlier } = self;
        let world = going.world;
        let began = (world.wall)();
        let start = Instant::now();
        let until = going.deadline;
        let seed = world.rng.borrow_mut().random();
        (world.tell)(&format!("{because}; moving {} subnets", plan.moves.len()));
        if going.mode != Mode::Act {
            return act::take_over(world.cloud, plan, until, seed, true, |one| (world.tell)(&step(one))).await;
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
        let mut moves = act::take_over(world.cloud, plan, until, seed, false, |one| {
            (world.tell)(&step(one));
            replace(&mut record.borrow_mut().moves, one);
            write();
        })
        .await;

        let settled = moves.iter().filter(|one| one.result.settled()).count();
        let nothing_moved = !record.borrow().moves.iter().any(|one| one.result.moved());
        if nothing_moved {
            // Nothing was moved, so nothing must keep the next run from trying.
            if let Err(error) = world.state.clear_record() {
                trouble.borrow_mut().insert(error.to_string());
            }
        } else {
            record.borrow_mut().phase = if settled == moves.len() { Phase::Taken } else { Phase::Partial };
            write();
            remember_guarded(going, &moves);
            verify::verify(going, &mut moves).await;
            for one in &moves {
                replace(&mut record.borrow_mut().moves, one);
            }
            write();
        }
        going.notes.extend(trouble.into_inner());
        let entry = Entry {
            version: VERSION,
            kind: Deed::Takeover,
            at: began,
            instance: Some(plan.standby.clone()),
            why: because.to_owned(),
            outcome: Some(crate::decide::outcome(crate::decide::Ending::Moved(&moves)).0),
            moves: moves.clone(),
            took: start.elapsed(),
        };
        if let Err(error) = world.state.append_history(&entry) {
            going.notes.push(error.to_string());
        }
        moves
    }
}

/// One line about a move.
pub(super) fn step(one: &Move) -> String {
    let detail = match &one.result {
        MoveResult::Elsewhere(table) => format!(" (on {table}, by somebody else)"),
        MoveResult::Failed(why) => format!(": {why}"),
        _ => String::new(),
    };
    format!("{} {}{detail} after {} ms", one.plan, one.result.as_str(), one.took.as_millis())
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
    if let Err(error) = going.world.state.write_guarded(&guarded) {
        going.notes.push(error.to_string());
    }
}

/// Brings the record of a takeover that was cut short up to what the route tables say; `place` tells where a subnet is.
pub(super) fn reconcile(record: &mut Record, now: Timestamp, place: impl Fn(&SubnetId) -> Option<RouteTableId>) {
    for one in record.moves.iter_mut().filter(|one| !one.result.settled()) {
        let Change::Association(plan) = &one.plan else { continue };
        match place(&plan.subnet) {
            Some(table) if table == plan.to => one.result = MoveResult::AlreadyThere,
            Some(table) if table != plan.from => one.result = MoveResult::Elsewhere(table.to_string()),
            Some(_) | None => {}
        }
    }
    if record.moves.iter().all(|one| one.result.settled()) {
        record.phase = Phase::Taken;
        record.changed = now;
    }
}
