//! The state folder when root and the service's user take turns. Needs root, since only root can give files away; `make test`
//! runs it so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use jiff::Timestamp;
use natwatch::model::{Phase, Record};
use natwatch::record::history::{Deed, Entry};
use natwatch::record::{State, VERSION};

fn record() -> Record {
    Record {
        version: VERSION,
        instance: "i-0b".parse().unwrap(),
        phase: Phase::Taking,
        began: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        because: "3 of 3 backends are cut off".to_owned(),
        moves: Vec::new(),
        last: natwatch::model::LastSteps::default(),
    }
}

fn entry() -> Entry {
    Entry {
        version: VERSION,
        kind: Deed::Reset,
        at: Timestamp::UNIX_EPOCH,
        instance: None,
        why: "by an operator".to_owned(),
        outcome: None,
        moves: Vec::new(),
        last: natwatch::model::LastSteps::default(),
        took: std::time::Duration::ZERO,
    }
}

fn folder(owner: Option<u32>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    chown(dir.path(), owner, owner).unwrap();
    dir
}

#[test]
fn f105_what_root_writes_belongs_to_the_folders_owner() {
    let dir = folder(Some(4242));
    let state = State::open(&dir.path().join("nat")).unwrap();
    state.write_record(&record()).unwrap();
    state.append_history(&entry()).unwrap();
    let owner = |path: &Path| fs::metadata(path).map(|meta| (meta.uid(), meta.gid())).unwrap();
    assert_eq!(owner(state.dir()), (4242, 4242), "a folder made by root is its parent's owner's");
    for file in ["takeover.json", "history.jsonl"] {
        assert_eq!(owner(&state.dir().join(file)), (4242, 4242), "{file}");
    }
}

#[test]
fn f073_what_belongs_to_somebody_else_is_refused() {
    let dir = folder(None);
    let state = State::open(&dir.path().join("nat")).unwrap();
    state.write_record(&record()).unwrap();
    let taken = state.dir().join("takeover.json");
    chown(&taken, Some(4242), None).unwrap();
    let error = State::open(state.dir()).unwrap_err().to_string();
    assert!(error.contains("belongs to user 4242") && error.contains("chown"), "{error}");
    // In a folder like /tmp, anybody could have made it.
    fs::remove_file(&taken).unwrap();
    chown(state.dir(), Some(4242), None).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
    assert!(State::open(state.dir()).unwrap_err().to_string().contains("belongs to user 4242, and we are user 0"));
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(State::open(state.dir()).is_ok(), "root works for the service's user");
}
