//! Subnets that somebody moves in this moment, or has moved just now: where they are by his record, while what is known of them, or what EC2
//! shows, is of before.
//!
//! The backends of those that a drill or failback sends to the standby miss what the standby does not carry, and that says nothing of the primary.

use jiff::Timestamp;

use super::lag::{outlived, shown_as_before};
use super::pass::Going;
use crate::act::Changer;
use crate::model::{
    Change, Guarded, GuardedSet, Move, Phase, PlannedMove, Record, RouteTableId, Stamp, SubnetId, Survey,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host, PreflightSettings};

/// Where those are, or may be, that a record so young sends to the standby, and those that it has brought home: EC2 need not show it. An older one
/// holds nothing: whoever wrote it may be dead, and a takeover is due.
fn sent<'r>(record: &'r Record, guarded: &GuardedSet, now: &Stamp) -> Vec<(&'r SubnetId, &'r RouteTableId)> {
    if record.phase != Phase::FailingBack || outlived(record, now) {
        return Vec::new();
    }
    let there = record.moves.iter().filter_map(|one| match &one.plan {
        Change::Association(plan) if plan.to == guarded.standby => {
            one.result.sent().then_some((&plan.subnet, &plan.to))
        }
        Change::Association(plan) if plan.to == guarded.primary => {
            one.result.moved().then_some((&plan.subnet, &plan.to))
        }
        Change::Association(_) | Change::Route(_) => None,
    });
    there.collect()
}

/// Notes what has been moved.
pub(super) fn moved(guarded: &mut GuardedSet, moves: &[Move]) {
    for one in moves.iter().filter(|one| one.result.moved()) {
        let Change::Association(plan) = &one.plan else { continue };
        if let Some(subnet) = guarded.subnets.iter_mut().find(|subnet| subnet.subnet == plan.subnet) {
            subnet.on.clone_from(&plan.to);
        }
    }
    // A subnet is where all of the routes are that are to be moved; those that were there before are in no plan.
    let mut routes = moves.iter().filter(|one| matches!(one.plan, Change::Route(_))).peekable();
    if routes.peek().is_some() && routes.all(|one| one.result.moved()) {
        for subnet in guarded.subnets.iter_mut().filter(|one| one.on == guarded.primary) {
            subnet.on.clone_from(&guarded.standby);
        }
    }
}

/// Where EC2 still shows what a takeover has moved just now as it was before: it is where its record has it. What somebody has brought back since,
/// or put on a third table, is of now.
fn taken(shown: &mut GuardedSet, record: &Record, now: &Stamp) {
    let Some(tables) = shown.tables.as_ref().filter(|_| record.phase != Phase::FailingBack) else { return };
    let mut behind: Vec<Move> = shown_as_before(record, tables, now).cloned().collect();
    // What routes say of a subnet they say all together: one that was never changed leaves it where it was.
    if behind.iter().any(|one| matches!(one.plan, Change::Route(_))) {
        behind.retain(|one| matches!(one.plan, Change::Association(_)));
        behind.extend(record.moves.iter().filter(|one| matches!(one.plan, Change::Route(_))).cloned());
    }
    let mut by_record = shown.clone();
    moved(&mut by_record, &behind);
    let places = shown.subnets.iter_mut().zip(by_record.subnets);
    for (one, moved) in places.filter(|(one, moved)| one.on == shown.primary && moved.on == shown.standby) {
        one.on = moved.on;
    }
}

/// What EC2 shows nowhere is being moved, or has just been: where a record of this moment sends it, whatever was known of it before. What it sends to
/// the standby says nothing of the primary by now; home is who was brought there for certain.
fn arrived(shown: &mut GuardedSet, record: &Record, now: &Stamp) {
    if outlived(record, now) {
        return;
    }
    let GuardedSet { primary, standby, tables, subnets, .. } = shown;
    for one in subnets.iter_mut().filter(|one| preflight::is_nowhere((primary, standby), tables.as_deref(), one)) {
        let to = record.moves.iter().find_map(|step| match &step.plan {
            Change::Association(plan) if plan.subnet == one.subnet => {
                let there = step.result.moved() || plan.to == *standby && step.result.sent();
                there.then_some(&plan.to)
            }
            Change::Association(_) | Change::Route(_) => None,
        });
        if let Some(to) = to {
            one.on.clone_from(to);
        }
    }
}

/// What is guarded as far as it is known, and what a record has moved between the two tables: who has lost the one has the other.
pub(super) fn with_record(
    set: Option<&GuardedSet>,
    record: Option<&Record>,
    settings: &PreflightSettings,
    now: Timestamp,
) -> Option<GuardedSet> {
    let (primary, standby) = (&settings.primary_table, &settings.standby_table);
    let between = |plan: &PlannedMove| [(primary, standby), (standby, primary)].contains(&(&plan.from, &plan.to));
    let known = |subnet: &SubnetId| set.is_some_and(|set| set.subnets.iter().any(|one| one.subnet == *subnet));
    let moves = record.into_iter().flat_map(|record| &record.moves);
    let lost = moves.filter_map(|one| match &one.plan {
        Change::Association(plan) if between(plan) && !known(&plan.subnet) => Some(Guarded {
            subnet: plan.subnet.clone(),
            name: plan.name.clone(),
            cidrs: Vec::new(),
            on: plan.to.clone(),
        }),
        Change::Association(_) | Change::Route(_) => None,
    });
    let lost: Vec<Guarded> = lost.collect();
    if lost.is_empty() {
        return set.cloned();
    }
    let mut all = set.cloned().unwrap_or_else(|| preflight::make_guarded(settings, &[], &[], None, now));
    all.subnets.extend(lost);
    Some(all)
}

/// Notes where they are.
fn place(guarded: &mut GuardedSet, sent: &[(&SubnetId, &RouteTableId)]) {
    for one in &mut guarded.subnets {
        if let Some((_, table)) = sent.iter().find(|(subnet, _)| **subnet == one.subnet) {
            one.on.clone_from(table);
        }
    }
}

/// Whether a survey has any of them on the other table, and so may be older than the record.
fn of_before(survey: &Survey, guarded: &GuardedSet, sent: &[(&SubnetId, &RouteTableId)]) -> bool {
    let Ok(tables) = &survey.tables else { return false };
    sent.iter().any(|(subnet, table)| {
        let on = preflight::now_on(tables, subnet);
        on.is_some_and(|on| on != *table && (*on == guarded.primary || *on == guarded.standby))
    })
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Before anybody is asked for evidence: where everybody is by now, as whoever moves some has it on record.
    pub(super) fn place_sent(&mut self) {
        self.read_guarded_again();
        let record = self.world.state.read_record(None).present();
        if let (Some(record), Some(guarded)) = (record, &mut self.case.guarded) {
            let sent = sent(&record, guarded, &self.world.now());
            place(guarded, &sent);
        }
    }

    /// Before what EC2 shows is believed, and kept.
    pub(super) fn place_taken(&self, shown: &mut GuardedSet) {
        if let Some(record) = self.world.state.read_record(None).present() {
            let now = self.world.now();
            taken(shown, &record, &now);
            arrived(shown, &record, &now);
        }
    }

    /// Before the evidence is weighed against a plan.
    pub(super) async fn go_by(&mut self, record: &Record) {
        let now = self.world.now();
        let Some(guarded) = &mut self.case.guarded else { return };
        let sent = sent(record, guarded, &now);
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
