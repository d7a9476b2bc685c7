//! What EC2 has, as far as a takeover is concerned, and what this instance knows of itself.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AssociationId, Family, InstanceId, InterfaceId, RouteTableId, SubnetId, VpcId};

/// A CIDR block, IPv4 or IPv6.
pub type Cidr = ipnet::IpNet;

/// A VPC route table as `DescribeRouteTables` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// The table.
    pub id: RouteTableId,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// All its routes.
    pub routes: Vec<Route>,
    /// Its associations, the main one included.
    pub associations: Vec<Association>,
}

impl RouteTable {
    /// The route to exactly `destination` (a CIDR as EC2 writes it).
    #[must_use]
    pub fn route(&self, destination: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.destination == destination)
    }
}

/// One route of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// A CIDR or prefix-list id.
    pub destination: String,
    /// The instance it leads to, where it leads to one.
    pub instance: Option<InstanceId>,
    /// The interface it leads to, where it leads to one.
    pub interface: Option<InterfaceId>,
    /// Any other target (gateway, NAT gateway, peering…), by its id.
    pub other: Option<String>,
    /// `blackhole`: the target is gone, or its instance is stopped.
    pub blackhole: bool,
}

impl Route {
    /// Whether it is the route to exactly `destination`, however EC2 writes that.
    #[must_use]
    pub fn is_for(&self, destination: &Cidr) -> bool {
        self.destination.parse() == Ok(*destination)
    }

    /// The target, by the most telling of its ids.
    #[must_use]
    pub fn target(&self) -> String {
        let known = self
            .instance
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| self.interface.as_ref().map(ToString::to_string));
        known.or_else(|| self.other.clone()).unwrap_or_else(|| "nothing".to_owned())
    }
}

/// A table's association with a subnet, or with the VPC as its main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// The compare-and-swap token: EC2 gives out a new one at every move and refuses a stale one.
    pub id: AssociationId,
    /// The subnet; `None` for the main association and for gateways.
    pub subnet: Option<SubnetId>,
    /// The VPC's main association.
    pub main: bool,
    /// `failed`, with EC2's message: the association was accepted and did not come about.
    pub failed: Option<String>,
}

/// An instance as `DescribeInstances` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The instance.
    pub id: InstanceId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// `pending`, `running`, `stopped`…
    pub state: String,
    /// The subnet of its primary interface.
    pub subnet: Option<SubnetId>,
    /// Time since its last start, by EC2's clock and ours.
    pub launched_ago: Option<Duration>,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
}

/// An instance, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The instance.
    pub instance: Instance,
    /// Its VPC.
    pub vpc: Option<VpcId>,
    /// Its first private address.
    pub address: Option<IpAddr>,
}

/// A network interface of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The interface.
    pub id: InterfaceId,
    /// 0 is the primary interface, the one a route to the instance leads to.
    pub device_index: i32,
    /// Whether EC2 drops what is neither from nor for this interface's own addresses. A NAT needs it off.
    pub source_dest_check: bool,
}

/// A subnet as `DescribeSubnets` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The subnet.
    pub id: SubnetId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Its blocks, IPv4 first.
    pub cidrs: Vec<Cidr>,
}

/// All that the gates and the plan are made from, read just before they are needed.
///
/// A failed reading is a value here, never a missing fact: "could not ask" and "it is not there" lead to different
/// decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// This instance, from `standby.instance` or IMDS.
    pub identity: Result<InstanceId, String>,
    /// The primary's and the standby's table, those of them that exist, and any other that a guarded subnet is on.
    pub tables: Result<Vec<RouteTable>, String>,
    /// This instance as EC2 sees it; `Ok(None)` where EC2 knows no such instance.
    pub standby: Result<Option<Instance>, String>,
    /// The primary, where `primary.instance` names it.
    pub primary: Option<Result<Option<Instance>, String>>,
    /// Time since this machine booted.
    pub uptime: Result<Duration, String>,
    /// Whether packets are forwarded: `net.ipv4.ip_forward` (and IPv6's, where IPv6 is guarded).
    pub ip_forward: Result<bool, String>,
    /// Whose sysctl said so: that of IPv6 is asked after that of IPv4.
    #[serde(default = "four")]
    pub ip_forward_of: Family,
    /// Whether a masquerade rule was seen.
    pub masquerade: Masquerade,
}

impl Survey {
    /// Whether EC2 answered all that a plan needs.
    #[must_use]
    pub const fn answered(&self) -> bool {
        self.tables.is_ok() && self.standby.is_ok()
    }

    /// The table `id`, where EC2 has it.
    #[must_use]
    pub fn table(&self, id: &RouteTableId) -> Option<&RouteTable> {
        self.tables.as_ref().ok()?.iter().find(|table| &table.id == id)
    }
}

/// What is known of this machine's masquerading. Reading netfilter rules takes root or `CAP_NET_ADMIN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Masquerade {
    /// A rule that masquerades or translates source addresses was seen.
    Present,
    /// The rules could be read, and none does for what the guarded subnets send.
    Absent,
    /// Likewise of IPv6, where that is no fault by itself: global addresses are routed as they are.
    Plain {
        /// They are unique local ones, which the internet does not route (RFC 4193, section 4.1), and internet targets are to be reached.
        private: bool,
    },
    /// A chain that forwarded packets come to drops them all, whatever masquerades.
    Dropped {
        /// Its name, table and family.
        chain: String,
        /// The command after which it does not.
        remedy: String,
    },
    /// We may not read them, but somebody who may has done so within this boot.
    Told(Sighting),
    /// The rules could not be read, and why.
    Unknown(String),
}

/// What was seen of this machine in this boot by who may see it (`facts.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Whose packets are meant.
    #[serde(default = "four")]
    pub family: Family,
    /// Whether a rule that masquerades was there.
    pub masquerade: bool,
    /// Whether a chain dropped all that was to be forwarded.
    #[serde(default)]
    pub dropped: bool,
    /// How long ago.
    pub ago: Duration,
}

/// What an older natwatch looked at.
const fn four() -> Family {
    Family::V4
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = self.ago.as_secs();
        let (number, unit) = match ago {
            0..120 => (ago, "s"),
            120..7200 => (ago / 60, "min"),
            7200.. => (ago / 3600, "h"),
        };
        write!(f, "as root saw {number} {unit} ago, by facts.json")
    }
}

impl Masquerade {
    /// Whether it is known that nothing masquerades what has to be.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        match self {
            Self::Absent | Self::Plain { private: true } => true,
            Self::Told(seen) => !seen.masquerade && !seen.dropped,
            Self::Present | Self::Plain { private: false } | Self::Dropped { .. } | Self::Unknown(_) => false,
        }
    }

    /// Whether it is known that all that is forwarded is dropped.
    #[must_use]
    pub const fn is_dropped(&self) -> bool {
        matches!(self, Self::Dropped { .. } | Self::Told(Sighting { dropped: true, .. }))
    }

    /// Of several families' that which a takeover goes by: what would hold it, else the first.
    #[must_use]
    pub fn decisive(mut all: Vec<Self>) -> Self {
        let worst = all.iter().position(Self::is_dropped).or_else(|| all.iter().position(Self::is_absent));
        if all.is_empty() {
            Self::Unknown("nothing was looked at".to_owned())
        } else {
            all.swap_remove(worst.unwrap_or(0))
        }
    }
}

impl fmt::Display for Masquerade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("present"),
            Self::Absent => f.write_str("absent"),
            Self::Plain { private: true } => {
                f.write_str("absent for IPv6, whose addresses here are not routed on the internet")
            }
            Self::Plain { private: false } => f.write_str("absent for IPv6, whose addresses leave as they are"),
            Self::Dropped { chain, .. } => write!(f, "of no use, as {chain} drops all that is forwarded"),
            Self::Told(seen) if seen.dropped => write!(f, "of no use, as all that is forwarded is dropped ({seen})"),
            Self::Told(seen) => write!(f, "{} ({seen})", if seen.masquerade { "present" } else { "absent" }),
            Self::Unknown(why) => write!(f, "unknown ({why})"),
        }
    }
}
