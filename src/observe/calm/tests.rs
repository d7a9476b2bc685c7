//! The calm on a paused clock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use tokio::time::{sleep, timeout};

use super::*;
use crate::model::{Moment, Verdict};
use crate::observe::tests::fakes::*;
use crate::observe::{ObserveSettings, Pace};

const INTERVAL: Duration = ms(1000);

/// What an answer takes, always the same, is less than a sixth of the timeout; and the clock's grain.
const LATE: Duration = ms(300 / 6 + 4);

/// What a calm is made with.
struct Stage {
    world: World,
    settings: ObserveSettings,
    rng: RefCell<SmallRng>,
}

impl Stage {
    fn new(panel: usize) -> Self {
        Self { world: World::new(), settings: settings(panel), rng: rng() }
    }

    fn calm<'a>(&'a self, clock: &'a dyn Fn() -> Moment, backends: usize) -> Calm<'a, World, World> {
        let observer = Observer::new(&self.settings, &self.world, &self.world, clock, &self.rng);
        let mut calm = Calm::new(Rc::new(observer), INTERVAL);
        calm.draw(draw(backends));
        calm
    }
}

/// The next round, where nothing is missed.
async fn round(calm: &mut Calm<'_, World, World>, count: usize) -> Round {
    match calm.next(&targets(count)).await {
        Cut::Round(round) => round,
        Cut::Missed(missed) => panic!("missed: {missed:?}"),
    }
}

/// The next miss that is news.
async fn miss(calm: &mut Calm<'_, World, World>, count: usize) -> Vec<Missed> {
    for _ in 0..1000 {
        if let Cut::Missed(missed) = calm.next(&targets(count)).await {
            return missed;
        }
    }
    panic!("nothing is missed")
}

fn hosts(round: &Round) -> BTreeSet<&str> {
    round.members.iter().map(|one| one.backend.host.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn f100_while_all_is_well_no_target_is_pinged_more_than_once_per_interval_whatever_the_panel() {
    for (panel, backends, count) in [(3, 3, 2), (8, 6, 3), (8, 100, 3), (0, 40, 5)] {
        let stage = Stage::new(panel);
        let clock = || stage.world.now();
        let mut calm = stage.calm(&clock, backends);
        while stage.world.now() < ms(120_000) {
            let round = round(&mut calm, count).await;
            assert_eq!(judged(&round).verdict, Verdict::Healthy, "{}", judged(&round).because);
        }
        for list in [&stage.world.pings, &stage.world.controls] {
            let mut last: BTreeMap<IpAddr, Moment> = BTreeMap::new();
            for seen in list.borrow().iter() {
                if let Some(before) = last.insert(seen.target, seen.at) {
                    // The timer's own grain.
                    assert!(
                        seen.at.saturating_sub(before) + ms(2) >= INTERVAL,
                        "{:?} at {:?} and {before:?}",
                        seen.target,
                        seen.at
                    );
                }
            }
            let pings = list.borrow().len();
            assert!((115 * count..=121 * count).contains(&pings), "{pings} pings of {count} targets in two minutes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_is_a_panel_of_different_backends_over_sessions_that_stay_open() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 6);
    let mut before = Moment::ZERO;
    for _ in 0..50 {
        let round = round(&mut calm, 3).await;
        assert_eq!(hosts(&round).len(), 6);
        assert!(round.started >= before && round.ended.saturating_sub(round.started) < ms(2700), "{round:?}");
        assert_eq!(round.good_targets(crate::model::Family::V4).count(), 3);
        before = round.ended.saturating_sub(ms(400));
    }
    assert_eq!(stage.world.logins.borrow().len(), 6, "none is made anew");
}

#[tokio::test(start_paused = true)]
async fn f077_an_outage_is_missed_within_a_turn_and_a_timeout() {
    for die in 0..40 {
        let stage = Stage::new(8);
        let clock = || stage.world.now();
        let dies = ms(10_000 + die * 33);
        stage.world.primary_dies.set(Some(dies));
        let mut calm = stage.calm(&clock, 8);
        let missed = miss(&mut calm, 3).await;
        let took = stage.world.now().saturating_sub(dies);
        assert!(took <= ms(334) + SSH + LATE + TIMEOUT + ms(5), "{took:?}");
        let [one, others @ ..] = missed.as_slice() else { panic!("nothing is missed") };
        assert!(one.probe.latest >= dies && one.probe.earliest + ms(1) + SSH >= dies, "{one:?}");
        // Three more were asked as soon as it was late.
        let of = |all: &[Missed]| -> BTreeSet<(String, IpAddr)> {
            all.iter().map(|one| (one.host.clone(), one.probe.target.addr)).collect()
        };
        assert_eq!((of(&missed).len(), others.len()), (4, 3), "{missed:?}");
        assert!(others.iter().all(|other| other.probe.earliest <= one.probe.earliest + LATE), "{missed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f022_a_packet_that_is_lost_ends_no_calm_and_costs_the_targets_nothing() {
    let mut lost = 0;
    for die in 0..80 {
        let stage = Stage::new(8);
        let clock = || stage.world.now();
        let dies = ms(10_000 + die * 17);
        stage.world.primary_dies.set(Some(dies));
        let mut calm = stage.calm(&clock, 8);
        let mut cuts = Vec::new();
        let revives = async {
            sleep((dies + ms(16)).saturating_sub(stage.world.now())).await;
            stage.world.primary_dies.set(None);
            sleep(ms(20_000)).await;
        };
        let watching = async {
            loop {
                cuts.push(calm.next(&targets(3)).await);
            }
        };
        tokio::select! {
            () = revives => {}
            () = watching => {}
        }
        assert!(cuts.iter().all(|cut| matches!(cut, Cut::Round(_))), "{dies:?}: {cuts:?}");
        let of = |cut: &Cut| {
            match cut {
            Cut::Round(round) => round.members.iter().any(|one| {
                matches!(&one.testimony, Testimony::Probes(probes) if probes.iter().any(|one| one.fate == Fate::NoReply))
            }),
            Cut::Missed(_) => false,
        }
        };
        lost += usize::from(cuts.iter().any(of));
        let pings = stage.world.pings.borrow().len();
        assert!(pings <= 92 + usize::try_from(die * 17 / 333).unwrap(), "{pings} pings");
    }
    assert!(lost >= 2, "a ping was under way in {lost} of these");
}

#[tokio::test(start_paused = true)]
async fn where_all_answers_take_long_nobody_is_asked_for_being_late() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    stage.world.rtt.set(ms(200));
    let mut calm = stage.calm(&clock, 8);
    while stage.world.now() < ms(60_000) {
        assert_eq!(judged(&round(&mut calm, 3).await).verdict, Verdict::Healthy);
    }
    let pings = stage.world.pings.borrow().len();
    assert!((170..=187).contains(&pings), "{pings} pings of 3 targets in a minute");
}

#[tokio::test(start_paused = true)]
async fn f015_a_target_that_is_dead_everywhere_ends_no_calm_and_calls_for_no_pings_of_the_others() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    stage.world.target_dies(2, ms(10_000));
    let mut calm = stage.calm(&clock, 8);
    while stage.world.now() < ms(70_000) {
        let round = round(&mut calm, 3).await;
        assert_eq!(judged(&round).verdict, Verdict::Healthy);
    }
    let of = |n| {
        stage.world.pings.borrow().iter().filter(|seen| seen.at > ms(12_000) && seen.target == target(n).addr).count()
    };
    assert!(of(1) <= 60 && of(3) <= 60 && of(2) == 0, "{} {} {}", of(1), of(2), of(3));
    let dies = stage.world.now();
    stage.world.primary_dies.set(Some(dies));
    miss(&mut calm, 3).await;
    let took = stage.world.now().saturating_sub(dies);
    assert!(took <= ms(1000) + LATE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn f019_when_no_target_answers_the_standby_nobody_is_asked_and_nothing_is_missed() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    for n in 1..=3 {
        stage.world.target_dies(n, ms(10_000));
    }
    let mut calm = stage.calm(&clock, 8);
    let mut last = None;
    while stage.world.now() < ms(60_000) {
        last = Some(round(&mut calm, 3).await);
    }
    assert_eq!(judged(&last.unwrap()).verdict, Verdict::Isolated);
}

#[tokio::test(start_paused = true)]
async fn f028_who_can_not_be_reached_is_replaced_said_and_tried_again_after_a_rest() {
    let stage = Stage::new(4);
    let clock = || stage.world.now();
    stage.world.are(Nature::Gone, [0, 1]);
    stage.world.are(Nature::Refuses, [2]);
    let mut calm = stage.calm(&clock, 10);
    let mut silent = BTreeSet::new();
    while stage.world.now() < ms(60_000) {
        let round = round(&mut calm, 3).await;
        assert_eq!((judged(&round).verdict, judged(&round).reaches), (Verdict::Healthy, 4));
        silent.extend(
            round
                .members
                .iter()
                .filter(|one| matches!(one.testimony, Testimony::Silent(_)))
                .map(|one| one.backend.host.clone()),
        );
    }
    assert_eq!(silent, BTreeSet::from([host(0), host(1), host(2)]));
    let tries = stage.world.logins.borrow().iter().filter(|one| **one == host(0)).count();
    assert!((2..=3).contains(&tries), "{tries} logins in a minute");
}

#[tokio::test(start_paused = true)]
async fn f032_who_hangs_holds_no_round_up() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    stage.world.are(Nature::Hangs, [3]);
    let mut calm = stage.calm(&clock, 8);
    for _ in 0..10 {
        let began = stage.world.now();
        let round = round(&mut calm, 3).await;
        assert_eq!(judged(&round).verdict, Verdict::Healthy);
        let took = stage.world.now().saturating_sub(began);
        assert!(took < ms(4500), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_be_reached_a_round_says_so_and_why() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    stage.world.are(Nature::Refuses, 0..5);
    let mut calm = stage.calm(&clock, 5);
    let round = round(&mut calm, 3).await;
    assert_eq!((judged(&round).verdict, round.members.len()), (Verdict::Unheard, 5));
    assert!(judged(&round).because.contains("refuse"), "{}", judged(&round).because);
    assert!(stage.world.now() < ms(20_000));
}

#[tokio::test(start_paused = true)]
async fn f042_of_many_backends_sessions_are_open_to_two_panels_and_each_gets_its_turn() {
    let stage = Stage::new(4);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 20);
    while stage.world.now() < ms(50_000) {
        round(&mut calm, 3).await;
    }
    assert_eq!(stage.world.logins.borrow().len(), 8);
    while stage.world.now() < ms(20 * 60_000) {
        round(&mut calm, 3).await;
        assert_eq!(calm.asked().count(), 8);
    }
    let asked: BTreeSet<String> = stage.world.pings.borrow().iter().map(|seen| seen.host.clone()).collect();
    assert_eq!(asked.len(), 20);
    assert!(stage.world.logins.borrow().len() <= 8 + 20, "one a minute");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_loses_nothing() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 8);
    let mut rounds = 0;
    while stage.world.now() < ms(60_000) {
        if let Ok(Cut::Round(round)) = timeout(ms(17), calm.next(&targets(3))).await {
            assert_eq!(hosts(&round).len(), 8);
            rounds += 1;
        }
    }
    assert!((21..=23).contains(&rounds), "{rounds}");
    assert_eq!(stage.world.logins.borrow().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn f004_after_a_freeze_nothing_is_made_up_for() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 8);
    while stage.world.now() < ms(10_000) {
        round(&mut calm, 3).await;
    }
    let before = stage.world.pings.borrow().len();
    tokio::time::advance(ms(600_000)).await;
    let thawed = stage.world.now();
    while stage.world.now() < thawed + ms(3000) {
        round(&mut calm, 3).await;
    }
    let pings = stage.world.pings.borrow().len() - before;
    assert!(pings <= 20, "{pings} pings in three seconds");
}

#[tokio::test(start_paused = true)]
async fn a_burst_and_the_calm_share_sessions_and_the_first_round_of_a_burst_goes_on_from_the_miss() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let dies = ms(10_000);
    stage.world.primary_dies.set(Some(dies));
    let mut calm = stage.calm(&clock, 8);
    let missed = miss(&mut calm, 3).await;
    let mut order = draw(8);
    for one in &mut order {
        one.missed =
            missed.iter().filter(|missed| missed.host == one.backend.host).map(|one| one.probe.clone()).collect();
    }
    let ask = crate::observe::Ask { pace: Pace::Burst(TIMEOUT / 3), ..at_once(&stage.world) };
    let round = calm.observer.round(order, &targets(3), ask, &|round| crate::decide::outlook(round, &rules())).await;
    let judged = judged(&round);
    assert_eq!(judged.verdict, Verdict::Down);
    assert_eq!(
        judged.first_miss,
        Some(missed[2].probe.latest),
        "the span counts from where three had missed something"
    );
    assert_eq!(round.started, missed[0].probe.earliest);
    assert_eq!(stage.world.logins.borrow().len(), 8);
    sleep(ms(1)).await;
    calm.resume(true, 3);
    assert!(calm.round.members.is_empty());
}

#[tokio::test(start_paused = true)]
async fn backends_that_are_at_another_address_by_now_are_asked_there_at_once() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 8);
    round(&mut calm, 3).await;
    let mut elsewhere = draw(8);
    for one in &mut elsewhere {
        one.backend.addr = Some([10, 0, 10, 200].into());
    }
    calm.draw(elsewhere);
    let after = round(&mut calm, 3).await;
    assert_eq!(hosts(&after).len(), 8);
    assert_eq!(stage.world.logins.borrow().len(), 16, "a session to where it was is of no use");
}

#[tokio::test(start_paused = true)]
async fn f002_a_control_ping_that_is_lost_does_not_outlive_those_that_followed_it() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 8);
    let addr = target(1).addr;
    calm.note(Event::Control(3, addr, ControlFate::Good { rtt: RTT }));
    calm.note(Event::Control(0, addr, ControlFate::NoReply));
    assert_eq!(calm.checked.good_since(addr, 3), Some(true));
}

#[tokio::test(start_paused = true)]
async fn targets_that_are_no_more_are_forgotten() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 8);
    round(&mut calm, 5).await;
    assert!(calm.checked.good(target(5).addr).is_some());
    round(&mut calm, 3).await;
    assert_eq!(calm.checked.good(target(5).addr), None);
    assert_eq!(calm.checked.good(target(3).addr), Some(true));
}

#[tokio::test(start_paused = true)]
async fn f085_a_healthy_round_is_one_in_both_families() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    let mut calm = stage.calm(&clock, 0);
    let mut order = draw(8);
    for one in &mut order {
        one.witness = vec![crate::model::Family::V4, crate::model::Family::V6];
    }
    calm.draw(order);
    let mut all = targets(3);
    let name = "2001:db8::1".to_owned();
    all.push((name.clone(), Ok(Target { addr: name.parse().unwrap(), name })));
    for _ in 0..10 {
        let Cut::Round(round) = calm.next(&all).await else { panic!("nothing is missed") };
        for family in crate::decide::families(&round) {
            let judged = crate::decide::judge(&round, &rules(), family);
            assert_eq!(judged.verdict, Verdict::Healthy, "{family}: {}", judged.because);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f100_a_backend_that_misses_by_habit_does_not_double_what_the_targets_get() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    stage.world.are(Nature::CutOff, [0]);
    let mut calm = stage.calm(&clock, 8);
    while stage.world.now() < ms(60_000) {
        calm.next(&targets(3)).await;
    }
    stage.world.pings.borrow_mut().clear();
    while stage.world.now() < ms(180_000) {
        calm.next(&targets(3)).await;
    }
    let pings = stage.world.pings.borrow().len();
    assert!(pings <= 121 * 3, "{pings} pings of 3 targets in two minutes");
}

#[tokio::test(start_paused = true)]
async fn f028_after_a_moment_in_which_nobody_could_be_reached_all_are_heard_again_within_seconds() {
    for nature in [Nature::Gone, Nature::Refuses] {
        let stage = Stage::new(8);
        let clock = || stage.world.now();
        let mut calm = stage.calm(&clock, 8);
        while stage.world.now() < ms(10_000) {
            round(&mut calm, 3).await;
        }
        // Their sessions are broken, and for two seconds there are no others.
        stage.world.are(nature, 0..8);
        calm.posts.hosts().for_each(|host| calm.observer.leave(host));
        let back = stage.world.now() + ms(2000);
        let _ = timeout(ms(2000), async {
            loop {
                calm.next(&targets(3)).await;
            }
        })
        .await;
        stage.world.are(Nature::Well, 0..8);
        let heard = |from| stage.world.pings.borrow().iter().filter(|seen| seen.at >= from).count();
        while heard(back) < 3 {
            let _ = timeout(ms(100), calm.next(&targets(3))).await;
        }
        let took = stage.world.now().saturating_sub(back);
        assert!(took <= ms(6000), "{nature:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f024_whose_ping_can_not_be_used_is_not_logged_in_to_again_at_each_of_its_turns() {
    let stage = Stage::new(8);
    let clock = || stage.world.now();
    stage.world.are(Nature::NoPing, [0]);
    let mut calm = stage.calm(&clock, 8);
    while stage.world.now() < ms(120_000) {
        round(&mut calm, 3).await;
    }
    let logins = stage.world.logins.borrow().iter().filter(|one| **one == host(0)).count();
    assert!((3..=10).contains(&logins), "{logins} logins in two minutes");
}
