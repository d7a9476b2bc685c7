//! What must be on the machine before the first lab: packages, moto in an environment of its own, and promtool beside it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::{promtool, runtime, shell};

/// Everything moto needs, with exact versions.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Where moto lives: `$NATWATCH_LAB_VENV`, else a cache folder that outlives builds.
#[must_use]
pub fn venv() -> PathBuf {
    std::env::var_os("NATWATCH_LAB_VENV").map_or_else(|| PathBuf::from("/var/cache/natwatch-lab/venv"), PathBuf::from)
}

/// Fails with the remedy unless moto is installed in exactly the pinned versions.
pub(crate) fn need_venv() -> anyhow::Result<()> {
    anyhow::ensure!(
        is_current(&venv()),
        "moto (the lab's EC2) is not installed in {}: run `lab setup`",
        venv().display()
    );
    Ok(())
}

fn stamp(venv: &Path) -> PathBuf {
    venv.join("natwatch-lab-requirements.txt")
}

fn is_current(venv: &Path) -> bool {
    fs::read_to_string(stamp(venv)).is_ok_and(|text| text == REQUIREMENTS)
}

/// Installs what is missing and gives a line for each thing it did; nothing on the second call. `bench`: what natwatch is measured
/// against, too.
///
/// # Errors
/// Without root, or when apt or pip fail.
pub fn setup(bench: bool) -> anyhow::Result<Vec<String>> {
    runtime::need_root()?;
    let mut done = Vec::new();
    let mut packages = runtime::missing_packages(&runtime::TOOLS);
    packages.extend(runtime::missing_packages(&runtime::TEST_TOOLS));
    packages.extend(runtime::missing_packages(&runtime::SCRIPT_TOOLS));
    if bench {
        packages.extend(runtime::missing_packages(&runtime::BENCH_TOOLS));
    }
    let venv = venv();
    if !is_current(&venv) && !has_ensurepip() {
        packages.push("python3-venv");
    }
    if !packages.is_empty() {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "--no-install-recommends"]).args(&packages);
        let _services = NoServices::impose()?;
        if shell::run(&mut apt, "").is_err() {
            // Stale package lists are the usual reason.
            shell::run(Command::new("apt-get").arg("update"), "")?;
            shell::run(&mut apt, "").context("install packages")?;
        }
        done.push(format!("installed {}", packages.join(" ")));
    }
    if !is_current(&venv) {
        fs::create_dir_all(&venv).with_context(|| format!("make {}", venv.display()))?;
        shell::run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&venv), "")?;
        let list = venv.join("requirements.txt");
        fs::write(&list, REQUIREMENTS)?;
        shell::run(
            Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&list),
            "",
        )
        .context("install moto")?;
        // Written last: an interrupted installation is done again.
        fs::write(stamp(&venv), REQUIREMENTS)?;
        done.push(format!("installed moto in {}", venv.display()));
    }
    done.extend(promtool::install()?);
    Ok(done)
}

/// While it lives, packages that bring a service (an SSH server, Icinga) don't start it: the lab runs what it needs in its own
/// namespaces. By invoke-rc.d(8), which asks this program and takes 101 for a no.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    /// A policy that is there already is the machine's own, and stays.
    fn impose() -> anyhow::Result<Self> {
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(Self::POLICY);
        match made {
            Ok(mut file) => {
                // Dropped, and so removed, should the write fail.
                let policy = Self { ours: true };
                file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("write {}", Self::POLICY))?;
                Ok(policy)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("make {}", Self::POLICY)),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}

fn has_ensurepip() -> bool {
    Command::new("/usr/bin/python3")
        .args(["-c", "import ensurepip"])
        .output()
        .is_ok_and(|output| output.status.success())
}
