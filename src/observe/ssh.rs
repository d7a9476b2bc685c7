//! One SSH vantage: a session to a backend, and one ping asked over it.
//!
//! Every wait is bounded here or by the caller's deadline, nothing prompts, and only our own options and the operator's
//! named configuration rule: the invoking user's `~/.ssh/config` is never read. Whatever goes wrong is a [`Silence`].
//!
//! `ssh` itself is started by `master`; the commands go over its control socket, without another process for each.

mod authorized;
mod local;
mod master;
mod refusal;
mod restriction;

pub use authorized::authorized_key;
pub use restriction::KeyMay;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Chain;
use futures_util::future::join_all;
use openssh::{RemoteChild, Session, Stdio};
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::master::Masters;
use super::ping::{self, Answer, Dialect, OUTPUT_CAP, Reading};
use super::{Asked, HostKeys, SshSettings, Vantages};
use crate::model::{Backend, Fate, Silence, SilenceReason, Target, printable};

/// Past the ping's own timeout: what the remote shell, `sshd` and a busy standby may take to bring us its answer. An answer
/// that is later is silence, not a miss.
const REPORT_GRACE: Duration = Duration::from_secs(3);

/// Past the timeout, where `ping` knows whole seconds only and our clock rules: the way of its answer back to us.
const OWN_BOUND_GRACE: Duration = Duration::from_millis(250);

/// By when open sessions must have said good-bye; the masters end by themselves otherwise.
const CLOSING: Duration = Duration::from_millis(500);

/// Logins at once. Each is a process with a key exchange of some 15 ms of processor time; more at once would only slow each
/// other down, and with `panel = 0` there may be hundreds to do.
const LOGINS: usize = 16;

/// Commands at once, each of which takes two or three descriptors; a process has 1024 (`RLIMIT_NOFILE`, systemd.exec(5)). A
/// panel of 8 in a burst has 64.
const COMMANDS: usize = 256;

/// Between two attempts to open a session where the server refused one more than it allows: the one before it has been answered, and
/// its end is on the way.
const REFUSED_AGAIN: Duration = Duration::from_millis(20);

/// A login to one backend.
pub struct Login {
    mux: Session,
    master: local::Master,
    /// Where the server allows fewer sessions than we open (`MaxSessions`, `sshd_config(5)`), one thing is asked after the other.
    one_by_one: Cell<bool>,
    turn: Semaphore,
}

impl Login {
    fn new(socket: PathBuf) -> Self {
        let mux = Session::resume_mux(socket.clone().into(), None);
        Self { mux, master: local::Master::on(socket), one_by_one: Cell::new(false), turn: Semaphore::new(1) }
    }

    /// Starts `text`: when it was asked for, the remote process, and the turn, where there are turns, to be held until its answer is there.
    /// What has not begun `within` that time has failed.
    async fn start(
        &self,
        text: &str,
        within: Duration,
    ) -> Result<(Instant, RemoteChild<'_>, Option<SemaphorePermit<'_>>), Silence> {
        let mut turn = None;
        let mut until = Instant::now() + within;
        loop {
            if self.one_by_one.get() && turn.is_none() {
                // The semaphore is never closed.
                turn = self.turn.acquire().await.ok();
                until = Instant::now() + within;
            }
            let asked = Instant::now();
            let mut command = self.mux.raw_command(text);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            match timeout_at(until, command.spawn()).await {
                Ok(Ok(child)) => return Ok((asked, child, turn)),
                Ok(Err(error)) if refusal::too_many_sessions(&causes(&error)) && asked + REFUSED_AGAIN < until => {
                    self.one_by_one.set(true);
                    sleep(REFUSED_AGAIN).await;
                }
                Ok(Err(error)) => return Err(broken(&error)),
                Err(_) => return Err(hung()),
            }
        }
    }
}

/// Opens sessions to backends.
pub struct Ssh {
    logins: Semaphore,
    commands: Semaphore,
    masters: Masters,
    settings: SshSettings,
    /// Holds the control sockets; removed with this value.
    folder: tempfile::TempDir,
    /// How many sockets have been named.
    sockets: Cell<usize>,
    /// Backends whose `ping` was found to take whole seconds only.
    whole_seconds: RefCell<std::collections::BTreeSet<String>>,
}

impl Ssh {
    /// Finds `ssh`, and prepares a private folder for control sockets and the configuration that all sessions use.
    ///
    /// # Errors
    /// There is no `ssh`, or the folder can't be made: why, with the remedy.
    pub fn new(settings: &SshSettings) -> Result<Self, String> {
        let folder = local::folder()?;
        if let (HostKeys::AcceptNew, Some(path)) = (settings.host_keys, &settings.known_hosts) {
            local::prepare_known_hosts(path);
        }
        Ok(Self {
            logins: Semaphore::new(LOGINS),
            commands: Semaphore::new(COMMANDS),
            masters: Masters::new(settings, folder.path())?,
            settings: settings.clone(),
            folder,
            sockets: Cell::new(0),
            whole_seconds: RefCell::default(),
        })
    }

    /// Marks backends whose `ping` is known to take whole seconds only, so that nothing is asked in vain.
    pub fn remember_whole_seconds(&self, hosts: impl IntoIterator<Item = String>) {
        self.whole_seconds.borrow_mut().extend(hosts);
    }

    /// The backends found to take whole seconds only.
    #[must_use]
    pub fn whole_seconds(&self) -> Vec<String> {
        self.whole_seconds.borrow().iter().cloned().collect()
    }

    fn dialect(&self, backend: &Backend) -> Dialect {
        if self.whole_seconds.borrow().contains(&backend.host) { Dialect::WholeSeconds } else { Dialect::Fractional }
    }

    async fn ask(
        &self,
        login: &Login,
        target: &Target,
        wait: Duration,
        dialect: Dialect,
    ) -> Result<(Instant, Instant, Answer), Silence> {
        // Its time begins with its turn. The semaphore is never closed.
        let _turn = self.commands.acquire().await;
        let own = match dialect {
            Dialect::Fractional => wait,
            Dialect::WholeSeconds => Duration::from_secs(ping::whole_seconds(wait)),
        };
        let word = format!("{:016x}", rand::random::<u64>());
        let text = ping::command(&word, target.addr, wait, dialect);
        let (asked, mut child, _alone) = login.start(&text, own + REPORT_GRACE).await?;
        let mut deadline = asked + own + REPORT_GRACE;
        let mut stdout = child.stdout().take().ok_or_else(|| silence(SilenceReason::Other, "no output to read"))?;
        let mut begun = None;
        let mut output = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = timeout_at(deadline, stdout.read(&mut piece)).await;
            let Ok(read) = read else {
                return match begun {
                    Some(begun) if dialect == Dialect::WholeSeconds => Ok((asked, begun, Answer::NoReply)),
                    _ => Err(hung()),
                };
            };
            let read = read.map_err(|error| silence(SilenceReason::Disconnected, &error.to_string()))?;
            output.extend_from_slice(&piece[..read]);
            // Both of our lines end as lines do; who sends bytes one by one makes no work.
            let reading = if piece[..read].contains(&b'\n') { ping::read(&word, &output) } else { Reading::Waiting };
            match reading {
                Reading::Done(answer) => {
                    return Ok((asked, begun.unwrap_or_else(Instant::now), late(answer, wait)));
                }
                Reading::Begun if begun.is_none() => {
                    let now = Instant::now();
                    begun = Some(now);
                    if dialect == Dialect::WholeSeconds {
                        deadline = now + wait + OWN_BOUND_GRACE;
                    }
                }
                Reading::Begun | Reading::Waiting => {}
            }
            if read == 0 || output.len() >= OUTPUT_CAP {
                let (reason, detail) = ping::unfinished(&word, &output);
                return Err(Silence { reason, detail });
            }
        }
    }
}

/// A reply that came after the timeout is a miss.
fn late(answer: Answer, wait: Duration) -> Answer {
    match answer {
        Answer::Reply(rtt) if rtt > wait => Answer::NoReply,
        other => other,
    }
}

impl Vantages for Ssh {
    type Session = Login;

    async fn connect(&self, backend: &Backend) -> Result<Login, Silence> {
        // Its time begins with its turn. The semaphore is never closed.
        let _turn = self.logins.acquire().await;
        let socket = self.folder.path().join(self.sockets.replace(self.sockets.get() + 1).to_string());
        let limit = self.settings.login_timeout;
        match self.masters.start(&socket, &backend.destination, limit).await {
            Ok(()) => Ok(Login::new(socket)),
            Err(Some(said)) => Err(refusal::refused(&said, &self.settings, &backend.destination)),
            Err(None) => Err(silence(SilenceReason::SlowLogin, &format!("no login within {} s", limit.as_secs()))),
        }
    }

    async fn ping(
        &self,
        backend: &Backend,
        session: &Login,
        target: &Target,
        wait: Duration,
    ) -> Result<Asked, Silence> {
        let mut dialect = self.dialect(backend);
        loop {
            let (asked, begun, answer) = self.ask(session, target, wait, dialect).await?;
            let fate = match answer {
                Answer::Reply(rtt) => Fate::Reply { rtt },
                Answer::NoReply => Fate::NoReply,
                Answer::Silent(reason, detail) => return Err(Silence { reason, detail }),
                Answer::OtherDialect if dialect == Dialect::Fractional => {
                    self.whole_seconds.borrow_mut().insert(backend.host.clone());
                    dialect = Dialect::WholeSeconds;
                    continue;
                }
                Answer::OtherDialect => {
                    return Err(silence(
                        SilenceReason::NoPing,
                        "its ping knows neither -W 0.3 nor -W 1: install iputils or busybox",
                    ));
                }
            };
            return Ok(Asked { asked, begun, fate });
        }
    }

    fn lives(&self, session: &Login) -> bool {
        session.master.lives()
    }

    async fn close(&self, sessions: Vec<Login>) {
        let (closing, _masters): (Vec<_>, Vec<_>) =
            sessions.into_iter().map(|login| (login.mux.close(), login.master)).unzip();
        let _ = timeout(CLOSING, join_all(closing)).await;
        // What did not say good-bye, and what never got so far.
        local::end_all(self.folder.path());
    }
}

fn silence(reason: SilenceReason, detail: &str) -> Silence {
    Silence { reason, detail: printable(detail, 300) }
}

fn hung() -> Silence {
    silence(SilenceReason::Hung, "logged in, but the command gave no answer in time")
}

fn broken(error: &openssh::Error) -> Silence {
    silence(SilenceReason::Disconnected, &causes(error))
}

fn causes(error: &openssh::Error) -> String {
    let causes: Vec<String> = Chain::new(error).map(ToString::to_string).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    pub(super) fn settings(key: Option<&Path>) -> SshSettings {
        SshSettings {
            user: Some("natwatch".to_owned()),
            port: None,
            identity: Some(key.unwrap_or(Path::new("/k/none")).to_owned()),
            known_hosts: Some("/k/known_hosts".into()),
            host_keys: HostKeys::Strict,
            ssh_config: None,
            connect_timeout: Duration::from_secs(3),
            login_timeout: Duration::from_secs(10),
            idle: SshSettings::IDLE,
        }
    }

    #[test]
    fn f023_a_reply_after_the_timeout_is_a_miss() {
        let wait = Duration::from_millis(300);
        let reply = |ms| late(Answer::Reply(Duration::from_millis(ms)), wait);
        assert_eq!(reply(300), Answer::Reply(wait));
        assert_eq!(reply(301), Answer::NoReply);
    }
}
