//! What EC2 and IMDS say of the preconditions of a takeover: who this is, what the credentials allow, tables and routes, guarded subnets, the
//! source/destination check, the way to EC2 itself, security groups and ACLs, and which backends are behind the primary.
//!
//! Two halves. `facts` asks, all at once and within a bound, and judges nothing; a question that was not answered is a value. The others
//! (a file for each topic) make findings of the facts, and ask nobody. EC2 is only read, and asked by `DryRun`.

mod account;
mod admission;
mod check;
mod facts;
mod identity;
mod path;
mod permissions;
mod routes;
mod subnets;
mod way;
mod witnesses;

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::caller;
use crate::act::Addresses;
use crate::config::Settings;
use crate::ec2::Ec2;
use crate::model::{Backend, Finding, Fitness, GuardedSet, Topic};
use crate::observe::resolve::{self, System};
use crate::preflight::{Cloud, Identity};
use crate::record::State;

pub use account::{Account, Answer, Endpoint, Metadata, Network, Region, Right};
use facts::Facts;

/// How many names stand in one line.
const NAMED: usize = 8;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// The backends, with the addresses of those whose names were found.
    pub backends: &'a [Backend],
    /// What was guarded when last seen: who has been moved is guarded still.
    pub known: Option<&'a GuardedSet>,
}

/// Looks at everything by the SDK, until then.
pub(super) async fn look(settings: &Settings, state: Option<&State>, until: Instant) -> Vec<Finding> {
    let ec2 = match Ec2::connect(settings.region.as_deref()) {
        Ok(ec2) => ec2,
        Err(why) => return vec![no_client(&why)],
    };
    let backends = resolve::backends(&System, &settings.observe.backends, &[]).await;
    let rules = &settings.decide;
    let ours = |set: &GuardedSet| set.primary == rules.primary_table && set.standby == rules.standby_table;
    let known = state.and_then(|state| state.read_guarded().0).filter(ours);
    let subject = Subject { settings, backends: &backends, known: known.as_ref() };
    let mut found = Box::pin(findings(&ec2, subject, until.saturating_duration_since(Instant::now()))).await;
    // They are kept from the calls before, or were in vain.
    found.extend(timeout_at(until, caller::credentials(settings, &ec2)).await.ok().flatten());
    found
}

/// Nothing can be said over TLS: the certificates of the authorities are not to be read.
fn no_client(why: &str) -> Finding {
    unfit(Topic::Permissions, "credentials", format!("EC2 can't be asked: {why}"))
        .cause("no-client")
        .remedy("ls -l /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; natwatch doctor -v")
}

/// Looks at everything, within `patience`: what has not been answered by then could not be told. Two seconds are usual; a black hole at EC2 takes
/// `patience` and no longer.
pub async fn findings(
    cloud: &(impl Account + Network + Cloud + Addresses + Identity),
    subject: Subject<'_>,
    patience: Duration,
) -> Vec<Finding> {
    let facts = facts::gather(cloud, subject, patience).await;
    judge(&facts, subject)
}

/// What the facts mean, in the order of the topics.
fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    [
        identity::judge(facts, subject),
        permissions::judge(facts, subject),
        routes::judge(facts, subject),
        subnets::judge(facts, subject),
        check::judge(facts, subject),
        admission::judge(facts, subject),
        path::judge(facts, subject),
        witnesses::judge(facts, subject),
    ]
    .concat()
}

fn fit(topic: Topic, id: &'static str, text: impl Into<String>) -> Finding {
    Finding::new(topic, id, Fitness::Fit, text.into())
}

fn warning(topic: Topic, id: &'static str, text: impl Into<String>) -> Finding {
    Finding::new(topic, id, Fitness::Warning, text.into())
}

fn unfit(topic: Topic, id: &'static str, text: impl Into<String>) -> Finding {
    Finding::new(topic, id, Fitness::Unfit, text.into())
}

fn unknown(topic: Topic, id: &'static str, text: impl Into<String>) -> Finding {
    Finding::new(topic, id, Fitness::Unknown, text.into())
}

/// An id with the `Name` tag of what it is of.
fn named(id: &impl Display, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{id} ({name})"))
}

/// Some of a list, and how many more there are.
fn listed(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let shown = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// `1 subnet`, `2 subnets`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
pub(super) mod tests;
