//! Starts `ssh` masters: which program, with which environment, options and bounds.
//!
//! A master logs in and goes to the background, where it serves commands on its control socket. Only what stands here and the
//! operator's named configuration rule: no other file is read (`-F`), nothing is asked of anybody, and nothing of our environment
//! gets through. `ssh_config(5)`: the first value of an option wins, so ours come first.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::observe::{HostKeys, SshSettings};

/// Where OpenSSH's client is looked for. Never in `PATH`, which is cron's or anybody's.
const PLACES: [&str; 3] = ["/usr/bin/ssh", "/bin/ssh", "/usr/local/bin/ssh"];

/// The `PATH` of `ssh` itself, for the operator's `ProxyCommand`: ssh's own default (`_PATH_STDPATH`).
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// What is read of `ssh`'s complaints. The longest, about a changed host key, has 1 kB.
const SAID: u64 = 16 * 1024;

/// Once `ssh` has ended, how long its last words may take through the pipe, which a `ProxyCommand` of its may hold open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What the operator's configuration can't change: what would prompt, run something, forward something or trust more hosts.
const OURS: &str = "\
Host *
  BatchMode yes
  LogLevel ERROR
  ClearAllForwardings yes
  ForwardAgent no
  ForwardX11 no
  Tunnel no
  PermitLocalCommand no
  RemoteCommand none
  RequestTTY no
  AddKeysToAgent no
  PreferredAuthentications publickey
  VerifyHostKeyDNS no
  NoHostAuthenticationForLocalhost no
  UpdateHostKeys no
  CheckHostIP no
  ConnectionAttempts 1
  ServerAliveInterval 5
  ServerAliveCountMax 2
";

/// Starts masters, all alike.
pub(super) struct Masters {
    ssh: PathBuf,
    arguments: Vec<OsString>,
}

impl Masters {
    /// Finds `ssh`, and writes the configuration of all masters into `folder`.
    ///
    /// # Errors
    /// There is no `ssh` to be trusted, or the configuration can't be written: why, with the remedy.
    pub(super) fn new(settings: &SshSettings, folder: &Path) -> Result<Self, String> {
        let config = folder.join("config");
        std::fs::write(&config, ssh_config(settings)).map_err(|error| format!("{}: {error}", config.display()))?;
        Ok(Self { ssh: find(&PLACES)?, arguments: arguments(settings, &config) })
    }

    /// Logs in to `destination` within `limit`; the master is in the background then, and listens on `socket`.
    ///
    /// Cancelled, it leaves no process behind, but one that has just gone to the background.
    ///
    /// # Errors
    /// What `ssh` said, or why it could not be started; `None` where it was ended at the limit.
    pub(super) async fn start(&self, socket: &Path, destination: &str, limit: Duration) -> Result<(), Option<String>> {
        let mut child = Command::new(&self.ssh)
            .args(&self.arguments)
            .arg("-S")
            .arg(socket)
            .arg("--")
            .arg(destination)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            // For the operator's ProxyCommand; ssh itself asks the password file.
            .envs(std::env::var_os("HOME").map(|home| ("HOME", home)))
            // BatchMode does not keep a hardware key from asking for its PIN on the terminal; this does (ssh(1)).
            .env("SSH_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for natwatch, which may have a takeover to finish.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Some(format!("{} could not be started: {error}", self.ssh.display())))?;
        let ended = timeout(limit, end(&mut child)).await;
        let Ok((status, said)) = ended else {
            // Waited for, so that whoever logs in next does so in its place and not beside it.
            let _ = child.kill().await;
            return Err(None);
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Some(said)),
            Err(error) => Err(Some(format!("ssh's end is not known: {error}"))),
        }
    }
}

/// How `child` ended, and what it said.
async fn end(child: &mut Child) -> (std::io::Result<ExitStatus>, String) {
    let mut said = Vec::new();
    let stderr = child.stderr.take();
    let status = {
        let reading = async {
            if let Some(stderr) = stderr {
                // What has come by an error is what there is.
                let _ = stderr.take(SAID).read_to_end(&mut said).await;
            }
        };
        tokio::pin!(reading);
        tokio::select! {
            status = child.wait() => {
                let _ = timeout(LAST_WORDS, reading).await;
                status
            }
            () = &mut reading => child.wait().await,
        }
    };
    (status, String::from_utf8_lossy(&said).into_owned())
}

/// The first of `places` that only root or we ourselves can have put there.
fn find(places: &[&str]) -> Result<PathBuf, String> {
    let us = rustix::process::geteuid().as_raw();
    let trusted = |place: &&&str| {
        std::fs::metadata(place).is_ok_and(|meta| {
            meta.is_file()
                && meta.mode() & 0o111 != 0
                && meta.mode() & 0o022 == 0
                && (meta.uid() == 0 || meta.uid() == us)
        })
    };
    places.iter().find(trusted).map(PathBuf::from).ok_or_else(|| {
        format!(
            "none of {} is a program that only root can change: apt-get install openssh-client, or dnf install openssh-clients",
            places.join(", ")
        )
    })
}

/// What is the same for every master. On the command line stands what is for the backend alone and not for a `ProxyJump`'s host, which
/// gets the configuration too.
fn arguments(settings: &SshSettings, config: &Path) -> Vec<OsString> {
    let mut all: Vec<OsString> = ["-M", "-f", "-N", "-T", "-x", "-a", "-F"].map(Into::into).into();
    all.push(config.into());
    let mut option = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        let mut text = OsString::from(name);
        text.push("=");
        text.push(value);
        all.extend([OsString::from("-o"), text]);
    };
    option("ControlPersist", &format!("{}s", settings.idle.as_secs()));
    if let Some(user) = &settings.user {
        option("User", user);
    }
    if let Some(port) = settings.port {
        option("Port", &port.to_string());
    }
    if let Some(identity) = &settings.identity {
        // That key and no other: not an agent's, which would ask somebody, nor a hundred of its, which sshd would be tired of.
        option("IdentityFile", identity);
        option("IdentitiesOnly", &"yes");
        option("IdentityAgent", &"none");
    }
    if let Some(known_hosts) = &settings.known_hosts {
        option("UserKnownHostsFile", known_hosts);
    }
    all
}

/// The configuration of every master and of the hosts that it jumps over.
fn ssh_config(settings: &SshSettings) -> String {
    let mut text = String::from(OURS);
    let strict = match settings.host_keys {
        HostKeys::Strict => "yes",
        HostKeys::AcceptNew => "accept-new",
    };
    let _ = writeln!(text, "  StrictHostKeyChecking {strict}\n  ConnectTimeout {}", settings.connect_timeout.as_secs());
    match &settings.ssh_config {
        Some(path) => {
            let _ = writeln!(text, "  Include \"{}\"", path.display());
        }
        // The default hybrid key exchange is ten times dearer, and a probe carries no secret that must outlive today.
        None => text.push_str("  KexAlgorithms ^curve25519-sha256\n"),
    }
    text
}

#[cfg(test)]
mod tests;
