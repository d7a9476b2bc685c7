//! Whether the standby's security groups admit anything from the subnets that are to be moved: gate `unfit`, where that is known.
//!
//! By what was seen off the path to a takeover, an hour ago at most (`GuardedSet::forget_refusals`). Only the clear case holds: nothing at all from any of them, so that a
//! takeover would help nobody. Where some are admitted they are moved, and the others lose nothing that they have.

use super::hold;
use crate::model::{Cidr, Gate, Guarded, GuardedSet, Hold, SubnetId};

/// Commands that stand in one remedy.
const COMMANDS: usize = 5;

/// The hold, where all of `subnets` are refused.
pub(in crate::decide) fn refused<'a>(
    subnets: impl IntoIterator<Item = &'a SubnetId>,
    set: Option<&GuardedSet>,
) -> Option<Hold> {
    let set = set?;
    let seen = set.admission.as_ref()?;
    let all: Vec<&SubnetId> = subnets.into_iter().collect();
    if all.is_empty() || !all.iter().all(|subnet| seen.refused.contains(subnet)) {
        return None;
    }
    let groups: Vec<&str> = seen.groups.iter().map(crate::model::GroupId::as_str).collect();
    let why = format!(
        "the security groups of this instance ({}) admitted nothing from {} at {:.0}",
        groups.join(", "),
        all.iter().map(|subnet| subnet.as_str()).collect::<Vec<_>>().join(", "),
        seen.seen
    );
    let blocks = set.subnets.iter().filter(|one: &&Guarded| all.contains(&&one.subnet)).flat_map(|one| &one.cidrs);
    let blocks = blocks.filter(|block| matches!(block, Cidr::V4(_))).take(COMMANDS);
    let group = groups.first().copied().unwrap_or_default();
    let commands = blocks.map(|block| {
        format!("aws ec2 authorize-security-group-ingress --group-id {group} --protocol all --cidr {block}")
    });
    Some(hold(Gate::Unfit, why, commands.collect::<Vec<_>>().join("; ")))
}
