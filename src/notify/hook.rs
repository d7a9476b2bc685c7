//! One call of the operator's program: `COMMAND… EVENT NAME`, with the event as JSON on its standard input.
//!
//! It has an environment of its own, no descriptor of ours but the three, and a process group: when its time is up, or nobody waits for it
//! any more, all that is in the group is killed. What it says is read to its end and kept up to a bound; nobody waits for a child that it left
//! behind with our pipe. To start it is to read a file that may lie on a mount that does not answer: that is done in a thread of its own, and not begun
//! again while it hangs.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Called, Hook, Letter, NotifySettings};
use crate::model::printable;

/// Where the hook's own commands are found, whatever our caller's `PATH`; as systemd has it (environment variable `PATH`, systemd.exec(5)).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is passed on besides: who we are, how to write, and the region for the AWS CLI. No credentials: on EC2 the hook has the role's.
const PASSED: [&str; 7] = ["HOME", "LOGNAME", "USER", "LANG", "TZ", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// Of each stream: an error and its reason fit, a story does not.
const KEPT: usize = 4096;

/// Lines of it that are logged.
const LINES: usize = 20;

/// For what is still in the pipes when the program has ended.
const LINGER: Duration = Duration::from_millis(200);

/// For the kernel to end what was killed.
const DYING: Duration = Duration::from_secs(1);

/// The program.
#[derive(Debug)]
pub struct Program<'a> {
    settings: &'a NotifySettings,
    name: &'a str,
    /// A start that was not waited for to its end.
    hangs: RefCell<Option<JoinHandle<()>>>,
}

impl<'a> Program<'a> {
    /// `name`: the configuration's, the hook's last argument.
    #[must_use]
    pub const fn new(settings: &'a NotifySettings, name: &'a str) -> Self {
        Self { settings, name, hangs: RefCell::new(None) }
    }

    fn command(&self, letter: &Letter) -> io::Result<Command> {
        let (program, args) =
            self.settings.command.split_first().ok_or_else(|| io::Error::other("no command is configured"))?;
        let mut command = Command::new(program);
        command
            .args(args)
            .arg(letter.event.as_str())
            .arg(self.name)
            .env_clear()
            .env("PATH", PATH)
            .envs(PASSED.iter().filter_map(|key| Some((key, std::env::var_os(key)?))))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Starts it, by `until`. What starts later is killed at once, and nobody else is started before.
    async fn start(&self, letter: &Letter, until: Instant) -> io::Result<Child> {
        if let Some(earlier) = self.hangs.take().filter(|earlier| !earlier.is_finished()) {
            self.hangs.replace(Some(earlier));
            return Err(io::Error::other("an earlier call hangs in the kernel before it has begun"));
        }
        let mut command = self.command(letter)?;
        let mut starting = spawn_blocking(move || command.spawn());
        if let Ok(started) = timeout_at(until, &mut starting).await {
            return started.map_err(io::Error::other)?;
        }
        self.hangs.replace(Some(tokio::spawn(async move {
            if let Ok(Ok(child)) = starting.await {
                Group::of(&child).kill();
            }
        })));
        Err(io::Error::other("the file system that it is on does not answer"))
    }
}

impl Hook for Program<'_> {
    fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    async fn call(&self, letter: &Letter, wait: Duration) -> Called {
        let began = Instant::now();
        let until = began + wait;
        let mut child = match self.start(letter, until).await {
            Ok(child) => child,
            Err(error) => return Called::Again(format!("it could not be started: {error}")),
        };
        let mut group = Group::of(&child);
        let said = RefCell::new(Vec::new());
        let mut streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ended = {
            let writing = async {
                if let Some(mut stdin) = streams.0.take() {
                    // A hook need not read it.
                    let _ = stdin.write_all(letter.document.as_bytes()).await;
                }
            };
            let reading = async { tokio::join!(read(streams.1.take(), &said), read(streams.2.take(), &said)) };
            let finished = Cell::new(false);
            let mut served = pin!(async {
                tokio::join!(writing, reading);
                finished.set(true);
            });
            let ended = timeout_at(until, async {
                tokio::select! {
                    ended = child.wait() => ended,
                    () = &mut served => child.wait().await,
                }
            })
            .await;
            if ended.is_ok() && !finished.get() {
                let _ = timeout(LINGER, served).await;
            }
            ended
        };
        let called = match ended {
            Err(_) => {
                group.kill();
                let _ = timeout(DYING, child.wait()).await;
                Called::Again(format!("it was killed after {} s", wait.as_secs_f64()))
            }
            Ok(ended) => {
                group.leave();
                ended.map_or_else(|error| Called::Again(error.to_string()), meaning)
            }
        };
        tell(letter, &called, began.elapsed(), &said.into_inner());
        called
    }
}

fn meaning(status: ExitStatus) -> Called {
    match (status.code(), status.signal()) {
        (Some(0), _) => Called::Taken,
        (Some(1), _) => Called::Again("its exit status was 1".to_owned()),
        (Some(code), _) => Called::Never(format!("its exit status was {code}")),
        (None, Some(signal)) => Called::Again(format!("signal {signal} ended it")),
        (None, None) => Called::Again("how it ended is not known".to_owned()),
    }
}

fn tell(letter: &Letter, called: &Called, took: Duration, said: &[u8]) {
    let id = letter.id.as_str();
    for line in String::from_utf8_lossy(said).lines().take(LINES) {
        tracing::info!(event = "hook-output", id, "the hook says: {}", printable(line, 200));
    }
    if *called == Called::Taken {
        tracing::info!(event = "hook", id, "the hook has taken {} after {} ms", letter.event, took.as_millis());
    }
}

/// Reads to the end, and keeps the beginning.
async fn read(stream: Option<impl AsyncRead + Unpin>, said: &RefCell<Vec<u8>>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let mut said = said.borrow_mut();
        let room = KEPT.saturating_sub(said.len()).min(length);
        said.extend_from_slice(&buffer[..room]);
    }
}

/// The processes of a call, killed when this is dropped, unless they were left in peace.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// The leader is not reaped yet, so that the number is its own still.
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // They may all have gone by themselves.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// The leader is reaped: the number may be another's.
    fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::model::EventKind;

    /// `O_CLOEXEC`, as `proc_pid_fdinfo(5)` shows it.
    const CLOEXEC: u32 = 0o2_000_000;

    /// Longer than any of these takes; a bound, not a measure.
    const LONG: Duration = Duration::from_mins(1);

    fn letter(document: &str) -> Letter {
        Letter { id: "id".to_owned(), event: EventKind::TakenOver, document: document.to_owned(), calls: 0 }
    }

    /// Calls a script, which finds its folder in `$1`, in front of the event.
    async fn call(dir: &Path, script: &str, document: &str, wait: Duration) -> Called {
        let path = dir.join("hook");
        fs::write(&path, format!("{script}\n")).unwrap();
        // Read, and not run: a child of another test that is not yet what it will be may have the file open for writing (execve(2), ETXTBSY).
        let command = ["/bin/sh", path.to_str().unwrap(), dir.to_str().unwrap()].map(str::to_owned).to_vec();
        let settings = NotifySettings { command, timeout: wait };
        Program::new(&settings, "nat").call(&letter(document), wait).await
    }

    fn text(dir: &Path, file: &str) -> String {
        fs::read_to_string(dir.join(file)).unwrap()
    }

    #[tokio::test]
    async fn a_hook_is_given_event_and_name_the_document_and_a_clean_environment() {
        let dir = tempfile::tempdir().unwrap();
        let script = "cat > $1/in; echo $2 $3 $# > $1/args; env > $1/env; pwd > $1/pwd; ls /proc/self/fd > $1/fds";
        assert_eq!(call(dir.path(), script, "{\"a\": 1}\n", LONG).await, Called::Taken);
        assert_eq!(text(dir.path(), "in"), "{\"a\": 1}\n");
        assert_eq!(text(dir.path(), "args"), "taken-over nat 3\n");
        assert_eq!(text(dir.path(), "pwd"), "/\n");
        // Beside ls's own one, none but what whoever called us has left open for everybody.
        let left_open = |fd: &str| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            flags.is_some_and(|flags| u32::from_str_radix(flags.trim(), 8).unwrap() & CLOEXEC == 0)
        };
        let fds = text(dir.path(), "fds");
        let strange: Vec<&str> = fds.lines().filter(|fd| !["0", "1", "2"].contains(fd) && !left_open(fd)).collect();
        assert_eq!(strange.len(), 1, "{strange:?}");
        let environment = text(dir.path(), "env");
        assert!(environment.contains(&format!("PATH={PATH}\n")), "{environment}");
        for line in environment.lines() {
            let key = line.split('=').next().unwrap();
            // What sh makes itself.
            let own = ["PATH", "PWD", "OLDPWD", "SHLVL", "_"];
            assert!(own.contains(&key) || PASSED.contains(&key), "{line}");
        }
    }

    #[tokio::test]
    async fn its_exit_status_says_whether_it_is_called_again() {
        let dir = tempfile::tempdir().unwrap();
        for (script, expected) in [
            ("exit 0", Called::Taken),
            ("exit 1", Called::Again("its exit status was 1".to_owned())),
            ("exit 2", Called::Never("its exit status was 2".to_owned())),
            ("no-such-command-here", Called::Never("its exit status was 127".to_owned())),
            ("kill -9 $$", Called::Again("signal 9 ended it".to_owned())),
        ] {
            assert_eq!(call(dir.path(), script, "", LONG).await, expected, "{script}");
        }
        let none = NotifySettings { command: vec!["/nonexistent/hook".to_owned()], timeout: LONG };
        let called = Program::new(&none, "nat").call(&letter(""), LONG).await;
        assert!(matches!(&called, Called::Again(why) if why.contains("could not be started")), "{called:?}");
    }

    #[tokio::test]
    async fn f091_a_hook_that_hangs_is_killed_with_its_children_and_whatever_it_reads_or_says() {
        let dir = tempfile::tempdir().unwrap();
        // More than a pipe holds, for one that does not read.
        let document = "x".repeat(1 << 20);
        for script in [
            "sleep 1000 & echo $! > $1/child; sleep 1000",
            "sleep 1000 & echo $! > $1/child; trap '' TERM INT HUP; while :; do sleep 1000; done",
            "sleep 1000 & echo $! > $1/child; while :; do echo y; done",
        ] {
            let called = call(dir.path(), script, &document, Duration::from_millis(500)).await;
            assert_eq!(called, Called::Again("it was killed after 0.5 s".to_owned()), "{script}");
            let child = text(dir.path(), "child");
            let stat = format!("/proc/{}/stat", child.trim());
            // Gone, or a zombie that its new parent has not looked at yet.
            let until = Instant::now() + LONG;
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                assert!(Instant::now() < until, "{script}: its child lives");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn f091_a_child_that_keeps_our_pipe_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let called = call(dir.path(), "sleep 1000 & echo $! > $1/child; exit 0", "", LONG).await;
        let child = text(dir.path(), "child").trim().parse().ok().and_then(Pid::from_raw).unwrap();
        // It was left in peace.
        rustix::process::kill_process(child, Signal::KILL).unwrap();
        assert_eq!(called, Called::Taken);
    }

    #[tokio::test]
    async fn nobody_who_waits_no_more_leaves_a_hook_behind() {
        let dir = tempfile::tempdir().unwrap();
        let calling = call(dir.path(), "echo $$ > $1/pid.new; mv $1/pid.new $1/pid; sleep 1000", "", LONG);
        let up = async {
            while !dir.path().join("pid").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            called = calling => panic!("{called:?}"),
            () = up => {}
        }
        let stat = format!("/proc/{}/stat", text(dir.path(), "pid").trim());
        let until = Instant::now() + LONG;
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < until, "it lives");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
