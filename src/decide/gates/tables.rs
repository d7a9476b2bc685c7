//! Whether the two tables are what the configuration says.

use std::collections::BTreeSet;

use super::fit::carries;
use super::{hold, leads_here};
use crate::decide::DecideSettings;
use crate::model::{Family, Gate, Hold, Instance, InstanceId, RouteTable, RouteTableId, Survey};

/// The primary's and the standby's.
pub(in crate::decide) fn tables<'a>(
    survey: &'a Survey,
    settings: &DecideSettings,
) -> Result<(&'a RouteTable, &'a RouteTable), Vec<Hold>> {
    match &survey.tables {
        Ok(tables) => both(tables, settings),
        Err(why) => Err(vec![hold(Gate::Unfit, format!("EC2 can't be asked about the route tables: {why}"), "")]),
    }
}

fn both<'a>(
    tables: &'a [RouteTable],
    settings: &DecideSettings,
) -> Result<(&'a RouteTable, &'a RouteTable), Vec<Hold>> {
    let mut holds = Vec::new();
    let mut find = |key: &str, id: &RouteTableId| {
        let found = tables.iter().find(|table| &table.id == id);
        if found.is_none() {
            holds.push(hold(
                Gate::Foreign,
                format!("{key} = {id} does not exist in this region and account"),
                format!("aws ec2 describe-route-tables --route-table-ids {id}; correct {key} or standby.region"),
            ));
        }
        found
    };
    let primary = find("primary.route_table", &settings.primary_table);
    let standby = find("standby.route_table", &settings.standby_table);
    let (Some(primary), Some(standby)) = (primary, standby) else { return Err(holds) };
    if primary.vpc != standby.vpc {
        let why = format!("{} is in {}, {} in {}", primary.id, primary.vpc, standby.id, standby.vpc);
        return Err(vec![hold(Gate::Foreign, why, "name two tables of one VPC")]);
    }
    Ok((primary, standby))
}

/// What the tables show to be wrong, and the instance where EC2 has shown it at the same time. Where it has not, a route by an interface that belongs
/// to nobody known may lead here, and says nothing.
pub(in crate::decide) fn behind_these_tables(
    seen: &[RouteTable],
    identity: Option<&InstanceId>,
    own: Option<&Option<Instance>>,
    families: &[Family],
    settings: &DecideSettings,
) -> Vec<Hold> {
    let (primary, standby) = match both(seen, settings) {
        Ok(both) => both,
        Err(holds) => return holds,
    };
    let Some(identity) = identity else { return Vec::new() };
    if let Some(own) = own {
        return carries((identity, own.as_ref()), families, (primary, standby), settings).err().unwrap_or_default();
    }
    let instance = Instance {
        id: identity.clone(),
        name: None,
        state: String::new(),
        subnet: None,
        launched_ago: None,
        interfaces: Vec::new(),
    };
    let routes = settings.method.destinations().iter().map(|one| Family::of(one.addr()));
    let families: BTreeSet<Family> = families.iter().copied().chain(routes).collect();
    let plain = |family: &Family| {
        let route = standby.route(family.default_route());
        route.is_none_or(|route| route.instance.is_some() || route.interface.is_none() || route.blackhole)
    };
    families.into_iter().filter(plain).filter_map(|family| leads_here(standby, &instance, family).err()).collect()
}
