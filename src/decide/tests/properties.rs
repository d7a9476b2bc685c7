//! What holds of every round.

use proptest::prelude::*;

use super::support::*;
use crate::decide::{DecideSettings, judge, outlook};
use crate::model::{BackendVerdict, Control, Family, Fate, Member, Outlook, Round, Testimony, Verdict};

const SUBNETS: [&str; 4] = ["a", "b", "c", "d"];

fn testimony() -> impl Strategy<Value = Testimony> {
    let probe = (1..=4u8, proptest::bool::weighted(0.2))
        .prop_map(|(n, replies)| if replies { reply(target(n)) } else { miss(target(n)) });
    prop_oneof![
        4 => Just(Testimony::Probes(vec![miss(target(1)), miss(target(2)), miss(target(3))])),
        2 => Just(Testimony::Probes(vec![reply(target(1))])),
        3 => proptest::collection::vec(probe, 0..4).prop_map(Testimony::Probes),
        2 => Just(hung()),
        2 => Just(Testimony::Awaited),
    ]
}

fn controls() -> impl Strategy<Value = Vec<Control>> {
    proptest::collection::vec(proptest::bool::weighted(0.8), 4).prop_map(|alive| {
        (1..).zip(alive).map(|(n, alive)| if alive { good(target(n)) } else { dead(target(n)) }).collect()
    })
}

pub(super) fn a_round() -> impl Strategy<Value = Round> {
    let member = (0..SUBNETS.len(), proptest::bool::weighted(0.9), testimony());
    (controls(), proptest::collection::vec(member, 0..12)).prop_map(|(controls, members)| {
        members.into_iter().fold(round().controls(controls), |round, (subnet, witness, testimony)| {
            let families: &[Family] = if witness { &[Family::V4] } else { &[] };
            round.with(SUBNETS[subnet], 1, &testimony).witness(1, families)
        })
    })
}

pub(super) fn some_settings() -> impl Strategy<Value = DecideSettings> {
    (1..5usize, prop_oneof![Just(0.0), Just(0.5), 0.0..0.99f64], 1..4usize)
        .prop_map(|(threshold, fraction, tries)| DecideSettings { threshold, fraction, tries, ..settings() })
}

fn verdict(round: &Round, settings: &DecideSettings) -> Verdict {
    judge(round, settings, Family::V4).verdict
}

/// What an awaited member may yet say.
#[derive(Debug, Clone, Copy)]
enum Completion {
    Reaches,
    CutOff,
    Silent,
    /// Silent, and another in its place, in this subnet of the panel.
    Replaced(usize, bool),
}

fn completion() -> impl Strategy<Value = Completion> {
    prop_oneof![
        Just(Completion::Reaches),
        Just(Completion::CutOff),
        Just(Completion::Silent),
        (0..12usize, any::<bool>()).prop_map(|(subnet, reaches)| Completion::Replaced(subnet, reaches)),
    ]
}

fn complete(round: &Round, completions: &[Completion], replace: bool) -> Round {
    let mut done = round.clone();
    // Misses of every good target.
    let missed = Testimony::Probes(round.good_targets(Family::V4).cloned().map(miss).collect());
    let answered = Testimony::Probes(vec![reply(target(1))]);
    let mut completions = completions.iter();
    let subnets: Vec<String> = round.members.iter().map(|member| member.subnet.clone()).collect();
    for member in done.members.iter_mut().filter(|member| member.testimony == Testimony::Awaited) {
        member.testimony = match completions.next() {
            Some(Completion::Reaches) => answered.clone(),
            Some(Completion::CutOff) => missed.clone(),
            Some(Completion::Replaced(subnet, reaches)) if replace => {
                member.subnet.clone_from(&subnets[subnet % subnets.len()]);
                if *reaches { answered.clone() } else { missed.clone() }
            }
            _ => hung(),
        };
    }
    done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_round_that_is_settled_is_judged_so_whatever_comes(
        round in a_round(),
        settings in some_settings(),
        completions in proptest::collection::vec(proptest::collection::vec(completion(), 12), 24),
    ) {
        let outlook = outlook(&round, &settings);
        for completion in &completions {
            // A replacement may unmake `down`; `not down` is settled by the answers that are outstanding.
            let done = complete(&round, completion, outlook == Outlook::Down);
            let down = verdict(&done, &settings) == Verdict::Down;
            match outlook {
                Outlook::Down => prop_assert!(down, "{completion:?}"),
                Outlook::NotDown => prop_assert!(!down, "{completion:?}"),
                Outlook::Open => {}
            }
        }
        if outlook == Outlook::Down {
            prop_assert_eq!(verdict(&round, &settings), Verdict::Down, "what is settled is judged so at once");
        }
    }

    #[test]
    fn a_round_with_nobody_outstanding_is_settled(round in a_round(), settings in some_settings()) {
        let mut round = round;
        round.members.retain(|member| member.testimony != Testimony::Awaited);
        let expected =
            if verdict(&round, &settings) == Verdict::Down { Outlook::Down } else { Outlook::NotDown };
        prop_assert_eq!(outlook(&round, &settings), expected);
    }

    #[test]
    fn a_miss_turned_into_a_reply_never_makes_down(round in a_round(), settings in some_settings(), pick: prop::sample::Index) {
        let before = verdict(&round, &settings);
        let mut after = round;
        let mut misses: Vec<_> = after
            .members
            .iter_mut()
            .filter_map(|member| match &mut member.testimony {
                Testimony::Probes(probes) => Some(probes),
                _ => None,
            })
            .flatten()
            .filter(|probe| probe.fate == Fate::NoReply)
            .collect();
        prop_assume!(!misses.is_empty());
        let chosen = pick.index(misses.len());
        misses[chosen].fate = Fate::Reply { rtt: RTT };
        drop(misses);
        if before != Verdict::Down {
            prop_assert_ne!(verdict(&after, &settings), Verdict::Down);
        }
    }

    #[test]
    fn silence_never_accuses(round in a_round(), settings in some_settings(), subnet in 0..4usize, count in 0..12usize) {
        let before = judge(&round, &settings, Family::V4);
        let after = judge(&round.silent(SUBNETS[subnet], count), &settings, Family::V4);
        prop_assert_eq!(before.verdict, after.verdict);
        prop_assert_eq!(before.cut_off_subnets, after.cut_off_subnets);
    }

    #[test]
    fn a_member_that_falls_silent_is_never_evidence_by_itself(round in a_round(), settings in some_settings(), pick: prop::sample::Index) {
        prop_assume!(!round.members.is_empty());
        let mut quieter = round.clone();
        let chosen = pick.index(round.members.len());
        quieter.members[chosen].testimony = hung();
        let (before, after) = (judge(&round, &settings, Family::V4), judge(&quieter, &settings, Family::V4));
        prop_assert!(after.cut_off <= before.cut_off && after.reaches <= before.reaches);
    }

    #[test]
    fn order_does_not_matter(
        (round, shuffled) in a_round().prop_flat_map(|round| (Just(round.clone()), Just(round.members).prop_shuffle())),
        turned in any::<bool>(),
        settings in some_settings(),
    ) {
        let mut other = round.clone();
        other.members = shuffled;
        if turned {
            other.controls.reverse();
        }
        let (one, two) = (judge(&round, &settings, Family::V4), judge(&other, &settings, Family::V4));
        prop_assert_eq!((one.verdict, one.because), (two.verdict, two.because));
        prop_assert_eq!((one.first_miss, one.last_miss, one.cut_off_subnets), (two.first_miss, two.last_miss, two.cut_off_subnets));
        prop_assert_eq!(outlook(&round, &settings), outlook(&other, &settings));
    }

    #[test]
    fn nobody_is_accused_by_an_isolated_or_unheard_standby(round in a_round(), settings in some_settings()) {
        let judgement = judge(&round, &settings, Family::V4);
        if judgement.good_targets == 0 {
            prop_assert_eq!(judgement.verdict, Verdict::Isolated);
        } else if judgement.heard() < settings.threshold {
            prop_assert_eq!(judgement.verdict, Verdict::Unheard);
        }
        if judgement.good_targets <= 1 {
            prop_assert_eq!(judgement.cut_off, 0);
        }
        prop_assert_eq!(judgement.first_miss.is_some(), judgement.cut_off > 0);
    }

    #[test]
    fn only_a_witness_that_missed_enough_good_targets_and_reached_none_is_cut_off(round in a_round(), settings in some_settings()) {
        let judgement = judge(&round, &settings, Family::V4);
        for (member, judged) in round.members.iter().zip(&judgement.backends) {
            let accuses = accuses(member, &round, settings.tries);
            prop_assert_eq!(judged.verdict == BackendVerdict::CutOff, accuses);
        }
    }

    #[test]
    fn down_needs_the_threshold_more_than_the_fraction_and_no_subnet_that_reaches(round in a_round(), settings in some_settings()) {
        let judgement = judge(&round, &settings, Family::V4);
        if judgement.verdict == Verdict::Down {
            prop_assert!(judgement.cut_off >= settings.threshold);
            let heads = |count: usize| f64::from(u32::try_from(count).unwrap());
            prop_assert!(heads(judgement.cut_off) / heads(judgement.heard()) > settings.fraction);
            for subnet in SUBNETS {
                let heard: Vec<_> = judgement
                    .backends
                    .iter()
                    .filter(|one| one.subnet == subnet && one.verdict != BackendVerdict::Silent)
                    .collect();
                prop_assert!(heard.len() < 2 || heard.iter().any(|one| one.verdict == BackendVerdict::CutOff));
            }
        }
    }
}

/// The rule of a backend, said once more and otherwise.
fn accuses(member: &Member, round: &Round, tries: usize) -> bool {
    let Testimony::Probes(probes) = &member.testimony else { return false };
    let mut missed: Vec<_> =
        round.good_targets(Family::V4).filter(|target| probes.iter().any(|probe| probe.target == **target)).collect();
    missed.dedup();
    member.witness.contains(&Family::V4)
        && probes.iter().all(|probe| probe.fate == Fate::NoReply)
        && missed.len() >= tries
        && round.good_targets(Family::V4).count() >= 2
}
