//! Whether the traffic of a recorded change is this standby's now, by the route tables alone: what else is remembered of it (the guarded
//! set, the record's own word) may be lost, narrowed or old, and clears no lock.

use crate::model::{Change, InstanceId, PlannedRoute, Route, RouteTable, RouteTableId, SubnetId, Way};

/// `tables` are to hold the standby's and that of the change; what they do not show is not here.
#[must_use]
pub fn carried(change: &Change, tables: &[RouteTable], standby: &RouteTableId, own: &InstanceId) -> bool {
    match change {
        Change::Association(plan) => on(tables, standby, &plan.subnet),
        Change::Route(plan) => {
            let mut ways = [&plan.from, &plan.to].into_iter().flatten();
            let ours = ways.find(|way| way.instance.as_ref() == Some(own));
            ours.zip(route(tables, plan)).is_some_and(|(ours, route)| ours.same(&Way::from(route)))
        }
    }
}

/// Whether `tables` show what was before a change. They may be older than it.
#[must_use]
pub fn shows_before(change: &Change, tables: &[RouteTable]) -> bool {
    match change {
        Change::Association(plan) => on(tables, &plan.from, &plan.subnet),
        Change::Route(plan) => match (&plan.from, route(tables, plan)) {
            (Some(before), Some(route)) => before.same(&Way::from(route)),
            (None, None) => tables.iter().any(|table| table.id == plan.table),
            _ => false,
        },
    }
}

fn on(tables: &[RouteTable], table: &RouteTableId, subnet: &SubnetId) -> bool {
    let mut associations = tables.iter().filter(|one| one.id == *table).flat_map(|one| &one.associations);
    associations.any(|one| one.subnet.as_ref() == Some(subnet))
}

fn route<'t>(tables: &'t [RouteTable], plan: &PlannedRoute) -> Option<&'t Route> {
    let table = tables.iter().find(|table| table.id == plan.table)?;
    table.routes.iter().find(|route| route.is_for(&plan.destination))
}
