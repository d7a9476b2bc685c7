//! Runs programs on the lab's hosts: natwatch as its service's user with a clean environment, and anything else.
//!
//! Every wait is bounded, and output is collected while the program runs. What it leaves behind (an ssh master, say) lives on in
//! its namespace until the lab ends, and does not hold up the wait.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use crate::accounts::UID;
use crate::keeper::Keeper;
use crate::plan::Plan;

/// natwatch's own deadline is 60 s, and a hook may take 20 s more; what takes longer than this hangs.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long output may trickle in after the program has ended, when a child of its own still holds the pipe.
const LINGER: Duration = Duration::from_millis(500);

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
    stdin: Option<String>,
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
            env: env.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().chain([("HOME".to_owned(), home)]).collect(),
            root: true,
            raw: false,
            tty: false,
            stdin: None,
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

    /// With this on standard input, in place of nothing.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
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
    /// When there is no such host.
    pub fn command(&self) -> anyhow::Result<Command> {
        let ns = &self.plan.host(&self.host)?.ns;
        // Absolute: our own PATH has no sbin then.
        let mut command = Command::new("/sbin/ip");
        command.env_clear().envs(&self.env).current_dir("/");
        command.args(["netns", "exec", ns, "setpriv", "--pdeathsig", "KILL"]);
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
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = match &self.keeper {
            Some(keeper) => keeper.spawn(command)?,
            None => command.spawn().context("start ip")?,
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a child without a process id")?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), self.stdin.clone()) {
            // A program that does not read its input is no failure of ours.
            thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        }
        let stdout = collect(child.stdout.take().context("no standard output")?);
        let stderr = collect(child.stderr.take().context("no standard error")?);
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || drop(sender.send((child.wait(), Instant::now()))));
        Ok(Running { pid, started, timeout: self.timeout, stdout, stderr, ended })
    }

    /// Runs it to its end, or kills it at its timeout.
    ///
    /// # Errors
    /// When it cannot be started. How it ended is in the result.
    pub fn run(&self) -> anyhow::Result<Run> {
        let running = self.spawn()?;
        let timeout = running.timeout;
        running.wait(timeout)
    }
}

#[derive(Debug)]
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    done: mpsc::Receiver<()>,
}

fn collect(mut pipe: impl Read + Send + 'static) -> Collected {
    let text = Arc::<Mutex<Vec<u8>>>::default();
    let (sender, done) = mpsc::channel();
    let shared = Arc::clone(&text);
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            let read = buffer.get(..length).unwrap_or_default();
            shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(read);
        }
        // Nobody may be waiting.
        let _ = sender.send(());
    });
    Collected { text, done }
}

impl Collected {
    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn all(&self) -> String {
        // At the limit, what has come is all there is.
        let _ = self.done.recv_timeout(LINGER);
        self.so_far()
    }
}

/// A program under way. Dropping it does not end it; the lab's end does.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    /// When it was started.
    pub started: Instant,
    timeout: Duration,
    stdout: Collected,
    stderr: Collected,
    ended: mpsc::Receiver<(std::io::Result<ExitStatus>, Instant)>,
}

impl Running {
    /// Its process id: the program's own, as all wrappers exec; `script`'s on a pseudo-terminal.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has gone.
    pub fn kill(&self, signal: Signal) -> anyhow::Result<()> {
        rustix::process::kill_process(self.pid, signal).with_context(|| format!("signal process {}", self.pid()))
    }

    /// Standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// Standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until its output (either stream) contains `text`.
    ///
    /// # Errors
    /// When that takes longer than `patience`; with the output.
    pub fn wait_output(&self, text: &str, patience: Duration) -> anyhow::Result<()> {
        let limit = Instant::now() + patience;
        while !self.stdout().contains(text) && !self.stderr().contains(text) {
            anyhow::ensure!(Instant::now() < limit, "no `{text}` within {patience:?} in:\n{}{}", self.stdout(), self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits for its end, and kills it after `timeout`.
    ///
    /// # Errors
    /// When the kernel does not tell its end.
    pub fn wait(self, timeout: Duration) -> anyhow::Result<Run> {
        let mut timed_out = false;
        let (status, at) = match self.ended.recv_timeout(timeout) {
            Ok(ended) => ended,
            Err(_) => {
                timed_out = true;
                // It may end by itself in this very moment.
                let _ = self.kill(Signal::KILL);
                self.ended.recv_timeout(Duration::from_secs(5)).context("a killed process does not end")?
            }
        };
        let status = status.context("wait for a process")?;
        Ok(Run {
            status: status.code(),
            signal: status.signal(),
            timed_out,
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
            started: self.started,
            elapsed: at.duration_since(self.started),
        })
    }
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether that was our timeout's.
    pub timed_out: bool,
    /// Standard output; invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error; likewise.
    pub stderr: String,
    /// When it was started.
    pub started: Instant,
    /// From start to end.
    pub elapsed: Duration,
}

impl std::fmt::Display for Run {
    /// Everything, for a test's failure message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "status {:?}, signal {:?}, timed out {}, {:?}", self.status, self.signal, self.timed_out, self.elapsed)?;
        writeln!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout.trim_end(), self.stderr.trim_end())
    }
}
