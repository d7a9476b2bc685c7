//! A takeover that is complete by its record, by a process that was killed before it had verified or told it: made up for by the next
//! pass, so that the history has each takeover, and the record how it ended.

use std::time::Duration;

use super::pass::{Going, Mode};
use crate::act::Changer;
use crate::decide;
use crate::model::{Found, Outcome, Phase, Purpose, Record};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::history::Deed;
use crate::record::lock::RunLock;

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Makes up for what was left out, and returns the record as it stands then.
    pub(super) async fn make_up(&mut self, record: Record) -> Record {
        if record.phase != Phase::Taken || self.mode != Mode::Act || !self.wants(&record) {
            return record;
        }
        // Whoever holds it is about to verify and tell by himself.
        let Ok(_lock) = RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await else {
            return record;
        };
        let Found::Present(mut record) = self.world.state.read_record(Some(&record.instance)) else { return record };
        if record.phase != Phase::Taken || !self.wants(&record) {
            return record;
        }
        let before = record.clone();
        self.verify_late(&mut record);
        if record != before
            && let Err(error) = self.world.state.write_record(&record)
        {
            self.notes.push(error.to_string());
        }
        if self.untold(&record) {
            let came_to = decide::outcome_of(&record.moves, &record.last).0;
            self.tell_history(&record, Deed::Takeover, came_to);
        }
        record
    }

    fn wants(&self, record: &Record) -> bool {
        let mut seen = record.clone();
        self.verify_late(&mut seen);
        seen != *record || self.untold(record)
    }

    /// Whether no line of the history tells of the end of this takeover. Where the history can't be read, nobody knows.
    fn untold(&self, record: &Record) -> bool {
        if record.purpose != Purpose::Takeover {
            return false;
        }
        let Ok(entries) = self.world.state.read_late_history() else { return false };
        !entries.iter().any(|entry| {
            let complete = !matches!(entry.outcome, Some(Outcome::Partial | Outcome::Failed));
            entry.kind == Deed::Takeover && entry.at >= record.began && complete
        })
    }
}
