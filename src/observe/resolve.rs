//! Names to addresses, on the standby only: backends are given addresses, so that their own resolver, which may need the
//! dead NAT, plays no part.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::TargetName;
use crate::model::{Backend, Target};

/// The resolver of a VPC answers in milliseconds and needs no NAT; what takes longer would hold the round up.
const PATIENCE: Duration = Duration::from_millis(500);

/// The first IPv4 address of `name`, or the address that it is.
///
/// # Errors
/// Why there is none.
pub async fn resolve(name: &str) -> Result<IpAddr, String> {
    if let Ok(addr) = name.parse() {
        return Ok(addr);
    }
    let found = timeout(PATIENCE, tokio::net::lookup_host((name, 0)))
        .await
        .map_err(|_| format!("{name} did not resolve within {} ms", PATIENCE.as_millis()))?
        .map_err(|error| format!("{name} does not resolve: {error}"))?;
    found.map(|addr: SocketAddr| addr.ip()).find(IpAddr::is_ipv4).ok_or_else(|| format!("{name} has no IPv4 address"))
}

/// Every target with its address, or why it has none; in the order given, all at once.
pub async fn targets(names: &[TargetName]) -> Vec<(TargetName, Result<Target, String>)> {
    join_all(names.iter().map(|name| async move {
        let addr = resolve(name).await;
        (name.clone(), addr.map(|addr| Target { name: name.clone(), addr }))
    }))
    .await
}

/// The backends with the addresses of those that are configured by name, all at once. A name that does not resolve keeps its
/// backend without an address; `ssh` will say so.
pub async fn backends(configured: &[Backend]) -> Vec<Backend> {
    join_all(configured.iter().cloned().map(|mut backend| async move {
        if backend.addr.is_none() {
            backend.addr = resolve(&backend.destination).await.ok();
        }
        backend
    }))
    .await
}
