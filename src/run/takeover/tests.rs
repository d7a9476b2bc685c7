//! What a takeover goes on with of what was before.

use super::*;
use crate::model::{Holder, LastSteps, PlannedAddress, Way};

fn at(instance: &str) -> Holder {
    Holder { way: Way { interface: None, instance: Some(instance.parse().unwrap()) }, private: None }
}

fn along() -> PlannedAddress {
    PlannedAddress {
        address: "eipalloc-0c".parse().unwrap(),
        from: Some(at("i-0a")),
        to: Some(at("i-0b")),
        displaced: None,
    }
}

/// What a takeover, or a failback of it, has left.
fn left(phase: Phase, plan: PlannedAddress, result: MoveResult) -> Record {
    let began = Timestamp::UNIX_EPOCH;
    let address = Some(AddressStep { plan, result, took: Duration::from_millis(40) });
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        purpose: Purpose::Takeover,
        phase,
        began,
        changed: began,
        boot: None,
        because: "the primary is down".to_owned(),
        moves: Vec::new(),
        last: LastSteps { address, reboot: None },
    }
}

#[test]
fn f068_an_address_that_came_home_is_to_come_along_again_and_one_that_is_here_is_not_forgotten() {
    let plan = Plan {
        standby: "i-0b".parse().unwrap(),
        disable_check: None,
        moves: Vec::new(),
        address: Some(along()),
        reboot: None,
    };
    let pending = Some(AddressStep::pending(along()));
    // A failback that was killed before its record went.
    for result in [MoveResult::Moved, MoveResult::AlreadyThere] {
        let home = left(Phase::FailingBack, along().reversed(), result.clone());
        assert_eq!(intended(Some(&home), &plan), pending, "{result:?}");
        assert_eq!(intended(Some(&home), &Plan { address: None, ..plan.clone() }), None, "{result:?}");
        let here = left(Phase::Partial, along(), result.clone());
        assert_eq!(intended(Some(&here), &plan), here.last.address, "{result:?}");
        assert_eq!(intended(Some(&here), &Plan { address: None, ..plan.clone() }), here.last.address, "{result:?}");
    }
    for (phase, way) in [(Phase::Partial, along()), (Phase::FailingBack, along().reversed())] {
        assert_eq!(intended(Some(&left(phase, way, MoveResult::Pending)), &plan), pending, "{phase}");
    }
    assert_eq!(intended(None, &plan), pending);
}
