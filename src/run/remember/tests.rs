//! What becomes of a record that nobody brought to its end.

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::model::{Move, PlannedMove};

fn record(phase: Phase, moves: Vec<Move>) -> Record {
    let at = Timestamp::UNIX_EPOCH;
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        purpose: crate::model::Purpose::Takeover,
        phase,
        began: at,
        changed: at,
        boot: None,
        because: "3 of 3 backends are cut off".to_owned(),
        moves,
        last: crate::model::LastSteps::default(),
    }
}

fn one(subnet: &str, from: &str, to: &str, result: MoveResult) -> Move {
    Move {
        plan: Change::Association(PlannedMove {
            subnet: subnet.parse().unwrap(),
            name: None,
            association: "rtbassoc-1".parse().unwrap(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        }),
        result,
        took: Duration::ZERO,
        verification: Verification::Pending,
    }
}

#[test]
fn a_failback_that_is_taken_over_leaves_no_move_homeward_on_record() {
    let mut record = record(
        Phase::FailingBack,
        vec![
            one("subnet-1", "rtb-0b", "rtb-0a", MoveResult::Moved),
            one("subnet-2", "rtb-0b", "rtb-0a", MoveResult::Pending),
            one("subnet-3", "rtb-0a", "rtb-0b", MoveResult::Moved),
        ],
    );
    let back = |change: &Change| change.subnet().is_some_and(|subnet| subnet.as_str() == "subnet-1");
    return_home(&mut record, &"rtb-0a".parse().unwrap(), false, back);
    let told: Vec<_> =
        record.moves.iter().map(|one| (one.plan.to_string(), one.plan.to(), one.result.clone())).collect();
    assert_eq!(
        told,
        [
            ("subnet-2".to_owned(), "rtb-0b".to_owned(), MoveResult::AlreadyThere),
            ("subnet-3".to_owned(), "rtb-0b".to_owned(), MoveResult::Moved),
        ]
    );
}

#[test]
fn f060_f068_what_a_young_record_has_on_its_way_home_is_left_open_whatever_ec2_shows() {
    let moves = || {
        vec![
            one("subnet-1", "rtb-0b", "rtb-0a", MoveResult::Moved),
            one("subnet-2", "rtb-0b", "rtb-0a", MoveResult::Pending),
            one("subnet-3", "rtb-0b", "rtb-0a", MoveResult::Failed("no".to_owned())),
        ]
    };
    for (young, first) in [(true, MoveResult::Pending), (false, MoveResult::AlreadyThere)] {
        let mut record = record(Phase::FailingBack, moves());
        return_home(&mut record, &"rtb-0a".parse().unwrap(), young, |_| false);
        let told: Vec<_> = record.moves.iter().map(|one| (one.plan.to(), one.result.clone())).collect();
        let there = |result| ("rtb-0b".to_owned(), result);
        assert_eq!(told, [there(first.clone()), there(first), there(MoveResult::AlreadyThere)]);
    }
}
