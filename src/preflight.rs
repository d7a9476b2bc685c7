//! What EC2 and this machine look like just before a takeover: the facts that gates and plan are made from.
//!
//! It reads and never judges; a reading that failed is a value of the [`Survey`]. All readings are made at once, since
//! they lie on the path to a takeover: the survey takes as long as the slowest, which is one call to EC2 and, where
//! `takeover.subnets` names a subnet that is on neither table, a second one.

mod admission;
mod fleet;
pub mod guarded;
pub mod host;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{join, join3};
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::cloud::Masquerade;
use crate::model::{
    Family, Instance, InstanceId, InterfaceId, Machine, Method, RouteTable, RouteTableId, SecurityGroup, Subnet,
    SubnetId, Survey, VpcId,
};

pub use fleet::fleet;
pub use guarded::{UNSHOWN_FOR, brings_six, families, guarded_set, half_shown, is_nowhere, make_guarded, now_on};
pub use host::{Guarding, Identity, LocalHost, Reading, rules};

/// What to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightSettings {
    /// `primary.route_table`.
    pub primary_table: RouteTableId,
    /// `primary.instance`.
    pub primary_instance: Option<InstanceId>,
    /// `standby.route_table`.
    pub standby_table: RouteTableId,
    /// `standby.instance`.
    pub standby_instance: Option<InstanceId>,
    /// `takeover.subnets`.
    pub subnets: Vec<SubnetId>,
    /// How traffic is moved.
    pub method: Method,
}

/// EC2, read. Every method is one call (all its pages); an error is one line fit to print, naming the action.
pub trait Cloud {
    /// The tables with these ids; those that do not exist are left out.
    fn tables(&self, ids: &[RouteTableId]) -> impl Future<Output = Result<Vec<RouteTable>, String>>;
    /// The tables that these subnets are explicitly associated with.
    fn tables_of(&self, subnets: &[SubnetId]) -> impl Future<Output = Result<Vec<RouteTable>, String>>;
    /// The instances with these ids; those that do not exist are left out.
    fn instances(&self, ids: &[InstanceId]) -> impl Future<Output = Result<Vec<Instance>, String>>;
    /// The subnets with these ids; those that do not exist are left out.
    fn subnets(&self, ids: &[SubnetId]) -> impl Future<Output = Result<Vec<Subnet>, String>>;
    /// The private addresses in these subnets that have a public IPv4 address of their own.
    fn public(&self, subnets: &[SubnetId]) -> impl Future<Output = Result<Vec<IpAddr>, String>>;
    /// The instances that run in these subnets by their primary interface; none where nobody looks at them.
    fn running(&self, _subnets: &[SubnetId]) -> impl Future<Output = Result<Vec<Machine>, String>> {
        std::future::ready(Ok(Vec::new()))
    }
    /// The security groups of an interface, in two calls; `None`: nobody looks at them.
    fn groups_of(&self, _interface: &InterfaceId) -> impl Future<Output = Result<Option<Vec<SecurityGroup>>, String>> {
        std::future::ready(Ok(None))
    }
}

/// What surrounds this instance, read by who knows nothing of it yet. Errors are one line fit to print.
pub trait Atlas: Cloud {
    /// The region, as every further question goes by it.
    fn region(&self) -> impl Future<Output = Result<String, String>>;
    /// The instances with these ids, and those that have these interfaces.
    fn machines(
        &self,
        ids: &[InstanceId],
        interfaces: &[InterfaceId],
    ) -> impl Future<Output = Result<Vec<Machine>, String>>;
    /// All route tables of a VPC.
    fn tables_in(&self, vpc: &VpcId) -> impl Future<Output = Result<Vec<RouteTable>, String>>;
}

/// This machine, read.
pub trait Host {
    /// The id of this instance by `IMDSv2`.
    fn instance(&self) -> impl Future<Output = Result<InstanceId, String>>;
    /// Time since boot.
    ///
    /// # Errors
    ///
    /// Where the clock cannot be read: one line fit to print.
    fn uptime(&self) -> Result<Duration, String>;
    /// Whether packets of `family` are forwarded (`net.ipv4.ip_forward`, `net.ipv6.conf.all.forwarding`).
    ///
    /// # Errors
    ///
    /// Where the sysctl cannot be read: one line fit to print.
    fn forwards(&self, family: Family) -> Result<bool, String>;
    /// Whether something masquerades, and nothing drops all that is forwarded before.
    fn masquerade(&self) -> impl Future<Output = Masquerade>;
}

/// Why it is not known which instance this is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// `standby.instance` is another than this one: a clone of the standby, with its configuration.
    #[error(
        "standby.instance is {configured}, but this is {actual} by IMDS; correct standby.instance, or do not run natwatch here"
    )]
    Another {
        /// As configured.
        configured: InstanceId,
        /// By IMDS.
        actual: InstanceId,
    },
    /// IMDS does not tell, and `standby.instance` is not set.
    #[error("{0}")]
    Unknown(String),
}

/// Which instance this is. IMDS may be down where the configuration names it; it must not contradict.
///
/// # Errors
///
/// [`IdentityError`].
pub async fn identity(host: &impl Host, settings: &PreflightSettings) -> Result<InstanceId, IdentityError> {
    match (&settings.standby_instance, host.instance().await) {
        (Some(configured), Ok(actual)) if *configured != actual => {
            Err(IdentityError::Another { configured: configured.clone(), actual })
        }
        (Some(configured), _) => Ok(configured.clone()),
        (None, actual) => actual.map_err(IdentityError::Unknown),
    }
}

/// Reads all that the gates and the plan need, at once. EC2 and IMDS have `patience` to answer; what they have not said by
/// then is a failed reading.
pub async fn survey(cloud: &impl Cloud, host: &impl Host, settings: &PreflightSettings, patience: Duration) -> Survey {
    let late = || format!("EC2 gave no answer within {} s", patience.as_secs());
    let tables =
        async { timeout(patience, tables(cloud, settings, &settings.subnets)).await.unwrap_or_else(|_| Err(late())) };
    let instances = instances(cloud, host, settings, patience);
    let ((identity, instances), tables, masquerade) = join3(instances, tables, host.masquerade()).await;
    let find = |id: &InstanceId| {
        let known = instances.as_ref().map_err(Clone::clone);
        known.map(|known| known.iter().find(|instance| &instance.id == id).cloned())
    };
    let comes = |tables: &Vec<RouteTable>| guarded::six_comes(settings, &families(settings, tables), Some(tables));
    let six = tables.as_ref().is_ok_and(comes);
    let (ip_forward, ip_forward_of) = forwards(host, six);
    Survey {
        standby: identity.as_ref().map_err(ToString::to_string).and_then(find),
        primary: settings.primary_instance.as_ref().map(find),
        identity: identity.map_err(|why| why.to_string()),
        tables,
        uptime: host.uptime(),
        ip_forward,
        ip_forward_of,
        masquerade,
    }
}

/// What shows without EC2, in some milliseconds: for who only wants to know whether this machine is fit.
pub async fn here(host: &impl Host, settings: &PreflightSettings, six: bool) -> Survey {
    let unasked = || "EC2 was not asked".to_owned();
    let identity = async {
        match &settings.standby_instance {
            Some(configured) => Ok(configured.clone()),
            None => host.instance().await,
        }
    };
    let (identity, masquerade) = join(identity, host.masquerade()).await;
    let (ip_forward, ip_forward_of) = forwards(host, six);
    Survey {
        identity,
        tables: Err(unasked()),
        standby: Err(unasked()),
        primary: None,
        uptime: host.uptime(),
        ip_forward,
        ip_forward_of,
        masquerade,
    }
}

/// Whether packets are forwarded, IPv6's too where a takeover brings `six` here, and by whose sysctl. Where that can't be read, why: one line fit to print.
pub fn forwards(host: &impl Host, six: bool) -> (Result<bool, String>, Family) {
    match host.forwards(Family::V4) {
        Ok(true) if six => (host.forwards(Family::V6), Family::V6),
        v4 => (v4, Family::V4),
    }
}

/// Who this is, and both instances in one call. A configured id need not wait for IMDS. That EC2 is late says nothing of who this is.
async fn instances(
    cloud: &impl Cloud,
    host: &impl Host,
    settings: &PreflightSettings,
    patience: Duration,
) -> (Result<InstanceId, IdentityError>, Result<Vec<Instance>, String>) {
    let until = Instant::now() + patience;
    let late = |who: &str| format!("{who} gave no answer within {} s", patience.as_secs());
    let ask = async |standby: Option<&InstanceId>| {
        let ids: BTreeSet<&InstanceId> = standby.into_iter().chain(&settings.primary_instance).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<InstanceId> = ids.into_iter().cloned().collect();
        timeout_at(until, cloud.instances(&ids)).await.unwrap_or_else(|_| Err(late("EC2")))
    };
    let who = async {
        let silent = |_| settings.standby_instance.clone().ok_or_else(|| IdentityError::Unknown(late("IMDS")));
        timeout_at(until, identity(host, settings)).await.unwrap_or_else(silent)
    };
    if settings.standby_instance.is_some() {
        join(who, ask(settings.standby_instance.as_ref())).await
    } else {
        let identity = who.await;
        let instances = ask(identity.as_ref().ok()).await;
        (identity, instances)
    }
}

/// Both tables, and where those of the subnets are that neither table has.
async fn tables(
    cloud: &impl Cloud,
    settings: &PreflightSettings,
    subnets: impl IntoIterator<Item = &SubnetId>,
) -> Result<Vec<RouteTable>, String> {
    let mut tables = cloud.tables(&[settings.primary_table.clone(), settings.standby_table.clone()]).await?;
    let missing: Vec<SubnetId> =
        subnets.into_iter().filter(|subnet| now_on(&tables, subnet).is_none()).cloned().collect();
    if !missing.is_empty() {
        for table in cloud.tables_of(&missing).await? {
            if tables.iter().all(|known| known.id != table.id) {
                tables.push(table);
            }
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests;
