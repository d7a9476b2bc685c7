//! `watch` in plain scripts, to the millisecond of the virtual clock: when it acts, when it does not, and what it asks of EC2.

use std::time::Duration;

use natwatch::config::Settings;
use natwatch::record::State;

use super::drive::{Played, defaults, play};
use super::memory;
use super::script::{Meddling, Script, Times, secs};

pub(crate) fn played(script: &Script, settings: &Settings, seed: u64) -> Played {
    let folder = tempfile::Builder::new().prefix("natwatch-simulation-").tempdir_in(memory()).unwrap();
    play(script, seed, settings, &folder.path().join("state"), std::env::var_os("NATWATCH_SEED").is_some())
}

/// From the primary's death to the first move that is asked for, over the phases of a second.
fn reactions(interval: f64, span: f64, settings: &Settings) -> Vec<Duration> {
    let mut all =
        reactions_where(&Script { interval: secs(interval), span: secs(span), ..Script::plain(secs(40.0)) }, settings);
    all.sort_unstable();
    all
}

fn reactions_where(script: &Script, settings: &Settings) -> Vec<Duration> {
    (0..60_u32)
        .map(|phase| {
            let dies = secs(20.0 + f64::from(phase) * 0.017);
            let mut script = script.clone();
            script.dead = Times(vec![(dies, script.end)]);
            let played = played(&script, settings, u64::from(phase));
            let first = played.asked.first().unwrap_or_else(|| panic!("phase {phase}: nothing is moved"));
            assert_eq!(played.asked.len(), 2, "one call for each of two subnets");
            first.saturating_sub(dies)
        })
        .collect()
}

#[test]
fn f077_by_the_defaults_the_moves_are_asked_for_within_1_5_s_of_the_primarys_death() {
    let all = reactions(1.0, 0.7, &defaults());
    // A third of a second to the next ping, what is late, the span of 0.7 s, the wait for the last reply, the ways of SSH, and the
    // round trip by which the controls are seen to answer still.
    assert!(all[59] <= secs(1.5) && all[0] >= secs(0.7), "{:?} to {:?}", all[0], all[59]);
    assert!(all[30] <= secs(1.3), "the median is {:?}", all[30]);
}

#[test]
fn f077_where_answers_take_up_to_0_12_s_the_moves_are_asked_for_0_15_s_later() {
    let mut all = reactions_where(&Script { rtt: 0.12, ..Script::plain(secs(40.0)) }, &defaults());
    all.sort_unstable();
    assert!(all[59] <= secs(1.65) && all[30] <= secs(1.45), "{:?} and {:?}", all[30], all[59]);
}

#[test]
fn f077_told_to_be_quick_the_moves_are_asked_for_within_0_75_s() {
    let mut settings = defaults();
    settings.observe.timeout = secs(0.15);
    let all = reactions(0.3, 0.2, &settings);
    assert!(all[59] <= secs(0.75), "{:?}", all[59]);
}

#[test]
fn f101_a_primary_that_pauses_for_up_to_0_7_s_again_and_again_causes_no_takeover() {
    for seed in 0..20 {
        let mut script = Script::plain(secs(600.0));
        let mut at = 15.0 + f64::from(u32::try_from(seed).unwrap()) * 0.05;
        while at < 590.0 {
            script.dead.0.push((secs(at), secs(at + 0.7)));
            at += 4.97;
        }
        let played = played(&script, &defaults(), seed);
        assert!(played.asked.is_empty(), "seed {seed}: {:?}", played.asked);
    }
}

#[test]
fn f101_a_pause_causes_no_takeover_where_packets_are_lost_besides() {
    // A ping that was lost just before the pause would be its first miss, if one were enough.
    for (loss, pause) in [(0.01, 0.5), (0.03, 0.7)] {
        for seed in 0..30 {
            let mut script = Script { loss, ..Script::plain(secs(600.0)) };
            let mut at = 15.0 + f64::from(u32::try_from(seed).unwrap()) * 0.05;
            while at < 590.0 {
                script.dead.0.push((secs(at), secs(at + pause)));
                at += 4.97;
            }
            let played = played(&script, &defaults(), seed);
            assert!(played.asked.is_empty(), "loss {loss}, seed {seed}: {:?}", played.asked);
        }
    }
}

#[test]
fn a_healthy_hour_asks_ec2_only_for_what_is_read_off_the_path_every_five_minutes() {
    let played = played(&Script::plain(secs(3600.0)), &defaults(), 1);
    assert!(played.asked.is_empty());
    // Twelve readings, and the first; each of two describes of tables, one of subnets, of instances and of public addresses.
    assert!((13..=13 * 5).contains(&played.reads), "{} calls", played.reads);
    assert!(played.tally.rounds > 1200, "{} rounds", played.tally.rounds);
}

#[test]
fn f061_when_ec2_comes_back_in_an_outage_the_takeover_follows_within_half_a_minute() {
    let mut script = Script::plain(secs(300.0));
    script.dead = Times(vec![(secs(30.0), script.end)]);
    script.ec2.down = Times(vec![(secs(29.0), secs(200.0))]);
    let played = played(&script, &defaults(), 3);
    let after = played.asked.iter().find(|at| **at >= secs(200.0)).expect("it is tried again");
    assert!(*after <= secs(235.0), "{after:?}");
    // Each attempt asks for two subnets, some of them a few times.
    assert!(played.asked.len() < 120, "{} calls in vain", played.asked.len());
}

#[test]
fn f080_repaired_by_hand_and_dead_again_a_moment_later_it_is_taken_over_again() {
    let mut script = Script::plain(secs(200.0));
    script.dead = Times(vec![(secs(30.0), secs(60.0)), (secs(110.0), script.end)]);
    script.repairs = vec![secs(100.0)];
    let played = played(&script, &defaults(), 4);
    assert_eq!(played.asked.len(), 4, "{:?}", played.asked);
    assert!(played.asked[2] <= secs(111.5), "{:?}", played.asked);
}

#[test]
fn while_it_is_locked_it_watches_the_standby_and_says_when_that_fails_too() {
    let mut script = Script::plain(secs(200.0));
    script.dead = Times(vec![(secs(30.0), script.end)]);
    // Behind the standby by then: nothing comes through.
    script.acl = Some((vec![0, 1], Times(vec![(secs(100.0), script.end)])));
    let played = played(&script, &defaults(), 5);
    assert_eq!(played.asked.len(), 2, "nothing moves a second time");
    let exits = &played.tally.exits;
    assert!(exits[&4] == 1 && exits[&5] > 15, "{exits:?}");
    // Down, and held: again and again, ever more rarely.
    assert!((4..15).contains(&exits[&2]), "{exits:?}");
}

#[test]
fn f058_however_slowly_imds_answers_a_watch_with_a_record_looks_as_often_as_ever() {
    let rounds = |imds: f64| {
        let dead = Times(vec![(secs(30.0), secs(300.0))]);
        played(&Script { dead, imds: secs(imds), ..Script::plain(secs(300.0)) }, &defaults(), 8).tally.rounds
    };
    let (quick, slow) = (rounds(0.0), rounds(1.0));
    assert!(slow + 3 >= quick, "{slow} rounds, and {quick} where it answers at once");
}

#[test]
fn f031_f052_subnets_that_somebody_moved_by_hand_hide_an_outage_for_seconds_and_not_until_ec2_is_read_in_its_turn() {
    let mut script = Script::plain(secs(250.0));
    script.meddling = vec![Meddling { at: secs(60.0), subnet: 1, away: true }];
    script.dead = Times(vec![(secs(100.0), script.end)]);
    let played = played(&script, &defaults(), 6);
    let first = played.asked.first().expect("who reaches by another way clears nobody");
    assert!(*first <= secs(110.0), "{first:?}");
}

#[test]
fn f066_a_subnet_that_came_back_to_the_primary_since_ec2_was_read_is_moved_along() {
    for seed in 0..10 {
        let mut script = Script::plain(secs(400.0));
        // Away when EC2 is read after 300 s and every half minute from then on, and back at home just before the primary dies.
        script.meddling = vec![
            Meddling { at: secs(100.0), subnet: 1, away: true },
            Meddling { at: secs(345.0), subnet: 1, away: false },
        ];
        let dies = secs(347.0);
        script.dead = Times(vec![(dies, script.end)]);
        let played = played(&script, &defaults(), seed);
        assert_eq!(played.asked.len(), 2, "seed {seed}: {:?}", played.asked);
        assert!(played.asked.iter().all(|at| *at <= dies + secs(4.0)), "seed {seed}: {:?}", played.asked);
    }
}

#[test]
fn f066_f085_a_subnet_that_came_back_is_moved_along_where_ipv6_has_another_way_out_of_the_standbys_table() {
    for seed in 0..5 {
        let mut script = Script { dual: true, ..Script::plain(secs(400.0)) };
        script.meddling = vec![
            Meddling { at: secs(100.0), subnet: 1, away: true },
            Meddling { at: secs(345.0), subnet: 1, away: false },
        ];
        let dies = secs(347.0);
        script.dead = Times(vec![(dies, script.end)]);
        // What was read before it came back is all there is to plan by.
        script.ec2.down = Times(vec![(dies, dies + secs(1.5))]);
        let folder = tempfile::Builder::new().prefix("natwatch-simulation-").tempdir_in(memory()).unwrap();
        play(&script, seed, &defaults(), folder.path(), false);
        let record = State::open(&folder.path().join("0")).unwrap().read_record(None).present().unwrap();
        assert_eq!(record.moves.len(), 2, "seed {seed}: {record:?}");
    }
}

#[test]
fn f060_a_subnet_that_ec2_shows_nowhere_when_it_has_just_been_moved_stays_guarded() {
    for (seed, subnets) in (0..10).flat_map(|seed| [(seed, 1), (seed, 2)]) {
        let mut script = Script { subnets, ..Script::plain(secs(200.0)) };
        for (n, backend) in script.backends.iter_mut().enumerate() {
            backend.subnet = n % subnets;
        }
        script.dead = Times(vec![(secs(30.0), script.end)]);
        script.ec2.nowhere = secs(2.0);
        let folder = tempfile::Builder::new().prefix("natwatch-simulation-").tempdir_in(memory()).unwrap();
        let played = play(&script, seed, &defaults(), folder.path(), false);
        assert_eq!(played.asked.len(), subnets, "seed {seed}: {:?}", played.asked);
        let exits = &played.tally.exits;
        // Whoever is behind the standby is asked, and reaches: nothing was ever lost to what EC2 showed for two seconds.
        assert!(exits.get(&4) == Some(&1) && exits[&5] > 15 && !exits.contains_key(&2), "seed {seed}: {exits:?}");
        let known = State::open(&folder.path().join("0")).unwrap().read_guarded().0.unwrap();
        let there = known.subnets.iter().filter(|one| one.on == known.standby && !one.cidrs.is_empty());
        assert_eq!(there.count(), subnets, "seed {seed}: {known:?}");
    }
}

#[test]
fn f006_a_gate_that_has_opened_since_ec2_was_read_holds_no_takeover_up() {
    for seed in 0..20 {
        let mut script = Script::plain(secs(120.0));
        // Five minutes are over after 60 s.
        script.standbys[0].uptime = secs(240.0);
        let dies = secs(70.0);
        script.dead = Times(vec![(dies, script.end)]);
        // What was read a minute ago is all there is to go by.
        script.ec2.down = Times(vec![(dies, dies + secs(1.0))]);
        let played = played(&script, &defaults(), seed);
        assert!(played.asked[0] <= dies + secs(1.5), "seed {seed}: {:?}", played.asked);
    }
}

#[test]
fn f104_as_long_as_ec2_does_not_say_what_is_guarded_no_pass_looks_healthy() {
    let mut script = Script::plain(secs(120.0));
    script.ec2.down = Times(vec![(secs(0.0), script.end)]);
    let played = played(&script, &defaults(), 7);
    let exits = &played.tally.exits;
    // Until the first answer, or none, nothing is known.
    assert!(exits.get(&0).is_none_or(|count| *count <= 5), "{exits:?}");
}

#[test]
fn f028_after_a_moment_in_which_no_backend_could_be_reached_an_outage_is_found_within_seconds() {
    for seed in 0..10 {
        let mut script = Script::plain(secs(120.0));
        // The standby's own interface, say: sessions hang, and who logs in anew finds nobody.
        for backend in &mut script.backends {
            backend.gone = Times(vec![(secs(30.0), secs(36.0))]);
        }
        let dies = secs(40.0);
        script.dead = Times(vec![(dies, script.end)]);
        let played = played(&script, &defaults(), seed);
        let first = played.asked.first().expect("it is found");
        assert!(*first <= dies + secs(6.0), "seed {seed}: {first:?}");
    }
}

#[test]
fn f061_a_primary_that_came_back_while_ec2_gave_no_answer_is_not_taken_over_when_ec2_answers_again() {
    for seed in 0..10 {
        let mut script = Script::plain(secs(120.0));
        script.dead = Times(vec![(secs(30.0), secs(36.0))]);
        script.ec2.down = Times(vec![(secs(29.0), secs(60.0))]);
        let played = played(&script, &defaults(), seed);
        assert!(played.asked.iter().all(|at| *at < secs(48.0)), "seed {seed}: {:?}", played.asked);
    }
}
