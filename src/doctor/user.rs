//! Who natwatch runs as, and what that user may do with a file: by owner, mode and access list where somebody else asks, as root does.
//!
//! It knows a user's own group only, not the further ones, and no capability: what it refuses may be allowed by those.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Why not, one line, and the command that mends it, where there is one that opens nothing else.
pub(super) type Refusal = (String, Option<String>);

/// The access list that a file has besides its mode (acl(5)).
const ACL: &str = "system.posix_acl_access";

/// Tags of its entries (acl(5); `linux/posix_acl.h`).
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// One entry of an access list: tag, what it allows, and whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u16,
    allows: u32,
    id: u32,
}

impl User {
    /// Whoever owns the state folder is who natwatch runs as; before there is one, the owner of the folder that it will be in.
    pub(super) fn of(state: &Path) -> Option<Self> {
        let folder = std::fs::metadata(state).or_else(|error| state.parent().map_or(Err(error), std::fs::metadata));
        folder.ok().map(|folder| Self { uid: folder.uid(), gid: folder.gid() })
    }

    /// Whether a file of this owner, group and mode lets the user do all that is `wanted` (`0o4` read, `0o2` write, `0o1` execute).
    pub(super) fn may_by_mode(self, owner: (u32, u32), mode: u32, wanted: u32) -> bool {
        self.may_by(owner, mode, &[], wanted)
    }

    /// The same, where the file at `path` may have an access list besides.
    pub(super) fn may_by_list(self, path: &Path, owner: (u32, u32), mode: u32, wanted: u32) -> bool {
        self.may_by(owner, mode, &entries(path), wanted)
    }

    fn may_by(self, owner: (u32, u32), mode: u32, acl: &[Entry], wanted: u32) -> bool {
        // Root may do everything but run what nobody may run.
        let root = self.uid == 0 && (wanted & 0o1 == 0 || mode & 0o111 != 0);
        root || self.class(owner, mode, acl) & wanted == wanted
    }

    /// By the first class that fits, as the kernel does (`path_resolution(7)`, acl(5)).
    fn class(self, (owner, group): (u32, u32), mode: u32, acl: &[Entry]) -> u32 {
        if self.uid == owner {
            return mode >> 6 & 0o7;
        }
        // Beside an access list, the group's bits of the mode are its mask.
        let mask = acl.iter().find(|one| one.tag == MASK).map_or(0o7, |one| one.allows);
        if let Some(own) = acl.iter().find(|one| one.tag == USER && one.id == self.uid) {
            return own.allows & mask;
        }
        let ours = |one: &&Entry| match one.tag {
            GROUP_OBJ => self.gid == group,
            GROUP => self.gid == one.id,
            _ => false,
        };
        let listed = acl.iter().filter(ours).map(|one| one.allows).reduce(|one, other| one | other);
        match listed {
            Some(allows) => allows & mask,
            None if self.gid == group => mode >> 3 & 0o7,
            None => mode & 0o7,
        }
    }

    fn may_here(self, path: &Path, file: &Metadata, wanted: u32) -> bool {
        self.uid == 0 || self.class((file.uid(), file.gid()), file.mode(), &entries(path)) & wanted == wanted
    }

    /// The first folder on the way to `path` that the user may not enter; `None`: all of them may be entered, or `path` is not there.
    pub(super) fn shut_out(self, path: &Path) -> Option<PathBuf> {
        // Who asks for itself has come there already, by whatever right.
        let real = std::fs::canonicalize(path).ok().filter(|_| self.uid != rustix::process::geteuid().as_raw())?;
        let folders: Vec<&Path> = real.ancestors().skip(1).collect();
        let shut = |folder: &&&Path| std::fs::metadata(folder).is_ok_and(|file| !self.may_here(folder, &file, 0o1));
        folders.iter().rev().find(shut).map(|folder| folder.to_path_buf())
    }

    /// Whether the user may do all that is `wanted` with what is at `path`, and may go there. Asked by that user, the kernel is.
    pub(super) fn may(self, path: &Path, wanted: Access) -> Result<(), String> {
        if self.uid == rustix::process::geteuid().as_raw() {
            return rustix::fs::access(path, wanted).map_err(|error| io::Error::from(error).to_string());
        }
        let real = std::fs::canonicalize(path).map_err(|error| error.to_string())?;
        for folder in real.ancestors().skip(1) {
            let file = std::fs::metadata(folder).map_err(|error| error.to_string())?;
            if !self.may_here(folder, &file, 0o1) {
                return Err(format!("user {} may not enter {}", self.uid, folder.display()));
            }
        }
        let file = std::fs::metadata(&real).map_err(|error| error.to_string())?;
        if self.may_here(&real, &file, wanted.bits()) {
            Ok(())
        } else {
            Err(format!("user {} may not (mode {:04o}, of user {})", self.uid, file.mode() & 0o7777, file.uid()))
        }
    }
}

/// The access list of a file; empty where there is none.
fn entries(path: &Path) -> Vec<Entry> {
    let mut bytes = [0_u8; 4096];
    let length = rustix::fs::getxattr(path, ACL, &mut bytes[..]).unwrap_or(0);
    parsed(bytes.get(..length).unwrap_or_default())
}

/// A version of four bytes, then eight for each entry, little-endian (`linux/posix_acl_xattr.h`).
fn parsed(bytes: &[u8]) -> Vec<Entry> {
    let entries = bytes.get(4..).unwrap_or_default().as_chunks::<8>().0;
    let entry = |[t0, t1, p0, p1, a, b, c, d]: [u8; 8]| Entry {
        tag: u16::from_le_bytes([t0, t1]),
        allows: u16::from_le_bytes([p0, p1]).into(),
        id: u32::from_le_bytes([a, b, c, d]),
    };
    entries.iter().copied().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SERVICE: User = User { uid: 990, gid: 980 };

    #[test]
    fn f105_the_first_class_that_fits_decides_and_an_access_list_before_the_group() {
        let named = Entry { tag: USER, allows: 0o7, id: 990 };
        let group = |allows| Entry { tag: GROUP_OBJ, allows, id: u32::MAX };
        let mask = |allows| Entry { tag: MASK, allows, id: u32::MAX };
        for (owner, mode, acl, expected) in [
            ((990, 0), 0o077, &[][..], 0),
            ((0, 980), 0o707, &[], 0),
            ((0, 980), 0o750, &[], 0o5),
            ((0, 0), 0o775, &[], 0o5),
            ((0, 0), 0o775, &[named, mask(0o7)], 0o7),
            ((0, 0), 0o755, &[named, mask(0o5)], 0o5),
            ((0, 980), 0o770, &[group(0o1), mask(0o7)], 0o1),
        ] {
            assert_eq!(SERVICE.class(owner, mode, acl), expected, "{owner:?} {mode:o} {acl:?}");
            assert_eq!(SERVICE.may_by(owner, mode, acl, 0o7), expected == 0o7, "{owner:?} {mode:o} {acl:?}");
        }
        let list = [2, 0, 0, 0, 2, 0, 7, 0, 0xde, 3, 0, 0, 0x10, 0, 5, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(parsed(&list), [named, mask(0o5)]);
        assert_eq!(parsed(&[]), []);
    }

    #[test]
    fn f105_what_another_user_may_not_do_is_told_to_who_may_do_everything() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hook");
        std::fs::write(&file, "").unwrap();
        let stranger = User { uid: 64990, gid: 64990 };
        let ours = |mode| set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let its = |mode| set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        ours(0o755);
        its(0o700);
        assert!(stranger.may(&file, Access::EXEC_OK).unwrap_err().contains("user 64990 may not (mode 0700"));
        its(0o705);
        assert_eq!(stranger.may(&file, Access::READ_OK | Access::EXEC_OK), Ok(()));
        assert!(stranger.may(dir.path(), Access::WRITE_OK | Access::EXEC_OK).is_err());
        ours(0o700);
        let why = stranger.may(&file, Access::EXEC_OK).unwrap_err();
        assert!(why.contains("may not enter") && why.ends_with(&dir.path().display().to_string()), "{why}");
        assert_eq!(stranger.shut_out(&file).as_deref(), std::fs::canonicalize(dir.path()).ok().as_deref());
        ours(0o711);
        assert_eq!(stranger.shut_out(&file), None);
        assert!(stranger.may(&dir.path().join("none"), Access::EXEC_OK).unwrap_err().contains("No such file"));
    }
}
