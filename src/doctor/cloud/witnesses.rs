//! Which backends are behind the primary: only they can tell that it is dead.

use std::net::IpAddr;

use super::{Facts, Subject, count, fit, listed, subnets, unfit, unknown, warning};
use crate::model::{Backend, Edit, Finding, Topic};

const TOPIC: Topic = Topic::Backends;

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    const ID: &str = "behind-primary";
    let guarded = subnets::guarded(facts, subject);
    let blocks: Vec<_> = guarded.iter().flat_map(|one| &one.cidrs).collect();
    if blocks.is_empty() {
        return vec![
            unknown(TOPIC, ID, "which backends are behind the primary is not known, as the guarded subnets are not")
                .cause("behind-not-told")
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
            Some(addr) if !inside(&addr) => outside.push((backend.host.clone(), elsewhere(facts, backend, addr))),
            Some(addr) if public.contains(&addr) => own.push(backend.host.clone()),
            Some(_) => behind += 1,
        }
    }
    let mut found = Vec::new();
    let threshold = subject.settings.decide.threshold;
    if behind < threshold {
        let text =
            format!("{} behind the primary, and it takes {threshold} to accuse it (decision.threshold)", are(behind));
        let lower = format!("threshold = {}", behind.max(1));
        found.push(
            unfit(TOPIC, ID, text)
                .cause("too-few-behind")
                .changed(line(subject, None, "the address and name of one more host of a guarded subnet"))
                .change("decision.threshold", lower),
        );
    } else {
        found.push(fit(TOPIC, ID, format!("{} behind the primary", are(behind))));
    }
    if !outside.is_empty() {
        let called: Vec<String> = outside.iter().map(|(_, called)| called.clone()).collect();
        let text = format!("{} in no guarded subnet, and never asked: {}", are(outside.len()), listed(&called));
        let names: Vec<&str> = outside.iter().map(|(host, _)| host.as_str()).collect();
        found.push(without(warning(TOPIC, "outside", text).cause("not-guarded"), subject, &names));
    }
    if !own.is_empty() {
        let text = format!(
            "{} a public address of their own and do not need the primary, so are never asked: {}",
            have(own.len()),
            listed(&own)
        );
        let text = format!("{text}; without those addresses they would do");
        let names: Vec<&str> = own.iter().map(String::as_str).collect();
        found.push(without(warning(TOPIC, "public-address", text).cause("own-address"), subject, &names));
    }
    if let Err(why) = &facts.backends {
        let text = format!("whether backends have public addresses of their own is not known: {why}");
        found.push(
            unknown(TOPIC, "public-address", text)
                .cause("addresses-not-told")
                .remedy("aws ec2 describe-network-interfaces"),
        );
    }
    found
}

/// Lines that are to be changed: so many stand in one remedy.
const LINES: usize = 3;

/// Where these hosts are listed, to be taken out.
fn without(finding: Finding, subject: Subject<'_>, hosts: &[&str]) -> Finding {
    let lines = hosts.iter().take(LINES).map(|host| line(subject, Some(host), &format!("without {host}")));
    lines.fold(finding, Finding::changed)
}

/// The place where a backend is listed; of one more, where it would be.
fn line(subject: Subject<'_>, host: Option<&str>, what: &str) -> Edit {
    match &subject.settings.hosts_file {
        Some(file) => Edit::Line(file.clone(), host.map(str::to_owned), what.to_owned()),
        None => Edit::Key("backends.hosts", what.to_owned()),
    }
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
