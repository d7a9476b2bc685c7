use super::*;
use crate::model::LastSteps;
use crate::record::VERSION;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[track_caller]
fn says(found: &Finding, fitness: Fitness, words: &[&str]) {
    let all = format!("{} {}", found.text, found.remedy.clone().unwrap_or_default());
    assert_eq!(found.fitness, fitness, "{all}");
    for word in words {
        assert!(all.contains(word), "{word:?} is not in {all}");
    }
}

#[test]
fn f070_f073_a_folder_that_cannot_be_written_or_used_is_unfit_and_one_that_may_not_be_seen_unknown() {
    let dir = Path::new("/var/lib/natwatch/natwatch");
    let us = rustix::process::geteuid().as_raw();
    let there = |owner, write| Look::There { owner, mode: 0o750, write };
    for (look, fitness, words) in [
        (there(us, Ok(())), Fitness::Fit, ["can write", "mode 0750"]),
        (there(us, Err(Errno::ACCESS)), Fitness::Unfit, ["can't write", "chmod 0750"]),
        (there(us + 7, Err(Errno::ACCESS)), Fitness::Unfit, ["can't write", "chown -R"]),
        (there(us, Err(Errno::ROFS)), Fitness::Unfit, ["can't write", "read-only"]),
        (Look::Absent(Ok(())), Fitness::Fit, ["not there yet", "first run"]),
        (Look::Absent(Err(Errno::ACCESS)), Fitness::Unfit, ["can't make it", "install -d"]),
        (Look::Refused("x is a symbolic link; put the folder there".to_owned()), Fitness::Unfit, ["symbolic", "put"]),
        (Look::Closed, Fitness::Unknown, ["may not look", "as root"]),
    ] {
        says(&folder(&look, dir), fitness, &words);
    }
}

#[test]
fn the_folder_is_looked_at_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nat");
    assert_eq!(Look::at(&path, None), Look::Absent(Ok(())));
    assert_eq!(Look::at(&path.join("below"), None), Look::Absent(Ok(())), "missing parents are made too");
    let state = State::open(&path).unwrap();
    assert!(matches!(Look::at(state.dir(), None), Look::There { mode: 0o750, write: Ok(()), .. }));
}

#[test]
fn f070_a_disk_that_is_nearly_full_is_a_warning_with_figures() {
    let room = |mib: u64, inodes| room_of(Path::new("/var/lib"), mib << 20, inodes);
    says(&room(64, (0, 0)), Fitness::Fit, &["64 MiB", "/var/lib"]);
    says(&room(63, (1000, 2000)), Fitness::Warning, &["63 MiB", "df -h"]);
    says(&room(64, (99, 2000)), Fitness::Warning, &["99 inodes"]);
}

#[test]
fn f067_who_moves_subnets_now_is_named_and_who_should_have_been_done_too() {
    let holder = Holder { pid: 77, began: at(0), deadline: at(60) };
    says(&held(None, at(0)), Fitness::Fit, &["nobody"]);
    says(&held(Some(&holder), at(60)), Fitness::Warning, &["process 77", "since 1970-01-01T00:00:00Z"]);
    says(&held(Some(&holder), at(61)), Fitness::Warning, &["meant to be done", "kill 77"]);
}

#[test]
fn f080_f071_a_lock_is_a_warning_and_one_that_is_half_way_or_unreadable_unfit() {
    let of = |phase| {
        Found::Present(Record {
            version: VERSION,
            instance: "i-0b".parse().unwrap(),
            phase,
            began: at(0),
            changed: at(0),
            because: "3 of 3 \x1b[31m".to_owned(),
            moves: Vec::new(),
            last: LastSteps::default(),
        })
    };
    says(&record(&Found::Absent), Fitness::Fit, &["not locked"]);
    says(&record(&of(Phase::Taken)), Fitness::Warning, &["3 of 3 \\u{1b}[31m", "natwatch failback"]);
    says(&record(&of(Phase::FailingBack)), Fitness::Warning, &["natwatch failback"]);
    for phase in [Phase::Taking, Phase::Partial] {
        says(&record(&of(phase)), Fitness::Unfit, &["cut short", "natwatch status"]);
    }
    let path = || "/s/takeover.json".into();
    says(&record(&Found::Corrupt { path: path(), why: "torn".to_owned() }), Fitness::Unfit, &["torn", "reset --force"]);
    says(&record(&Found::Newer { path: path(), version: 9 }), Fitness::Unfit, &["newer"]);
    let foreign = Found::Foreign { path: path(), instance: "i-0c".parse().unwrap() };
    says(&record(&foreign), Fitness::Warning, &["i-0c", "natwatch reset"]);
}

#[test]
fn f094_a_standby_that_has_never_run_or_did_not_end_well_is_a_warning() {
    says(&last_round(&Ok(None)), Fitness::Warning, &["no run is on record", "natwatch run"]);
    says(&last_round(&Ok(Some((Outcome::Healthy, "6 of 6".to_owned())))), Fitness::Fit, &["6 of 6"]);
    says(&last_round(&Ok(Some((Outcome::Unheard, "0 of 6".to_owned())))), Fitness::Warning, &["unheard: 0 of 6"]);
    says(&last_round(&Err("last-round.json can't be used".to_owned())), Fitness::Warning, &["can't be used"]);
}

#[test]
fn when_the_last_drill_was_is_said_and_one_that_did_not_end_well_is_a_warning() {
    says(&drilled(None, at(0)), Fitness::Fit, &["never"]);
    says(&drilled(Some((at(0), None)), at(3 * 86_400)), Fitness::Fit, &["3 d ago"]);
    says(&drilled(Some((at(0), Some(Outcome::Unverified))), at(60)), Fitness::Warning, &["unverified"]);
}

#[test]
fn f072_a_file_of_ours_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("nat")).unwrap();
    assert_eq!(troubles(&state), []);
    std::fs::write(state.dir().join("guarded.json"), "{\"version\": 99}").unwrap();
    std::fs::write(state.dir().join("witnesses.json"), "{ torn").unwrap();
    let found = troubles(&state);
    assert_eq!(found.len(), 2);
    says(&found[0], Fitness::Warning, &["guarded.json", "newer"]);
    says(&found[1], Fitness::Warning, &["witnesses.json", "not JSON"]);
}

#[test]
fn f005_a_clock_that_nobody_keeps_is_a_warning_and_one_of_which_nothing_is_known_is_not() {
    says(&clock_is(Some(true)), Fitness::Fit, &["kept"]);
    says(&clock_is(Some(false)), Fitness::Warning, &["five minutes", "169.254.169.123"]);
    says(&clock_is(None), Fitness::Fit, &["not known"]);
    assert_eq!([" yes\n", "no\n", ""].map(synchronized), [Some(true), Some(false), None]);
}
