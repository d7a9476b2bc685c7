//! Two of us in the lab, with real processes: two standbys of one primary that are started together, and a standby that cannot carry
//! its own. Needs root; `make test` runs it so.
//!
//! The second standby is a natwatch of its own name, state folder and route table, whose default route leads to the same machine: what
//! races is processes, their state and EC2's associations, and not the packets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use natwatch_lab::testing::json;
use natwatch_lab::{ApiFault, ApiFaultKind, Fault, Lab, Nat, Options, Outcome, Run, Signal};
use serde_json::Value;

/// Longer than any takeover takes here; a bound, not a measure.
const WITHIN: Duration = Duration::from_secs(30);

const MOVE: &str = "ReplaceRouteTableAssociation";

/// Two rounds without much of a span, everybody asked.
const QUICK: [(&str, &str); 2] = [("decision.run_span", "\"200ms\""), ("backends.panel", "0")];

fn raise(subnets: usize, backends: usize) -> Lab {
    let natwatch = PathBuf::from(env!("CARGO_BIN_EXE_natwatch"));
    Lab::up(&Options { natwatch, subnets, backends, traffic: false, ..Options::default() }).unwrap()
}

/// The text of the first element `name`.
fn element<'x>(xml: &'x str, name: &str) -> &'x str {
    xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<')).unwrap().0
}

/// A pair of standbys: the lab's own, and one beside it.
struct Pair {
    lab: Lab,
    /// By the table that each takes subnets to: its configuration and its name.
    standbys: [(String, PathBuf, &'static str); 2],
}

impl Pair {
    fn raise() -> Self {
        let lab = raise(3, 9);
        let made = lab.ec2("CreateRouteTable", &[("VpcId", &lab.ids().vpc)]).unwrap();
        let table = element(&made, "routeTableId").to_owned();
        let way = [("DestinationCidrBlock", "0.0.0.0/0"), ("InstanceId", lab.ids().standby.instance.as_str())];
        lab.ec2("CreateRoute", &[("RouteTableId", &table), way[0], way[1]]).unwrap();
        let (quoted, name) = (format!("\"{table}\""), ("name", "\"rival\""));
        let theirs = lab.configure(&[QUICK[0], QUICK[1], name, ("standby.route_table", &quoted)]).unwrap();
        let rival = theirs.with_file_name("rival.toml");
        fs::copy(&theirs, &rival).unwrap();
        chown(&rival, Some(0), Some(natwatch_lab::UID)).unwrap();
        let ours = lab.configure(&QUICK).unwrap();
        let standbys = [(lab.ids().standby.table.clone(), ours, "natwatch"), (table, rival, "rival")];
        let pair = Self { lab, standbys };
        for (_, config, _) in &pair.standbys {
            for _ in 0..3 {
                let run = pair.lab.command(&["run"]).config(config).run().unwrap();
                assert_eq!(run.status, Some(0), "{run}");
            }
        }
        pair
    }

    /// Where each subnet is, by EC2.
    fn carriers(&self) -> Vec<String> {
        (0..self.lab.ids().subnets.len()).map(|n| self.lab.carrier(n).unwrap()).collect()
    }

    /// Each subnet was moved once, by EC2's own record of calls: as many moves were carried out as there are subnets, each of another
    /// association, and nobody's is left on the primary.
    fn moved_once(&self, said: &str) {
        let calls = self.lab.api().mutations();
        let done = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Lost);
        let mut moves: BTreeMap<&str, usize> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.action == MOVE && done(&call.outcome)) {
            *moves.entry(&call.params["AssociationId"]).or_default() += 1;
        }
        let carriers = self.carriers();
        assert!(moves.values().all(|times| *times == 1), "{moves:?} {calls:?}\n{said}");
        assert_eq!(moves.len(), carriers.len(), "{calls:?}\n{said}");
        assert!(!carriers.contains(&self.lab.ids().primary.table), "{carriers:?}\n{said}");
    }

    /// What a standby says of each subnet that it was to move is so.
    fn says_what_is_so(&self, run: &Run, table: &str) {
        let carriers = self.carriers();
        let subnets: Vec<&str> = self.lab.ids().subnets.iter().map(|one| one.id.as_str()).collect();
        for one in json(run)["moves"].as_array().unwrap() {
            let n = subnets.iter().position(|subnet| one["subnet"] == *subnet).unwrap();
            let there = &carriers[n];
            match one["result"].as_str().unwrap() {
                "moved" | "already-there" => assert_eq!(there, table, "{run}"),
                "elsewhere" => {
                    assert_ne!(there, table, "{run}");
                    assert!(run.stdout.contains(there.as_str()), "the loser says who carries {}: {run}", subnets[n]);
                }
                other => panic!("{other}: {run}"),
            }
        }
    }

    /// Everything is as before the race, but for the associations' ids.
    fn again(&self) {
        self.lab.heal_all().unwrap();
        self.lab.api().disarm(None);
        for n in 0..self.lab.ids().subnets.len() {
            self.lab.associate(n, &self.lab.ids().primary.table).unwrap();
        }
        for (_, config, name) in &self.standbys {
            if self.lab.plan().state().join(name).join("takeover.json").exists() {
                // Forced, as for half a minute EC2 might not show what the one that was killed has moved.
                let run = self.lab.command(&["reset", "--yes", "--force"]).config(config).run().unwrap();
                assert_eq!(run.status, Some(0), "{run}");
            }
        }
        self.lab.api().forget_calls();
    }
}

#[test]
fn f065_two_standbys_race_in_the_lab_and_each_subnet_moves_once() {
    let pair = Pair::raise();
    let mut lost = 0;
    for race in 0..14 {
        pair.again();
        pair.lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
        match race % 4 {
            1 => pair.lab.api().arm(ApiFault::new(ApiFaultKind::Lost).on(MOVE).after(race % 3).times(1)),
            2 => pair.lab.api().arm(ApiFault::new(ApiFaultKind::Throttle).on(MOVE).times(2)),
            3 => pair.lab.api().arm(ApiFault::new(ApiFaultKind::Error500).on(MOVE).after(race % 3).times(2)),
            _ => {}
        }
        let running = pair
            .standbys
            .each_ref()
            .map(|(_, config, _)| pair.lab.command(&["run", "--format", "json"]).config(config).spawn().unwrap());
        let runs = running.map(|run| run.wait(WITHIN).unwrap());
        let said = format!("race {race}\n{}{}", runs[0], runs[1]);
        pair.moved_once(&said);
        let carriers = pair.carriers();
        for (run, (table, ..)) in runs.iter().zip(&pair.standbys) {
            pair.says_what_is_so(run, table);
            // Taken over, all or in part, or nothing left to take; who came after all was done found nothing wrong.
            let expected: &[i32] = if carriers.contains(table) { &[4] } else { &[0, 1, 2] };
            assert!(expected.contains(&run.status.unwrap()), "{said}");
            lost += json(run)["moves"].as_array().unwrap().iter().filter(|one| one["result"] == "elsewhere").count();
        }
    }
    assert!(lost >= 7, "hardly any race was one: {lost} subnets lost to the other");
}

#[test]
fn f065_f068_of_two_standbys_that_race_in_the_lab_one_is_killed_and_the_other_ends_well() {
    let pair = Pair::raise();
    for race in 0..6 {
        pair.again();
        pair.lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
        let running = pair
            .standbys
            .each_ref()
            .map(|(_, config, _)| pair.lab.command(&["run", "-v", "--format", "json"]).config(config).spawn().unwrap());
        // Whoever is the first to be in the middle of its calls, or to be done with one of them.
        let until = if race % 2 == 0 { "; moving 3 subnets" } else { " moved after " };
        let patience = Instant::now() + WITHIN;
        let there = || running.iter().position(|run| run.stderr().contains(until));
        let victim = loop {
            if let Some(victim) = there() {
                break victim;
            }
            assert!(Instant::now() < patience, "race {race}: {} {}", running[0].stderr(), running[1].stderr());
            std::thread::yield_now();
        };
        // It may have come to its end in this very moment.
        let _ = running[victim].kill(Signal::KILL);
        let runs = running.map(|run| run.wait(WITHIN).unwrap());
        let said = format!("race {race}\n{}{}", runs[0], runs[1]);
        let survivor = 1 - victim;
        let (table, ..) = &pair.standbys[survivor];
        pair.says_what_is_so(&runs[survivor], table);
        // The next passes of both, as cron would start them: each knows what it carries, and nobody moves anything again.
        let ends = pair.standbys.each_ref().map(|(_, config, _)| {
            (0..2).map(|_| pair.lab.command(&["run", "--format", "json"]).config(config).run().unwrap()).last().unwrap()
        });
        pair.moved_once(&said);
        let carriers = pair.carriers();
        for (end, (table, _, name)) in ends.iter().zip(&pair.standbys) {
            let record = pair.lab.plan().state().join(name).join("takeover.json");
            if carriers.contains(table) {
                assert_eq!(end.status, Some(5), "{end}{said}");
                let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
                assert_eq!(record["phase"], "taken", "{end}{said}");
            } else {
                assert!([Some(0), Some(1), Some(2)].contains(&end.status), "{end}{said}");
                assert_ne!(json(end)["outcome"], "partial", "{end}{said}");
            }
        }
    }
}

#[test]
fn f066_a_standby_whose_own_witnesses_are_cut_off_takes_nobody_elses() {
    let lab = raise(3, 9);
    // The last subnet is the standby's own; b2, b5 and b8 are in it.
    lab.associate(2, &lab.ids().standby.table).unwrap();
    lab.configure(&[QUICK[0], QUICK[1], ("standby.witnesses", "[\"10.0.12.12\", \"10.0.12.15\"]")]).unwrap();
    for _ in 0..3 {
        let run = lab.natwatch(&["run"]).unwrap();
        assert_eq!(run.status, Some(0), "{run}");
    }
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!((run.status, &json(&run)["gate"]), (Some(2), &"unfit".into()), "{run}");
    assert!(json(&run)["holds"][0]["why"].as_str().unwrap().contains("10.0.12.12 is cut off"), "{run}");
    assert!(lab.api().mutations().is_empty(), "{run}");

    lab.heal(&Fault::MasqueradeGone(Nat::Standby)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    assert_eq!(lab.api().mutations().len(), 2, "its own stays where it is: {run}");
}

#[test]
fn f066_one_witness_of_its_own_that_reaches_is_waited_for_past_one_that_is_silent() {
    let lab = raise(3, 9);
    lab.associate(2, &lab.ids().standby.table).unwrap();
    lab.configure(&[QUICK[0], QUICK[1], ("standby.witnesses", "[\"10.0.12.12\", \"10.0.12.15\"]")]).unwrap();
    for _ in 0..3 {
        assert_eq!(lab.natwatch(&["run"]).unwrap().status, Some(0));
    }
    lab.inject(&Fault::BackendDead(2)).unwrap();
    lab.inject(&Fault::SlowLogin(5, 3)).unwrap();
    lab.inject(&Fault::MasqueradeGone(Nat::Primary)).unwrap();
    let run = lab.natwatch(&["run", "--format", "json"]).unwrap();
    assert_eq!(run.status, Some(4), "{run}");
    assert_eq!(lab.api().mutations().len(), 2, "{run}");
}
