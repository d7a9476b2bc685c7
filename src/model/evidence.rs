//! What was observed in a round.
//!
//! [`Round`] is evidence: nothing in it is a judgement, and all of it can be written down and judged again.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Family;

/// A point in time: how long after the pass began, on a clock that never jumps and goes on during suspend
/// (`CLOCK_BOOTTIME`, `clock_gettime(2)`).
pub type Moment = Duration;

/// A ping target with its address as resolved on the standby.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// As the configuration names it.
    pub name: String,
    /// Where it is now.
    pub addr: IpAddr,
}

impl Target {
    /// The family that a probe of this target says something about.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.addr)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name == self.addr.to_string() { f.pad(&self.name) } else { write!(f, "{} ({})", self.name, self.addr) }
    }
}

/// A host in a private subnet that can be asked to ping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Backend {
    /// What the configuration or hosts file calls it; shown, and unique.
    pub host: String,
    /// What `ssh` is given: the name as typed, or the address that the hosts file has for it.
    pub destination: String,
    /// Its address, where it is known without asking anyone.
    pub addr: Option<IpAddr>,
}

/// The standby's own ping of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The target's name and, where it resolved, its address.
    pub name: String,
    /// `None`: the name did not resolve.
    pub target: Option<Target>,
    /// What came of it.
    pub fate: ControlFate,
}

/// What came of a control ping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlFate {
    /// Answered in time, in each wave of this round: the target is good.
    Good {
        /// Round trip of the latest answer.
        rtt: Duration,
    },
    /// Not answered in time, in at least one wave.
    NoReply,
    /// Could not be asked (no route, no permission, no address), and why.
    NotAsked(String),
}

/// One ping that a backend was asked to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Where to.
    pub target: Target,
    /// It was not sent before this moment: when the backend was asked.
    pub earliest: Moment,
    /// It was not sent after this moment: when the backend was heard to have begun, or the answer less the timeout.
    pub latest: Moment,
    /// What came of it.
    pub fate: Fate,
}

/// What came of a ping that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Answered within the timeout.
    Reply {
        /// Round trip as the backend measured it.
        rtt: Duration,
    },
    /// Not answered within the timeout, refused by a router on the way, or ended by our own bound.
    NoReply,
}

/// Why a backend gave no evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// The kind of it; stable, for machines.
    pub reason: SilenceReason,
    /// What was seen, printable, one line; with the remedy where there is one.
    pub detail: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that users and machines read.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The kinds of silence. None is evidence against the primary.
    SilenceReason {
        /// The name of the backend did not resolve.
        Unresolved => "unresolved",
        /// Nobody listens on the SSH port.
        Refused => "refused",
        /// No answer to the connection, or none past TCP, within `connect_timeout`.
        Unreachable => "unreachable",
        /// The login took longer than `login_timeout`, or the round ended before it.
        SlowLogin => "slow-login",
        /// Our key or user is not accepted, or our key can't be used.
        Login => "login",
        /// The host's key is not in `known_hosts`.
        HostKeyUnknown => "host-key-unknown",
        /// The host's key is not the one in `known_hosts`: a security event.
        HostKeyChanged => "host-key-changed",
        /// `ping` is missing or may not be run.
        NoPing => "no-ping",
        /// The remote command's answer is not what it would say.
        Nonsense => "nonsense",
        /// The remote command did not answer by its deadline.
        Hung => "hung",
        /// The session broke.
        Disconnected => "disconnected",
        /// It reaches nothing, but has never been seen to.
        Unproven => "unproven",
        /// Too few good targets were missed to accuse anybody.
        TooFewTargets => "too-few-targets",
        /// The round ended before it was heard.
        NotAwaited => "not-awaited",
        /// Anything else that `ssh` or the operating system said.
        Other => "other",
    }
}

/// What one member of the panel had to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Testimony {
    /// Its pings, in the order they were asked for.
    Probes(Vec<Probe>),
    /// Nothing.
    Silent(Silence),
    /// Nothing yet: only while a round is running.
    Awaited,
}

/// One member of a round's panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub backend: Backend,
    /// The subnet it counts for: an EC2 subnet id, a CIDR, or the host itself where its address is unknown.
    pub subnet: String,
    /// The families of which it has been seen reaching a target through the primary before: there it may accuse.
    pub witness: Vec<Family>,
    /// The families in which it has reached a target in an earlier round of the same pass: whoever was answered a second ago is
    /// short of luck, or of what a limiter lets pass, and not cut off.
    #[serde(default)]
    pub reached: Vec<Family>,
    /// What it said.
    pub testimony: Testimony,
}

/// All the evidence of one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// When it began.
    pub started: Moment,
    /// When it ended (or what is known of it was taken).
    pub ended: Moment,
    /// The longest a round of these settings may take; evidence of a longer one is too old to act on.
    pub limit: Duration,
    /// The standby's own pings.
    pub controls: Vec<Control>,
    /// The panel, replacements included.
    pub members: Vec<Member>,
}

impl Round {
    /// The targets that answered the standby, of `family`.
    pub fn good_targets(&self, family: Family) -> impl Iterator<Item = &Target> {
        self.controls.iter().filter_map(move |control| match (&control.fate, &control.target) {
            (ControlFate::Good { .. }, Some(target)) if target.family() == family => Some(target),
            _ => None,
        })
    }
}
