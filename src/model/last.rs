//! The last steps of a takeover: what is done when all else stands, and what came of it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AllocationId, InstanceId, MoveResult, Way};

/// Who has an Elastic IP address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The interface, and the instance that it belongs to.
    #[serde(flatten)]
    pub way: Way,
    /// Which of the interface's private addresses; `None`: its first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<IpAddr>,
}

impl Holder {
    /// Whether both are the same place.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let differ = self.private.zip(other.private).is_some_and(|(one, other)| one != other);
        !differ && self.way.same(&other.way)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.way.fmt(f)?;
        self.private.map_or(Ok(()), |private| write!(f, " {private}"))
    }
}

/// An Elastic IP address that is to be brought along, or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAddress {
    /// The address.
    pub address: AllocationId,
    /// Who is expected to have it; `None`: nobody. In what was carried out: who had it.
    pub from: Option<Holder>,
    /// Who is to have it; `None`: nobody.
    pub to: Option<Holder>,
    /// The address that the standby's interface had until this one took its place. The way back gives it back to `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced: Option<AllocationId>,
}

impl PlannedAddress {
    /// Back to where it was.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone(), ..self.clone() }
    }
}

/// What became of the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStep {
    /// What was planned, and who had it before.
    #[serde(flatten)]
    pub plan: PlannedAddress,
    /// What became of it.
    #[serde(flatten)]
    pub result: MoveResult,
    /// How long it took.
    pub took: Duration,
}

impl AddressStep {
    /// Not begun.
    #[must_use]
    pub const fn pending(plan: PlannedAddress) -> Self {
        Self { plan, result: MoveResult::Pending, took: Duration::ZERO }
    }

    /// Whether it is to be at this instance, and is not on its way home.
    #[must_use]
    pub fn leads_to(&self, instance: &InstanceId) -> bool {
        self.plan.to.as_ref().is_some_and(|to| to.way.instance.as_ref() == Some(instance))
    }

    /// Whether the address is where it is to be, or would be.
    #[must_use]
    pub const fn came_along(&self) -> bool {
        matches!(self.result, MoveResult::Moved | MoveResult::AlreadyThere | MoveResult::WouldMove)
    }
}

/// What became of the primary's reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "detail")]
pub enum RebootResult {
    /// EC2 has accepted it. It takes effect within seconds; nobody waits for it.
    Asked,
    /// `--dry-run`: EC2 would have accepted it.
    WouldAsk,
    /// EC2 has not, or nobody knows, and why.
    Failed(String),
}

/// The primary's reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootStep {
    /// The primary.
    pub instance: InstanceId,
    /// What became of it.
    #[serde(flatten)]
    pub result: RebootResult,
}

/// What was done when all else stood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSteps {
    /// The Elastic IP address, where one is to be brought along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressStep>,
    /// The primary's reboot, where it was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<RebootStep>,
}

impl LastSteps {
    /// Whether there was none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.address.is_none() && self.reboot.is_none()
    }

    /// Whether nothing is left to do but what only an operator does.
    #[must_use]
    pub fn stand(&self) -> bool {
        self.address.as_ref().is_none_or(AddressStep::came_along)
    }
}
