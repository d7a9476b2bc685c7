//! Carry out a plan, step by step; what EC2 says afterwards is what happened.
//!
//! Nothing is chosen here: the plan names every subnet, its association and both tables. No step fails as a whole either:
//! what became of each subnet is a value in its [`Move`]. Whether traffic flows again is seen elsewhere, by probes.
//!
//! Invariants: nothing is moved while the source/destination check could still drop the traffic; nothing waits past the
//! deadline; an association that EC2 has confirmed is never replaced again.

mod address;
mod association;
mod budget;
mod route;

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::model::{
    AddressStep, AllocationId, Association, AssociationId, Change, Cidr, EipAssociationId, Holder, InstanceId,
    InterfaceId, Move, MoveResult, Plan, RebootResult, Route, RouteTableId, SubnetId, Verification, Way,
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
pub trait Changer: Routes + Addresses {
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
    /// `RebootInstances`: EC2 answers when it has queued it.
    fn reboot(&self, instance: &InstanceId, dry_run: bool) -> impl Future<Output = Result<(), ChangeError>>;
    /// Opens so many connections for calls that are soon to be made at once, without making any. It may fail, and nobody is told;
    /// who stops waiting for it takes nothing back. Where there are no connections it does nothing.
    fn warm(&self, _connections: usize) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// EC2's routes, changed. There is no token: each call does what it says, whoever has been there meanwhile.
pub trait Routes {
    /// The route of `table` to exactly `destination` as it is now; `None`: there is none.
    fn route(&self, table: &RouteTableId, destination: &Cidr) -> impl Future<Output = Result<Option<Route>, String>>;
    /// `ReplaceRoute`; where there is no such route, [`ChangeError::Stale`].
    fn replace_route(
        &self,
        table: &RouteTableId,
        destination: &Cidr,
        to: &Way,
        dry_run: bool,
    ) -> impl Future<Output = Result<(), ChangeError>>;
    /// `CreateRoute`; where there is one already, [`ChangeError::Stale`].
    fn create_route(
        &self,
        table: &RouteTableId,
        destination: &Cidr,
        to: &Way,
        dry_run: bool,
    ) -> impl Future<Output = Result<(), ChangeError>>;
    /// `DeleteRoute`; where there is none, [`ChangeError::Stale`].
    fn delete_route(
        &self,
        table: &RouteTableId,
        destination: &Cidr,
        dry_run: bool,
    ) -> impl Future<Output = Result<(), ChangeError>>;
}

/// Who has an Elastic IP address, and the id to take it away by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who has it.
    pub holder: Holder,
    /// EC2 gives out a new one each time.
    pub association: EipAssociationId,
}

/// Elastic IP addresses, changed.
pub trait Addresses {
    /// Who has the address; `None`: nobody.
    fn address(&self, address: &AllocationId) -> impl Future<Output = Result<Option<Held>, String>>;
    /// The addresses that an interface has.
    fn addresses_of(&self, interface: &InterfaceId) -> impl Future<Output = Result<Vec<AllocationId>, String>>;
    /// `AssociateAddress`, whoever has it (`AllowReassociation`).
    fn associate_address(
        &self,
        address: &AllocationId,
        to: &Holder,
        dry_run: bool,
    ) -> impl Future<Output = Result<(), ChangeError>>;
    /// `DisassociateAddress`; a stale id is [`ChangeError::Stale`].
    fn disassociate_address(
        &self,
        association: &EipAssociationId,
        dry_run: bool,
    ) -> impl Future<Output = Result<(), ChangeError>>;
}

/// What became of a plan, but for what is done after it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Of each of its moves, in its order.
    pub moves: Vec<Move>,
    /// Of the address, where one is to be brought along.
    pub address: Option<AddressStep>,
}

/// Carries out `plan`, one way or the other (a plan of reversed changes is the way back), and says what became of it.
///
/// The source/destination check comes first, and where it cannot be switched off nothing is moved: a standby that drops
/// what it is to forward would cut the subnets off for good. (Nothing ever switches it on again: a NAT needs it off, and this
/// instance is one whether or not it carries anything.) Then all moves are made at once, each by itself, so that one that hangs
/// or is refused keeps no other back. The address comes last, when every move is settled and one of them was ours: whoever
/// else has the subnets needs the address as well.
///
/// `on_step` hears of each outcome as it settles, for recording and printing; it is called from between the calls in flight and must be
/// quick. `seed` is that of the jitter between attempts. With `dry_run`, EC2 is asked whether it would allow each step and nothing is changed.
pub async fn carry_out(
    changer: &impl Changer,
    plan: &Plan,
    deadline: Instant,
    seed: u64,
    dry_run: bool,
    on_step: impl FnMut(&Move),
) -> Carried {
    carry_out_while(changer, plan, (deadline, Duration::ZERO, &|| true), seed, dry_run, on_step).await
}

/// The same where evidence calls for it: no attempt at the check or at a move begins when it is no longer `current`, however much time
/// there is, and what was not moved by then says so. What is under way is brought to its end, and the address, which comes after all moves
/// and which no evidence asks for again, has the time to `deadline`, but for what is `kept` to verify the moves.
pub async fn carry_out_while(
    changer: &impl Changer,
    plan: &Plan,
    (deadline, kept, current): (Instant, Duration, &dyn Fn() -> bool),
    seed: u64,
    dry_run: bool,
    mut on_step: impl FnMut(&Move),
) -> Carried {
    let began = Instant::now();
    let seed = |n: usize| seed.wrapping_add(n as u64);
    let budget = |n: usize| Budget::until(deadline, seed(n)).while_current(current);
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
        return Carried { moves, address: plan.address.clone().map(AddressStep::pending) };
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
    let moves: Vec<Move> = moves.into_iter().flatten().collect();
    let mut address = plan.address.clone().map(AddressStep::pending);
    let stands = moves.iter().all(|one| one.result.settled());
    // A plan of the address alone is the end of a way back whose moves were made before.
    let ours = moves.is_empty() || moves.iter().any(|one| one.result.moved() || one.result == MoveResult::WouldMove);
    if let Some(step) = address.as_mut().filter(|_| stands && ours) {
        let began = Instant::now();
        let budget = Budget::but_for(kept, deadline, seed(moves.len() + 1));
        let (plan, result) = address::bring(changer, &step.plan, budget, dry_run).await;
        *step = AddressStep { plan, result, took: began.elapsed() };
    }
    Carried { moves, address }
}

/// Prepares for `moves` that are made at once ([`Changer::warm`]), before it is known whether they will be.
pub async fn warm(changer: &impl Changer, moves: usize) {
    if moves > 0 {
        changer.warm(moves.min(AT_ONCE)).await;
    }
}

/// Asks for the reboot of `instance`, after a verified takeover.
///
/// Throttling is waited for; an outcome that is not known is left so, as a second reboot would hit an instance that is coming up.
pub async fn reboot(
    changer: &impl Changer,
    instance: &InstanceId,
    deadline: Instant,
    seed: u64,
    dry_run: bool,
) -> RebootResult {
    let mut budget = Budget::until(deadline, seed);
    let mut last = None;
    loop {
        match budget.call(changer.reboot(instance, dry_run)).await {
            Some(Ok(())) if dry_run => return RebootResult::WouldAsk,
            Some(Ok(())) => return RebootResult::Asked,
            Some(Err(ChangeError::Throttled(why))) => last = Some(why),
            Some(Err(ChangeError::Unknown(why))) => return RebootResult::Failed(format!("unknown outcome: {why}")),
            Some(Err(ChangeError::Refused(why) | ChangeError::Stale(why))) => return RebootResult::Failed(why),
            None => return RebootResult::Failed(budget.spent(last.as_deref())),
        }
        if !budget.pause().await {
            return RebootResult::Failed(budget.spent(last.as_deref()));
        }
    }
}

/// One change, by its method.
async fn change(changer: &impl Changer, planned: &Change, budget: Budget<'_>, dry_run: bool) -> MoveResult {
    match planned {
        Change::Association(one) => association::replace(changer, one, budget, dry_run).await,
        Change::Route(one) => route::replace(changer, one, budget, dry_run).await,
    }
}

/// Switches the check off. The call sets a value, so it is repeated without asking what came of the last one.
async fn disable_check(
    changer: &impl Changer,
    interface: &InterfaceId,
    mut budget: Budget<'_>,
    dry_run: bool,
) -> Result<(), String> {
    let mut last = None;
    loop {
        if budget.closed() {
            return Err(budget.spent(last.as_deref()));
        }
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
