//! Practice: which subnet, what keeps it from being begun, and what it came to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gates::{guarded, route, survey, tables};
use super::support::{dead, round, settings, target};
use crate::decide::{Case, Lock, Look, Practice, Steps, drill, drilled};
use crate::model::{
    Admission, Change, Conclusion, Drill, Gap, Gate, LastSteps, Leg, Method, Move, MoveResult, Outcome, Paused, Phase,
    Plan, PlannedMove, SubnetId, Verification,
};

fn id(subnet: &str) -> SubnetId {
    subnet.parse().unwrap()
}

/// Two subnets on a primary that is well, heard to be so.
fn case() -> Case {
    let mut case = Case { planned: true, ..Case::new(settings()) };
    let mut survey = survey();
    tables(&mut survey)[0].routes.push(route("0.0.0.0/0", Some("i-0a"), Some("eni-0a")));
    case.survey = Some(survey);
    case.guarded = Some(guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]));
    let round = round().reaching("subnet-1", 3).reaching("subnet-2", 3);
    case.looks = vec![Look { weighed: round.ended, round }];
    case
}

fn with(case: &Case, wanted: Option<&str>, canary: Option<&str>, able: &[(&str, usize)]) -> Result<Plan, Conclusion> {
    let (wanted, canary) = (wanted.map(id), canary.map(id));
    let witnesses: BTreeMap<SubnetId, usize> = able.iter().map(|(subnet, count)| (id(subnet), *count)).collect();
    drill(case, &Practice { wanted: wanted.as_ref(), canary: canary.as_ref(), witnesses: &witnesses })
}

/// The subnet that goes.
fn goes(wanted: Option<&str>, canary: Option<&str>, able: &[(&str, usize)]) -> String {
    let plan = with(&case(), wanted, canary, able).unwrap();
    assert_eq!((plan.moves.len(), &plan.address, &plan.reboot), (1, &None, &None));
    assert_eq!((plan.moves[0].from(), plan.moves[0].to()), ("rtb-0a".to_owned(), "rtb-0b".to_owned()));
    plan.moves[0].to_string()
}

#[test]
fn the_subnet_is_the_wanted_one_the_canary_or_the_one_with_the_fewest_that_can_tell() {
    assert_eq!(goes(None, None, &[("subnet-1", 5), ("subnet-2", 2)]), "subnet-2");
    assert_eq!(goes(None, None, &[("subnet-1", 5), ("subnet-2", 1)]), "subnet-1", "two can tell more than one");
    assert_eq!(goes(None, Some("subnet-1"), &[("subnet-1", 5), ("subnet-2", 2)]), "subnet-1");
    assert_eq!(goes(Some("subnet-2"), Some("subnet-1"), &[("subnet-1", 5), ("subnet-2", 1)]), "subnet-2");
}

fn held(case: &Case) -> Conclusion {
    let over = with(case, None, None, &[("subnet-1", 3), ("subnet-2", 3)]).unwrap_err();
    assert_eq!((over.outcome, over.exit), (Outcome::Failed, 2), "{over:?}");
    assert!(over.because.starts_with("nothing is moved"), "{over:?}");
    over
}

#[test]
fn whatever_holds_a_takeover_holds_a_drill_although_an_operator_asks() {
    let gate = |change: &dyn Fn(&mut Case)| {
        let mut case = case();
        change(&mut case);
        held(&case).holds.first().map(|hold| hold.gate)
    };
    let record = |phase| Lock::Held { phase, moves: Vec::new(), last: LastSteps::default() };
    for phase in [Phase::Taken, Phase::Taking, Phase::Partial, Phase::FailingBack] {
        assert_eq!(gate(&|case| case.lock = record(phase)), Some(Gate::Locked), "{phase}");
    }
    assert_eq!(gate(&|case| case.lock = Lock::Unreadable("?".to_owned())), Some(Gate::Locked));
    let until = jiff::Timestamp::UNIX_EPOCH;
    assert_eq!(gate(&|case| case.paused = Some(Paused { until, reason: "x".to_owned() })), Some(Gate::Paused));
    let survey = |change: &dyn Fn(&mut crate::model::Survey)| gate(&|case| change(case.survey.as_mut().unwrap()));
    assert_eq!(survey(&|one| one.uptime = Ok(Duration::from_secs(10))), Some(Gate::Booting));
    assert_eq!(survey(&|one| one.ip_forward = Ok(false)), Some(Gate::Unfit));
    assert_eq!(survey(&|one| drop(tables(one).remove(1))), Some(Gate::Foreign));
    assert_eq!(gate(&|case| case.rules.max_subnets = 1), Some(Gate::TooMany));
    // And what would keep it from coming back.
    assert_eq!(survey(&|one| tables(one)[0].routes[0].blackhole = true), Some(Gate::Unfit));
    assert_eq!(survey(&|one| drop(tables(one)[0].routes.pop())), Some(Gate::Unfit));
}

#[test]
fn a_drill_begins_in_health_only_with_a_subnet_that_can_be_seen_and_moved_alone() {
    // With the statuses that a run has for the same evidence.
    let well = || round().reaching("subnet-1", 3).reaching("subnet-2", 3);
    for (seen, outcome, exit) in [
        (Some(well().cut_off("subnet-2", 1)), Outcome::Degraded, 1),
        (Some(round().cut_off("subnet-1", 3).cut_off("subnet-2", 3)), Outcome::Down, 2),
        (Some(round().reaching("subnet-1", 2)), Outcome::Unheard, 3),
        (Some(well().controls(vec![dead(target(1)), dead(target(2)), dead(target(3))])), Outcome::Isolated, 3),
        (None, Outcome::Unheard, 3),
    ] {
        let looks = seen.into_iter().map(|round| Look { weighed: round.ended, round }).collect();
        let ill = with(&Case { looks, ..case() }, None, None, &[("subnet-1", 3), ("subnet-2", 3)]).unwrap_err();
        assert_eq!((ill.outcome, ill.exit), (outcome, exit), "{ill:?}");
        assert!(ill.because.contains("nothing is moved, as a drill begins in health only: "), "{ill:?}");
    }
    let mut routes = case();
    routes.rules.method = Method::Route { destinations: vec!["0.0.0.0/0".parse().unwrap()] };
    assert!(held(&routes).because.contains("takeover.method"));
    assert!(
        held(&routes).because.ends_with("natwatch takeover, then natwatch failback"),
        "and says what to do instead"
    );
    let nobody = with(&case(), Some("subnet-2"), None, &[("subnet-1", 3)]).unwrap_err();
    assert_eq!(nobody.holds[0].gate, Gate::Unfit, "{nobody:?}");
    let elsewhere = with(&case(), Some("subnet-9"), None, &[("subnet-9", 3)]).unwrap_err();
    assert_eq!(elsewhere.holds[0].gate, Gate::Foreign, "{elsewhere:?}");
}

#[test]
fn f109_a_subnet_of_which_the_standby_admits_nothing_is_not_practised_with_although_another_is_admitted() {
    let mut case = case();
    let refused = vec![id("subnet-1")];
    let admission = Admission { groups: vec!["sg-0b".parse().unwrap()], refused, seen: jiff::Timestamp::UNIX_EPOCH };
    case.guarded.as_mut().unwrap().admission = Some(admission);
    let able = [("subnet-1", 3), ("subnet-2", 3)];
    for (wanted, canary) in [(Some("subnet-1"), None), (None, Some("subnet-1"))] {
        let over = with(&case, wanted, canary, &able).unwrap_err();
        assert_eq!((over.outcome, over.exit, over.holds[0].gate), (Outcome::Failed, 2, Gate::Unfit), "{over:?}");
        assert!(over.because.contains("sg-0b) admitted nothing from subnet-1"), "{over:?}");
    }
    let other = with(&case, Some("subnet-2"), None, &able).unwrap();
    assert_eq!(other.moves[0].to_string(), "subnet-2");
    // What was seen of other tables says nothing of these.
    case.guarded.as_mut().unwrap().standby = "rtb-0c".parse().unwrap();
    assert_eq!(with(&case, Some("subnet-1"), None, &able).unwrap().moves.len(), 1);
}

fn done(from: &str, to: &str, result: MoveResult, verification: Verification) -> Move {
    let plan = Change::Association(PlannedMove {
        subnet: id("subnet-1"),
        name: None,
        association: "rtbassoc-1".parse().unwrap(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    });
    Move { plan, result, took: Duration::ZERO, verification }
}

#[test]
fn the_table_of_drills() {
    use MoveResult::{AlreadyThere, Elsewhere, Failed, Moved, WouldMove};
    use Verification::{Pending, Unverified, Verified};
    let there = |result, verification| done("rtb-0a", "rtb-0b", result, verification);
    let back =
        |result, verification| Steps { back: vec![done("rtb-0b", "rtb-0a", result, verification)], ..Steps::default() };
    let again = Steps { again: vec![there(Moved, Verified)], ..back(Moved, Unverified) };
    let table = [
        (there(WouldMove, Pending), None, Outcome::WouldDrill, 0, "would go"),
        (there(Failed("no".to_owned()), Pending), None, Outcome::Failed, 2, "could not be moved to the standby: no"),
        (there(Elsewhere("rtb-0c".to_owned()), Pending), None, Outcome::Failed, 2, "on rtb-0c"),
        (there(AlreadyThere, Pending), None, Outcome::Failed, 2, "somebody else moved subnet-1 to the standby"),
        (
            there(Moved, Verified),
            Some((Steps { overtaken: true, ..back(Moved, Pending) }, 1)),
            Outcome::Partial,
            2,
            "left where it is: it is not the drill's any more",
        ),
        (
            there(Moved, Verified),
            Some((back(Moved, Verified), 0)),
            Outcome::Drilled,
            0,
            "at most 300 ms on the way there, 200 ms on",
        ),
        (there(Moved, Unverified), Some((back(Moved, Verified), 0)), Outcome::Failed, 2, "NOT seen"),
        (there(Moved, Pending), Some((back(Moved, Verified), 0)), Outcome::Failed, 2, "ended before its time"),
        (
            there(Moved, Verified),
            Some((back(Failed("no".to_owned()), Pending), 1)),
            Outcome::Failed,
            2,
            "no subnet is back",
        ),
        (there(Moved, Verified), Some((again, 1)), Outcome::Failed, 2, "went to the standby again"),
        (there(Moved, Verified), Some((back(Moved, Unverified), 0)), Outcome::Unverified, 2, "not all were seen"),
        (
            there(Moved, Verified),
            Some((back(Elsewhere("rtb-0c".to_owned()), Pending), 0)),
            Outcome::Failed,
            2,
            "somebody else",
        ),
        (there(Moved, Verified), Some((Steps::default(), 0)), Outcome::Failed, 2, "somebody else"),
    ];
    let nowhere = drilled(&there(Moved, Unverified), Some((&back(Moved, Unverified), 0)), None);
    assert_eq!((nowhere.outcome, nowhere.exit), (Outcome::Unverified, 2), "{nowhere:?}");
    assert!(nowhere.because.contains("stays on the primary"), "{nowhere:?}");
    assert!(nowhere.commands[0].contains("--route-table-id rtb-0b"), "{nowhere:?}");
    let gap = |ms| Some(Gap { backends: 2, pings: 50, lost: 1, longest: Duration::from_millis(ms), open: false });
    let leg = |ms| Leg { took: Duration::from_secs(5), gap: gap(ms) };
    let measured = Drill { subnet: id("subnet-1"), there: leg(300), back: Some(leg(200)) };
    for (there, back, outcome, exit, says) in table {
        let found = drilled(&there, back.as_ref().map(|(steps, left)| (steps, *left)), Some(&measured));
        assert_eq!((found.outcome, found.exit), (outcome, exit), "{found:?}");
        assert!(found.because.contains(says), "{says:?} in {found:?}");
    }
}
