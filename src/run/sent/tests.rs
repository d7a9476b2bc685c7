//! Who is where by a record of this moment.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::model::{Guarded, LastSteps, Move, PlannedMove, RouteTableId, Verification};
use crate::record::VERSION;

fn one(subnet: &str, to: &str, result: MoveResult) -> Move {
    Move {
        plan: Change::Association(PlannedMove {
            subnet: subnet.parse().unwrap(),
            name: None,
            association: "rtbassoc-1".parse().unwrap(),
            from: "rtb-0a".parse().unwrap(),
            to: to.parse().unwrap(),
        }),
        result,
        took: Duration::ZERO,
        verification: Verification::Pending,
    }
}

fn record(phase: Phase) -> Record {
    let at = Timestamp::UNIX_EPOCH;
    let moves = vec![
        one("subnet-1", "rtb-0b", MoveResult::Moved),
        one("subnet-2", "rtb-0b", MoveResult::Pending),
        one("subnet-3", "rtb-0b", MoveResult::Unknown("lost".to_owned())),
        one("subnet-4", "rtb-0b", MoveResult::Failed("no".to_owned())),
        one("subnet-5", "rtb-0a", MoveResult::Moved),
    ];
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        phase,
        began: at,
        changed: at,
        because: "a drill".to_owned(),
        moves,
        last: LastSteps::default(),
    }
}

fn known() -> GuardedSet {
    let on = |n| Guarded {
        subnet: format!("subnet-{n}").parse().unwrap(),
        name: None,
        cidrs: Vec::new(),
        on: "rtb-0a".parse().unwrap(),
    };
    GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: (1..=6).map(on).collect(),
        families: Vec::new(),
        public: Vec::new(),
        leads_to: None,
        admission: None,
        names: crate::model::Names::new(),
        seen: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn what_a_record_of_this_moment_sends_to_the_standby_is_there_and_an_older_one_holds_nothing() {
    for (phase, age, expected) in [
        (Phase::FailingBack, 0, &["subnet-1", "subnet-2", "subnet-3"][..]),
        (Phase::FailingBack, 29, &["subnet-1", "subnet-2", "subnet-3"]),
        (Phase::FailingBack, 30, &[]),
        (Phase::Taking, 0, &[]),
        (Phase::Partial, 0, &[]),
        (Phase::Taken, 0, &[]),
    ] {
        let (record, mut guarded) = (record(phase), known());
        let sent = sent(&record, &guarded, record.changed + SignedDuration::from_secs(age));
        place(&mut guarded, &sent);
        let standby: RouteTableId = "rtb-0b".parse().unwrap();
        let there: Vec<&str> =
            guarded.subnets.iter().filter(|one| one.on == standby).map(|one| one.subnet.as_str()).collect();
        assert_eq!(there, expected, "{phase}, {age} s");
    }
}
