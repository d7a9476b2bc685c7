//! Security groups, ACLs and interfaces in the vocabulary.
//!
//! EC2 names protocols by word or number (`tcp`, `6`; -1 is all of them) and an ICMP type by what is a port elsewhere.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_sdk_ec2::types;

use super::{id, name};
use crate::model::{Acl, AclEntry, Cidr, GroupRule, NetworkInterface, Packets, SecurityGroup, printable};

/// A group's name has at most 255 characters.
const NAME: usize = 255;

/// The packets of a rule: `from` and `to` are ports, or, of ICMP, type and code.
fn packets(protocol: Option<&str>, from: Option<i32>, to: Option<i32>) -> Packets {
    let port = |given: Option<i32>, unset: u16| given.and_then(|port| u16::try_from(port).ok()).unwrap_or(unset);
    match protocol.unwrap_or("-1") {
        "-1" => Packets::All,
        "1" | "icmp" => Packets::Icmp(from.filter(|kind| *kind >= 0)),
        "58" | "icmpv6" => Packets::Icmp6(from.filter(|kind| *kind >= 0)),
        "6" | "tcp" => Packets::Tcp(port(from, 0), port(to, u16::MAX)),
        "17" | "udp" => Packets::Udp(port(from, 0), port(to, u16::MAX)),
        other => Packets::Other(printable(other, 20)),
    }
}

pub(in crate::ec2) fn group(group: &types::SecurityGroup) -> Result<SecurityGroup, String> {
    let rules = |all: &[types::IpPermission]| all.iter().map(rule).collect::<Result<Vec<_>, String>>();
    Ok(SecurityGroup {
        id: id(group.group_id())?,
        name: group.group_name().map(|name| printable(name, NAME)),
        ingress: rules(group.ip_permissions())?,
        egress: rules(group.ip_permissions_egress())?,
    })
}

fn rule(rule: &types::IpPermission) -> Result<GroupRule, String> {
    let v4 = rule.ip_ranges().iter().filter_map(types::IpRange::cidr_ip);
    let v6 = rule.ipv6_ranges().iter().filter_map(types::Ipv6Range::cidr_ipv6);
    Ok(GroupRule {
        what: packets(rule.ip_protocol(), rule.from_port(), rule.to_port()),
        blocks: v4.chain(v6).filter_map(|block| block.parse::<Cidr>().ok()).collect(),
        groups: rule.user_id_group_pairs().iter().map(|pair| id(pair.group_id())).collect::<Result<_, _>>()?,
        lists: rule
            .prefix_list_ids()
            .iter()
            .filter_map(|list| list.prefix_list_id().map(|id| printable(id, 40)))
            .collect(),
    })
}

pub(in crate::ec2) fn acl(acl: &types::NetworkAcl) -> Result<Acl, String> {
    let subnets = acl.associations().iter().map(|one| id(one.subnet_id()));
    Ok(Acl {
        id: id(acl.network_acl_id())?,
        name: name(acl.tags()),
        subnets: subnets.collect::<Result<_, _>>()?,
        entries: acl.entries().iter().filter_map(entry).collect(),
    })
}

/// `None`: one without a block that could be read, of which nothing can be said.
fn entry(entry: &types::NetworkAclEntry) -> Option<AclEntry> {
    let kind = entry.icmp_type_code().and_then(types::IcmpTypeCode::r#type);
    let ports = entry.port_range();
    let from = kind.or_else(|| ports.and_then(types::PortRange::from));
    Some(AclEntry {
        number: entry.rule_number()?,
        egress: entry.egress().unwrap_or_default(),
        allow: entry.rule_action() == Some(&types::RuleAction::Allow),
        what: packets(entry.protocol(), from, ports.and_then(types::PortRange::to)),
        block: entry.cidr_block().or(entry.ipv6_cidr_block())?.parse().ok()?,
    })
}

pub(in crate::ec2) fn interface(interface: &types::NetworkInterface) -> Result<NetworkInterface, String> {
    let private = interface.private_ip_addresses().iter();
    let v4 = private.clone().filter_map(|one| one.private_ip_address());
    let v6 = interface.ipv6_addresses().iter().filter_map(|one| one.ipv6_address());
    let of_one = private.filter(|one| one.association().is_some_and(|found| found.public_ip().is_some()));
    // Of the first address it stands at the interface as well.
    let of_first = interface.association().is_some_and(|found| found.public_ip().is_some());
    let first = interface.private_ip_address().filter(|_| of_first);
    let public: BTreeSet<IpAddr> = of_one
        .filter_map(|one| one.private_ip_address())
        .chain(first)
        .filter_map(|address| address.parse().ok())
        .collect();
    Ok(NetworkInterface {
        id: id(interface.network_interface_id())?,
        subnet: id(interface.subnet_id())?,
        instance: interface.attachment().and_then(|one| one.instance_id()?.parse().ok()),
        addresses: v4.chain(v6).filter_map(|one| one.parse().ok()).collect(),
        public: public.into_iter().collect(),
        groups: interface.groups().iter().map(|group| id(group.group_id())).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Packets, packets};

    #[test]
    fn protocols_are_known_by_word_and_number() {
        for (protocol, from, to, expected) in [
            (Some("-1"), None, None, Packets::All),
            (Some("tcp"), Some(80), Some(443), Packets::Tcp(80, 443)),
            (Some("6"), Some(22), Some(22), Packets::Tcp(22, 22)),
            (Some("17"), None, None, Packets::Udp(0, 65535)),
            (Some("icmp"), Some(-1), Some(-1), Packets::Icmp(None)),
            (Some("1"), Some(8), Some(-1), Packets::PING),
            (Some("58"), Some(-1), Some(-1), Packets::Icmp6(None)),
            (Some("icmpv6"), Some(128), Some(-1), Packets::PING_6),
            (Some("47"), None, None, Packets::Other("47".to_owned())),
        ] {
            assert_eq!(packets(protocol, from, to), expected);
        }
    }
}
