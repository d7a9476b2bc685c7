//! kill -9 at every instant of a takeover: whatever a process was doing, the passes that follow end where an uninterrupted one does.
//!
//! A process of its own makes a whole pass against an EC2 that lives in a file, on a paused clock, with a real state folder. It is
//! killed at each file operation (by `strace`, before the operation is carried out) and before and after the effect of each call of EC2,
//! the first, the second, and so on, until there is none left at which it could be killed: so no instant is forgotten. Passes as cron
//! would start them follow, each a process of its own.
//!
//! Needs `strace`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what a pass came to is told where a test fails")]

mod account;
#[path = "../support/associations.rs"]
mod associations;
mod errand;
mod sweep;

use std::collections::BTreeMap;

use errand::{Deed, Errand};
use sweep::{End, Point, Sweep};

/// The test below that the other processes run.
const ERRANDS: &str = "a_takeover_that_nobody_kills_ends_locked_and_is_told_once";

#[test]
fn a_takeover_that_nobody_kills_ends_locked_and_is_told_once() {
    if let Some(errand) = Errand::given() {
        errand.run();
    }
    assert_eq!(Sweep::new(ERRANDS).uninterrupted(), End { statuses: vec![4, 5], told: 1 });
    let partial = Sweep::new(ERRANDS).refusing(1);
    assert_eq!(partial.uninterrupted(), End { statuses: vec![2, 4, 5], told: 2 });
    assert_eq!(partial.after(2).uninterrupted(), End { statuses: vec![4, 5], told: 2 });
    let failback = Sweep::new(ERRANDS).after(4).failback(Deed::Failback);
    assert_eq!(failback.uninterrupted(), End { statuses: vec![0, 0], told: 1 });
    assert_eq!(Sweep::new(ERRANDS).drill(Deed::Failback).uninterrupted(), End { statuses: vec![0, 0], told: 1 });
}

/// Every crash was followed by an end like that of an uninterrupted pass; `steady` has checked all else, subnet by subnet.
fn told(ends: &[(Point, End)], expected: &[usize]) {
    let astray = ends.iter().filter(|(_, end)| !expected.contains(&end.told));
    let astray: Vec<String> = astray.map(|(point, end)| format!("{point:?}: {end:?}")).collect();
    assert!(astray.is_empty(), "not told {expected:?} times:\n{}", astray.join("\n"));
}

/// How many instants there were of each system call.
fn counted(ends: &[(Point, End)]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (point, _) in ends {
        if let Point::Operation(call, _) = point {
            *counts.entry(*call).or_default() += 1;
        }
    }
    counts
}

#[test]
fn f068_f069_a_takeover_killed_at_any_file_operation_ends_as_one_that_was_not() {
    let ends = Sweep::new(ERRANDS).operations();
    let counts = counted(&ends);
    // The record is written six times, the guarded subnets and the last round once; the account changes four times. Each file of
    // natwatch's is written, synced, renamed, and its folder synced; the history is appended to.
    let of = |calls: &[&str]| calls.iter().filter_map(|call| counts.get(call)).sum::<usize>();
    assert!(of(&["rename", "renameat", "renameat2"]) >= 12 && of(&["write"]) >= 14, "{counts:?}");
    assert!(of(&["fsync", "fdatasync"]) >= 17 && of(&["ftruncate"]) >= 2 && of(&["flock"]) >= 2, "{counts:?}");
    println!("{} instants: {counts:?}", ends.len());
    told(&ends, &[1]);
}

#[test]
fn f068_a_takeover_killed_before_or_after_any_call_of_ec2_ends_as_one_that_was_not() {
    let ends = Sweep::new(ERRANDS).calls();
    // The check is switched off and three subnets are moved, with an instant before and after each; and what is read.
    assert!(ends.len() >= 10, "{ends:?}");
    told(&ends, &[1]);
}

#[test]
fn f051_f068_a_takeover_with_a_move_that_is_refused_ends_as_any_other_wherever_it_is_killed() {
    let sweep = Sweep::new(ERRANDS).refusing(1);
    let ends = sweep.calls();
    assert!(ends.len() >= 9, "{ends:?}");
    // What was begun is told by the pass that brings it to its end; a pass that ended with a part of it has told of that too.
    told(&ends, &[1, 2]);
    // And so does the pass that finishes what was left.
    let ends = sweep.after(2).operations();
    assert!(ends.len() >= 60, "{}", ends.len());
    told(&ends, &[2]);
}

#[test]
fn f068_who_brings_a_killed_takeover_to_its_end_may_be_killed_as_well() {
    let sweep = Sweep::new(ERRANDS);
    // Everything is moved, and the record does not know of the last one.
    let last = u32::try_from(sweep.calls().len()).unwrap();
    let ends = sweep.killed(Point::Call(last)).operations();
    assert!(ends.len() >= 60, "{}", ends.len());
    told(&ends, &[1]);
}

#[test]
fn f068_a_failback_killed_at_any_file_operation_is_brought_to_its_end_by_the_next() {
    let ends = Sweep::new(ERRANDS).after(4).failback(Deed::Failback).operations();
    println!("{} instants: {:?}", ends.len(), counted(&ends));
    assert!(ends.len() >= 100, "{}", ends.len());
    told(&ends, &[1]);
}

#[test]
fn f068_a_failback_killed_before_or_after_any_call_of_ec2_is_brought_to_its_end_by_the_next() {
    let ends = Sweep::new(ERRANDS).after(4).failback(Deed::Failback).calls();
    assert!(ends.len() >= 8, "{ends:?}");
    told(&ends, &[1]);
}

#[test]
fn f068_a_run_between_a_killed_failback_and_the_next_takes_nothing_back_and_clears_nothing_too_early() {
    let ends = Sweep::new(ERRANDS).after(4).failback(Deed::Run).calls();
    assert!(ends.len() >= 8, "{ends:?}");
    told(&ends, &[1]);
}

#[test]
fn f068_a_drill_killed_before_or_after_any_call_of_ec2_is_brought_to_its_end_by_a_failback() {
    for next in [Deed::Failback, Deed::Run] {
        let ends = Sweep::new(ERRANDS).drill(next).calls();
        assert!(ends.len() >= 8, "{ends:?}");
        told(&ends, &[0, 1]);
    }
}

#[test]
fn f068_a_drill_killed_at_any_file_operation_is_brought_to_its_end_by_a_failback() {
    let ends = Sweep::new(ERRANDS).drill(Deed::Failback).operations();
    println!("{} instants: {:?}", ends.len(), counted(&ends));
    assert!(ends.len() >= 100, "{}", ends.len());
    told(&ends, &[0, 1]);
}
