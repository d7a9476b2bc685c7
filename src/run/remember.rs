//! The takeover record as a pass finds it, and as the route tables correct it.

use std::time::Duration;

use jiff::Timestamp;

use super::asked::{Said, Sight, shown_on};
use super::drill::PRACTICE;
use super::lag::{LAG, left, outlived};
use super::pass::{Going, Mode};
use super::takeover;
use crate::act::Changer;
use crate::decide::{self, Lock};
use crate::model::{
    BackendVerdict, Change, Found, InstanceId, Move, MoveResult, Outcome, Paused, Phase, Purpose, Record, RouteTable,
    RouteTableId, Stamp, SubnetId, Verification,
};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};
use crate::record::lock::{BRIEF, RunLock, Turn};
use crate::record::pause::in_force;

/// Makes the record of a failback that of a takeover again: whoever is `back` is no longer of it, whoever is still on the standby was
/// taken. By a `young` record one that is on its way home may be there, whatever EC2 shows, and is left open.
pub(super) fn return_home(record: &mut Record, primary: &RouteTableId, young: bool, back: impl Fn(&Change) -> bool) {
    let own = record.instance.clone();
    record.moves.retain_mut(|one| {
        if !decide::homeward(&one.plan, primary, &own) {
            return true;
        }
        if back(&one.plan) {
            return false;
        }
        let association = match &one.plan {
            Change::Association(plan) => Some(plan.association.clone()),
            Change::Route(_) => None,
        };
        if let Some(away) = one.plan.reversed(|_| association) {
            let open = young && one.result.sent();
            one.result = if open { MoveResult::Pending } else { MoveResult::AlreadyThere };
            one.plan = away;
        }
        true
    });
}

/// The record as far as a pass goes by it.
pub(super) struct Remembered {
    pub(super) record: Option<Record>,
    /// Why the record can't be used, with the remedy.
    pub(super) unreadable: Option<String>,
}

impl Remembered {
    /// The record as the rules see it.
    pub(super) fn lock(&self) -> Lock {
        match (&self.unreadable, &self.record) {
            (Some(why), _) => Lock::Unreadable(why.clone()),
            (None, Some(record)) => {
                Lock::Held { phase: record.phase, moves: record.moves.clone(), last: record.last.clone() }
            }
            (None, None) => Lock::Free,
        }
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// The pause, where there is one that is not over.
    pub(super) fn paused(&mut self) -> Option<Paused> {
        let found = self.world.state.read_pause();
        if let Found::Corrupt { .. } = &found {
            self.notes.extend(found.trouble().map(|trouble| format!("{trouble}; it holds nothing")));
        }
        let present = matches!(found, Found::Present(_));
        let now = (self.world.wall)();
        let paused = in_force(found, now);
        if present && paused.is_none() && self.mode == Mode::Act {
            self.close_pause(now);
        }
        paused
    }

    /// What has ended by itself is history. Where somebody else is at it, or the disk says no, the next pass does it.
    fn close_pause(&mut self, now: Timestamp) {
        let Some(_turn) = Turn::take(self.world.state, BRIEF) else { return };
        self.notes.extend(self.world.state.close_pause(now).err().map(|error| error.to_string()));
    }

    /// Reads the record, and puts one that is about another instance aside.
    pub(super) fn remember(&mut self, own: Option<InstanceId>) -> Remembered {
        let found = self.world.state.read_record(own.as_ref());
        let trouble = found.trouble();
        match found {
            Found::Absent => Remembered { record: None, unreadable: None },
            Found::Present(record) => Remembered { record: Some(record), unreadable: None },
            Found::Foreign { .. } => {
                self.notes.extend(trouble);
                if let Some(own) = own.filter(|_| self.mode == Mode::Act) {
                    match self.world.state.set_foreign_aside(&own) {
                        Ok(Some(path)) => self.notes.push(format!("it was set aside as {}", path.display())),
                        Ok(None) => {}
                        Err(error) => self.notes.push(error.to_string()),
                    }
                }
                Remembered { record: None, unreadable: None }
            }
            Found::Corrupt { .. } => {
                if let Some(Ok(path)) = (self.mode == Mode::Act).then(|| self.world.state.keep_corrupt()) {
                    self.notes.push(format!("a copy is kept as {}", path.display()));
                }
                let why = format!(
                    "{}; look where the subnets are (natwatch status), then: natwatch reset --force",
                    trouble.unwrap_or_default()
                );
                Remembered { record: None, unreadable: Some(why) }
            }
            Found::Newer { .. } => {
                let why = format!("{}; install that version again, or move the file away", trouble.unwrap_or_default());
                Remembered { record: None, unreadable: Some(why) }
            }
        }
    }

    /// A takeover that was cut short is what the route tables say it is. Returns the record as it stands then.
    ///
    /// Where EC2 could not be asked it stays as it is: what was seen an hour ago must not clear a lock. In a `watch` EC2 is not asked here
    /// ([`super::asked`]).
    pub(super) async fn reconcile(&mut self, mut record: Record) -> Option<Record> {
        let Some(guarded) = self.case.guarded.clone().filter(|_| self.certain) else { return Some(record) };
        let away = |one: &&Move| {
            let on = |subnet: &SubnetId| guarded.subnets.iter().find(|one| one.subnet == *subnet).map(|one| &one.on);
            one.plan.subnets().iter().any(|subnet| on(subnet) == Some(&guarded.standby))
        };
        if let Some(one) = record.moves.iter().find(away).filter(|_| record.purpose == Purpose::Drill) {
            self.notes.push(format!(
                "{PRACTICE} has {} on the standby; if none is at work any more: natwatch failback",
                one.plan
            ));
        }
        if record.phase == Phase::Taken || self.mode != Mode::Act {
            return Some(record);
        }
        let Ok(_lock) = RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await else {
            return Some(record);
        };
        // Whoever had the lock until now may have come further since this was read.
        match self.world.state.read_record(Some(&record.instance)) {
            Found::Present(now) => record = now,
            Found::Absent => return None,
            Found::Corrupt { .. } | Found::Newer { .. } | Found::Foreign { .. } => return Some(record),
        }
        let Some(Sight { asked, said, .. }) = self.sight(&record, &guarded).await else { return Some(record) };
        let astray = match said {
            Said::Failback(tables) => return self.brought_back(record, &tables, &asked),
            Said::Takeover(seen, astray) => {
                record = *seen;
                astray
            }
        };
        takeover::reconcile(&mut record, self.world.now(), |subnet| {
            shown_on(&guarded, subnet).or_else(|| astray.get(subnet)).cloned()
        });
        if !record.moves.iter().any(|one| one.result.moved()) {
            if !outlived(&record, &asked) {
                self.notes.push(format!(
                    "a takeover that was cut short is on record, and EC2 shows nothing moved; within {} s of it that may be \
                     out of date, so its record stays for now",
                    LAG.as_secs()
                ));
                return Some(record);
            }
            if let Err(error) = self.world.state.clear_record() {
                self.notes.push(error.to_string());
                return Some(record);
            }
            self.notes
                .push("an earlier takeover was cut short before anything was moved; its record is cleared".to_owned());
            return None;
        }
        self.verify_late(&mut record);
        if let Err(error) = self.world.state.write_record(&record) {
            self.notes.push(error.to_string());
            return Some(record);
        }
        if record.phase == Phase::Taken {
            self.notes.push(
                "an earlier takeover was cut short, but all its subnets are moved; its record says so now".to_owned(),
            );
            let came_to = decide::outcome_of(&record.moves, &record.last).0;
            self.tell_history(&record, Deed::Takeover, came_to);
        }
        Some(record)
    }

    /// A failback that was cut short is over once nothing of it is left on the standby, by what EC2 showed when it was asked, and all that is back
    /// has been seen to reach.
    fn brought_back(&mut self, mut record: Record, tables: &[RouteTable], asked: &Stamp) -> Option<Record> {
        let rules = &self.settings.decide;
        let drill = record.purpose == Purpose::Drill;
        // Whoever drills lends the lock while he looks.
        let over = if drill { left(&record, asked, self.settings.act.verify_for) } else { outlived(&record, asked) };
        let here = |one: &Move| decide::carried(&one.plan, tables, &rules.standby_table, &record.instance);
        if !over || record.moves.iter().any(here) {
            return Some(record);
        }
        let home = |subnet: &SubnetId| preflight::now_on(tables, subnet) == Some(&rules.primary_table);
        for one in &mut record.moves {
            let back = one.plan.subnets().iter().all(home);
            let homeward = decide::homeward(&one.plan, &rules.primary_table, &record.instance);
            if back && !(homeward && one.result.moved()) {
                // It came home, or never got away from there again: nobody has seen it reach since.
                (one.result, one.verification) = (MoveResult::AlreadyThere, Verification::Pending);
            }
        }
        self.verify_late(&mut record);
        let unseen = record.moves.iter().find(|one| {
            let seen = matches!(one.verification, Verification::Verified | Verification::Unwitnessed);
            !seen && one.plan.subnets().iter().all(home)
        });
        if let Some(one) = unseen {
            self.notes.push(format!(
                "a failback was cut short; {} is back, and was not seen to reach since: natwatch failback goes on with it",
                one.plan
            ));
            return Some(record);
        }
        if let Some(address) = decide::address_back(&record) {
            self.notes.push(format!("{} has not come back to the primary yet: natwatch failback", address.address));
            return Some(record);
        }
        if let Err(error) = self.world.state.clear_record() {
            self.notes.push(error.to_string());
            return Some(record);
        }
        let (what, kind) = if drill { (PRACTICE, Deed::Drill) } else { ("a failback", Deed::Failback) };
        self.notes.push(format!(
            "{what} was cut short, but all its subnets have left the standby; the lock is cleared, and they are guarded again"
        ));
        self.tell_history(&record, kind, Outcome::FailedBack);
        None
    }

    /// What nobody was left to verify, this round's replies do.
    pub(super) fn verify_late(&self, record: &mut Record) {
        let latest = self.case.latest();
        let reaches = |subnet: &SubnetId| {
            let mut judged = latest.iter().flat_map(|one| &one.backends);
            judged.any(|one| one.verdict == BackendVerdict::Reaches && one.subnet == subnet.as_str())
        };
        for one in record.moves.iter_mut().filter(|one| one.result.moved()) {
            if one.verification == Verification::Pending && one.plan.subnets().iter().any(reaches) {
                one.verification = Verification::Verified;
            }
        }
    }

    pub(super) fn tell_history(&mut self, record: &Record, kind: Deed, outcome: Outcome) {
        let took = Duration::try_from(record.changed.duration_since(record.began)).unwrap_or_default();
        let entry = Entry {
            version: VERSION,
            kind,
            at: record.began,
            instance: Some(record.instance.clone()),
            why: record.because.clone(),
            outcome: Some(outcome),
            moves: record.moves.clone(),
            last: record.last.clone(),
            drill: None,
            took,
        };
        if let Err(error) = self.world.state.append_history(&entry) {
            self.notes.push(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
