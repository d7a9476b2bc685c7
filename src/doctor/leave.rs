//! What root leaves for natwatch's own user, who may not look: what it sees of the firewall, in `facts.json`; and before the first run the state
//! folder that this lies in, as the service would make it.
//!
//! Nobody but root makes a folder here, and none that is there is changed.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::command;
use super::user::User;
use crate::model::cloud::Masquerade;
use crate::model::{Family, Finding, Fitness, Topic, quoted};
use crate::record::State;
use crate::run::facts;

/// Who the shipped units and the cron entry run natwatch as (`systemd/natwatch.sysusers`).
const SERVICE: &str = "natwatch";

/// Mode of the folder, and of the one that systemd makes for it (`StateDirectoryMode=`).
const MODE: u32 = 0o750;

/// Makes the state folder where there is none, and root asks; says why not.
pub(super) async fn folder(dir: &Path) -> Option<Finding> {
    if !rustix::process::geteuid().is_root() || dir.symlink_metadata().is_ok() {
        return None;
    }
    let said = command::ask(&["/usr/bin/getent", "/bin/getent"], &["passwd", SERVICE]).await;
    made(dir, said.as_deref().and_then(user), 0)
}

/// The ids in a line of passwd(5).
fn user(line: &str) -> Option<User> {
    let words: Vec<&str> = line.trim().split(':').collect();
    let [SERVICE, _, uid, gid, ..] = words.as_slice() else { return None };
    Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// `root`: whose folder above is nobody's in particular.
fn made(dir: &Path, service: Option<User>, root: u32) -> Option<Finding> {
    let finding = |text: String| Finding::new(Topic::State, "facts", Fitness::Warning, text);
    let word = quoted(&dir.to_string_lossy());
    let install = format!("install -d -o {SERVICE} -g {SERVICE} -m 0750 {word} && natwatch doctor");
    let above = dir.parent().and_then(|parent| std::fs::metadata(parent).ok());
    // Somebody has been given the folder above, and what root makes in it is theirs.
    if above.as_ref().is_some_and(|above| above.uid() != root) {
        let why = State::open(dir).err()?;
        let text =
            format!("{} could not be made, so nobody is told what root sees of the firewall: {why}", dir.display());
        return Some(finding(text).cause("folder-not-made").remedy(format!("ls -ld {}", quoted(&parent(dir)))));
    }
    let Some(user) = service else {
        let text = format!(
            "{} is not there and there is no user {SERVICE} to have it, so nobody is told what root sees of the firewall",
            dir.display()
        );
        let remedy =
            format!("useradd --system --home-dir /var/lib/{SERVICE} --shell /usr/sbin/nologin {SERVICE} && {install}");
        return Some(finding(text).cause("no-user").remedy(remedy));
    };
    let why = make(dir, user).err()?;
    let text = format!("{} could not be made, so nobody is told what root sees of the firewall: {why}", dir.display());
    Some(finding(text).cause("service-folder-not-made").remedy(install))
}

fn parent(dir: &Path) -> String {
    dir.parent().unwrap_or(dir).to_string_lossy().into_owned()
}

/// The folder, and the one above where that is not there either (`StateDirectory=` makes that one), of this user; what is above those is
/// root's.
fn make(dir: &Path, user: User) -> io::Result<()> {
    let own = |path: &Path| {
        DirBuilder::new().mode(MODE).create(path)?;
        // The umask may have taken bits.
        std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
        chown(path, Some(user.uid), Some(user.gid))
    };
    if let Some(above) = dir.parent().filter(|above| !above.exists()) {
        if let Some(higher) = above.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(higher)?;
        }
        own(above)?;
    }
    own(dir)
}

/// Leaves what root has seen, and says where that can't be.
pub(super) fn facts(state: &State, seen: &[(Family, Masquerade)]) -> Option<Finding> {
    if !state.dir().exists() {
        return None;
    }
    let why = facts::leave_seen(state, seen)?;
    let text = format!("what was seen of the firewall could not be left for natwatch's user: {why}");
    let dir = quoted(&state.dir().to_string_lossy());
    let found = Finding::new(Topic::State, "facts", Fitness::Warning, text).cause("facts-not-left");
    Some(found.remedy(format!("ls -la {dir}; df -h {dir}; mv {dir}/facts.json {dir}/facts.json.aside")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Only root gives to others; that root does is seen in the lab.
    fn us() -> User {
        User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    fn like(path: &Path) -> (u32, u32, u32) {
        let meta = std::fs::metadata(path).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    }

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        std::fs::set_permissions(&theirs, Permissions::from_mode(0o777)).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let newer = State::open(&dir.path().join("newer")).unwrap();
        std::fs::write(newer.dir().join("facts.json"), "{\"version\": 99}").unwrap();
        let all = [
            made(&theirs.join("natwatch"), None, us().uid + 1),
            made(&dir.path().join("natwatch"), None, us().uid),
            made(&dir.path().join("file/below/natwatch"), Some(us()), us().uid),
            facts(&newer, &[(Family::V4, Masquerade::Present)]),
        ];
        all.map(Option::unwrap).into()
    }

    #[test]
    fn f105_roots_first_look_makes_the_folder_as_the_service_would_have_it_and_leaves_what_it_saw_there() {
        let dir = tempfile::tempdir().unwrap();
        let User { uid, gid } = us();
        for place in ["lib/natwatch/natwatch", "natwatch"] {
            let path = dir.path().join(place);
            assert_eq!(made(&path, Some(us()), uid), None);
            assert_eq!(like(&path), (uid, gid, 0o750), "{place}");
            let state = State::look(&path).unwrap();
            assert_eq!(facts(&state, &[(Family::V4, Masquerade::Present)]), None);
            assert_eq!(like(&path.join("facts.json")), (uid, gid, 0o640));
        }
        assert_eq!(like(&dir.path().join("lib/natwatch")), (uid, gid, 0o750));
        assert_eq!(like(&dir.path().join("lib")), (uid, gid, 0o755));
        // Given to somebody already, by whatever name: no user of the service's is needed.
        assert_eq!(made(&dir.path().join("web"), None, uid + 1), None);
        assert_eq!(like(&dir.path().join("web")), (uid, gid, 0o750));
    }

    #[test]
    fn without_a_user_to_have_it_no_folder_is_made_and_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("natwatch");
        let found = made(&path, None, us().uid).unwrap();
        assert!(!path.exists() && found.text.contains("there is no user natwatch"), "{found:?}");
        assert!(found.remedy.unwrap().starts_with("useradd --system"));
        // Without a folder nothing is left, and nobody told why not but by this.
        assert_eq!(facts(&State::look(&path).unwrap(), &[(Family::V4, Masquerade::Absent)]), None);
    }

    #[test]
    fn a_user_is_read_of_the_line_that_getent_prints() {
        assert_eq!(
            user("natwatch:x:990:980:NAT failover watchdog:/var/lib/natwatch:/usr/sbin/nologin\n"),
            Some(User { uid: 990, gid: 980 })
        );
        for line in ["", "root:x:0:0::/root:/bin/sh", "natwatch:x:none:980::/:/bin/sh"] {
            assert_eq!(user(line), None, "{line}");
        }
    }
}
