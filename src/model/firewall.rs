//! What lets packets pass in a VPC: security groups and network ACLs, as EC2 shows them, and what they say of given packets.
//!
//! Security groups only allow, and remember connections: an answer to what was let pass passes too. Network ACLs are lists of which the
//! first entry that fits counts, for each direction by itself, and remember nothing ("Security groups" and "Network ACL basics" in the
//! Amazon VPC user guide).
//!
//! Where rules speak of others than CIDR blocks (a group, a prefix list), or of a part of a block, that is said and not guessed.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{AclId, Cidr, GroupId, InstanceId, InterfaceId, SubnetId};

/// The type of an echo request in ICMP (RFC 792).
pub const ECHO: i32 = 8;
/// The type of an echo reply in ICMP (RFC 792).
pub const ECHO_REPLY: i32 = 0;
/// The type of an echo request in ICMP for IPv6 (RFC 4443).
pub const ECHO_6: i32 = 128;
/// The type of an echo reply in ICMP for IPv6 (RFC 4443).
pub const ECHO_REPLY_6: i32 = 129;

/// A kind of packets. Ports are those that packets go to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Packets {
    /// Whatever it is.
    All,
    /// ICMP of this type; `None`: of any.
    Icmp(Option<i32>),
    /// ICMP for IPv6, likewise: another protocol, which no rule for ICMP speaks of.
    Icmp6(Option<i32>),
    /// TCP to these ports, both ends included.
    Tcp(u16, u16),
    /// UDP likewise.
    Udp(u16, u16),
    /// Another protocol, by EC2's name or number for it.
    Other(String),
}

impl Packets {
    /// Pings, as they leave.
    pub const PING: Self = Self::Icmp(Some(ECHO));
    /// What answers them.
    pub const PONG: Self = Self::Icmp(Some(ECHO_REPLY));
    /// Pings over IPv6, as they leave.
    pub const PING_6: Self = Self::Icmp6(Some(ECHO_6));
    /// What answers them.
    pub const PONG_6: Self = Self::Icmp6(Some(ECHO_REPLY_6));
    /// HTTPS, as it leaves.
    pub const HTTPS: Self = Self::Tcp(443, 443);
    /// What answers it: to whichever port a NAT has chosen ("Ephemeral ports" in the Amazon VPC user guide).
    pub const ANSWERS: Self = Self::Tcp(1024, 65535);

    /// Whether all of `other` is of this kind.
    #[must_use]
    pub fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Icmp(one), Self::Icmp(other)) | (Self::Icmp6(one), Self::Icmp6(other)) => {
                one.is_none() || one == other
            }
            (Self::Tcp(from, to), Self::Tcp(low, high)) | (Self::Udp(from, to), Self::Udp(low, high)) => {
                from <= low && high <= to
            }
            (Self::Other(one), Self::Other(other)) => one == other,
            _ => false,
        }
    }

    /// Whether some of `other` is of this kind.
    #[must_use]
    pub fn meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(from, to), Self::Tcp(low, high)) | (Self::Udp(from, to), Self::Udp(low, high)) => {
                from <= high && low <= to
            }
            _ => self.cover(other) || other.cover(self),
        }
    }
}

impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ports = |name: &str, from: &u16, to: &u16| match (from, to) {
            (0, 65535) => f.write_str(name),
            (from, to) if from == to => write!(f, "{name} {from}"),
            (from, to) => write!(f, "{name} {from}-{to}"),
        };
        match self {
            Self::Tcp(from, to) => ports("TCP", from, to),
            Self::Udp(from, to) => ports("UDP", from, to),
            Self::All => f.write_str("everything"),
            Self::Icmp(None) => f.write_str("ICMP"),
            Self::Icmp(Some(ECHO)) => f.write_str("pings"),
            Self::Icmp(Some(ECHO_REPLY)) => f.write_str("the answers to pings"),
            Self::Icmp(Some(kind)) => write!(f, "ICMP of type {kind}"),
            Self::Icmp6(None) => f.write_str("ICMPv6"),
            Self::Icmp6(Some(ECHO_6)) => f.write_str("IPv6 pings"),
            Self::Icmp6(Some(ECHO_REPLY_6)) => f.write_str("the answers to IPv6 pings"),
            Self::Icmp6(Some(kind)) => write!(f, "ICMPv6 of type {kind}"),
            Self::Other(name) => write!(f, "protocol {name}"),
        }
    }
}

/// Whether given packets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lets {
    /// All of them.
    Yes,
    /// Some of them.
    Part,
    /// That depends on what a group or prefix list has.
    Maybe,
    /// None.
    No,
}

/// What a security group lets pass, in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRule {
    /// Which packets.
    pub what: Packets,
    /// From or to these blocks.
    pub blocks: Vec<Cidr>,
    /// Or interfaces that have one of these groups.
    pub groups: Vec<GroupId>,
    /// Or the blocks of these prefix lists.
    pub lists: Vec<String>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// The group.
    pub id: GroupId,
    /// What it is called, with which it was made.
    pub name: Option<String>,
    /// What comes in.
    pub ingress: Vec<GroupRule>,
    /// What goes out.
    pub egress: Vec<GroupRule>,
}

/// Whether `rules` let `packets` from (or to) `peer` pass.
#[must_use]
pub fn lets<'a>(rules: impl IntoIterator<Item = &'a GroupRule>, packets: &Packets, peer: &Cidr) -> Lets {
    let (mut whole, mut part, mut others) = (Vec::new(), false, false);
    for rule in rules.into_iter().filter(|rule| rule.what.meet(packets)) {
        others |= !rule.groups.is_empty() || !rule.lists.is_empty();
        if rule.what.cover(packets) {
            whole.extend(rule.blocks.iter().copied());
        }
        part |= rule.blocks.iter().any(|block| block.contains(peer) || peer.contains(block));
    }
    if Cidr::aggregate(&whole).iter().any(|block| block.contains(peer)) {
        Lets::Yes
    } else if others {
        Lets::Maybe
    } else if part {
        Lets::Part
    } else {
        Lets::No
    }
}

/// A network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The ACL.
    pub id: AclId,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// The subnets that it stands before.
    pub subnets: Vec<SubnetId>,
    /// Its entries, in any order.
    pub entries: Vec<AclEntry>,
}

/// One entry of an ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    /// Of those that fit a packet, the one with the lowest number counts.
    pub number: i32,
    /// For what leaves the subnet; else for what comes in.
    pub egress: bool,
    /// Lets pass; else drops.
    pub allow: bool,
    /// Which packets.
    pub what: Packets,
    /// From or to this block.
    pub block: Cidr,
}

impl Acl {
    /// Whether it lets `packets` from (or, where they leave, to) `peer` pass, and the number of the entry that says so; `None`: that at the end
    /// of each list, which drops all that is left.
    #[must_use]
    pub fn lets(&self, egress: bool, packets: &Packets, peer: &Cidr) -> (Lets, Option<i32>) {
        let mut entries: Vec<&AclEntry> = self.entries.iter().filter(|one| one.egress == egress).collect();
        entries.sort_by_key(|one| one.number);
        let (mut passed, mut dropped) = (false, false);
        for entry in entries {
            let fits = entry.what.meet(packets) && (entry.block.contains(peer) || peer.contains(&entry.block));
            if !fits {
                continue;
            }
            let number = Some(entry.number);
            if entry.what.cover(packets) && entry.block.contains(peer) {
                return match (entry.allow, passed, dropped) {
                    (true, _, false) => (Lets::Yes, number),
                    (false, false, _) => (Lets::No, number),
                    _ => (Lets::Part, number),
                };
            }
            passed |= entry.allow;
            dropped |= !entry.allow;
        }
        (if passed { Lets::Part } else { Lets::No }, None)
    }
}

/// An interface as `DescribeNetworkInterfaces` shows it: who is where, behind which groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// The interface.
    pub id: InterfaceId,
    /// The subnet it is in.
    pub subnet: SubnetId,
    /// The instance it is attached to.
    pub instance: Option<InstanceId>,
    /// Its private addresses, those of IPv6 too.
    pub addresses: Vec<IpAddr>,
    /// Those of them that have a public IPv4 address of their own.
    pub public: Vec<IpAddr>,
    /// Its security groups.
    pub groups: Vec<GroupId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn rule(what: Packets, blocks: &[&str]) -> GroupRule {
        GroupRule { what, blocks: blocks.iter().map(|one| cidr(one)).collect(), groups: Vec::new(), lists: Vec::new() }
    }

    #[test]
    fn a_group_lets_pass_what_its_rules_cover_together() {
        let halves = rule(Packets::All, &["10.0.10.0/25", "10.0.10.128/25"]);
        let half = rule(Packets::All, &["10.0.10.0/25"]);
        let web = rule(Packets::Tcp(80, 443), &["10.0.0.0/16"]);
        let icmp = rule(Packets::Icmp(None), &["10.0.0.0/16"]);
        let ours = GroupRule { groups: vec!["sg-1".parse().unwrap()], ..rule(Packets::All, &[]) };
        for (rules, packets, expected) in [
            (vec![&halves], Packets::PING, Lets::Yes),
            (vec![&half], Packets::PING, Lets::Part),
            (vec![&web], Packets::PING, Lets::No),
            (vec![&web], Packets::HTTPS, Lets::Yes),
            (vec![&web], Packets::All, Lets::Part),
            (vec![&web], Packets::Tcp(400, 500), Lets::Part),
            (vec![&ours], Packets::PING, Lets::Maybe),
            (vec![&ours, &halves], Packets::All, Lets::Yes),
            (vec![], Packets::All, Lets::No),
            (vec![&icmp], Packets::PING, Lets::Yes),
            (vec![&icmp], Packets::PING_6, Lets::No),
        ] {
            assert_eq!(lets(rules.iter().copied(), &packets, &cidr("10.0.10.0/24")), expected, "{rules:?} {packets}");
        }
        assert_eq!(lets([&web], &Packets::HTTPS, &cidr("2001:db8::/64")), Lets::No, "IPv4's rules say nothing of IPv6");
    }

    #[test]
    fn of_an_acl_the_first_entry_that_fits_counts() {
        let entry = |number, allow, what, block| AclEntry { number, egress: false, allow, what, block: cidr(block) };
        let acl =
            |entries: Vec<AclEntry>| Acl { id: "acl-1".parse().unwrap(), name: None, subnets: Vec::new(), entries };
        let open = || entry(100, true, Packets::All, "0.0.0.0/0");
        let peer = cidr("10.0.10.0/24");
        for (entries, packets, expected) in [
            (vec![open()], Packets::PING, (Lets::Yes, Some(100))),
            (vec![open(), entry(50, false, Packets::Icmp(None), "10.0.0.0/8")], Packets::PING, (Lets::No, Some(50))),
            (vec![open(), entry(150, false, Packets::Icmp(None), "10.0.0.0/8")], Packets::PING, (Lets::Yes, Some(100))),
            (
                vec![open(), entry(50, false, Packets::Icmp(Some(0)), "0.0.0.0/0")],
                Packets::PING,
                (Lets::Yes, Some(100)),
            ),
            (vec![open(), entry(50, false, Packets::All, "10.0.10.7/32")], Packets::PING, (Lets::Part, Some(100))),
            (vec![entry(50, true, Packets::All, "10.0.10.0/25")], Packets::PING, (Lets::Part, None)),
            (vec![entry(50, true, Packets::Tcp(443, 443), "0.0.0.0/0")], Packets::PING, (Lets::No, None)),
            (vec![entry(50, true, Packets::Tcp(1024, 60999), "0.0.0.0/0")], Packets::ANSWERS, (Lets::Part, None)),
            (vec![], Packets::PING, (Lets::No, None)),
        ] {
            assert_eq!(acl(entries.clone()).lets(false, &packets, &peer), expected, "{entries:?} {packets}");
        }
        assert_eq!(acl(vec![open()]).lets(true, &Packets::PING, &peer).0, Lets::No, "each direction by itself");
    }

    #[test]
    fn packets_are_named_as_people_name_them() {
        for (packets, text) in [
            (Packets::All, "everything"),
            (Packets::PING, "pings"),
            (Packets::Icmp(None), "ICMP"),
            (Packets::Icmp6(None), "ICMPv6"),
            (Packets::PING_6, "IPv6 pings"),
            (Packets::PONG_6, "the answers to IPv6 pings"),
            (Packets::Icmp6(Some(135)), "ICMPv6 of type 135"),
            (Packets::Tcp(0, 65535), "TCP"),
            (Packets::HTTPS, "TCP 443"),
            (Packets::Udp(53, 54), "UDP 53-54"),
            (Packets::Other("50".to_owned()), "protocol 50"),
        ] {
            assert_eq!(packets.to_string(), text);
        }
    }
}
