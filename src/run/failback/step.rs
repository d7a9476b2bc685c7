//! A failback as carried out: each step recorded, made, recorded, verified, recorded.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::Instant;

use super::tell::{ASKED_FOR, untold};
use crate::act::{self, Carried, Changer};
use crate::decide::{self, Steps, WayBack};
use crate::model::{
    Change, LastSteps, Move, MoveResult, Phase, Plan, Purpose, Record, RouteTable, RouteTableId, Verification,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::history::Entry;
use crate::record::lock::RunLock;
use crate::record::{StateError, VERSION};
use crate::run::pass::Going;
use crate::run::signals::Stop;
use crate::run::takeover::{pending, replace, step};
use crate::run::verify::After;

/// A failback under way.
pub(super) struct Failback<'a, 'b, V: Vantages, U, C, H> {
    pub(super) going: &'a mut Going<'b, V, U, C, H>,
    pub(super) way: WayBack,
    pub(super) record: RefCell<Record>,
    /// The record as it is on the disk, by our own doing.
    pub(super) written: RefCell<Record>,
    /// See [`How`].
    pub(super) lends: Option<RunLock>,
    pub(super) steps: Steps,
    pub(super) stop: &'a Stop,
    pub(super) trouble: BTreeSet<String>,
    pub(super) at: Timestamp,
    pub(super) start: Instant,
    /// What one that was cut short has done and not told.
    pub(super) untold: Vec<Move>,
    /// The line of the history where this is the way back of something that is told as a whole.
    pub(super) told_as: Option<&'a ToldAs<'a>>,
}

/// How it is carried out.
pub(in crate::run) struct How<'a> {
    /// Looked at between the steps.
    pub(in crate::run) stop: &'a Stop,
    /// What this is the way back of, where it is told as a whole.
    pub(in crate::run) told_as: Option<&'a ToldAs<'a>>,
    /// The run lock, where it is lent while nothing is moved; `None`: whoever called holds it to the end.
    pub(in crate::run) lends: Option<RunLock>,
}

/// What this is the way back of.
pub(in crate::run) struct ToldAs<'a> {
    /// The line of the history, from what was done and how many subnets are left on the standby.
    pub(in crate::run) entry: &'a dyn Fn(&Steps, usize) -> Entry,
    /// The standby was seen to carry what comes back.
    pub(in crate::run) carried: bool,
}

impl<'a, 'b, V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Failback<'a, 'b, V, U, C, H> {
    /// The intent, recorded.
    ///
    /// # Errors
    /// It could not be.
    pub(super) fn begin(
        going: &'a mut Going<'b, V, U, C, H>,
        way: WayBack,
        record: Option<Record>,
        tables: &[RouteTable],
        How { stop, told_as, lends }: How<'a>,
    ) -> Result<Self, StateError> {
        let now = going.world.now();
        let at = now.wall;
        let primary = &going.settings.decide.primary_table;
        let untold = match told_as {
            None => untold(going.world.state, record.as_ref(), primary, &way.standby),
            Some(_) => Vec::new(),
        };
        let mut record = record.unwrap_or_else(|| Record {
            version: VERSION,
            instance: way.standby.clone(),
            purpose: Purpose::Failback,
            phase: Phase::Taken,
            began: at,
            changed: at,
            boot: None,
            because: ASKED_FOR.to_owned(),
            moves: Vec::new(),
            last: LastSteps::default(),
        });
        // Whoever is neither moved nor unproven is at home or somebody else's by now, unless it was left out on purpose.
        let standby = &going.settings.decide.standby_table;
        record.moves.retain(|one| {
            decide::carried(&one.plan, tables, standby, &way.standby)
                || way.moves.iter().any(|planned| planned.same(&one.plan))
                || way.unproven.iter().any(|other| other.plan.same(&one.plan))
        });
        for one in &way.unproven {
            replace(&mut record.moves, one);
        }
        for planned in &way.moves {
            match record.moves.iter_mut().find(|one| one.plan.same(planned)) {
                Some(place) => *place = pending(planned),
                None => record.moves.push(pending(planned)),
            }
        }
        record.phase = Phase::FailingBack;
        going.world.moving.set(true);
        going.world.state.sweep();
        record.stamp(now);
        going.world.state.write_record(&record)?;
        let written = RefCell::new(record.clone());
        let record = RefCell::new(record);
        let (steps, trouble) = (Steps::default(), BTreeSet::new());
        let start = Instant::now();
        Ok(Self { going, way, record, written, lends, steps, stop, trouble, at, start, untold, told_as })
    }

    /// What was done, and how many subnets of the record are still on the standby.
    pub(super) async fn carry_out(mut self) -> (Steps, usize) {
        let mut rest = self.way.moves.clone();
        let mut well = true;
        let mut proven = false;
        if !self.way.unproven.is_empty() {
            // On their way when the last failback was cut short: they are as good as a canary, and no better.
            let mut found = self.way.unproven.clone();
            for one in &mut found {
                one.result = MoveResult::AlreadyThere;
            }
            (well, proven) = self.prove(found).await;
        }
        while well && !proven && !self.stop.asked() && !rest.is_empty() {
            let canary = self.way.canary.clone().or_else(|| rest.first().and_then(Change::subnet).cloned());
            let first = rest.iter().position(|one| canary.is_some() && one.subnet() == canary.as_ref());
            let now = match first {
                Some(first) => vec![rest.remove(first)],
                // A route carries all of its subnets at once.
                None => std::mem::take(&mut rest),
            };
            self.way.canary = None;
            let moved = self.make(now).await;
            // One that somebody else has by now proves nothing: the next one goes first.
            let elsewhere = moved.iter().all(|one| matches!(one.result, MoveResult::Elsewhere(_)));
            (well, proven) = self.prove(moved).await;
            well |= elsewhere;
        }
        if well && !self.stop.asked() && !rest.is_empty() {
            let moved = self.make(rest).await;
            (well, _) = self.prove(moved).await;
        }
        if well && !self.stop.asked() && self.left() == 0 {
            self.address().await;
        }
        self.finish()
    }

    /// Makes these changes at once.
    async fn make(&mut self, changes: Vec<Change>) -> Vec<Move> {
        self.going.deadline = Instant::now() + self.going.settings.deadline;
        let world = self.going.world;
        let plan = Plan {
            standby: self.way.standby.clone(),
            disable_check: None,
            moves: changes,
            address: None,
            reboot: None,
        };
        (world.tell)(&format!(
            "moving {} to {}",
            told(&plan.moves),
            plan.moves.first().map_or_else(String::new, Change::to)
        ));
        let seed = world.rng.borrow_mut().random();
        let trouble = RefCell::new(BTreeSet::new());
        let Carried { moves, .. } = act::carry_out(world.cloud, &plan, self.going.deadline, seed, false, |one| {
            (world.tell)(&step(one));
            replace(&mut self.record.borrow_mut().moves, one);
            self.write(&mut trouble.borrow_mut());
        })
        .await;
        self.trouble.append(&mut trouble.into_inner());
        self.trouble.extend(self.going.place(&moves, &self.way.standby));
        moves
    }

    /// Looks whether those that were brought back reach the internet by the primary. Whoever doesn't goes to the standby again; but nobody does
    /// of whom nobody was asked.
    /// Returns whether all went well, and whether the primary is proven to carry anything.
    async fn prove(&mut self, mut moves: Vec<Move>) -> (bool, bool) {
        let seen = self.look(&mut moves, After::Flowing).await;
        self.note(&moves);
        self.steps.back.extend(moves.iter().cloned());
        if !seen {
            return (false, false);
        }
        let lost: Vec<Move> =
            moves.iter().filter(|one| one.verification == Verification::Unverified).cloned().collect();
        // What was taken flows through the standby; what was there to try it goes again only to where it was seen to reach.
        let carried = self.told_as.is_none_or(|whole| whole.carried);
        let lost = !lost.is_empty() && (!carried || self.again(&lost).await);
        let seen = |one: &Move| !one.result.moved() || one.verification != Verification::Pending;
        let well = !lost && moves.iter().all(|one| one.result.settled() && seen(one));
        (well, moves.iter().any(|one| one.verification == Verification::Verified))
    }

    /// To the standby again; but whoever is on another table by now was moved by somebody, and stays there. Returns whether there was any.
    async fn again(&mut self, lost: &[Move]) -> bool {
        let world = self.going.world;
        (world.tell)(&format!("{} did not recover", told(lost.iter().map(|one| &one.plan))));
        let subnets: Vec<_> = lost.iter().flat_map(|one| one.plan.subnets()).cloned().collect();
        // Where EC2 does not say, the old ids are tried: a stale one moves nothing, and leads to the present one.
        let known = world.cloud.whereabouts(&subnets).await.unwrap_or_default();
        let mut changes = Vec::new();
        for one in lost {
            let Change::Association(plan) = &one.plan else {
                changes.extend(one.plan.reversed(|_| None));
                continue;
            };
            let present = known.iter().find(|(_, association)| association.subnet.as_ref() == Some(&plan.subnet));
            match present {
                Some((table, _)) if *table != plan.to && *table != plan.from => self.gone(one, table),
                Some((_, association)) => changes.extend(one.plan.reversed(|_| Some(association.id.clone()))),
                None => changes.extend(one.plan.reversed(|_| Some(plan.association.clone()))),
            }
        }
        if changes.is_empty() {
            return false;
        }
        let intent: Vec<Move> = changes.iter().map(pending).collect();
        self.note(&intent);
        let mut moves = self.make(changes).await;
        self.look(&mut moves, After::Outage).await;
        self.note(&moves);
        self.steps.again.extend(moves);
        true
    }

    /// Somebody moved it to `table` meanwhile.
    fn gone(&mut self, one: &Move, table: &RouteTableId) {
        let gone = Move { result: MoveResult::Elsewhere(table.to_string()), ..one.clone() };
        self.going.notes.push(format!("{} was moved to {table} by somebody meanwhile, and stays there", one.plan));
        replace(&mut self.steps.back, &gone);
        self.note(&[gone]);
    }

    pub(super) fn note(&mut self, moves: &[Move]) {
        for one in moves {
            replace(&mut self.record.borrow_mut().moves, one);
        }
        let mut trouble = std::mem::take(&mut self.trouble);
        self.write(&mut trouble);
        self.trouble = trouble;
    }

    pub(super) fn write(&self, trouble: &mut BTreeSet<String>) {
        if self.steps.overtaken {
            return;
        }
        self.record.borrow_mut().stamp(self.going.world.now());
        match self.going.world.state.write_record(&self.record.borrow()) {
            Ok(()) => self.written.borrow_mut().clone_from(&self.record.borrow()),
            Err(error) => {
                trouble.insert(format!("THE FAILBACK IS NOT ON RECORD: {error}"));
            }
        }
    }
}

fn told<'c>(changes: impl IntoIterator<Item = &'c Change>) -> String {
    changes.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
