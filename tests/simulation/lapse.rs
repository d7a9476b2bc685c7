//! Evidence that lapses before EC2 has done what it called for: whoever is well again by then is left alone, whoever is not is taken over by
//! evidence of his own.

use std::time::Duration;

use super::drive::{Played, defaults};
use super::script::{Cadence, RUN_SPAN, Script, Times, secs};
use super::watch::played;

/// When the primary dies. A `run` each two minutes has its witnesses by then.
const DIES: Duration = Duration::from_mins(5);

/// Evidence calls for moves for so long.
const GOOD_FOR: Duration = Duration::from_secs(10);

fn scripts() -> [Script; 2] {
    let watch = Script { dead: Times(vec![(DIES, secs(700.0))]), ..Script::plain(secs(700.0)) };
    [Script { cadence: Cadence::Cron, span: RUN_SPAN, ..watch.clone() }, watch]
}

/// When the first move is asked for where nothing is in its way.
fn first_asked(script: &Script, seed: u64) -> Duration {
    played(script, &defaults(), seed).asked[0]
}

/// Who was told that subnets are to be moved, or that he is cut off for good.
fn alarmed(played: &Played) -> bool {
    [2, 4].iter().any(|exit| played.tally.exits.contains_key(exit))
}

#[test]
fn f046_f061_a_primary_that_is_well_again_is_not_taken_over_when_ec2_has_throttled_for_half_a_minute() {
    for (mut script, seed) in scripts().into_iter().flat_map(|script| (0..10).map(move |seed| (script.clone(), seed))) {
        let first = first_asked(&script, seed);
        let well = first + secs(0.05);
        script.dead = Times(vec![(DIES, well)]);
        script.ec2.throttles = Times(vec![(Duration::ZERO, well + secs(30.0))]);
        let played = played(&script, &defaults(), seed);
        let (cadence, last) = (script.cadence, played.asked.last().expect("it was tried"));
        assert!(*last < first + GOOD_FOR, "{cadence:?}, seed {seed}: {last:?}, well since {well:?}");
        if cadence == Cadence::Cron {
            assert!(!alarmed(&played), "seed {seed}: {:?}", played.tally.exits);
        }
    }
}

#[test]
fn f046_a_run_that_ec2_throttles_for_half_a_minute_takes_over_by_fresh_evidence_before_its_deadline() {
    for seed in 0..10 {
        let [mut script, _] = scripts();
        let first = first_asked(&script, seed);
        script.ec2.throttles = Times(vec![(Duration::ZERO, first + secs(30.0))]);
        let played = played(&script, &defaults(), seed);
        let exits = &played.tally.exits;
        assert_eq!((exits.get(&4), exits.get(&2)), (Some(&1), None), "seed {seed}: {exits:?}");
        let last = played.asked.last().expect("it is taken over");
        assert!(*last < first + secs(42.0), "seed {seed}: {last:?} after {first:?}");
    }
}

#[test]
fn f004_what_was_decided_before_the_machine_was_suspended_is_not_carried_out_after_it() {
    for (mut script, seed) in scripts().into_iter().flat_map(|script| (0..10).map(move |seed| (script.clone(), seed))) {
        let first = first_asked(&script, seed);
        let cadence = script.cadence;
        script.suspended = Duration::from_mins(3);
        let asked = played(&script, &defaults(), seed).asked;
        // By rounds that are made anew, the span included.
        assert!(asked[0] >= first + script.span, "{cadence:?}, seed {seed}: {asked:?}, decided at {first:?}");
        script.dead = Times(vec![(DIES, first)]);
        let asked = played(&script, &defaults(), seed).asked;
        assert!(asked.is_empty(), "{cadence:?}, seed {seed}: {asked:?}");
    }
}
