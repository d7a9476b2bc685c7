//! What the standby's own witnesses hold, and the commands that are told with a hold or an open takeover.

use super::gates::{association, survey, tables};
use super::route::down;
use super::support::{ms, round, settings};
use crate::decide::{Case, DecideSettings, Decision, Lock, Look, conclude, decide};
use crate::model::{
    AddressStep, Change, Gate, Holder, LastSteps, Move, MoveResult, Outcome, OwnWitness, Phase, PlannedAddress,
    PlannedMove, Said, Verification, Way,
};

/// Down; nobody of its own reaches, and these subnets are on the standby's table.
fn cut_off_with(on_standby: &[&str], lock: Lock) -> Case {
    let mut survey = survey();
    let own = on_standby.iter().map(|subnet| association(&subnet.replace("subnet", "rtbassoc"), Some(subnet)));
    tables(&mut survey)[1].associations.extend(own);
    let witness = OwnWitness { host: "db1".to_owned(), said: Said::Missed };
    Case { own: Some(vec![witness]), lock, ..down(settings(), survey) }
}

fn took(subnet: &str, result: MoveResult) -> Move {
    let plan = Change::Association(PlannedMove {
        subnet: subnet.parse().unwrap(),
        name: None,
        association: "rtbassoc-0".parse().unwrap(),
        from: "rtb-0a".parse().unwrap(),
        to: "rtb-0b".parse().unwrap(),
    });
    Move { plan, result, took: ms(250), verification: Verification::Pending }
}

#[test]
fn f066_own_witnesses_that_go_by_another_nat_hold_nothing_that_an_operator_asks_for() {
    let partial = |subnet| Lock::Held {
        phase: Phase::Partial,
        moves: vec![took(subnet, MoveResult::Moved)],
        last: LastSteps::default(),
    };
    for (on_standby, lock, holds) in [
        (&["subnet-9"][..], Lock::Free, true),
        (&[], Lock::Free, false),
        (&["subnet-8"], partial("subnet-8"), false),
        (&["subnet-8", "subnet-9"], partial("subnet-8"), true),
    ] {
        let unasked = cut_off_with(on_standby, lock);
        let over = conclude(&unasked);
        assert_eq!((over.holds.len(), over.holds[0].gate), (1, Gate::Unfit));
        assert_eq!(over.holds[0].remedy.ends_with("natwatch takeover"), !holds, "{on_standby:?}");
        let case = Case { planned: true, ..unasked };
        match decide(&case) {
            Decision::Over(over) => {
                assert!(holds, "{on_standby:?}: {over:?}");
                let gates: Vec<Gate> = over.holds.iter().map(|one| one.gate).collect();
                assert_eq!(gates, [Gate::Unfit]);
            }
            Decision::TakeOver(_) => assert!(!holds, "{on_standby:?}"),
        }
    }
}

#[test]
fn a_hold_names_commands_for_the_guarded_subnets_alone() {
    let guards = |subnets: &[&str]| {
        let subnets = subnets.iter().map(|one| one.parse().unwrap()).collect();
        let case = cut_off_with(&["subnet-9"], Lock::Free);
        conclude(&Case { rules: DecideSettings { subnets, ..settings() }, ..case }).commands
    };
    let (all, one) = (guards(&[]), guards(&["subnet-2"]));
    assert_eq!((all.len(), one.len()), (2, 1), "{all:?} {one:?}");
    assert_eq!(all[1], one[0]);
}

#[test]
fn the_commands_of_an_open_takeover_include_the_address() {
    let plan = PlannedAddress {
        address: "eipalloc-0".parse().unwrap(),
        from: None,
        to: Some(Holder { way: Way { interface: "eni-0b".parse().ok(), instance: None }, private: None }),
        displaced: None,
    };
    let case = Case {
        lock: Lock::Held {
            phase: Phase::Partial,
            moves: vec![took("subnet-1", MoveResult::Moved), took("subnet-2", MoveResult::Pending)],
            last: LastSteps { address: Some(AddressStep::pending(plan)), reboot: None },
        },
        looks: vec![Look { round: round().reaching("subnet-1", 3), weighed: ms(700) }],
        ..Case::new(settings())
    };
    let over = conclude(&case);
    assert_eq!(over.outcome, Outcome::Partial);
    assert_eq!(
        over.commands,
        [
            "aws ec2 replace-route-table-association --association-id rtbassoc-0 --route-table-id rtb-0b",
            "aws ec2 associate-address --allow-reassociation --allocation-id eipalloc-0 --network-interface-id eni-0b"
        ]
    );
}
