//! One SSH vantage: a session to a backend, and one ping asked over it.
//!
//! Every wait is bounded here or by the caller's deadline, nothing prompts, and only our own options and the operator's
//! named configuration rule: the invoking user's `~/.ssh/config` is never read. Whatever goes wrong is a [`Silence`].

mod local;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::ping::{self, Answer, Dialect, OUTPUT_CAP, Reading};
use super::{Asked, HostKeys, SshSettings, Vantages};
use crate::model::{Backend, Fate, Silence, SilenceReason, Target, printable};

/// A master without commands ends by itself after this long, should natwatch have been killed. The longest pause between
/// two commands of a pass is the second between rounds.
const IDLE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(29);

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

/// Opens sessions to backends.
pub struct Ssh {
    turns: Semaphore,
    builder: SessionBuilder,
    login: String,
    login_timeout: Duration,
    /// Holds the control sockets; removed with this value.
    folder: tempfile::TempDir,
    /// Backends whose `ping` was found to take whole seconds only.
    whole_seconds: RefCell<std::collections::BTreeSet<String>>,
}

impl Ssh {
    /// Prepares a private folder for control sockets, and the configuration that all sessions use.
    ///
    /// # Errors
    /// The folder can't be made: the path and the operating system's reason.
    pub fn new(settings: &SshSettings) -> Result<Self, String> {
        let parent = std::env::var_os("RUNTIME_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
        local::sweep(&parent);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}{}-", local::FOLDER, std::process::id()))
            .tempdir_in(&parent)
            .map_err(|error| format!("a folder for SSH's control sockets in {}: {error}", parent.display()))?;
        let config = folder.path().join("config");
        std::fs::write(&config, local::ssh_config(settings))
            .map_err(|error| format!("{}: {error}", config.display()))?;

        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(match settings.host_keys {
                HostKeys::Strict => KnownHosts::Strict,
                HostKeys::AcceptNew => KnownHosts::Add,
            })
            .connect_timeout(settings.connect_timeout)
            .server_alive_interval(Duration::from_secs(5))
            .control_directory(folder.path())
            .control_persist(ControlPersist::IdleFor(IDLE))
            .config_file(config);
        if let Some(user) = &settings.user {
            builder.user(user.clone());
        }
        if let Some(port) = settings.port {
            builder.port(port);
        }
        if let Some(identity) = &settings.identity {
            builder.keyfile(identity);
        }
        if let Some(known_hosts) = &settings.known_hosts {
            builder.user_known_hosts_file(known_hosts);
        }
        let key =
            settings.identity.as_ref().map_or_else(|| "the default keys".to_owned(), |path| path.display().to_string());
        let user = settings.user.as_deref().unwrap_or("this user's name");
        let login = format!("key {key}, user {user}");
        Ok(Self {
            turns: Semaphore::new(LOGINS),
            builder,
            login,
            login_timeout: settings.login_timeout,
            folder,
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
        session: &Session,
        target: &Target,
        wait: Duration,
        dialect: Dialect,
    ) -> Result<(Instant, Instant, Answer), Silence> {
        let asked = Instant::now();
        let word = format!("{:016x}", rand::random::<u64>());
        let script = ping::script(&word, target.addr, wait, dialect);
        let mut child = session
            .command("sh")
            .arg("-c")
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .await
            .map_err(|error| broken(&error))?;
        let mut stdout = child.stdout().take().ok_or_else(|| silence(SilenceReason::Other, "no output to read"))?;
        let own = match dialect {
            Dialect::Fractional => wait,
            Dialect::WholeSeconds => Duration::from_secs(ping::whole_seconds(wait)),
        };
        let mut deadline = asked + own + REPORT_GRACE;
        let mut begun = None;
        let mut output = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = timeout_at(deadline, stdout.read(&mut piece)).await;
            let Ok(read) = read else {
                return match begun {
                    Some(begun) if dialect == Dialect::WholeSeconds => Ok((asked, begun, Answer::NoReply)),
                    _ => Err(silence(SilenceReason::Hung, "logged in, but the command gave no answer in time")),
                };
            };
            let read = read.map_err(|error| silence(SilenceReason::Disconnected, &error.to_string()))?;
            output.extend_from_slice(&piece[..read]);
            match ping::read(&word, &output) {
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
                let (reason, detail) = ping::unfinished(&output);
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
    type Session = Session;

    async fn connect(&self, backend: &Backend) -> Result<Session, Silence> {
        // Its time begins with its turn. The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        match timeout(self.login_timeout, self.builder.connect_mux(&backend.destination)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(refused(&error, &self.login, &backend.destination)),
            Err(_) => {
                Err(silence(SilenceReason::SlowLogin, &format!("no login within {} s", self.login_timeout.as_secs())))
            }
        }
    }

    async fn ping(
        &self,
        backend: &Backend,
        session: &Session,
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

    async fn close(&self, sessions: Vec<Session>) {
        let closing = futures_util::future::join_all(sessions.into_iter().map(Session::close));
        let _ = timeout(CLOSING, closing).await;
        // What did not say good-bye, and what never got so far.
        local::end_all(self.folder.path());
    }
}

fn silence(reason: SilenceReason, detail: &str) -> Silence {
    Silence { reason, detail: printable(detail, 300) }
}

fn broken(error: &openssh::Error) -> Silence {
    silence(SilenceReason::Disconnected, &chain(error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// What `ssh` said when it did not connect, as a kind of silence with the remedy.
fn refused(error: &openssh::Error, login: &str, destination: &str) -> Silence {
    use std::io::ErrorKind;
    let openssh::Error::Connect(cause) = error else { return silence(SilenceReason::Other, &chain(error)) };
    let text = cause.to_string();
    let said = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
    let has = |word: &str| text.contains(word);
    match cause.kind() {
        _ if has("IDENTIFICATION HAS CHANGED") => silence(
            SilenceReason::HostKeyChanged,
            &format!(
                "SECURITY: the host key of {destination} is not the one in known_hosts; find out why before you run ssh-keygen -R {destination}"
            ),
        ),
        _ if has("host key is known for") || has("Host key verification failed") => silence(
            SilenceReason::HostKeyUnknown,
            &format!("the host key of {destination} is not in known_hosts; learn it: ssh-keyscan {destination}"),
        ),
        _ if has("UNPROTECTED PRIVATE KEY") || has("bad permissions") => silence(
            SilenceReason::Login,
            &format!("others can read the key, so ssh does not use it: chmod 600 ({login})"),
        ),
        ErrorKind::PermissionDenied => {
            silence(SilenceReason::Login, &format!("the login was refused ({login}): {said}"))
        }
        ErrorKind::ConnectionRefused => silence(SilenceReason::Refused, said),
        ErrorKind::TimedOut => silence(SilenceReason::Unreachable, said),
        _ if has("timed out") || has("No route to host") || has("Network is unreachable") => {
            silence(SilenceReason::Unreachable, said)
        }
        _ if has("Could not resolve") => silence(SilenceReason::Unresolved, said),
        ErrorKind::NotFound => silence(
            SilenceReason::Other,
            "ssh is not installed here: apt-get install openssh-client, or dnf install openssh-clients",
        ),
        _ => silence(SilenceReason::Other, said),
    }
}
