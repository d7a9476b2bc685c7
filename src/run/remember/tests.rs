//! What becomes of a record that nobody brought to its end.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{Move, PlannedMove};

fn record(phase: Phase, moves: Vec<Move>) -> Record {
    let at = Timestamp::UNIX_EPOCH;
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        phase,
        began: at,
        changed: at,
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
fn f060_f068_a_record_younger_than_half_a_minute_is_not_cleared_by_what_ec2_shows() {
    let record = record(Phase::Taking, Vec::new());
    for (age, expected) in [(0, false), (29, false), (30, true), (3600, true), (-1, false), (-29, false), (-31, true)] {
        let now = record.changed + SignedDuration::from_secs(age);
        assert_eq!(outlived(&record, now), expected, "{age} s");
    }
}

#[test]
fn f068_whoever_drills_may_be_at_work_for_both_verifications_and_half_a_minute() {
    let record = record(Phase::FailingBack, Vec::new());
    for (age, expected) in [(0, false), (30, false), (59, false), (60, true), (-59, false), (-60, true)] {
        let now = record.changed + SignedDuration::from_secs(age);
        assert_eq!(left(&record, now, Duration::from_secs(15)), expected, "{age} s");
    }
    assert!(!left(&record, record.changed, Duration::MAX));
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
    return_home(&mut record, &"rtb-0a".parse().unwrap(), back);
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
