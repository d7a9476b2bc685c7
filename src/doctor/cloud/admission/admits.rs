//! What the groups of a NAT instance admit of what comes from the guarded subnets.

use std::collections::BTreeSet;

use super::super::{Facts, listed, named};
use super::{COMMANDS, Nat, TOPIC, ping, range};
use crate::model::firewall::lets;
use crate::model::{Cidr, Family, Finding, Fitness, GroupRule, Guarded, Lets, NetworkInterface, Packets};

/// What is admitted from one subnet.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Admitted {
    Everything,
    /// Pings and these, and HTTPS that far.
    WithPings(Vec<Packets>, Lets),
    /// These and no pings, and HTTPS that far.
    WithoutPings(Vec<Packets>, Lets),
    Nothing,
    /// By a group or list of which it is not known whether the subnet's hosts are in it.
    Unclear,
}

/// What `rules` admit from a block whose known hosts have the interfaces `hosts`.
fn admitted(rules: &[&GroupRule], block: &Cidr, hosts: &[&NetworkInterface]) -> Admitted {
    let family = Family::of(block.addr());
    let icmp = if family == Family::V4 { Packets::Icmp(None) } else { Packets::Icmp6(None) };
    let of = |packets: &Packets| from(rules, packets, block, hosts);
    let whole = [Packets::Tcp(0, u16::MAX), Packets::Udp(0, u16::MAX), icmp];
    if of(&Packets::All) == Lets::Yes || whole.iter().all(|one| of(one) == Lets::Yes) {
        return Admitted::Everything;
    }
    let mut kinds: Vec<Packets> =
        rules.iter().map(|rule| rule.what.clone()).filter(|what| of(what) == Lets::Yes).collect();
    kinds.sort();
    kinds.dedup();
    match of(&ping(family)) {
        Lets::Yes => Admitted::WithPings(kinds, of(&Packets::HTTPS)),
        Lets::No if !kinds.is_empty() => Admitted::WithoutPings(kinds, of(&Packets::HTTPS)),
        Lets::No if of(&Packets::All) == Lets::No => Admitted::Nothing,
        // Some of the block, or whatever a group or list has.
        Lets::Maybe | Lets::Part | Lets::No => Admitted::Unclear,
    }
}

/// [`lets`], with rules that admit groups looked up.
fn from(rules: &[&GroupRule], packets: &Packets, block: &Cidr, hosts: &[&NetworkInterface]) -> Lets {
    let answer = lets(rules.iter().copied(), packets, block);
    let listed = rules.iter().any(|rule| rule.what.meet(packets) && !rule.lists.is_empty());
    if answer != Lets::Maybe || listed || hosts.is_empty() {
        return answer;
    }
    let in_group = |host: &&&NetworkInterface| {
        let by = |rule: &&&GroupRule| rule.what.cover(packets) && rule.groups.iter().any(|id| host.groups.contains(id));
        rules.iter().any(|rule| by(&rule))
    };
    match hosts.iter().filter(in_group).count() {
        0 => {
            let blocks: Vec<GroupRule> =
                rules.iter().map(|rule| GroupRule { groups: Vec::new(), ..(*rule).clone() }).collect();
            lets(&blocks, packets, block)
        }
        all if all == hosts.len() => Lets::Yes,
        _ => Lets::Part,
    }
}

/// What a NAT instance's groups admit from the guarded subnets, in one family: one finding for each kind of answer.
pub(super) fn judge(
    facts: &Facts,
    nat: &Nat<'_>,
    primary: Option<&Nat<'_>>,
    guarded: &[Guarded],
    family: Family,
) -> Vec<Finding> {
    let rules = nat.ingress();
    let mut kinds: Vec<(Admitted, Vec<(&Guarded, Cidr)>)> = Vec::new();
    for subnet in guarded {
        let hosts: Vec<&NetworkInterface> =
            facts.backends.iter().flatten().filter(|one| one.subnet == subnet.subnet).collect();
        for block in subnet.cidrs.iter().filter(|block| Family::of(block.addr()) == family) {
            let kind = admitted(&rules, block, &hosts);
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, places)) => places.push((subnet, *block)),
                None => kinds.push((kind, vec![(subnet, *block)])),
            }
        }
    }
    kinds.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (_, places) in &mut kinds {
        places.sort_by_key(|(_, block)| *block);
    }
    let all = kinds.len() == 1;
    kinds.into_iter().map(|(kind, places)| admission(nat, primary, &kind, &places, all).of(nat.role)).collect()
}

/// What a command opens.
#[derive(Clone, Copy)]
enum Opening {
    Everything,
    Https,
    Pings,
}

/// The command that admits it from a block. The CLI's short form knows IPv4 only.
fn authorize(group: &str, what: Opening, block: &Cidr) -> String {
    let command = format!("aws ec2 authorize-security-group-ingress --group-id {group}");
    match (block, what) {
        (Cidr::V4(_), Opening::Everything) => format!("{command} --protocol all --cidr {block}"),
        (Cidr::V4(_), Opening::Https) => format!("{command} --protocol tcp --port 443 --cidr {block}"),
        (Cidr::V4(_), Opening::Pings) => format!("{command} --protocol icmp --port -1 --cidr {block}"),
        (Cidr::V6(_), what) => {
            let what = match what {
                Opening::Everything => "IpProtocol=-1",
                Opening::Https => "IpProtocol=tcp,FromPort=443,ToPort=443",
                Opening::Pings => "IpProtocol=icmpv6,FromPort=-1,ToPort=-1",
            };
            format!("{command} --ip-permissions '{what},{}'", range(block))
        }
    }
}

fn admission(
    nat: &Nat<'_>,
    primary: Option<&Nat<'_>>,
    kind: &Admitted,
    places: &[(&Guarded, Cidr)],
    all: bool,
) -> Finding {
    let from: Vec<String> = places.iter().map(|(subnet, block)| named(block, subnet.name.as_deref())).collect();
    let (from, groups, who) = (listed(&from), nat.called(), nat.who);
    let words = |kinds: &[Packets]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let open = |what: Opening| {
        let commands = places.iter().take(COMMANDS).map(|(_, block)| authorize(nat.group(), what, block));
        commands.collect::<Vec<_>>().join("; ")
    };
    // What the primary drops is dropped today; what only this standby drops is found out in the outage.
    let web = |https: &Lets| match https {
        Lets::Part | Lets::No if nat.is_standby() => {
            Some((Fitness::Warning, "; not TCP 443 (HTTPS), which a takeover would cut off"))
        }
        Lets::Maybe if nat.is_standby() => {
            Some((Fitness::Unknown, "; whether TCP 443 (HTTPS) too, goes by groups or lists"))
        }
        _ => None,
    };
    // Through a primary that admits no pings nobody is ever seen to reach.
    let unwitnessed = if all { Fitness::Unfit } else { Fitness::Warning };
    let finding = |fitness, text: String| Finding::new(TOPIC, "admits", fitness, text);
    match kind {
        Admitted::Everything => finding(Fitness::Fit, format!("the security groups of {who} ({groups}) admit everything from {from}")),
        Admitted::WithPings(kinds, https) => {
            let less: Vec<Packets> = primary.filter(|_| nat.is_standby()).map_or_else(Vec::new, |primary| {
                let (theirs, ours) = (primary.ingress(), nat.ingress());
                let missing = |what: &&Packets| {
                    places.iter().any(|(_, block)| {
                        let admits = |rules: &[&GroupRule]| lets(rules.iter().copied(), what, block);
                        admits(&theirs) == Lets::Yes && matches!(admits(&ours), Lets::Part | Lets::No)
                    })
                };
                let less: BTreeSet<Packets> = theirs.iter().map(|rule| &rule.what).filter(missing).cloned().collect();
                less.into_iter().collect()
            });
            let (fitness, web) = web(https).unwrap_or((Fitness::Fit, ""));
            let text = format!("the security groups of {who} ({groups}) admit {} from {from}{web}", words(kinds));
            if !less.is_empty() {
                return finding(Fitness::Warning, format!("{text}; those of the primary also admit {}", words(&less)))
                    .cause("less-than-the-primary")
                    .remedy(open(Opening::Everything));
            }
            let one = finding(fitness, text);
            if fitness == Fitness::Fit { one } else { one.cause("no-https").remedy(open(Opening::Https)) }
        }
        Admitted::WithoutPings(kinds, https) => {
            let text = format!("the security groups of {who} ({groups}) admit {} and no pings from {from}", words(kinds));
            let (fitness, text) = if nat.is_standby() {
                (Fitness::Warning, format!("{text}: a takeover could not be verified"))
            } else {
                (unwitnessed, format!("{text}: nobody there can become a witness"))
            };
            let (web, too) = web(https).map_or(("", None), |(_, web)| (web, Some(open(Opening::Https))));
            let commands: Vec<String> = std::iter::once(open(Opening::Pings)).chain(too).collect();
            finding(fitness, text + web).cause("no-pings").remedy(commands.join("; "))
        }
        Admitted::Nothing => {
            let text = format!("the security groups of {who} ({groups}) admit nothing from {from}");
            let fitness = if nat.is_standby() { Fitness::Unfit } else { unwitnessed };
            finding(fitness, text).cause("nothing").remedy(open(Opening::Everything))
        }
        Admitted::Unclear => finding(
            Fitness::Unknown,
            format!("what the security groups of {who} ({groups}) admit from {from} is not known: they go by groups, lists or parts of it"),
        )
        .cause("not-told-by-groups")
        .remedy(open(Opening::Everything)),
    }
}
