//! Races of whole passes on a paused clock: two standbys of one primary, an operator and Terraform in between, and two NATs that guard each
//! other. What is drawn (delays, lost replies, describes that lag, who moves what and when) follows from the seed, which a failure names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/associations.rs"]
mod associations;
mod drill;
mod looks;
mod record;
mod watchdog;
mod world;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use natwatch::model::{Change, MoveResult, Outcome, Pass};
use natwatch::record::history::Deed;
use natwatch::run::pass::Done;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use watchdog::Watchdog;
use world::{Moved, Nat, OPERATORS, Vpc, number, table};

/// So many races of each kind, each with a seed of its own.
const RACES: u64 = 1_000;

/// As cron starts passes.
const EVERY: Duration = Duration::from_mins(2);

fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Runs a race on a clock of its own.
fn race<F: Future<Output = ()>>(seed: u64, run: impl FnOnce(SmallRng, PathBuf) -> F) {
    let folder = tempfile::Builder::new().prefix("natwatch-race-").tempdir_in(memory()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(SmallRng::seed_from_u64(seed), folder.path().to_owned()));
}

fn ms(rng: &mut SmallRng, most: u64) -> Duration {
    Duration::from_millis(rng.random_range(0..most))
}

/// What the last of these passes that was to move a subnet says of it.
fn said(passes: &[Done], subnet: usize) -> Option<&MoveResult> {
    let of = |change: &Change| change.subnets().iter().any(|one| number(one) == subnet);
    passes.iter().flat_map(|done| &done.pass.moves).rfind(|one| of(&one.plan)).map(|one| &one.result)
}

/// Of all that natwatch does, in any race: subnets leave the table of the primary for that of the standby, and nothing else.
fn only_takeovers(moved: &[Moved], pairs: &[(Nat, Nat)], seed: u64) {
    for one in moved.iter().filter(|one| one.by != OPERATORS) {
        assert!(pairs.contains(&(one.by, one.from)) && one.to == one.by, "seed {seed}: {one:?}");
    }
}

#[test]
fn f052_f065_two_standbys_and_an_operator_race_a_thousand_times_and_each_subnet_moves_once() {
    let mut lost = 0;
    let mut meddled = 0;
    for seed in 0..RACES {
        race(seed, async |mut rng, folder| {
            let subnets: Vec<usize> = (0..rng.random_range(2..5)).collect();
            let vpc = Vpc::new(&vec!['a'; subnets.len()], SmallRng::seed_from_u64(!seed));
            let one = Watchdog::new(&vpc, ('b', 'a'), &subnets, &[], &folder, seed);
            let other = Watchdog::new(&vpc, ('c', 'a'), &subnets, &[], &folder, !seed);
            // Both know what they guard before anything happens.
            for watchdog in [&one, &other] {
                watchdog.passes(3, Duration::from_secs(1)).await;
            }
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            // An operator takes a subnet away meanwhile, to the table of one of the standbys or to another.
            let meddling = rng.random_bool(0.5).then(|| {
                let to = ['b', 'c', OPERATORS][rng.random_range(0..3)];
                (subnets[rng.random_range(0..subnets.len())], to, Duration::from_millis(rng.random_range(2_500..4_500)))
            });
            let operator = async {
                let Some((subnet, to, after)) = meddling else { return };
                sleep(after).await;
                if vpc.on(subnet) == 'a' {
                    vpc.put(subnet, to, OPERATORS);
                }
            };
            let late = ms(&mut rng, 1000);
            let rival = async {
                sleep(late).await;
                other.passes(3, EVERY).await
            };
            // Where the operator's subnet clears the primary for a round, the next pass knows better.
            let (ours, theirs, ()) = tokio::join!(one.passes(3, EVERY), rival, operator);
            let moved = vpc.moved.borrow().clone();
            only_takeovers(&moved, &[('b', 'a'), ('c', 'a')], seed);
            for subnet in &subnets {
                let changes: Vec<&Moved> = moved.iter().filter(|one| one.subnet == *subnet).collect();
                assert_eq!(changes.len(), 1, "seed {seed}: subnet {subnet} {moved:?}");
                meddled += usize::from(changes[0].by == OPERATORS);
                for (done, nat) in [(&ours, 'b'), (&theirs, 'c')] {
                    let result = said(done, *subnet);
                    let there = vpc.on(*subnet);
                    // Where a describe lagged to the very end, nobody can know better.
                    let right = match result {
                        Some(MoveResult::Moved | MoveResult::AlreadyThere) => there == nat,
                        Some(MoveResult::Elsewhere(on)) => *on == table(there).to_string() && there != nat,
                        Some(
                            MoveResult::Failed(_)
                            | MoveResult::Unknown(_)
                            | MoveResult::Pending
                            | MoveResult::WouldMove,
                        ) => false,
                        // It was gone before the plan was made; or the whole pass came too late.
                        None => there != nat || changes[0].by == OPERATORS,
                    };
                    assert!(right, "seed {seed}: {nat} says {result:?}, {subnet} is on {there}: {moved:?}");
                    lost += usize::from(matches!(result, Some(MoveResult::Elsewhere(_))));
                }
            }
        });
    }
    assert!(lost > 500 && meddled > 100, "hardly any races: {lost} lost, {meddled} by the operator");
}

#[test]
fn f065_f068_of_two_standbys_one_is_killed_amid_the_race_and_both_end_well() {
    let (mut split, mut broken_off) = (0, 0);
    for seed in 0..RACES {
        race(seed, async |mut rng, folder| {
            let subnets = [0, 1, 2, 3];
            let vpc = Vpc::new(&['a'; 4], SmallRng::seed_from_u64(!seed));
            let one = Watchdog::new(&vpc, ('b', 'a'), &subnets, &[], &folder, seed);
            let other = Watchdog::new(&vpc, ('c', 'a'), &subnets, &[], &folder, !seed);
            for watchdog in [&one, &other] {
                watchdog.passes(3, Duration::from_secs(1)).await;
            }
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            // Both need a little more than the span of three seconds to decide.
            let end = Duration::from_millis(rng.random_range(3_000..4_500));
            let killed = async {
                let ended = tokio::time::timeout(end, one.pass()).await.is_ok();
                sleep(EVERY).await;
                ended
            };
            let late = ms(&mut rng, 600);
            let rival = async {
                sleep(late).await;
                other.pass().await;
            };
            let (ended, ()) = tokio::join!(killed, rival);
            for watchdog in [&one, &other] {
                watchdog.passes(3, EVERY).await;
            }
            sleep(Duration::from_hours(1)).await;
            one.pass().await;
            other.pass().await;
            let last = [one.pass().await, other.pass().await];
            let moved = vpc.moved.borrow().clone();
            only_takeovers(&moved, &[('b', 'a'), ('c', 'a')], seed);
            for subnet in subnets {
                let times = moved.iter().filter(|one| one.subnet == subnet).count();
                assert_eq!(times, 1, "seed {seed}: subnet {subnet} {moved:?}");
            }
            for (done, nat) in last.iter().zip(['b', 'c']) {
                let carries = subnets.iter().any(|subnet| vpc.on(*subnet) == nat);
                // Locked, where there is anything to bring back. Else, by the hourly look, nothing is left to stand by for.
                let Pass { outcome, because, notes, .. } = &done.pass;
                let right = if carries { *outcome == Outcome::Locked } else { *outcome == Outcome::Failed };
                assert!(right, "seed {seed}: {nat} {outcome} {because:?} {notes:?} {moved:?}");
            }
            broken_off += usize::from(!ended);
            split += usize::from(subnets.iter().any(|one| vpc.on(*one) != vpc.on(0)));
        });
    }
    assert!(split > 50 && broken_off > 200, "{split} split, {broken_off} broken off");
}

#[test]
fn f067_who_looks_on_while_another_of_the_same_name_takes_over_says_what_that_came_to() {
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..RACES {
        race(seed, async |mut rng, folder| {
            let vpc = Vpc::new(&['a', 'a'], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0, 1], &[], &folder, seed);
            one.passes(3, Duration::from_secs(1)).await;
            let other = Watchdog::new(&vpc, ('b', 'a'), &[0, 1], &[], &folder, !seed);
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            let late = ms(&mut rng, 5000);
            let looking_on = async {
                sleep(late).await;
                other.pass().await.pass
            };
            let (first, second) = tokio::join!(async { one.pass().await.pass }, looking_on);
            let (taker, beside) = if first.outcome == Outcome::TakenOver { (first, second) } else { (second, first) };
            assert_eq!(taker.outcome, Outcome::TakenOver, "seed {seed}: {}", taker.because);
            // It is taken, or being taken; or what was seen in the middle of it is told. Never that nothing stands by, or was left half done.
            let Pass { outcome, because, notes, .. } = beside;
            let right = [Outcome::Locked, Outcome::Busy, Outcome::Degraded].contains(&outcome);
            assert!(right, "seed {seed}: {outcome} {because} {notes:?}");
            *ends.entry(outcome.to_string()).or_default() += 1;
            assert_eq!(vpc.moved.borrow().len(), 2, "seed {seed}");
        });
    }
    assert!(ends["locked"] > 100 && ends["busy"] > 50, "{ends:?}");
}

#[test]
fn f052_f065_what_terraform_puts_back_in_the_middle_of_a_takeover_is_never_fought_over() {
    let mut back = 0;
    for seed in 0..RACES / 2 {
        race(seed, async |mut rng, folder| {
            let subnets = [0, 1, 2];
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(!seed));
            let one = Watchdog::new(&vpc, ('b', 'a'), &subnets, &[], &folder, seed);
            let other = Watchdog::new(&vpc, ('c', 'a'), &subnets, &[], &folder, !seed);
            for watchdog in [&one, &other] {
                watchdog.passes(3, Duration::from_secs(1)).await;
            }
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            // Terraform corrects what it calls a drift, once for each subnet that it finds away from home.
            let terraform = async {
                sleep(Duration::from_secs(3) + ms(&mut rng, 1500)).await;
                for subnet in subnets {
                    if vpc.on(subnet) != 'a' {
                        vpc.put(subnet, 'a', OPERATORS);
                    }
                    sleep(ms(&mut rng, 200)).await;
                }
            };
            let rival = async { other.passes(4, EVERY).await };
            let (..) = tokio::join!(one.passes(4, EVERY), rival, terraform);
            let moved = vpc.moved.borrow().clone();
            only_takeovers(&moved, &[('b', 'a'), ('c', 'a')], seed);
            for subnet in subnets {
                let by = |who: Nat| moved.iter().filter(|one| one.subnet == subnet && one.by == who).count();
                back += by(OPERATORS);
                // Whoever does not know whether his call was heard, and finds the subnet on the primary, calls again; else each standby takes
                // a subnet once. Nobody takes it once more for each time that it is put back after that.
                let all = by('b') + by('c');
                assert!(all >= 1 && all <= 1 + by(OPERATORS), "seed {seed}: subnet {subnet} {moved:?}");
            }
        });
    }
    assert!(back > 200, "Terraform hardly ever found anything to correct: {back}");
}

/// Both NATs guard each other's subnets, and what each carries dies at its moment. Returns what was moved, how many subnets each ended with
/// that are the other's, and what the last passes came to.
fn mutual(seed: u64, witnesses: bool, both: bool) -> Vec<Moved> {
    let mut out = Vec::new();
    race(seed, async |mut rng, folder| {
        // Four subnets of each; the witnesses are in the first of one's own.
        let (first_two, last_two) = ([0, 1], [2, 3]);
        let vpc = Vpc::new(&['a', 'a', 'b', 'b'], SmallRng::seed_from_u64(!seed));
        let own = |subnets: &[usize]| if witnesses { subnets.to_vec() } else { Vec::new() };
        let ours = Watchdog::new(&vpc, ('a', 'b'), &last_two, &own(&first_two), &folder, seed);
        let theirs = Watchdog::new(&vpc, ('b', 'a'), &first_two, &own(&last_two), &folder, !seed);
        for watchdog in [&ours, &theirs] {
            watchdog.passes(3, Duration::from_secs(1)).await;
        }
        // One of them dies, and the other with it (a firewall's reload, an upgrade of both), or long after.
        let mut dead = ['a', 'b'];
        if rng.random_bool(0.5) {
            dead.reverse();
        }
        let now = Instant::now();
        vpc.dead.borrow_mut().push((dead[0], now));
        let later = if rng.random_bool(0.6) { ms(&mut rng, 500) } else { EVERY * 2 + ms(&mut rng, 5000) };
        if both {
            vpc.dead.borrow_mut().push((dead[1], now + later));
        }
        let late = ms(&mut rng, 1500);
        let second = async {
            sleep(late).await;
            theirs.passes(5, EVERY).await
        };
        let (first, second) = tokio::join!(ours.passes(5, EVERY), second);
        for done in first.iter().chain(&second) {
            let held = done.pass.holds.iter().any(|hold| hold.why.contains("takes nobody else's"));
            assert!(!held || done.pass.exit == 2, "seed {seed}: who may not take is as loud as one who failed");
        }
        out.clone_from(&vpc.moved.borrow());
    });
    only_takeovers(&out, &[('a', 'b'), ('b', 'a')], seed);
    for subnet in 0..4 {
        let times = |nat: Nat| out.iter().filter(|one| one.subnet == subnet && one.by == nat).count();
        let (by_a, by_b) = (times('a'), times('b'));
        // Without witnesses, who is thought dead may take back what was taken from him: his own, once. Never again.
        let bounced = by_a + by_b > 1 && witnesses;
        assert!(by_a <= 1 && by_b <= 1 && !bounced, "seed {seed}: ping-pong of {subnet}: {out:?}");
    }
    out
}

fn swapped(moved: &[Moved]) -> bool {
    ['a', 'b'].iter().all(|nat| moved.iter().any(|one| one.by == *nat))
}

#[test]
fn f066_two_nats_that_guard_each_other_and_both_fail_never_swap_their_subnets_with_witnesses() {
    let mut alone = 0;
    for seed in 0..RACES {
        let moved = mutual(seed, true, true);
        assert!(!swapped(&moved), "seed {seed}: {moved:?}");
        alone += usize::from(!moved.is_empty());
    }
    // Where the one died long before the other, it was taken over.
    assert!(alone > 200, "{alone}");
}

#[test]
fn f066_of_two_nats_that_guard_each_other_the_one_that_is_well_takes_all_witnesses_or_not() {
    for (seed, witnesses) in (0..50).map(|seed| (seed, seed % 2 == 0)) {
        let moved = mutual(seed, witnesses, false);
        assert_eq!(moved.len(), 2, "seed {seed}: {moved:?}");
        assert!(!swapped(&moved), "seed {seed}: {moved:?}");
    }
}

#[test]
fn f066_without_witnesses_two_nats_that_fail_together_swap_once_and_play_no_ping_pong() {
    let swaps = (0..100).filter(|seed| swapped(&mutual(*seed, false, true))).count();
    assert!(swaps > 20, "what the witnesses are there for hardly ever happens: {swaps}");
}

#[test]
fn f066_a_nat_that_was_repaired_cannot_tell_that_from_being_dead_and_leaves_it_to_an_operator() {
    for seed in 0..20 {
        race(seed, async |_, folder| {
            let (first_two, last_two) = ([0, 1], [2, 3]);
            let vpc = Vpc::new(&['a', 'a', 'b', 'b'], SmallRng::seed_from_u64(!seed));
            let ours = Watchdog::new(&vpc, ('a', 'b'), &last_two, &first_two, &folder, seed);
            let theirs = Watchdog::new(&vpc, ('b', 'a'), &first_two, &last_two, &folder, !seed);
            for watchdog in [&ours, &theirs] {
                watchdog.passes(3, Duration::from_secs(1)).await;
            }
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            theirs.passes(4, EVERY).await;
            assert!([0, 1].iter().all(|subnet| vpc.on(*subnet) == 'b'), "seed {seed}");
            // Repaired, and nobody has asked for a failback yet, when the other dies as well.
            vpc.dead.borrow_mut().clear();
            ours.passes(2, EVERY).await;
            vpc.dead.borrow_mut().push(('b', Instant::now()));
            let last = ours.passes(5, EVERY).await.pop().unwrap().pass;
            // A dead one would know no more than this one does, and of two dead ones neither may take from the other.
            assert!((0..4).all(|subnet| vpc.on(subnet) == 'b'), "seed {seed}");
            assert_eq!(last.exit, 2, "seed {seed}: {}", last.because);
            let asked = last.holds.iter().any(|hold| hold.remedy.ends_with("natwatch takeover"));
            assert!(asked && !last.commands.is_empty(), "seed {seed}: {:?}", last.holds);
        });
    }
}

#[test]
fn f109_what_the_standbys_groups_were_seen_to_refuse_holds_no_takeover_for_ever_where_they_cannot_be_read_again() {
    for (seed, minutes, outcome) in [(0, 1, Outcome::Down), (1, 50, Outcome::Down), (2, 61, Outcome::TakenOver)] {
        race(seed, async |_, folder| {
            // EC2 says nothing of groups here, as to who has not the right.
            let vpc = Vpc::new(&['a', 'a'], SmallRng::seed_from_u64(!seed)).at_its_best();
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0, 1], &[], &folder, seed);
            one.passes(2, Duration::from_secs(1)).await;
            one.refused(SignedDuration::from_mins(minutes));
            vpc.dead.borrow_mut().push(('a', Instant::now()));
            let pass = one.pass().await.pass;
            assert_eq!(pass.outcome, outcome, "{minutes} minutes: {} {:?}", pass.because, pass.notes);
            let told = pass.notes.iter().any(|note| note.contains("is not known: they were last read at"));
            assert_eq!(told, outcome == Outcome::TakenOver, "{minutes} minutes: {:?}", pass.notes);
        });
    }
}

#[test]
fn a_pause_that_ends_by_itself_is_history_by_the_first_pass_after_it_of_a_run_or_a_watch() {
    for watches in [false, true] {
        race(7, async |rng, folder| {
            let vpc = Vpc::new(&['a', 'a'], rng).at_its_best();
            let one = Watchdog::new(&vpc, ('b', 'a'), &[0, 1], &[], &folder, 7);
            one.pause(Duration::from_mins(1));
            let passes = async |length| {
                if watches {
                    one.watch(sleep(length)).await;
                } else {
                    one.passes(3, length / 3).await;
                }
            };
            passes(Duration::from_secs(50)).await;
            assert_eq!(one.history(), []);
            passes(Duration::from_mins(2)).await;
            assert_eq!(one.history(), [(Deed::Resume, None)]);
        });
    }
}
