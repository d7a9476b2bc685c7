//! The end of a pass whose evidence is enough, or that an operator asks for: the lock, the decision, and then the takeover.

use tokio::time::Instant;

use super::lag::outlived;
use super::pass::{Going, Mode};
use super::remember::return_home;
use super::takeover::{self, Takeover};
use crate::act::Changer;
use crate::decide::{self, Decision};
use crate::model::cloud::Masquerade;
use crate::model::failure::exit;
use crate::model::{Change, Conclusion, Gate, GuardedSet, Outcome, Phase};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
use crate::record::lock::{LockError, RunLock};

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Enough evidence, or none needed: gates, plan, moves.
    pub(super) async fn down(&mut self) -> Conclusion {
        // A dry run takes no lock; whoever moves holds it from here to the record.
        let lock = if self.mode == Mode::Act {
            // Planned moves are verified in a part of their own.
            let parts = if self.case.planned { 2 } else { 1 };
            match RunLock::acquire(self.world.state, self.patience(), self.settings.deadline * parts).await {
                // Let go of in this moment, by who has moved what this pass was to move.
                Ok(_) if !self.case.planned && !self.lasting && self.done_meanwhile() => {
                    self.case.busy = Some(LockError::Busy(None).to_string());
                    return decide::conclude(&self.case);
                }
                Ok(lock) => Some(lock),
                Err(error @ LockError::Busy(_)) => {
                    self.case.busy = Some(error.to_string());
                    return decide::conclude(&self.case);
                }
                // Nobody is cut off: without the lock and the record, planned work can wait.
                Err(error) if self.case.planned => {
                    return Conclusion::new(Outcome::Failed, exit::FAILED, format!("nothing is moved: {error}"));
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
        if self.case.planned {
            // What the lock was waited for is not the work's.
            self.deadline = Instant::now() + self.settings.deadline;
        }
        if self.case.survey.is_none() {
            self.case.survey = Some(self.survey().await);
        }
        self.forget_refusals();
        let own = self.case.survey.as_ref().and_then(|survey| survey.identity.clone().ok());
        let mut remembered = self.remember(own);
        if let Some(record) = remembered.record.as_ref().filter(|_| !self.case.planned) {
            self.go_by(record).await;
        }
        if let (Some(record), Some(Ok(tables))) =
            (&mut remembered.record, self.case.survey.as_ref().map(|survey| &survey.tables))
            && record.phase != Phase::Taken
        {
            let place = |subnet: &_| preflight::now_on(tables, subnet).cloned();
            if record.phase == Phase::FailingBack {
                let rules = &self.settings.decide;
                let own = record.instance.clone();
                let young = !outlived(record, &self.world.now());
                return_home(record, &rules.primary_table, young, |change| {
                    !decide::carried(change, tables, &rules.standby_table, &own)
                });
            } else {
                takeover::reconcile_routes(record, tables);
                takeover::reconcile(record, self.world.now(), place);
            }
        }
        self.case.lock = remembered.lock();
        self.case.paused = self.paused();
        match decide::decide(&self.case) {
            Decision::TakeOver(plan) => {
                let because = decide::grounds(&self.case);
                // Where routes are replaced, the subnets keep the table that they have.
                let leave = plan.moves.iter().any(|one| matches!(one, Change::Association(_)));
                let survey = self.case.survey.as_ref().filter(|_| leave);
                self.notes.extend(survey.and_then(|survey| decide::differences(survey, &self.settings.decide)));
                if let Some(Masquerade::Unknown(why)) = self.case.survey.as_ref().map(|survey| &survey.masquerade) {
                    self.notes.push(format!(
                        "whether this instance masquerades is unknown ({why}); that backends reach again is the proof"
                    ));
                }
                let takeover = Takeover { going: self, plan: &plan, because: &because, earlier: remembered.record };
                let (moves, last) = takeover.carry_out().await;
                (self.case.moves, self.case.last) = (Some(self.with_those_that_stand(moves)), last);
                drop(lock);
                decide::conclude(&self.case)
            }
            Decision::Over(over) => {
                // What was known of the guarded subnets may be old. The next pass goes by what is read now; this one was decided
                // without it.
                let doubtful = over.holds.iter().any(|hold| matches!(hold.gate, Gate::Foreign | Gate::AlreadyActive));
                let refused = self.case.guarded.as_ref().is_some_and(GuardedSet::refuses);
                if (doubtful || refused) && !self.lasting {
                    let decided = self.case.clone();
                    self.refresh().await;
                    self.case = decided;
                }
                over
            }
        }
    }
}
