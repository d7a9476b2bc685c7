//! The protocol of `sd_notify(3)`: ready, status, alive, reloading, stopping. The words are the crate's; the socket is ours, because
//! the crate's `notify` waits where the manager's queue is full, and a manager that hangs must not hold a takeover up.
//!
//! Without `NOTIFY_SOCKET` nobody is told. What could not be said of the daemon's life (READY and the like) is said with the next
//! message; a status that was lost is told again when it is told again, and a sign of life is followed by others.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::model::printable;

/// Characters of a status: `systemctl status` shows one line, and a terminal is seldom wider.
const STATUS: usize = 200;

/// Signs of life in a watchdog interval: `sd_watchdog_enabled(3)` asks for two, and one of four may be late or lost.
const SIGNS: u32 = 4;

/// What became of the daemon last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Ready,
    Reloading,
    Stopping,
}

/// The service manager that started this process, if one did.
#[derive(Debug)]
pub struct Manager {
    socket: Option<Socket>,
    watchdog: Option<Duration>,
    alive: Option<Instant>,
    status: Option<String>,
    /// What has not been heard yet.
    owed: Option<Life>,
}

#[derive(Debug)]
struct Socket {
    from: UnixDatagram,
    to: SocketAddr,
}

impl Manager {
    /// The manager that the environment names: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`. One that can't be spoken to is warned of.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(std::env::var_os("NOTIFY_SOCKET"), sd_notify::watchdog_enabled())
    }

    /// The manager that listens at `socket`: a path, or `@` and an abstract name (unix(7)).
    #[must_use]
    pub fn new(socket: Option<OsString>, watchdog: Option<Duration>) -> Self {
        let socket = socket.filter(|at| !at.is_empty()).and_then(|at| match Socket::open(&at) {
            Ok(socket) => Some(socket),
            Err(error) => {
                let at = printable(&at.to_string_lossy(), STATUS);
                tracing::warn!(event = "systemd", "NOTIFY_SOCKET {at}: {error}; systemd is told nothing");
                None
            }
        });
        // Zero would be a sign of life at every turn, and systemd's way to say none.
        let watchdog = watchdog.filter(|interval| !interval.is_zero());
        Self { socket, watchdog, alive: None, status: None, owed: None }
    }

    /// Within which time a sign of life is expected; `None`: nobody expects any.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Has a manager that would not wait for a sign of life for so `long` wait for twice that: without it, it would kill a daemon that works.
    /// Signs of life come as often as before.
    pub fn waits_for(&mut self, long: Duration) {
        let Some(interval) = self.watchdog.filter(|interval| *interval <= long) else { return };
        let wanted = long.saturating_mul(2);
        tracing::warn!(
            event = "systemd",
            "a pass may take {} s by this configuration, and systemd waits {} s for a sign of life (WatchdogSec=): it is asked to wait {} s",
            long.as_secs(),
            interval.as_secs(),
            wanted.as_secs()
        );
        // `NotifyState::WatchdogUsec` has no room for more than an hour.
        self.send(&[NotifyState::Custom(&format!("WATCHDOG_USEC={}", wanted.as_micros()))]);
    }

    /// It has begun its work, or goes on after [`Self::reloading`].
    pub fn ready(&mut self) {
        self.live(Life::Ready);
    }

    /// It reads its configuration again; [`Self::ready`] follows, whatever comes of it.
    pub fn reloading(&mut self) {
        self.live(Life::Reloading);
    }

    /// It ends.
    pub fn stopping(&mut self) {
        self.live(Life::Stopping);
    }

    /// What it is doing, in one line; told where it is another than before. Escaped, and cut after 200 characters.
    pub fn status(&mut self, text: &str) {
        let text = printable(text, STATUS);
        if self.status.as_ref() != Some(&text) && self.send(&[NotifyState::Status(&text)]) {
            self.status = Some(text);
        }
    }

    /// It has come round once more. Told at most four times in a watchdog interval.
    pub fn alive(&mut self) {
        let Some(interval) = self.watchdog else { return };
        let now = Instant::now();
        if self.alive.is_none_or(|last| now.duration_since(last) >= interval / SIGNS)
            && self.send(&[NotifyState::Watchdog])
        {
            self.alive = Some(now);
        }
    }

    fn live(&mut self, life: Life) {
        self.owed = Some(life);
        self.send(&[]);
    }

    /// Sends what is owed, and `states`; whether they left.
    fn send(&mut self, states: &[NotifyState<'_>]) -> bool {
        let Some(socket) = &self.socket else { return false };
        let owed = match self.owed {
            None => Vec::new(),
            Some(Life::Ready) => vec![NotifyState::Ready],
            // Without its moment, a reload would be one of before to systemd 253 and later.
            Some(Life::Reloading) => {
                [NotifyState::Reloading].into_iter().chain(NotifyState::monotonic_usec_now()).collect()
            }
            Some(Life::Stopping) => vec![NotifyState::Stopping],
        };
        let mut message = String::new();
        for state in owed.iter().chain(states) {
            // Writing to a String does not fail.
            let _ = writeln!(message, "{state}");
        }
        let sent = socket.send(&message);
        if let Err(error) = &sent {
            tracing::debug!(event = "systemd", "systemd could not be told: {error}");
            return false;
        }
        self.owed = None;
        true
    }
}

impl Socket {
    fn open(at: &OsString) -> io::Result<Self> {
        let to = match at.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(at)?,
        };
        let from = UnixDatagram::unbound()?;
        from.set_nonblocking(true)?;
        Ok(Self { from, to })
    }

    /// By its address each time: a manager that was started anew listens at another socket of the same name.
    fn send(&self, message: &str) -> io::Result<()> {
        self.from.send_to_addr(message.as_bytes(), &self.to).map(drop)
    }
}
