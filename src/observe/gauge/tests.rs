//! What a row of pings says of the time without an answer.

use super::*;

/// Pings of one backend, in milliseconds from the beginning: when, and whether it was answered.
fn gauge(rows: &[&[(u64, bool)]]) -> (Gauge, Instant) {
    let (gauge, start) = (Gauge::default(), Instant::now());
    for (n, row) in rows.iter().enumerate() {
        for (at, answered) in *row {
            gauge.note(n, start + Duration::from_millis(*at), *answered);
        }
    }
    (gauge, start)
}

fn between(rows: &[&[(u64, bool)]], from: u64, to: u64, now: u64) -> Option<Gap> {
    let (gauge, start) = gauge(rows);
    let at = |ms| start + Duration::from_millis(ms);
    gauge.between(at(from), at(to), at(now))
}

#[test]
fn without_a_loss_it_is_the_pause_between_two_pings() {
    let found = between(&[&[(0, true), (200, true), (400, true)]], 0, 1000, 500).unwrap();
    let longest = Duration::from_millis(200);
    assert_eq!(found, Gap { backends: 1, pings: 3, lost: 0, longest, open: false });
}

#[test]
fn a_gap_lasts_from_the_answer_before_to_the_answer_after_and_the_worst_backend_counts() {
    let one = [(0, true), (200, false), (500, false), (800, true), (1000, true)];
    let other = [(100, true), (300, false), (600, true)];
    let found = between(&[&one, &other], 0, 2000, 1200).unwrap();
    assert_eq!((found.backends, found.pings, found.lost), (2, 8, 3));
    assert_eq!((found.longest, found.open), (Duration::from_millis(800), false));
}

#[test]
fn a_gap_that_nothing_has_ended_is_open_and_lasts_until_now() {
    let found = between(&[&[(0, true), (200, false), (500, false)]], 0, 2000, 1700).unwrap();
    assert_eq!((found.lost, found.longest, found.open), (2, Duration::from_millis(1700), true));
    // Whoever was never answered was without an answer from the first ping on.
    let found = between(&[&[(100, false), (400, false)]], 0, 2000, 600).unwrap();
    assert_eq!((found.longest, found.open), (Duration::from_millis(500), true));
}

#[test]
fn a_gap_belongs_to_the_move_in_whose_time_its_first_miss_was_sent_however_long_it_lasts() {
    let pings = [(0, true), (190, true), (400, false), (700, false), (1100, true), (1300, true)];
    let (there, back) = (between(&[&pings], 200, 1000, 1400).unwrap(), between(&[&pings], 1000, 1400, 1400).unwrap());
    assert_eq!((there.pings, there.lost, there.longest), (2, 2, Duration::from_millis(910)));
    assert_eq!((back.pings, back.lost, back.longest), (2, 0, Duration::from_millis(200)));
}

#[test]
fn without_pings_nothing_is_said() {
    assert_eq!(between(&[], 0, 1000, 1000), None);
    assert_eq!(between(&[&[(1500, true)]], 0, 1000, 2000), None);
}
