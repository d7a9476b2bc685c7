//! The vocabulary: data and `Display` only.
//!
//! Every stage speaks these words and no other stage's. Nothing here does I/O, reads a clock or decides anything.
//! Its groups: what EC2 has ([`cloud`]), what lets packets pass there ([`firewall`]), what runs behind the NAT ([`fleet`]) and how people call it ([`names`]), what was observed and
//! how it is judged ([`evidence`], [`judgement`], [`own`]), what is to be changed and what came of it ([`change`], [`last`]), what holds it back
//! and what is remembered ([`takeover`]) since when ([`boot`]), what a whole pass came to and what a
//! file of ours had to say ([`pass`]), and why ([`explanation`]); what a drill showed ([`drill`]) and `doctor` found ([`finding`]); what a monitoring system is
//! told ([`service`]), a hook ([`event`]) and a collector of metrics ([`figures`]).

pub mod address;
pub mod boot;
pub mod change;
pub mod cloud;
pub mod drill;
pub mod event;
pub mod evidence;
pub mod explanation;
pub mod failure;
pub mod figures;
pub mod finding;
pub mod firewall;
pub mod fleet;
pub mod id;
pub mod judgement;
pub mod last;
pub mod names;
pub mod own;
pub mod pass;
mod result;
pub mod service;
pub mod takeover;

pub use boot::{Boot, Stamp};
pub use change::{Change, Method, Move, MoveResult, Plan, PlannedMove, PlannedRoute, Verification, Way};
pub use cloud::{Association, Cidr, Instance, Interface, Machine, Route, RouteTable, Subnet, Survey};
pub use drill::{Drill, Gap, Leg};
pub use event::EventKind;
pub use evidence::{
    Backend, Control, ControlFate, Fate, Member, Moment, Probe, Round, Silence, SilenceReason, Target, Testimony,
};
pub use explanation::{Explanation, Item, RoundWhy, RowWhy, Rule};
pub use failure::Failure;
pub use figures::{Counts, Figures};
pub use finding::{Edit, Finding, Fitness, Topic, quoted};
pub use firewall::{Acl, AclEntry, GroupRule, Lets, NetworkInterface, Packets, SecurityGroup};
pub use fleet::{Fleet, Resident};
pub use id::{
    AclId, AllocationId, AssociationId, EipAssociationId, GroupId, IdError, InstanceId, InterfaceId, RouteTableId,
    SubnetId, VpcId,
};
pub use judgement::{BackendVerdict, Judged, Judgement, Outlook, Verdict};
pub use last::{AddressStep, Holder, LastSteps, PlannedAddress, RebootResult, RebootStep};
pub use names::Names;
pub use own::{OwnWitness, Said};
pub use pass::{Conclusion, Found, Pass};
pub use service::ServiceState;
pub use takeover::{Admission, Gate, Guarded, GuardedSet, Hold, Outcome, Own, Paused, Phase, Purpose, Record};

use std::fmt;
use std::net::IpAddr;

/// An address family. IPv4 and IPv6 are judged apart: an egress-only gateway may carry the one while the NAT is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `addr`.
    #[must_use]
    pub const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The destination of this family's default route: `0.0.0.0/0` or `::/0`.
    #[must_use]
    pub const fn default_route(self) -> &'static str {
        match self {
            Self::V4 => "0.0.0.0/0",
            Self::V6 => "::/0",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Text from outside (a remote host, EC2's tags, a hosts file) made fit to print: control characters, escapes and
/// invalid characters become `\u{…}`, and what is longer than `limit` characters is cut and marked with `…`.
///
/// A terminal obeys escape sequences whoever sent them, so nothing from outside is printed without this.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.trim_end().chars().enumerate() {
        if n == limit {
            out.push('…');
            break;
        }
        // U+FFFD stands where bytes were not UTF-8; bidirectional controls can reorder a line as seen.
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn f035_escapes_from_outside_are_never_printed_raw() {
        assert_eq!(printable("a\x1b[31mred\0\n", 40), "a\\u{1b}[31mred\\u{0}");
        assert_eq!(printable("\u{202e}evil", 40), "\\u{202e}evil");
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
