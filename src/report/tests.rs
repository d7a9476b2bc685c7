//! What is printed, letter by letter.

mod explained;
mod live;

use std::io::{self, Write};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::plugin::{self, Check};
use super::status::{Active, Carrier, LastTakeover, Status};
use super::*;
use crate::model::{
    BackendVerdict, Drill, Family, Found, Gap, Gate, Hold, Judged, Judgement, Leg, Names, Outcome, Pass, Paused, Phase,
    PlannedMove, Record, ServiceState, Silence, SilenceReason, Target, Verdict,
};

const TERMINAL: Style = Style { terminal: true, colour: false, ascii: false };

fn judged(host: &str, subnet: &str, verdict: BackendVerdict) -> Judged {
    let target =
        (verdict != BackendVerdict::Silent).then(|| Target { name: "8.8.8.8".to_owned(), addr: [8, 8, 8, 8].into() });
    let rtt = (verdict == BackendVerdict::Reaches).then_some(Duration::from_micros(1_250));
    Judged { host: host.to_owned(), subnet: subnet.to_owned(), verdict, silence: None, target, rtt }
}

fn silent(host: &str, reason: SilenceReason, detail: &str) -> Judged {
    let silence = Silence { reason, detail: detail.to_owned() };
    Judged { silence: Some(silence), ..judged(host, "subnet-0b", BackendVerdict::Silent) }
}

fn down() -> Judgement {
    Judgement {
        family: Family::V4,
        verdict: Verdict::Down,
        because: "3 of 4 heard backends are cut off".to_owned(),
        good_targets: 3,
        reaches: 1,
        cut_off: 3,
        silent: 2,
        backends: vec![
            judged("db1", "subnet-0b", BackendVerdict::Reaches),
            judged("web1", "subnet-0a", BackendVerdict::CutOff),
            judged("web2", "subnet-0a", BackendVerdict::CutOff),
            silent("db2", SilenceReason::SlowLogin, "no login within 10 s"),
            judged("application3", "subnet-0c", BackendVerdict::CutOff),
            silent("db3", SilenceReason::SlowLogin, "no login within 10 s"),
        ],
        cut_off_subnets: vec!["subnet-0a".to_owned()],
        first_miss: Some(Duration::ZERO),
        last_miss: Some(Duration::from_secs(1)),
        started: Duration::ZERO,
        ended: Duration::from_secs(1),
        stale: false,
    }
}

fn step(subnet: &str, result: MoveResult, verification: Verification) -> Move {
    let plan = Change::Association(PlannedMove {
        subnet: subnet.parse().unwrap(),
        name: (subnet == "subnet-0a").then(|| "web-a".to_owned()),
        association: "rtbassoc-0a".parse().unwrap(),
        from: "rtb-0a".parse().unwrap(),
        to: "rtb-0b".parse().unwrap(),
    });
    Move { plan, result, took: Duration::from_millis(312), verification }
}

fn pass(outcome: Outcome, exit: u8) -> Pass {
    Pass {
        outcome,
        exit,
        because: "3 of 4 heard backends are cut off".to_owned(),
        holds: Vec::new(),
        judgements: vec![down()],
        moves: Vec::new(),
        last: crate::model::LastSteps::default(),
        paused: None,
        drill: None,
        elapsed: Duration::from_millis(4_321),
        dry_run: false,
        notes: Vec::new(),
        commands: Vec::new(),
        names: crate::model::Names::new(),
    }
}

fn partial() -> Pass {
    let moves = vec![
        step("subnet-0a", MoveResult::Moved, Verification::Verified),
        step("subnet-0b", MoveResult::Elsewhere("rtb-0c".to_owned()), Verification::Pending),
        step("subnet-0c", MoveResult::Failed("UnauthorizedOperation: not allowed".to_owned()), Verification::Pending),
        step("subnet-0d", MoveResult::AlreadyThere, Verification::Unwitnessed),
    ];
    let commands =
        vec!["aws ec2 replace-route-table-association --association-id rtbassoc-0a --route-table-id rtb-0b".to_owned()];
    Pass {
        moves,
        commands,
        notes: vec!["can't write /x/takeover.json: disk full".to_owned()],
        ..pass(Outcome::Partial, 2)
    }
}

fn held() -> Pass {
    let holds = vec![
        Hold {
            gate: Gate::Unfit,
            why: "ip_forward is 0".to_owned(),
            remedy: "sysctl -w net.ipv4.ip_forward=1".to_owned(),
        },
        Hold { gate: Gate::Booting, why: "this instance started 2 min ago".to_owned(), remedy: String::new() },
    ];
    Pass { holds, ..pass(Outcome::Down, 2) }
}

#[test]
fn a_terminal_gets_the_whole_account() {
    let text = text::run(&partial(), "natwatch", TERMINAL);
    assert_eq!(
        text,
        "\
Round 1: down: 3 of 4 heard backends are cut off
  3 targets answer the standby; 1 reach, 3 cut off, 2 silent
  web1          subnet-0a  cut off  8.8.8.8  no reply
  web2          subnet-0a  cut off  8.8.8.8  no reply
  application3  subnet-0c  cut off  8.8.8.8  no reply
  db2           subnet-0b  silent   -        slow-login: no login within 10 s
  db3           subnet-0b  silent   -        slow-login: no login within 10 s
  db1           subnet-0b  reaches  8.8.8.8  1.2 ms

Takeover
  subnet-0a (web-a)  rtb-0a -> rtb-0b  moved                                       312 ms  verified
  subnet-0b          rtb-0a -> rtb-0b  elsewhere: on rtb-0c
  subnet-0c          rtb-0a -> rtb-0b  failed: UnauthorizedOperation: not allowed
  subnet-0d          rtb-0a -> rtb-0b  already-there                               312 ms  unwitnessed

Notes
  can't write /x/takeover.json: disk full

By hand
  aws ec2 replace-route-table-association --association-id rtbassoc-0a --route-table-id rtb-0b

natwatch: partial: 3 of 4 heard backends are cut off
exit 2: critical: backends are cut off and are not all restored, or a takeover would fail; took 4.3 s
"
    );
}

#[test]
fn a_mail_gets_one_sentence_and_what_matters() {
    assert_eq!(
        text::run(&held(), "nat-a", Style::PLAIN),
        "\
nat-a: down, held by gate unfit: 3 of 4 heard backends are cut off
held by unfit: ip_forward is 0
    sysctl -w net.ipv4.ip_forward=1
held by booting: this instance started 2 min ago
cut off in subnet-0a: web1, web2
cut off in subnet-0c: application3
silent, slow-login: db2, db3 (no login within 10 s)
"
    );
    let dry = Pass {
        dry_run: true,
        judgements: Vec::new(),
        moves: vec![step("subnet-0a", MoveResult::WouldMove, Verification::Pending)],
        last: crate::model::LastSteps::default(),
        ..pass(Outcome::WouldTakeOver, 4)
    };
    assert_eq!(
        text::run(&dry, "natwatch", Style::PLAIN),
        "\
natwatch: would-take-over (dry run: nothing was changed): 3 of 4 heard backends are cut off
moves:
  subnet-0a (web-a)  rtb-0a -> rtb-0b  would-move
"
    );
}

#[test]
fn ids_have_their_names_behind_them_wherever_people_read_them_and_nowhere_else() {
    let mut names = Names::new();
    for (id, name) in [("subnet-0a", "web-a"), ("subnet-0b", "db\u{1b}[31m"), ("rtb-0a", "nat1"), ("rtb-0b", "nat2")] {
        names.learn(id, Some(name));
    }
    let why = "rtb-0b sends 0.0.0.0/0 to i-0c".to_owned();
    let remedy = "aws ec2 replace-route --route-table-id rtb-0b".to_owned();
    let told = Pass {
        names,
        because: "3 of 4 backends are cut off, all of those heard in subnet-0a".to_owned(),
        holds: vec![Hold { gate: Gate::Unfit, why, remedy }],
        notes: vec!["subnet-0b is on neither table by now".to_owned()],
        ..partial()
    };
    let row = "  subnet-0b (db\\u{1b}[31m)  rtb-0a (nat1) -> rtb-0b (nat2)  elsewhere: on rtb-0c\n";
    let sentences = [
        "all of those heard in subnet-0a (web-a)",
        "unfit: rtb-0b (nat2) sends 0.0.0.0/0 to i-0c",
        "\n    aws ec2 replace-route --route-table-id rtb-0b\n",
        "--association-id rtbassoc-0a --route-table-id rtb-0b\n",
        "subnet-0b (db\\u{1b}[31m) is on neither table by now",
        row,
    ];
    for style in [TERMINAL, Style::PLAIN] {
        let text = text::run(&told, "natwatch", style);
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in:\n{text}");
        }
    }
    let full = text::run(&told, "natwatch", TERMINAL);
    assert!(full.contains("  web1          subnet-0a (web-a)         cut off  8.8.8.8  no reply\n"), "{full}");
    assert!(text::run(&told, "natwatch", Style::PLAIN).contains("cut off in subnet-0a (web-a): web1, web2\n"));
    assert!(text::plan(&told).contains(row) && text::plan(&told).ends_with("heard in subnet-0a (web-a)\n"));

    let json: serde_json::Value = serde_json::from_str(&json::run(&told)).unwrap();
    assert_eq!(json["because"], told.because);
    assert_eq!(json["moves"][1]["from"], "rtb-0a");
    assert_eq!(json["names"]["rtb-0b"], "nat2");
    let bare: serde_json::Value = serde_json::from_str(&json::run(&partial())).unwrap();
    assert!(bare.get("names").is_none(), "{bare}");

    let status = Status { names: told.names.clone(), last_round: None, ..status() };
    let told = status::text(&status, Style::PLAIN);
    assert!(told.contains("rtb-0a (nat1) -> rtb-0b (nat2)"), "{told}");
}

#[test]
fn a_mail_tells_of_the_last_round_only_and_of_each_family() {
    let mut twice = pass(Outcome::Down, 2);
    let healthy = Judgement { verdict: Verdict::Healthy, backends: Vec::new(), ..down() };
    twice.judgements = vec![healthy.clone(), Judgement { family: Family::V6, ..healthy }, down()];
    let text = text::run(&twice, "natwatch", Style::PLAIN);
    assert_eq!(text.matches("cut off (IPv4) in subnet-0a: web1, web2").count(), 1, "{text}");
    let full = text::run(&twice, "natwatch", TERMINAL);
    assert!(
        full.contains("Round 1 (IPv4)") && full.contains("Round 1 (IPv6)") && full.contains("Round 2 (IPv4)"),
        "{full}"
    );
}

#[test]
fn many_backends_are_a_number() {
    let mut wide = down();
    wide.backends = (0..50).map(|n| judged(&format!("r{n}"), "s", BackendVerdict::Reaches)).collect();
    wide.backends.extend((0..50).map(|n| judged(&format!("c{n}"), "s", BackendVerdict::CutOff)));
    let wide = Pass { judgements: vec![wide], ..pass(Outcome::Degraded, 1) };
    let full = text::run(&wide, "natwatch", TERMINAL);
    assert!(full.contains("  and 30 more that reach\n") && full.contains("c49") && !full.contains("r20"), "{full}");
    assert!(text::run(&wide, "natwatch", Style::PLAIN).contains("c11 and 38 more\n"));
}

#[test]
fn json_has_the_contracts_keys_in_the_contracts_form() {
    let text = json::run(&partial());
    assert_eq!(text.matches('\n').count(), 1, "one document, one line");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["outcome"], "partial");
    assert_eq!(value["exit"], 2);
    assert_eq!(value["gate"], serde_json::Value::Null);
    assert_eq!(value["elapsed_ms"], 4321);
    let round = &value["rounds"][0];
    for (key, expected) in [("good_targets", 3), ("reaches", 1), ("cut_off", 3), ("silent", 2)] {
        assert_eq!(round[key], expected, "{key}");
    }
    assert_eq!(round["verdict"], "down");
    assert_eq!(
        round["backends"][0],
        serde_json::json!({"host": "db1", "subnet": "subnet-0b", "verdict": "reaches", "reason": null, "detail": null, "target": "8.8.8.8", "rtt_ms": 1.25})
    );
    assert_eq!(
        round["backends"][3],
        serde_json::json!({"host": "db2", "subnet": "subnet-0b", "verdict": "silent", "reason": "slow-login", "detail": "no login within 10 s", "target": null, "rtt_ms": null})
    );
    assert_eq!(
        value["moves"][1],
        serde_json::json!({"subnet": "subnet-0b", "name": null, "from": "rtb-0a", "to": "rtb-0b", "result": "elsewhere", "detail": "rtb-0c", "ms": 312, "verification": "pending"})
    );
    let held: serde_json::Value = serde_json::from_str(&json::run(&held())).unwrap();
    assert_eq!(held["gate"], "unfit");
    assert_eq!(
        held["holds"][1],
        serde_json::json!({"gate": "booting", "why": "this instance started 2 min ago", "remedy": ""})
    );
    assert_eq!(held["moves"], serde_json::json!([]));
}

fn status() -> Status {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let record = Record {
        version: 1,
        instance: "i-0b".parse().unwrap(),
        purpose: crate::model::Purpose::Takeover,
        phase: Phase::Taken,
        began: now - SignedDuration::from_hours(3),
        changed: now - SignedDuration::from_hours(3),
        boot: None,
        because: "3 of 4 heard backends are cut off".to_owned(),
        moves: vec![step("subnet-0a", MoveResult::Moved, Verification::Verified)],
        last: crate::model::LastSteps::default(),
    };
    let active = |subnet: &str, name: Option<&str>, by| Active {
        subnet: subnet.parse().unwrap(),
        name: name.map(str::to_owned),
        by,
    };
    Status {
        name: "natwatch".to_owned(),
        now,
        last_takeover: Some(LastTakeover {
            at: record.began,
            because: record.because.clone(),
            outcome: Some(Outcome::TakenOver),
            moves: record.moves.clone(),
            took: Some(Duration::from_millis(2_100)),
        }),
        last_drill: None,
        primary: None,
        not_before: std::collections::BTreeMap::new(),
        record: Found::Present(record),
        paused: None,
        watcher: None,
        active: Ok(vec![
            active("subnet-0a", Some("web-a"), Carrier::Standby),
            active("subnet-0b", None, Carrier::Primary),
            active("subnet-0c", None, Carrier::Table("rtb-0c".parse().unwrap())),
            active("subnet-0d", None, Carrier::Main),
        ]),
        holds: vec![Hold {
            gate: Gate::Locked,
            why: "taken over 3 h ago".to_owned(),
            remedy: "natwatch failback".to_owned(),
        }],
        last_round: Some((
            now - SignedDuration::from_secs(130),
            Pass { because: "all reach".to_owned(), ..pass(Outcome::Locked, 5) },
        )),
        notes: vec!["guarded.json can't be used".to_owned()],
        names: Names::new(),
    }
}

#[test]
fn status_as_text() {
    assert_eq!(
        status::text(&status(), TERMINAL),
        "\
natwatch: locked (taken) since 2026-03-01T09:00:00Z (3 h ago): 3 of 4 heard backends are cut off

Active
  subnet-0a (web-a)  standby
  subnet-0b          primary
  subnet-0c          another table, rtb-0c
  subnet-0d          the VPC's main table

Last round
  2026-03-01T11:57:50Z (2 min ago)
  natwatch: locked: all reach

Last takeover
  2026-03-01T09:00:00Z (3 h ago), took 2.1 s
  taken-over: 3 of 4 heard backends are cut off
  subnet-0a (web-a)  rtb-0a -> rtb-0b  moved  312 ms  verified

A takeover would be held now
  locked: taken over 3 h ago
    natwatch failback

Notes
  guarded.json can't be used
"
    );
}

#[test]
fn f081_f094_status_says_what_comes_next_when_gates_open_and_that_nobody_looks() {
    let now = status().now;
    let gap = Some(Gap { backends: 2, pings: 54, lost: 1, longest: Duration::from_millis(412), open: false });
    let leg = |gap| Leg { took: Duration::from_millis(5_400), gap };
    let drill = Drill { subnet: "subnet-0a".parse().unwrap(), there: leg(gap), back: Some(leg(None)) };
    let hold = Hold { gate: Gate::Booting, why: "this instance booted 100 s ago".to_owned(), remedy: String::new() };
    let unfit = Hold { gate: Gate::Unfit, why: "the primary i-0a is stopped".to_owned(), remedy: String::new() };
    let status = Status {
        holds: vec![hold],
        not_before: [(Gate::Booting, now + SignedDuration::from_secs(200))].into(),
        last_round: Some((now - SignedDuration::from_mins(11), pass(Outcome::Healthy, 0))),
        last_drill: Some(status::LastDrill {
            at: now - SignedDuration::from_hours(72),
            outcome: Some(Outcome::Drilled),
            drill: Some(drill),
        }),
        primary: Some(status::PrimaryLooks { seen: vec!["i-0a is stopped".to_owned()], against: vec![unfit] }),
        ..status()
    };
    let text = status::text(&status, Style::PLAIN);
    for part in [
        "  nobody has looked for 11 min, and nobody would see an outage: is the timer, cron or watch running?\n",
        "\nLast drill\n  2026-02-26T12:00:00Z (3 d ago): drilled, subnet-0a\n",
        "  there  took 5.4 s  at most 412 ms without an answer: 1 of 54 pings by 2 backends lost\n",
        "  back   took 5.4 s  no ping was heard of\n",
        "\nPrimary\n  i-0a is stopped\n  the primary i-0a is stopped\n  it is not ready to be gone back to\n",
        "  booting: this instance booted 100 s ago\n    not before 2026-03-01T12:03:20Z (in 3 min)\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&status::json(&status)).unwrap();
    assert_eq!((&json["unwatched"], &json["not_before"]["booting"]), (&true.into(), &"2026-03-01T12:03:20Z".into()));
    assert_eq!(json["last_drill"]["drill"]["there"]["longest_gap_ms"], 412);
    assert_eq!((&json["primary"]["looks_well"], &json["last_drill"]["outcome"]), (&false.into(), &"drilled".into()));
    // Somebody looks, or has looked just now.
    let watcher = status::Watcher { pid: 1, since: now - SignedDuration::from_secs(1) };
    for watched in [Status { watcher: Some(watcher), ..status.clone() }, self::status()] {
        let json: serde_json::Value = serde_json::from_str(&status::json(&watched)).unwrap();
        assert_eq!(json["unwatched"], false);
    }
}

#[test]
fn a_pause_is_told_with_whatever_a_pass_came_to() {
    let until = "2026-03-01T12:30:00Z".parse().unwrap();
    let paused = Some(Paused { until, reason: "new \u{1b}[31mkernel".to_owned() });
    let paused = Pass { paused, ..pass(Outcome::Healthy, 0) };
    for style in [Style::PLAIN, TERMINAL] {
        let text = text::run(&paused, "natwatch", style);
        assert!(text.contains("\npaused until 2026-03-01T12:30:00Z: new \\u{1b}[31mkernel\n"), "{text}");
        assert!(!text::run(&pass(Outcome::Healthy, 0), "natwatch", style).contains("paused"));
    }
    let json: serde_json::Value = serde_json::from_str(&json::run(&paused)).unwrap();
    assert_eq!(json["paused_until"], "2026-03-01T12:30:00Z");
}

#[test]
fn f094_status_says_that_a_watch_is_at_work_and_how_old_its_last_round_is() {
    let watcher = status::Watcher { pid: 4711, since: status().now - SignedDuration::from_hours(5) };
    let status = Status { watcher: Some(watcher), ..status() };
    let text = status::text(&status, Style::PLAIN);
    assert!(
        text.contains("\nnatwatch watch is at work: process 4711, since 2026-03-01T07:00:00Z (5 h ago)\n"),
        "{text}"
    );
    assert!(text.contains("\nLast round\n  2026-03-01T11:57:50Z (2 min ago)\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&status::json(&status)).unwrap();
    assert_eq!(json["watch"], serde_json::json!({"pid": 4711, "since": "2026-03-01T07:00:00Z"}));
    assert_eq!(json["last_round"]["age_s"], 130);
}

#[test]
fn f015_status_tells_what_the_last_pass_said_of_single_targets() {
    let note = "target 203.0.113.1 does not answer this standby";
    let last = Pass { notes: vec![note.to_owned()], ..pass(Outcome::Healthy, 0) };
    let status = Status { last_round: Some((status().now, last)), ..status() };
    assert!(status::text(&status, Style::PLAIN).contains(&format!("\n  {note}\n")));
}

#[test]
fn status_of_a_new_installation_that_cannot_ask_ec2() {
    let status = Status {
        record: Found::Absent,
        active: Err("DescribeRouteTables: timed out".to_owned()),
        holds: Vec::new(),
        last_round: None,
        last_takeover: None,
        notes: Vec::new(),
        ..status()
    };
    assert_eq!(
        status::text(&status, Style::PLAIN),
        "\
natwatch: not locked

Active
  EC2 could not be asked: DescribeRouteTables: timed out

Last round
  none is on record: has natwatch run here?

Last takeover
  none
"
    );
    let value: serde_json::Value = serde_json::from_str(&status::json(&status)).unwrap();
    assert_eq!(value["active"], serde_json::json!({}));
    assert_eq!(value["active_error"], "DescribeRouteTables: timed out");
    for key in ["phase", "paused_until", "last_round", "last_takeover"] {
        assert_eq!(value[key], serde_json::Value::Null, "{key}");
    }
    assert_eq!(value["locked"], false);
}

#[test]
fn status_as_json() {
    let value: serde_json::Value = serde_json::from_str(&status::json(&status())).unwrap();
    assert_eq!(value["name"], "natwatch");
    assert_eq!(value["locked"], true);
    assert_eq!(value["phase"], "taken");
    assert_eq!(
        value["active"],
        serde_json::json!({"subnet-0a": "standby", "subnet-0b": "primary", "subnet-0c": "rtb-0c", "subnet-0d": "main"})
    );
    assert_eq!(value["last_takeover"]["at"], "2026-03-01T09:00:00Z");
    assert_eq!(value["last_takeover"]["took_ms"], 2100);
    let pause = Paused { until: "2026-03-01T12:30:00Z".parse().unwrap(), reason: "kernel".to_owned() };
    let paused = Status { paused: Some(pause), ..status() };
    let paused: serde_json::Value = serde_json::from_str(&status::json(&paused)).unwrap();
    assert_eq!(paused["paused_until"], "2026-03-01T12:30:00Z");
    assert_eq!(paused["pause_reason"], "kernel");
}

#[test]
fn f094_the_age_of_the_last_round_is_told() {
    let mut status = status();
    let value: serde_json::Value = serde_json::from_str(&status::json(&status)).unwrap();
    assert_eq!((&value["last_round"]["age_s"], &value["last_round"]["outcome"]), (&130.into(), &"locked".into()));
    status.now -= SignedDuration::from_hours(24);
    assert!(status::text(&status, TERMINAL).contains("(in the future: was the clock set back?)"));
}

#[test]
fn f071_a_record_that_cannot_be_read_is_told_as_a_lock() {
    let found = [
        (Found::Corrupt { path: "/s/takeover.json".into(), why: "not JSON".to_owned() }, true),
        (Found::Newer { path: "/s/takeover.json".into(), version: 2 }, true),
        (Found::Foreign { path: "/s/takeover.json".into(), instance: "i-0c".parse().unwrap() }, false),
    ];
    for (record, locked) in found {
        let status = Status { record, ..status() };
        let value: serde_json::Value = serde_json::from_str(&status::json(&status)).unwrap();
        assert_eq!(value["locked"], locked);
        assert_eq!(value["phase"], serde_json::Value::Null);
        let text = status::text(&status, TERMINAL);
        assert!(
            text.starts_with(if locked { "natwatch: held as locked: /s/" } else { "natwatch: not locked: /s/" }),
            "{text}"
        );
        assert!(value["record_error"].as_str().unwrap().starts_with("/s/takeover.json"));
    }
}

/// Everything that can come from outside, everywhere it can end up.
#[test]
fn f035_escapes_from_outside_reach_no_output() {
    let evil = "\x1b]0;pwned\x07\x1b[2J\r\n\u{9b}31m\u{202e}\0";
    let mut bad = partial();
    bad.because = evil.to_owned();
    bad.notes = vec![evil.to_owned()];
    bad.commands = vec![evil.to_owned()];
    bad.holds = vec![Hold { gate: Gate::Foreign, why: evil.to_owned(), remedy: evil.to_owned() }];
    for step in &mut bad.moves {
        let Change::Association(plan) = &mut step.plan else { panic!("{step:?}") };
        plan.name = Some(evil.to_owned());
    }
    bad.moves[2].result = MoveResult::Failed(evil.to_owned());
    bad.judgements[0].because = evil.to_owned();
    for judged in &mut bad.judgements[0].backends {
        judged.host = evil.to_owned();
        judged.subnet = evil.to_owned();
        judged.target = Some(Target { name: evil.to_owned(), addr: [8, 8, 8, 8].into() });
        if let Some(silence) = &mut judged.silence {
            silence.detail = evil.to_owned();
        }
    }
    let mut status = status();
    status.name = evil.to_owned();
    status.notes = vec![evil.to_owned()];
    status.holds = bad.holds.clone();
    status.last_round = Some((status.now, bad.clone()));
    let last = status.last_takeover.as_mut().unwrap();
    last.because = evil.to_owned();
    last.moves = bad.moves.clone();
    let mut refused = status.clone();
    refused.active = Err(evil.to_owned());
    refused.record = Found::Corrupt { path: "/s".into(), why: evil.to_owned() };
    let outputs = [
        text::run(&bad, "natwatch", TERMINAL),
        text::run(&bad, "natwatch", Style::PLAIN),
        json::run(&bad),
        status::text(&status, TERMINAL),
        status::json(&status),
        status::text(&refused, TERMINAL),
        status::json(&refused),
    ];
    for output in outputs {
        let bad = output.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{output}");
        assert!(!output.contains("\n\\u"), "a line was broken from outside: {output}");
    }
}

#[test]
fn f095_colours_only_where_they_are_wanted_and_can_be_shown() {
    let env = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let xterm = &[("TERM", "xterm"), ("LANG", "C.UTF-8")];
    assert_eq!(Style::new(Color::Auto, true, env(xterm)), Style { terminal: true, colour: true, ascii: false });
    assert!(!Style::new(Color::Auto, false, env(xterm)).colour);
    assert!(!Style::new(Color::Never, true, env(xterm)).colour);
    assert!(Style::new(Color::Always, false, env(&[("NO_COLOR", "1")])).colour, "what was typed wins");
    assert!(!Style::new(Color::Auto, true, env(&[("TERM", "xterm"), ("NO_COLOR", "1")])).colour);
    assert!(Style::new(Color::Auto, true, env(&[("TERM", "xterm"), ("NO_COLOR", "")])).colour, "empty is unset");
    assert!(!Style::new(Color::Auto, true, env(&[("TERM", "dumb")])).colour);
    assert!(!Style::new(Color::Auto, true, env(&[])).colour);
    assert!(Style::new(Color::Auto, true, env(&[])).ascii);
    assert!(Style::new(Color::Auto, true, env(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")])).ascii);
    assert!(!Style::new(Color::Auto, true, env(&[("LC_ALL", ""), ("LANG", "de_DE.utf8")])).ascii);
}

#[test]
fn f095_without_a_locale_all_is_ascii_and_without_colours_nothing_escapes() {
    let mut pass = partial();
    pass.judgements[0].backends[1].host = "büro".to_owned();
    pass.notes.push("x".repeat(400));
    let text = text::run(&pass, "natwatch", Style { terminal: true, ..Style::PLAIN });
    assert!(text.is_ascii() && text.contains("b\\u{fc}ro") && text.contains("xxx...\n"), "{text}");
    assert!(!text.contains('\x1b'));
    assert!(text::run(&pass, "natwatch", TERMINAL).contains("büro"));
}

#[test]
fn colours_change_nothing_but_colours() {
    let plain = text::run(&partial(), "natwatch", TERMINAL);
    let mut bright = text::run(&partial(), "natwatch", Style { colour: true, ..TERMINAL });
    assert!(bright.contains("natwatch: \x1b[31mpartial\x1b[0m: "));
    for code in ["0", "1", "31", "32", "33"] {
        bright = bright.replace(&format!("\x1b[{code}m"), "");
    }
    assert_eq!(bright, plain);
}

#[test]
fn spans_are_told_as_people_say_them() {
    let ms = Duration::from_millis;
    let cases = [
        (Duration::from_micros(420), "0.4 ms"),
        (ms(312), "312 ms"),
        (ms(2_340), "2.3 s"),
        (ms(45_000), "45 s"),
        (ms(130_000), "2 min"),
        (ms(3 * 3_600_000), "3 h"),
        (ms(5 * 86_400_000), "5 d"),
    ];
    for (value, text) in cases {
        assert_eq!(span(value), text);
    }
}

struct Failing(io::ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn f088_a_closed_pipe_is_no_error_and_a_full_disk_is() {
    let (reader, mut writer) = io::pipe().unwrap();
    drop(reader);
    write_to(&mut writer, "verdict\n").unwrap();
    assert!(write_to(&mut Failing(io::ErrorKind::BrokenPipe), "verdict\n").is_ok());
    assert!(write_to(&mut Failing(io::ErrorKind::StorageFull), "verdict\n").is_err());
}

fn check() -> Check {
    Check {
        name: "natwatch".to_owned(),
        state: ServiceState::Critical,
        because: "3 of 4 backends are cut off".to_owned(),
        remarks: vec!["last run 40 s ago".to_owned()],
        pass: pass(Outcome::Down, 2),
        saved: false,
        age: Some(Duration::from_secs(40)),
        max_age: None,
        bearable: [(Family::V4, 2)].into(),
        elapsed: Duration::from_millis(214),
    }
}

#[test]
fn a_monitoring_plugins_line_has_state_text_and_figures() {
    assert_eq!(
        plugin::line(&check()),
        "NATWATCH CRITICAL - 3 of 4 backends are cut off; last run 40 s ago | reaches=1;;;0;6 cut_off=3;0;2;0;6 silent=2;;;0;6 \
         good_targets=3;;;0; rtt=0.001250s;;;0; age=40s;;;0; time=0.214s;;;0;\n"
    );
    // Another service of the same host, of both families, by a run that may be ten minutes old; nobody has replied.
    let mut both = check();
    both.name = "tokyo".to_owned();
    both.max_age = Some(Duration::from_mins(10));
    let quiet: Vec<Judged> = down().backends.into_iter().filter(|one| one.verdict != BackendVerdict::Reaches).collect();
    let silent = Judgement { reaches: 0, backends: quiet, ..down() };
    both.pass.judgements = vec![down(), Judgement { family: Family::V6, ..silent.clone() }, silent];
    assert_eq!(
        plugin::line(&both),
        "NATWATCH tokyo CRITICAL - 3 of 4 backends are cut off; last run 40 s ago | reaches=0;;;0;5 cut_off=3;0;2;0;5 silent=2;;;0;5 \
         good_targets=3;;;0; reaches_ipv6=0;;;0;5 cut_off_ipv6=3;0;;0;5 silent_ipv6=2;;;0;5 good_targets_ipv6=3;;;0; age=40s;600;;0; \
         time=0.214s;;;0;\n"
    );
}

#[test]
fn f035_a_monitoring_plugins_line_stays_one_line_of_bounded_text() {
    let mut hostile = check();
    hostile.because = format!("x|y\nz\x1b[31m\u{e9} {}", "long ".repeat(100));
    let line = plugin::line(&hostile);
    assert!(line.starts_with("NATWATCH CRITICAL - x\\u{7c}y\\u{a}z\\u{1b}[31m\\u{e9} long long"), "{line}");
    assert!(line.contains("...; last run 40 s ago | reaches=1"), "remarks are never cut: {line}");
    assert_eq!((line.matches('|').count(), line.matches('\n').count()), (1, 1), "{line}");
    assert!(line.split('|').next().unwrap().len() < 260, "{line}");
    let failure = Failure::new(78, "a.toml:3: x|y\nb\nc".to_owned());
    assert_eq!(plugin::failure(&failure), "NATWATCH UNKNOWN - a.toml:3: x\\u{7c}y (and 2 more: see natwatch status)\n");
    assert_eq!(plugin::failure(&Failure::new(2, "no disk".to_owned())), "NATWATCH UNKNOWN - no disk\n");
}

#[test]
fn a_check_as_json_is_the_runs_document_with_the_state() {
    let mut saved = check();
    saved.saved = true;
    let value: serde_json::Value = serde_json::from_str(&plugin::json(&saved)).unwrap();
    let run: serde_json::Value = serde_json::from_str(&json::run(&saved.pass)).unwrap();
    for (key, told) in run.as_object().unwrap().iter().filter(|(key, _)| *key != "exit") {
        assert_eq!(&value[key], told, "{key}");
    }
    assert_eq!((value["status"].as_str(), value["exit"].as_u64()), (Some("CRITICAL"), Some(2)));
    assert_eq!((value["saved"].as_bool(), value["age_s"].as_u64()), (Some(true), Some(40)));
    assert_eq!(value["text"], "3 of 4 backends are cut off; last run 40 s ago");
    let value: serde_json::Value =
        serde_json::from_str(&plugin::failure_json(&Failure::new(78, "one\ntwo".to_owned()))).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"status": "UNKNOWN", "outcome": "error", "exit": 3, "errors": ["one", "two"]})
    );
}
