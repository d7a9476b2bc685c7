//! The takeover record as a pass finds it, and as the route tables correct it.

use std::time::Duration;

use super::pass::{Going, Mode};
use super::takeover;
use crate::act::Changer;
use crate::decide::{self, Ending, Lock};
use crate::model::{BackendVerdict, Found, InstanceId, Paused, Phase, Record, SubnetId, Verification};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::VERSION;
use crate::record::history::{Deed, Entry};
use crate::record::lock::RunLock;
use crate::record::pause::in_force;

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
            (None, Some(record)) => Lock::Held { phase: record.phase, moves: record.moves.clone() },
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
        in_force(found, (self.world.wall)())
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
    /// Where EC2 could not be asked it stays as it is: what was seen an hour ago must not clear a lock.
    pub(super) async fn reconcile(&mut self, mut record: Record) -> Option<Record> {
        let Some(guarded) = self.case.guarded.clone().filter(|_| self.certain) else { return Some(record) };
        if record.phase == Phase::Taken || self.mode != Mode::Act {
            return Some(record);
        }
        let Ok(_lock) = RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await else {
            return Some(record);
        };
        let now = (self.world.wall)();
        takeover::reconcile(&mut record, now, |subnet| {
            guarded.subnets.iter().find(|one| one.subnet == *subnet).map(|one| one.on.clone())
        });
        if !record.moves.iter().any(|one| one.result.moved()) {
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
            self.tell_history(&record);
        }
        Some(record)
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

    pub(super) fn tell_history(&mut self, record: &Record) {
        let took = Duration::try_from(record.changed.duration_since(record.began)).unwrap_or_default();
        let entry = Entry {
            version: VERSION,
            kind: Deed::Takeover,
            at: record.began,
            instance: Some(record.instance.clone()),
            why: record.because.clone(),
            outcome: Some(decide::outcome(Ending::Moved(&record.moves)).0),
            moves: record.moves.clone(),
            took,
        };
        if let Err(error) = self.world.state.append_history(&entry) {
            self.notes.push(error.to_string());
        }
    }
}
