//! The metrics textfile, in a folder that is another program's: written whole, for everybody to read.
//!
//! By rename, as `node_exporter`'s textfile collector asks for, under a name meanwhile that it does not collect (only `*.prom`). Not made durable:
//! what is lost with the machine is written again by the next pass.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::TEMPORARY;
use super::durable::bare;
use crate::model::{Finding, Fitness, Topic, printable, quoted};

/// `node_exporter` has a user of its own.
const MODE: u32 = 0o644;

/// Replaces the file at `path`, or makes it. A link there is replaced, and not followed.
///
/// # Errors
///
/// What the operating system says, with the path.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    replace(path, text).map_err(|error| format!("can't write {}: {error}", path.display()))
}

/// Whether it can be written: what `doctor` has to say of it, by whether the `user` natwatch runs as may write its folder. It is not touched.
#[must_use]
pub fn finding(path: &Path, user: u32, writable: Result<(), String>) -> Finding {
    let folder = path.parent().unwrap_or(path);
    let shown = printable(&path.to_string_lossy(), 200);
    let found = |fitness, text| Finding::new(Topic::Configuration, "metrics", fitness, text);
    match writable {
        Ok(()) => found(Fitness::Fit, format!("metrics are written to {shown}")),
        Err(why) => {
            let text =
                format!("metrics can't be written to {shown}: {why}; a unit of systemd's needs ReadWritePaths= too");
            let there = folder.exists();
            let folder = quoted(&folder.to_string_lossy());
            let remedy = if there {
                format!("setfacl -m u:{user}:rwx {folder}")
            } else {
                format!("install -d -m 0755 -o {user} {folder}")
            };
            found(Fitness::Warning, text).cause("metrics-not-written").remedy(remedy)
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).suffix(".tmp").tempfile_in(folder).map_err(bare)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(MODE))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_textfile_is_written_whole_for_everybody_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("natwatch.prom");
        let other = dir.path().join("other");
        fs::write(&other, "mine").unwrap();
        symlink(&other, &path).unwrap();
        for text in ["a 1\n", "a 2\n"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine", "a link is replaced, not followed");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(finding(&path, 990, Ok(())).fitness, Fitness::Fit);
        let inside = dir.path().join("it's");
        let missing = finding(&inside.join("n.prom"), 990, Err("No such file".to_owned()));
        let folder = format!("'{}/it'\\''s'", dir.path().display());
        assert_eq!(missing.remedy.unwrap(), format!("install -d -m 0755 -o 990 {folder}"));
        fs::create_dir(&inside).unwrap();
        let closed = finding(&inside.join("n.prom"), 990, Err("user 990 may not".to_owned()));
        assert!(closed.fitness == Fitness::Warning && closed.text.contains("n.prom: user 990 may not;"), "{closed:?}");
        assert_eq!(closed.remedy.unwrap(), format!("setfacl -m u:990:rwx {folder}"));
        let error = write(&dir.path().join("none/n.prom"), "").unwrap_err();
        assert!(error.contains("none/n.prom: No such file or directory") && !error.contains(TEMPORARY), "{error}");
    }
}
