//! When a list is taken for one of hosts that are gone.

use super::*;
use crate::model::Family;

fn judged(verdict: Verdict, reaches: usize, cut_off: usize, silent: usize) -> Judgement {
    Judgement {
        family: Family::V4,
        verdict,
        because: String::new(),
        good_targets: 3,
        reaches,
        cut_off,
        silent,
        backends: Vec::new(),
        cut_off_subnets: Vec::new(),
        first_miss: None,
        last_miss: None,
        started: Duration::ZERO,
        ended: Duration::ZERO,
        stale: false,
    }
}

#[test]
fn a_list_is_doubted_where_most_of_those_asked_are_silent_or_too_few_were_heard() {
    for (verdict, (reaches, cut_off, silent), doubted) in [
        (Verdict::Healthy, (8, 0, 0), false),
        (Verdict::Healthy, (8, 0, 8), false),
        (Verdict::Healthy, (8, 0, 9), true),
        // Who is cut off is there.
        (Verdict::Down, (0, 6, 2), false),
        (Verdict::Degraded, (2, 2, 5), true),
        (Verdict::Unheard, (2, 0, 1), true),
        (Verdict::Unheard, (0, 0, 0), true),
    ] {
        let one = judged(verdict, reaches, cut_off, silent);
        assert_eq!(gone(&[one]), doubted, "{verdict:?} {reaches} {cut_off} {silent}");
    }
    assert!(!gone(&[]), "no round was made");
}
