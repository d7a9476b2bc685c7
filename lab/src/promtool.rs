//! promtool, by which tests check metrics and alert rules. Debian's, unpacked and not installed: its package brings a server that would be
//! started on the machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::{setup, shell};

/// Where an installed one is.
const INSTALLED: &str = "/usr/bin/promtool";

/// Beside moto's environment, in the cache folder.
fn unpacked() -> PathBuf {
    setup::venv().with_file_name("prometheus").join("usr/bin/promtool")
}

/// The program.
///
/// # Errors
/// It is not there; with how it comes there.
pub fn promtool() -> anyhow::Result<PathBuf> {
    [PathBuf::from(INSTALLED), unpacked()]
        .into_iter()
        .find(|path| path.exists())
        .with_context(|| format!("promtool is neither {INSTALLED} nor {}: run `lab setup`", unpacked().display()))
}

/// Brings it, where it is missing; gives a line for what was done.
pub(crate) fn install() -> anyhow::Result<Option<String>> {
    if promtool().is_ok() {
        return Ok(None);
    }
    let path = unpacked();
    let parent = setup::venv();
    let parent = parent.parent().context("a folder for the cache")?;
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    let folder = tempfile::tempdir_in(parent)?;
    let download = || {
        let mut apt = Command::new("apt-get");
        shell::run(apt.args(["download", "--quiet", "prometheus"]).current_dir(folder.path()), "")
    };
    if download().is_err() {
        // Stale package lists are the usual reason.
        shell::run(Command::new("apt-get").arg("update"), "")?;
        download().context("download Debian's package prometheus")?;
    }
    let unpack = "dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool";
    shell::run(Command::new("sh").args(["-c", unpack]).current_dir(folder.path()), "")?;
    fs::create_dir_all(path.parent().context("a folder for promtool")?)?;
    // Last: an interrupted installation is done again.
    fs::rename(folder.path().join("usr/bin/promtool"), &path).with_context(|| format!("make {}", path.display()))?;
    Ok(Some(format!("unpacked promtool in {}", path.display())))
}
