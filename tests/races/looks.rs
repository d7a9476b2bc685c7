//! How long it is looked whether moves helped, where EC2 keeps one of them waiting: for as long as ever. Who was not asked for as long as that is
//! not said to be cut off, and is looked at by whoever comes next.

use std::time::Duration;

use natwatch::model::{Outcome, Phase, Record, Verification};
use natwatch::run::Stop;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, advance, sleep};

use super::drill::{SUBNETS, seasoned};
use super::race;
use super::watchdog::Watchdog;
use super::world::{Vpc, number};

/// `decision.deadline`, and what wraps a pass up.
const DEADLINE: Duration = Duration::from_secs(61);

fn vpc(subnets: usize, seed: u64) -> Vpc {
    Vpc::new(&vec!['a'; subnets], SmallRng::seed_from_u64(!seed)).at_its_best()
}

fn on(vpc: &Vpc) -> Vec<char> {
    SUBNETS.iter().map(|subnet| vpc.on(*subnet)).collect()
}

/// What the record says of a subnet.
fn seen(record: &Record, subnet: usize) -> &Verification {
    let one = record.moves.iter().find(|one| one.plan.subnets().iter().any(|one| number(one) == subnet));
    &one.unwrap().verification
}

/// A pair whose standby has taken everything over, and whose primary is well again.
async fn taken<'v>(vpc: &'v Vpc, folder: &std::path::Path, seed: u64) -> Watchdog<'v> {
    let one = seasoned(vpc, folder, seed).await;
    vpc.dead.borrow_mut().push(('a', Instant::now()));
    assert_eq!(one.pass().await.pass.outcome, Outcome::TakenOver, "seed {seed}");
    vpc.dead.borrow_mut().clear();
    sleep(Duration::from_mins(1)).await;
    one
}

async fn moves(vpc: &Vpc, count: usize) {
    while vpc.moved.borrow().len() < count {
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn f046_f082_a_subnet_that_ec2_does_not_bring_back_sends_no_other_to_the_standby_again() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(3, seed);
            let one = taken(&vpc, &folder, seed).await;
            vpc.throttled.set(Some(2));
            let back = one.failback().await.pass;
            assert_eq!((on(&vpc), vpc.moved.borrow().len()), (vec!['a', 'a', 'b'], 5), "seed {seed}: {}", back.because);
            assert_eq!((back.outcome, back.exit), (Outcome::Partial, 2), "seed {seed}: {}", back.because);
            let verified = back.moves.iter().filter(|one| one.verification == Verification::Verified).count();
            assert_eq!(verified, 2, "seed {seed}: {:?}", back.moves);
            let record = one.recorded().unwrap();
            assert_eq!((record.phase, record.moves.len()), (Phase::FailingBack, 1), "seed {seed}: {record:?}");
            // It is gone on with once EC2 moves it.
            vpc.throttled.set(None);
            sleep(Duration::from_mins(1)).await;
            let last = one.failback().await.pass;
            assert_eq!((last.outcome, on(&vpc)), (Outcome::FailedBack, vec!['a'; 3]), "seed {seed}: {}", last.because);
        });
    }
}

#[test]
fn f004_f082_who_was_brought_back_and_not_asked_as_the_process_was_frozen_stays_for_the_next_failback_to_see() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(3, seed);
            let one = taken(&vpc, &folder, seed).await;
            let frozen = async {
                moves(&vpc, 6).await;
                sleep(Duration::from_secs(2)).await;
                advance(Duration::from_mins(2)).await;
            };
            let (done, ()) = tokio::join!(one.failback(), frozen);
            let back = done.pass;
            assert_eq!((on(&vpc), vpc.moved.borrow().len()), (vec!['a'; 3], 6), "seed {seed}: {}", back.because);
            assert_eq!((back.outcome, back.exit), (Outcome::Unverified, 2), "seed {seed}: {}", back.because);
            let record = one.recorded().unwrap_or_else(|| panic!("seed {seed}: nobody knows: {}", back.because));
            assert_eq!((record.phase, seen(&record, 2)), (Phase::FailingBack, &Verification::Pending), "{record:?}");
            let next = one.failback().await.pass;
            assert_eq!((next.outcome, one.recorded()), (Outcome::FailedBack, None), "seed {seed}: {}", next.because);
            assert_eq!(vpc.moved.borrow().len(), 6, "seed {seed}: {}", next.because);
        });
    }
}

#[test]
fn f046_a_drill_whose_move_ec2_kept_waiting_is_looked_at_for_as_long_as_ever() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(3, seed);
            let one = seasoned(&vpc, &folder, seed).await;
            vpc.throttled.set(Some(0));
            let patient = async {
                while one.recorded().is_none() {
                    sleep(Duration::from_millis(1)).await;
                }
                sleep(Duration::from_secs(56)).await;
                vpc.throttled.set(None);
            };
            let stop = Stop::default();
            let (done, ()) = tokio::join!(one.drill(&stop), patient);
            assert_eq!(done.pass.outcome, Outcome::Drilled, "seed {seed}: {}", done.pass.because);
        });
    }
}

#[test]
fn f046_a_planned_takeover_of_which_ec2_keeps_one_subnet_waiting_verifies_the_others() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(3, seed);
            let one = seasoned(&vpc, &folder, seed).await;
            vpc.throttled.set(Some(2));
            let pass = one.takeover().await.pass;
            assert_eq!(
                (pass.outcome, on(&vpc)),
                (Outcome::Partial, vec!['b', 'b', 'a']),
                "seed {seed}: {}",
                pass.because
            );
            let record = one.recorded().unwrap();
            assert_eq!([seen(&record, 0), seen(&record, 1)], [&Verification::Verified; 2], "seed {seed}: {record:?}");
        });
    }
}

#[test]
fn f046_f083_an_address_that_ec2_keeps_waiting_leaves_the_moves_the_time_to_be_verified() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(3, seed);
            let one = Watchdog::new(&vpc, ('b', 'a'), &SUBNETS, &[], &folder, seed).bringing("eipalloc-1");
            one.passes(2, Duration::from_secs(1)).await;
            let now = Instant::now();
            vpc.dead.borrow_mut().extend([('a', now), ('b', now)]);
            // The standby carries something for a while: who looks for as long as that takes sees it.
            let carrying = async {
                sleep(Duration::from_secs(50)).await;
                vpc.dead.borrow_mut().retain(|(nat, _)| *nat != 'b');
                sleep(Duration::from_secs(5)).await;
                vpc.dead.borrow_mut().push(('b', Instant::now()));
            };
            let (done, ()) = tokio::join!(one.pass(), carrying);
            let pass = done.pass;
            assert_eq!((pass.outcome, on(&vpc)), (Outcome::Partial, vec!['b'; 3]), "seed {seed}: {}", pass.because);
            assert!(now.elapsed() <= DEADLINE, "seed {seed}: {:?}", now.elapsed());
            let record = one.recorded().unwrap();
            let all = SUBNETS.map(|subnet| seen(&record, subnet));
            assert_eq!(all, [&Verification::Verified; 3], "seed {seed}: {record:?}");
            assert!(record.last.address.is_some_and(|step| !step.came_along()), "seed {seed}");
        });
    }
}

#[test]
fn f046_f083_who_was_moved_too_late_to_be_looked_at_to_the_end_is_seen_by_the_next_run() {
    let mut late = 0;
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(1, seed);
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            let now = Instant::now();
            vpc.dead.borrow_mut().extend([('a', now), ('b', now)]);
            vpc.throttled.set(Some(0));
            let patient = async {
                sleep(Duration::from_secs(47)).await;
                vpc.throttled.set(None);
            };
            let (done, ()) = tokio::join!(one.pass(), patient);
            let pass = done.pass;
            assert!(now.elapsed() <= DEADLINE, "seed {seed}: {:?}", now.elapsed());
            assert_eq!((pass.outcome, vpc.on(0)), (Outcome::Unverified, 'b'), "seed {seed}: {}", pass.because);
            assert!(pass.because.contains("1 were not seen to reach"), "seed {seed}: {}", pass.because);
            late += usize::from(*seen(&one.recorded().unwrap(), 0) == Verification::Pending);
            vpc.dead.borrow_mut().clear();
            sleep(Duration::from_mins(1)).await;
            let next = one.pass().await.pass;
            assert_eq!((next.outcome, next.exit), (Outcome::Locked, 5), "seed {seed}: {}", next.because);
            assert_eq!(seen(&one.recorded().unwrap(), 0), &Verification::Verified, "seed {seed}");
        });
    }
    assert_eq!(late, 10, "it was moved too early");
}

#[test]
fn f046_f067_what_a_run_has_moved_is_told_though_somebody_else_has_the_lock_when_it_would_go_on() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = vpc(2, seed);
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0, 1], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            vpc.throttled.set(Some(1));
            let other = async {
                moves(&vpc, 1).await;
                let lock = one.next_lock().await;
                sleep(Duration::from_mins(2)).await;
                drop(lock);
            };
            let (done, ()) = tokio::join!(one.pass(), other);
            let pass = done.pass;
            assert_eq!((pass.outcome, pass.exit), (Outcome::Partial, 2), "seed {seed}: {}", pass.because);
            let moved: Vec<_> = pass.moves.iter().filter(|one| one.result.moved()).collect();
            assert_eq!((moved.len(), vpc.on(0)), (1, 'b'), "seed {seed}: {:?}", pass.moves);
        });
    }
}
