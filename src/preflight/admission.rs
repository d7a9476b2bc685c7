//! What the standby's security groups admit of what the guarded subnets send, as far as it is plain.
//!
//! Read beside the guarded set, once an hour, and never on the way to a takeover. Who may not read it, or can't, is told nothing by it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::{Cloud, PreflightSettings};
use crate::model::firewall::lets;
use crate::model::{Admission, Cidr, Family, Guarded, GuardedSet, Lets, Packets, RouteTable, SecurityGroup, SubnetId};

/// It is two calls more where the other three or five are made, and groups change as seldom as tables. One that refuses is looked at each time.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Two calls, one after the other, beside others that are waited for: EC2 answers each in a tenth of a second, and the guarded set is not to fail
/// for want of these.
const PATIENCE: Duration = Duration::from_secs(2);

/// The groups of the interface to which the standby's own table leads; `None`: what is known of them is good still, or they are not to be known.
pub(super) async fn groups(
    cloud: &impl Cloud,
    settings: &PreflightSettings,
    tables: &[RouteTable],
    previous: Option<&GuardedSet>,
    now: Timestamp,
) -> Option<Result<Vec<SecurityGroup>, String>> {
    let known = previous.filter(|set| set.standby == settings.standby_table && !set.refuses());
    let age = known.and_then(|set| set.admission.as_ref()).map(|seen| now.duration_since(seen.seen));
    if age.is_some_and(|age| age < GOOD_FOR && !age.is_negative()) {
        return None;
    }
    let table = tables.iter().find(|table| table.id == settings.standby_table)?;
    let Some(interface) = table.route(Family::V4.default_route()).and_then(|route| route.interface.as_ref()) else {
        // What was known was of an interface that the table does not lead to any more.
        return known.and_then(|set| set.admission.as_ref()).map(|_| Ok(Vec::new()));
    };
    let late = |_| Err("EC2 gave no answer in time".to_owned());
    timeout(PATIENCE, cloud.groups_of(interface)).await.unwrap_or_else(late).transpose()
}

/// Notes of a set which of its subnets are refused, where the groups were read just now.
pub(super) fn judge(set: &mut GuardedSet, groups: Option<Result<Vec<SecurityGroup>, String>>, now: Timestamp) {
    let Some(groups) = groups else { return };
    // What could not be read is asked for again as late as what was.
    let groups = groups.unwrap_or_default();
    let refused: Vec<SubnetId> =
        set.subnets.iter().filter(|one| refuse(&groups, one)).map(|one| one.subnet.clone()).collect();
    let ids = groups.into_iter().map(|group| group.id).collect();
    set.admission = Some(Admission { groups: ids, refused, seen: now });
}

/// Whether nothing at all is admitted from any block of a subnet.
fn refuse(groups: &[SecurityGroup], subnet: &Guarded) -> bool {
    let blocks: Vec<&Cidr> = subnet.cidrs.iter().filter(|block| matches!(block, Cidr::V4(_))).collect();
    let rules = || groups.iter().flat_map(|group| &group.ingress);
    !groups.is_empty()
        && !blocks.is_empty()
        && blocks.iter().all(|block| lets(rules(), &Packets::All, block) == Lets::No)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupRule;

    fn group(rules: &[(Packets, &str)]) -> SecurityGroup {
        let rule = |(what, block): &(Packets, &str)| GroupRule {
            what: what.clone(),
            blocks: block.parse().into_iter().collect(),
            groups: block.starts_with("sg-").then(|| block.parse().unwrap()).into_iter().collect(),
            lists: Vec::new(),
        };
        let (id, ingress) = ("sg-1".parse().unwrap(), rules.iter().map(rule).collect());
        SecurityGroup { id, name: None, ingress, egress: Vec::new() }
    }

    #[test]
    fn f109_only_a_subnet_of_which_nothing_is_admitted_for_certain_counts_as_refused() {
        let subnet = |cidrs: &[&str]| Guarded {
            subnet: "subnet-1".parse().unwrap(),
            name: None,
            cidrs: cidrs.iter().map(|one| one.parse().unwrap()).collect(),
            on: "rtb-0a".parse().unwrap(),
        };
        let ours = subnet(&["10.0.10.0/24"]);
        let ssh = (Packets::Tcp(22, 22), "192.0.2.7/32");
        for (groups, subnet, expected) in [
            (vec![group(&[])], &ours, true),
            (vec![group(std::slice::from_ref(&ssh))], &ours, true),
            (vec![group(&[(Packets::All, "10.0.10.0/24")])], &ours, false),
            (vec![group(std::slice::from_ref(&ssh)), group(&[(Packets::HTTPS, "10.0.0.0/8")])], &ours, false),
            (vec![group(&[(Packets::All, "10.0.10.128/25")])], &ours, false),
            (vec![group(&[(Packets::All, "sg-2")])], &ours, false),
            (vec![], &ours, false),
            (vec![group(&[ssh])], &subnet(&[]), false),
        ] {
            assert_eq!(refuse(&groups, subnet), expected, "{groups:?}");
        }
    }
}
