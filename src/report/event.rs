//! An event as a hook reads it: one JSON document, a key a line, so that it is fit for a mail as it is.
//!
//! Every key is always there. See `docs/hooks.md`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::json::{self, AddressView, HoldView, MoveView};
use super::{Style, safe, said, text, whole, whole_ms};
use crate::model::{EventKind, InstanceId, Names, Pass, Paused};

/// What happened, and all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Its own, and that of no other event: a hook may be called twice with one.
    pub id: &'a str,
    /// What happened.
    pub kind: EventKind,
    /// The configuration's name.
    pub name: &'a str,
    /// When.
    pub at: Timestamp,
    /// This instance, where it is known.
    pub instance: Option<&'a InstanceId>,
    /// The state before, where one is known, and since when it was.
    pub previous: Option<EventKind>,
    /// See there.
    pub since: Option<Timestamp>,
    /// Changes of state before this one that were not told.
    pub untold: u32,
    /// Why, in one sentence.
    pub because: &'a str,
    /// The pass that it came of, where it came of one.
    pub pass: Option<&'a Pass>,
    /// The pause that holds all automatic action.
    pub paused: Option<&'a Paused>,
    /// How the ids in all this are called.
    pub names: &'a Names,
}

#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    event: &'static str,
    name: String,
    at: Timestamp,
    instance: Option<&'a str>,
    previous: Option<&'static str>,
    since: Option<Timestamp>,
    untold_changes: u32,
    because: String,
    outcome: Option<&'static str>,
    exit: Option<u8>,
    gate: Option<&'static str>,
    remedy: String,
    paused_until: Option<Timestamp>,
    subnets: Vec<String>,
    holds: Vec<HoldView>,
    moves: Vec<MoveView>,
    address: Option<AddressView>,
    commands: Vec<String>,
    notes: Vec<String>,
    elapsed_ms: Option<u64>,
    /// `Name` tags by id, of whatever has one.
    names: BTreeMap<String, String>,
    text: Vec<String>,
}

/// The document, with a newline at its end.
#[must_use]
pub fn document(event: &Event<'_>) -> String {
    let pass = event.pass;
    let list = |of: fn(&Pass) -> &Vec<String>, show: fn(&str) -> String| {
        pass.map(|pass| of(pass).iter().map(|one| show(one)).collect()).unwrap_or_default()
    };
    let view = View {
        id: event.id,
        event: event.kind.as_str(),
        name: safe(event.name),
        at: event.at,
        instance: event.instance.map(InstanceId::as_str),
        previous: event.previous.map(EventKind::as_str),
        since: event.since,
        untold_changes: event.untold,
        because: safe(event.because),
        outcome: pass.map(|pass| pass.outcome.as_str()),
        exit: pass.map(|pass| pass.exit),
        gate: pass.and_then(|pass| pass.holds.first()).map(|hold| hold.gate.as_str()),
        remedy: remedy(event),
        paused_until: event.paused.map(|paused| paused.until),
        subnets: subnets(pass),
        holds: pass.map(|pass| pass.holds.iter().map(HoldView::from).collect()).unwrap_or_default(),
        moves: pass.map(|pass| pass.moves.iter().map(MoveView::from).collect()).unwrap_or_default(),
        address: pass.and_then(|pass| pass.last.address.as_ref()).map(AddressView::from),
        commands: list(|pass| &pass.commands, whole),
        notes: list(|pass| &pass.notes, safe),
        elapsed_ms: pass.map(|pass| whole_ms(pass.elapsed)),
        names: json::names(event.names),
        text: lines(event),
    };
    // String keys and finite numbers only: it can't fail.
    let mut text = serde_json::to_string_pretty(&view).unwrap_or_else(|_| "{}".to_owned());
    text.push('\n');
    text
}

/// Which subnets were moved, or were to be.
fn subnets(pass: Option<&Pass>) -> Vec<String> {
    let moves = pass.iter().flat_map(|pass| &pass.moves);
    let mut all: Vec<String> = moves.flat_map(|one| one.plan.subnets()).map(ToString::to_string).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What is to be done now: what the first gate says, else what the state calls for. Empty: nothing.
fn remedy(event: &Event<'_>) -> String {
    let held = event.pass.and_then(|pass| pass.holds.first()).map(|hold| whole(&hold.remedy)).unwrap_or_default();
    if !held.is_empty() {
        return held;
    }
    let text = match event.kind {
        EventKind::TakenOver | EventKind::Locked => {
            "repair the primary, then: natwatch failback (or, after a repair by hand, natwatch reset)"
        }
        EventKind::Unverified => "see what the standby forwards: natwatch status; the way back: natwatch failback",
        EventKind::Partial | EventKind::Failed => {
            "see where each subnet is: natwatch status; the next run goes on with what is not done"
        }
        EventKind::Down => "see what holds: natwatch status; to move the subnets all the same: natwatch takeover",
        EventKind::Degraded => "look at the hosts that are cut off: natwatch run --dry-run -v",
        EventKind::Isolated => {
            "look at the standby's own way to the internet, and at targets.hosts: natwatch run --dry-run -v"
        }
        EventKind::Unheard => "look why so few hosts answer over SSH: natwatch run --dry-run -v",
        EventKind::NoRedundancy => "see who carries the subnets: natwatch status",
        EventKind::Paused => "to end it before its time: natwatch resume",
        EventKind::Failback if event.pass.is_some_and(|pass| pass.exit != 0) => {
            "see where each subnet is: natwatch status; then again: natwatch failback"
        }
        EventKind::Failback | EventKind::Reset | EventKind::Resumed | EventKind::Healthy => "",
    };
    text.to_owned()
}

/// The same in words, as a mail has it.
fn lines(event: &Event<'_>) -> Vec<String> {
    let mut lines = match event.pass {
        Some(pass) if event.kind == EventKind::Failback => text::failback(pass, event.name, Style::PLAIN),
        Some(pass) => text::run(pass, event.name, Style::PLAIN),
        None => format!("{}: {}: {}\n", safe(event.name), event.kind, said(event.names, event.because)),
    }
    .lines()
    .map(str::to_owned)
    .collect::<Vec<_>>();
    if let Some(previous) = event.previous {
        let since = event.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        let untold = match event.untold {
            0 => String::new(),
            n => format!("; {} of state before this one were not told", super::counted(n as usize, "change")),
        };
        lines.push(format!("before: {previous}{since}{untold}"));
    }
    let remedy = remedy(event);
    if !remedy.is_empty() && !lines.iter().any(|line| line.contains(&remedy)) {
        lines.push(format!("remedy: {remedy}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Gate, Hold, LastSteps, Outcome};

    fn pass(outcome: Outcome) -> Pass {
        Pass {
            outcome,
            exit: 2,
            because: "3 of 4 backends are cut off".to_owned(),
            holds: Vec::new(),
            judgements: Vec::new(),
            moves: Vec::new(),
            last: LastSteps::default(),
            elapsed: Duration::from_millis(1200),
            dry_run: false,
            notes: vec!["a note \x1b[31m".to_owned()],
            commands: vec!["aws ec2 help".to_owned()],
            names: crate::model::Names::new(),
            drill: None,
            paused: None,
        }
    }

    fn names() -> Names {
        let mut names = Names::new();
        names.learn("subnet-0a", Some("app a"));
        names
    }

    fn read(kind: EventKind, pass: Option<&Pass>) -> Value {
        let event = Event {
            id: "00000007-x",
            kind,
            name: "nat",
            at: Timestamp::UNIX_EPOCH,
            instance: None,
            previous: Some(EventKind::Healthy),
            since: Some(Timestamp::UNIX_EPOCH),
            untold: 2,
            because: "3 of 4 backends are cut off",
            pass,
            paused: None,
            names: &names(),
        };
        let text = document(&event);
        assert!(text.ends_with("}\n") && !text.contains('\x1b'), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_document_has_every_key_whatever_happened() {
        let held = Hold { gate: Gate::Unfit, why: "no forwarding".to_owned(), remedy: "sysctl -w x=1".to_owned() };
        let down = read(EventKind::Down, Some(&Pass { holds: vec![held], ..pass(Outcome::Down) }));
        let paused = read(EventKind::Paused, None);
        let keys = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&down), keys(&paused));
        assert_eq!(keys(&down).len(), 23);
        assert_eq!((&down["names"], &paused["names"]), (&json!({"subnet-0a": "app a"}), &down["names"]));
        assert_eq!((&down["event"], &down["previous"], &down["exit"]), (&"down".into(), &"healthy".into(), &2.into()));
        assert_eq!((&down["gate"], &down["remedy"]), (&"unfit".into(), &"sysctl -w x=1".into()));
        assert_eq!(
            (&paused["exit"], &paused["remedy"]),
            (&Value::Null, &"to end it before its time: natwatch resume".into())
        );
        let text = down["text"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
        for part in [
            "nat: down, held by gate unfit",
            "before: healthy since 1970-01-01T00:00:00Z; 2 changes of state",
            "sysctl",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn every_event_that_calls_for_something_says_what() {
        for kind in EventKind::ALL {
            let said = read(*kind, None)["remedy"].as_str().unwrap().to_owned();
            let well = matches!(kind, EventKind::Healthy | EventKind::Failback | EventKind::Reset | EventKind::Resumed);
            assert_eq!(said.is_empty(), well, "{kind}: {said}");
            assert!(well || said.contains("natwatch "), "{kind}: {said}");
        }
    }

    #[test]
    fn an_event_that_came_of_no_pass_tells_ids_with_their_names_too() {
        let event = Event {
            id: "1-x",
            kind: EventKind::TakenOver,
            name: "nat",
            at: Timestamp::UNIX_EPOCH,
            instance: None,
            previous: None,
            since: None,
            untold: 0,
            because: "4 backends of subnet-0a are cut off",
            pass: None,
            paused: None,
            names: &names(),
        };
        let document: Value = serde_json::from_str(&document(&event)).unwrap();
        assert_eq!(document["text"][0], "nat: taken-over: 4 backends of subnet-0a (app a) are cut off");
        assert_eq!(document["because"], "4 backends of subnet-0a are cut off", "which is for programs");
    }
}
