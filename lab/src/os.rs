//! A standby with an operating system of its own: this machine's files under an overlay in memory, and systemd as process 1, in the standby's
//! network namespace. What is installed, enabled or purged there is as on an instance, and goes with it; this machine is not touched.
//!
//! It is the machine's own Debian, with whatever is installed on it. A file system mounted beside the root one (a `/usr` or `/var` of its
//! own) is not in it. Needs control groups of version 2, which may be there beside those of version 1.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use crate::lab::Lab;
use crate::natwatch::{Invocation, Run, Running};
use crate::netns;
use crate::plan::Nat;

const SCRIPT: &str = include_str!("os.sh");

/// systemd is up within a second or two; a bound for a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a lab's certificate has to be, for whoever trusts what Debian trusts.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A running system. Dropping it ends it, with all that runs in it.
#[derive(Debug)]
pub struct Os<'a> {
    lab: &'a Lab,
    script: Option<Running>,
    /// systemd's, as seen from here.
    init: Pid,
}

impl Lab {
    /// Starts an operating system on the standby, and waits until it takes orders. EC2's certificate is trusted there, by its usual name.
    ///
    /// # Errors
    /// When systemd does not come up; with what it said.
    pub fn boot(&self) -> anyhow::Result<Os<'_>> {
        let plan = self.plan();
        let host = plan.nat(Nat::Standby)?;
        let folder = plan.root.join("os");
        fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        let path = plan.root.join("os.sh");
        fs::write(&path, SCRIPT)?;
        let name = format!("natwatch-{}", plan.id);
        let args = [&path, Path::new("boot"), &folder, Path::new(&name)].map(|arg| arg.to_string_lossy().into_owned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let script = self.program(&host.name, "/bin/sh", &args).spawn()?;
        let limit = Instant::now() + PATIENCE;
        let init = loop {
            // Others in this namespace are in no process namespace of their own.
            let first = netns::residents(std::slice::from_ref(&host.ns)).into_iter().find(|pid| is_first(*pid));
            if let Some(init) = first {
                break init;
            }
            let ended = !Path::new(&format!("/proc/{}", script.pid())).exists();
            anyhow::ensure!(
                !ended && Instant::now() < limit,
                "systemd has not started: {}{}",
                script.stdout(),
                script.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let os = Os { lab: self, script: Some(script), init };
        while os.run(&["systemctl", "is-active", "--quiet", "basic.target"])?.status != Some(0) {
            anyhow::ensure!(Instant::now() < limit, "systemd does not come up: {}", os.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        if plan.tls {
            let mut trusted = fs::read_to_string(os.path(TRUSTED)).unwrap_or_default();
            trusted.push_str(&fs::read_to_string(plan.ca())?);
            os.write(TRUSTED, &trusted, 0o644)?;
        }
        Ok(os)
    }
}

/// Whether it is process 1 of a process namespace that is not the first (`NSpid:` of `proc_pid_status(5)`), and has become systemd.
fn is_first(pid: Pid) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_nonzero())).unwrap_or_default();
    let status = read("status");
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    ids.len() > 1 && ids.last() == Some(&"1") && read("comm").trim_end() == "systemd"
}

impl Os<'_> {
    /// Where a file of the system is, as seen from here.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init.as_raw_nonzero()))
    }

    /// Writes a file there, as root's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let path = self.path(path);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
    }

    /// A command there, as root.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Invocation {
        let init = self.init.as_raw_nonzero().to_string();
        let enter = ["-t", &init, "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup", "--"];
        let all = [enter.as_slice(), args].concat();
        let host = Nat::Standby.host();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        self.lab.program(host, "/usr/bin/nsenter", &all).env("PATH", path).env("HOME", "/root").env("LOGNAME", "root")
    }

    /// Runs a command there to its end, as root.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<Run> {
        self.command(args).run()
    }

    /// What systemd, and what prepared it, have said.
    #[must_use]
    pub fn said(&self) -> String {
        self.script.as_ref().map_or_else(String::new, |script| script.stdout() + &script.stderr())
    }
}

impl Drop for Os<'_> {
    fn drop(&mut self) {
        // With process 1, the kernel ends all of its namespace; the script then removes the control group.
        let _ = rustix::process::kill_process(self.init, Signal::KILL);
        if let Some(script) = self.script.take() {
            let _ = script.wait(Duration::from_secs(5));
        }
    }
}
