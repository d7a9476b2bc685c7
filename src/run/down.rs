//! The end of a pass whose evidence is conclusive: the lock, the gates, the plan, and then the takeover.

use std::time::Duration;

use super::pass::Going;
use super::takeover::{self, Takeover};
use crate::act::{self, Changer};
use crate::decide::{self, Ending, Lock, Situation};
use crate::model::failure::exit;
use crate::model::{Family, Outcome, Pass, Survey};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::record::lock::{LockError, RunLock};

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Enough evidence: gates, plan, moves.
    pub(super) async fn down(&mut self, survey: Option<Survey>) -> Pass {
        let because = self.latest().map_or_else(String::new, |one| one.because.clone());
        let survey = match survey {
            Some(survey) => survey,
            None => self.survey().await,
        };
        // A dry run takes no lock; whoever moves holds it from here to the record.
        let lock = if self.dry_run {
            None
        } else {
            match RunLock::acquire(self.world.state, Duration::ZERO, self.settings.deadline).await {
                Ok(lock) => Some(lock),
                Err(error @ LockError::Busy(_)) => return self.report(Outcome::Busy, exit::BUSY, error.to_string()),
                // The lock file can't be used (disk, rights): the move is worth more. A second takeover is impossible
                // all the same, since the association ids are good only once.
                Err(error) => {
                    self.notes.push(format!("moving without the run lock: {error}"));
                    None
                }
            }
        };
        let remembered = self.remember(survey.identity.as_ref().ok().cloned());
        let families: Vec<Family> = self.judgements.keys().copied().collect();
        let situation = Situation {
            survey: &survey,
            lock: match (&remembered.unreadable, &remembered.record) {
                (Some(why), _) => Lock::Unreadable(why),
                (None, Some(record)) => Lock::Held(record.phase),
                (None, None) => Lock::Free,
            },
            guarded: self.guarded.as_ref(),
            families: &families,
        };
        let plan = match decide::plan(situation, &self.settings.decide) {
            Ok(plan) => plan,
            Err(holds) => {
                let (outcome, exit) = decide::outcome(Ending::Held(&holds));
                let mut report = self.report(
                    outcome,
                    exit,
                    format!("{because}, and nothing is moved: {}", holds.first().map_or("", |hold| hold.why.as_str())),
                );
                report.commands = takeover::commands(&survey, self.guarded.as_ref(), &self.settings.decide);
                report.holds = holds;
                return report;
            }
        };
        let moves =
            Takeover { going: self, plan: &plan, because: &because, earlier: remembered.record }.carry_out().await;
        let (outcome, exit) = decide::outcome(Ending::Moved(&moves));
        let mut report = self.report(outcome, exit, takeover::sentence(&moves, &because));
        report.commands = match outcome {
            Outcome::Partial | Outcome::Failed => act::finish_commands(&moves),
            Outcome::Unverified => act::undo_commands(&moves),
            _ => Vec::new(),
        };
        report.moves = moves;
        drop(lock);
        report
    }
}
