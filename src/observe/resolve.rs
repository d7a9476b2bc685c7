//! Names to addresses, on the standby only: backends are given addresses, so that their own resolver, which may need the
//! dead NAT, plays no part.
//!
//! Names are looked up for each round, and a name that gets no answer keeps the address that it had. It remembers nothing: what
//! was known before is passed in, and whoever calls knows for how long that is good.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::TargetName;
use crate::model::address::{private, special};
use crate::model::{Backend, Target};

/// The resolver of a VPC answers in milliseconds and needs no NAT; what takes longer would hold the round up.
const PATIENCE: Duration = Duration::from_millis(500);

/// Of the pause before a confirming round, one part in so many may go to names; sessions are opened in the rest. With the
/// second that lies between two looks that is a quarter of one; without a pause, names are not waited for.
const SHARE_OF_PAUSE: u32 = 4;

/// Who knows the addresses of names.
pub trait Resolver {
    /// All addresses of `name`, of both families, in the order in which they should be tried. The error is one line.
    fn lookup(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, String>>;
}

/// This machine's own resolver: hosts file, DNS, whatever `nsswitch.conf(5)` says.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Resolver for System {
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| error.to_string())?;
        Ok(found.map(|addr| addr.ip()).collect())
    }
}

/// A configured target and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// As configured.
    pub name: TargetName,
    /// The target with its address, or why it has none.
    pub target: Result<Target, String>,
    /// Whether the address was looked up just now, and so is worth remembering.
    pub fresh: bool,
    /// Why the address known before is used, where it is.
    pub trouble: Option<String>,
}

/// How long the names of a round that is to begin after `pause` may take.
#[must_use]
pub fn patience(pause: Duration) -> Duration {
    PATIENCE.min(pause / SHARE_OF_PAUSE)
}

/// Every target with its address, or why it has none; in the order given, all at once, within `patience` (500 ms where none is given).
///
/// `known` is where names were found before. Such an address is kept while it is among the answers, so that a name with many
/// addresses is one target and not another in each round, and used where there is no answer.
pub async fn targets(
    resolver: &impl Resolver,
    names: &[TargetName],
    known: &BTreeMap<TargetName, IpAddr>,
    patience: Option<Duration>,
) -> Vec<Located> {
    let patience = patience.unwrap_or(PATIENCE);
    join_all(names.iter().map(|name| locate(resolver, name, known.get(name).copied(), patience))).await
}

async fn locate(resolver: &impl Resolver, name: &str, known: Option<IpAddr>, patience: Duration) -> Located {
    let at = |addr| Ok(Target { name: name.to_owned(), addr });
    let located = |target, fresh, trouble| Located { name: name.to_owned(), target, fresh, trouble };
    if let Ok(addr) = name.parse() {
        return located(outside(name, addr).and_then(at), false, None);
    }
    match lookup(resolver, name, patience).await {
        Ok(addrs) => match known.filter(|addr| addrs.contains(addr)).or_else(|| first_v4(&addrs)) {
            Some(addr) => {
                let target = outside(name, addr).and_then(at);
                let fresh = target.is_ok();
                located(target, fresh, None)
            }
            None => located(Err(no_v4(name, &addrs)), false, None),
        },
        Err(why) => match known {
            Some(addr) => located(at(addr), false, Some(why)),
            None => located(Err(why), false, None),
        },
    }
}

/// `addr`, if the way to it can lead through the NAT: who reaches a neighbour or itself says nothing of the primary, and would hide
/// that it is dead.
fn outside(name: &str, addr: IpAddr) -> Result<IpAddr, String> {
    let inside = special(addr).or_else(|| private(addr).then_some("a private address"));
    inside.map_or(Ok(addr), |what| {
        let leads = if name.parse::<IpAddr>().is_ok() { String::new() } else { format!(" leads to {addr}, which") };
        Err(format!("{name}{leads} is {what}; a target must be on the internet, behind the NAT"))
    })
}

async fn lookup(resolver: &impl Resolver, name: &str, patience: Duration) -> Result<Vec<IpAddr>, String> {
    timeout(patience, resolver.lookup(name))
        .await
        .map_err(|_| format!("{name} did not resolve within {} ms", patience.as_millis()))?
        .map_err(|error| format!("{name} does not resolve: {error}"))
}

fn first_v4(addrs: &[IpAddr]) -> Option<IpAddr> {
    addrs.iter().copied().find(IpAddr::is_ipv4)
}

fn no_v4(name: &str, addrs: &[IpAddr]) -> String {
    match addrs.first() {
        Some(v6) => format!("{name} has no IPv4 address; an IPv6 target is given by its address ({v6})"),
        None => format!("{name} has no address"),
    }
}

/// The backends with the addresses of those that are configured by name, all at once. A name that does not resolve keeps its
/// backend without an address; `ssh` will say so. Of several names for one address the first stays: one host has one voice.
///
/// `known` is who they were before. An address of theirs is kept while it is among the answers, and where there is no answer: a resolver
/// that is slow for a moment must not cost a session that is open.
pub async fn backends(resolver: &impl Resolver, configured: &[Backend], known: &[Backend]) -> Vec<Backend> {
    let mut found = join_all(configured.iter().cloned().map(|mut backend| async move {
        if backend.addr.is_none() {
            let before = known.iter().find(|one| one.host == backend.host).and_then(|one| one.addr);
            backend.addr = match lookup(resolver, &backend.destination, PATIENCE).await {
                Ok(addrs) => before.filter(|addr| addrs.contains(addr)).or_else(|| first_v4(&addrs)),
                Err(_) => before,
            };
        }
        backend
    }))
    .await;
    let mut seen = BTreeSet::new();
    found.retain(|backend| backend.addr.is_none_or(|addr| seen.insert(addr)));
    found
}

#[cfg(test)]
mod tests;
