//! The end of a failback: the Elastic IP address, then what is left on record and what is told.

use tokio::time::Instant;

use super::step::Failback;
use super::tell::tell;
use crate::act::{self, Changer};
use crate::decide::{self, Steps};
use crate::model::{AddressStep, LastSteps, Move, MoveResult, Phase, Plan, Purpose, Verification};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::run::remember::return_home;

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Failback<'_, '_, V, U, C, H> {
    /// How many entries of the record are still on the standby.
    pub(super) fn left(&self) -> usize {
        let primary = &self.going.settings.decide.primary_table;
        let home = |one: &&Move| {
            let back = decide::homeward(&one.plan, primary, &self.way.standby) && one.result.moved();
            back || matches!(one.result, MoveResult::Elsewhere(_))
        };
        let record = self.record.borrow();
        record.moves.len() - record.moves.iter().filter(home).count()
    }

    /// The address comes back last, when nothing that needs it is on the standby.
    pub(super) async fn address(&mut self) {
        let Some(planned) = decide::address_back(&self.record.borrow()) else { return };
        self.record.borrow_mut().last.address = Some(AddressStep::pending(planned.clone()));
        self.note(&[]);
        self.going.deadline = Instant::now() + self.going.settings.deadline;
        let plan = Plan {
            standby: self.way.standby.clone(),
            disable_check: None,
            moves: Vec::new(),
            address: Some(planned),
            reboot: None,
        };
        let carried = act::carry_out(self.going.world.cloud, &plan, self.going.deadline, 0, false, |_| ()).await;
        self.record.borrow_mut().last.address.clone_from(&carried.address);
        self.note(&[]);
        self.steps.address = carried.address;
    }

    /// The record is cleared once none of its subnets is on the standby, and says what is so otherwise.
    pub(super) fn finish(mut self) -> (Steps, usize) {
        self.steps.stopped = self.stop.asked();
        let primary = self.going.settings.decide.primary_table.clone();
        let own = self.way.standby.clone();
        let mut record = self.record.borrow().clone();
        let homeward = |one: &Move| decide::homeward(&one.plan, &primary, &own);
        let home = |one: &Move| homeward(one) && one.result.moved();
        let stopped = self.steps.stopped;
        let unproven = |one: &Move| match one.verification {
            Verification::Pending => true,
            Verification::Unverified => stopped,
            Verification::Verified | Verification::Unwitnessed => false,
        };
        // Whoever is back, or somebody else's, is of no concern to the lock; but for one that nobody has verified yet.
        record.moves.retain(|one| {
            let gone = matches!(one.result, MoveResult::Elsewhere(_)) || (home(one) && !unproven(one));
            !gone
        });
        let left = self.left();
        // As before: all are on the standby for certain, and none is on its way. While any may be on the primary, it is to be guarded.
        let guarded = self.going.case.guarded.as_ref();
        let some_home = guarded.is_none_or(|set| set.subnets.iter().any(|one| one.on == primary));
        let certain = self.steps.back.iter().chain(&self.steps.again).all(|one| one.result.settled());
        record.last.address = self.steps.address.clone().or(record.last.address);
        let over = record.moves.is_empty() && decide::address_back(&record).is_none();
        let theirs = self.steps.overtaken;
        if !over && !theirs {
            // What no takeover has moved is none by going back to where it was tried from.
            let taken = record.purpose == Purpose::Takeover && !record.moves.is_empty();
            if taken && !some_home && certain {
                record.phase = Phase::Taken;
                return_home(&mut record, &primary, false, |_| false);
            }
            self.record.replace(record);
            let mut trouble = std::mem::take(&mut self.trouble);
            self.write(&mut trouble);
            self.trouble = trouble;
        }
        let Self { going, steps, mut trouble, at, start, untold, told_as, .. } = self;
        let moves: Vec<Move> = untold.into_iter().chain(steps.back.iter().chain(&steps.again).cloned()).collect();
        let last = LastSteps { address: steps.address.clone(), reboot: None };
        if let Some(whole) = told_as {
            let told = going.world.state.append_history(&(whole.entry)(&steps, left));
            trouble.extend(told.err().map(|error| error.to_string()));
        } else if !(moves.is_empty() && last.is_empty()) {
            let outcome = decide::failed_back(&steps, left).outcome;
            let told = tell(going.world.state, &own, (at, start.elapsed()), (moves, last), outcome);
            trouble.extend(told.err().map(|error| error.to_string()));
        }
        // Last: who is killed before has left a record by which the next failback knows what is still to be told.
        if over
            && !theirs
            && let Err(error) = going.world.state.clear_record()
        {
            trouble.insert(format!("the lock could not be cleared: {error}"));
        }
        going.notes.extend(trouble);
        (steps, left)
    }
}
