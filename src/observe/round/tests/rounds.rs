//! One round: who is asked what, when it ends, and what it amounts to.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{ControlFate, Fate, Member, Round, SilenceReason, Testimony, Verdict};
use crate::observe::tests::fakes::*;
use crate::observe::{Ask, Pace};

/// Login, command, round trip.
const REACHED: Duration = ms(230);
/// Login, and two pings missed one after the other.
const CUT_OFF: Duration = ms(820);

fn probes(member: &Member) -> &[crate::model::Probe] {
    match &member.testimony {
        Testimony::Probes(probes) => probes,
        other => panic!("{} gave {other:?}", member.backend.host),
    }
}

/// Those that were heard before the round was settled.
fn heard(round: &Round) -> Vec<&Member> {
    let heard: Vec<_> = round.members.iter().filter(|one| matches!(one.testimony, Testimony::Probes(_))).collect();
    assert!(heard.len() >= 5, "more than half of eight settle a round: {heard:?}");
    heard
}

fn reason(member: &Member) -> Option<SilenceReason> {
    match &member.testimony {
        Testimony::Silent(silence) => Some(silence.reason),
        _ => None,
    }
}

fn outage(world: &World) {
    world.primary_dies.set(Some(ms(0)));
}

fn verdict(round: &Round) -> Verdict {
    judged(round).verdict
}

#[tokio::test(start_paused = true)]
async fn a_healthy_round_sends_one_ping_per_member_and_one_control_per_target() {
    let world = World::new();
    let round = one_round(&world, 8, 20, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).reaches), (Verdict::Healthy, 8));
    assert_eq!(round.ended, REACHED);
    for n in 0..20 {
        assert_eq!(world.pings_of(n), usize::from(n < 8), "b{n}");
    }
    assert_eq!(world.controls.borrow().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn f028_f102_a_black_holed_member_does_not_hold_up_a_healthy_round() {
    let world = World::new();
    world.are(Nature::Gone, [3]);
    let round = one_round(&world, 8, 20, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).reaches), (Verdict::Healthy, 7));
    assert_eq!(round.ended, REACHED);
    assert_eq!(round.members[3].testimony, Testimony::Awaited);
}

#[tokio::test(start_paused = true)]
async fn f102_a_black_holed_member_does_not_hold_up_a_takeover() {
    let world = World::new();
    outage(&world);
    world.are(Nature::Gone, [0]);
    let round = one_round(&world, 8, 20, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).cut_off >= 5), (Verdict::Down, true));
    assert_eq!(round.ended, CUT_OFF);
}

#[tokio::test(start_paused = true)]
async fn f099_f102_a_login_of_ten_seconds_does_not_hold_up_a_takeover() {
    let world = World::new();
    outage(&world);
    world.are(Nature::Slow(ms(9900)), [0, 1, 2]);
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).cut_off), (Verdict::Down, 5));
    assert_eq!(round.ended, CUT_OFF);
}

#[tokio::test(start_paused = true)]
async fn f099_logins_of_ten_seconds_are_still_heard() {
    let world = World::new();
    outage(&world);
    world.are(Nature::Slow(ms(9900)), 0..8);
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    assert_eq!(verdict(&round), Verdict::Down);
    assert!(!judged(&round).stale);
}

#[tokio::test(start_paused = true)]
async fn f032_a_backend_that_hangs_after_its_login_is_silent_by_its_own_deadline() {
    let world = World::new();
    world.are(Nature::Hangs, [0, 1]);
    let round = one_round(&world, 3, 3, 3, at_once(&world)).await;
    assert_eq!(verdict(&round), Verdict::Unheard);
    assert_eq!(
        (reason(&round.members[0]), reason(&round.members[1])),
        (Some(SilenceReason::Hung), Some(SilenceReason::Hung))
    );
    assert_eq!(round.ended, LOGIN + TIMEOUT + ms(3000));
}

#[tokio::test(start_paused = true)]
async fn f032_a_backend_that_hangs_holds_up_a_healthy_round_no_longer_than_two_pings_may_take() {
    let world = World::new();
    world.are(Nature::Hangs, [0]);
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    assert_eq!(verdict(&round), Verdict::Healthy);
    assert_eq!(round.ended, LOGIN + TIMEOUT * 2 + ms(500));
}

#[tokio::test(start_paused = true)]
async fn f032_a_backend_that_hangs_does_not_hold_up_a_takeover() {
    let world = World::new();
    outage(&world);
    world.are(Nature::Hangs, [0]);
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), round.ended), (Verdict::Down, CUT_OFF));
}

#[tokio::test(start_paused = true)]
async fn the_silent_are_replaced_until_the_panel_is_heard() {
    let world = World::new();
    world.are(Nature::Refuses, 0..6);
    let round = one_round(&world, 8, 40, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).reaches, judged(&round).silent), (Verdict::Healthy, 8, 6));
    assert_eq!(round.members.len(), 14, "and no more than it takes");
}

#[tokio::test(start_paused = true)]
async fn the_last_silent_member_is_replaced_before_the_round_is_called_settled() {
    let world = World::new();
    outage(&world);
    world.are(Nature::Gone, [2]);
    let round = one_round(&world, 3, 4, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).cut_off), (Verdict::Down, 3));
}

#[tokio::test(start_paused = true)]
async fn the_silent_are_replaced_until_the_pool_is_empty() {
    let world = World::new();
    world.are(Nature::Refuses, 0..38);
    let round = one_round(&world, 8, 40, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).reaches, judged(&round).silent), (Verdict::Unheard, 2, 38));
}

#[tokio::test(start_paused = true)]
async fn who_is_no_witness_and_misses_is_replaced_too() {
    let world = World::new();
    outage(&world);
    let settings = settings(3);
    let clock = || world.now();
    let rng = rng();
    let observer = crate::observe::Observer::new(&settings, &world, &world, &clock, &rng);
    let mut drawn = draw(6);
    for newcomer in &mut drawn[..3] {
        newcomer.witness.clear();
    }
    let outlook = |round: &Round| crate::decide::outlook(round, &rules());
    let round = observer.round(drawn, &targets(3), at_once(&world), &outlook).await;
    assert_eq!((verdict(&round), judged(&round).cut_off), (Verdict::Down, 3));
}

#[tokio::test(start_paused = true)]
async fn after_a_miss_the_other_good_targets_are_asked_at_once_and_no_others() {
    let world = World::new();
    outage(&world);
    world.target_dies(4, ms(0));
    // Login, so that the controls are long known when the first miss is in.
    let round = one_round(&world, 8, 8, 4, at_once(&world)).await;
    assert_eq!(verdict(&round), Verdict::Down);
    for (n, member) in heard(&round).into_iter().enumerate() {
        let probes = probes(member);
        let (first, rest) = probes.split_first().unwrap();
        assert!(rest.iter().all(|probe| probe.target != target(4)), "a target that is not good is not asked again");
        assert_eq!(rest.len(), if first.target == target(4) { 4 } else { 3 }, "b{n}");
        let others = rest.iter().filter(|probe| probe.target != first.target);
        assert!(others.count() >= 2, "b{n}: those not asked yet come first");
        assert!(rest.iter().all(|probe| probe.earliest == LOGIN + SSH + TIMEOUT), "b{n}: all at once: {rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f018_a_draw_of_a_dead_target_is_made_good_by_another() {
    let world = World::new();
    world.target_dies(1, ms(0));
    world.target_dies(2, ms(0));
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).reaches), (Verdict::Healthy, 8));
}

#[tokio::test(start_paused = true)]
async fn f100_a_burst_asks_one_target_and_others_where_it_has_no_answer_in_a_third_of_the_timeout() {
    let world = World::new();
    let burst = || Ask { pace: Pace::Burst(TIMEOUT / 3), ..at_once(&world) };
    let well = one_round(&world, 8, 8, 6, burst()).await;
    assert_eq!(verdict(&well), Verdict::Healthy);
    assert_eq!(world.pings.borrow().len(), 8, "whoever is answered sends no more");
    outage(&world);
    let began = world.now();
    let round = one_round(&world, 8, 8, 6, burst()).await;
    let third = TIMEOUT / 3;
    assert_eq!(
        (verdict(&round), round.ended.saturating_sub(began)),
        (Verdict::Down, LOGIN + third + SSH + TIMEOUT + RTT),
        "the controls' second word is awaited"
    );
    for member in heard(&round) {
        let sent: Vec<_> = probes(member).iter().map(|probe| probe.earliest.saturating_sub(began)).collect();
        assert_eq!(sent, [LOGIN, LOGIN + third, LOGIN + third, LOGIN + third]);
    }
}

#[tokio::test(start_paused = true)]
async fn f022_whoever_is_cut_off_missed_four_pings_of_good_targets_however_few_there_are() {
    let paces = [Pace::Calm, Pace::Burst(TIMEOUT / 3), Pace::AtOnce];
    for (count, pace) in [2, 3, 8].into_iter().flat_map(|count| paces.map(|pace| (count, pace))) {
        let world = World::new();
        outage(&world);
        world.target_dies(3, ms(0));
        let round = one_round(&world, 8, 8, count, Ask { pace, ..at_once(&world) }).await;
        assert_eq!(verdict(&round), Verdict::Down, "{count} targets");
        for member in heard(&round) {
            let counted = probes(member).iter().filter(|probe| probe.target != target(3)).count();
            assert_eq!(counted, 4, "{count} targets, {pace:?}: {:?}", probes(member));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_asks_nothing_of_a_target_that_was_not_good_a_round_ago() {
    let world = World::new();
    outage(&world);
    world.target_dies(3, ms(0));
    let (settings, clock, rng) = (settings(8), || world.now(), rng());
    let observer = crate::observe::Observer::new(&settings, &world, &world, &clock, &rng);
    let outlook = |round: &Round| crate::decide::outlook(round, &rules());
    observer.round(draw(8), &targets(3), at_once(&world), &outlook).await;
    let before = world.pings.borrow().len();
    let ask = Ask { pace: Pace::Burst(TIMEOUT / 3), ..at_once(&world) };
    let round = observer.round(draw(8), &targets(3), ask, &outlook).await;
    assert_eq!(verdict(&round), Verdict::Down);
    assert!(world.pings.borrow()[before..].iter().all(|seen| seen.target != target(3).addr));
}

#[tokio::test(start_paused = true)]
async fn the_controls_are_asked_again_once_after_the_first_miss() {
    let world = World::new();
    outage(&world);
    world.target_dies(3, ms(0));
    one_round(&world, 8, 8, 3, at_once(&world)).await;
    let asked: Vec<_> = world.controls.borrow().iter().map(|seen| (seen.at, seen.target)).collect();
    let second = LOGIN + SSH + TIMEOUT;
    assert_eq!(
        asked,
        [
            (ms(0), target(1).addr),
            (ms(0), target(2).addr),
            (ms(0), target(3).addr),
            (second, target(1).addr),
            (second, target(2).addr),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn f019_the_internet_dying_in_mid_round_is_isolated_and_nobodys_fault() {
    for pace in [Pace::Calm, Pace::Burst(TIMEOUT / 3), Pace::AtOnce] {
        let world = World::new();
        for n in 1..=3 {
            world.target_dies(n, ms(150));
        }
        let round = one_round(&world, 8, 8, 3, Ask { pace, ..at_once(&world) }).await;
        assert_eq!((verdict(&round), judged(&round).cut_off), (Verdict::Isolated, 0), "{pace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f019_nothing_is_settled_between_a_miss_and_the_controls_second_word() {
    let world = World::new();
    for n in 1..=3 {
        world.target_dies(n, ms(150));
    }
    let (settings, clock) = (settings(1), || world.now());
    let rng = rng();
    let observer = crate::observe::Observer::new(&settings, &world, &world, &clock, &rng);
    let strict = crate::decide::DecideSettings { threshold: 1, ..rules() };
    let outlook = |round: &Round| crate::decide::outlook(round, &strict);
    let ask = Ask { pace: Pace::Burst(TIMEOUT / 3), ..at_once(&world) };
    let round = observer.round(draw(1), &targets(3), ask, &outlook).await;
    assert_eq!(verdict(&round), Verdict::Isolated, "one backend, and its first misses would be enough");
}

#[tokio::test(start_paused = true)]
async fn f019_controls_whose_second_word_the_end_of_the_round_cut_short_are_not_good() {
    let world = World::new();
    for n in 1..=3 {
        world.target_dies(n, ms(150));
    }
    let until = Instant::now() + ms(900);
    let round = one_round(&world, 8, 8, 3, Ask { until: until - ms(200), ..at_once(&world) }).await;
    assert_eq!(round.ended, ms(700));
    assert!(
        round.controls.iter().all(|control| matches!(control.fate, ControlFate::NotAsked(_))),
        "{:?}",
        round.controls
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_dies_in_mid_round_is_no_longer_good() {
    let world = World::new();
    world.target_dies(1, ms(150));
    let round = one_round(&world, 24, 24, 2, at_once(&world)).await;
    assert_eq!(verdict(&round), Verdict::Healthy);
    let missed = round.members.iter().any(|member| probes(member)[0].fate == Fate::NoReply);
    assert!(missed, "one of 24 draws it");
    assert_eq!(judged(&round).good_targets, 1);
}

#[tokio::test(start_paused = true)]
async fn f013_a_round_ends_at_its_limit_and_its_evidence_is_not_called_old() {
    let world = World::new();
    outage(&world);
    world.are(Nature::Slow(Duration::from_mins(5)), 0..5);
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    let limit = Duration::from_secs(10) + TIMEOUT * 2 + Duration::from_secs(3);
    assert!(round.ended >= limit && round.ended <= limit + ms(5), "{:?}", round.ended);
    assert_eq!((verdict(&round), judged(&round).cut_off), (Verdict::Down, 3), "late answers are silence");
    assert!(!judged(&round).stale, "it ended when it should");
    assert_eq!(round.limit, limit + Duration::from_secs(1), "and a busy standby may notice it a little late");
}

#[tokio::test(start_paused = true)]
async fn f013_a_round_ends_when_the_pass_must() {
    let world = World::new();
    world.are(Nature::Slow(Duration::from_mins(5)), 0..8);
    let until = Instant::now() + ms(1500);
    let round = one_round(&world, 8, 8, 3, Ask { until, ..at_once(&world) }).await;
    assert_eq!((verdict(&round), round.ended), (Verdict::Unheard, ms(1500)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_its_time_but_sessions_are_opened_meanwhile() {
    let world = World::new();
    let round = one_round(&world, 8, 8, 3, Ask { not_before: ms(1000), ..at_once(&world) }).await;
    assert_eq!((round.started, round.ended), (ms(1000), ms(1000) + SSH + RTT));
    assert!(world.controls.borrow().iter().all(|seen| seen.at == ms(1000)));
    assert!(world.pings.borrow().iter().all(|seen| seen.at == ms(1000) + SSH));
    assert!(round.members.iter().all(|member| probes(member)[0].earliest >= ms(1000)));
}

#[tokio::test(start_paused = true)]
async fn a_panel_of_zero_asks_all() {
    let world = World::new();
    let round = one_round(&world, 0, 60, 3, at_once(&world)).await;
    assert_eq!((round.members.len(), judged(&round).reaches), (60, 60));
}

#[tokio::test(start_paused = true)]
async fn a_few_that_are_cut_off_among_many_that_reach_are_seen() {
    let world = World::new();
    world.primary_dies.set(Some(ms(225)));
    // Those who log in later than the others find it dead; the round waits for their pings.
    world.are(Nature::Slow(ms(220)), [6, 7]);
    let round = one_round(&world, 8, 8, 2, at_once(&world)).await;
    assert_eq!((verdict(&round), judged(&round).reaches, judged(&round).cut_off), (Verdict::Degraded, 6, 2));
}

#[tokio::test(start_paused = true)]
async fn f020_without_a_target_that_resolves_the_round_is_isolated_at_once_and_nobody_is_asked() {
    let world = World::new();
    let settings = settings(8);
    let clock = || world.now();
    let rng = rng();
    let observer = crate::observe::Observer::new(&settings, &world, &world, &clock, &rng);
    let unresolved = vec![("one.example".to_owned(), Err("one.example does not resolve".to_owned()))];
    let outlook = |round: &Round| crate::decide::outlook(round, &rules());
    let round = observer.round(draw(8), &unresolved, at_once(&world), &outlook).await;
    assert_eq!((verdict(&round), round.ended), (Verdict::Isolated, ms(0)));
    assert!(world.pings.borrow().is_empty());
    assert!(judged(&round).because.contains("one.example does not resolve"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_was_sent_between_the_moments_it_says() {
    let world = World::new();
    outage(&world);
    let round = one_round(&world, 8, 8, 3, at_once(&world)).await;
    for member in heard(&round) {
        let probe = &probes(member)[0];
        assert_eq!((probe.earliest, probe.latest), (LOGIN, LOGIN + SSH), "asked, and heard to begin");
        let sent = world.pings.borrow().iter().find(|seen| seen.host == member.backend.host).unwrap().at;
        assert!(probe.earliest <= sent && sent <= probe.latest);
    }
    let judgement = judged(&round);
    assert_eq!((judgement.first_miss, judgement.last_miss), (Some(LOGIN + SSH), Some(LOGIN + SSH + TIMEOUT)));
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_a_router_refused_at_once_is_not_dated_before_it_was_sent() {
    let asked = Instant::now();
    tokio::time::advance(ms(40)).await;
    let begun = Instant::now();
    tokio::time::advance(ms(5)).await;
    let answer = crate::observe::Asked { asked, begun, fate: Fate::NoReply };
    let probe = super::super::member::probe(&target(1), answer, Instant::now(), ms(1045), TIMEOUT);
    assert_eq!((probe.earliest, probe.latest), (ms(1000), ms(1040)));
}
