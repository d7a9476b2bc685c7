//! A watch with a record that nobody brought to its end, while EC2 is slow to answer, or does not: it goes on looking, and goes by no answer that
//! is of before.

use std::time::Duration;

use natwatch::model::{MoveResult, Outcome, Pass, Phase, Record};
use natwatch::record::history::Deed;
use natwatch::run::Stop;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::drill::{SUBNETS, killed_amid_a_move, seasoned};
use super::race;
use super::watchdog::Watchdog;
use super::world::{OPERATORS, Vpc};

/// What each call of EC2 takes: two, one after the other, are less than what a reading may take.
const SLOW: Duration = Duration::from_secs(2);

/// A round of the calm is eight pings of three targets, each of which is pinged once a second.
const ROUND: Duration = Duration::from_secs(3);

/// Rounds follow each other as ever, and nothing is waited for at their end.
fn as_ever(passes: &[(Instant, Pass)]) {
    for two in passes.windows(2) {
        let (gap, pass) = (two[1].0 - two[0].0, &two[1].1);
        assert!(gap <= ROUND && pass.elapsed < Duration::from_millis(100), "{gap:?}, {:?}: {pass:?}", pass.elapsed);
    }
}

/// A takeover that was killed amid its first move; the primary is well again.
async fn cut_short(vpc: &Vpc, one: &Watchdog<'_>) {
    vpc.dead.borrow_mut().push(('a', Instant::now()));
    killed_amid_a_move(vpc, one.pass()).await;
    vpc.dead.borrow_mut().clear();
}

#[test]
fn f061_f068_with_a_takeover_that_was_cut_short_on_record_rounds_go_on_while_ec2_hangs_and_its_end_is_noticed_then() {
    race(7, async |_, folder| {
        let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(7)).at_its_best();
        let one = seasoned(&vpc, &folder, 7).await;
        cut_short(&vpc, &one).await;
        let phase = || one.recorded().map(|record| record.phase);
        let began = Instant::now();
        let faults = async {
            vpc.slow.set(SLOW);
            sleep(Duration::from_secs(50)).await;
            // Who else takes what was left is to be asked for, and that gets no answer.
            for subnet in SUBNETS.into_iter().filter(|subnet| vpc.on(*subnet) == 'a') {
                vpc.put(subnet, OPERATORS, OPERATORS);
            }
            vpc.secretive.set(true);
            sleep(Duration::from_mins(3)).await;
            vpc.hangs.set(true);
            sleep(Duration::from_mins(3)).await;
            assert_eq!(phase(), Some(Phase::Taking), "nobody has said that it is over");
            vpc.hangs.set(false);
            vpc.secretive.set(false);
            sleep(Duration::from_secs(50)).await;
        };
        let passes = one.watch(faults).await;
        as_ever(&passes);
        let took = passes.last().unwrap().0 - began;
        assert!(passes.len() as u64 >= took.as_secs() / ROUND.as_secs(), "{} passes in {took:?}", passes.len());
        let record = one.recorded().unwrap();
        let elsewhere = record.moves.iter().filter(|one| matches!(one.result, MoveResult::Elsewhere(_))).count();
        assert_eq!((record.phase, elsewhere), (Phase::Taken, 2), "{record:?}");
        assert_eq!(passes.last().unwrap().1.outcome, Outcome::Locked);
    });
}

#[test]
fn f061_f068_a_record_stays_while_ec2_does_not_say_where_one_of_its_subnets_is() {
    race(11, async |_, folder| {
        let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(11)).at_its_best();
        let one = seasoned(&vpc, &folder, 11).await;
        cut_short(&vpc, &one).await;
        // All are at home but one, which the tables of the pair don't show; of where it is instead nothing is said.
        for subnet in SUBNETS.into_iter().filter(|subnet| vpc.on(*subnet) != 'a') {
            vpc.put(subnet, 'a', OPERATORS);
        }
        vpc.put(SUBNETS[0], OPERATORS, OPERATORS);
        vpc.secretive.set(true);
        let passes = one.watch(sleep(Duration::from_mins(3))).await;
        assert_eq!(one.recorded().map(|record| record.phase), Some(Phase::Taking), "{:?}", passes.last());
        // A pass of `run` asks for itself.
        let pass = one.pass().await;
        assert_eq!(one.recorded().map(|record| record.phase), Some(Phase::Taking), "{:?}", pass.pass);
        vpc.secretive.set(false);
        let passes = one.watch(sleep(Duration::from_mins(3))).await;
        assert_eq!(one.recorded(), None, "nothing of it is on the standby: {:?}", passes.last());
    });
}

/// A drill that was killed amid its move, whose subnet somebody has brought home, and its record.
async fn brought_home(vpc: &Vpc, one: &Watchdog<'_>) -> (usize, Record) {
    killed_amid_a_move(vpc, one.drill(&Stop::default())).await;
    let subnet = vpc.moved.borrow()[0].subnet;
    vpc.put(subnet, 'a', OPERATORS);
    (subnet, one.recorded().unwrap())
}

#[test]
fn f068_a_drill_that_was_cut_short_is_over_for_a_watch_that_asks_a_slow_ec2_beside_its_rounds() {
    race(8, async |_, folder| {
        let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(8)).at_its_best();
        let one = seasoned(&vpc, &folder, 8).await;
        brought_home(&vpc, &one).await;
        vpc.slow.set(SLOW);
        let passes = one.watch(sleep(Duration::from_secs(55))).await;
        as_ever(&passes);
        assert!(one.recorded().is_some(), "a drill may be at work for a minute");
        let passes = one.watch(sleep(Duration::from_secs(45))).await;
        as_ever(&passes);
        assert_eq!(one.recorded(), None, "{:?}", passes.last());
        assert_eq!(one.history(), [(Deed::Drill, Some(Outcome::FailedBack))]);
    });
}

/// A watch that asks about a record of a drill, while another process moves its subnet to the standby `at` this moment and is killed: it has the run
/// lock all the while, or else has written a record of its own.
fn overtaken(at: Duration, held: bool) {
    race(9, async |_, folder| {
        let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(9)).at_its_best();
        let one = seasoned(&vpc, &folder, 9).await;
        let (subnet, record) = brought_home(&vpc, &one).await;
        sleep(Duration::from_mins(2)).await;
        vpc.slow.set(SLOW);
        let lock = if held { Some(one.lock().await) } else { None };
        let other = async {
            sleep(at).await;
            if !held {
                one.writes(record);
            }
            vpc.put(subnet, 'b', 'b');
            drop(lock);
            sleep(Duration::from_secs(20)).await;
        };
        let passes = one.watch(other).await;
        let last = passes.last().unwrap();
        assert!(one.recorded().is_some(), "{at:?}, held: {held}: nobody knows of subnet {subnet}: {last:?}");
    });
}

#[test]
fn f065_f068_what_ec2_said_of_a_record_before_somebody_moved_anything_clears_none() {
    for step in 0..50 {
        for held in [false, true] {
            overtaken(Duration::from_millis(200) * step, held);
        }
    }
}

#[test]
fn f065_f068_a_record_that_another_process_has_written_meanwhile_is_not_replaced_by_what_ec2_said_of_the_one_before() {
    for step in 0..50 {
        race(10, async |_, folder| {
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(10)).at_its_best();
            let one = seasoned(&vpc, &folder, 10).await;
            cut_short(&vpc, &one).await;
            vpc.slow.set(SLOW);
            let at = Duration::from_millis(200) * step;
            let other = async {
                sleep(at).await;
                one.writes(Record { because: "said by another process".to_owned(), ..one.recorded().unwrap() });
                sleep(Duration::from_secs(20)).await;
            };
            one.watch(other).await;
            let record = one.recorded().unwrap();
            assert_eq!(record.because, "said by another process", "{at:?}: {record:?}");
        });
    }
}

#[test]
fn f060_f068_what_ec2_showed_while_a_record_was_young_does_not_clear_it_once_it_is_old() {
    for age in 20..30 {
        race(11, async |_, folder| {
            // It shows what was before for longer than this takes.
            let vpc = Vpc::new(&['a'; 3], SmallRng::seed_from_u64(11)).at_its_best().late(Duration::from_hours(1));
            let one = seasoned(&vpc, &folder, 11).await;
            cut_short(&vpc, &one).await;
            sleep(Duration::from_secs(age)).await;
            vpc.slow.set(SLOW);
            let passes = one.watch(sleep(Duration::from_secs(12))).await;
            let last = passes.last().unwrap();
            assert!(one.recorded().is_some(), "{age} s: nobody knows of {:?}: {last:?}", vpc.moved.borrow());
        });
    }
}
