//! What is wrong with the guarded subnets themselves, although the network is healthy.

use super::Case;
use super::gates::{hold, nothing_guarded, refused};
use crate::model::{Family, Gate, Hold};

/// The gates that would hold the takeover that is due one night, as far as the guarded subnets show them today.
pub(super) fn faults(case: &Case) -> Vec<Hold> {
    let Some(set) = &case.guarded else {
        let unknown = case.unknown.iter();
        return unknown.map(|why| hold(Gate::Unfit, format!("it is not known what to guard: {why}"), "")).collect();
    };
    let mut holds = Vec::new();
    if set.subnets.is_empty() {
        holds.push(nothing_guarded(&set.primary));
    }
    if set.subnets.len() > case.rules.max_subnets {
        let why =
            format!("{} subnets are guarded, takeover.max_subnets is {}", set.subnets.len(), case.rules.max_subnets);
        holds.push(hold(Gate::TooMany, why, "raise takeover.max_subnets or name the subnets in takeover.subnets"));
    }
    holds.extend(refused(set.subnets.iter().map(|one| &one.subnet), Some(set)));
    if let Some(count) = case.accusers.filter(|count| *count < case.rules.threshold) {
        let why = format!(
            "only {count} backends have an address in a guarded subnet, and it takes {} to accuse the primary",
            case.rules.threshold
        );
        let remedy =
            "list backends by address, or by names that this instance can resolve; or lower decision.threshold";
        holds.push(hold(Gate::Unfit, why, remedy));
    }
    let v6 = |round: &crate::model::Round| super::families(round).contains(&Family::V6);
    if case.looks.iter().any(|look| v6(&look.round)) && !set.families.contains(&Family::V6) {
        let why = format!(
            "targets.hosts has an IPv6 address, but {} does not send ::/0 to an instance: it says nothing of the primary",
            set.primary
        );
        holds.push(hold(Gate::Foreign, why, "remove the IPv6 targets"));
    }
    holds
}
