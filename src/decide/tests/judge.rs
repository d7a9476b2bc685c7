//! Rules 1 to 4 and 6: what one round amounts to.

use super::support::*;
use crate::decide::{DecideSettings, families, judge};
use crate::model::{BackendVerdict, Control, ControlFate, Family, Round, SilenceReason, Testimony, Verdict};

fn verdict(round: &Round) -> Verdict {
    round.judged().verdict
}

fn first(round: &Round) -> (BackendVerdict, Option<SilenceReason>) {
    let judged = &round.judged().backends[0];
    (judged.verdict, judged.silence.as_ref().map(|silence| silence.reason))
}

#[test]
fn the_table_of_verdicts_by_heads_in_one_subnet() {
    use Verdict::{Degraded, Down, Healthy, Unheard};
    for (reaches, cut_off, expected) in [
        (0, 0, Unheard),
        (2, 0, Unheard),
        (0, 2, Unheard),
        (1, 1, Unheard),
        (3, 0, Healthy),
        (8, 0, Healthy),
        (7, 1, Degraded),
        (1, 2, Degraded), // more than the fraction, fewer than the threshold
        (5, 3, Degraded),
        (3, 3, Degraded),
        (4, 4, Degraded),
        (0, 3, Down),
        (1, 3, Down),
        (2, 3, Down),
        (3, 5, Down),
        (0, 8, Down),
    ] {
        let judgement = round().reaching("a", reaches).cut_off("a", cut_off).judged();
        assert_eq!(judgement.verdict, expected, "{reaches} reach, {cut_off} are cut off: {}", judgement.because);
        assert_eq!((judgement.reaches, judgement.cut_off, judgement.heard()), (reaches, cut_off, reaches + cut_off));
    }
}

#[test]
fn f025_f097_too_few_verdicts_are_told_with_the_commonest_silence() {
    let silent = |reason, detail: &str| Testimony::Silent(crate::model::Silence { reason, detail: detail.to_owned() });
    let refused = silent(SilenceReason::Login, "the login was refused (key /k, user natwatch)");
    let gone = silent(SilenceReason::Unreachable, "timed out");
    let told = |round: Round| round.judged().because;
    assert_eq!(
        told(round().with("a", 4, &refused).with("a", 1, &gone).reaching("a", 1)),
        "1 of 6 backends gave a verdict, 3 are needed; 4 login: the login was refused (key /k, user natwatch)"
    );
    assert_eq!(
        told(round().with("a", 2, &refused).with("a", 2, &gone)),
        "0 of 4 backends gave a verdict, 3 are needed; 2 unreachable: timed out",
        "of equals the outermost"
    );
    let unproven = told(round().cut_off("a", 6).witness(6, &[]));
    assert!(unproven.contains("6 unproven: reaches nothing, but has never been seen to"), "{unproven}");
}

#[test]
fn a_judgement_says_in_one_sentence_why() {
    for (round, because) in [
        (round().reaching("a", 4), "4 backends reach"),
        (round().reaching("a", 2).cut_off("a", 6), "6 of 8 backends are cut off"),
        (round().reaching("a", 2).silent("a", 1), "2 of 3 backends gave a verdict, 3 are needed; 1 hung: hung"),
        (round(), "there was nobody to ask: no backend is known to be behind the primary"),
        (round().reaching("a", 3).cut_off("a", 2), "2 of 5 backends are cut off, fewer than the threshold"),
        (round().reaching("a", 4).cut_off("a", 4), "4 of 8 backends are cut off, not more than the fraction"),
        (
            round().reaching("b", 2).cut_off("a", 6),
            "6 of 8 backends are cut off, all of those heard in a, but all of those in b reach",
        ),
        (
            round().controls(vec![dead(target(1)), dead(target(2))]).cut_off("a", 8),
            "none of 2 targets answers this standby over IPv4 (its uplink is dead or ICMP is blocked), so nobody is accused",
        ),
    ] {
        assert_eq!(round.judged().because, because);
    }
}

#[test]
fn f001_a_dead_uplink_of_the_standby_accuses_nobody() {
    let controls = vec![dead(target(1)), dead(target(2)), dead(target(3))];
    let round = round().controls(controls).cut_off("a", 8);
    assert_eq!(verdict(&round), Verdict::Isolated);
    assert_eq!(round.judged().cut_off, 0);
    assert_eq!(first(&round), (BackendVerdict::Silent, Some(SilenceReason::TooFewTargets)));
}

#[test]
fn an_isolated_round_is_isolated_although_backends_reach() {
    assert_eq!(verdict(&round().controls(vec![dead(target(1))]).reaching("a", 8)), Verdict::Isolated);
}

#[test]
fn why_the_controls_could_not_be_asked_is_said() {
    let control = Control {
        name: "x".to_owned(),
        target: Some(target(1)),
        fate: ControlFate::NotAsked("this user may not send pings".to_owned()),
    };
    let judgement = round().controls(vec![control]).judged();
    assert!(judgement.because.contains("(this user may not send pings)"), "{}", judgement.because);
}

#[test]
fn f015_a_target_that_is_down_everywhere_is_never_evidence() {
    let round = round().controls(vec![good(target(1)), good(target(2)), dead(target(3))]).with(
        "a",
        8,
        &Testimony::Probes(vec![miss(target(3)), miss(target(1))]),
    );
    assert_eq!(first(&round), (BackendVerdict::Silent, Some(SilenceReason::TooFewTargets)));
    assert_eq!(verdict(&round), Verdict::Unheard);
}

#[test]
fn f016_one_good_target_that_limits_the_primary_accuses_nobody() {
    let one_missed = Testimony::Probes(vec![miss(target(1)), reply(target(2))]);
    assert_eq!(verdict(&round().with("a", 8, &one_missed)), Verdict::Healthy, "another target clears");
    let again_and_again = Testimony::Probes(vec![miss(target(1)); 5]);
    assert_eq!(verdict(&round().with("a", 8, &again_and_again)), Verdict::Unheard, "one target alone never accuses");
}

#[test]
fn f017_all_targets_blocking_icmp_is_isolated_with_the_hint() {
    let judgement = round().controls((1..=3).map(|n| dead(target(n))).collect()).cut_off("a", 8).judged();
    assert_eq!((judgement.verdict, judgement.good_targets), (Verdict::Isolated, 0));
    assert!(judgement.because.contains("ICMP is blocked"), "{}", judgement.because);
}

#[test]
fn f018_with_a_single_good_target_nobody_is_cut_off_whatever_tries_says() {
    let round = round().controls(vec![good(target(1)), dead(target(2)), dead(target(3))]).with(
        "a",
        8,
        &Testimony::Probes(vec![miss(target(1)), miss(target(2)), miss(target(3))]),
    );
    for tries in 1..=3 {
        let judgement = judge(&round, &DecideSettings { tries, ..settings() }, Family::V4);
        assert_eq!((judgement.verdict, judgement.cut_off), (Verdict::Unheard, 0), "tries = {tries}");
        let detail = &judgement.backends[0].silence.as_ref().unwrap().detail;
        assert_eq!(detail, &format!("missed 1 of 1 good targets; it takes {} to accuse", tries.max(2)));
    }
}

#[test]
fn one_miss_is_enough_where_tries_says_so_and_two_targets_are_good() {
    let round = round().with("a", 3, &Testimony::Probes(vec![miss(target(1))]));
    assert_eq!(judge(&round, &DecideSettings { tries: 1, ..settings() }, Family::V4).verdict, Verdict::Down);
    assert_eq!(verdict(&round), Verdict::Unheard);
}

#[test]
fn f019_an_outage_of_the_whole_internet_is_not_the_primarys() {
    let round = round().controls((1..=3).map(|n| dead(target(n))).collect()).cut_off("a", 4).cut_off("b", 4);
    assert_eq!(verdict(&round), Verdict::Isolated);
}

#[test]
fn f020_a_name_that_does_not_resolve_is_not_a_good_target() {
    let unresolved = |name: &str| Control {
        name: name.to_owned(),
        target: None,
        fate: ControlFate::NotAsked("it does not resolve".to_owned()),
    };
    assert_eq!(verdict(&round().controls(vec![unresolved("x"), unresolved("y")]).cut_off("a", 8)), Verdict::Isolated);
    assert_eq!(families(&round().controls(vec![unresolved("x")])), [Family::V4]);
    let one_left = round().controls(vec![unresolved("x"), good(target(1))]).cut_off("a", 8);
    assert_eq!((verdict(&one_left), one_left.judged().good_targets), (Verdict::Unheard, 1));
}

#[test]
fn f023_a_reply_that_came_too_late_is_a_miss_of_that_target_and_no_silence() {
    let round = round().with("a", 1, &Testimony::Probes(vec![miss(target(1)), reply(target(2))]));
    assert_eq!(first(&round), (BackendVerdict::Reaches, None));
}

#[test]
fn f025_f097_nobody_heard_is_unheard_and_not_down() {
    assert_eq!(verdict(&round().silent("a", 8)), Verdict::Unheard);
    let nobody_was_ever_seen_reaching = round().cut_off("a", 8).witness(8, &[]);
    assert_eq!(verdict(&nobody_was_ever_seen_reaching), Verdict::Unheard);
    assert_eq!(first(&nobody_was_ever_seen_reaching), (BackendVerdict::Silent, Some(SilenceReason::Unproven)));
}

#[test]
fn who_is_no_witness_may_clear_the_primary_but_not_accuse_it() {
    assert_eq!(verdict(&round().reaching("a", 3).witness(3, &[])), Verdict::Healthy);
    assert_eq!(verdict(&round().reaching("a", 3).cut_off("a", 5).witness(5, &[])), Verdict::Healthy);
}

#[test]
fn f028_a_backend_that_is_gone_leaves_the_decision_to_the_others() {
    assert_eq!(verdict(&round().cut_off("a", 7).silent("a", 1)), Verdict::Down);
    assert_eq!(verdict(&round().reaching("a", 7).silent("a", 1)), Verdict::Healthy);
}

#[test]
fn f029_with_half_of_the_panel_silent_the_rest_decides() {
    assert_eq!(verdict(&round().cut_off("a", 4).silent("a", 4)), Verdict::Down);
    assert_eq!(verdict(&round().cut_off("a", 2).silent("a", 6)), Verdict::Unheard);
}

#[test]
fn f030_exactly_the_fraction_is_not_more_than_it() {
    assert_eq!(verdict(&round().cut_off("a", 4).reaching("a", 4)), Verdict::Degraded);
    assert_eq!(verdict(&round().cut_off("a", 5).reaching("a", 4)), Verdict::Down);
    // 0.29 * 100 is 28.999999999999996: 29 of 100 must not pass for more.
    for (fraction, cut_off) in [(0.29, 29), (0.57, 57), (0.1, 10), (0.7, 70)] {
        let settings = DecideSettings { fraction, ..settings() };
        let of_a_hundred = |cut_off| round().cut_off("a", cut_off).reaching("a", 100 - cut_off);
        assert_eq!(judge(&of_a_hundred(cut_off), &settings, Family::V4).verdict, Verdict::Degraded, "{fraction}");
        assert_eq!(judge(&of_a_hundred(cut_off + 1), &settings, Family::V4).verdict, Verdict::Down, "{fraction}");
    }
}

#[test]
fn a_fraction_of_nothing_still_asks_for_the_threshold() {
    let settings = DecideSettings { fraction: 0.0, ..settings() };
    assert_eq!(judge(&round().cut_off("a", 2).reaching("a", 6), &settings, Family::V4).verdict, Verdict::Degraded);
    assert_eq!(judge(&round().cut_off("a", 3).reaching("a", 5), &settings, Family::V4).verdict, Verdict::Down);
}

#[test]
fn f031_a_subnet_that_is_dead_alone_is_named_and_moves_nothing() {
    let judgement = round().cut_off("a", 8).reaching("b", 2).silent("b", 1).judged();
    assert_eq!(judgement.verdict, Verdict::Degraded);
    assert_eq!(judgement.cut_off_subnets, ["a"]);
    assert!(judgement.because.contains("all of those heard in a"), "{}", judgement.because);
}

#[test]
fn a_subnet_of_which_one_is_heard_clears_nothing() {
    assert_eq!(verdict(&round().cut_off("a", 6).reaching("b", 1).silent("b", 1)), Verdict::Down);
    assert_eq!(verdict(&round().cut_off("a", 6).reaching("b", 1).reaching("c", 1)), Verdict::Down);
    assert_eq!(verdict(&round().cut_off("a", 6).reaching("b", 2).cut_off("b", 1)), Verdict::Down);
}

#[test]
fn no_subnet_is_named_where_nobody_reaches_anywhere() {
    let nowhere: [String; 0] = [];
    assert_eq!(round().cut_off("a", 4).silent("b", 4).judged().cut_off_subnets, nowhere);
    assert_eq!(round().cut_off("a", 4).cut_off("b", 4).judged().cut_off_subnets, nowhere);
    assert_eq!(round().cut_off("a", 4).cut_off("b", 1).reaching("c", 1).judged().cut_off_subnets, ["a", "b"]);
}

#[test]
fn a_reply_of_a_target_that_did_not_answer_the_standby_is_a_reply() {
    let round = round().controls(vec![good(target(1)), good(target(2)), dead(target(3))]).with(
        "a",
        3,
        &Testimony::Probes(vec![miss(target(1)), miss(target(2)), reply(target(3))]),
    );
    assert_eq!(verdict(&round), Verdict::Healthy);
}

#[test]
fn two_names_of_one_address_are_one_target() {
    let mut twin = target(1);
    "one.example".clone_into(&mut twin.name);
    let round = round().controls(vec![good(target(1)), good(twin.clone())]).with(
        "a",
        3,
        &Testimony::Probes(vec![miss(target(1)), miss(twin)]),
    );
    assert_eq!((verdict(&round), round.judged().good_targets), (Verdict::Unheard, 1));
}

#[test]
fn f085_families_are_judged_apart_and_never_clear_each_other() {
    let v6 = |n| target_of(Family::V6, n);
    let both: Vec<Control> = (1..=2).flat_map(|n| [good(target(n)), good(v6(n))]).collect();
    let only_v6_dead = Testimony::Probes(vec![reply(target(1)), miss(v6(1)), miss(v6(2))]);
    let only_v4_dead = Testimony::Probes(vec![miss(target(1)), miss(target(2)), reply(v6(1))]);
    for (testimony, v4_verdict, v6_verdict) in
        [(only_v6_dead, Verdict::Healthy, Verdict::Down), (only_v4_dead, Verdict::Down, Verdict::Healthy)]
    {
        let round = round().controls(both.clone()).with("a", 4, &testimony).witness(4, &[Family::V4, Family::V6]);
        assert_eq!(families(&round), [Family::V4, Family::V6]);
        assert_eq!(judge(&round, &settings(), Family::V4).verdict, v4_verdict);
        assert_eq!(judge(&round, &settings(), Family::V6).verdict, v6_verdict);
    }
}

#[test]
fn f085_a_standby_without_ipv6_is_isolated_there_and_judges_ipv4_as_ever() {
    let v6 = |n| target_of(Family::V6, n);
    let controls = vec![good(target(1)), good(target(2)), dead(v6(1)), dead(v6(2))];
    let round = round()
        .controls(controls)
        .with("a", 4, &Testimony::Probes(vec![reply(target(1)), miss(v6(1)), miss(v6(2))]))
        .witness(4, &[Family::V4, Family::V6]);
    assert_eq!(judge(&round, &settings(), Family::V4).verdict, Verdict::Healthy);
    assert_eq!(judge(&round, &settings(), Family::V6).verdict, Verdict::Isolated);
}

#[test]
fn f085_a_witness_of_one_family_does_not_accuse_in_the_other() {
    let v6 = |n| target_of(Family::V6, n);
    let round = round()
        .controls(vec![good(v6(1)), good(v6(2))])
        .with("a", 4, &Testimony::Probes(vec![miss(v6(1)), miss(v6(2))]))
        .witness(4, &[Family::V4]);
    assert_eq!(judge(&round, &settings(), Family::V6).verdict, Verdict::Unheard);
}

#[test]
fn f004_evidence_of_a_round_that_took_longer_than_its_limit_is_stale() {
    let mut round = round().cut_off("a", 8);
    (round.started, round.limit) = (ms(1000), ms(14_000));
    for (ended, stale) in [(1000, false), (15_000, false), (15_001, true), (900_000, true)] {
        round.ended = ms(ended);
        assert_eq!(round.judged().stale, stale, "ended at {ended} ms");
    }
}

#[test]
fn f101_counted_misses_are_bounded_by_those_of_as_many_backends_as_it_takes_to_accuse() {
    let at =
        |n: u8, earliest, latest| crate::model::Probe { earliest: ms(earliest), latest: ms(latest), ..miss(target(n)) };
    let three = round()
        .with("a", 1, &Testimony::Probes(vec![at(1, 100, 150), at(2, 500, 600)]))
        .with("a", 1, &Testimony::Probes(vec![at(1, 90, 110), at(2, 700, 900)]))
        .with("a", 1, &Testimony::Probes(vec![at(1, 95, 160), at(2, 650, 700)]))
        // One who reaches, and one whose word does not count: their misses are none.
        .with("a", 1, &Testimony::Probes(vec![at(1, 1, 2), reply(target(2))]))
        .with("a", 1, &Testimony::Probes(vec![at(1, 1, 2), at(2, 9000, 9001)]))
        .witness(1, &[]);
    let judgement = three.judged();
    assert_eq!((judgement.first_miss, judgement.last_miss), (Some(ms(160)), Some(ms(500))));
    // Of a fourth one a packet was lost long before, or long after: that makes the outage no longer.
    for (lost, span) in
        [(vec![at(1, 10, 20), at(2, 400, 450)], (150, 500)), (vec![at(1, 200, 210), at(2, 5000, 5001)], (160, 650))]
    {
        let four = three.clone().with("a", 1, &Testimony::Probes(lost)).judged();
        assert_eq!((four.first_miss, four.last_miss), (Some(ms(span.0)), Some(ms(span.1))));
    }
    assert_eq!(round_without_misses().judged().first_miss, None);
}

fn round_without_misses() -> Round {
    round().reaching("a", 3)
}

#[test]
fn a_member_is_shown_with_what_it_reached_or_missed_last() {
    let judgement = round().reaching("a", 1).cut_off("a", 1).silent("b", 1).awaited("b", 1).judged();
    let shown: Vec<_> = judgement
        .backends
        .iter()
        .map(|one| (one.verdict, one.silence.as_ref().map(|why| why.reason), one.target.clone(), one.rtt))
        .collect();
    assert_eq!(
        shown,
        [
            (BackendVerdict::Reaches, None, Some(target(1)), Some(RTT)),
            (BackendVerdict::CutOff, None, Some(target(2)), None),
            (BackendVerdict::Silent, Some(SilenceReason::Hung), None, None),
            (BackendVerdict::Silent, Some(SilenceReason::NotAwaited), None, None),
        ]
    );
    assert_eq!(judgement.silent, 2);
}

#[test]
fn f100_whoever_was_answered_a_round_ago_is_not_cut_off() {
    let mut round = round().cut_off("a", 6);
    for member in &mut round.members[..3] {
        member.reached = vec![Family::V4];
    }
    let judgement = round.judged();
    assert_eq!((judgement.verdict, judgement.reaches, judgement.cut_off), (Verdict::Degraded, 3, 3));
    for member in &mut round.members[..3] {
        member.reached = vec![Family::V6];
    }
    assert_eq!(round.judged().verdict, Verdict::Down, "an answer over IPv6 says nothing of IPv4");
}
