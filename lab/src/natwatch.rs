//! Runs programs on the lab's hosts: natwatch as its service's user with a clean environment, and anything else.
//!
//! Every wait is bounded, and output is collected while the program runs. What it leaves behind (an ssh master, say) lives on in
//! its namespace until the lab ends, and does not hold up the wait.

mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use running::Input;
pub use running::{Run, Running};

use crate::accounts::UID;
use crate::keeper::Keeper;
use crate::plan::Plan;

/// natwatch's own deadline is 60 s, and a hook may take 20 s more; what takes longer than this hangs.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A program to be run on a host; a builder.
#[derive(Clone, Debug)]
pub struct Invocation {
    plan: Arc<Plan>,
    keeper: Option<Keeper>,
    host: String,
    program: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    root: bool,
    raw: bool,
    tty: bool,
    up_for: Option<Duration>,
    stdin: Input,
    timeout: Duration,
}

impl Invocation {
    /// natwatch on the standby, as its user with the right to ping, configured by the lab's file, with credentials from IMDS.
    pub(crate) fn natwatch(plan: &Arc<Plan>, keeper: Option<Keeper>, args: &[&str]) -> Self {
        let mut invocation = Self::program(plan, keeper, "nat2", &plan.binary(), args);
        invocation.root = false;
        invocation.raw = true;
        let mut invocation = invocation
            .env("AWS_ENDPOINT_URL_EC2", &plan.endpoint())
            .env("NATWATCH_CONFIG", &plan.config().to_string_lossy());
        if plan.tls {
            invocation = invocation.env("AWS_CA_BUNDLE", &plan.ca().to_string_lossy());
        }
        invocation
    }

    /// Any program on any host, as root.
    pub(crate) fn program(plan: &Arc<Plan>, keeper: Option<Keeper>, host: &str, program: &Path, args: &[&str]) -> Self {
        // As cron has it.
        let env = [("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/sh"), ("LOGNAME", "natwatch")];
        let home = plan.root.join("home").to_string_lossy().into_owned();
        Self {
            plan: Arc::clone(plan),
            keeper,
            host: host.to_owned(),
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: env
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into_iter()
                .chain([("HOME".to_owned(), home)])
                .collect(),
            root: true,
            raw: false,
            tty: false,
            up_for: None,
            stdin: Input::Nothing,
            timeout: TIMEOUT,
        }
    }

    /// On another host than the standby.
    #[must_use]
    pub fn on(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// As root.
    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.root = true;
        self
    }

    /// As the lab's user, without any capability.
    #[must_use]
    pub fn as_user(mut self) -> Self {
        self.root = false;
        self.raw = false;
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Without an environment variable it would have.
    #[must_use]
    pub fn without_env(mut self, key: &str) -> Self {
        self.env.remove(key);
        self
    }

    /// With another configuration than the lab's.
    #[must_use]
    pub fn config(self, path: &Path) -> Self {
        self.env("NATWATCH_CONFIG", &path.to_string_lossy())
    }

    /// On a pseudo-terminal of its own; standard error and output are one then.
    #[must_use]
    pub fn tty(mut self) -> Self {
        self.tty = true;
        self
    }

    /// On a host that has been up for so long, whatever this machine has: in a time namespace of its own (`time_namespaces(7)`). The process that
    /// gets signals is then unshare(1)'s.
    #[must_use]
    pub fn up_for(mut self, uptime: Duration) -> Self {
        self.up_for = Some(uptime);
        self
    }

    /// With this on standard input, in place of nothing.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Input::Text(text.to_owned());
        self
    }

    /// With standard input left open, for [`Running::types`].
    #[must_use]
    pub fn typing(mut self) -> Self {
        self.stdin = Input::Open;
        self
    }

    /// Killed after this time, in place of 120 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The command line; standard streams are the caller's to set.
    ///
    /// # Errors
    /// When there is no such host, or [`Self::up_for`] is beyond a clock.
    pub fn command(&self) -> anyhow::Result<Command> {
        let ns = &self.plan.host(&self.host)?.ns;
        // Absolute: our own PATH has no sbin then.
        let mut command = Command::new("/sbin/ip");
        command.env_clear().envs(&self.env).current_dir("/");
        command.args(["netns", "exec", ns]);
        if let Some(wanted) = self.up_for {
            let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
            let offset = i64::try_from(wanted.as_secs())? - up;
            command.args(["unshare", "--time", "--boottime", &offset.to_string(), "--fork", "--kill-child=KILL"]);
        }
        command.args(["setpriv", "--pdeathsig", "KILL"]);
        if !self.root {
            let id = UID.to_string();
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
            if self.raw {
                command.args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw"]);
            }
        }
        command.arg("--");
        if self.tty {
            let words = std::iter::once(self.program.to_string_lossy().into_owned()).chain(self.args.iter().cloned());
            let line = words.map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ");
            command.args(["script", "-qefc", &line, "/dev/null"]);
        } else {
            command.arg(&self.program).args(&self.args);
        }
        Ok(command)
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self) -> anyhow::Result<Running> {
        let mut command = self.command()?;
        let stdin = if matches!(self.stdin, Input::Nothing) { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command, self.keeper.as_ref(), &self.stdin)
    }

    /// Runs it to its end, or kills it at its timeout.
    ///
    /// # Errors
    /// When it cannot be started. How it ended is in the result.
    pub fn run(&self) -> anyhow::Result<Run> {
        self.spawn()?.wait(self.timeout)
    }
}
