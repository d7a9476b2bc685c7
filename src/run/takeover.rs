//! A takeover as carried out: intent recorded, moves made, each outcome recorded as it happens, verified, recorded.
//!
//! The record is worth less than the move: a disk that is full or read-only is shouted about and holds nothing up. What is
//! moved twice by that is impossible, since the subnets have left the primary.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::pass::Going;
use crate::act::{self, Changer};
use crate::decide::DecideSettings;
use crate::model::{
    Backend, BackendVerdict, GuardedSet, Move, MoveResult, Outcome, Phase, Plan, PlannedMove, Record, SubnetId, Survey, Target,
    Verification,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};

/// Between two looks at whether backends reach again. A look that fails has waited `targets.timeout` already; this keeps one
/// that fails at once from becoming a loop without a pause.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many backends are asked per subnet: with three heard, two must reach (the contract's "Verified"); one may be silent.
const ASKED_PER_SUBNET: usize = 4;

/// Subnets in which so many were heard need two that reach; others one.
const HEARD_FOR_TWO: usize = 3;

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
        (world.tell)(&format!("{because}; moving {} subnets", plan.moves.len()));
        if going.dry_run {
            return act::take_over(world.cloud, plan, until, true, |one| (world.tell)(&step(one))).await;
        }

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
        let mut moves = act::take_over(world.cloud, plan, until, false, |one| {
            (world.tell)(&step(one));
            replace(&mut record.borrow_mut().moves, one);
            write();
        })
        .await;

        let settled = moves.iter().filter(|one| one.result.settled()).count();
        let nothing_moved = record.borrow().moves.iter().all(|one| !one.result.settled());
        if nothing_moved {
            // Nothing was moved, so nothing must keep the next run from trying.
            if let Err(error) = world.state.clear_record() {
                trouble.borrow_mut().insert(error.to_string());
            }
        } else {
            record.borrow_mut().phase = if settled == moves.len() { Phase::Taken } else { Phase::Partial };
            write();
            verify(going, &mut moves).await;
            for one in &moves {
                replace(&mut record.borrow_mut().moves, one);
            }
            write();
        }
        going.notes.extend(trouble.into_inner());
        remember_guarded(going, &moves);
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
fn step(one: &Move) -> String {
    let detail = match &one.result {
        MoveResult::Elsewhere(table) => format!(" (on {table}, by somebody else)"),
        MoveResult::Failed(why) => format!(": {why}"),
        _ => String::new(),
    };
    format!("{} {}{detail} after {} ms", one.plan.subnet, one.result.as_str(), one.took.as_millis())
}

/// The moves of an earlier, incomplete takeover that are done, and those of this plan, pending.
fn remembered(earlier: Option<&Record>, plan: &Plan) -> Vec<Move> {
    let again: BTreeSet<&SubnetId> = plan.moves.iter().map(|one| &one.subnet).collect();
    let done = earlier.into_iter().flat_map(|record| &record.moves).filter(|one| one.result.settled() && !again.contains(&one.plan.subnet));
    done.cloned().chain(plan.moves.iter().map(pending)).collect()
}

fn pending(plan: &PlannedMove) -> Move {
    Move { plan: plan.clone(), result: MoveResult::Pending, took: Duration::ZERO, verification: Verification::Pending }
}

fn replace(moves: &mut [Move], one: &Move) {
    if let Some(place) = moves.iter_mut().find(|other| other.plan.subnet == one.plan.subnet) {
        *place = one.clone();
    }
}

/// Who can tell whether a subnet reaches again, and how many of them must.
struct Watchers {
    backends: Vec<Backend>,
    needed: usize,
}

/// Looks, until `takeover.verify_for` is over, whether backends of the moved subnets reach targets again.
async fn verify<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host>(going: &Going<'_, V, U, C, H>, moves: &mut [Move]) {
    let until = (Instant::now() + going.settings.act.verify_for).min(going.deadline);
    let targets: Vec<Target> = going.rounds.last().map(|round| {
        [crate::model::Family::V4, crate::model::Family::V6].into_iter().flat_map(|family| round.good_targets(family)).cloned().collect()
    }).unwrap_or_default();
    let watchers = watchers(going);
    let verdicts = join_all(moves.iter().map(|one| {
        let watchers = watchers.get(one.plan.subnet.as_str());
        let ours = matches!(one.result, MoveResult::Moved | MoveResult::AlreadyThere);
        let targets = &targets;
        async move {
            match watchers {
                _ if !ours => Verification::Pending,
                None => Verification::Unwitnessed,
                Some(watchers) => {
                    let reached = reached(going, watchers, targets, until).await;
                    if reached { Verification::Verified } else { Verification::Unverified }
                }
            }
        }
    }))
    .await;
    for (one, verdict) in moves.iter_mut().zip(verdicts) {
        one.verification = verdict;
    }
}

async fn reached<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>, watchers: &Watchers, targets: &[Target], until: Instant) -> bool {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    while reached.len() < watchers.needed && Instant::now() < until {
        let left = watchers.backends.iter().filter(|one| !reached.contains(one.host.as_str()));
        let answers = join_all(left.map(|backend| async move { (backend, going.observer.reaches(backend, targets, until).await) })).await;
        reached.extend(answers.into_iter().filter(|(_, reaches)| *reaches).map(|(backend, _)| backend.host.as_str()));
        if reached.len() < watchers.needed {
            sleep(LOOK_EVERY).await;
        }
    }
    reached.len() >= watchers.needed
}

/// By subnet: the backends found cut off in any round of this pass, else witnesses that the panel did not hold.
fn watchers<V: Vantages, U: Uplink, C, H>(going: &Going<'_, V, U, C, H>) -> BTreeMap<String, Watchers> {
    let map = crate::observe::panel::SubnetMap::new(going.guarded.as_ref(), &going.settings.observe.within);
    let judged = || going.judgements.values().flatten().flat_map(|one| &one.backends);
    let mut heard: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut cut_off: BTreeSet<&str> = BTreeSet::new();
    for one in judged().filter(|one| one.verdict != BackendVerdict::Silent) {
        heard.entry(one.subnet.clone()).or_default().insert(&one.host);
        if one.verdict == BackendVerdict::CutOff {
            cut_off.insert(&one.host);
        }
    }
    let now = (going.world.wall)();
    let families: Vec<_> = going.judgements.keys().copied().collect();
    let mut watchers: BTreeMap<String, Watchers> = BTreeMap::new();
    // Those found cut off first: they are known to answer, and to have something to recover from.
    for wanted in [true, false] {
        for backend in going.backends.iter().filter(|backend| cut_off.contains(backend.host.as_str()) == wanted) {
            let witness = families.iter().any(|family| going.witnesses.is_witness(&backend.host, backend.addr, *family, now));
            let Some(subnet) = map.of(backend).filter(|_| wanted || witness) else { continue };
            let known = heard.get(&subnet).map_or(0, BTreeSet::len);
            let entry = watchers.entry(subnet).or_insert_with(|| Watchers { backends: Vec::new(), needed: if known >= HEARD_FOR_TWO { 2 } else { 1 } });
            if entry.backends.len() < ASKED_PER_SUBNET {
                entry.backends.push(backend.clone());
            }
        }
    }
    for one in watchers.values_mut() {
        one.needed = one.needed.min(one.backends.len());
    }
    watchers
}

/// What the next run needs to know of where the subnets are.
fn remember_guarded<V: Vantages, U, C, H>(going: &mut Going<'_, V, U, C, H>, moves: &[Move]) {
    let Some(guarded) = &mut going.guarded else { return };
    for one in moves.iter().filter(|one| matches!(one.result, MoveResult::Moved | MoveResult::AlreadyThere)) {
        if let Some(subnet) = guarded.subnets.iter_mut().find(|subnet| subnet.subnet == one.plan.subnet) {
            subnet.on = one.plan.to.clone();
        }
    }
    if let Err(error) = going.world.state.write_guarded(guarded) {
        going.notes.push(error.to_string());
    }
}

/// Brings the record of a takeover that was cut short up to what the route tables say.
pub(super) fn reconcile(record: &mut Record, guarded: &GuardedSet, now: Timestamp) {
    for one in record.moves.iter_mut().filter(|one| !one.result.settled()) {
        let on = guarded.subnets.iter().find(|subnet| subnet.subnet == one.plan.subnet).map(|subnet| &subnet.on);
        match on {
            Some(table) if *table == one.plan.to => one.result = MoveResult::AlreadyThere,
            Some(table) if *table == one.plan.from => {}
            Some(table) => one.result = MoveResult::Elsewhere(table.clone()),
            None => {}
        }
    }
    if record.moves.iter().all(|one| one.result.settled()) {
        record.phase = Phase::Taken;
        record.changed = now;
    }
}

/// What came of the moves, in one sentence.
pub(super) fn sentence(moves: &[Move], because: &str) -> String {
    let of = |wanted: fn(&Move) -> bool| moves.iter().filter(|one| wanted(one)).count();
    let total = moves.len();
    let moved = of(|one| one.result.settled());
    match crate::decide::outcome(crate::decide::Ending::Moved(moves)).0 {
        Outcome::WouldTakeOver => format!("{because}; {total} subnets would be moved to this standby"),
        Outcome::TakenOver => format!("{because}; all {total} subnets are on this standby and traffic flows"),
        Outcome::Unverified => {
            let unverified = of(|one| one.verification == Verification::Unverified);
            format!("{because}; all {total} subnets are moved, but {unverified} were not seen to reach anything since")
        }
        Outcome::Partial => format!("{because}; {moved} of {total} subnets are moved"),
        _ => format!("{because}; none of {total} subnets could be moved"),
    }
}

/// What an operator would type to move by hand what a gate held back.
pub(super) fn commands(survey: &Survey, guarded: Option<&GuardedSet>, settings: &DecideSettings) -> Vec<String> {
    let associations = survey.table(&settings.primary_table).map(|table| table.associations.as_slice()).unwrap_or_default();
    let known: Vec<String> = associations
        .iter()
        .filter(|one| one.subnet.is_some())
        .map(|one| format!("aws ec2 replace-route-table-association --association-id {} --route-table-id {}", one.id, settings.standby_table))
        .collect();
    if !known.is_empty() || survey.tables.is_ok() {
        return known;
    }
    // EC2 could not be asked, so the ids are not known: how to find them, and what to do with each.
    let count = guarded.map_or_else(String::new, |set| format!(" # {} subnets", set.subnets.len()));
    vec![
        format!("aws ec2 describe-route-tables --route-table-ids {} --query 'RouteTables[].Associations[].[RouteTableAssociationId,SubnetId]' --output text{count}", settings.primary_table),
        format!("aws ec2 replace-route-table-association --association-id <each of them> --route-table-id {}", settings.standby_table),
    ]
}
