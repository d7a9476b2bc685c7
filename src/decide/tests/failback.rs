//! The way back: which subnets, which one first, what holds it, and what it came to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gates::{guarded, survey};
use super::support::settings;
use crate::decide::{DecideSettings, Lock, Steps, WayBack, Wish, carried, failback, failed_back, homeward};
use crate::model::{
    Change, Gate, GuardedSet, Hold, LastSteps, Move, MoveResult, Outcome, Phase, PlannedMove, PlannedRoute, Route,
    SubnetId, Survey, Verification, Way,
};

const HOME: &str = "rtb-0a";
const AWAY: &str = "rtb-0b";

fn id(subnet: &str) -> SubnetId {
    subnet.parse().unwrap()
}

fn planned(subnet: &str, from: &str, to: &str) -> Change {
    Change::Association(PlannedMove {
        subnet: id(subnet),
        name: None,
        association: "rtbassoc-0".parse().unwrap(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    })
}

fn done(subnet: &str, from: &str, to: &str, result: MoveResult, verification: Verification) -> Move {
    Move { plan: planned(subnet, from, to), result, took: Duration::ZERO, verification }
}

fn taken(subnets: &[&str]) -> Lock {
    let moves = subnets.iter().map(|one| done(one, HOME, AWAY, MoveResult::Moved, Verification::Verified));
    Lock::Held { phase: Phase::Taken, moves: moves.collect(), last: LastSteps::default() }
}

/// The subnets on the standby's table, and a primary whose default route leads to it.
fn after_a_takeover(subnets: &[&str]) -> Survey {
    let mut survey = survey();
    let tables = survey.tables.as_mut().unwrap();
    let associations = std::mem::take(&mut tables[0].associations);
    let (gone, stays): (Vec<_>, Vec<_>) =
        associations.into_iter().partition(|one| one.subnet.as_ref().is_some_and(|id| subnets.contains(&id.as_str())));
    tables[0].associations = stays;
    tables[1].associations = gone;
    tables[0].routes.push(Route {
        destination: "0.0.0.0/0".to_owned(),
        instance: Some("i-0a".parse().unwrap()),
        interface: Some("eni-0a".parse().unwrap()),
        other: None,
        blackhole: false,
    });
    survey
}

struct Ask {
    survey: Survey,
    lock: Lock,
    guarded: GuardedSet,
    wanted: Vec<SubnetId>,
    canary: Option<SubnetId>,
    witnesses: BTreeMap<SubnetId, usize>,
    rules: DecideSettings,
}

impl Ask {
    fn after(subnets: &[&str]) -> Self {
        Self {
            survey: after_a_takeover(subnets),
            lock: taken(subnets),
            guarded: guarded(&subnets.iter().map(|one| (*one, AWAY)).collect::<Vec<_>>()),
            wanted: Vec::new(),
            canary: None,
            witnesses: subnets.iter().map(|one| (id(one), 3)).collect(),
            rules: settings(),
        }
    }

    fn way(&self) -> Result<WayBack, Vec<Hold>> {
        let wish = Wish {
            survey: &self.survey,
            lock: &self.lock,
            guarded: Some(&self.guarded),
            wanted: &self.wanted,
            canary: self.canary.as_ref(),
            witnesses: &self.witnesses,
        };
        failback(&wish, &self.rules)
    }

    fn moves(&self) -> Vec<String> {
        self.way().unwrap().moves.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn held(&self) -> (Gate, String, String) {
        let holds = self.way().unwrap_err();
        let first = holds.first().expect("a reason");
        (first.gate, first.why.clone(), first.remedy.clone())
    }
}

const BOTH: &[&str] = &["subnet-1", "subnet-2"];

#[test]
fn what_was_taken_comes_back_by_the_associations_of_now() {
    let way = Ask::after(BOTH).way().unwrap();
    let Change::Association(first) = &way.moves[0] else { panic!("{way:?}") };
    assert_eq!((first.from.as_str(), first.to.as_str(), first.association.as_str()), (AWAY, HOME, "rtbassoc-1"));
    assert_eq!(first.name.as_deref(), Some("name of subnet-1"));
    assert_eq!(way.moves.len(), 2);
    assert_eq!(way.canary, Some(id("subnet-1")));
}

#[test]
fn without_a_record_the_subnets_must_be_named_and_what_to_type_is_said() {
    let mut ask = Ask { lock: Lock::Free, ..Ask::after(BOTH) };
    let (gate, _, remedy) = ask.held();
    assert_eq!((gate, remedy.as_str()), (Gate::Foreign, "natwatch failback --subnet subnet-1 --subnet subnet-2"));
    ask.wanted = vec![id("subnet-2")];
    assert_eq!(ask.moves(), ["subnet-2"]);
    ask.wanted.clear();
    ask.rules.subnets = vec![id("subnet-1")];
    assert_eq!(ask.moves(), ["subnet-1"]);
}

#[test]
fn f052_a_subnet_that_somebody_else_has_by_now_stays_there_and_is_named() {
    let mut ask = Ask { lock: taken(&["subnet-1", "subnet-2", "subnet-3"]), ..Ask::after(BOTH) };
    let way = ask.way().unwrap();
    assert_eq!((way.moves.len(), way.stays.len()), (2, 1));
    assert!(way.stays[0].starts_with("subnet-3 is on neither table"), "{:?}", way.stays);
    // Whoever names it wants to know.
    ask.wanted = vec![id("subnet-3")];
    assert_eq!(ask.held().0, Gate::Foreign);
}

#[test]
fn what_is_at_home_already_is_not_moved() {
    let ask = Ask { lock: taken(BOTH), ..Ask::after(&["subnet-1"]) };
    assert_eq!(ask.moves(), ["subnet-1"]);
}

#[test]
fn f068_what_came_home_before_a_kill_and_was_not_verified_is_proven_first() {
    let home = |verification| done("subnet-2", AWAY, HOME, MoveResult::Pending, verification);
    for (verification, unproven) in [
        (Verification::Pending, 1),
        (Verification::Unverified, 1),
        (Verification::Verified, 0),
        (Verification::Unwitnessed, 0),
    ] {
        let Lock::Held { moves, .. } = taken(&["subnet-1"]) else { panic!() };
        let moves = moves.into_iter().chain([home(verification.clone())]).collect();
        let ask = Ask {
            lock: Lock::Held { phase: Phase::FailingBack, moves, last: LastSteps::default() },
            ..Ask::after(&["subnet-1"])
        };
        let way = ask.way().unwrap();
        assert_eq!((way.moves.len(), way.unproven.len()), (1, unproven), "{verification:?}");
    }
}

#[test]
fn the_canary_is_the_subnet_with_the_fewest_witnesses_but_two_where_any_has_two() {
    let all = ["subnet-1", "subnet-2"];
    for (witnesses, named, expected) in [
        ([3, 2], None, Some("subnet-2")),
        ([2, 3], None, Some("subnet-1")),
        ([1, 5], None, Some("subnet-2")),
        ([0, 1], None, Some("subnet-2")),
        ([1, 1], None, Some("subnet-1")),
        ([2, 9], Some("subnet-2"), Some("subnet-2")),
        ([2, 1], Some("subnet-2"), Some("subnet-2")),
        // Named, and not to be moved: the rule holds.
        ([2, 3], Some("subnet-9"), Some("subnet-1")),
        // Nobody could tell.
        ([0, 0], None, None),
        ([0, 3], Some("subnet-1"), None),
    ] {
        let ask = Ask {
            witnesses: all.iter().map(|one| id(one)).zip(witnesses).collect(),
            canary: named.map(id),
            ..Ask::after(&all)
        };
        match (ask.way(), expected) {
            (Ok(way), Some(expected)) => assert_eq!(way.canary, Some(id(expected)), "{witnesses:?} {named:?}"),
            (Err(holds), None) => {
                assert_eq!(holds[0].gate, Gate::Unfit);
                assert!(holds[0].why.contains("nobody could tell"), "{holds:?}");
            }
            (found, _) => panic!("{witnesses:?} {named:?}: {found:?}"),
        }
    }
}

#[test]
fn f082_nothing_is_moved_into_a_hole_that_can_be_seen() {
    let route = |change: fn(&mut Route)| {
        let mut ask = Ask::after(BOTH);
        change(&mut ask.survey.tables.as_mut().unwrap()[0].routes[0]);
        ask.held()
    };
    let (gate, why, _) = route(|one| one.blackhole = true);
    assert_eq!((gate, why.as_str()), (Gate::Unfit, "rtb-0a sends 0.0.0.0/0 to i-0a, which is a blackhole"));
    let (gate, why, _) = route(|one| (one.instance, one.interface, one.other) = (None, None, Some("igw-1".to_owned())));
    assert_eq!((gate, why.as_str()), (Gate::Foreign, "rtb-0a sends 0.0.0.0/0 to igw-1, and not to an instance"));
    let (gate, why, _) = route(|one| one.instance = Some("i-0b".parse().unwrap()));
    assert_eq!((gate, why.as_str()), (Gate::Foreign, "rtb-0a sends 0.0.0.0/0 to i-0b, which is this standby itself"));
    let (gate, ..) = route(|one| (one.instance, one.interface) = (None, Some("eni-0b".parse().unwrap())));
    assert_eq!(gate, Gate::Foreign, "this standby's interface");
    let (gate, why, _) = route(|one| one.destination = "10.0.0.0/8".to_owned());
    assert_eq!((gate, why.as_str()), (Gate::Unfit, "rtb-0a has no route for 0.0.0.0/0"));

    let mut ask = Ask::after(BOTH);
    ask.rules.primary_instance = Some("i-0c".parse().unwrap());
    assert_eq!(ask.held().1, "rtb-0a sends 0.0.0.0/0 to i-0a, and primary.instance is another");

    let mut ask = Ask::after(BOTH);
    ask.rules.primary_instance = Some("i-0a".parse().unwrap());
    let mut primary = ask.survey.standby.clone().unwrap().unwrap();
    (primary.id, primary.state) = ("i-0a".parse().unwrap(), "stopped".to_owned());
    ask.survey.primary = Some(Ok(Some(primary.clone())));
    let (gate, why, remedy) = ask.held();
    assert_eq!((gate, why.as_str()), (Gate::Unfit, "the primary i-0a is stopped"));
    assert_eq!(remedy, "aws ec2 start-instances --instance-ids i-0a");
    // It has just been started: an operator asked for it, and may.
    (primary.state, primary.launched_ago) = ("running".to_owned(), Some(Duration::from_secs(5)));
    ask.survey.primary = Some(Ok(Some(primary)));
    assert!(ask.way().is_ok());
    ask.survey.primary = Some(Ok(None));
    assert_eq!(ask.held().0, Gate::Foreign);
}

#[test]
fn a_record_that_cannot_be_read_or_tables_that_are_not_there_hold() {
    let mut ask = Ask { lock: Lock::Unreadable("torn".to_owned()), ..Ask::after(BOTH) };
    ask.wanted = vec![id("subnet-1")];
    assert_eq!(ask.held().0, Gate::Locked);
    let mut ask = Ask::after(BOTH);
    ask.survey.tables.as_mut().unwrap().remove(0);
    assert_eq!(ask.held().0, Gate::Foreign);
    let mut ask = Ask::after(BOTH);
    ask.survey.identity = Err("IMDS is down".to_owned());
    assert_eq!(ask.held().0, Gate::Unfit);
}

#[test]
fn homeward_is_what_leads_to_the_primarys_table() {
    let (home, own) = (HOME.parse().unwrap(), "i-0b".parse().unwrap());
    assert!(homeward(&planned("subnet-1", AWAY, HOME), &home, &own));
    assert!(!homeward(&planned("subnet-1", HOME, AWAY), &home, &own));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, a case a line or two")]
fn the_table_of_failbacks() {
    use MoveResult::{Elsewhere, Failed, Moved, WouldMove};
    use Verification::{Pending, Unverified, Unwitnessed, Verified};
    let back = |n: usize, result: &MoveResult, seen: &Verification| {
        done(&format!("subnet-{n}"), AWAY, HOME, result.clone(), seen.clone())
    };
    let again = |n: usize, result: &MoveResult, seen: &Verification| {
        done(&format!("subnet-{n}"), HOME, AWAY, result.clone(), seen.clone())
    };
    let refused = Failed("EC2 said no".to_owned());
    let elsewhere = Elsewhere("rtb-0c".to_owned());
    let (one, both) = (back(1, &Moved, &Verified), |two| vec![back(1, &Moved, &Verified), two]);
    for (steps, stopped, left, expected, says) in [
        (
            (vec![], vec![]),
            false,
            0,
            (Outcome::FailedBack, 0),
            "nothing that was taken is on the standby any more; the lock is cleared",
        ),
        (
            (both(back(2, &Moved, &Verified)), vec![]),
            false,
            0,
            (Outcome::FailedBack, 0),
            "2 subnets are back on the primary and traffic flows; the lock is cleared",
        ),
        ((both(back(2, &Moved, &Unwitnessed)), vec![]), false, 0, (Outcome::FailedBack, 0), "2 subnets are back"),
        ((both(back(2, &elsewhere, &Pending)), vec![]), false, 0, (Outcome::FailedBack, 0), "1 subnets are back"),
        ((vec![one.clone()], vec![]), false, 1, (Outcome::FailedBack, 0), "the lock stays, for 1 more on the standby"),
        (
            (vec![back(1, &WouldMove, &Pending)], vec![]),
            false,
            1,
            (Outcome::WouldFailBack, 0),
            "1 subnets would be brought back to the primary",
        ),
        (
            (vec![back(1, &WouldMove, &Pending), back(2, &refused, &Pending)], vec![]),
            false,
            1,
            (Outcome::Failed, 2),
            "EC2 said no",
        ),
        (
            (vec![back(1, &Moved, &Unverified)], vec![again(1, &Moved, &Verified)]),
            false,
            2,
            (Outcome::Failed, 2),
            "no subnet is back on the primary; subnet-1 did not recover there and went to the standby again",
        ),
        (
            (both(back(2, &Moved, &Unverified)), vec![again(2, &Moved, &Verified)]),
            false,
            1,
            (Outcome::Partial, 2),
            "1 of 2 subnets are back on the primary; subnet-2 did not recover there and went to the standby again",
        ),
        (
            (both(back(2, &Moved, &Unverified)), vec![again(2, &refused, &Pending)]),
            false,
            1,
            (Outcome::Unverified, 2),
            "could not be seen to recover on the standby either",
        ),
        (
            (both(back(2, &Moved, &Unverified)), vec![again(2, &Moved, &Unverified)]),
            false,
            1,
            (Outcome::Unverified, 2),
            "either",
        ),
        (
            (both(back(2, &refused, &Pending)), vec![]),
            false,
            1,
            (Outcome::Partial, 2),
            "1 of 2 subnets are back on the primary; EC2 said no",
        ),
        (
            (vec![back(1, &refused, &Pending)], vec![]),
            false,
            1,
            (Outcome::Failed, 2),
            "no subnet is back on the primary; EC2 said no",
        ),
        ((vec![one], vec![]), true, 1, (Outcome::Partial, 2), "natwatch failback goes on with it"),
        (
            (vec![back(1, &Moved, &Pending)], vec![]),
            true,
            1,
            (Outcome::Unverified, 2),
            "natwatch failback goes on with it",
        ),
        (
            (vec![], vec![]),
            true,
            2,
            (Outcome::Failed, 2),
            "no subnet is back on the primary; it was ended before its time",
        ),
    ] {
        let (back, again) = steps;
        let steps = Steps { back, again, stopped, ..Steps::default() };
        let over = failed_back(&steps, left);
        assert_eq!((over.outcome, over.exit), expected, "{steps:?}");
        assert!(over.because.contains(says), "{:?} does not say {says:?}", over.because);
        let open = steps.back.iter().chain(&steps.again).filter(|one| matches!(one.result, Failed(_))).count();
        assert_eq!(over.commands.len(), open, "{:?}", over.commands);
    }
}

#[test]
fn f068_what_came_home_and_could_not_go_back_is_proven_first_too() {
    for (phase, result, unproven) in [
        (Phase::FailingBack, MoveResult::Pending, 1),
        (Phase::FailingBack, MoveResult::Failed("no answer".to_owned()), 1),
        // Somebody has brought it home since; and a takeover that never moved it.
        (Phase::FailingBack, MoveResult::Moved, 0),
        (Phase::Partial, MoveResult::Pending, 0),
    ] {
        let lost = done("subnet-2", HOME, AWAY, result.clone(), Verification::Pending);
        let Lock::Held { moves, .. } = taken(&["subnet-1"]) else { panic!() };
        let moves = moves.into_iter().chain([lost]).collect();
        let lock = Lock::Held { phase, moves, last: LastSteps::default() };
        let way = Ask { lock, ..Ask::after(&["subnet-1"]) }.way().unwrap();
        assert_eq!(way.unproven.len(), unproven, "{phase:?} {result:?}");
        let own = "i-0b".parse().unwrap();
        assert!(way.unproven.iter().all(|one| homeward(&one.plan, &HOME.parse().unwrap(), &own)), "{way:?}");
    }
}

#[test]
fn only_the_route_tables_say_what_is_carried() {
    let survey = after_a_takeover(&["subnet-1"]);
    let tables = survey.tables.unwrap();
    let (standby, own) = (AWAY.parse().unwrap(), "i-0b".parse().unwrap());
    for (subnet, from, to, expected) in
        [("subnet-1", HOME, AWAY, true), ("subnet-1", AWAY, HOME, true), ("subnet-2", HOME, AWAY, false)]
    {
        assert_eq!(carried(&planned(subnet, from, to), &tables, &standby, &own), expected, "{subnet} {from} {to}");
    }
    let way = |instance: &str, interface: &str| Way {
        interface: Some(interface.parse().unwrap()),
        instance: Some(instance.parse().unwrap()),
    };
    let (ours, theirs) = (way("i-0b", "eni-0b"), way("i-0a", "eni-0a"));
    for (table, led, expected) in [("rtb-0a", &theirs, false), ("rtb-0a", &ours, true), ("rtb-0c", &ours, false)] {
        let mut tables = tables.clone();
        let route = tables[0].routes.iter_mut().find(|route| route.destination == "0.0.0.0/0").unwrap();
        (route.instance, route.interface) = (led.instance.clone(), led.interface.clone());
        for (from, to) in [(&theirs, &ours), (&ours, &theirs)] {
            let change = Change::Route(PlannedRoute {
                table: table.parse().unwrap(),
                destination: "0.0.0.0/0".parse().unwrap(),
                from: Some(from.clone()),
                to: Some(to.clone()),
                subnets: vec![id("subnet-1")],
            });
            assert_eq!(carried(&change, &tables, &standby, &own), expected, "{table} {led:?}");
        }
    }
}
