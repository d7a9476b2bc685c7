//! The lab's folder, and the sweeping of labs whose owner is dead.
//!
//! The owner holds an exclusive lock on `owner` in its folder; the kernel lets go of it however the owner ends, so a lock that can be
//! had is a dead lab, and no process id is ever mistaken. Making, sweeping and removing labs happen under one lock of their own.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use rustix::fs::StatVfsMountFlags;

use crate::plan::RUNTIME;
use crate::{netns, shell};

/// Beside the folder: what is mounted over that hides what is in it.
const LOCK: &str = "/run/natwatch-lab.lock";

/// A lab's folder while its owner lives.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) id: String,
    _owner: File,
}

impl Runtime {
    /// A folder with a fresh name, after sweeping what dead labs left.
    pub(crate) fn claim() -> anyhow::Result<Self> {
        let _turn = turn()?;
        sweep_in_turn()?;
        for _ in 0..100 {
            let id = format!("nw{:04x}", rand::random::<u16>());
            let root = Path::new(RUNTIME).join(&id);
            match fs::DirBuilder::new().mode(0o755).create(&root) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                made => made.with_context(|| format!("make {}", root.display()))?,
            }
            let mut owner = File::create(root.join("owner"))?;
            owner.try_lock().context("lock a file nobody else knows")?;
            writeln!(owner, "{}", std::process::id())?;
            return Ok(Self { id, _owner: owner });
        }
        anyhow::bail!("no free name for a lab in {RUNTIME}")
    }
}

impl Drop for Runtime {
    /// Ends everything that carries this lab's name. What resists is swept by the next lab, as the lock goes too.
    fn drop(&mut self) {
        if let Ok(_turn) = turn() {
            let _ = raze(&self.id);
        }
    }
}

/// Removes what labs with a dead owner left behind, and gives their names.
///
/// # Errors
/// When something of theirs cannot be removed.
pub fn sweep() -> anyhow::Result<Vec<String>> {
    let _turn = turn()?;
    sweep_in_turn()
}

/// Names of the labs whose owner is alive, with the owner's process id.
///
/// # Errors
/// When the runtime folder cannot be read.
pub fn running() -> anyhow::Result<Vec<(String, i32)>> {
    let mut found = Vec::new();
    for id in names_in(Path::new(RUNTIME))? {
        let owner = Path::new(RUNTIME).join(&id).join("owner");
        if is_alive(&owner) {
            let pid = fs::read_to_string(&owner).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            found.push((id, pid));
        }
    }
    Ok(found)
}

/// Waits for its turn: making and razing take milliseconds, but a hundred labs may be swept at once.
fn turn() -> anyhow::Result<File> {
    let file = take_turn()?;
    fs::create_dir_all(RUNTIME).with_context(|| format!("make {RUNTIME}"))?;
    let mounted = rustix::fs::statvfs(RUNTIME).with_context(|| format!("look how {RUNTIME} is mounted"))?;
    // The program under test lies there, and Debian's initramfs mounts /run so that nothing in it can be run.
    if mounted.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        let mut mount = Command::new("mount");
        shell::run(mount.args(["-t", "tmpfs", "-o", "mode=0755,nosuid,nodev,exec", "natwatch-lab", RUNTIME]), "")?;
    }
    Ok(file)
}

fn take_turn() -> anyhow::Result<File> {
    let file = File::create(LOCK).with_context(|| format!("make {LOCK}"))?;
    let patience = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(error).context("lock the labs' folder"),
            Err(fs::TryLockError::WouldBlock) => {
                anyhow::ensure!(std::time::Instant::now() < patience, "another lab has held {LOCK} for a minute");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}

fn sweep_in_turn() -> anyhow::Result<Vec<String>> {
    // A namespace without a folder is an orphan as well: folders are made first.
    let mut names = names_in(Path::new(RUNTIME))?;
    for folder in ["/run/netns", "/etc/netns"] {
        names.extend(
            names_in(Path::new(folder))?.into_iter().filter_map(|name| Some(name.split_once('-')?.0.to_owned())),
        );
    }
    names.sort();
    names.dedup();
    names.retain(|id| !is_alive(&Path::new(RUNTIME).join(id).join("owner")));
    for id in &names {
        raze(id).with_context(|| format!("sweep the dead lab {id}"))?;
    }
    Ok(names)
}

fn is_alive(owner: &Path) -> bool {
    let locked = |file: File| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock));
    File::open(owner).is_ok_and(locked)
}

fn raze(id: &str) -> anyhow::Result<()> {
    let own = |name: &String| name.starts_with(&format!("{id}-"));
    let namespaces: Vec<_> = names_in(Path::new("/run/netns"))?.into_iter().filter(own).collect();
    netns::evict(&namespaces)?;
    let lines: Vec<_> = namespaces.iter().map(|ns| format!("netns del {ns}")).collect();
    if !lines.is_empty() {
        shell::ip(None, &lines)?;
    }
    for ns in names_in(Path::new("/etc/netns"))?.iter().filter(|name| own(name)) {
        fs::remove_dir_all(Path::new("/etc/netns").join(ns))?;
    }
    let root = Path::new(RUNTIME).join(id);
    if root.exists() {
        // A process killed a moment ago may still have been writing its log: one more try is enough.
        fs::remove_dir_all(&root)
            .or_else(|_| fs::remove_dir_all(&root))
            .with_context(|| format!("remove {}", root.display()))?;
    }
    Ok(())
}

/// The names in a folder that look like a lab's: `nw` and four hexadecimal digits, alone or before a hyphen.
fn names_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read {}", folder.display()))?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| is_ours(name)).collect())
}

fn is_ours(name: &str) -> bool {
    let id = name.split('-').next().unwrap_or(name);
    id.strip_prefix("nw").is_some_and(|hex| hex.len() == 4 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Fails unless this process is root.
pub(crate) fn need_root() -> anyhow::Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "the lab needs root: it makes network namespaces, routes and firewall rules; try `sudo`"
    );
    Ok(())
}

/// The package of each tool the lab calls, on Debian and Ubuntu.
pub(crate) const TOOLS: [(&str, &str); 15] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/bin/ping", "iputils-ping"),
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/bin/busybox", "busybox"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/sbin/setcap", "libcap2-bin"),
    ("/usr/bin/setpriv", "util-linux"),
    ("/usr/bin/script", "bsdutils"),
    // Not the lab's own: the tests check the shipped units with it, and start them.
    ("/usr/bin/systemd-analyze", "systemd"),
    ("/usr/sbin/update-ca-certificates", "ca-certificates"),
    // And that Icinga understands natwatch's check.
    ("/usr/sbin/icinga2", "icinga2-bin"),
    // And that natwatch may be killed at any file operation.
    ("/usr/bin/strace", "strace"),
];

/// Likewise what no lab needs, and other tests do: what reads the manual and the completions that natwatch prints, and what makes and installs
/// its packages.
pub(crate) const TEST_TOOLS: [(&str, &str); 6] = [
    ("/usr/bin/mandoc", "mandoc"),
    ("/usr/bin/zsh", "zsh"),
    ("/usr/bin/fish", "fish"),
    ("/usr/bin/rpm", "rpm"),
    ("/usr/bin/dpkg-shlibdeps", "dpkg-dev"),
    ("/usr/bin/strip", "binutils"),
];

/// Likewise what others use in natwatch's place.
pub(crate) const BENCH_TOOLS: [(&str, &str); 2] = [("/usr/bin/aws", "awscli"), ("/usr/sbin/keepalived", "keepalived")];

/// Likewise what checks the scripts that a deployment runs, and what these call.
pub(crate) const SCRIPT_TOOLS: [(&str, &str); 2] = [("/usr/bin/shellcheck", "shellcheck"), ("/usr/bin/curl", "curl")];

/// Packages of the tools that are missing.
pub(crate) fn missing_packages(tools: &[(&str, &'static str)]) -> Vec<&'static str> {
    // Either side of a merged /usr will do.
    let there =
        |path: &str| Path::new(path).exists() || path.strip_prefix("/usr").is_some_and(|path| Path::new(path).exists());
    let mut packages: Vec<_> = tools.iter().filter(|(path, _)| !there(path)).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// Fails with the remedy when a tool or moto's environment is missing.
pub(crate) fn need_tools() -> anyhow::Result<()> {
    let packages = missing_packages(&TOOLS);
    anyhow::ensure!(
        packages.is_empty(),
        "the lab misses tools: `lab setup` installs them, or `apt-get install {}`",
        packages.join(" ")
    );
    crate::setup::need_venv()
}

/// Makes an ed25519 key pair at `path`.
pub(crate) fn keygen(path: &Path, comment: &str) -> anyhow::Result<()> {
    shell::run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path), "")
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_labs_names_are_swept() {
        assert!(is_ours("nw01af"));
        assert!(is_ours("nw01af-b0"));
        assert!(!is_ours("nwxyz1"));
        assert!(!is_ours("production"));
        assert!(!is_ours("nw01af0-b0"));
    }
}
