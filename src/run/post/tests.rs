//! Which passes and deeds are events, and what a process that is killed leaves to the next one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{Files, Role};
use crate::model::{LastSteps, Outcome, Record};
use crate::record::VERSION;
use crate::record::pause::{Boot, Pause};
use crate::run::Signals;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("no files here".to_owned())
    }

    fn faults(&self, _: &Path, _: Role) -> Vec<String> {
        Vec::new()
    }
}

fn settings(more: &str) -> Settings {
    let text = format!(
        r#"
primary.route_table = "rtb-0a"
standby.route_table = "rtb-0b"
targets.hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
backends.hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
{more}"#
    );
    Settings::parse(&text, Path::new("/etc/natwatch/nat.toml"), &NoFiles).unwrap()
}

const HOOK: &str = "notify.command = [\"/nonexistent/hook\"]";

fn pass(outcome: Outcome) -> Pass {
    Pass {
        outcome,
        exit: 2,
        because: "because".to_owned(),
        holds: Vec::new(),
        judgements: Vec::new(),
        moves: Vec::new(),
        last: LastSteps::default(),
        elapsed: Duration::ZERO,
        dry_run: false,
        notes: Vec::new(),
        commands: Vec::new(),
        names: crate::model::Names::new(),
        drill: None,
        paused: None,
    }
}

struct Place {
    _dir: tempfile::TempDir,
    state: State,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("nat")).unwrap();
        Self { _dir: dir, state }
    }

    /// What waits, as whoever comes next finds it.
    fn events(&self) -> Vec<EventKind> {
        Events::look(&self.state).unwrap().waiting().iter().map(|one| one.event).collect()
    }
}

fn case(settings: &Settings) -> Case {
    Case::new(settings.decide.clone())
}

#[test]
fn whoever_is_killed_between_the_event_and_what_is_told_has_made_it_once() {
    let (place, settings) = (Place::new(), settings(HOOK));
    for n in 0..3 {
        // Another process each time, and what was told by it is lost.
        assert_eq!(Post::new(&settings, &place.state).passed(&pass(Outcome::Isolated), &case(&settings)), n == 0);
        let told = place.state.dir().join("told.json");
        assert_eq!(told.exists(), n == 0, "what the event says is known");
        let _ = std::fs::remove_file(told);
    }
    assert_eq!(place.events(), [EventKind::Isolated]);
}

#[test]
fn without_a_hook_or_for_a_dry_run_or_a_planned_takeover_that_was_held_there_is_no_event() {
    let place = Place::new();
    let (without, with) = (settings(""), settings(HOOK));
    assert!(!Post::new(&without, &place.state).passed(&pass(Outcome::Isolated), &case(&without)));
    Post::new(&without, &place.state).did(EventKind::Reset, Deed::default());
    let post = Post::new(&with, &place.state);
    let dry = Pass { dry_run: true, ..pass(Outcome::Isolated) };
    assert!(!post.passed(&dry, &case(&with)));
    assert!(!post.passed(&pass(Outcome::Failed), &Case { planned: true, ..case(&with) }));
    assert!(!post.passed(&pass(Outcome::Busy), &case(&with)));
    assert_eq!(place.events(), []);
}

#[test]
fn a_pause_that_ends_by_itself_is_told_by_the_next_pass() {
    let (place, settings) = (Place::new(), settings(HOOK));
    let post = Post::new(&settings, &place.state);
    post.passed(&pass(Outcome::Healthy), &case(&settings));
    post.did(EventKind::Paused, Deed { because: "paused", ..Deed::default() });
    place
        .state
        .write_pause(&Pause::new(Timestamp::now(), Boot::now(), Duration::from_mins(10), "x".to_owned()))
        .unwrap();
    post.passed(&pass(Outcome::Healthy), &case(&settings));
    assert_eq!(place.events(), [EventKind::Paused]);
    place.state.clear_pause().unwrap();
    Post::new(&settings, &place.state).passed(&pass(Outcome::Healthy), &case(&settings));
    assert_eq!(place.events(), [EventKind::Paused, EventKind::Resumed]);
}

#[test]
fn a_lock_that_was_there_before_anybody_was_told_of_anything_is_told_as_one() {
    let (place, settings) = (Place::new(), settings(HOOK));
    let record = |began: i64| Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        purpose: crate::model::Purpose::Takeover,
        phase: Phase::Taken,
        began: Timestamp::from_second(began).unwrap(),
        changed: Timestamp::from_second(began).unwrap(),
        boot: None,
        because: "3 of 3 backends are cut off".to_owned(),
        moves: Vec::new(),
        last: LastSteps::default(),
    };
    place.state.write_record(&record(1_000)).unwrap();
    for _ in 0..2 {
        Post::new(&settings, &place.state).passed(&pass(Outcome::Locked), &case(&settings));
    }
    assert_eq!(place.events(), [EventKind::Locked]);
    // Another one, by a process that could not tell.
    place.state.write_record(&record(2_000)).unwrap();
    for _ in 0..2 {
        Post::new(&settings, &place.state).passed(&pass(Outcome::Locked), &case(&settings));
    }
    assert_eq!(place.events(), [EventKind::Locked, EventKind::TakenOver]);
    let told = Events::look(&place.state).unwrap().waiting().pop().unwrap().document;
    assert!(told.contains("i-0b") && told.contains("3 of 3 backends are cut off (taken over at"), "{told}");
}

#[tokio::test]
async fn f070_an_event_that_cannot_be_written_is_brought_to_the_hook_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (hook, seen) = (dir.path().join("hook"), dir.path().join("seen"));
    std::fs::write(&hook, format!("#!/bin/sh\necho $1 >> {}\n", seen.display())).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (place, settings) = (Place::new(), settings(&format!("notify.command = [{:?}]", hook.to_str().unwrap())));
    // In the folder's place.
    std::fs::write(place.state.dir().join("events"), "").unwrap();
    let post = Post::new(&settings, &place.state);
    assert!(post.passed(&pass(Outcome::Isolated), &case(&settings)));
    assert!(post.deliver(&mut Signals::new()).await);
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), "isolated\n");
    assert!(!post.deliver(&mut Signals::new()).await, "it was taken");
}

#[test]
fn f105_of_several_who_see_the_end_of_a_pause_at_once_one_tells_it() {
    for _ in 0..20 {
        let (place, settings) = (Place::new(), settings(HOOK));
        let post = Post::new(&settings, &place.state);
        post.passed(&pass(Outcome::Healthy), &case(&settings));
        post.did(EventKind::Paused, Deed { because: "paused", ..Deed::default() });
        let ready = std::sync::Barrier::new(4);
        std::thread::scope(|all| {
            for _ in 0..4 {
                all.spawn(|| {
                    // Each a process of its own, with what it knows.
                    let state = State::open(place.state.dir()).unwrap();
                    let post = Post::new(&settings, &state);
                    ready.wait();
                    post.passed(&pass(Outcome::Healthy), &case(&settings));
                });
            }
        });
        assert_eq!(place.events(), [EventKind::Paused, EventKind::Resumed]);
    }
}
