//! A program under way, and how it ended.

use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use crate::keeper::Keeper;

/// How long output may trickle in after the program has ended, when a child of its own still holds the pipe.
const LINGER: Duration = Duration::from_millis(500);

/// What a program finds on its standard input.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Nothing,
    /// This, and its end.
    Text(String),
    /// What is typed as it goes on.
    Open,
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
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    ended: mpsc::Receiver<(std::io::Result<ExitStatus>, Instant)>,
}

impl Running {
    /// Starts a command with all streams piped, and collects from then on.
    pub(super) fn start(mut command: Command, keeper: Option<&Keeper>, input: &Input) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = match keeper {
            Some(keeper) => keeper.spawn(command)?,
            None => command.spawn().context("start ip")?,
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a child without a process id")?;
        let mut stdin = child.stdin.take();
        if let (Input::Text(text), Some(mut pipe)) = (input.clone(), stdin.take_if(|_| !matches!(input, Input::Open))) {
            // A program that does not read its input is no failure of ours.
            thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        }
        let stdout = collect(child.stdout.take().context("no standard output")?);
        let stderr = collect(child.stderr.take().context("no standard error")?);
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || drop(sender.send((child.wait(), Instant::now()))));
        Ok(Self { pid, started, stdin, stdout, stderr, ended })
    }

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

    /// Types a line at each of these words of its standard output, which come one after the other.
    ///
    /// # Errors
    /// When the words don't come within `patience` each (with the output), or it does not read.
    pub fn types(&self, dialogue: &[(&str, &str)], patience: Duration) -> anyhow::Result<()> {
        let mut input = self.stdin.as_ref().context("its standard input is not open")?;
        let mut past = 0;
        for (asked, typed) in dialogue {
            let limit = Instant::now() + patience;
            past += loop {
                let said = self.stdout();
                if let Some(at) = said.get(past..).and_then(|said| said.find(asked)) {
                    break at + asked.len();
                }
                anyhow::ensure!(Instant::now() < limit, "no `{asked}` within {patience:?} in:\n{said}");
                thread::sleep(Duration::from_millis(5));
            };
            input.write_all(format!("{typed}\n").as_bytes()).with_context(|| format!("type `{typed}`"))?;
        }
        Ok(())
    }

    /// Waits until its output (either stream) contains `text`.
    ///
    /// # Errors
    /// When that takes longer than `patience`; with the output.
    pub fn wait_output(&self, text: &str, patience: Duration) -> anyhow::Result<()> {
        let limit = Instant::now() + patience;
        while !self.stdout().contains(text) && !self.stderr().contains(text) {
            anyhow::ensure!(
                Instant::now() < limit,
                "no `{text}` within {patience:?} in:\n{}{}",
                self.stdout(),
                self.stderr()
            );
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
        let (status, at) = if let Ok(ended) = self.ended.recv_timeout(timeout) {
            ended
        } else {
            timed_out = true;
            // It may end by itself in this very moment.
            let _ = self.kill(Signal::KILL);
            self.ended.recv_timeout(Duration::from_secs(5)).context("a killed process does not end")?
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
        writeln!(
            f,
            "status {:?}, signal {:?}, timed out {}, {:?}",
            self.status, self.signal, self.timed_out, self.elapsed
        )?;
        writeln!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout.trim_end(), self.stderr.trim_end())
    }
}
