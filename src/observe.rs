//! Evidence: one round of questions to a panel of backends, with the standby's own pings as a control.
//!
//! It cannot change anything, and it does not fail: what could not be measured is a value in the [`Round`](crate::model::Round). What a round
//! means is decided elsewhere; the caller passes in the judge of when there is nothing left to wait for.
//!
//! | file | job |
//! |---|---|
//! | `round` | one round, from the draw to the evidence |
//! | `calm` | evidence spread over time, as long as nothing is missed |
//! | `gauge` | how long a few backends were without an answer: a measure, no evidence |
//! | `panel` | who is asked, in which order |
//! | `ssh` | one SSH vantage |
//! | `ping` | the remote command and what its output means: pure |
//! | `icmp` | the control pings |
//! | `resolve` | names to addresses |

pub mod calm;
pub mod gauge;
pub mod icmp;
pub mod panel;
pub mod ping;
pub mod resolve;
mod round;
pub mod ssh;

pub(crate) use round::CONTROLS;
pub use round::Observer;

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Backend, Cidr, ControlFate, Family, Fate, Moment, Silence, Target};

/// A ping that a backend sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When it was asked for.
    pub asked: Instant,
    /// When the backend was heard to begin.
    pub begun: Instant,
    /// What came of it.
    pub fate: Fate,
}

/// Backends that can be asked to ping.
pub trait Vantages {
    /// An open session.
    type Session;
    /// Opens a session, within the login's own bounds.
    fn connect(&self, backend: &Backend) -> impl Future<Output = Result<Self::Session, Silence>>;
    /// One ping of `target`, answered within `wait` or missed.
    fn ping(
        &self,
        backend: &Backend,
        session: &Self::Session,
        target: &Target,
        wait: Duration,
    ) -> impl Future<Output = Result<Asked, Silence>>;
    /// Whether a session has not ended by itself, as far as can be told at once. Never too seldom: who is not sure says yes.
    fn lives(&self, _: &Self::Session) -> bool {
        true
    }
    /// Ends sessions, and attempts at sessions, within a bounded time.
    fn close(&self, sessions: Vec<Self::Session>) -> impl Future<Output = ()>;
}

/// The standby's own way to the targets.
pub trait Uplink {
    /// Pings `addr` up to `tries` times, evenly over `timeout`, until it answers.
    fn ping(&self, addr: IpAddr, timeout: Duration, tries: u32) -> impl Future<Output = ControlFate>;
}

/// How a member of a round asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One target, and others after a miss.
    Calm,
    /// One target, and others where it has no answer after this: after a miss there is no reason to spare them.
    Burst(Duration),
    /// All at once: a round that has asked in a burst found the primary down.
    AtOnce,
}

/// When and how a round asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// No ping leaves before this moment; sessions are opened meanwhile.
    pub not_before: Moment,
    /// How many pings a member sends before it knows anything.
    pub pace: Pace,
    /// The round must be over by then, whatever its own limit.
    pub until: Instant,
}

/// Whether an unknown host key is learned. A changed one never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeys {
    /// Only keys in `known_hosts` are accepted.
    Strict,
    /// The key of a host that is not in `known_hosts` is added to it.
    AcceptNew,
}

/// How backends are reached (`[backends]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    /// Remote user; `None` leaves it to the SSH configuration.
    pub user: Option<String>,
    /// TCP port; `None` leaves it to the SSH configuration.
    pub port: Option<u16>,
    /// Private key; `None` leaves it to the SSH configuration.
    pub identity: Option<PathBuf>,
    /// Host keys; `None` leaves it to the SSH configuration.
    pub known_hosts: Option<PathBuf>,
    /// What to do about an unknown host key.
    pub host_keys: HostKeys,
    /// The operator's own configuration, read after our options.
    pub ssh_config: Option<PathBuf>,
    /// TCP and key exchange; whole seconds, since that is what `ConnectTimeout` of `ssh_config(5)` takes.
    pub connect_timeout: Duration,
    /// All up to the first command.
    pub login_timeout: Duration,
    /// A session over which nothing is asked ends after this by itself, should natwatch have been killed; whole seconds.
    pub idle: Duration,
}

impl SshSettings {
    /// The longest pause between two commands of a pass is that of a takeover's moves.
    pub const IDLE: Duration = Duration::from_secs(30);
}

/// A target as configured: an address, or a name to be resolved.
pub type TargetName = String;

/// Everything `observe` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObserveSettings {
    /// All backends, without duplicates, sorted by name.
    pub backends: Vec<Backend>,
    /// CIDRs that group backends into subnets where EC2's are not known (`backends.within`).
    pub within: Vec<Cidr>,
    /// How backends are reached.
    pub ssh: SshSettings,
    /// How many are heard per round; 0: all.
    pub panel: usize,
    /// Names or addresses; two or more.
    pub targets: Vec<TargetName>,
    /// The wait for one reply.
    pub timeout: Duration,
    /// How many different good targets a backend must miss to be cut off.
    pub tries: usize,
}

impl ObserveSettings {
    /// The families that a round judges, as the configuration says it before anything was observed: names are resolved to IPv4.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let of = |name: &TargetName| name.parse().map_or(Family::V4, Family::of);
        [Family::V4, Family::V6]
            .into_iter()
            .filter(|family| self.targets.iter().any(|name| of(name) == *family))
            .collect()
    }
}

#[cfg(test)]
mod tests;
