//! Whether a pass is news by what it has moved. Nothing is decided by it.

use super::Case;
use crate::decide::Lock;
use crate::model::Move;

impl Case {
    /// Whether this pass has moved something that was not moved before by the record that it found. What nobody knows of is no news.
    #[must_use]
    pub fn moved_anew(&self) -> bool {
        let before = match &self.lock {
            Lock::Held { moves, .. } => moves.as_slice(),
            Lock::Free | Lock::Unreadable(_) => &[],
        };
        let known = |one: &Move| before.iter().any(|other| other.plan.same(&one.plan) && other.result.moved());
        self.moves.iter().flatten().any(|one| one.result.moved() && !known(one))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decide::tests::support::settings;
    use crate::model::{Change, LastSteps, MoveResult, Phase, PlannedMove, Verification};

    fn one(result: MoveResult) -> Move {
        let plan = Change::Association(PlannedMove {
            subnet: "subnet-1".parse().unwrap(),
            name: None,
            association: "rtbassoc-1".parse().unwrap(),
            from: "rtb-0a".parse().unwrap(),
            to: "rtb-0b".parse().unwrap(),
        });
        Move { plan, result, took: Duration::ZERO, verification: Verification::Pending }
    }

    #[test]
    fn f049_what_nobody_knows_of_is_no_news_and_nor_is_what_the_record_had() {
        let lost = || MoveResult::Unknown("no answer".to_owned());
        for (before, result, news) in [
            (None, MoveResult::Moved, true),
            (None, MoveResult::AlreadyThere, true),
            (None, lost(), false),
            (None, MoveResult::Failed("no".to_owned()), false),
            (Some(lost()), MoveResult::AlreadyThere, true),
            (Some(lost()), lost(), false),
            (Some(MoveResult::Moved), MoveResult::AlreadyThere, false),
        ] {
            let held = |result: MoveResult| Lock::Held {
                phase: Phase::Partial,
                moves: vec![one(result)],
                last: LastSteps::default(),
            };
            let lock = before.clone().map_or(Lock::Free, held);
            let case = Case { lock, moves: Some(vec![one(result.clone())]), ..Case::new(settings()) };
            assert_eq!(case.moved_anew(), news, "{before:?}, {result:?}");
        }
    }
}
