//! What an earlier takeover has come to by what EC2 shows now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::REFRESH;
use crate::act::Changer;
use crate::model::{Change, MoveResult, Phase, Record, RouteTable, RouteTableId, SubnetId, Way};
use crate::observe::{Uplink, Vantages};
use crate::preflight::{Cloud, Host};
use crate::run::pass::Going;

/// Brings the record of a takeover that was cut short up to what the route tables say; `place` tells where a subnet is.
pub(in crate::run) fn reconcile(
    record: &mut Record,
    now: Timestamp,
    place: impl Fn(&SubnetId) -> Option<RouteTableId>,
) {
    for one in record.moves.iter_mut().filter(|one| !one.result.settled()) {
        let Change::Association(plan) = &one.plan else { continue };
        match place(&plan.subnet) {
            Some(table) if table == plan.to => one.result = MoveResult::AlreadyThere,
            Some(table) if table != plan.from => one.result = MoveResult::Elsewhere(table.to_string()),
            Some(_) | None => {}
        }
    }
    if record.moves.iter().all(|one| one.result.settled()) && record.last.stand() {
        record.phase = Phase::Taken;
        record.changed = now;
    }
}

/// The same for the routes of the record, as far as `tables` has theirs.
pub(in crate::run) fn reconcile_routes(record: &mut Record, tables: &[RouteTable]) {
    for one in record.moves.iter_mut().filter(|one| !one.result.settled()) {
        let Change::Route(plan) = &one.plan else { continue };
        let Some(table) = tables.iter().find(|table| table.id == plan.table) else { continue };
        let route = table.routes.iter().find(|route| route.is_for(&plan.destination));
        let leads = |to: Option<&Way>| match (route.map(Way::from), to) {
            (Some(way), Some(to)) => to.same(&way),
            (None, None) => true,
            _ => false,
        };
        match route {
            _ if leads(plan.to.as_ref()) => one.result = MoveResult::AlreadyThere,
            Some(route) if !leads(plan.from.as_ref()) && !route.blackhole => {
                one.result = MoveResult::Elsewhere(route.target());
            }
            _ => {}
        }
    }
}

impl<V: Vantages, U: Uplink, C: Cloud + Changer, H: Host> Going<'_, V, U, C, H> {
    /// Brings the routes and the address of a record that is not complete up to what EC2 says. What it does not say stays as it is.
    pub(in crate::run) async fn look_again(&self, record: &mut Record) {
        let open = record.moves.iter().filter(|one| !one.result.settled()).filter_map(|one| match &one.plan {
            Change::Route(plan) => Some(plan.table.clone()),
            Change::Association(_) => None,
        });
        let tables: BTreeSet<RouteTableId> = open.collect();
        let until = self.deadline.min(Instant::now() + REFRESH);
        if !tables.is_empty()
            && let Ok(Ok(found)) =
                timeout_at(until, self.world.cloud.tables(&tables.into_iter().collect::<Vec<_>>())).await
        {
            reconcile_routes(record, &found);
        }
        if let Some(step) = record.last.address.as_mut().filter(|step| !step.came_along())
            && let Ok(Ok(Some(held))) = timeout_at(until, self.world.cloud.address(&step.plan.address)).await
            && step.plan.to.as_ref().is_some_and(|to| to.same(&held.holder))
        {
            step.result = MoveResult::AlreadyThere;
        }
    }
}
