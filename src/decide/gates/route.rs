//! The plan of method `route`: which routes of the primary's table lead to this instance instead, and what speaks against it.
//!
//! A route is changed only where it leads to the primary, or nowhere (a blackhole, or no route at all). The primary is
//! `primary.instance`, or else whoever the table led to when it was last seen in health; who is neither that nor this instance has
//! been put there by somebody, and stands.
//!
//! A route moves every subnet on the table, whatever the configuration would have: so a table that has others than the guarded ones
//! is refused.

use super::fit::leads_here;
use super::{Situation, astray, hold};
use crate::decide::DecideSettings;
use crate::model::{Change, Cidr, Family, Gate, Hold, Instance, PlannedRoute, Route, RouteTable, SubnetId, Way};

/// The routes to change, and the gates that hold.
pub(super) fn plan(
    situation: Situation<'_>,
    (primary, standby): (&RouteTable, &RouteTable),
    destinations: &[Cidr],
    settings: &DecideSettings,
) -> (Vec<Change>, Vec<Hold>) {
    let subnets: Vec<SubnetId> = primary.associations.iter().filter_map(|one| one.subnet.clone()).collect();
    let mut holds: Vec<Hold> = others(primary, &subnets, settings).into_iter().collect();
    // Nor one that would not move along, although it is to be guarded.
    holds.extend(settings.subnets.iter().filter_map(|one| astray(situation.survey, one, primary, standby)));
    // Where this instance is not known, or its table does not lead here, gate `unfit` holds.
    let Ok(Some(instance)) = &situation.survey.standby else { return (Vec::new(), holds) };
    let known = primary_ways(situation, primary, settings);
    let mut changes = Vec::new();
    for destination in destinations {
        let Some(to) = way_here(standby, instance, Family::of(destination.addr())) else { continue };
        let route = primary.routes.iter().find(|route| route.is_for(destination));
        match route {
            Some(route) if to.same(&Way::from(route)) => {}
            Some(route) if !route.blackhole && !known.iter().any(|way| way.same(&Way::from(route))) => {
                holds.push(foreign(primary, destination, route, &known));
            }
            _ => changes.push(Change::Route(PlannedRoute {
                table: primary.id.clone(),
                destination: *destination,
                from: route.map(Way::from),
                to: Some(to),
                subnets: subnets.clone(),
            })),
        }
    }
    if subnets.is_empty() && holds.is_empty() {
        holds.push(super::nothing_guarded(&primary.id));
    } else if changes.is_empty() && holds.is_empty() && leads_anywhere(standby, instance, destinations) {
        let all: Vec<String> = destinations.iter().map(ToString::to_string).collect();
        let why = format!("{} sends {} to this instance already", primary.id, all.join(", "));
        holds.push(hold(Gate::AlreadyActive, why, ""));
    }
    (changes, holds)
}

/// Where a route has to lead so that this instance carries it: to the interface that the default route of its own table names.
pub(super) fn way_here(standby: &RouteTable, instance: &Instance, family: Family) -> Option<Way> {
    let interface = leads_here(standby, instance, family).ok()?;
    Some(Way { interface: interface.map(|one| one.id.clone()), instance: Some(instance.id.clone()) })
}

fn leads_anywhere(standby: &RouteTable, instance: &Instance, destinations: &[Cidr]) -> bool {
    destinations.iter().all(|one| way_here(standby, instance, Family::of(one.addr())).is_some())
}

/// Where the primary is, as far as that is known.
pub(super) fn primary_ways(situation: Situation<'_>, primary: &RouteTable, settings: &DecideSettings) -> Vec<Way> {
    let Some(id) = &settings.primary_instance else {
        let seen = situation.guarded.filter(|set| set.primary == primary.id);
        return seen.and_then(|set| set.leads_to.clone()).into_iter().collect();
    };
    let mut ways = vec![Way { interface: None, instance: Some(id.clone()) }];
    if let Some(Ok(Some(instance))) = &situation.survey.primary {
        ways.extend(
            instance.interfaces.iter().map(|one| Way { interface: Some(one.id.clone()), instance: Some(id.clone()) }),
        );
    }
    ways
}

fn foreign(table: &RouteTable, destination: &Cidr, route: &Route, known: &[Way]) -> Hold {
    let (primary, remedy) = match known.first() {
        Some(way) => {
            let option = way.instance.as_ref().map_or_else(
                || way.interface.as_ref().map(|id| format!("--network-interface-id {id}")).unwrap_or_default(),
                |id| format!("--instance-id {id}"),
            );
            let put_back = format!(
                "aws ec2 replace-route --route-table-id {} {} {destination} {option}",
                table.id,
                option_of(destination)
            );
            (format!("neither to the primary ({way}) nor to this instance"), put_back)
        }
        None => ("and which instance is the primary is not known".to_owned(), "set primary.instance".to_owned()),
    };
    let why = format!("{} sends {destination} to {}, {primary}", table.id, route.target());
    hold(Gate::Foreign, why, remedy)
}

/// What the AWS CLI calls a destination of this family.
pub(in crate::decide) const fn option_of(destination: &Cidr) -> &'static str {
    match destination {
        Cidr::V4(_) => "--destination-cidr-block",
        Cidr::V6(_) => "--destination-ipv6-cidr-block",
    }
}

/// Subnets that would move along although nobody guards them.
fn others(primary: &RouteTable, subnets: &[SubnetId], settings: &DecideSettings) -> Option<Hold> {
    if primary.associations.iter().any(|one| one.main) {
        let why = format!(
            "{} is the VPC's main table: a change of its routes moves every subnet that has no table of its own",
            primary.id
        );
        let remedy = "make another table the VPC's main one, or take over by takeover.method = \"association\"";
        return Some(hold(Gate::Foreign, why, remedy));
    }
    let more: Vec<&str> = subnets
        .iter()
        .filter(|one| !settings.subnets.is_empty() && !settings.subnets.contains(one))
        .map(SubnetId::as_str)
        .collect();
    if more.is_empty() {
        return None;
    }
    let why = format!(
        "{} also has {}, not in takeover.subnets, and a change of its routes moves all it has",
        primary.id,
        more.join(", ")
    );
    Some(hold(Gate::Foreign, why, "name them in takeover.subnets, or give them another table"))
}
