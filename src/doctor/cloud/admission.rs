//! Whether security groups let pass what the private subnets send: at this standby, or nothing would flow after a takeover; at the primary
//! and at the backends, or nobody would ever be seen reaching through the primary, and so could not accuse it.
//!
//! IPv4 only. A rule that admits a group instead of blocks is looked up with the backends that are known there.

mod acls;
mod backends;

use std::collections::BTreeSet;

use super::{Facts, Subject, listed, named, subnets, unfit, unknown};
use crate::decide::leads_here;
use crate::model::firewall::lets;
use crate::model::{
    Cidr, Family, Finding, Fitness, GroupRule, Guarded, InterfaceId, Lets, NetworkInterface, Packets, SecurityGroup,
    Topic,
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
    for nat in [&standby, &primary].into_iter().flatten() {
        found.extend(admits(facts, nat, primary.as_ref(), &guarded));
        found.extend(lets_out(nat));
        found.extend(acls::of_nat(facts, nat, &guarded, &mut given));
    }
    found.extend(backends::judge(facts, subject));
    found.extend(acls::of_subnets(facts, &guarded, &mut given));
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
    let of = |packets: &Packets| from(rules, packets, block, hosts);
    let whole = [Packets::Tcp(0, u16::MAX), Packets::Udp(0, u16::MAX), Packets::Icmp(None)];
    if of(&Packets::All) == Lets::Yes || whole.iter().all(|one| of(one) == Lets::Yes) {
        return Admitted::Everything;
    }
    let mut kinds: Vec<Packets> =
        rules.iter().map(|rule| rule.what.clone()).filter(|what| of(what) == Lets::Yes).collect();
    kinds.sort();
    kinds.dedup();
    match of(&Packets::PING) {
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

/// What a NAT instance's groups admit from the guarded subnets: one finding for each kind of answer.
fn admits(facts: &Facts, nat: &Nat<'_>, primary: Option<&Nat<'_>>, guarded: &[Guarded]) -> Vec<Finding> {
    const ID: &str = "admits";
    let rules = nat.ingress();
    let mut kinds: Vec<(Admitted, Vec<(&Guarded, Cidr)>)> = Vec::new();
    for subnet in guarded {
        let hosts: Vec<&NetworkInterface> =
            facts.backends.iter().flatten().filter(|one| one.subnet == subnet.subnet).collect();
        for block in subnet.cidrs.iter().filter(|block| matches!(block, Cidr::V4(_))) {
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
    kinds
        .into_iter()
        .map(|(kind, places)| admission(nat, primary, &kind, &places, all).of(nat.role))
        .map(|one| Finding { id: ID, ..one })
        .collect()
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
    let authorize = |what: &str| {
        let command = |block: &Cidr| {
            format!("aws ec2 authorize-security-group-ingress --group-id {} {what} --cidr {block}", nat.group())
        };
        places.iter().take(COMMANDS).map(|(_, block)| command(block)).collect::<Vec<_>>().join("; ")
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
                return finding(Fitness::Warning, format!("{text}; those of the primary also admit {}", words(&less))).remedy(authorize("--protocol all"));
            }
            let one = finding(fitness, text);
            if fitness == Fitness::Fit { one } else { one.remedy(authorize("--protocol tcp --port 443")) }
        }
        Admitted::WithoutPings(kinds, https) => {
            let text = format!("the security groups of {who} ({groups}) admit {} and no pings from {from}", words(kinds));
            let (fitness, text) = if nat.is_standby() {
                (Fitness::Warning, format!("{text}: a takeover could not be verified"))
            } else {
                (unwitnessed, format!("{text}: nobody there can become a witness"))
            };
            let (web, too) = web(https).map_or(("", None), |(_, web)| (web, Some(authorize("--protocol tcp --port 443"))));
            let commands: Vec<String> = std::iter::once(authorize("--protocol icmp --port -1")).chain(too).collect();
            finding(fitness, text + web).remedy(commands.join("; "))
        }
        Admitted::Nothing => {
            let text = format!("the security groups of {who} ({groups}) admit nothing from {from}");
            let fitness = if nat.is_standby() { Fitness::Unfit } else { unwitnessed };
            finding(fitness, text).remedy(authorize("--protocol all"))
        }
        Admitted::Unclear => finding(
            Fitness::Unknown,
            format!("what the security groups of {who} ({groups}) admit from {from} is not known: they go by groups, lists or parts of it"),
        )
        .remedy(authorize("--protocol all")),
    }
}

/// Pings leave a NAT instance.
fn lets_out(nat: &Nat<'_>) -> Option<Finding> {
    let anywhere: Cidr = ipnet::Ipv4Net::default().into();
    let rules = || nat.groups.iter().flat_map(|group| &group.egress);
    if lets(rules(), &Packets::PING, &anywhere) != Lets::No {
        return None;
    }
    let (who, groups) = (nat.who, nat.called());
    let what = if nat.is_standby() {
        "no target ever answers this instance, and nobody is accused"
    } else {
        "nobody can become a witness"
    };
    let command = format!(
        "aws ec2 authorize-security-group-egress --group-id {} --ip-permissions 'IpProtocol=-1,IpRanges=[{{CidrIp=0.0.0.0/0}}]'",
        nat.group()
    );
    let text = format!("the security groups of {who} ({groups}) let no pings out: {what}");
    Some(unfit(TOPIC, "lets-out", text).of(nat.role).remedy(command))
}
