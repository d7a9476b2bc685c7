use rustix::io::Errno;

use super::folder::Look;
use super::*;
use crate::model::LastSteps;
use crate::record::VERSION;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn taken(phase: Phase) -> Record {
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        purpose: crate::model::Purpose::Takeover,
        phase,
        began: at(0),
        changed: at(0),
        boot: None,
        because: "3 of 3 \x1b[31m".to_owned(),
        moves: Vec::new(),
        last: LastSteps::default(),
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Every way in which a precondition here is not met.
pub(in crate::doctor) fn seeds() -> Vec<Finding> {
    let dir = tempfile::tempdir().unwrap();
    let place = Path::new("/var/lib/natwatch/natwatch");
    let there = |owner, errno| Look::There { owner, mode: 0o550, write: Err(errno) };
    let looks = [
        Look::Refused("x is a symbolic link".to_owned(), "ls -ld x".to_owned()),
        Look::Closed,
        Look::Absent(Err(Errno::ACCESS)),
        there(7, Errno::ACCESS),
        there(8, Errno::ACCESS),
        there(7, Errno::ROFS),
    ];
    let mut all: Vec<Finding> = looks.iter().map(|look| folder::folder(look, place, 7)).collect();
    all.push(room_of(place, 0, (0, 0)));
    let holder = Holder { pid: 77, began: at(0), deadline: at(60) };
    all.extend([at(60), at(61)].map(|now| held(Some(&holder), now)));
    let path = || "/s/takeover.json".into();
    all.extend(Phase::ALL.iter().map(|phase| record(&Found::Present(taken(*phase)))));
    all.push(record(&Found::Corrupt { path: path(), why: "torn".to_owned() }));
    all.push(record(&Found::Foreign { path: path(), instance: "i-0c".parse().unwrap() }));
    all.extend(
        [Ok(None), Ok(Some((Outcome::Unheard, String::new()))), Err(String::new())].map(|last| last_round(&last)),
    );
    all.push(drilled(Some((at(0), Some(Outcome::Partial))), at(60)));
    let state = State::open(&dir.path().join("nat")).unwrap();
    std::fs::write(state.dir().join("guarded.json"), "{ torn").unwrap();
    let log = state.dir().join("history.jsonl");
    std::fs::write(&log, "{ torn\n").unwrap();
    all.extend(history(&state, at(0)));
    mode(&log, 0o666);
    all.extend(history(&state, at(0)));
    all.extend(troubles(&state));
    std::fs::write(state.dir().join("pause.json"), "{\"version\": 99}").unwrap();
    all.push(paused(&state, at(0)));
    all
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
    let there = |owner, write| Look::There { owner, mode: 0o750, write };
    let refused = Look::Refused("x is a symbolic link; put the folder there".to_owned(), "ls -ld x".to_owned());
    for (look, us, fitness, words) in [
        (there(7, Ok(())), 7, Fitness::Fit, ["user 7 can write", "mode 0750"]),
        (there(7, Ok(())), 0, Fitness::Fit, ["user 7 can write", "of user 7"]),
        (there(7, Err(Errno::ACCESS)), 7, Fitness::Unfit, ["user 7 can't write", "chmod 0750"]),
        // Root could, and is not who natwatch runs as.
        (there(7, Err(Errno::ACCESS)), 0, Fitness::Unfit, ["user 7 can't write", "chmod 0750"]),
        (there(7, Err(Errno::ACCESS)), 8, Fitness::Unknown, ["user 8 can't write", "sudo -u '#7' natwatch doctor"]),
        (there(7, Err(Errno::ROFS)), 7, Fitness::Unfit, ["can't write", "mount -o remount,rw"]),
        (Look::Absent(Ok(())), 7, Fitness::Fit, ["not there yet", "first run"]),
        (Look::Absent(Err(Errno::ACCESS)), 7, Fitness::Unfit, ["can't make it", "install -d"]),
        (refused, 7, Fitness::Unfit, ["symbolic", "put"]),
        (Look::Closed, 7, Fitness::Unknown, ["may not look", "sudo natwatch doctor"]),
    ] {
        says(&folder::folder(&look, dir, us), fitness, &words);
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
    // What its owner may not write is not writable, whoever looks.
    mode(dir.path(), 0o755);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(64990), None).unwrap();
    }
    assert!(matches!(Look::at(&path, None), Look::There { write: Ok(()), .. }));
    mode(&path, 0o550);
    assert!(matches!(Look::at(&path, None), Look::There { mode: 0o550, write: Err(Errno::ACCESS), .. }));
}

#[test]
fn f073_a_folder_that_is_refused_is_refused_with_a_command_of_its_own_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it's");
    State::open(&path).unwrap();
    mode(&path, 0o777);
    let error = State::look(&path).unwrap_err();
    let found = folder::finding(&path, Some(&error));
    let word = crate::model::quoted(path.to_str().unwrap());
    says(&found, Fitness::Unfit, &["can be written by others", &format!("ls -la {word} && chmod 0750 {word}")]);
    mode(&path, 0o750);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = State::look(&link).unwrap_err();
    let linked = folder::finding(&link, Some(&error));
    says(
        &linked,
        Fitness::Unfit,
        &["is a symbolic link; put the folder itself there", &format!("ls -ld {}", link.display())],
    );
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
    says(&held(Some(&holder), at(61)), Fitness::Warning, &["meant to be done", "kill 77", "ps -fp 77"]);
}

#[test]
fn f080_f071_a_lock_is_a_warning_and_one_that_is_half_way_or_unreadable_unfit() {
    let of = |phase| Found::Present(taken(phase));
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
    let file = state.dir().join("guarded.json");
    assert_eq!(found[0].remedy, Some(format!("mv {} {}.aside", file.display(), file.display())));
}

#[test]
fn f069_lines_of_the_history_that_cannot_be_read_are_counted_with_the_command_that_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("nat")).unwrap();
    let none = history(&state, at(0));
    assert_eq!(none.iter().map(|one| (one.id, one.fitness)).collect::<Vec<_>>(), [("drill", Fitness::Fit)]);
    let path = state.dir().join("history.jsonl");
    std::fs::write(&path, "{\"version\": 1, \"kind\": \"dri\n{\"version\": 99}\n").unwrap();
    let found = history(&state, at(0));
    says(
        &found[1],
        Fitness::Warning,
        &["2 lines of the history", "torn by a power loss", &format!("grep -vn '^{{.*}}$' {}", path.display())],
    );
    // The command leaves whole lines, and the torn ones beside it.
    let mended =
        std::process::Command::new("/bin/sh").args(["-c", found[1].remedy.as_ref().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&mended.stdout), "1:{\"version\": 1, \"kind\": \"dri\n", "{mended:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"version\": 99}\n");
    mode(&path, 0o666);
    says(&history(&state, at(0))[0], Fitness::Warning, &["can be written by others", "ls -l "]);
}

#[test]
fn f076_a_record_that_is_about_another_instance_is_found_out_where_it_is_known_who_this_is() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("nat")).unwrap();
    let written = |phase| {
        let text = serde_json::to_vec(&taken(phase)).unwrap();
        std::fs::write(state.dir().join("takeover.json"), text).unwrap();
    };
    written(Phase::Taken);
    let said = |instance: Option<&str>| record(&state.read_record(instance.map(|one| one.parse().unwrap()).as_ref()));
    says(&said(None), Fitness::Warning, &["locked since"]);
    says(&said(Some("i-0b")), Fitness::Warning, &["locked since"]);
    says(&said(Some("i-0c")), Fitness::Warning, &["about another instance, i-0b", "natwatch reset"]);
    let text = "[primary]\nroute_table = \"rtb-0a\"\n[standby]\nroute_table = \"rtb-0b\"\n[backends]\nhosts = [\"a\", \"b\", \"c\"]\n\
                [targets]\nhosts = [\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\"]\n";
    let mut settings = Settings::parse(text, Path::new("/etc/n.toml"), &crate::config::Disk).unwrap();
    state.dir().clone_into(&mut settings.state);
    let clone = "i-0c".parse().unwrap();
    let all = findings(&settings, &Ok(state), Some(&clone), at(0));
    assert!(all.iter().any(|one| one.cause == Some("another-instances")), "{all:#?}");
}
