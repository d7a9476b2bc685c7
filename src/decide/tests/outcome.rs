//! What a pass came to: the contract's one order, in full.

use std::time::Duration;

use super::support::*;
use crate::decide::{Case, Ending, Lock, Look, Redundancy, conclude, lead, outcome};
use crate::model::{
    Change, Family, Gate, Hold, Judgement, LastSteps, Move, MoveResult, Outcome, Phase, PlannedMove, Verdict,
    Verification,
};

fn judged(verdict: Verdict) -> Judgement {
    let round = match verdict {
        Verdict::Healthy => round().reaching("a", 4),
        Verdict::Degraded => round().reaching("a", 4).cut_off("a", 1),
        Verdict::Down => round().cut_off("a", 4),
        Verdict::Isolated => round().controls(vec![dead(target(1))]),
        Verdict::Unheard => round().silent("a", 4),
    };
    let judgement = round.judged();
    assert_eq!(judgement.verdict, verdict);
    judgement
}

#[test]
fn the_table_of_passes_that_end_without_a_takeover() {
    use Redundancy::{Gone, Incomplete, Locked, StandsBy};
    for (verdict, redundancy, expected) in [
        (Verdict::Healthy, StandsBy, (Outcome::Healthy, 0)),
        (Verdict::Healthy, Locked, (Outcome::Locked, 5)),
        (Verdict::Healthy, Incomplete, (Outcome::Partial, 2)),
        (Verdict::Healthy, Gone, (Outcome::NoRedundancy, 1)),
        (Verdict::Degraded, StandsBy, (Outcome::Degraded, 1)),
        (Verdict::Degraded, Locked, (Outcome::Degraded, 1)),
        (Verdict::Degraded, Incomplete, (Outcome::Partial, 2)),
        (Verdict::Degraded, Gone, (Outcome::Degraded, 1)),
        (Verdict::Down, StandsBy, (Outcome::Down, 2)),
        (Verdict::Down, Locked, (Outcome::Down, 2)),
        (Verdict::Down, Incomplete, (Outcome::Down, 2)),
        (Verdict::Down, Gone, (Outcome::Down, 2)),
        (Verdict::Isolated, StandsBy, (Outcome::Isolated, 3)),
        (Verdict::Isolated, Locked, (Outcome::Isolated, 3)),
        (Verdict::Isolated, Incomplete, (Outcome::Partial, 2)),
        (Verdict::Isolated, Gone, (Outcome::Isolated, 3)),
        (Verdict::Unheard, StandsBy, (Outcome::Unheard, 3)),
        (Verdict::Unheard, Locked, (Outcome::Unheard, 3)),
        (Verdict::Unheard, Incomplete, (Outcome::Partial, 2)),
        (Verdict::Unheard, Gone, (Outcome::Unheard, 3)),
    ] {
        let judgement = judged(verdict);
        let found = outcome(Ending::Rested { judgement: &judgement, redundancy });
        assert_eq!(found, expected, "{verdict}, {redundancy:?}");
        let unseen = outcome(Ending::Rested { judgement: &judgement, redundancy: Redundancy::Unseen });
        let expected = if verdict == Verdict::Down { Outcome::Down } else { Outcome::Unverified };
        assert_eq!(unseen, (expected, 2), "{verdict}");
    }
}

/// A failback or drill was cut short with subnet-1 on its way to `to`, and subnet-2 reaches by the primary.
fn cut_short(to: &str, result: MoveResult, verification: Verification) -> Case {
    let mut one = moved(result, verification);
    if let Change::Association(plan) = &mut one.plan {
        plan.to = to.parse().unwrap();
    }
    let round = round().reaching("subnet-2", 4);
    Case {
        lock: Lock::Held { phase: Phase::FailingBack, moves: vec![one], last: LastSteps::default() },
        left: true,
        guarded: Some(guarded(&[("subnet-1", "rtb-0b"), ("subnet-2", "rtb-0a")])),
        looks: vec![Look { weighed: round.ended, round }],
        ..Case::new(settings())
    }
}

#[test]
fn f068_what_was_left_on_the_standby_and_never_seen_to_reach_from_there_is_unverified() {
    use MoveResult::{AlreadyThere, Failed, Moved, Pending};
    use Verification::{Unverified, Unwitnessed, Verified};
    let unverified = (Outcome::Unverified, 2);
    let locked = (Outcome::Locked, 5);
    let came_to = |case: &Case| {
        let over = conclude(case);
        let tells = over.because.contains("subnet-1") && over.because.contains("natwatch failback");
        assert_eq!(tells, over.outcome == Outcome::Unverified, "{over:?}");
        (over.outcome, over.exit)
    };
    let nobody = || Verification::Pending;
    for (to, result, verification, expected) in [
        ("rtb-0b", Moved, nobody(), unverified),
        ("rtb-0b", AlreadyThere, nobody(), unverified),
        ("rtb-0b", Pending, nobody(), unverified),
        ("rtb-0b", MoveResult::Unknown("lost".to_owned()), nobody(), unverified),
        ("rtb-0b", Moved, Unverified, unverified),
        ("rtb-0b", Moved, Verified, locked),
        ("rtb-0b", Moved, Unwitnessed, locked),
        ("rtb-0b", Failed("no".to_owned()), nobody(), locked),
        ("rtb-0a", Moved, nobody(), locked),
    ] {
        let case = cut_short(to, result.clone(), verification.clone());
        assert_eq!(came_to(&case), expected, "to {to}, {result:?}, {verification:?}");
        assert_eq!(came_to(&Case { left: false, ..case }), locked, "whoever moved it may be at it still");
    }
    let left = cut_short("rtb-0b", Moved, nobody());
    let home = guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]);
    assert_eq!(came_to(&Case { guarded: Some(home), ..left.clone() }), (Outcome::Healthy, 0));
    let seen = round().reaching("subnet-1", 1).reaching("subnet-2", 4);
    let looks = vec![Look { weighed: seen.ended, round: seen }];
    assert_eq!(came_to(&Case { looks, ..left.clone() }), locked, "it was seen just now");
    let lock = |phase| match &left.lock {
        Lock::Held { moves, last, .. } => Lock::Held { phase, moves: moves.clone(), last: last.clone() },
        other => other.clone(),
    };
    assert_eq!(came_to(&Case { lock: lock(Phase::Taken), ..left.clone() }), locked, "a takeover has told how it ended");
}

#[test]
fn held_is_critical_unless_all_that_holds_is_over_by_itself() {
    let hold = |gate| Hold { gate, why: "why".to_owned(), remedy: String::new() };
    let waits = |gate: &Gate| matches!(gate, Gate::Booting | Gate::Paused);
    for gate in Gate::ALL {
        for other in Gate::ALL {
            let status = if waits(gate) && waits(other) { 3 } else { 2 };
            assert_eq!(outcome(Ending::Held(&[hold(*gate), hold(*other)])), (Outcome::Down, status), "{gate}, {other}");
        }
    }
    assert_eq!(outcome(Ending::Held(&[])), (Outcome::Down, 2));
}

fn moved(result: MoveResult, verification: Verification) -> Move {
    let plan = Change::Association(PlannedMove {
        subnet: "subnet-1".parse().unwrap(),
        name: None,
        association: "rtbassoc-1".parse().unwrap(),
        from: "rtb-0a".parse().unwrap(),
        to: "rtb-0b".parse().unwrap(),
    });
    Move { plan, result, took: Duration::ZERO, verification }
}

#[test]
fn the_table_of_moves() {
    use MoveResult::{AlreadyThere, Moved, Pending, WouldMove};
    use Verification::{Unverified, Unwitnessed, Verified};
    let elsewhere = || MoveResult::Elsewhere("rtb-0c".to_owned());
    let failed = || MoveResult::Failed("throttled".to_owned());
    let taken_over = (Outcome::TakenOver, 4);
    let unknown = || MoveResult::Unknown("no answer".to_owned());
    let partial = (Outcome::Partial, 2);
    let not_looked_at = Verification::Pending;
    for (moves, expected) in [
        (vec![(Moved, Verified)], taken_over),
        (vec![(AlreadyThere, Verified)], taken_over),
        (vec![(Moved, Verified), (Moved, Unwitnessed)], taken_over),
        (vec![(Moved, Unwitnessed)], taken_over),
        (vec![(Moved, Verified), (elsewhere(), not_looked_at.clone())], taken_over),
        (vec![(Moved, Verified), (Moved, Unverified)], (Outcome::Unverified, 2)),
        (vec![(Moved, Verified), (elsewhere(), Unverified)], (Outcome::Unverified, 2)),
        (vec![(Moved, not_looked_at.clone())], (Outcome::Unverified, 2)),
        (vec![(Moved, Verified), (failed(), not_looked_at.clone())], partial),
        (vec![(Moved, Unverified), (failed(), not_looked_at.clone())], partial),
        (vec![(Moved, Verified), (Pending, not_looked_at.clone())], partial),
        (vec![(failed(), not_looked_at.clone()), (Pending, not_looked_at.clone())], (Outcome::Failed, 2)),
        (vec![(unknown(), not_looked_at.clone())], partial),
        (vec![(unknown(), not_looked_at.clone()), (failed(), not_looked_at.clone())], partial),
        (vec![(Moved, Verified), (unknown(), not_looked_at.clone())], partial),
        (vec![], (Outcome::Failed, 2)),
        (vec![(WouldMove, not_looked_at.clone()), (WouldMove, not_looked_at.clone())], (Outcome::WouldTakeOver, 4)),
        (vec![(WouldMove, not_looked_at.clone()), (elsewhere(), not_looked_at.clone())], (Outcome::WouldTakeOver, 4)),
        (vec![(WouldMove, not_looked_at.clone()), (failed(), not_looked_at.clone())], partial),
        (vec![(elsewhere(), Verified), (elsewhere(), Unwitnessed)], (Outcome::NoRedundancy, 1)),
        (vec![(elsewhere(), Unverified)], (Outcome::Unverified, 2)),
        (vec![(elsewhere(), not_looked_at.clone())], (Outcome::Unverified, 2)),
    ] {
        let moves: Vec<Move> = moves.into_iter().map(|(result, verification)| moved(result, verification)).collect();
        let shown: Vec<_> = moves.iter().map(|one| (&one.result, &one.verification)).collect();
        assert_eq!(outcome(Ending::Moved(&moves)), expected, "{shown:?}");
    }
}

#[test]
fn f012_the_table_of_who_stands_by() {
    const A: (&str, &str) = ("subnet-1", "rtb-0a");
    const B: (&str, &str) = ("subnet-1", "rtb-0b");
    use Redundancy::{Gone, Incomplete, Locked, StandsBy};
    let (primary, standby, mixed, third) =
        (&[A][..], &[B][..], &[A, ("subnet-2", "rtb-0b")][..], &[("subnet-1", "rtb-0c")][..]);
    for (phase, on, expected) in [
        (None, None, StandsBy),
        (None, Some(primary), StandsBy),
        (None, Some(mixed), StandsBy),
        (None, Some(standby), Gone),
        (None, Some(third), Gone),
        (Some(Phase::Taken), None, Locked),
        (Some(Phase::Taken), Some(standby), Locked),
        (Some(Phase::Taken), Some(mixed), Locked),
        (Some(Phase::Taken), Some(primary), Gone),
        (Some(Phase::Taken), Some(third), Gone),
        (Some(Phase::FailingBack), None, Locked),
        (Some(Phase::FailingBack), Some(standby), Locked),
        (Some(Phase::FailingBack), Some(mixed), Locked),
        (Some(Phase::FailingBack), Some(primary), StandsBy),
        (Some(Phase::FailingBack), Some(third), Gone),
        (Some(Phase::Taking), Some(primary), Incomplete),
        (Some(Phase::Partial), Some(mixed), Incomplete),
        (Some(Phase::Partial), None, Incomplete),
    ] {
        assert_eq!(Redundancy::of(phase, on.map(guarded).as_ref()), expected, "{phase:?}, {on:?}");
    }
}

#[test]
fn f085_the_family_that_is_worst_off_leads_and_the_first_of_equals() {
    let of = |family, verdict| Judgement { family, ..judged(verdict) };
    let order = [Verdict::Healthy, Verdict::Degraded, Verdict::Unheard, Verdict::Isolated, Verdict::Down];
    for (worse, verdict) in order.iter().enumerate() {
        for (better, other) in order.iter().enumerate() {
            let both = [of(Family::V4, *verdict), of(Family::V6, *other)];
            let expected = if worse >= better { Family::V4 } else { Family::V6 };
            assert_eq!(lead(&both).map(|one| one.family), Some(expected), "{verdict}, {other}");
        }
    }
    assert!(lead(&[]).is_none());
}
