//! `status --watch`, seen.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{Backend, Control, ControlFate, Fate, Member, Probe, Round, Testimony};
use crate::report::live::{Rounds, Size, View, occasion, screen, text};
use crate::report::status::Watcher;

const WIDE: Size = Size { columns: 120, lines: 60 };
const SMALL: Size = Size { columns: 80, lines: 24 };

fn target(n: u8) -> Target {
    Target { name: format!("target{n}"), addr: [192, 0, 2, n].into() }
}

/// What a backend said of these targets: the time in ms, or none.
fn member(host: &str, said: &[(u8, Option<u64>)]) -> Member {
    let probe = |(n, ms): &(u8, Option<u64>)| Probe {
        target: target(*n),
        earliest: Duration::ZERO,
        latest: Duration::ZERO,
        fate: ms.map_or(Fate::NoReply, |ms| Fate::Reply { rtt: Duration::from_millis(ms) }),
    };
    Member {
        backend: Backend { host: host.to_owned(), destination: host.to_owned(), addr: None },
        subnet: "subnet-0a".to_owned(),
        witness: vec![Family::V4],
        reached: Vec::new(),
        testimony: Testimony::Probes(said.iter().map(probe).collect()),
    }
}

fn mute(host: &str) -> Member {
    let silence = Silence { reason: SilenceReason::Hung, detail: "no answer by its deadline".to_owned() };
    Member { testimony: Testimony::Silent(silence), ..member(host, &[]) }
}

fn round(members: Vec<Member>) -> Round {
    let control = |n| Control {
        name: target(n).name,
        target: Some(target(n)),
        fate: ControlFate::Good { rtt: Duration::from_micros(800) },
    };
    Round {
        started: Duration::ZERO,
        ended: Duration::from_secs(1),
        limit: Duration::from_secs(5),
        controls: vec![control(1), control(2), control(3)],
        members,
    }
}

/// A round of this verdict, that ended so many seconds after the first one began.
fn judgement(verdict: Verdict, ended: u64, backends: Vec<Judged>) -> Judgement {
    Judgement { verdict, ended: Duration::from_secs(ended), backends, ..down() }
}

fn passed(outcome: Outcome, judgements: Vec<Judgement>) -> Pass {
    Pass { because: "4 of 4 heard backends reach a target".to_owned(), judgements, ..pass(outcome, 0) }
}

fn well(host: &str) -> Judged {
    judged(host, "subnet-0a", BackendVerdict::Reaches)
}

/// Three calm rounds, the last of them now.
fn calm(now: Timestamp) -> Rounds {
    let mut rounds = Rounds::default();
    for (n, ago) in [(1, 6), (2, 3), (3, 0)] {
        let verdict = judgement(Verdict::Healthy, 10 - ago, vec![well("web1"), well("web2")]);
        let at = now - SignedDuration::from_secs(ago.try_into().unwrap());
        let members = vec![member("web1", &[(n, Some(10 + u64::from(n)))]), member("web2", &[(4 - n, Some(2))])];
        rounds.learn(at, &passed(Outcome::Healthy, vec![verdict]), &[round(members)]);
    }
    rounds
}

/// A watch at work and all is well.
fn healthy() -> Status {
    let status = status();
    Status {
        record: Found::Absent,
        watcher: Some(Watcher { pid: 4711, since: status.now - SignedDuration::from_hours(5) }),
        active: Ok(vec![Active {
            subnet: "subnet-0a".parse().unwrap(),
            name: Some("web-a".to_owned()),
            by: Carrier::Primary,
        }]),
        holds: Vec::new(),
        last_round: Some((status.now, passed(Outcome::Healthy, Vec::new()))),
        last_takeover: None,
        notes: Vec::new(),
        ..status
    }
}

fn view<'v>(status: &'v Status, rounds: &'v Rounds) -> View<'v> {
    View { status, asked: Some(status.now - SignedDuration::from_secs(12)), trouble: None, rounds }
}

#[test]
fn all_is_well_on_a_wide_terminal() {
    let status = healthy();
    let rounds = calm(status.now);
    let lines = screen(&view(&status, &rounds), WIDE, TERMINAL);
    assert_eq!(
        lines.join("\n"),
        "\
natwatch  2026-03-01T12:00:00Z  watch at work for 5 h (process 4711)
healthy: 4 of 4 heard backends reach a target (now)

Rounds  ...
        . healthy  d degraded  D down  i isolated  ? unheard  T subnets moved

Subnets  by EC2 (12 s ago)
  subnet-0a (web-a)  primary

Panel  by target: see below
                   1       2       3
  web1  subnet-0a  11 ms   12 ms   13 ms   reaches
  web2  subnet-0a  2.0 ms  2.0 ms  2.0 ms  reaches

Targets
  1  target1 (192.0.2.1)  answers this standby in 0.8 ms
  2  target2 (192.0.2.2)  answers this standby in 0.8 ms
  3  target3 (192.0.2.3)  answers this standby in 0.8 ms"
    );
    // In a pipe it is the same.
    assert_eq!(text(&view(&status, &rounds), Style::PLAIN), lines.join("\n") + "\n");
}

/// The primary has died, and was taken over.
fn taken_over() -> (Status, Rounds) {
    let status = Status { watcher: healthy().watcher, ..status() };
    let mut rounds = calm(status.now - SignedDuration::from_secs(2));
    let cut_off = |host| judged(host, "subnet-0a", BackendVerdict::CutOff);
    let moved = Pass {
        moves: vec![step("subnet-0a", MoveResult::Moved, Verification::Verified)],
        ..passed(
            Outcome::TakenOver,
            vec![
                judgement(Verdict::Degraded, 11, vec![cut_off("web2"), well("web1")]),
                judgement(
                    Verdict::Down,
                    12,
                    vec![cut_off("web2"), well("web1"), silent("web3", SilenceReason::Hung, "x")],
                ),
            ],
        )
    };
    let members = vec![member("web2", &[(1, None), (2, None)]), member("web1", &[(1, Some(9))]), mute("web3")];
    rounds.learn(status.now, &moved, &[round(Vec::new()), round(members)]);
    (Status { last_round: Some((status.now, moved)), ..status }, rounds)
}

#[test]
fn a_takeover_is_seen_with_the_worst_first() {
    let (status, rounds) = taken_over();
    let text = screen(&view(&status, &rounds), WIDE, TERMINAL).join("\n");
    assert_eq!(
        text,
        "\
natwatch  2026-03-01T12:00:00Z  watch at work for 5 h (process 4711)
taken-over: 4 of 4 heard backends reach a target (now)
locked (taken) since 2026-03-01T09:00:00Z (3 h ago)
last takeover: taken-over, 2026-03-01T09:00:00Z (3 h ago): 1 change moved, in 2.1 s: 3 of 4 heard backends are cut off

Rounds  ...dDT
        . healthy  d degraded  D down  i isolated  ? unheard  T subnets moved

A takeover would be held now
  locked: taken over 3 h ago
    natwatch failback

Subnets  by EC2 (12 s ago)
  subnet-0c          another table, rtb-0c
  subnet-0d          the VPC's main table
  subnet-0a (web-a)  standby
  subnet-0b          primary

Panel  by target: see below
                   1       2       3
  web2  subnet-0a  missed  missed  2.0 ms  cut off
  web3  subnet-0a  -       -       -       silent: hung: x
  web1  subnet-0a  9.0 ms  12 ms   13 ms   reaches

Targets
  1  target1 (192.0.2.1)  answers this standby in 0.8 ms
  2  target2 (192.0.2.2)  answers this standby in 0.8 ms
  3  target3 (192.0.2.3)  answers this standby in 0.8 ms

Notes
  guarded.json can't be used"
    );
}

#[test]
fn a_small_terminal_is_never_overrun_and_what_is_left_out_is_counted() {
    let (mut status, mut rounds) = taken_over();
    let mut active = Vec::new();
    for n in 0..300 {
        let by = if n == 250 { Carrier::Standby } else { Carrier::Primary };
        active.push(Active { subnet: format!("subnet-{n:017x}").parse().unwrap(), name: Some("a".repeat(n)), by });
    }
    status.active = Ok(active);
    let members = (0..100).map(|n| member(&format!("host{n:02}"), &[(1, (n != 77).then_some(n))])).collect();
    let later = status.now + SignedDuration::from_secs(1);
    rounds.learn(later, &passed(Outcome::Healthy, Vec::new()), &[round(members)]);
    let lines = screen(&view(&status, &rounds), SMALL, TERMINAL);
    assert!(lines.len() <= SMALL.lines, "{lines:#?}");
    assert_eq!(
        lines[8..],
        [
            "A takeover would be held now",
            "  locked: taken over 3 h ago",
            "    natwatch failback",
            "Subnets  by EC2 (12 s ago)",
            "  subnet-000000000000000fa (aaaaaaaaaaaaaaaaaa…  standby",
            "  subnet-00000000000000000 ()                    primary",
            "  and 298 more",
            "Panel  by target: see below",
            "                     1       2       3",
            "  web2    subnet-0a  missed  missed  2.0 ms  cut off",
            "  and 102 more",
            "Targets",
            "  1  target1 (192.0.2.1)  answers this standby in 0.8 ms",
            "  and 2 more",
            "Notes",
            "  guarded.json can't be used",
        ]
    );
    for columns in 0..100 {
        for lines in 0..40 {
            let shown = screen(&view(&status, &rounds), Size { columns, lines }, Style { ascii: true, ..TERMINAL });
            assert!(shown.len() <= lines, "{columns} x {lines}");
            let long = shown.iter().find(|line| line.len() > columns.max(1));
            assert_eq!(long, None, "{columns} x {lines}");
        }
    }
}

#[test]
fn f061_what_is_not_known_is_said() {
    let rounds = Rounds::default();
    let new =
        Status { watcher: None, last_round: None, active: Err("EC2 has not answered yet".to_owned()), ..healthy() };
    let shown = text(&View { asked: None, ..view(&new, &rounds) }, Style::PLAIN);
    assert!(shown.contains("\n\nSubnets\n  EC2 has not answered yet\n"), "{shown}");
    assert!(
        shown.starts_with("natwatch  2026-03-01T12:00:00Z  no watch is at work\nno round is on record yet\n"),
        "{shown}"
    );
    assert!(!shown.contains("Panel") && !shown.contains("Targets"), "{shown}");

    let never = Status { active: Err("DescribeRouteTables: timed out".to_owned()), ..healthy() };
    let shown = text(&view(&never, &rounds), Style::PLAIN);
    assert!(shown.contains("  EC2 could not be asked: DescribeRouteTables: timed out\n"), "{shown}");

    // What it said before is shown with its age.
    let status = healthy();
    let shown = text(&View { trouble: Some("timed out"), ..view(&status, &rounds) }, Style::PLAIN);
    let expected =
        "Subnets  by EC2 (12 s ago)\n  EC2 could not be asked since: timed out\n  subnet-0a (web-a)  primary\n";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn what_ec2_said_before_a_takeover_is_not_passed_off_as_news() {
    let (status, rounds) = taken_over();
    let at = |hours| Some(status.now - SignedDuration::from_hours(hours));
    let shown = |asked| text(&View { asked, ..view(&status, &rounds) }, Style::PLAIN);
    let older = "Subnets  by EC2 (4 h ago)  older than what was moved last\n";
    assert!(shown(at(4)).contains(older), "{}", shown(at(4)));
    assert!(shown(at(2)).contains("Subnets  by EC2 (2 h ago)\n"), "{}", shown(at(2)));
}

#[test]
fn f004_a_watch_that_has_told_nothing_for_long_is_said_to_hang() {
    let hangs = "the watch has told nothing since: does it hang?";
    let rounds = Rounds::default();
    let shown = |ago: i64, watcher: Option<i64>| {
        let status = healthy();
        let since = |ago| status.now - SignedDuration::from_secs(ago);
        let status = Status {
            watcher: watcher.map(|ago| Watcher { pid: 1, since: since(ago) }),
            last_round: Some((since(ago), passed(Outcome::Healthy, Vec::new()))),
            ..status.clone()
        };
        screen(&view(&status, &rounds), WIDE, Style { colour: true, ..TERMINAL }).join("\n")
    };
    let fresh = shown(70, Some(9_000));
    assert!(!fresh.contains(hangs) && fresh.contains("\x1b[32mhealthy\x1b[0m: "), "{fresh}");
    // What it said is no longer painted as if it were so.
    let old = shown(80, Some(9_000));
    assert!(old.contains(&format!("\x1b[31m{}", &hangs[..4])) && !old.contains("\x1b[32mhealthy"), "{old}");
    assert!(old.contains("healthy: 4 of 4 heard backends reach a target (80 s ago)"), "{old}");
    // One that has just begun has had no time, and without a watch nobody is late.
    assert!(!shown(9_000, Some(10)).contains("does"));
    assert!(!shown(9_000, None).contains("does"));
}

#[test]
fn rounds_are_taken_in_once_with_the_worst_of_their_families_and_gaps_are_seen() {
    let status = healthy();
    let mut rounds = Rounds::default();
    let strip = |rounds: &Rounds| {
        let text = text(&view(&status, rounds), Style::PLAIN);
        text.lines().find_map(|line| line.strip_prefix("Rounds  ")).unwrap().to_owned()
    };
    let six = |one: Judgement| Judgement { family: Family::V6, ..one };
    let two = passed(
        Outcome::Degraded,
        vec![
            judgement(Verdict::Healthy, 1, Vec::new()),
            six(judgement(Verdict::Down, 1, Vec::new())),
            judgement(Verdict::Isolated, 2, Vec::new()),
            six(judgement(Verdict::Unheard, 2, Vec::new())),
        ],
    );
    let at = |seconds| status.now + SignedDuration::from_secs(seconds);
    rounds.learn(at(0), &two, &[]);
    rounds.learn(at(0), &two, &[]);
    assert_eq!(strip(&rounds), "Di");
    let one = |verdict| passed(Outcome::Healthy, vec![judgement(verdict, 1, Vec::new())]);
    rounds.learn(at(3), &one(Verdict::Unheard), &[]);
    rounds.learn(at(90), &one(Verdict::Degraded), &[]);
    assert_eq!(strip(&rounds), "Di? d");
    for second in 91..400 {
        rounds.learn(at(second), &one(Verdict::Healthy), &[]);
    }
    assert_eq!(strip(&rounds), ".".repeat(60), "the newest ones");
    // A dry run has moved nothing.
    let moves = vec![step("subnet-0a", MoveResult::Moved, Verification::Verified)];
    let dry = Pass { moves, dry_run: true, ..one(Verdict::Down) };
    rounds.learn(at(401), &dry, &[]);
    assert!(strip(&rounds).ends_with("..D"));
}

#[test]
fn of_each_member_the_last_that_is_known_is_shown_for_a_minute() {
    let status = healthy();
    let mut rounds = Rounds::default();
    let at = |seconds| status.now + SignedDuration::from_secs(seconds);
    let row = |rounds: &Rounds, host: &str| {
        let text = text(&view(&status, rounds), Style::PLAIN);
        text.lines().find(|line| line.contains(host)).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut learn = |second, members, judged| {
        let pass = passed(Outcome::Healthy, vec![judgement(Verdict::Healthy, 1, judged)]);
        rounds.learn(at(second), &pass, &[round(members)]);
        row(&rounds, "web1")
    };
    let said = learn(0, vec![member("web1", &[(1, Some(12))])], vec![well("web1")]);
    assert_eq!(said.as_deref(), Some("web1 subnet-0a 12 ms - - reaches"));
    let said = learn(3, vec![mute("web1")], vec![silent("web1", SilenceReason::Hung, "no answer")]);
    assert_eq!(said.as_deref(), Some("web1 subnet-0a 12 ms - - silent: hung: no answer"));
    let said = learn(6, vec![member("web1", &[(1, None), (2, Some(7))])], vec![well("web1")]);
    assert_eq!(said.as_deref(), Some("web1 subnet-0a missed 7.0 ms - reaches"));
    let said = learn(66, vec![member("web2", &[])], vec![well("web2")]);
    assert!(said.is_some());
    assert_eq!(learn(67, vec![member("web2", &[])], vec![well("web2")]), None);
}

#[test]
fn in_a_pipe_only_news_are_another_occasion() {
    let status = healthy();
    let rounds = calm(status.now);
    let before = occasion(&view(&status, &rounds));
    let differs = |status: &Status, rounds: &Rounds| occasion(&view(status, rounds)) != before;

    // Time goes by, another round by others who are well, and another time.
    let mut later = calm(status.now);
    let at = status.now + SignedDuration::from_secs(3);
    let pass = passed(Outcome::Healthy, vec![judgement(Verdict::Healthy, 20, vec![well("web9")])]);
    later.learn(at, &pass, &[round(vec![member("web9", &[(1, Some(99))])])]);
    let same = Status { now: at, last_round: Some((at, Pass { elapsed: Duration::ZERO, ..pass })), ..status.clone() };
    assert!(!differs(&same, &later));

    let mut missed = calm(status.now);
    missed.learn(at, &passed(Outcome::Healthy, Vec::new()), &[round(vec![member("web9", &[(1, None)])])]);
    assert!(differs(&same, &missed));
    let mut unwell = calm(status.now);
    unwell.learn(
        at,
        &passed(Outcome::Healthy, Vec::new()),
        &[Round {
            controls: vec![Control { name: "t".to_owned(), target: None, fate: ControlFate::NoReply }],
            ..round(Vec::new())
        }],
    );
    assert!(differs(&same, &unwell));
    let (last, pass) = status.last_round.clone().unwrap();
    let down = Pass { outcome: Outcome::Down, ..pass };
    for (what, other) in [
        ("verdict", Status { last_round: Some((last, down)), ..status.clone() }),
        ("watch", Status { watcher: None, ..status.clone() }),
        ("hangs", Status { now: status.now + SignedDuration::from_secs(80), ..status.clone() }),
        ("record", Status { record: self::status().record, ..status.clone() }),
        ("places", Status { active: self::status().active, ..status.clone() }),
        ("gates", Status { holds: self::status().holds, ..status.clone() }),
        ("notes", Status { notes: vec!["x".to_owned()], ..status.clone() }),
    ] {
        assert!(differs(&other, &rounds), "{what}");
    }
    assert_ne!(occasion(&View { trouble: Some("x"), ..view(&status, &rounds) }), before);
}

#[test]
fn f095_a_view_has_colours_only_where_they_are_wanted_and_they_take_no_room() {
    let (status, rounds) = taken_over();
    let plain = screen(&view(&status, &rounds), SMALL, TERMINAL);
    let coloured = screen(&view(&status, &rounds), SMALL, Style { colour: true, ..TERMINAL });
    assert!(plain.iter().all(|line| !line.contains('\x1b')));
    let bare: Vec<String> = coloured
        .iter()
        .map(|line| {
            line.split('\x1b')
                .enumerate()
                .map(|(n, one)| if n == 0 { one } else { one.split_once('m').unwrap().1 })
                .collect()
        })
        .collect();
    assert_eq!(bare, plain);
    assert!(coloured.concat().contains("\x1b[31mmissed\x1b[0m"));
}

#[test]
fn f035_escapes_from_outside_reach_no_view() {
    let evil = "\x1b[2J\r\nx\u{202e}\u{7}";
    let (mut status, mut rounds) = taken_over();
    status.name = evil.to_owned();
    status.notes = vec![evil.to_owned()];
    status.holds[0].why = evil.to_owned();
    status.holds[0].remedy = evil.to_owned();
    status.last_takeover.as_mut().unwrap().because = evil.to_owned();
    status.paused = Some(Paused { until: status.now, reason: evil.to_owned() });
    let mut pass = status.last_round.clone().unwrap().1;
    pass.because = evil.to_owned();
    pass.notes = vec![evil.to_owned()];
    status.last_round = Some((status.now, pass.clone()));
    for one in status.active.as_mut().unwrap() {
        one.name = Some(evil.to_owned());
    }
    let name = Target { name: evil.to_owned(), addr: [192, 0, 2, 9].into() };
    let mut asked = round(vec![member(evil, &[(1, Some(1))]), mute("mute"), mute("other")]);
    asked.members[0].subnet = evil.to_owned();
    asked.members[1].testimony = Testimony::Silent(Silence { reason: SilenceReason::Other, detail: evil.to_owned() });
    asked.controls[0] =
        Control { name: evil.to_owned(), target: Some(name), fate: ControlFate::NotAsked(evil.to_owned()) };
    asked.controls[1] = Control { name: evil.to_owned(), target: None, fate: ControlFate::NoReply };
    rounds.learn(status.now + SignedDuration::from_secs(1), &pass, &[asked]);
    let corrupt = Found::Corrupt { path: "/s".into(), why: evil.to_owned() };
    let refused = Status { active: Err(evil.to_owned()), record: corrupt, ..status.clone() };
    for status in [&status, &refused] {
        let view = View { trouble: Some(evil), ..view(status, &rounds) };
        let mut outputs = screen(&view, WIDE, TERMINAL);
        outputs.extend(screen(&view, SMALL, TERMINAL));
        outputs.extend(text(&view, TERMINAL).lines().map(str::to_owned));
        for line in outputs {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
        assert!(text(&view, TERMINAL).matches("u{1b}").count() > 5);
    }
}

#[test]
fn ids_are_seen_with_their_names_wherever_they_stand() {
    let mut status = healthy();
    status.names.learn("subnet-0a", Some("web-a"));
    status.active = Err("rtb-0a does not exist".to_owned());
    status.names.learn("rtb-0a", Some("by nat1"));
    let rounds = calm(status.now);
    for seen in
        [text(&view(&status, &rounds), Style::PLAIN), screen(&view(&status, &rounds), WIDE, TERMINAL).join("\n")]
    {
        for said in ["web1  subnet-0a (web-a)  11 ms", "could not be asked: rtb-0a (by nat1) does not exist"] {
            assert!(seen.contains(said), "{said} in {seen}");
        }
    }
    let trouble = View { trouble: Some("rtb-0a: no answer"), ..view(&status, &rounds) };
    assert!(text(&trouble, Style::PLAIN).contains("since: rtb-0a (by nat1): no answer"));
}
