//! What a failback came to, its exit status and its sentence.

use std::fmt::Write as _;

use crate::decide::{finish_commands, undo_commands};
use crate::model::failure::exit;
use crate::model::{AddressStep, Change, Conclusion, LastSteps, Move, MoveResult, Outcome, Verification};

/// What a failback has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// What was brought back, or tried to be.
    pub back: Vec<Move>,
    /// What went to the standby again.
    pub again: Vec<Move>,
    /// The Elastic IP address, where one had to come back.
    pub address: Option<AddressStep>,
    /// Somebody asked for it to be ended before its time.
    pub stopped: bool,
    /// Somebody moved subnets while it only looked, and goes by the record since.
    pub overtaken: bool,
}

impl Steps {
    fn returned(&self, one: &Move) -> bool {
        self.again.iter().any(|again| again.plan.same(&one.plan) && again.result.settled())
    }

    /// Brought back, and left there.
    fn home(&self) -> impl Iterator<Item = &Move> {
        self.back.iter().filter(|one| one.result.moved() && !self.returned(one))
    }

    /// Still where it was, for all that is known.
    fn open(&self) -> impl Iterator<Item = &Move> {
        self.back.iter().filter(|one| !one.result.settled())
    }

    fn outcome(&self) -> Outcome {
        if !self.back.is_empty() && self.back.iter().all(|one| one.result == MoveResult::WouldMove) {
            return Outcome::WouldFailBack;
        }
        let proven = |one: &Move| matches!(one.verification, Verification::Verified | Verification::Unwitnessed);
        let lost = |one: &Move| !one.result.settled() || one.verification == Verification::Unverified;
        if self.again.iter().any(lost) || !self.home().all(proven) {
            // Somebody may be cut off now.
            return Outcome::Unverified;
        }
        let address = self.address.as_ref().is_some_and(|step| !step.came_along());
        let open = self.stopped || address || !self.again.is_empty() || self.open().next().is_some();
        match (open, self.home().next().is_some()) {
            (true, false) => Outcome::Failed,
            (true, true) => Outcome::Partial,
            (false, _) => Outcome::FailedBack,
        }
    }

    fn says(&self, outcome: Outcome, left: usize) -> String {
        let (all, home) = (subnets(&self.back), subnets(self.home()));
        let mut text = match outcome {
            Outcome::WouldFailBack => return format!("{all} subnets would be brought back to the primary"),
            Outcome::FailedBack if home == 0 && left == 0 => {
                "nothing that was taken is on the standby any more".to_owned()
            }
            Outcome::FailedBack if home == 0 => "nothing had to be brought back".to_owned(),
            Outcome::FailedBack => format!("{home} subnets are back on the primary and traffic flows"),
            Outcome::Unverified => {
                format!("{home} of {all} subnets are on the primary, and not all were seen to reach anything since")
            }
            _ if home > 0 => format!("{home} of {all} subnets are back on the primary"),
            _ => "no subnet is back on the primary".to_owned(),
        };
        if !self.again.is_empty() {
            let names: Vec<String> = self.again.iter().map(|one| one.plan.to_string()).collect();
            let seen =
                self.again.iter().all(|one| one.result.settled() && one.verification != Verification::Unverified);
            let now =
                if seen { "went to the standby again" } else { "could not be seen to recover on the standby either" };
            let _ = write!(text, "; {} did not recover there and {now}", names.join(", "));
        }
        if let Some(MoveResult::Failed(why)) = self.open().map(|one| &one.result).next() {
            let _ = write!(text, "; {why}");
        }
        if let Some(step) = self.address.as_ref().filter(|step| !step.came_along()) {
            let why = if let MoveResult::Failed(why) = &step.result { format!(": {why}") } else { String::new() };
            let _ = write!(text, "; {} did not come back{why}", step.plan.address);
        }
        if self.stopped {
            text.push_str("; it was ended before its time, and natwatch failback goes on with it");
        } else if outcome == Outcome::FailedBack {
            if left == 0 {
                text.push_str("; the lock is cleared");
            } else {
                let _ = write!(text, "; the lock stays, for {left} more on the standby");
            }
        }
        text
    }
}

/// What it came to. `left`: how many subnets of the record are still on the standby.
#[must_use]
pub fn failed_back(steps: &Steps, left: usize) -> Conclusion {
    let outcome = steps.outcome();
    let status =
        if matches!(outcome, Outcome::FailedBack | Outcome::WouldFailBack) { exit::DONE } else { exit::FAILED };
    let open: Vec<Move> = steps.open().cloned().collect();
    let last = LastSteps { address: steps.address.clone(), reboot: None };
    let mut commands = finish_commands(&open, &last);
    // The association id of who came home and could not go back is a new one, which nobody may have heard of: it is looked up.
    let stuck: Vec<Move> = steps.again.iter().filter(|one| !one.result.settled()).filter_map(home_by_record).collect();
    commands.extend(undo_commands(&stuck, &LastSteps::default()));
    Conclusion { commands, ..Conclusion::new(outcome, status, steps.says(outcome, left)) }
}

/// The move that it could not undo.
fn home_by_record(one: &Move) -> Option<Move> {
    let token = match &one.plan {
        Change::Association(plan) => Some(plan.association.clone()),
        Change::Route(_) => None,
    };
    let plan = one.plan.reversed(|_| token.clone())?;
    Some(Move { plan, result: MoveResult::Moved, ..one.clone() })
}

fn subnets<'m>(moves: impl IntoIterator<Item = &'m Move>) -> usize {
    moves.into_iter().map(|one| one.plan.subnets().len()).sum()
}
