//! Whether network ACLs let pass what goes through a NAT instance, both ways, as they remember nothing; and the pings of the guarded subnets.

use super::super::{Facts, fit, named, unfit, warning};
use super::{COMMANDS, Nat, anywhere, ping, pong};
use crate::model::{Acl, AclId, Cidr, Family, Finding, Fitness, Guarded, Lets, Packets, SubnetId, Topic};

/// The numbers that the commands of one report give to new entries. EC2 refuses one that is taken (`NetworkAclEntryAlreadyExists`), and each
/// side of an ACL counts by itself; what is to pass at two places that share an ACL needs one entry.
#[derive(Default)]
pub(super) struct Given(Vec<(AclId, bool, Packets, Cidr, i32)>);

/// The numbers of entries that operators make go up to this one ("Network ACL rules" in the Amazon VPC user guide).
const LAST: i32 = 32766;

impl Given {
    /// A free number for an entry that allows this, before the one that denies it; anywhere, where none does. `None`: there is none.
    fn number(&mut self, acl: &Acl, passage: &Passage, denied_by: Option<i32>) -> Option<i32> {
        let Passage { egress, packets, peer, .. } = passage;
        let ours = |one: &&(AclId, bool, Packets, Cidr, i32)| one.0 == acl.id && one.1 == *egress;
        if let Some((.., number)) = self.0.iter().filter(ours).find(|one| one.2 == *packets && one.3 == *peer) {
            return Some(*number);
        }
        let free = |number: &i32| {
            let there = acl.entries.iter().any(|one| one.egress == *egress && one.number == *number);
            !there && !self.0.iter().filter(ours).any(|one| one.4 == *number)
        };
        // Below the usual 100, so that what an operator has there stays the last word; the rest is for lists that are full.
        let number = match denied_by {
            Some(entry) => (1..entry.min(LAST + 1)).rev().find(free),
            None => (1..100).rev().chain(100..=LAST).find(free),
        }?;
        self.0.push((acl.id.clone(), *egress, packets.clone(), *peer, number));
        Some(number)
    }
}

/// One kind of packets, one way, and what it means that they are dropped.
struct Passage {
    egress: bool,
    packets: Packets,
    peer: Cidr,
    dropped: Fitness,
}

fn acl_of<'a>(facts: &'a Facts, subnet: &SubnetId) -> Option<&'a Acl> {
    facts.acls.iter().flatten().find(|acl| acl.subnets.contains(subnet))
}

/// What goes through a NAT instance passes its subnet's ACL twice each way: from the subnets and to the internet, and back.
pub(super) fn of_nat(
    facts: &Facts,
    nat: &Nat<'_>,
    guarded: &[Guarded],
    families: &[Family],
    given: &mut Given,
) -> Option<Finding> {
    let acl = acl_of(facts, &nat.interface.subnet)?;
    // What the standby can't get back makes a takeover useless; at the primary only pings bear on anything, as they make witnesses.
    let (pings, traffic) =
        if nat.is_standby() { (Fitness::Warning, Some(Fitness::Unfit)) } else { (Fitness::Unfit, None) };
    let passage = |egress, packets, peer, dropped| Passage { egress, packets, peer, dropped };
    let mut passages = Vec::new();
    for family in families {
        let anywhere = anywhere(*family);
        // Without pings of its own the standby finds no target good, ever.
        passages.push(passage(true, ping(*family), anywhere, Fitness::Unfit));
        passages.push(passage(false, pong(*family), anywhere, Fitness::Unfit));
        passages.extend(traffic.into_iter().flat_map(|dropped| {
            [passage(true, Packets::HTTPS, anywhere, dropped), passage(false, Packets::ANSWERS, anywhere, dropped)]
        }));
    }
    let watched = |block: &&Cidr| families.contains(&Family::of(block.addr()));
    for block in guarded.iter().flat_map(|one| &one.cidrs).filter(watched) {
        let family = Family::of(block.addr());
        passages.push(passage(false, ping(family), *block, pings));
        passages.push(passage(true, pong(family), *block, pings));
        passages.extend(traffic.into_iter().flat_map(|dropped| {
            [passage(false, Packets::HTTPS, *block, dropped), passage(true, Packets::ANSWERS, *block, dropped)]
        }));
    }
    let where_ = format!("of the subnet of {}, {}", nat.who, facts.called(&nat.interface.subnet));
    Some(judge(acl, Topic::Forwarding, "acl", &where_, &passages, given).of(nat.role))
}

/// Pings leave the guarded subnets, and their answers come back.
pub(super) fn of_subnets(facts: &Facts, guarded: &[Guarded], families: &[Family], given: &mut Given) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut well = 0;
    for subnet in guarded {
        let Some(acl) = acl_of(facts, &subnet.subnet) else { continue };
        let passages: Vec<Passage> = families
            .iter()
            .flat_map(|family| [(true, ping(*family), *family), (false, pong(*family), *family)])
            .map(|(egress, packets, family)| Passage {
                egress,
                packets,
                peer: anywhere(family),
                dropped: Fitness::Warning,
            })
            .collect();
        let place = format!("of {}", named(&subnet.subnet, subnet.name.as_deref()));
        let finding = judge(acl, Topic::Backends, "subnet-acl", &place, &passages, given).of(&subnet.subnet);
        if finding.fitness == Fitness::Fit {
            well += 1;
        } else {
            found.push(finding);
        }
    }
    if well == 0 {
        // Nobody anywhere can become a witness.
        for finding in &mut found {
            finding.fitness = Fitness::Unfit;
        }
    } else if found.is_empty() {
        found.push(fit(Topic::Backends, "subnet-acl", "the network ACLs of the guarded subnets let pings pass"));
    }
    found
}

fn judge(acl: &Acl, topic: Topic, id: &'static str, place: &str, passages: &[Passage], given: &mut Given) -> Finding {
    let name = named(&acl.id, acl.name.as_deref());
    let (mut details, mut commands, mut worst) = (Vec::new(), Vec::new(), None);
    for passage in passages {
        let (Lets::No, number) = acl.lets(passage.egress, &passage.packets, &passage.peer) else { continue };
        let (way, side) = if passage.egress { ("to", "leave") } else { ("from", "come in") };
        let entry =
            number.map_or_else(|| "no entry allows it".to_owned(), |number| format!("entry {number} denies it"));
        let mut line = format!("{} {way} {} can't {side}: {entry}", passage.packets, passage.peer);
        match given.number(acl, passage, number) {
            Some(free) => commands.push(command(acl, passage, free)),
            None => line.push_str("; no number before it is free for an entry that allows it: number its entries anew"),
        }
        details.push(line);
        if worst != Some(Fitness::Unfit) {
            worst = Some(passage.dropped);
        }
    }
    let Some(worst) = worst else {
        return fit(topic, id, format!("the network ACL {place} ({name}) lets the traffic pass"));
    };
    commands.truncate(COMMANDS);
    if commands.is_empty() {
        commands.push(format!("aws ec2 describe-network-acls --network-acl-ids {}", acl.id));
    }
    let text = format!("the network ACL {place} ({name}) drops {}", dropped(passages, acl));
    let finding = if worst == Fitness::Unfit { unfit } else { warning };
    finding(topic, id, text).cause("dropped").details(details).remedy(commands.join("; "))
}

/// The kinds of packets that are dropped.
fn dropped(passages: &[Passage], acl: &Acl) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for passage in passages {
        let word = passage.packets.to_string();
        if acl.lets(passage.egress, &passage.packets, &passage.peer).0 == Lets::No && !kinds.contains(&word) {
            kinds.push(word);
        }
    }
    kinds.join(", ")
}

/// The command that allows it, by an entry of this number.
fn command(acl: &Acl, passage: &Passage, number: i32) -> String {
    let what = match &passage.packets {
        Packets::Icmp(kind) => format!("--protocol icmp --icmp-type-code Type={},Code=-1", kind.unwrap_or(-1)),
        Packets::Icmp6(kind) => format!("--protocol 58 --icmp-type-code Type={},Code=-1", kind.unwrap_or(-1)),
        Packets::Tcp(from, to) => format!("--protocol tcp --port-range From={from},To={to}"),
        Packets::Udp(from, to) => format!("--protocol udp --port-range From={from},To={to}"),
        Packets::All | Packets::Other(_) => "--protocol -1".to_owned(),
    };
    let side = if passage.egress { "--egress" } else { "--ingress" };
    let option = if matches!(passage.peer, Cidr::V4(_)) { "--cidr-block" } else { "--ipv6-cidr-block" };
    format!(
        "aws ec2 create-network-acl-entry --network-acl-id {} {side} --rule-number {number} {what} {option} {} --rule-action allow",
        acl.id, passage.peer
    )
}
