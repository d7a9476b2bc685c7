//! Rule 5: what a run of rounds amounts to.

use super::support::*;
use crate::decide::{DecideSettings, Evidence, evidence};
use crate::model::{Judgement, Moment};

fn more(not_before: u64) -> Evidence {
    Evidence::More { not_before: ms(not_before) }
}

/// A quick round of `down`: begun at `at`, misses 10 ms later, over 600 ms later.
fn down(at: u64) -> Judgement {
    down_at(ms(at), ms(at + 10), ms(at + 310), ms(at + 610))
}

fn healthy() -> Judgement {
    round().reaching("a", 3).judged()
}

fn weigh(judgements: &[Judgement], now: Moment) -> Evidence {
    evidence(judgements, &settings(), now)
}

#[test]
fn nothing_or_any_other_verdict_than_down_is_clear() {
    assert_eq!(weigh(&[], ms(0)), Evidence::Clear);
    for other in [
        healthy(),
        round().reaching("a", 4).cut_off("a", 1).judged(),
        round().silent("a", 8).judged(),
        round().controls(vec![dead(target(1))]).judged(),
    ] {
        assert_eq!(weigh(&[down(0), down(3500), other], ms(4200)), Evidence::Clear);
    }
}

#[test]
fn one_round_of_down_asks_for_another_a_second_later() {
    assert_eq!(weigh(&[down(0)], ms(610)), more(1610));
}

#[test]
fn rounds_in_a_row_over_the_span_are_conclusive() {
    // The first miss was sent by 10 ms; the last one of the second round not before `at` + 310.
    assert_eq!(weigh(&[down(0), down(2700)], ms(3310)), Evidence::Conclusive);
    assert_eq!(weigh(&[down(0), down(2699)], ms(3309)), more(3309), "a millisecond short: one more, at once");
}

#[test]
fn the_span_alone_is_not_enough_and_neither_are_the_rounds() {
    let long = down_at(ms(0), ms(10), ms(9000), ms(9300));
    assert_eq!(weigh(&[long], ms(9300)), more(9300));
    assert_eq!(weigh(&[down(0), down(700), down(1400)], ms(2010)), more(3010));
}

#[test]
fn another_verdict_in_between_starts_the_row_and_the_span_over() {
    assert_eq!(weigh(&[down(0), healthy(), down(3500)], ms(4110)), more(5110));
}

#[test]
fn while_the_span_runs_it_looks_each_second_and_the_last_look_comes_as_the_span_ends() {
    // The span ends at 3010: what is left of it decides when.
    for (now, at) in [(610, 1610), (1000, 2000), (1509, 2509), (1510, 3010), (2500, 3010), (3010, 3010), (3400, 3400)] {
        let latest = down_at(ms(now - 600), ms(now - 590), ms(now - 300), ms(now));
        let expected = if now >= 3400 { Evidence::Conclusive } else { more(at) };
        assert_eq!(weigh(&[down(0), latest], ms(now)), expected, "at {now} ms");
    }
}

#[test]
fn watch_confirms_within_its_shorter_span() {
    let watch = DecideSettings { span: ms(700), ..settings() };
    assert_eq!(evidence(&[down(0)], &watch, ms(610)), more(710));
    assert_eq!(evidence(&[down(0), down(710)], &watch, ms(1320)), Evidence::Conclusive);
}

#[test]
fn f101_a_pause_shorter_than_the_span_is_never_conclusive() {
    // Down for less than the span, whatever number of rounds fits into it.
    let pause: Vec<Judgement> =
        (0..20).map(|n| down_at(ms(n * 130), ms(n * 130 + 10), ms(n * 130 + 20), ms(n * 130 + 30))).collect();
    for rounds in 1..=pause.len() {
        let now = pause[rounds - 1].ended;
        assert!(!matches!(weigh(&pause[..rounds], now), Evidence::Conclusive), "after {rounds} rounds");
    }
}

#[test]
fn f004_a_stale_round_breaks_the_row_and_fresh_ones_are_asked_for() {
    let frozen = || Judgement { stale: true, ended: ms(600_000), ..down(700) };
    assert_eq!(weigh(&[down(0), frozen()], ms(600_000)), more(600_000));
    assert_eq!(weigh(&[down(0), frozen(), down(600_000)], ms(600_610)), more(601_610));
    assert_eq!(weigh(&[down(0), frozen(), down(600_000), down(602_700)], ms(603_310)), Evidence::Conclusive);
}

#[test]
fn f004_a_stale_round_that_was_not_down_is_clear() {
    let stale = Judgement { stale: true, ..healthy() };
    assert_eq!(weigh(&[down(0), stale], ms(600_000)), Evidence::Clear);
}

#[test]
fn f004_rounds_from_before_a_freeze_between_rounds_are_forgotten() {
    assert_eq!(weigh(&[down(0), down(700), down(300_000)], ms(300_610)), more(301_610));
    assert_eq!(
        weigh(&[down(0), down(10_000)], ms(10_610)),
        Evidence::Conclusive,
        "a slow survey in between is no freeze"
    );
}

#[test]
fn f004_conclusive_evidence_of_a_minute_ago_is_looked_at_again() {
    let row = [down(0), down(2700)];
    assert_eq!(weigh(&row, ms(4310)), Evidence::Conclusive);
    assert_eq!(weigh(&row, ms(4311)), more(4311));
    assert_eq!(weigh(&row, ms(63_000)), more(63_000));
}

#[test]
fn f005_only_moments_count_so_that_a_wall_clock_that_jumps_changes_nothing() {
    // The same row, a day of uptime later: distances alone decide.
    let day = 86_400_000;
    assert_eq!(weigh(&[down(day), down(day + 2700)], ms(day + 3310)), Evidence::Conclusive);
    assert_eq!(weigh(&[down(day), down(day + 2600)], ms(day + 3210)), more(day + 3210));
}
