//! Whether the traffic of a recorded change is this standby's now, by the route tables alone: what else is remembered of it (the guarded
//! set, the record's own word) may be lost, narrowed or old, and clears no lock.

use crate::model::{Change, InstanceId, RouteTable, RouteTableId, Way};

/// `tables` are to hold the standby's and that of the change; what they do not show is not here.
#[must_use]
pub fn carried(change: &Change, tables: &[RouteTable], standby: &RouteTableId, own: &InstanceId) -> bool {
    match change {
        Change::Association(plan) => tables
            .iter()
            .filter(|table| table.id == *standby)
            .flat_map(|table| &table.associations)
            .any(|one| one.subnet.as_ref() == Some(&plan.subnet)),
        Change::Route(plan) => {
            let mut ways = [&plan.from, &plan.to].into_iter().flatten();
            let ours = ways.find(|way| way.instance.as_ref() == Some(own));
            let table = tables.iter().find(|table| table.id == plan.table);
            let route = table.and_then(|table| table.routes.iter().find(|route| route.is_for(&plan.destination)));
            ours.zip(route).is_some_and(|(ours, route)| ours.same(&Way::from(route)))
        }
    }
}
