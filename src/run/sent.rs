//! Subnets that a drill or failback sends to the standby in this moment: where they are by its record, while what is known of them, or what
//! EC2 shows, is of before.
//!
//! Their backends miss what the standby does not carry, and that says nothing of the primary.

use jiff::Timestamp;

use super::pass::Going;
use super::remember::outlived;
use crate::act::Changer;
use crate::model::{Change, GuardedSet, MoveResult, Phase, Record, SubnetId, Survey};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};

/// Those that are, or may be, on the standby's table by a record so young that EC2 need not show it. An older one holds nothing: whoever wrote
/// it may be dead, and a takeover is due.
fn sent<'r>(record: &'r Record, guarded: &GuardedSet, now: Timestamp) -> Vec<&'r SubnetId> {
    if record.phase != Phase::FailingBack || outlived(record, now) {
        return Vec::new();
    }
    let under_way = record.moves.iter().filter(|one| one.result == MoveResult::Pending || one.result.perhaps_moved());
    let to_standby = under_way.filter_map(|one| match &one.plan {
        Change::Association(plan) if plan.to == guarded.standby => Some(&plan.subnet),
        Change::Association(_) | Change::Route(_) => None,
    });
    to_standby.collect()
}

/// Notes where they are.
fn place(guarded: &mut GuardedSet, sent: &[&SubnetId]) {
    let standby = guarded.standby.clone();
    for one in guarded.subnets.iter_mut().filter(|one| sent.contains(&&one.subnet)) {
        one.on.clone_from(&standby);
    }
}

/// Whether a survey has any of them on the primary's table, and so may be older than the record.
fn of_before(survey: &Survey, guarded: &GuardedSet, sent: &[&SubnetId]) -> bool {
    let Ok(tables) = &survey.tables else { return false };
    sent.iter().any(|subnet| preflight::now_on(tables, subnet) == Some(&guarded.primary))
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Before the evidence is weighed against a plan.
    pub(super) async fn go_by(&mut self, record: &Record) {
        let now = (self.world.wall)();
        let Some(guarded) = &mut self.case.guarded else { return };
        let sent = sent(record, guarded, now);
        place(guarded, &sent);
        if !self.case.survey.as_ref().is_some_and(|survey| of_before(survey, guarded, &sent)) {
            return;
        }
        let fresh = self.survey().await;
        if fresh.answered() {
            self.case.survey = Some(fresh);
        }
    }
}

#[cfg(test)]
mod tests;
