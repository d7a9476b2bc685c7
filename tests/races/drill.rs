//! Drills amid faults of EC2, an outage, and runs of cron: whatever comes, no subnet is left where nobody looks after it.

use std::time::Duration;

use natwatch::model::{Outcome, Phase};
use natwatch::run::Stop;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::watchdog::Watchdog;
use super::world::Vpc;
use super::{ms, race};

/// Each of them is some fifteen seconds and four passes.
const DRILLS: u64 = 300;

const SUBNETS: [usize; 3] = [0, 1, 2];

/// A pair that is well, and knows its witnesses and what it guards.
async fn seasoned<'v>(vpc: &'v Vpc, folder: &std::path::Path, seed: u64) -> Watchdog<'v> {
    let one = Watchdog::new(vpc, ('b', 'a'), &SUBNETS, &[], folder, seed);
    one.passes(2, Duration::from_secs(1)).await;
    one
}

#[test]
fn a_drill_leaves_everything_as_it_was_or_says_that_it_did_not_and_a_failback_does_the_rest() {
    let (mut drilled, mut left) = (0, 0);
    for seed in 0..DRILLS {
        race(seed, async |mut rng, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed));
            let one = seasoned(&vpc, &folder, seed).await;
            let stop = Stop::default();
            // Some are told to end, at any moment.
            let impatient = rng.random_bool(0.3);
            let after = ms(&mut rng, 12_000);
            let signal = async {
                sleep(after).await;
                if impatient {
                    stop.ask();
                }
            };
            let (done, ()) = tokio::join!(one.drill(&stop), signal);
            let pass = &done.pass;
            let moved = vpc.moved.borrow().clone();
            // One subnet at most has moved, and only there and back.
            let only_one = moved.iter().all(|one| one.subnet == moved[0].subnet);
            assert!(only_one && moved.len() <= 3, "seed {seed}: {moved:?} {}", pass.because);
            let home = SUBNETS.iter().all(|subnet| vpc.on(*subnet) == 'a');
            match pass.outcome {
                Outcome::Drilled => {
                    assert!(
                        home && moved.len() == 2 && one.recorded().is_none(),
                        "seed {seed}: {moved:?} {}",
                        pass.because
                    );
                    let drill = pass.drill.as_ref().unwrap();
                    assert!(drill.there.gap.is_some() && drill.back.is_some(), "seed {seed}: {drill:?}");
                    drilled += 1;
                }
                _ => assert_eq!(pass.exit, 2, "seed {seed}: {} {}", pass.outcome, pass.because),
            }
            if !home {
                let record = one.recorded().unwrap_or_else(|| panic!("seed {seed}: nobody knows: {}", pass.because));
                assert_eq!(record.phase, Phase::FailingBack, "seed {seed}");
                left += 1;
            }
            // A describe may lag behind what was just written, and calls fail: whoever asks again gets it done.
            for _ in 0..6 {
                if one.recorded().is_none() {
                    break;
                }
                sleep(Duration::from_mins(1)).await;
                one.failback().await;
            }
            assert!(SUBNETS.iter().all(|subnet| vpc.on(*subnet) == 'a'), "seed {seed}: {:?}", vpc.moved.borrow());
            assert!(one.recorded().is_none(), "seed {seed}: {}", pass.because);
            let last = one.pass().await.pass;
            assert_eq!(last.outcome, Outcome::Healthy, "seed {seed}: {} {:?}", last.because, last.notes);
        });
    }
    assert!(drilled > 100, "{drilled} went well, {left} were left");
}

#[test]
fn f077_a_primary_that_dies_in_the_middle_of_a_drill_is_taken_over_whoever_looks() {
    let mut others = 0;
    for seed in 0..DRILLS {
        race(seed, async |mut rng, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = seasoned(&vpc, &folder, seed).await;
            let beside = Watchdog::new(&vpc, ('b', 'a'), &SUBNETS, &[], &folder, !seed);
            let dies = ms(&mut rng, 14_000);
            let dying = async {
                sleep(dies).await;
                vpc.dead.borrow_mut().push(('a', Instant::now()));
            };
            let late = ms(&mut rng, 3_000);
            let looking = async {
                sleep(late).await;
                beside.passes(6, Duration::from_secs(5)).await
            };
            let stop = Stop::default();
            let (done, (), passes) = tokio::join!(one.drill(&stop), dying, looking);
            let took = passes.iter().any(|done| done.pass.outcome == Outcome::TakenOver);
            others += usize::from(took);
            one.passes(3, Duration::from_mins(1)).await;
            let on: Vec<char> = SUBNETS.iter().map(|subnet| vpc.on(*subnet)).collect();
            assert_eq!(on, ['b'; 3], "seed {seed}: {:?} {}", vpc.moved.borrow(), done.pass.because);
            let record = one.recorded().unwrap_or_else(|| panic!("seed {seed}: no lock"));
            assert_eq!((record.phase, record.moves.len()), (Phase::Taken, 3), "seed {seed}: {record:?}");
        });
    }
    assert!(others > 100, "hardly ever was it taken over beside the drill: {others}");
}

#[test]
fn a_subnet_that_neither_the_standby_nor_the_primary_was_seen_to_carry_stays_on_the_primary() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = seasoned(&vpc, &folder, seed).await;
            let now = Instant::now();
            vpc.dead.borrow_mut().extend([('b', now), ('a', now + Duration::from_secs(12))]);
            let pass = one.drill(&Stop::default()).await.pass;
            assert_eq!((pass.outcome, pass.exit), (Outcome::Unverified, 2), "seed {seed}: {}", pass.because);
            assert!(pass.because.contains("stays on the primary"), "seed {seed}: {}", pass.because);
            assert!(pass.commands[0].contains("--route-table-id rtb-0b"), "seed {seed}: {:?}", pass.commands);
            let home = SUBNETS.iter().all(|subnet| vpc.on(*subnet) == 'a');
            assert!(home && vpc.moved.borrow().len() == 2, "seed {seed}: {:?}", vpc.moved.borrow());
            assert!(one.recorded().is_none(), "seed {seed}: {}", pass.because);
        });
    }
}

#[test]
fn f068_a_subnet_that_a_killed_drill_left_on_a_standby_that_does_not_carry_it_is_unverified_until_a_failback() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = seasoned(&vpc, &folder, seed).await;
            vpc.dead.borrow_mut().push(('b', Instant::now()));
            let stop = Stop::default();
            tokio::select! {
                _ = one.drill(&stop) => panic!("seed {seed}: nothing was left to kill"),
                () = sleep(Duration::from_secs(12)) => {}
            }
            let now = one.pass().await.pass;
            assert_eq!((now.outcome, now.exit), (Outcome::Locked, 5), "seed {seed}: {}", now.because);
            for _ in 0..3 {
                sleep(Duration::from_mins(1)).await;
                let later = one.pass().await.pass;
                assert_eq!((later.outcome, later.exit), (Outcome::Unverified, 2), "seed {seed}: {}", later.because);
                assert!(later.because.contains("natwatch failback"), "seed {seed}: {}", later.because);
            }
            let back = one.failback().await.pass;
            assert_eq!(back.outcome, Outcome::FailedBack, "seed {seed}: {}", back.because);
            let last = one.pass().await.pass;
            assert_eq!(last.outcome, Outcome::Healthy, "seed {seed}: {}", last.because);
        });
    }
}

#[test]
fn a_drill_on_a_standby_that_does_not_carry_is_no_evidence_against_the_primary_for_a_watch_beside_it() {
    let mut missed = 0;
    for seed in 0..60 {
        race(seed, async |mut rng, folder| {
            let vpc = Vpc::new(&['a'], SmallRng::seed_from_u64(!seed)).at_its_best().late(Duration::from_secs(5));
            let after = Duration::from_secs(20) + ms(&mut rng, 2_000);
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            let beside = Watchdog::new(&vpc, ('b', 'a'), &[0], &[], &folder, !seed);
            vpc.dead.borrow_mut().push(('b', Instant::now()));
            let (over, stop) = (Stop::default(), Stop::default());
            let drilling = async {
                sleep(after).await;
                let done = one.drill(&stop).await;
                over.ask();
                done
            };
            let (done, passes) = tokio::join!(drilling, beside.watch(over.wait()));
            let said: Vec<_> = passes.iter().map(|pass| (pass.outcome, pass.because.clone())).collect();
            assert!(done.pass.because.contains("back on the primary"), "seed {seed}: {} {said:?}", done.pass.because);
            assert_eq!((vpc.on(0), vpc.moved.borrow().len()), ('a', 2), "seed {seed}: {:?}", vpc.moved.borrow());
            assert!(one.recorded().is_none(), "seed {seed}");
            missed += usize::from(passes.iter().any(|pass| pass.outcome == Outcome::Down));
        });
    }
    assert!(missed > 5, "hardly ever did the watch see anything: {missed}");
}
