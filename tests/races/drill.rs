//! Drills amid faults of EC2, an outage, and runs of cron: whatever comes, no subnet is left where nobody looks after it.

use std::time::Duration;

use jiff::SignedDuration;
use natwatch::model::{MoveResult, Outcome, Phase, Purpose};
use natwatch::record::history::Deed;
use natwatch::run::Stop;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::watchdog::Watchdog;
use super::world::{OPERATORS, Vpc};
use super::{ms, race};

/// Each of them is some fifteen seconds and four passes.
const DRILLS: u64 = 300;

/// With a watch beside them, which makes hundreds of pings in that time.
const WATCHED: u64 = 100;

pub(crate) const SUBNETS: [usize; 3] = [0, 1, 2];

/// A pair that is well, and knows its witnesses and what it guards.
pub(crate) async fn seasoned<'v>(vpc: &'v Vpc, folder: &std::path::Path, seed: u64) -> Watchdog<'v> {
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
            let said: Vec<_> = passes.iter().map(|(_, pass)| (pass.outcome, pass.because.clone())).collect();
            assert!(done.pass.because.contains("back on the primary"), "seed {seed}: {} {said:?}", done.pass.because);
            assert_eq!((vpc.on(0), vpc.moved.borrow().len()), ('a', 2), "seed {seed}: {:?}", vpc.moved.borrow());
            assert!(one.recorded().is_none(), "seed {seed}");
            missed += usize::from(passes.iter().any(|(_, pass)| pass.outcome == Outcome::Down));
        });
    }
    assert!(missed > 5, "hardly ever did the watch see anything: {missed}");
}

/// Ends `work` as soon as EC2 has moved anything, before anybody hears of it.
pub(crate) async fn killed_amid_a_move(vpc: &Vpc, work: impl Future<Output = natwatch::run::pass::Done>) {
    let moved = async {
        while vpc.moved.borrow().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = moved => {}
        done = work => panic!("it came to its end: {}", done.pass.because),
    }
}

/// What a killed process had moved, and a failback that comes at once, with a wall clock that is set by so much in between.
fn failed_back_at_once(set: SignedDuration) {
    for (seed, drills) in (0..40).map(|seed| (seed, seed % 2 == 0)) {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed)).at_its_best().late(Duration::from_secs(20));
            let one = seasoned(&vpc, &folder, seed).await;
            if drills {
                killed_amid_a_move(&vpc, one.drill(&Stop::default())).await;
            } else {
                vpc.dead.borrow_mut().push(('a', Instant::now()));
                killed_amid_a_move(&vpc, one.pass()).await;
                vpc.dead.borrow_mut().clear();
            }
            let moved = vpc.moved.borrow()[0].subnet;
            let open = |of: &natwatch::model::Record| of.moves.iter().any(|one| one.result == MoveResult::Pending);
            assert!(one.recorded().is_some_and(|record| open(&record)), "seed {seed}: the second write came first");
            one.set_clock(set);
            let back = one.failback().await.pass;
            assert_eq!(vpc.on(moved), 'b', "seed {seed}");
            let known = one.recorded().is_some();
            assert!(known, "seed {seed}: nobody knows of subnet {moved}: {} {}", back.outcome, back.because);
            // Where the describe happens to be of now, it is brought back.
            sleep(Duration::from_mins(1)).await;
            one.failback().await;
            let on: Vec<char> = SUBNETS.iter().map(|subnet| vpc.on(*subnet)).collect();
            assert_eq!((on, one.recorded()), (vec!['a'; 3], None), "seed {seed}: {} {}", back.outcome, back.because);
        });
    }
}

#[test]
fn f060_f068_what_a_killed_process_had_moved_is_not_taken_for_home_by_a_failback_that_comes_at_once() {
    failed_back_at_once(SignedDuration::ZERO);
}

#[test]
fn f005_f060_f068_nor_where_the_wall_clock_is_set_by_a_minute_in_between_and_it_is_in_doubt_no_longer_for_that() {
    // By the wall clock the record is a minute old at once; or, a minute later, of that very moment.
    for set in [SignedDuration::from_mins(1), SignedDuration::from_mins(-1)] {
        failed_back_at_once(set);
    }
}

#[test]
fn f060_f068_a_takeover_that_moves_nothing_does_not_forget_what_a_killed_one_may_have_moved() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = seasoned(&vpc, &folder, seed).await;
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            killed_amid_a_move(&vpc, one.pass()).await;
            let moved = vpc.moved.borrow()[0].subnet;
            vpc.hidden.set(Some(moved));
            vpc.refuses.set(true);
            let pass = one.pass().await.pass;
            assert_eq!(pass.outcome, Outcome::Failed, "seed {seed}: {}", pass.because);
            let record = one.recorded().unwrap_or_else(|| panic!("seed {seed}: nobody knows of subnet {moved}"));
            let open = record.moves.iter().find(|one| one.result == MoveResult::Pending);
            assert!(open.is_some_and(|open| open.plan.to() == "rtb-0b"), "seed {seed}: {record:?}");
            vpc.hidden.set(None);
            vpc.refuses.set(false);
            one.passes(3, Duration::from_mins(1)).await;
            assert!(SUBNETS.iter().all(|subnet| vpc.on(*subnet) == 'b'), "seed {seed}");
            let record = one.recorded().unwrap_or_else(|| panic!("seed {seed}: no lock"));
            assert_eq!((record.phase, record.moves.len()), (Phase::Taken, 3), "seed {seed}: {record:?}");
        });
    }
}

/// From the primary's death to the last move, at most: twice the evidence of a watch is in vain, while whoever drills has the lock for a move and
/// what reads EC2 before it, and once one is on its way that is no news any more.
const AT_ONCE: Duration = Duration::from_secs(10);

/// And as a rule: the evidence of a watch, and its moves.
const AS_EVER: Duration = Duration::from_secs(4);

#[test]
fn f077_a_primary_that_dies_in_the_middle_of_a_drill_is_taken_over_at_once_by_a_watch_beside_it() {
    let mut as_ever = 0;
    for seed in 0..WATCHED {
        race(seed, async |mut rng, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = seasoned(&vpc, &folder, seed).await;
            let beside = Watchdog::new(&vpc, ('b', 'a'), &SUBNETS, &[], &folder, !seed);
            let (over, stop) = (Stop::default(), Stop::default());
            let dies = ms(&mut rng, 14_000);
            let drilling = async {
                // A watch knows its witnesses by then.
                sleep(Duration::from_secs(20)).await;
                one.drill(&stop).await
            };
            let dying = async {
                sleep(Duration::from_secs(20) + dies).await;
                vpc.dead.borrow_mut().push(('a', Instant::now()));
                let since = Instant::now();
                while SUBNETS.iter().any(|subnet| vpc.on(*subnet) != 'b') && since.elapsed() < Duration::from_mins(5) {
                    sleep(Duration::from_millis(10)).await;
                }
                since.elapsed()
            };
            let both = async {
                let both = tokio::join!(drilling, dying);
                over.ask();
                both
            };
            let ((done, took), _) = tokio::join!(both, beside.watch(over.wait()));
            let said = &done.pass.because;
            assert!(took <= AT_ONCE, "seed {seed}: {took:?} after it died, {dies:?} into the drill: {said}");
            as_ever += u64::from(took <= AS_EVER);
            one.passes(3, Duration::from_mins(1)).await;
            assert!(SUBNETS.iter().all(|subnet| vpc.on(*subnet) == 'b'), "seed {seed}: {:?}", vpc.moved.borrow());
            let record = one.recorded().unwrap_or_else(|| panic!("seed {seed}: no lock"));
            assert_eq!((record.phase, record.purpose), (Phase::Taken, Purpose::Takeover), "seed {seed}: {record:?}");
        });
    }
    assert!(as_ever * 10 >= WATCHED * 9, "{as_ever} of {WATCHED} as fast as without a drill");
}

#[test]
fn f052_what_an_operator_has_moved_to_the_standby_before_a_drill_could_stays_there() {
    for seed in 0..40 {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            // Between the plan and its move: by then the intent is on record.
            let operator = async {
                while one.recorded().is_none() {
                    sleep(Duration::from_millis(1)).await;
                }
                vpc.put(0, 'b', OPERATORS);
            };
            let stop = Stop::default();
            let (done, ()) = tokio::join!(one.drill(&stop), operator);
            let (pass, moved) = (&done.pass, vpc.moved.borrow());
            assert!(moved.len() == 1 && moved[0].by == OPERATORS, "seed {seed}: {moved:?} {}", pass.because);
            assert_eq!((pass.outcome, pass.exit), (Outcome::Failed, 2), "seed {seed}: {}", pass.because);
            assert!(
                pass.because.contains("somebody else moved subnet-0 to the standby"),
                "seed {seed}: {}",
                pass.because
            );
            assert!(one.recorded().is_none(), "seed {seed}");
        });
    }
}

#[test]
fn a_drill_of_the_only_subnet_that_ends_on_the_standby_is_told_as_a_drill_and_as_no_takeover() {
    for seed in 0..10 {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            let dies = async {
                while vpc.moved.borrow().len() < 2 {
                    sleep(Duration::from_millis(1)).await;
                }
                vpc.dead.borrow_mut().push(('a', Instant::now()));
            };
            let stop = Stop::default();
            let (done, ()) = tokio::join!(one.drill(&stop), dies);
            assert_eq!(vpc.on(0), 'b', "seed {seed}: {}", done.pass.because);
            for pass in one.passes(3, Duration::from_mins(1)).await {
                assert_eq!(
                    (pass.pass.outcome, pass.pass.exit),
                    (Outcome::Locked, 5),
                    "seed {seed}: {}",
                    pass.pass.because
                );
            }
            let deeds: Vec<Deed> = one.history().into_iter().map(|(deed, _)| deed).collect();
            assert_eq!(deeds, [Deed::Drill], "seed {seed}");
            vpc.dead.borrow_mut().clear();
            let back = one.failback().await.pass;
            assert_eq!((back.outcome, vpc.on(0)), (Outcome::FailedBack, 'a'), "seed {seed}: {}", back.because);
        });
    }
}

#[test]
fn f060_a_taken_subnet_that_ec2_shows_nowhere_once_or_that_is_in_no_file_is_carried_still_and_comes_back() {
    for (seed, lost) in (0..20).flat_map(|seed| [(seed, false), (seed, true)]) {
        race(seed, async |_, folder| {
            let vpc = Vpc::new(&['a'], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            let taken = one.pass().await.pass;
            assert_eq!((taken.outcome, vpc.on(0)), (Outcome::TakenOver, 'b'), "seed {seed}: {}", taken.because);
            if lost {
                one.forget_guarded();
            } else {
                vpc.hidden.set(Some(0));
            }
            for pass in one.passes(3, Duration::from_secs(2)).await {
                vpc.hidden.set(None);
                let pass = pass.pass;
                assert_eq!((pass.outcome, pass.exit), (Outcome::Locked, 5), "seed {seed}: {}", pass.because);
            }
            vpc.dead.borrow_mut().clear();
            let back = one.failback().await.pass;
            assert_eq!((back.outcome, vpc.on(0)), (Outcome::FailedBack, 'a'), "seed {seed}: {}", back.because);
        });
    }
}
