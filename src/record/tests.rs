//! The state folder under everything that can be wrong with it.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::history::{Deed, Entry};
use super::lock::{LockError, RunLock, View, WatchLock, peek, viewed, watching};
use super::pause::{Boot, Pause, in_force};
use super::printed::{Printed, should_print};
use super::round::LastRound;
use super::witnesses::Witnesses;
use super::*;
use crate::model::{
    Change, Family, Gate, Guarded, InstanceId, Move, MoveResult, Outcome, Pass, Phase, PlannedMove, Record,
    Verification,
};

fn scratch() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let state = State::open(&dir.path().join("nat")).unwrap();
    (dir, state)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-03-01T12:00:00Z")
}

fn instance(id: &str) -> InstanceId {
    id.parse().unwrap()
}

fn moved(result: MoveResult) -> Move {
    let plan = Change::Association(PlannedMove {
        subnet: "subnet-0a".parse().unwrap(),
        name: Some("web-a".to_owned()),
        association: "rtbassoc-0a".parse().unwrap(),
        from: "rtb-0a".parse().unwrap(),
        to: "rtb-0b".parse().unwrap(),
    });
    Move { plan, result, took: Duration::from_millis(312), verification: Verification::Verified }
}

fn record() -> Record {
    let results = [
        MoveResult::Pending,
        MoveResult::Moved,
        MoveResult::AlreadyThere,
        MoveResult::Elsewhere("rtb-0c".to_owned()),
        MoveResult::Failed("no".to_owned()),
        MoveResult::Unknown("no answer".to_owned()),
        MoveResult::WouldMove,
    ];
    Record {
        version: VERSION,
        instance: instance("i-0b"),
        purpose: crate::model::Purpose::Takeover,
        phase: Phase::Taken,
        began: now(),
        changed: now(),
        boot: None,
        because: "5 of 8 backends cut off".to_owned(),
        moves: results.into_iter().map(moved).collect(),
        last: crate::model::LastSteps::default(),
    }
}

/// A file as an operator would leave it, whatever the umask of who runs the tests.
fn put(path: &std::path::Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(0o640))
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn the_folder_is_0750_its_files_0640_whatever_the_umask() {
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let (_dir, state) = scratch();
    state.write_record(&record()).unwrap();
    state.append_history(&entry("one")).unwrap();
    rustix::process::umask(old);
    assert_eq!(mode(state.dir()), 0o750);
    for file in [TAKEOVER, HISTORY] {
        assert_eq!(mode(&state.path(file)), 0o640, "{file}");
    }
}

#[test]
fn missing_parents_are_made() {
    let dir = tempfile::tempdir().unwrap();
    State::open(&dir.path().join("a/b/nat")).unwrap();
    assert!(dir.path().join("a/b/nat").is_dir());
}

/// Row 105's part of the state folder. Needs root, as the lab and CI have it: only root can give files away.
#[test]
fn f073_a_symlink_as_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("nat")).unwrap();
    for path in ["nat", "nat/"] {
        let error = State::open(&dir.path().join(path)).unwrap_err().to_string();
        assert!(error.contains("nat is a symbolic link; put the folder itself there"), "{error}");
    }
}

#[test]
fn f073_a_file_as_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("nat"), "").unwrap();
    assert!(State::open(&dir.path().join("nat")).unwrap_err().to_string().contains("is not a folder"));
}

#[test]
fn f073_a_symlink_a_fifo_or_a_folder_in_place_of_a_file_is_refused() {
    let (dir, state) = scratch();
    fs::write(dir.path().join("victim"), "precious").unwrap();
    for file in FILES {
        symlink(dir.path().join("victim"), state.path(file)).unwrap();
        let error = State::open(state.dir()).unwrap_err().to_string();
        assert!(error.contains("is a symbolic link"), "{file}: {error}");
        fs::remove_file(state.path(file)).unwrap();
        fs::create_dir(state.path(file)).unwrap();
        assert!(State::open(state.dir()).unwrap_err().to_string().contains("is not a regular file"), "{file}");
        fs::remove_dir(state.path(file)).unwrap();
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, state.path(TAKEOVER), rustix::fs::Mode::from_raw_mode(0o640)).unwrap();
    assert!(State::open(state.dir()).unwrap_err().to_string().contains("is not a regular file"));
    assert!(matches!(state.read_record(None), Found::Corrupt { .. }), "a FIFO put there later must not hang us");
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "precious");
}

#[test]
fn f073_a_symlink_put_there_after_the_check_is_not_written_through() {
    let (dir, state) = scratch();
    fs::write(dir.path().join("victim"), "precious").unwrap();
    symlink(dir.path().join("victim"), state.path(TAKEOVER)).unwrap();
    symlink(dir.path().join("victim"), state.path(HISTORY)).unwrap();
    assert!(state.write_record(&record()).is_err());
    assert!(matches!(state.append_history(&entry("one")), Err(StateError::Refused { .. })));
    assert!(matches!(state.read_record(None), Found::Corrupt { .. }), "what can't be believed holds");
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "precious");
}

#[test]
fn f073_what_others_can_write_is_refused() {
    let (dir, state) = scratch();
    for bits in [0o770, 0o757] {
        fs::set_permissions(state.dir(), Permissions::from_mode(bits)).unwrap();
        let error = State::open(state.dir()).unwrap_err().to_string();
        assert!(error.contains("can be written by others (mode 07"), "{error}");
        assert!(error.contains("chmod 0750"), "{error}");
    }
    fs::set_permissions(state.dir(), Permissions::from_mode(0o750)).unwrap();
    state.write_record(&record()).unwrap();
    fs::set_permissions(state.path(TAKEOVER), Permissions::from_mode(0o660)).unwrap();
    assert!(State::open(state.dir()).unwrap_err().to_string().contains("chmod 0640"));
    assert!(matches!(state.read_record(None), Found::Corrupt { .. }));
    fs::set_permissions(state.path(TAKEOVER), Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(State::open(state.dir()).unwrap_err().to_string().contains("lies in a folder that everybody can write"));
}

#[test]
fn a_record_is_read_as_written() {
    let (_dir, state) = scratch();
    assert_eq!(state.read_record(None), Found::Absent);
    state.write_record(&record()).unwrap();
    assert_eq!(state.read_record(None), Found::Present(record()));
    assert_eq!(state.read_record(Some(&instance("i-0b"))), Found::Present(record()));
    state.clear_record().unwrap();
    state.clear_record().unwrap();
    assert_eq!(state.read_record(None), Found::Absent);
}

/// A reader at any moment sees a whole file, and a killed writer leaves the old one: the new content has another name until
/// it is complete. What `fsync` adds for a power loss can't be shown without pulling a plug.
#[test]
fn f069_a_reader_never_sees_a_torn_file() {
    let (_dir, state) = scratch();
    let mut long = record();
    long.because = "x".repeat(200_000);
    let short = record();
    state.write_record(&short).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..60 {
                state.write_record(if n % 2 == 0 { &long } else { &short }).unwrap();
            }
        });
        while !writer.is_finished() {
            match state.read_record(None) {
                Found::Present(record) => assert!(record == long || record == short),
                other => panic!("{other:?}"),
            }
        }
    });
    let left: Vec<_> = fs::read_dir(state.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [TAKEOVER], "temporary files are gone");
}

#[test]
fn f069_what_a_killed_writer_left_is_no_record_and_is_swept_after_an_hour() {
    let (_dir, state) = scratch();
    state.write_record(&record()).unwrap();
    let (young, old) = (state.path(".natwatch-aaaaaa.tmp"), state.path(".natwatch-bbbbbb.tmp"));
    for path in [&young, &old] {
        put(path, "{\"version\": 1, \"insta").unwrap();
    }
    let yesterday = std::time::SystemTime::now() - Duration::from_hours(24);
    fs::File::options().write(true).open(&old).unwrap().set_modified(yesterday).unwrap();
    assert_eq!(state.read_record(None), Found::Present(record()));
    state.sweep();
    assert!(young.exists() && !old.exists());
}

#[test]
fn f070_a_write_that_fails_is_a_value_with_path_and_reason() {
    let (_dir, state) = scratch();
    fs::remove_dir(state.dir()).unwrap();
    let error = state.write_record(&record()).unwrap_err().to_string();
    assert!(error.starts_with("can't write ") && error.contains("takeover.json: No such file"), "{error}");
    assert!(state.append_history(&entry("one")).is_err());
    let mut witnesses = Witnesses::default();
    witnesses.saw("web1", None, Family::V4, now());
    assert!(witnesses.save(&state, now()).is_err());
    fs::create_dir(state.dir()).unwrap();
    assert!(witnesses.save(&state, now()).unwrap(), "what could not be written is tried again");
}

/// A real full disk: /dev/full can't be renamed to, so the size limit of a child process stands in for it (EFBIG for ENOSPC).
#[test]
fn f070_half_a_write_leaves_the_old_file_and_no_temporary_one() {
    const MARK: &str = "NATWATCH_TEST_SMALL_FILES";
    if let Ok(dir) = std::env::var(MARK) {
        let state = State::open(std::path::Path::new(&dir)).unwrap();
        let mut long = record();
        long.because = "x".repeat(200_000);
        assert!(state.write_record(&long).unwrap_err().to_string().contains("File too large"));
        return;
    }
    let (_dir, state) = scratch();
    state.write_record(&record()).unwrap();
    let test = "record::tests::f070_half_a_write_leaves_the_old_file_and_no_temporary_one";
    // `ulimit -f` counts 512-byte blocks in sh; XFSZ ignored, so that the write fails instead of killing.
    let out = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact \"$1\" --nocapture 2>&1 | cat"])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(MARK, state.dir())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&out.stdout);
    assert!(out.contains("1 passed"), "{out}");
    assert_eq!(state.read_record(None), Found::Present(record()));
    assert_eq!(fs::read_dir(state.dir()).unwrap().count(), 1);
}

#[test]
fn f071_a_corrupt_record_holds_now_and_at_the_next_pass_and_is_kept() {
    let good = serde_json::to_string(&record()).unwrap();
    let broken: &[&[u8]] = &[
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{\"version\": 1}",
        b"{\"version\": 0}",
        b"{\"version\": \"1\"}",
        &good.as_bytes()[..good.len() / 2],
    ];
    for bytes in broken {
        let (_dir, state) = scratch();
        put(&state.path(TAKEOVER), bytes).unwrap();
        let mut copies = Vec::new();
        for _pass in 0..3 {
            let found = state.read_record(Some(&instance("i-0b")));
            assert!(matches!(found, Found::Corrupt { .. }), "{bytes:?}: {found:?}");
            copies.push(state.keep_corrupt().unwrap());
            assert!(matches!(state.write_record(&record()), Err(StateError::Corrupt { .. })), "it was overwritten");
        }
        copies.dedup();
        assert_eq!(copies.len(), 1, "one copy, however many passes");
        state.clear_record().unwrap();
        assert_eq!(state.read_record(None), Found::Absent);
        assert_eq!(fs::read(&copies[0]).unwrap(), *bytes);
    }
}

#[test]
fn f072_what_a_newer_natwatch_wrote_holds_and_is_not_overwritten() {
    let (_dir, state) = scratch();
    let text = "{\"version\": 2, \"phase\": \"something new\"}";
    for file in [TAKEOVER, GUARDED, WITNESSES, LAST_ROUND] {
        put(&state.path(file), text).unwrap();
    }
    assert!(matches!(state.read_record(None), Found::Newer { version: 2, .. }));
    assert!(matches!(state.write_record(&record()), Err(StateError::Newer { .. })));
    assert!(matches!(state.clear_record(), Err(StateError::Newer { .. })));
    assert!(matches!(state.write_last_round(&last_round()), Err(StateError::Newer { .. })));
    let (guarded, warning) = state.read_guarded();
    assert_eq!(guarded, None);
    assert!(warning.unwrap().ends_with("guarded.json was written by a newer natwatch (layout 2)"));
    assert!(matches!(state.write_guarded(&guarded_set()), Err(StateError::Newer { .. })));
    let (mut witnesses, warning) = Witnesses::load(&state, now());
    assert!(warning.is_some());
    witnesses.saw("web1", None, Family::V4, now());
    assert!(witnesses.save(&state, now()).is_err());
    for file in [TAKEOVER, GUARDED, WITNESSES, LAST_ROUND] {
        assert_eq!(fs::read_to_string(state.path(file)).unwrap(), text, "{file}");
    }
}

#[test]
fn f005_f072_a_record_without_a_moment_of_the_boot_is_read_and_one_with_something_unknown_too() {
    let (_dir, state) = scratch();
    let boot = Boot { id: "3f0a".to_owned(), at: Duration::from_millis(1_500) };
    let new = Record { boot: Some(boot), ..record() };
    state.write_record(&new).unwrap();
    assert_eq!(state.read_record(None), Found::Present(new));
    let text = fs::read_to_string(state.path(TAKEOVER)).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(old.as_object_mut().unwrap().remove("boot").is_some(), "{text}");
    put(&state.path(TAKEOVER), old.to_string()).unwrap();
    assert_eq!(state.read_record(None), Found::Present(record()), "by an older natwatch");
    // As the moment of the boot is to an older natwatch.
    old["unheard-of"] = serde_json::json!({ "id": "3f0a" });
    put(&state.path(TAKEOVER), old.to_string()).unwrap();
    assert_eq!(state.read_record(None), Found::Present(record()));
}

#[test]
fn f076_a_record_of_another_instance_is_set_aside_and_reported() {
    let (_dir, state) = scratch();
    state.write_record(&record()).unwrap();
    let clone = instance("i-0c");
    let found = state.read_record(Some(&clone));
    assert!(found.trouble().unwrap().ends_with("takeover.json is about another instance, i-0b"));
    assert!(matches!(state.read_record(None), Found::Present(_)), "who we are is not known: better hold");
    let aside = state.set_foreign_aside(&clone).unwrap().unwrap();
    assert!(aside.ends_with("takeover.json.i-0b") && aside.exists());
    assert_eq!(state.read_record(Some(&clone)), Found::Absent);
    assert_eq!(state.set_foreign_aside(&clone).unwrap(), None);
    let own = Record { instance: clone.clone(), ..record() };
    state.write_record(&own).unwrap();
    assert_eq!(state.set_foreign_aside(&clone).unwrap(), None, "our own stays");
    state.write_record(&record()).unwrap();
    assert!(state.path("takeover.json.i-0c").exists(), "writing sets aside what was another's");
}

#[test]
fn f005_a_pause_lasts_as_long_as_it_was_asked_for_whatever_the_wall_clock_does() {
    let minutes = |n: u64| Duration::from_mins(n);
    let boot = |id: &str, at: u64| Boot { id: id.to_owned(), at: minutes(at) };
    let wall = |n: i64| now() + SignedDuration::from_mins(n);
    let pause = Pause::new(now(), Some(boot("a", 100)), minutes(30), "kernel".to_owned());
    // By the boot clock, while it is the same boot.
    for (at, wall_now, left) in [
        (100, 0, Some(30)),
        (110, 10, Some(20)),
        (110, 600, Some(20)),
        (110, -600, Some(20)),
        (130, 5, None),
        (999, -600, None),
    ] {
        assert_eq!(pause.left(wall(wall_now), Some(&boot("a", at))), left.map(minutes), "{at} {wall_now}");
    }
    // After a reboot, or where the boot is not known, by the wall clock; never longer than it was asked for.
    for other in [Some(boot("b", 1)), None] {
        for (wall_now, left) in [(0, Some(30)), (29, Some(1)), (30, None), (600, None), (-600, Some(30))] {
            assert_eq!(pause.left(wall(wall_now), other.as_ref()), left.map(minutes), "{other:?} {wall_now}");
        }
    }
    let without = Pause::new(now(), None, minutes(30), "kernel".to_owned());
    assert_eq!(without.left(wall(10), Some(&boot("a", 1))), Some(minutes(20)));
    let told = pause.holds(wall(600), Some(&boot("a", 110))).unwrap();
    assert_eq!((told.until, told.reason.as_str()), (wall(620), "kernel"), "the end is told by the clock as it is now");
    assert!(pause.holds(wall(0), Some(&boot("a", 130))).is_none());
}

#[test]
fn f072_a_pause_of_a_newer_natwatch_holds_and_a_broken_one_does_not() {
    let (_dir, state) = scratch();
    fs::write(state.path(PAUSE), r#"{"version": 2, "what": "ever"}"#).unwrap();
    let held = in_force(state.read_pause(), now()).unwrap();
    assert!(held.reason.contains("newer natwatch"), "{held}");
    fs::write(state.path(PAUSE), "{").unwrap();
    assert!(in_force(state.read_pause(), now()).is_none(), "it would never end");
}

#[test]
fn a_pause_is_written_read_and_removed() {
    let (_dir, state) = scratch();
    assert_eq!(state.read_pause(), Found::Absent);
    let pause = Pause::new(now(), Boot::now(), Duration::from_mins(5), "kernel".to_owned());
    state.write_pause(&pause).unwrap();
    assert_eq!(state.read_pause(), Found::Present(pause));
    state.clear_pause().unwrap();
    state.clear_pause().unwrap();
    assert_eq!(state.read_pause(), Found::Absent);
}

#[test]
fn a_pause_that_ends_by_itself_has_one_line_in_the_history_whoever_is_killed_while_it_is_written() {
    let (_dir, state) = scratch();
    let wall = |minutes: i64| now() + SignedDuration::from_mins(minutes);
    let lines = || state.read_history().unwrap().0;
    state.close_pause(wall(0)).unwrap();
    let pause = Pause::new(now(), None, Duration::from_mins(30), "kernel".to_owned());
    state.write_pause(&pause).unwrap();
    state.close_pause(wall(29)).unwrap();
    assert_eq!((state.ended_pause(wall(29)), lines().len()), (None, 0), "it is not over");
    assert_eq!(state.read_pause(), Found::Present(pause.clone()));
    // Killed after the line, and before the pause is gone.
    state.append_history(&state.ended_pause(wall(31)).unwrap()).unwrap();
    for _ in 0..2 {
        state.close_pause(wall(90)).unwrap();
        let found: Vec<_> = lines().into_iter().map(|line| (line.kind, line.at, line.took, line.why)).collect();
        let took = Duration::from_mins(30);
        assert_eq!(found, [(Deed::Resume, wall(30), took, "the pause was over: kernel".to_owned())]);
        assert_eq!(state.read_pause(), Found::Absent);
    }
    // Another one of the same words is another one.
    state.write_pause(&Pause { since: wall(60), until: wall(90), ..pause }).unwrap();
    state.close_pause(wall(91)).unwrap();
    assert_eq!(lines().len(), 2);
}

fn guarded_set() -> GuardedSet {
    let subnet = Guarded {
        subnet: "subnet-0a".parse().unwrap(),
        name: None,
        cidrs: vec!["10.0.10.0/24".parse().unwrap()],
        on: "rtb-0a".parse().unwrap(),
    };
    GuardedSet {
        version: VERSION,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: vec![subnet],
        families: vec![Family::V4],
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: None,
        own: None,
        names: crate::model::Names::new(),
        seen: now(),
    }
}

fn last_round() -> LastRound<String> {
    LastRound {
        version: VERSION,
        at: now(),
        case: "all that was known".to_owned(),
        pass: Pass {
            outcome: Outcome::Healthy,
            exit: 0,
            because: "all reach".to_owned(),
            holds: Vec::new(),
            judgements: Vec::new(),
            moves: vec![moved(MoveResult::Moved)],
            last: crate::model::LastSteps::default(),
            paused: None,
            drill: None,
            elapsed: Duration::from_millis(1234),
            dry_run: false,
            notes: Vec::new(),
            commands: Vec::new(),
            names: crate::model::Names::new(),
        },
    }
}

#[test]
fn guarded_set_and_last_round_are_read_as_written() {
    let (_dir, state) = scratch();
    assert_eq!(state.read_guarded(), (None, None));
    state.write_guarded(&guarded_set()).unwrap();
    assert_eq!(state.read_guarded(), (Some(guarded_set()), None));
    assert_eq!(state.read_last_round::<String>(), Found::Absent);
    state.write_last_round(&last_round()).unwrap();
    assert_eq!(state.read_last_round(), Found::Present(last_round()));
    put(&state.path(GUARDED), "?").unwrap();
    assert!(state.read_guarded().1.unwrap().contains("not JSON"));
    state.write_guarded(&guarded_set()).unwrap();
}

fn entry(why: &str) -> Entry {
    Entry {
        version: VERSION,
        kind: Deed::Takeover,
        at: now(),
        instance: Some(instance("i-0b")),
        why: why.to_owned(),
        outcome: Some(Outcome::TakenOver),
        moves: vec![moved(MoveResult::Moved)],
        last: crate::model::LastSteps::default(),
        drill: None,
        took: Duration::from_secs(2),
    }
}

#[test]
fn f049_a_takeover_that_is_tried_again_and_again_has_a_line_for_each_change_and_no_more() {
    let (_dir, state) = scratch();
    let lost = || moved(MoveResult::Unknown("no answer".to_owned()));
    let tried = |began: i64, outcome, moves: Vec<crate::model::Move>| {
        let at = now() + jiff::SignedDuration::from_secs(began);
        state.append_takeover(&Entry { at, outcome: Some(outcome), moves, ..entry("again") }).unwrap();
        state.read_history().unwrap().0.len()
    };
    for _ in 0..20 {
        assert_eq!(tried(0, Outcome::Partial, vec![lost()]), 1);
    }
    assert_eq!(tried(0, Outcome::Partial, vec![lost(), moved(MoveResult::Moved)]), 2, "one is there");
    assert_eq!(tried(0, Outcome::TakenOver, vec![moved(MoveResult::Moved)]), 3);
    assert_eq!(tried(60, Outcome::TakenOver, vec![moved(MoveResult::Moved)]), 4, "another takeover");
    // Nothing was moved, so each attempt begins anew: a line an hour.
    let failed = || vec![moved(MoveResult::Failed("denied".to_owned()))];
    for (began, lines) in [(100, 5), (140, 5), (3699, 5), (3700, 6), (3740, 6)] {
        assert_eq!(tried(began, Outcome::Failed, failed()), lines, "{began} s");
    }
}

#[test]
fn f049_of_a_history_that_is_too_long_the_end_is_read() {
    let (_dir, state) = scratch();
    state.append_history(&entry("first")).unwrap();
    let long = entry(&"x".repeat(1 << 20));
    for _ in 0..=READ_LIMIT >> 20 {
        state.append_history(&long).unwrap();
    }
    state.append_history(&entry("last")).unwrap();
    let (entries, unreadable) = state.read_history().unwrap();
    assert_eq!((entries.len(), unreadable), (32, 0), "whole lines only");
    assert!(entries.iter().all(|one| one.why != "first") && entries.last() == Some(&entry("last")));
    assert_eq!(state.read_late_history().unwrap(), [entry("last")]);
    // A line that begins where the reading does is whole.
    let (_dir, state) = scratch();
    state.append_history(&entry("first")).unwrap();
    let length = fs::metadata(state.path(HISTORY)).unwrap().len();
    state.append_history(&entry("next")).unwrap();
    let rest = fs::metadata(state.path(HISTORY)).unwrap().len() - length;
    for (most, lines) in [(rest, 1), (rest - 1, 0), (rest + 1, 1), (rest + length, 2), (rest + length - 1, 1)] {
        let bytes = state.folder().read_end(&state.path(HISTORY), most).unwrap().unwrap();
        let whole = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert_eq!(whole, lines, "{most} of {}", rest + length);
    }
}

#[test]
fn f069_a_torn_last_line_of_the_history_is_ignored_and_closed() {
    let (_dir, state) = scratch();
    assert_eq!(state.read_history().unwrap(), (Vec::new(), 0));
    state.append_history(&entry("one")).unwrap();
    let mut bytes = fs::read(state.path(HISTORY)).unwrap();
    bytes.extend_from_slice(b"{\"version\":1,\"kind\":\"take");
    put(&state.path(HISTORY), &bytes).unwrap();
    assert_eq!(state.read_history().unwrap(), (vec![entry("one")], 1));
    state.append_history(&entry("two\nlines")).unwrap();
    assert_eq!(state.read_history().unwrap(), (vec![entry("one"), entry("two\nlines")], 1));
}

const TERM: Duration = Duration::from_mins(1);

#[tokio::test]
async fn f067_a_second_taker_is_told_at_once_who_holds_the_lock() {
    let (_dir, state) = scratch();
    assert_eq!(peek(&state), None);
    let lock = RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap();
    assert_eq!(mode(&state.path(RUN_LOCK)), 0o640);
    let began = std::time::Instant::now();
    let error = RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(
        error.to_string().starts_with(&format!("another natwatch (process {}, since ", std::process::id())),
        "{error}"
    );
    let LockError::Busy(Some(holder)) = error else { panic!("{error}") };
    assert!(!holder.overdue(holder.began) && holder.overdue(holder.began + SignedDuration::from_secs(61)));
    assert_eq!(peek(&state), Some(holder));
    drop(lock);
    assert_eq!(fs::read(state.path(RUN_LOCK)).unwrap(), b"", "emptied, not deleted");
    assert_eq!(peek(&state), None);
    RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap();
}

#[tokio::test]
async fn a_patient_taker_gets_the_lock_when_the_holder_lets_go() {
    let (_dir, state) = scratch();
    let first = RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap();
    let second = RunLock::acquire(&state, Duration::from_secs(10), TERM);
    let (second, ()) = tokio::join!(second, async {
        tokio::task::yield_now().await;
        drop(first);
    });
    second.unwrap();
}

/// The lock of another process, which is killed: flock(1) of util-linux holds it.
#[tokio::test]
async fn f067_the_lock_of_a_killed_process_is_nobodys_and_its_name_says_nothing() {
    let (_dir, state) = scratch();
    drop(RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap());
    let path = state.path(RUN_LOCK);
    let mut child = std::process::Command::new("flock")
        .args(["--no-fork", "-x"])
        .arg(&path)
        .args(["sh", "-c", "echo held; exec sleep 60"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("flock(1): apt install util-linux");
    let mut word = [0; 5];
    io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
    fs::write(&path, format!("{{\"pid\": {}, \"began\": \"{}\", \"deadline\": \"{}\"}}", child.id(), now(), now()))
        .unwrap();
    assert_eq!(peek(&state).unwrap().pid, child.id());
    assert!(matches!(RunLock::acquire(&state, Duration::ZERO, TERM).await, Err(LockError::Busy(Some(_)))));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(peek(&state), None, "the content is still there, the lock is not");
    RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap();
}

#[tokio::test]
async fn a_second_watch_is_told_who_is_at_work_and_how_to_stop_it() {
    let (_dir, state) = scratch();
    assert_eq!(watching(&state), None);
    let lock = WatchLock::acquire(&state).await.unwrap();
    assert_eq!(mode(&state.path(WATCH_LOCK)), 0o640);
    let watcher = watching(&state).unwrap();
    assert_eq!(watcher.pid, std::process::id());
    let error = WatchLock::acquire(&state).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "another natwatch watch (process {0}, since {1:.0}) is at work on this name; stop process {0} first (systemctl stop natwatch-watch), or give this configuration another `name`",
            watcher.pid, watcher.began
        )
    );
    // A watch is at work for ever, and whoever moves is another matter.
    assert_eq!(peek(&state), None);
    drop(RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap());
    drop(lock);
    assert_eq!(fs::read(state.path(WATCH_LOCK)).unwrap(), b"", "emptied, not deleted");
    assert_eq!(watching(&state), None);
    WatchLock::acquire(&state).await.unwrap();
}

#[tokio::test]
async fn a_watch_lock_whose_file_is_gone_or_another_does_not_stand() {
    let (_dir, state) = scratch();
    let lock = WatchLock::acquire(&state).await.unwrap();
    assert!(lock.stands(&state));
    fs::remove_file(state.path(WATCH_LOCK)).unwrap();
    assert!(!lock.stands(&state));
    let other = WatchLock::acquire(&state).await.unwrap();
    assert!(other.stands(&state) && !lock.stands(&state));
}

#[test]
fn of_many_takers_one_at_a_time_holds_the_lock_and_peeks_disturb_none() {
    let (_dir, state) = scratch();
    let inside = std::sync::atomic::AtomicU32::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(order) {
                let _ = peek(&state);
            }
        });
        let takers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    for _ in 0..10 {
                        let lock = runtime.block_on(RunLock::acquire(&state, Duration::from_mins(1), TERM)).unwrap();
                        assert_eq!(inside.fetch_add(1, order), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, order);
                        drop(lock);
                    }
                })
            })
            .collect();
        let failed = takers.into_iter().map(std::thread::ScopedJoinHandle::join).any(|taker| taker.is_err());
        done.store(true, order);
        assert!(!failed);
    });
}

#[test]
fn f089_told_on_change_and_each_hour_where_nobody_watches() {
    let minutes = |n: i64| now() + SignedDuration::from_mins(n);
    let degraded = Printed::new(Outcome::Degraded, None, now());
    let held = Printed::new(Outcome::Down, Some(Gate::Unfit), now());
    let healthy = Printed::new(Outcome::Healthy, None, now());
    let taken = Printed::new(Outcome::TakenOver, None, now());
    let cases = [
        // What was printed, what is now, after minutes, told?
        (None, (Outcome::Healthy, None), 0, false),
        (None, (Outcome::Degraded, None), 0, true),
        (Some(degraded), (Outcome::Degraded, None), 2, false),
        (Some(degraded), (Outcome::Degraded, None), 59, false),
        (Some(degraded), (Outcome::Degraded, None), 60, true),
        (Some(degraded), (Outcome::Degraded, None), -1, true),
        (Some(degraded), (Outcome::Healthy, None), 2, true),
        (Some(healthy), (Outcome::Healthy, None), 600, false),
        (Some(held), (Outcome::Down, Some(Gate::Unfit)), 2, false),
        (Some(held), (Outcome::Down, Some(Gate::Locked)), 2, true),
        (Some(held), (Outcome::Busy, None), 2, false),
        (None, (Outcome::Busy, None), 600, false),
        (Some(taken), (Outcome::TakenOver, None), 2, true),
        (Some(taken), (Outcome::Locked, None), 2, true),
    ];
    for (previous, current, after, told) in cases {
        assert_eq!(
            should_print(previous.as_ref(), current, minutes(after), false),
            told,
            "{previous:?} {current:?} {after}"
        );
        assert!(should_print(previous.as_ref(), current, minutes(after), true), "a terminal is always told");
    }
    let (_dir, state) = scratch();
    assert_eq!(state.read_printed(), None);
    state.write_printed(&held).unwrap();
    assert_eq!(state.read_printed(), Some(held));
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_witness_is_one_host_at_one_address_in_one_family_for_30_days() {
    let (_dir, state) = scratch();
    let (mut store, warning) = Witnesses::load(&state, now());
    assert_eq!(warning, None);
    store.saw("web1", Some(addr("10.0.10.5")), Family::V4, now());
    store.found_whole_seconds("web2", None, now());
    assert!(store.save(&state, now()).unwrap());
    let (store, _) = Witnesses::load(&state, now());
    let days = |n: i64| now() + SignedDuration::from_hours(24 * n);
    assert!(store.is_witness("web1", Some(addr("10.0.10.5")), Family::V4, days(29)));
    assert!(!store.is_witness("web1", Some(addr("10.0.10.5")), Family::V4, days(30)));
    assert!(!store.is_witness("web1", Some(addr("10.0.10.6")), Family::V4, now()));
    assert!(!store.is_witness("web1", Some(addr("10.0.10.5")), Family::V6, now()));
    assert!(!store.is_witness("web2", None, Family::V4, now()));
    assert!(store.whole_seconds_ping("web2", None, days(29)) && !store.whole_seconds_ping("web2", None, days(30)));
    assert!(!store.whole_seconds_ping("web1", Some(addr("10.0.10.5")), now()));
}

#[test]
fn f005_a_sighting_in_the_future_counts_as_now() {
    let (_dir, state) = scratch();
    let mut store = Witnesses::default();
    let future = now() + SignedDuration::from_hours(24 * 365);
    store.saw("web1", None, Family::V4, future);
    store.save(&state, future).unwrap();
    let (mut store, _) = Witnesses::load(&state, now());
    assert!(store.is_witness("web1", None, Family::V4, now()));
    assert!(!store.is_witness("web1", None, Family::V4, now() + SignedDuration::from_hours(24 * 30)));
    store.saw("web2", None, Family::V4, now());
    store.save(&state, now()).unwrap();
    let text = fs::read_to_string(state.path(WITNESSES)).unwrap();
    assert!(!text.contains("2027"), "{text}");
}

#[test]
fn a_healthy_pass_every_two_minutes_writes_once_a_day() {
    let (_dir, state) = scratch();
    let mut writes = 0;
    for pass in 0..=(30 * 24) {
        let now = now() + SignedDuration::from_mins(2 * pass);
        let (mut store, _) = Witnesses::load(&state, now);
        store.saw("web1", None, Family::V4, now);
        writes += u32::from(store.save(&state, now).unwrap());
    }
    assert_eq!(writes, 2);
}

#[test]
fn two_processes_that_save_keep_each_others_sightings() {
    let (_dir, state) = scratch();
    let (mut one, mut two) = (Witnesses::load(&state, now()).0, Witnesses::load(&state, now()).0);
    one.saw("web1", None, Family::V4, now());
    two.saw("web2", None, Family::V6, now());
    one.save(&state, now()).unwrap();
    two.save(&state, now()).unwrap();
    let (store, _) = Witnesses::load(&state, now());
    assert!(store.is_witness("web1", None, Family::V4, now()) && store.is_witness("web2", None, Family::V6, now()));
}

#[test]
fn the_store_is_bounded_and_forgets_the_longest_unseen() {
    let (_dir, state) = scratch();
    let mut store = Witnesses::default();
    for n in 0..20_001 {
        store.saw(&format!("host{n}"), None, Family::V4, now() + SignedDuration::from_secs(n));
    }
    let later = now() + SignedDuration::from_hours(6);
    assert!(store.save(&state, later).unwrap());
    let (store, warning) = Witnesses::load(&state, later);
    assert_eq!(warning, None, "what we write, we can read");
    assert!(!store.is_witness("host0", None, Family::V4, later));
    assert!(
        store.is_witness("host1", None, Family::V4, later) && store.is_witness("host20000", None, Family::V4, later)
    );
}

proptest! {
    /// Merging is commutative, associative and idempotent, so that it doesn't matter who saves when and how often.
    #[test]
    fn merging_witnesses_is_a_join(
        sightings in prop::collection::vec((0..3_usize, 0..4_u8, 0..3_u8, 0..1000_i64), 0..40),
    ) {
        let mut stores = [Witnesses::default(), Witnesses::default(), Witnesses::default()];
        let mut all = std::collections::BTreeSet::new();
        for (store, host, kind, minute) in sightings {
            let (host, at) = (format!("web{host}"), now() + SignedDuration::from_mins(minute));
            match kind {
                0 => stores[store].saw(&host, None, Family::V4, at),
                1 => stores[store].saw(&host, None, Family::V6, at),
                _ => stores[store].found_whole_seconds(&host, None, at),
            }
            all.insert((host, kind));
        }
        // `changed` is bookkeeping of one process and not merged: compare stores that start unchanged.
        let join = |order: &[usize]| {
            let mut sum = Witnesses::default();
            for n in order {
                sum.merge(&stores[*n]);
            }
            sum
        };
        let sum = join(&[0, 1, 2]);
        prop_assert_eq!(&sum, &join(&[2, 1, 0]));
        prop_assert_eq!(&sum, &join(&[1, 0, 2, 1, 1, 0]));
        let mut nested = join(&[1, 2]);
        nested.merge(&stores[0]);
        prop_assert_eq!(&sum, &nested);
        for (host, kind) in all {
            let known = match kind {
                0 => sum.is_witness(&host, None, Family::V4, now()),
                1 => sum.is_witness(&host, None, Family::V6, now()),
                _ => sum.whole_seconds_ping(&host, None, now()),
            };
            prop_assert!(known, "{host} {kind} was lost");
        }
    }
}

#[test]
fn who_only_looks_creates_nothing_and_is_as_strict() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let state = State::look(&dir.path().join("a/nat")).unwrap();
    assert_eq!((state.read_record(None), state.read_guarded()), (Found::Absent, (None, None)));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());

    let folder = dir.path().join("nat");
    State::open(&folder).unwrap().write_record(&record()).unwrap();
    assert_eq!(State::look(&folder).unwrap().read_record(None), Found::Present(record()));
    fs::set_permissions(folder.join(TAKEOVER), Permissions::from_mode(0o666)).unwrap();
    let error = State::look(&folder).unwrap_err().to_string();
    assert!(error.contains("can be written by others"), "{error}");
}

#[tokio::test]
async fn who_looks_on_is_seen_by_a_watch_and_keeps_nobody_from_anything() {
    let (_dir, state) = scratch();
    assert!(!viewed(&state));
    let (one, other) = (View::begin(&state).unwrap(), View::begin(&state).unwrap());
    assert!(viewed(&state));
    assert!(one.stands(&state));
    // Nobody waits for them, and nothing is left behind.
    drop(RunLock::acquire(&state, Duration::ZERO, TERM).await.unwrap());
    drop(WatchLock::acquire(&state).await.unwrap());
    state.write_last_round(&last_round()).unwrap();
    drop(one);
    assert!(viewed(&state));
    drop(other);
    assert!(!viewed(&state));

    // In a folder that was put in the place of ours, nobody would see us; and one that is not there has no viewer.
    let view = View::begin(&state).unwrap();
    fs::remove_dir_all(state.dir()).unwrap();
    assert!(!view.stands(&state) && !viewed(&state) && View::begin(&state).is_none());
    State::open(state.dir()).unwrap();
    assert!(!view.stands(&state) && !viewed(&state));
}

#[test]
fn every_writing_of_a_file_has_a_mark_of_its_own() {
    let (_dir, state) = scratch();
    assert_eq!(state.mark(LAST_ROUND), None);
    let mut before = None;
    for _ in 0..3 {
        state.write_last_round(&last_round()).unwrap();
        let mark = state.mark(LAST_ROUND);
        assert!(mark.is_some() && mark != before);
        assert_eq!(state.mark(LAST_ROUND), mark);
        before = mark;
    }
}
