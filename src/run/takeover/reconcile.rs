//! What an earlier takeover has come to by what EC2 shows now.

use crate::model::{Change, MoveResult, Phase, Record, RouteTable, RouteTableId, Stamp, SubnetId, Way};

/// Brings the record of a takeover that was cut short up to what the route tables say; `place` tells where a subnet is.
pub(in crate::run) fn reconcile(record: &mut Record, now: Stamp, place: impl Fn(&SubnetId) -> Option<RouteTableId>) {
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
        record.stamp(now);
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
