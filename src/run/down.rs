//! The end of a pass whose evidence is enough: the lock, the decision, and then the takeover.

use std::time::Duration;

use super::pass::Going;
use super::takeover::{self, Takeover};
use crate::act::Changer;
use crate::decide::{self, Decision};
use crate::model::cloud::Masquerade;
use crate::model::{Conclusion, Gate, Phase};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
use crate::record::lock::{LockError, RunLock};

use super::pass::Mode;

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Enough evidence: gates, plan, moves.
    pub(super) async fn down(&mut self) -> Conclusion {
        if self.case.survey.is_none() {
            self.case.survey = Some(self.survey().await);
        }
        // A dry run takes no lock; whoever moves holds it from here to the record.
        let lock = if self.mode == Mode::Act {
            match RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await {
                Ok(lock) => Some(lock),
                Err(error @ LockError::Busy(_)) => {
                    self.case.busy = Some(error.to_string());
                    return decide::conclude(&self.case);
                }
                // The lock file can't be used (disk, rights): the move is worth more. A second takeover is impossible
                // all the same, since the association ids are good only once.
                Err(error) => {
                    self.notes.push(format!("moving without the run lock: {error}"));
                    None
                }
            }
        } else {
            None
        };
        let own = self.case.survey.as_ref().and_then(|survey| survey.identity.clone().ok());
        let mut remembered = self.remember(own);
        if let (Some(record), Some(Ok(tables))) =
            (&mut remembered.record, self.case.survey.as_ref().map(|survey| &survey.tables))
            && record.phase != Phase::Taken
        {
            takeover::reconcile(record, (self.world.wall)(), |subnet| preflight::now_on(tables, subnet).cloned());
        }
        self.case.lock = remembered.lock();
        self.case.paused = self.paused();
        match decide::decide(&self.case) {
            Decision::TakeOver(plan) => {
                let because = decide::because(&self.case);
                if let Some(Masquerade::Unknown(why)) = self.case.survey.as_ref().map(|survey| &survey.masquerade) {
                    self.notes.push(format!(
                        "whether this instance masquerades is unknown ({why}); that backends reach again is the proof"
                    ));
                }
                let takeover = Takeover { going: self, plan: &plan, because: &because, earlier: remembered.record };
                let moves = takeover.carry_out().await;
                self.case.moves = Some(moves);
                drop(lock);
                decide::conclude(&self.case)
            }
            Decision::Over(over) => {
                // What was known of the guarded subnets may be old. The next pass goes by what is read now; this one was decided
                // without it.
                if over.holds.iter().any(|hold| matches!(hold.gate, Gate::Foreign | Gate::AlreadyActive)) {
                    let decided = self.case.clone();
                    self.refresh().await;
                    self.case = decided;
                }
                over
            }
        }
    }
}
