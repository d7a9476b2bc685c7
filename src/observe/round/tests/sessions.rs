//! Sessions outlive the round that opened them.

use std::cell::RefCell;

use crate::model::{Family, OwnWitness, Round, Said, SilenceReason, Testimony, Verdict};
use crate::observe::tests::fakes::*;
use crate::observe::{Ask, Observer, Pace};

fn outlook(round: &Round) -> crate::model::Outlook {
    crate::decide::outlook(round, &rules())
}

#[tokio::test(start_paused = true)]
async fn the_next_round_uses_the_sessions_of_the_one_before() {
    let world = World::new();
    let (settings, clock) = (settings(8), || world.now());
    let rng = rng();
    let observer = Observer::new(&settings, &world, &world, &clock, &rng);
    observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    let began = world.now();
    let second = observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    assert_eq!(second.ended.saturating_sub(began), SSH + RTT, "no login");
    assert_eq!(world.logins.borrow().len(), 8);
    observer.close().await;
    assert_eq!(world.closed.get(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_broken_session_is_silence_and_the_next_round_opens_another() {
    let world = World::new();
    let (settings, clock) = (settings(8), || world.now());
    let rng = rng();
    let observer = Observer::new(&settings, &world, &world, &clock, &rng);
    observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    world.are(Nature::BreaksAt(world.now()), [0]);
    let second = observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    let Testimony::Silent(silence) = &second.members[0].testimony else { panic!("{:?}", second.members[0]) };
    assert_eq!(silence.reason, SilenceReason::Disconnected);
    assert_eq!(judged(&second).verdict, Verdict::Healthy);
    let ask = Ask { not_before: world.now() + ms(1000), ..at_once(&world) };
    let third = observer.round(draw(8), &targets(3), ask, &outlook).await;
    assert_eq!(judged(&third).reaches, 8);
    assert_eq!(world.logins.borrow().iter().filter(|one| **one == host(0)).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_one_round_did_not_wait_for_goes_on_in_the_next() {
    let world = World::new();
    world.are(Nature::Slow(ms(1000)), [0]);
    let (settings, clock) = (settings(8), || world.now());
    let rng = rng();
    let observer = Observer::new(&settings, &world, &world, &clock, &rng);
    let first = observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    assert_eq!(first.members[0].testimony, Testimony::Awaited);
    let ask = Ask { not_before: ms(1500), ..at_once(&world) };
    let second = observer.round(draw(8), &targets(3), ask, &outlook).await;
    assert_eq!(judged(&second).reaches, 8);
    assert_eq!(world.logins.borrow().len(), 8, "one login each");
}

#[tokio::test(start_paused = true)]
async fn a_backend_reaches_again_when_any_target_answers_it() {
    let world = World::new();
    world.primary_dies.set(Some(ms(0)));
    let (settings, clock) = (settings(8), || world.now());
    let rng = rng();
    let observer = Observer::new(&settings, &world, &world, &clock, &rng);
    let backend = draw(1).remove(0).backend;
    let until = tokio::time::Instant::now() + ms(15_000);
    let all = [target(1), target(2)];
    assert!(!observer.reaches(&backend, &all, until).await);
    assert_eq!(world.now(), LOGIN + SSH + TIMEOUT);
    world.primary_dies.set(None);
    assert!(observer.reaches(&backend, &all, until).await);
    assert_eq!(world.logins.borrow().len(), 1);
    let late = tokio::time::Instant::now();
    assert!(!observer.reaches(&backend, &all, late).await, "its bound is kept");
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_reached_is_asked_last_in_the_next_round_and_not_at_all_in_a_burst() {
    let world = World::new();
    world.are(Nature::Gone, 0..4);
    let (settings, clock) = (settings(6), || world.now());
    let rng = rng();
    let observer = Observer::new(&settings, &world, &world, &clock, &rng);
    let first = observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    assert_eq!(first.members.len(), 8, "the gone are drawn first, and replaced as far as there is somebody");
    world.primary_dies.set(Some(world.now()));
    let began = world.now();
    let burst = Ask { pace: Pace::Burst(TIMEOUT / 3), ..at_once(&world) };
    let second = observer.round(draw(8), &targets(3), burst, &outlook).await;
    assert_eq!(judged(&second).verdict, Verdict::Down);
    assert_eq!(second.members.len(), 4, "the gone are not asked");
    assert!(second.ended.saturating_sub(began) < LOGIN * 4, "nor waited for");
    world.logins.borrow_mut().clear();
    let third = observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    let hosts: Vec<&str> = third.members.iter().map(|one| one.backend.host.as_str()).take(4).collect();
    assert_eq!(hosts, ["b4", "b5", "b6", "b7"], "those who answer come first");
    assert!(!world.logins.borrow().is_empty(), "and the others have their chance again");
}

#[tokio::test(start_paused = true)]
async fn f066_a_witness_of_the_standbys_own_whose_session_broke_since_is_asked_over_a_new_one() {
    let world = World::new();
    world.are(Nature::BreaksAt(ms(60_000)), 0..1);
    let (settings, clock) = (settings(8), || world.now());
    let rng = rng();
    let observer = Observer::new(&settings, &world, &world, &clock, &rng);
    let hosts = [draw(1).remove(0).backend];
    for at in [ms(0), ms(90_000)] {
        tokio::time::sleep(at.saturating_sub(world.now())).await;
        let heard = RefCell::new(vec![OwnWitness { host: hosts[0].host.clone(), said: Said::Awaited }]);
        observer.own(&hosts, &[target(1), target(2)], at, &heard).await;
        assert_eq!(heard.borrow()[0].said, Said::Reaches(vec![Family::V4]), "at {at:?}");
    }
}
