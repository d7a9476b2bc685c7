//! Evidence: one round of questions to a panel of backends, with the standby's own pings as a control.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Backend, Cidr};

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
    /// TCP and key exchange; whole seconds, since that is what `ConnectTimeout` of ssh_config(5) takes.
    pub connect_timeout: Duration,
    /// All up to the first command.
    pub login_timeout: Duration,
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
