//! Whether the backends' own security groups let pings out.

use super::super::{Facts, Subject, count, fit, listed, unfit, warning};
use super::{COMMANDS, anywhere, groups_of, ping, range};
use crate::model::firewall::lets;
use crate::model::{Family, Finding, GroupId, Lets, NetworkInterface, Topic};

/// Pings leave the backends.
pub(super) fn judge(facts: &Facts, subject: Subject<'_>, family: Family) -> Option<Finding> {
    const ID: &str = "pings-out";
    let (anywhere, ping) = (anywhere(family), ping(family));
    let known = facts.backends.as_ref().ok().filter(|all| !all.is_empty())?;
    let held = |one: &&NetworkInterface| {
        let groups = groups_of(facts, one);
        !groups.is_empty() && lets(groups.iter().flat_map(|group| &group.egress), &ping, &anywhere) == Lets::No
    };
    let held: Vec<&NetworkInterface> = known.iter().filter(held).collect();
    if held.is_empty() {
        return Some(fit(
            Topic::Backends,
            ID,
            format!("the security groups of {} let {ping} out", count(known.len(), "backend")),
        ));
    }
    let host = |one: &&NetworkInterface| {
        let named = subject.backends.iter().find(|host| host.addr.is_some_and(|addr| one.addresses.contains(&addr)));
        named.map_or_else(|| one.id.to_string(), |host| host.host.clone())
    };
    let mut groups: Vec<&str> = held.iter().filter_map(|one| one.groups.first()).map(GroupId::as_str).collect();
    groups.sort_unstable();
    groups.dedup();
    let protocol = if family == Family::V4 { "icmp" } else { "icmpv6" };
    let command = |id: &&str| {
        format!(
            "aws ec2 authorize-security-group-egress --group-id {id} --ip-permissions 'IpProtocol={protocol},FromPort=-1,ToPort=-1,{}'",
            range(&anywhere)
        )
    };
    let remedy = groups.iter().take(COMMANDS).map(command).collect::<Vec<_>>().join("; ");
    let left = known.len() - held.len();
    let finding = if left < subject.settings.decide.threshold { unfit } else { warning };
    let text = format!(
        "the security groups of {} let no {ping} out, so none of them can become a witness: {}",
        count(held.len(), "backend"),
        listed(&held.iter().map(host).collect::<Vec<_>>())
    );
    Some(finding(Topic::Backends, ID, text).cause("backends-let-no-pings-out").remedy(remedy))
}
