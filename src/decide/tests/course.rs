//! Rule 5: what a row of rounds amounts to, state by state and as a whole.

use super::support::*;
use crate::decide::{Course, DecideSettings, Next, Row};
use crate::model::{Judgement, Moment};

fn more(not_before: u64) -> Next {
    Next::Look { not_before: ms(not_before) }
}

fn weigh_by(judgements: &[Judgement], settings: &DecideSettings, now: Moment) -> Next {
    judgements.iter().fold(Course::default(), Course::step).next(settings, now)
}

/// A quick round of `down`: begun at `at`, misses 10 ms later, over 600 ms later.
fn down(at: u64) -> Judgement {
    down_at(ms(at), ms(at + 10), ms(at + 310), ms(at + 610))
}

fn healthy() -> Judgement {
    round().reaching("a", 3).judged()
}

fn weigh(judgements: &[Judgement], now: Moment) -> Next {
    weigh_by(judgements, &settings(), now)
}

#[test]
fn nothing_or_any_other_verdict_than_down_is_clear() {
    assert_eq!(weigh(&[], ms(0)), Next::Rest);
    for other in [
        healthy(),
        round().reaching("a", 4).cut_off("a", 1).judged(),
        round().silent("a", 8).judged(),
        round().controls(vec![dead(target(1))]).judged(),
    ] {
        assert_eq!(weigh(&[down(0), down(3500), other], ms(4200)), Next::Rest);
    }
}

#[test]
fn one_round_of_down_asks_for_another_a_second_later() {
    assert_eq!(weigh(&[down(0)], ms(610)), more(1610));
}

#[test]
fn rounds_in_a_row_over_the_span_are_conclusive() {
    // The first miss was sent by 10 ms; the last one of the second round not before `at` + 310.
    assert_eq!(weigh(&[down(0), down(2700)], ms(3310)), Next::Act);
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
        let expected = if now >= 3400 { Next::Act } else { more(at) };
        assert_eq!(weigh(&[down(0), latest], ms(now)), expected, "at {now} ms");
    }
}

#[test]
fn watch_confirms_within_its_shorter_span() {
    let watch = DecideSettings { span: ms(700), ..settings() };
    assert_eq!(weigh_by(&[down(0)], &watch, ms(610)), more(710));
    assert_eq!(weigh_by(&[down(0), down(710)], &watch, ms(1320)), Next::Act);
}

#[test]
fn f101_a_pause_shorter_than_the_span_is_never_conclusive() {
    // Down for less than the span, whatever number of rounds fits into it.
    let pause: Vec<Judgement> =
        (0..20).map(|n| down_at(ms(n * 130), ms(n * 130 + 10), ms(n * 130 + 20), ms(n * 130 + 30))).collect();
    for rounds in 1..=pause.len() {
        let now = pause[rounds - 1].ended;
        assert!(!matches!(weigh(&pause[..rounds], now), Next::Act), "after {rounds} rounds");
    }
}

#[test]
fn f004_a_stale_round_breaks_the_row_and_fresh_ones_are_asked_for() {
    let frozen = || Judgement { stale: true, ended: ms(600_000), ..down(700) };
    assert_eq!(weigh(&[down(0), frozen()], ms(600_000)), more(600_000));
    assert_eq!(weigh(&[down(0), frozen(), down(600_000)], ms(600_610)), more(601_610));
    assert_eq!(weigh(&[down(0), frozen(), down(600_000), down(602_700)], ms(603_310)), Next::Act);
}

#[test]
fn f004_a_stale_round_that_was_not_down_is_clear() {
    let stale = Judgement { stale: true, ..healthy() };
    assert_eq!(weigh(&[down(0), stale], ms(600_000)), Next::Rest);
}

#[test]
fn f004_rounds_from_before_a_freeze_between_rounds_are_forgotten() {
    assert_eq!(weigh(&[down(0), down(700), down(300_000)], ms(300_610)), more(301_610));
    // The last miss of the first was sent at 310, the first of the next 10 ms after its start.
    assert_eq!(weigh(&[down(0), down(5300)], ms(5910)), Next::Act, "five seconds in which nobody looked");
    assert_eq!(
        weigh(&[down(0), down(5301)], ms(5911)),
        more(6911),
        "a millisecond more: two hiccups could be as far apart"
    );
}

#[test]
fn f004_conclusive_evidence_of_a_minute_ago_is_looked_at_again() {
    let row = [down(0), down(2700)];
    assert_eq!(weigh(&row, ms(4310)), Next::Act);
    assert_eq!(weigh(&row, ms(4311)), more(4311));
    assert_eq!(weigh(&row, ms(63_000)), more(63_000));
}

#[test]
fn f004_conclusive_evidence_that_came_in_late_is_looked_at_again() {
    // Its pings left at 2710 to 3010; then the process was frozen, and their answers are read when it is thawed.
    let thawed = |at| down_at(ms(2700), ms(2710), ms(3010), ms(at));
    assert_eq!(weigh(&[down(0), thawed(8010)], ms(8010)), Next::Act);
    assert_eq!(weigh(&[down(0), thawed(8011)], ms(8011)), more(8011));
}

#[test]
fn f005_only_moments_count_so_that_a_wall_clock_that_jumps_changes_nothing() {
    // The same row, a day of uptime later: distances alone decide.
    let day = 86_400_000;
    assert_eq!(weigh(&[down(day), down(day + 2700)], ms(day + 3310)), Next::Act);
    assert_eq!(weigh(&[down(day), down(day + 2600)], ms(day + 3210)), more(day + 3210));
}

/// Every state, and every kind of round: each pair is a line.
#[test]
fn the_transition_table_is_exhaustive() {
    let others = || {
        [
            healthy(),
            round().reaching("a", 4).cut_off("a", 1).judged(),
            round().silent("a", 8).judged(),
            round().controls(vec![dead(target(1))]).judged(),
        ]
    };
    let stale = |one: Judgement| Judgement { stale: true, ..one };
    let row = |rounds, first, last, ended| {
        Course::Suspicion(Row { rounds, first_miss: Some(ms(first)), last_miss: Some(ms(last)), ended: ms(ended) })
    };
    // The state, and when its last round ended: the next one's misses are soon after, or long after.
    let suspicion = row(3, 10, 1310, 1610);
    for state in [Course::Calm, Course::Doubt, row(1, 10, 310, 610), suspicion] {
        for other in others() {
            assert_eq!(state.step(&other), Course::Calm, "{state:?}, {}", other.verdict);
            assert_eq!(state.step(&stale(other)), Course::Calm, "{state:?}, old");
        }
        for at in [2000, 60_000] {
            assert_eq!(state.step(&stale(down(at))), Course::Doubt, "{state:?}, old and down");
        }
    }
    for state in [Course::Calm, Course::Doubt] {
        for at in [2000, 60_000] {
            assert_eq!(state.step(&down(at)), row(1, at + 10, at + 310, at + 610), "{state:?}");
        }
    }
    assert_eq!(suspicion.step(&down(1610)), row(4, 10, 1920, 2220), "at once");
    assert_eq!(suspicion.step(&down(6300)), row(4, 10, 6610, 6910), "its first miss 5 s after the last one");
    assert_eq!(suspicion.step(&down(6301)), row(1, 6311, 6611, 6911), "a millisecond more");
    let unknown = Judgement { first_miss: None, ..down(1700) };
    assert!(matches!(suspicion.step(&unknown), Course::Suspicion(Row { rounds: 1, .. })), "nobody knows how far apart");
}

/// Every state, and what follows from it.
#[test]
fn the_table_of_what_follows_is_exhaustive() {
    let row = |rounds, first: Option<u64>, last: Option<u64>| {
        Course::Suspicion(Row { rounds, first_miss: first.map(ms), last_miss: last.map(ms), ended: ms(4000) })
    };
    for (state, now, expected) in [
        (Course::Calm, 4000, Next::Rest),
        (Course::Calm, 60_000, Next::Rest),
        (Course::Doubt, 4000, more(4000)),
        (Course::Doubt, 60_000, more(60_000)),
        // Too few rounds, too short a span, both.
        (row(1, Some(0), Some(3000)), 4000, more(4000)),
        (row(2, Some(2000), Some(3900)), 4000, more(5000)),
        (row(1, Some(3900), Some(3900)), 4000, more(5000)),
        // Enough of both: just now, a second ago, longer ago.
        (row(2, Some(0), Some(3000)), 4000, Next::Act),
        (row(2, Some(0), Some(3000)), 5000, Next::Act),
        (row(2, Some(0), Some(3000)), 5001, more(5001)),
        (row(200, Some(0), Some(3000)), 60_000, more(60_000)),
        // Misses whose moments are not known span nothing.
        (row(9, None, None), 4000, more(4000)),
        (row(9, Some(0), None), 4000, more(4000)),
        (row(9, None, Some(3900)), 4000, more(4000)),
    ] {
        assert_eq!(state.next(&settings(), ms(now)), expected, "{state:?} at {now} ms");
    }
    let instant = DecideSettings { span: ms(0), rounds: 1, ..settings() };
    assert_eq!(row(1, None, None).next(&instant, ms(4000)), more(4000), "no span is no excuse for no miss");
}

#[test]
fn f085_of_several_families_one_that_has_enough_is_enough_and_the_earliest_look_comes_first() {
    for (families, expected) in [
        (vec![], Next::Rest),
        (vec![Next::Rest, Next::Rest], Next::Rest),
        (vec![Next::Rest, more(7)], more(7)),
        (vec![more(7), Next::Rest], more(7)),
        (vec![more(9), more(7)], more(7)),
        (vec![more(7), more(9)], more(7)),
        (vec![Next::Act, Next::Rest], Next::Act),
        (vec![Next::Rest, Next::Act], Next::Act),
        (vec![more(7), Next::Act], Next::Act),
        (vec![Next::Act, more(7)], Next::Act),
    ] {
        assert_eq!(Next::of_all(families.clone()), expected, "{families:?}");
    }
}
