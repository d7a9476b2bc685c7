//! The history as text and as JSON, to the byte.

use super::*;
use crate::model::{Change, MoveResult, PlannedMove, Verification};

fn history() -> History {
    let at: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let event = |kind, why: &str, outcome, moves, took| Event {
        kind,
        at,
        instance: Some("i-0b".parse().unwrap()),
        why: why.to_owned(),
        outcome,
        moves,
        address: None,
        drill: None,
        took,
    };
    let moved = Move {
        plan: Change::Association(PlannedMove {
            subnet: "subnet-0a".parse().unwrap(),
            name: Some("web".to_owned()),
            association: "rtbassoc-0a".parse().unwrap(),
            from: "rtb-0a".parse().unwrap(),
            to: "rtb-0b".parse().unwrap(),
        }),
        result: MoveResult::Moved,
        took: Duration::from_millis(312),
        verification: Verification::Verified,
    };
    History {
        name: "natwatch".to_owned(),
        events: vec![
            event("pause", "new \u{1b}[31mkernel", None, vec![], Duration::from_mins(30)),
            event(
                "takeover",
                "6 of 6 backends are cut off",
                Some(Outcome::TakenOver),
                vec![moved],
                Duration::from_millis(2100),
            ),
            event("reset", "by an operator", None, vec![], Duration::ZERO),
        ],
        unreadable: 1,
    }
}

#[test]
fn history_as_text_is_newest_last_and_counts_what_cannot_be_read() {
    assert_eq!(
        text(&history(), Style::PLAIN),
        "\
2026-03-01T12:00:00Z pause, 30 min
  new \\u{1b}[31mkernel
2026-03-01T12:00:00Z takeover: taken-over, 2.1 s
  6 of 6 backends are cut off
  subnet-0a (web)  rtb-0a -> rtb-0b  moved  312 ms  verified
2026-03-01T12:00:00Z reset
  by an operator
and 1 line that can't be read: torn by a power loss, or written by a newer natwatch
"
    );
    let none = History { events: vec![], unreadable: 0, ..history() };
    assert_eq!(text(&none, Style::PLAIN), "natwatch: nothing was done yet\n");
}

#[test]
fn history_as_json_has_every_event_with_its_moves() {
    let told: serde_json::Value = serde_json::from_str(&json(&history())).unwrap();
    assert_eq!((&told["name"], &told["unreadable"]), (&"natwatch".into(), &1.into()));
    let events = told["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["pause", "takeover", "reset"]);
    let takeover = &events[1];
    assert_eq!(
        (&takeover["outcome"], &takeover["took_ms"], &takeover["instance"]),
        (&"taken-over".into(), &2100.into(), &"i-0b".into())
    );
    assert_eq!(takeover["moves"][0]["verification"], "verified");
    assert_eq!((&events[0]["outcome"], &events[0]["took_ms"]), (&serde_json::Value::Null, &1_800_000.into()));
}
