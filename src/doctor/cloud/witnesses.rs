//! Which backends are behind the primary: only they can tell that it is dead.

use std::net::IpAddr;

use super::{Facts, Subject, count, fit, listed, subnets, unfit, unknown, warning};
use crate::model::{Backend, Finding, Topic};

const TOPIC: Topic = Topic::Backends;

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    const ID: &str = "behind-primary";
    let guarded = subnets::guarded(facts, subject);
    let blocks: Vec<_> = guarded.iter().flat_map(|one| &one.cidrs).collect();
    if blocks.is_empty() {
        return vec![
            unknown(TOPIC, ID, "which backends are behind the primary is not known, as the guarded subnets are not")
                .remedy("aws ec2 describe-subnets"),
        ];
    }
    let inside = |addr: &IpAddr| blocks.iter().any(|block| block.contains(addr));
    let public: Vec<IpAddr> = facts.backends.iter().flatten().flat_map(|one| one.public.clone()).collect();
    let (mut outside, mut own, mut behind) = (Vec::new(), Vec::new(), 0_usize);
    for backend in subject.backends {
        match backend.addr {
            // Said of each backend, where it is asked.
            None => {}
            Some(addr) if !inside(&addr) => outside.push(elsewhere(facts, backend, addr)),
            Some(addr) if public.contains(&addr) => own.push(backend.host.clone()),
            Some(_) => behind += 1,
        }
    }
    let mut found = Vec::new();
    let threshold = subject.settings.decide.threshold;
    if behind < threshold {
        let text =
            format!("{} behind the primary, and it takes {threshold} to accuse it (decision.threshold)", are(behind));
        let remedy = "list more backends of the guarded subnets, by address or by names that resolve here, or lower \
                      decision.threshold";
        found.push(unfit(TOPIC, ID, text).remedy(remedy));
    } else {
        found.push(fit(TOPIC, ID, format!("{} behind the primary", are(behind))));
    }
    if !outside.is_empty() {
        let text = format!("{} in no guarded subnet, and never asked: {}", are(outside.len()), listed(&outside));
        found.push(warning(TOPIC, "outside", text).remedy("remove them from backends, or guard their subnets"));
    }
    if !own.is_empty() {
        let text = format!(
            "{} a public address of their own and do not need the primary, so are never asked: {}",
            have(own.len()),
            listed(&own)
        );
        found.push(
            warning(TOPIC, "public-address", text)
                .remedy("remove them from backends, or take their public addresses away"),
        );
    }
    if let Err(why) = &facts.backends {
        let text = format!("whether backends have public addresses of their own is not known: {why}");
        found.push(unknown(TOPIC, "public-address", text).remedy("aws ec2 describe-network-interfaces"));
    }
    found
}

fn are(number: usize) -> String {
    format!("{} {}", count(number, "backend"), if number == 1 { "is" } else { "are" })
}

fn have(number: usize) -> String {
    format!("{} {}", count(number, "backend"), if number == 1 { "has" } else { "have" })
}

/// A backend outside of the guarded subnets, with where it is, as far as EC2 says.
fn elsewhere(facts: &Facts, backend: &Backend, addr: IpAddr) -> String {
    let subnet = facts.subnets.iter().flatten().find(|one| one.cidrs.iter().any(|block| block.contains(&addr)));
    match subnet {
        Some(subnet) => format!("{} ({})", backend.host, super::named(&subnet.id, subnet.name.as_deref())),
        None => backend.host.clone(),
    }
}
