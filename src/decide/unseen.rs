//! What a failback or drill that was cut short has left on the standby without anybody having seen it reach from there: that others reach
//! says nothing of it, and its own backends are not asked while the primary carries any.

use super::{Case, Lock};
use crate::model::{BackendVerdict, Change, Move, Phase, SubnetId, Verification};

/// The first such change, once whoever made it can't be at work any more.
pub(super) fn unseen(case: &Case) -> Option<&Change> {
    let Lock::Held { phase: Phase::FailingBack, moves, .. } = &case.lock else { return None };
    let guarded = case.guarded.as_ref().filter(|_| case.left)?;
    let here = |subnet: &SubnetId| guarded.subnets.iter().any(|one| one.subnet == *subnet && one.on == guarded.standby);
    let latest = case.latest();
    let reaches = |subnet: &SubnetId| {
        let mut judged = latest.iter().flat_map(|one| &one.backends);
        judged.any(|one| one.verdict == BackendVerdict::Reaches && one.subnet == subnet.as_str())
    };
    let open = |one: &&Move| {
        let Change::Association(plan) = &one.plan else { return false };
        let seen = matches!(one.verification, Verification::Verified | Verification::Unwitnessed);
        plan.to == guarded.standby && one.result.sent() && !seen && here(&plan.subnet) && !reaches(&plan.subnet)
    };
    moves.iter().find(open).map(|one| &one.plan)
}
