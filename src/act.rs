//! Carry out a plan, step by step; what EC2 says afterwards is what happened.

use std::future::Future;
use std::time::Duration;

use crate::model::{Association, AssociationId, InterfaceId, RouteTableId, SubnetId};

/// Everything `act` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActSettings {
    /// By when backends must be seen reaching targets again.
    pub verify_for: Duration,
}

/// Why a call that changes EC2 did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The association id is not the present one (`InvalidAssociationID.NotFound`): somebody moved the subnet.
    #[error("{0}")]
    Stale(String),
    /// EC2 asks for patience (`RequestLimitExceeded`, `Throttling`…).
    #[error("{0}")]
    Throttled(String),
    /// Timeout, lost connection or a 5xx: it may or may not have happened.
    #[error("{0}")]
    Unknown(String),
    /// EC2 refuses, and will refuse again: no permission, no such table…
    #[error("{0}")]
    Refused(String),
}

/// EC2, changed. No method tries again by itself.
pub trait Changer {
    /// `ReplaceRouteTableAssociation`; returns the new id. With `dry_run`, `Ok` means EC2 would have allowed it.
    fn associate(
        &self,
        association: &AssociationId,
        table: &RouteTableId,
        dry_run: bool,
    ) -> impl Future<Output = Result<AssociationId, ChangeError>>;
    /// Where these subnets are now: the table and the association of each that has an explicit one.
    fn whereabouts(
        &self,
        subnets: &[SubnetId],
    ) -> impl Future<Output = Result<Vec<(RouteTableId, Association)>, String>>;
    /// Switches an interface's source/destination check off (`ModifyNetworkInterfaceAttribute`).
    fn disable_check(&self, interface: &InterfaceId, dry_run: bool) -> impl Future<Output = Result<(), ChangeError>>;
}
