//! The explanation says what the decision says, whatever the case.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::properties::{a_round, some_settings};
use super::support::*;
use crate::decide::{Case, Decision, Lock, Look, conclude, decide, explain};
use crate::model::cloud::Masquerade;
use crate::model::{
    Association, Gate, Instance, Interface, LastSteps, Move, MoveResult, Outcome, Paused, Phase, Route, RouteTable,
    Survey, Verdict, Verification,
};

fn ids(subnets: &[&str]) -> Vec<Association> {
    let of = |subnet: &&str| Association {
        id: format!("rtbassoc-{}", subnet.trim_start_matches("subnet-")).parse().unwrap(),
        subnet: Some(subnet.parse().unwrap()),
        main: false,
        failed: None,
    };
    subnets.iter().map(of).collect()
}

/// A survey of a pair in which these subnets are on the primary's table.
fn survey(on_primary: &[&str], forwards: bool, uptime: Duration) -> Survey {
    let table = |id: &str, routes, associations| RouteTable {
        id: id.parse().unwrap(),
        vpc: "vpc-0".parse().unwrap(),
        name: None,
        routes,
        associations,
    };
    let route = Route {
        destination: "0.0.0.0/0".to_owned(),
        instance: Some("i-0b".parse().unwrap()),
        interface: None,
        other: None,
        blackhole: false,
    };
    Survey {
        identity: Ok("i-0b".parse().unwrap()),
        tables: Ok(vec![table("rtb-0a", Vec::new(), ids(on_primary)), table("rtb-0b", vec![route], Vec::new())]),
        standby: Ok(Some(Instance {
            id: "i-0b".parse().unwrap(),
            name: None,
            state: "running".to_owned(),
            subnet: None,
            launched_ago: None,
            interfaces: vec![Interface { id: "eni-0b".parse().unwrap(), device_index: 0, source_dest_check: false }],
        })),
        primary: None,
        uptime: Ok(uptime),
        ip_forward: Ok(forwards),
        ip_forward_of: crate::model::Family::V4,
        masquerade: Masquerade::Present,
    }
}

/// Rounds as they come, among them enough that are down for a takeover to follow now and then.
fn looks() -> impl Strategy<Value = Vec<Look>> {
    let a_round = prop_oneof![
        1 => a_round(),
        3 => Just(round().cut_off("subnet-1", 3)),
        1 => Just(round().cut_off("subnet-1", 3).reaching("subnet-2", 1)),
    ];
    let step = prop_oneof![2 => Just(1_500), 2 => Just(3_000), 1 => Just(20_000), 1 => 0..5_000u64];
    let look = (
        a_round,
        step,
        prop_oneof![9 => Just(700), 1 => Just(15_000u64)],
        prop_oneof![9 => Just(0), 1 => Just(1_001u64)],
    );
    proptest::collection::vec(look, 0..5).prop_map(|all| {
        let mut started = 0;
        all.into_iter()
            .map(|(mut round, step, took, waited)| {
                started += step;
                (round.started, round.ended) = (ms(started), ms(started + took));
                for member in &mut round.members {
                    if let crate::model::Testimony::Probes(probes) = &mut member.testimony {
                        for probe in probes {
                            (probe.earliest, probe.latest) = (ms(started), ms(started));
                        }
                    }
                }
                Look { round, weighed: ms(started + took + waited) }
            })
            .collect()
    })
}

fn lock() -> impl Strategy<Value = Lock> {
    prop_oneof![
        4 => Just(Lock::Free),
        1 => proptest::sample::select(Phase::ALL).prop_map(|phase| Lock::Held { phase, moves: Vec::new(), last: LastSteps::default() }),
        1 => Just(Lock::Unreadable("not JSON".to_owned())),
    ]
}

fn results() -> impl Strategy<Value = Option<(MoveResult, Verification)>> {
    let result = prop_oneof![
        3 => Just(MoveResult::Moved),
        1 => Just(MoveResult::Pending),
        1 => Just(MoveResult::WouldMove),
        1 => Just(MoveResult::Failed("throttled".to_owned())),
        1 => Just(MoveResult::Unknown("no answer".to_owned())),
        1 => Just(MoveResult::Elsewhere("rtb-0c".to_owned())),
    ];
    let seen = prop_oneof![
        Just(Verification::Pending),
        Just(Verification::Verified),
        Just(Verification::Unverified),
        Just(Verification::Unwitnessed),
    ];
    proptest::option::of((result, seen))
}

fn a_case() -> impl Strategy<Value = Case> {
    let surveyed = (any::<bool>(), proptest::bool::weighted(0.8), proptest::bool::weighted(0.8)).prop_map(
        |(both, forwards, long)| {
            let subnets: &[&str] = if both { &["subnet-1", "subnet-2"] } else { &["subnet-1"] };
            survey(subnets, forwards, if long { Duration::from_hours(1) } else { Duration::from_mins(1) })
        },
    );
    let known = proptest::option::of(prop_oneof![
        Just(guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0b")])),
        Just(guarded(&[("subnet-1", "rtb-0b")])),
        Just(guarded(&[])),
    ]);
    let settings = prop_oneof![2 => Just(settings()), 1 => some_settings()];
    let odd = || proptest::bool::weighted(0.1);
    (
        settings,
        looks(),
        lock(),
        known,
        proptest::option::weighted(0.9, surveyed),
        results(),
        (odd(), odd(), odd(), odd(), odd(), odd()),
    )
        .prop_map(
            |(rules, looks, lock, guarded, survey, result, (out_of_time, busy, forgets, unknown, paused, planned))| {
                let case = Case {
                    planned,
                    looks,
                    out_of_time,
                    lock,
                    guarded,
                    survey,
                    unknown: unknown.then(|| "EC2 gave no answer".to_owned()),
                    paused: paused.then(|| Paused { until: Timestamp::UNIX_EPOCH, reason: "kernel".to_owned() }),
                    busy: busy.then(|| "process 7".to_owned()),
                    forgets: forgets.then(|| "disk full".to_owned()),
                    ..Case::new(rules)
                };
                let moves = match (decide(&case), result) {
                    (Decision::TakeOver(plan), Some((result, verification))) => {
                        let of = |plan| Move {
                            plan,
                            result: result.clone(),
                            took: ms(250),
                            verification: verification.clone(),
                        };
                        Some(plan.moves.into_iter().map(of).collect())
                    }
                    _ => None,
                };
                Case { moves, ..case }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_explanation_comes_to_what_the_decision_comes_to(case in a_case()) {
        let why = explain(&case);
        let over = conclude(&case);
        prop_assert_eq!(&why.conclusion, &over);

        let judged = case.pass(over.clone()).judgements;
        let mut told: Vec<_> = why.rounds.iter().map(|one| (one.ended, one.family, one.verdict, one.because.clone())).collect();
        let mut found: Vec<_> = judged.into_iter().map(|one| (one.ended, one.family, one.verdict, one.because)).collect();
        told.sort_by_key(|one| (one.0, one.1));
        found.sort_by_key(|one| (one.0, one.1));
        prop_assert_eq!(told, found);
        for round in &why.rounds {
            let down = round.rules.iter().all(|rule| rule.met);
            prop_assert_eq!(down, round.verdict == Verdict::Down, "all rules speak for down, or one does not: {:?}", round);
        }

        prop_assert_eq!(why.enough, case.planned || why.rows.iter().any(|row| row.enough), "{:?}", why.rows);
        for row in &why.rows {
            prop_assert_eq!(row.enough, row.rules.iter().all(|rule| rule.met));
        }

        let going = case.busy.is_none() && why.enough;
        let holding: Vec<&str> = why.gates.iter().filter(|rule| !rule.met).map(|rule| rule.name).collect();
        let held: Vec<&str> = Gate::ALL
            .iter()
            .filter(|gate| going && over.holds.iter().any(|hold| hold.gate == **gate))
            .map(|gate| gate.as_str())
            .collect();
        prop_assert_eq!(holding, held);
        prop_assert_eq!(why.gates.len(), if going { Gate::ALL.len() } else { 0 });

        let mut undecided = case.clone();
        undecided.moves = None;
        match decide(&undecided) {
            Decision::TakeOver(plan) => {
                prop_assert_eq!(why.plan, Some(*plan));
                let fine = why.ending.iter().all(|rule| rule.met);
                let well = matches!(
                    over.outcome,
                    Outcome::TakenOver | Outcome::WouldTakeOver | Outcome::NoRedundancy
                );
                // Who has moved nothing himself does not look; that alone is told by the outcome only.
                let elsewhere = case.moves.iter().flatten().all(|one| matches!(one.result, MoveResult::Elsewhere(_)));
                prop_assert!(fine == well || elsewhere, "{:?}, {}", why.ending, over.outcome);
            }
            Decision::Over(_) => prop_assert_eq!(why.plan, None),
        }
        if !going && over.outcome == Outcome::Healthy {
            prop_assert!(why.ending.iter().all(|rule| rule.met || rule.name == "deadline"), "{:?}", why.ending);
        }
    }

    #[test]
    fn what_is_saved_decides_as_what_was_known(case in a_case()) {
        let again: Case = serde_json::from_str(&serde_json::to_string(&case).unwrap()).unwrap();
        prop_assert_eq!(conclude(&again), conclude(&case));
        prop_assert_eq!(again.pass(conclude(&again)), case.pass(conclude(&case)));
    }
}

#[test]
fn the_generator_reaches_takeovers_gates_and_quiet() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..2000 {
        seen.insert(conclude(&a_case().new_tree(&mut runner).unwrap().current()).outcome);
    }
    // No case is about a way back, or a drill.
    let others = [Outcome::Healthy, Outcome::FailedBack, Outcome::WouldFailBack, Outcome::Drilled, Outcome::WouldDrill];
    let all = Outcome::ALL.iter().copied().filter(|one| !others.contains(one)).collect::<Vec<_>>();
    let missing: Vec<_> = all.iter().filter(|one| !seen.contains(one)).collect();
    assert!(missing.len() <= 2, "hardly anything is generated of {missing:?}");
    for must in [Outcome::TakenOver, Outcome::Down, Outcome::Partial, Outcome::Failed, Outcome::Busy] {
        assert!(seen.contains(&must), "{must}");
    }
}

#[test]
fn moments_of_an_edited_file_overflow_nothing() {
    let far = Duration::new(u64::MAX, 999_999_999);
    let mut round = round().cut_off("subnet-1", 3);
    (round.started, round.ended) = (far, far);
    for member in &mut round.members {
        if let crate::model::Testimony::Probes(probes) = &mut member.testimony {
            for probe in probes {
                (probe.earliest, probe.latest) = (far, far);
            }
        }
    }
    let rules = crate::decide::DecideSettings { span: far, min_uptime: far, ..settings() };
    let mut case = Case::new(rules);
    case.looks = vec![Look { round: round.clone(), weighed: far }, Look { round, weighed: far }];
    case.survey = Some(survey(&["subnet-1"], true, Duration::ZERO));
    assert_eq!(explain(&case).conclusion.outcome, Outcome::Down);
    case.rules.span = Duration::ZERO;
    let why = explain(&case);
    assert_eq!(why.conclusion.holds.first().map(|hold| hold.gate), Some(Gate::Booting), "{:?}", why.conclusion);
}
