//! What holds a takeover back, what is guarded, what is remembered of a takeover, and what a pass comes to.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::Cidr;
use super::evidence::words;
use super::{Family, InstanceId, LastSteps, Move, RouteTableId, SubnetId, Way};

words! {
    /// What can hold a takeover back although the primary is down.
    Gate {
        /// This instance, or the primary, has only just started.
        Booting => "booting",
        /// An earlier takeover awaits `failback` or `reset`.
        Locked => "locked",
        /// An operator holds all automatic action for a while.
        Paused => "paused",
        /// No guarded subnet is on the primary's table.
        AlreadyActive => "already-active",
        /// This instance could not carry the traffic.
        Unfit => "unfit",
        /// More subnets than `takeover.max_subnets`.
        TooMany => "too-many",
        /// A table or subnet is not what the configuration says, or nothing is guarded.
        Foreign => "foreign",
    }
}

/// A pause that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// When it ends, by the wall clock.
    pub until: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "paused until {:.0}: {}", self.until, super::printable(&self.reason, 200))
    }
}

/// A gate that holds, with what was seen and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which gate.
    pub gate: Gate,
    /// What was seen: one line, no full stop.
    pub why: String,
    /// What to do about it: one line, a command to paste where there is one. Empty where only waiting helps.
    pub remedy: String,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.why)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

/// A subnet that natwatch guards: its home is the primary's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Its blocks.
    pub cidrs: Vec<Cidr>,
    /// The table it was on when last seen; where routes are moved, and all of them lead to this instance, the standby's: that is
    /// whose traffic it is.
    pub on: RouteTableId,
}

/// The guarded subnets as last seen (`guarded.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedSet {
    /// Layout of the file.
    pub version: u32,
    /// The primary's table they belong to.
    pub primary: RouteTableId,
    /// The standby's table.
    pub standby: RouteTableId,
    /// The subnets.
    pub subnets: Vec<Guarded>,
    /// The families whose default route the primary's table sends to an instance.
    pub families: Vec<Family>,
    /// Addresses in these subnets that have a public IPv4 address of their own: whoever has one is no witness.
    #[serde(default)]
    pub public: Vec<IpAddr>,
    /// Where the primary's table led when it was last seen in health and did not lead to this instance: that is the primary, where
    /// the configuration does not name it. Kept where routes are moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<Way>,
    /// When EC2 was asked.
    pub seen: Timestamp,
}

words! {
    /// How far a takeover has come.
    Phase {
        /// Begun: moves may have been made.
        Taking => "taking",
        /// Ended with subnets not moved: the next run finishes them on fresh evidence.
        Partial => "partial",
        /// All that was to be moved is moved: the gate `locked` holds.
        Taken => "taken",
        /// Subnets are on their way back to the primary, or some are back and others are not: those that are back are guarded again.
        FailingBack => "failing-back",
    }
}

/// The takeover record, which is the lock (`takeover.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Layout of the file.
    pub version: u32,
    /// The instance it is about: a copy on another instance says nothing there.
    pub instance: InstanceId,
    /// How far it has come.
    pub phase: Phase,
    /// When it began.
    pub began: Timestamp,
    /// When the phase was last changed.
    pub changed: Timestamp,
    /// Why: the evidence in one sentence.
    pub because: String,
    /// Every change of the plan and what became of it.
    pub moves: Vec<Move>,
    /// What was done when all of them stood.
    #[serde(default, skip_serializing_if = "LastSteps::is_empty")]
    pub last: LastSteps,
}

words! {
    /// What a pass came to.
    Outcome {
        /// Nothing wrong.
        Healthy => "healthy",
        /// Some backends are cut off, too few to act.
        Degraded => "degraded",
        /// Down, and held by a gate.
        Down => "down",
        /// No target answers the standby.
        Isolated => "isolated",
        /// Too few backends gave a verdict.
        Unheard => "unheard",
        /// The subnets were moved in this pass, and traffic flows.
        TakenOver => "taken-over",
        /// `--dry-run`: they would have been.
        WouldTakeOver => "would-take-over",
        /// An earlier takeover carries the subnets; traffic flows.
        Locked => "locked",
        /// Nothing could be moved.
        Failed => "failed",
        /// Some subnets could not be moved.
        Partial => "partial",
        /// Moved, and traffic was not seen to flow.
        Unverified => "unverified",
        /// Traffic flows, but nothing stands by.
        NoRedundancy => "no-redundancy",
        /// Another natwatch of this name is moving subnets.
        Busy => "busy",
        /// The subnets that an operator asked for are back on the primary, and traffic flows.
        FailedBack => "failed-back",
        /// `--dry-run`: they would have been brought back.
        WouldFailBack => "would-fail-back",
        /// One subnet went to the standby for practice and is back, verified each way.
        Drilled => "drilled",
        /// `--dry-run`: it would have.
        WouldDrill => "would-drill",
    }
}
