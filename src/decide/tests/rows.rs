//! What holds of every row of rounds, and of the case that is made of it.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::gates::{guarded, survey};
use super::support::*;
use crate::decide::{Case, DecideSettings, Decision, Lock, Look, Next, decide, judge};
use crate::model::{Family, Fate, LastSteps, Member, Moment, Paused, Phase, Probe, Round, Testimony, Verdict};

const SUBNETS: [&str; 2] = ["subnet-1", "subnet-2"];

/// What a row leads to. The one place that knows how it is asked.
fn follows(rounds: &[Round], settings: &DecideSettings, now: Moment) -> Next {
    case(rounds, settings, now).next()
}

/// All that `decide` has to know, nothing standing in the way of a takeover but the evidence.
fn case(rounds: &[Round], settings: &DecideSettings, now: Moment) -> Case {
    let weighed = |(n, round): (usize, &Round)| Look {
        round: round.clone(),
        weighed: if n + 1 == rounds.len() { now } else { round.ended },
    };
    Case {
        looks: rounds.iter().enumerate().map(weighed).collect(),
        guarded: Some(guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")])),
        survey: Some(survey()),
        ..Case::new(settings.clone())
    }
}

fn takes_over(case: &Case) -> bool {
    matches!(decide(case), Decision::TakeOver(_))
}

/// A round that begins so long after the last one ended: most members are cut off.
fn a_round() -> impl Strategy<Value = (u64, Round)> {
    let testimony = prop_oneof![
        12 => Just(Testimony::Probes(vec![miss(target(1)), miss(target(2)), miss(target(3)), miss(target(1))])),
        1 => Just(Testimony::Probes(vec![miss(target(2)), reply(target(1))])),
        1 => Just(Testimony::Probes(vec![miss(target(4))])),
        2 => Just(hung()),
    ];
    let member = (0..SUBNETS.len(), proptest::bool::weighted(0.95), testimony);
    let alive = proptest::collection::vec(proptest::bool::weighted(0.97), 3);
    let controls = alive.prop_map(|alive| {
        (1..).zip(alive).map(|(n, alive)| if alive { good(target(n)) } else { dead(target(n)) }).collect::<Vec<_>>()
    });
    let gap = prop_oneof![8 => 0..2000u64, 1 => 10_000..20_000u64];
    let took = prop_oneof![8 => 300..2000u64, 1 => 13_000..16_000u64];
    (gap, took, controls, proptest::collection::vec(member, 3..9)).prop_map(|(gap, took, controls, members)| {
        let mut round = members.into_iter().fold(round().controls(controls), |round, (subnet, witness, testimony)| {
            let families: &[Family] = if witness { &[Family::V4] } else { &[] };
            round.with(SUBNETS[subnet], 1, &testimony).witness(1, families)
        });
        round.ended = ms(took);
        (gap, round)
    })
}

/// A row, its moments in order, and the moment at which it is weighed.
fn a_row() -> impl Strategy<Value = (Vec<Round>, Moment)> {
    let late = prop_oneof![4 => 0..900u64, 1 => 1001..60_000u64];
    (proptest::collection::vec(a_round(), 1..6), late).prop_map(|(rounds, late)| {
        let mut now = Duration::ZERO;
        let mut row = Vec::new();
        for (gap, mut round) in rounds {
            now += ms(gap);
            let took = round.ended;
            (round.started, round.ended) = (now, now + took);
            for probe in probes(&mut round) {
                (probe.earliest, probe.latest) = (now + ms(10), now + ms(20));
            }
            now = round.ended;
            row.push(round);
        }
        (row, now + ms(late))
    })
}

fn probes(round: &mut Round) -> impl Iterator<Item = &mut Probe> {
    round.members.iter_mut().flat_map(|member: &mut Member| match &mut member.testimony {
        Testimony::Probes(probes) => probes.as_mut_slice(),
        _ => &mut [],
    })
}

fn rules() -> impl Strategy<Value = DecideSettings> {
    (1..4usize, 1..4usize, 0..3000u64).prop_map(|(threshold, rounds, span)| DecideSettings {
        threshold,
        rounds,
        span: ms(span),
        ..settings()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_miss_turned_into_a_reply_never_turns_hold_into_takeover(
        (row, now) in a_row(),
        settings in rules(),
        round: prop::sample::Index,
        pick: prop::sample::Index,
    ) {
        let mut after = row.clone();
        let chosen = round.index(row.len());
        let mut misses: Vec<&mut Probe> = probes(&mut after[chosen]).filter(|probe| probe.fate == Fate::NoReply).collect();
        prop_assume!(!misses.is_empty());
        let n = pick.index(misses.len());
        misses[n].fate = Fate::Reply { rtt: RTT };
        if follows(&row, &settings, now) != Next::Act {
            prop_assert_ne!(follows(&after, &settings, now), Next::Act);
        }
        if !takes_over(&case(&row, &settings, now)) {
            prop_assert!(!takes_over(&case(&after, &settings, now)));
        }
    }

    #[test]
    fn the_silent_change_nothing_in_any_row((row, now) in a_row(), settings in rules(), round: prop::sample::Index, count in 1..9usize) {
        let mut after = row.clone();
        let chosen = round.index(row.len());
        after[chosen] = after[chosen].clone().silent(SUBNETS[count % 2], count);
        prop_assert_eq!(follows(&row, &settings, now), follows(&after, &settings, now));
        prop_assert_eq!(takes_over(&case(&row, &settings, now)), takes_over(&case(&after, &settings, now)));
    }

    #[test]
    fn whoever_falls_silent_in_the_last_rounds_leaves_no_takeover((row, now) in a_row(), settings in rules()) {
        let mut after = row;
        for member in &mut after.last_mut().unwrap().members {
            member.testimony = hung();
        }
        prop_assert_eq!(follows(&after, &settings, now), Next::Rest);
    }

    #[test]
    fn the_order_of_members_and_pings_does_not_matter_in_any_row((row, now) in a_row(), settings in rules(), turn in 0..9usize) {
        let mut after = row.clone();
        for round in &mut after {
            round.members.reverse();
            let members = round.members.len();
            round.members.rotate_left(turn % members);
            round.controls.reverse();
            for member in &mut round.members {
                if let Testimony::Probes(probes) = &mut member.testimony {
                    probes.reverse();
                }
            }
        }
        prop_assert_eq!(follows(&row, &settings, now), follows(&after, &settings, now));
        prop_assert_eq!(takes_over(&case(&row, &settings, now)), takes_over(&case(&after, &settings, now)));
    }

    /// The rule of a row, said once more and otherwise.
    #[test]
    fn a_takeover_needs_so_many_fresh_rounds_of_down_in_a_row_over_the_span((row, now) in a_row(), settings in rules()) {
        if follows(&row, &settings, now) == Next::Act {
            let judged: Vec<_> = row.iter().map(|round| judge(round, &settings, Family::V4)).collect();
            let last: Vec<_> = judged.iter().rev().take_while(|one| one.verdict == Verdict::Down && !one.stale).collect();
            prop_assert!(last.len() >= settings.rounds);
            let first = last.iter().filter_map(|one| one.first_miss).min().unwrap();
            prop_assert!(last[0].last_miss.unwrap().saturating_sub(first) >= settings.span);
            prop_assert!(now.saturating_sub(last[0].ended) <= Duration::from_secs(1));
            prop_assert!(last[0].good_targets >= 2 && last[0].heard() >= settings.threshold);
        }
    }

    #[test]
    fn nothing_is_taken_over_while_locked_booting_paused_or_busy((row, now) in a_row(), settings in rules(), up in 0..300u64) {
        let free = case(&row, &settings, now);
        let survey = |uptime| crate::model::Survey { uptime, ..survey() };
        let paused = Paused { until: Timestamp::UNIX_EPOCH, reason: String::new() };
        for (gate, held) in [
            ("locked", Case { lock: Lock::Held { phase: Phase::Taken, moves: Vec::new(), last: LastSteps::default() }, ..free.clone() }),
            ("a record that can't be read", Case { lock: Lock::Unreadable(String::new()), ..free.clone() }),
            ("booting", Case { survey: Some(survey(Ok(Duration::from_secs(up)))), ..free.clone() }),
            ("uptime not known", Case { survey: Some(survey(Err(String::new()))), ..free.clone() }),
            ("paused", Case { paused: Some(paused), ..free.clone() }),
            ("busy", Case { busy: Some(String::new()), ..free.clone() }),
            ("unasked", Case { survey: None, ..free.clone() }),
        ] {
            prop_assert!(!takes_over(&held), "{gate}");
        }
    }
}

/// A row that is enough, of defaults.
fn enough() -> (Vec<Round>, Moment) {
    let at = |start: u64| {
        let mut round = round().cut_off("subnet-1", 3).cut_off("subnet-2", 2);
        (round.started, round.ended) = (ms(start), ms(start + 610));
        for probe in probes(&mut round) {
            (probe.earliest, probe.latest) = (ms(start + 10), ms(start + 10));
        }
        round
    };
    (vec![at(0), at(1600), at(3000)], ms(3610))
}

#[test]
fn the_properties_speak_of_something() {
    let (row, now) = enough();
    assert!(takes_over(&case(&row, &settings(), now)));
}

#[test]
fn f066_what_was_missed_on_the_standbys_way_is_no_evidence_when_the_subnet_is_brought_back() {
    let (row, now) = enough();
    let before = Case {
        guarded: Some(guarded(&[("subnet-1", "rtb-0b"), ("subnet-2", "rtb-0b")])),
        ..case(&row, &settings(), now)
    };
    assert!(!takes_over(&before), "it was on the standby's table as the evidence was gathered");
    let half = Case {
        guarded: Some(guarded(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0b")])),
        ..case(&row, &settings(), now)
    };
    assert!(takes_over(&half), "the three of subnet-1 are enough by themselves");
}
