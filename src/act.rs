//! Carry out a plan, step by step; what EC2 says afterwards is what happened.
//!
//! Nothing is chosen here: the plan names every subnet, its association and both tables. No step fails as a whole either:
//! what became of each subnet is a value in its [`Move`]. Whether traffic flows again is seen elsewhere, by probes.
//!
//! Invariants: nothing is moved while the source/destination check could still drop the traffic; nothing waits past the
//! deadline; an association that EC2 has confirmed is never replaced again.

mod association;
mod budget;

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::model::{
    Association, AssociationId, Change, InterfaceId, Move, MoveResult, Plan, RouteTableId, SubnetId, Verification,
};
use budget::Budget;

/// How many moves are under way at once. EC2's bucket for mutating calls holds about 50 and is shared with the whole
/// account, and each call in flight needs a connection of its own (EC2 speaks HTTP/1.1).
const AT_ONCE: usize = 16;

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
    /// EC2 asks for patience (`RequestLimitExceeded`, `Throttling`…), or nothing could be sent for want of a region or
    /// credentials, which IMDS may have the next moment: not carried out, and worth another try.
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

/// Carries out `plan` and says what became of each of its moves, in the plan's order.
///
/// The source/destination check comes first, and where it cannot be switched off nothing is moved: a standby that drops
/// what it is to forward would cut the subnets off for good. Then all moves are made at once, each by itself, so that one
/// that hangs or is refused keeps no other back.
///
/// `on_step` hears of each outcome as it settles, for recording and printing; it is called from between the calls in flight and must be
/// quick. `seed` is that of the jitter between attempts. With `dry_run`, EC2 is asked whether it would allow each step and nothing is changed.
pub async fn take_over(
    changer: &impl Changer,
    plan: &Plan,
    deadline: Instant,
    seed: u64,
    dry_run: bool,
    mut on_step: impl FnMut(&Move),
) -> Vec<Move> {
    let began = Instant::now();
    let budget = |n: usize| Budget::until(deadline, seed.wrapping_add(n as u64));
    let outcome = |planned: &Change, result| Move {
        plan: planned.clone(),
        result,
        took: began.elapsed(),
        verification: Verification::Pending,
    };

    if let Some(interface) = &plan.disable_check
        && let Err(why) = disable_check(changer, interface, budget(plan.moves.len()), dry_run).await
    {
        let why = format!("not moved, as the source/destination check of {interface} could not be switched off: {why}");
        let moves: Vec<Move> =
            plan.moves.iter().map(|planned| outcome(planned, MoveResult::Failed(why.clone()))).collect();
        moves.iter().for_each(on_step);
        return moves;
    }

    let mut moves: Vec<Option<Move>> = vec![None; plan.moves.len()];
    let mut under_way = stream::iter(plan.moves.iter().enumerate())
        .map(|(n, planned)| async move { (n, planned, change(changer, planned, budget(n), dry_run).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((n, planned, result)) = under_way.next().await {
        let settled = outcome(planned, result);
        on_step(&settled);
        moves[n] = Some(settled);
    }
    moves.into_iter().flatten().collect()
}

/// One change, by its method.
async fn change(changer: &impl Changer, planned: &Change, budget: Budget, dry_run: bool) -> MoveResult {
    match planned {
        Change::Association(one) => association::replace(changer, one, budget, dry_run).await,
        Change::Route(_) => MoveResult::Failed("this version changes no routes".to_owned()),
    }
}

/// Switches the check off. The call sets a value, so it is repeated without asking what came of the last one.
async fn disable_check(
    changer: &impl Changer,
    interface: &InterfaceId,
    mut budget: Budget,
    dry_run: bool,
) -> Result<(), String> {
    let mut last = None;
    loop {
        last = match budget.call(changer.disable_check(interface, dry_run)).await {
            Some(Ok(())) => return Ok(()),
            Some(Err(ChangeError::Refused(why) | ChangeError::Stale(why))) => return Err(why),
            Some(Err(ChangeError::Throttled(why) | ChangeError::Unknown(why))) => Some(why),
            None => last,
        };
        if !budget.pause().await {
            return Err(budget.spent(last.as_deref()));
        }
    }
}

#[cfg(test)]
mod tests;
