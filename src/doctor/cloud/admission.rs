//! Whether security groups let pass what the private subnets send: at this standby, or nothing would flow after a takeover; at the primary
//! and at the backends, or nobody would ever be seen reaching through the primary, and so could not accuse it.
//!
//! IPv4, and IPv6 where there are targets of it. A rule that admits a group instead of blocks is looked up with the backends that are known
//! there.

mod acls;
mod admits;
mod backends;

use super::{Facts, Subject, named, subnets, unfit, unknown};
use crate::decide::leads_here;
use crate::model::firewall::lets;
use crate::model::{
    Cidr, Family, Finding, GroupRule, InterfaceId, Lets, NetworkInterface, Packets, SecurityGroup, Topic,
};

const TOPIC: Topic = Topic::Forwarding;

/// Commands that stand in one remedy.
const COMMANDS: usize = 5;

/// One of the two NAT instances, by the interface that the subnets' packets come to.
struct Nat<'a> {
    /// `standby` or `primary`, for machines.
    role: &'static str,
    /// The same for people.
    who: &'static str,
    interface: &'a NetworkInterface,
    groups: Vec<&'a SecurityGroup>,
}

impl Nat<'_> {
    fn is_standby(&self) -> bool {
        self.role == "standby"
    }

    fn ingress(&self) -> Vec<&GroupRule> {
        self.groups.iter().flat_map(|group| &group.ingress).collect()
    }

    fn called(&self) -> String {
        self.groups.iter().map(|group| named(&group.id, group.name.as_deref())).collect::<Vec<_>>().join(", ")
    }

    /// The group that a command would change.
    fn group(&self) -> &str {
        self.groups.first().map_or("GROUP", |group| group.id.as_str())
    }
}

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let guarded = subnets::guarded(facts, subject);
    if guarded.is_empty() {
        return Vec::new();
    }
    let interfaces = match (&facts.interfaces, &facts.groups) {
        (Ok(interfaces), Ok(_)) => interfaces,
        (Err(why), _) | (_, Err(why)) => {
            return vec![
                unknown(TOPIC, "admits", format!("whether security groups let the traffic pass is not known: {why}"))
                    .cause("groups-unreadable")
                    .remedy("aws ec2 describe-network-interfaces; aws ec2 describe-security-groups"),
            ];
        }
    };
    let (standby, primary) = places(facts, subject);
    let nat = |role, who, id: Option<InterfaceId>| {
        let interface = interfaces.iter().find(|one| Some(&one.id) == id.as_ref())?;
        Some(Nat { role, who, interface, groups: groups_of(facts, interface) })
    };
    let standby = nat("standby", "this instance", standby);
    let primary = nat("primary", "the primary", primary);
    let (mut found, mut given) = (Vec::new(), acls::Given::default());
    let families = families(subject);
    for nat in [&standby, &primary].into_iter().flatten() {
        for family in &families {
            found.extend(admits::judge(facts, nat, primary.as_ref(), &guarded, *family));
            found.extend(lets_out(nat, *family));
        }
        found.extend(acls::of_nat(facts, nat, &guarded, &families, &mut given));
    }
    found.extend(families.iter().filter_map(|family| backends::judge(facts, subject, *family)));
    found.extend(acls::of_subnets(facts, &guarded, &families, &mut given));
    found
}

/// The interfaces to which the two tables lead.
fn places(facts: &Facts, subject: Subject<'_>) -> (Option<InterfaceId>, Option<InterfaceId>) {
    let pair = facts.pair(subject);
    let standby = pair.and_then(|(_, table)| leads_here(table, facts.standby(subject)?, Family::V4).ok()?);
    let led = facts.led(subject).and_then(|route| route.interface.clone());
    let primary = if let Some(id) = facts.primary(subject) {
        facts.instance(id).and_then(|instance| {
            let mut all = instance.interfaces.iter();
            let by_route = all.clone().find(|one| Some(&one.id) == led.as_ref());
            by_route.or_else(|| all.find(|one| one.device_index == 0)).map(|one| one.id.clone())
        })
    } else {
        // A route to an interface of which EC2 does not say whose it is: its groups are known all the same.
        let here = |id: &InterfaceId| {
            facts.standby(subject).is_some_and(|instance| instance.interfaces.iter().any(|one| one.id == *id))
        };
        led.filter(|id| !here(id))
    };
    (standby.map(|one| one.id.clone()), primary)
}

fn groups_of<'a>(facts: &'a Facts, interface: &NetworkInterface) -> Vec<&'a SecurityGroup> {
    facts.groups.iter().flatten().filter(|group| interface.groups.contains(&group.id)).collect()
}

/// The families that backends are asked about: IPv6 only where a target is of it.
fn families(subject: Subject<'_>) -> Vec<Family> {
    let targets = &subject.settings.observe.targets;
    let six = targets.iter().filter_map(|name| name.parse().ok()).any(|addr| Family::of(addr) == Family::V6);
    if six { vec![Family::V4, Family::V6] } else { vec![Family::V4] }
}

fn anywhere(family: Family) -> Cidr {
    match family {
        Family::V4 => ipnet::Ipv4Net::default().into(),
        Family::V6 => ipnet::Ipv6Net::default().into(),
    }
}

const fn ping(family: Family) -> Packets {
    match family {
        Family::V4 => Packets::PING,
        Family::V6 => Packets::PING_6,
    }
}

const fn pong(family: Family) -> Packets {
    match family {
        Family::V4 => Packets::PONG,
        Family::V6 => Packets::PONG_6,
    }
}

/// A block's part of `--ip-permissions` (`aws ec2 authorize-security-group-ingress help`).
fn range(block: &Cidr) -> String {
    match block {
        Cidr::V4(block) => format!("IpRanges=[{{CidrIp={block}}}]"),
        Cidr::V6(block) => format!("Ipv6Ranges=[{{CidrIpv6={block}}}]"),
    }
}

/// Pings leave a NAT instance.
fn lets_out(nat: &Nat<'_>, family: Family) -> Option<Finding> {
    let (anywhere, ping) = (anywhere(family), ping(family));
    let rules = || nat.groups.iter().flat_map(|group| &group.egress);
    if lets(rules(), &ping, &anywhere) != Lets::No {
        return None;
    }
    let (who, groups) = (nat.who, nat.called());
    let what = if nat.is_standby() {
        "no target ever answers this instance, and nobody is accused"
    } else {
        "nobody can become a witness"
    };
    let command = format!(
        "aws ec2 authorize-security-group-egress --group-id {} --ip-permissions 'IpProtocol=-1,{}'",
        nat.group(),
        range(&anywhere)
    );
    let text = format!("the security groups of {who} ({groups}) let no {ping} out: {what}");
    Some(unfit(TOPIC, "lets-out", text).cause("no-pings-out").of(nat.role).remedy(command))
}
