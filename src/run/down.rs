//! The end of a pass whose evidence is conclusive: the lock, the gates, the plan, and then the takeover.

use std::time::Duration;

use super::pass::Going;
use super::takeover::{self, Takeover};
use crate::act::{self, Changer};
use crate::decide::{self, Ending, Evidence, Lock, Situation};
use crate::model::failure::exit;
use crate::model::{Family, Gate, Hold, Judgement, Outcome, Pass, Phase, Plan, Round, Survey};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{self, Cloud, Host};
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
        let mut remembered = self.remember(survey.identity.as_ref().ok().cloned());
        if let (Some(record), Ok(tables)) = (&mut remembered.record, &survey.tables)
            && record.phase != Phase::Taken
        {
            takeover::reconcile(record, (self.world.wall)(), |subnet| preflight::now_on(tables, subnet).cloned());
        }
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
        if !self.accuses(&plan) {
            let why = "some who are cut off are not behind the primary any more by EC2's route tables, and without them the evidence is not enough";
            let remedy = "none; where each subnet is was read anew, and the next run judges by that";
            let mut report =
                self.report(Outcome::Down, exit::FAILED, format!("{because}, and nothing is moved: {why}"));
            report.holds = vec![Hold { gate: Gate::Foreign, why: why.to_owned(), remedy: remedy.to_owned() }];
            self.refresh().await;
            return report;
        }
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

    /// Whether the evidence is enough with only the backends of the subnets that are to be moved: what was saved of the
    /// guarded subnets may be an hour old, and a subnet that has left the primary meanwhile says nothing about it.
    fn accuses(&self, plan: &Plan) -> bool {
        let concerned = |subnet: &str| plan.moves.iter().any(|one| one.subnet.as_str() == subnet);
        let rounds: Vec<Round> = self
            .rounds
            .iter()
            .cloned()
            .map(|mut round| {
                round.members.retain(|member| concerned(&member.subnet));
                round
            })
            .collect();
        self.judgements.keys().any(|family| {
            let judged: Vec<Judgement> =
                rounds.iter().map(|round| decide::judge(round, &self.settings.decide, *family)).collect();
            let now = rounds.last().map_or(Duration::ZERO, |round| round.ended);
            decide::evidence(&judged, &self.settings.decide, now) == Evidence::Conclusive
        })
    }
}
