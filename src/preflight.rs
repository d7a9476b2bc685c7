//! What EC2 and this machine look like just before a takeover: the facts that gates and plan are made from.
//!
//! It reads and never judges; a reading that failed is a value of the [`Survey`].

mod host;
mod survey;

pub use host::LocalHost;
pub use survey::{confirm_identity, guarded_set, survey};

use std::future::Future;

use crate::model::cloud::Masquerade;
use crate::model::{Family, Instance, InstanceId, RouteTable, RouteTableId, Subnet, SubnetId};

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
}

/// This machine, read.
pub trait Host {
    /// The id of this instance by IMDSv2.
    fn instance(&self) -> impl Future<Output = Result<InstanceId, String>>;
    /// Time since boot.
    fn uptime(&self) -> Result<std::time::Duration, String>;
    /// Whether packets of `family` are forwarded (`net.ipv4.ip_forward`, `net.ipv6.conf.all.forwarding`).
    fn forwards(&self, family: Family) -> Result<bool, String>;
    /// Whether something masquerades.
    fn masquerade(&self) -> impl Future<Output = Masquerade>;
}

/// Who this instance is, by its own metadata.
pub trait Identity {
    /// Its id.
    fn instance(&self) -> impl Future<Output = Result<InstanceId, String>>;
}
