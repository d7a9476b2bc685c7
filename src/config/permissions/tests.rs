use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Disk, Facts, Role, judge_file, judge_folder};
use crate::config::Files as _;

fn file(role: Role, uid: u32, mode: u32, euid: u32) -> Vec<String> {
    judge_file(Path::new("/f"), role, Facts { uid, mode }, euid)
}

#[test]
fn f074_only_root_and_the_user_itself_may_be_able_to_write() {
    for (role, uid, mode, euid) in [
        (Role::Config, 0, 0o644, 998),
        (Role::Config, 998, 0o600, 998),
        (Role::Config, 0, 0o640, 0),
        (Role::Hook, 0, 0o755, 998),
        (Role::Hook, 998, 0o700, 998),
        (Role::Identity, 998, 0o600, 998),
        (Role::Identity, 998, 0o600, 0),
        (Role::Identity, 0, 0o400, 0),
        (Role::Data, 998, 0o644, 0),
    ] {
        assert_eq!(file(role, uid, mode, euid), Vec::<String>::new(), "{role:?} {uid} {mode:o} {euid}");
    }
    let wide = "lets others write it; accepted: writable by its owner only; chmod go-w /f";
    for (role, uid, mode, euid, expected) in [
        (Role::Config, 0, 0o664, 0, format!("mode 0664 {wide}")),
        (Role::Config, 0, 0o646, 998, format!("mode 0646 {wide}")),
        (Role::Data, 0, 0o666, 998, format!("mode 0666 {wide}")),
        (
            Role::Config,
            1000,
            0o644,
            998,
            "owned by user 1000, who could change it; accepted: root or user 998 as owner; chown root /f".to_owned(),
        ),
        (
            Role::Hook,
            998,
            0o755,
            0,
            "owned by user 998, who could change it; accepted: root or user 0 as owner; chown root /f".to_owned(),
        ),
        (
            Role::Config,
            1000,
            0o644,
            0,
            "owned by user 1000, who could change it; accepted: root or user 0 as owner; chown root /f".to_owned(),
        ),
        (
            Role::Data,
            1000,
            0o644,
            998,
            "owned by user 1000, who could change it; accepted: root or user 998 as owner; chown root /f".to_owned(),
        ),
    ] {
        assert_eq!(file(role, uid, mode, euid), [expected]);
    }
}

#[test]
fn f040_the_remedy_for_a_key_names_the_user_where_it_is_another_s() {
    let what = "opens the private key to others; accepted: 0600 or less; chmod 600 /f";
    assert_eq!(file(Role::Identity, 998, 0o644, 998), [format!("mode 0644 {what}")]);
    assert_eq!(file(Role::Identity, 0, 0o640, 998), [format!("mode 0640 {what}; chown 998 /f")]);
}

#[test]
fn f074_a_folder_that_others_can_write_is_as_bad_unless_it_is_sticky() {
    let folder = |uid, mode, euid| judge_folder(Path::new("/d"), Role::Config, Facts { uid, mode }, euid);
    assert_eq!(folder(0, 0o755, 998), None);
    assert_eq!(folder(0, 0o1777, 998), None);
    assert!(folder(0, 0o775, 998).is_some_and(|fault| fault.ends_with("chmod go-w /d")));
    assert!(folder(1000, 0o755, 998).is_some_and(|fault| fault.contains("owned by user 1000")));
}

#[test]
fn f073_a_symlink_is_judged_by_where_it_leads() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let real = other.path().join("real");
    let link = dir.path().join("link");
    std::fs::write(&real, "x").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert_eq!(Disk.faults(&link, Role::Config), Vec::<String>::new());
    std::fs::set_permissions(other.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let faults = Disk.faults(&link, Role::Config);
    assert!(faults.len() == 1 && faults[0].contains("of its folder"), "{faults:?}");
}

#[test]
fn only_what_ssh_writes_itself_may_be_missing() {
    let missing = Path::new("/nonexistent/natwatch");
    assert_eq!(Disk.faults(missing, Role::Data), Vec::<String>::new());
    for role in [Role::Config, Role::Identity] {
        assert!(Disk.faults(missing, role)[0].contains("there is no such file"));
    }
}
